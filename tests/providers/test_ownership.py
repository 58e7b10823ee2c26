"""What isn't Anabranch's, or another environment's, is never replaced or dropped."""

from __future__ import annotations

import pytest
from tests.providers.models_rig import PROD, refused

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.errors import Refused
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, build, show, shown_by, state


@pytest.mark.parametrize("environment", [PROD, FEATURE])
@pytest.mark.parametrize(
    "own",
    [
        "TABLE {0} AS SELECT 1 AS id",
        "VIEW {0} AS SELECT 1 AS id",
        "VIEW {0} AS SELECT * FROM raw.data",
        "VIEW {0} AS SELECT * FROM anabranch_mine.data",
    ],
)
@pytest.mark.parametrize("spelled", ["a", '"A"'])
def test_a_users_own_relation_is_never_replaced(models, environment, own, spelled):
    provider = models.open()
    schema = models.place(environment, A).schema
    for each in ("raw", "anabranch_mine"):
        models.run(f"CREATE SCHEMA {each}")
        models.run(f"CREATE TABLE {each}.data AS SELECT 1 AS id")
    models.run(f'CREATE SCHEMA "{schema.title() if spelled == chr(34) + "A" + chr(34) else schema}"')
    models.run(f"CREATE {own.format(f'{schema}.{spelled}')}")
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    what = own.split()[0].lower()
    for call in (
        lambda: provider.check(environment, {A: snapshot}),
        lambda: show(provider, environment, state(1), {A: (None, snapshot)}),
    ):
        error = refused(call)
        assert isinstance(error, Refused)
        assert error.message == f"{schema}.a is a {what} that Anabranch didn't make, so sales.a can't be shown there"
        or_adopt = ", or take it over: anabranch adopt sales.a" if (what, schema) == ("table", "sales") else ""
        assert error.hint == f"rename that {what} or the model{or_adopt}"
        assert error.asset == A
    with models.engine.session(read_only=True) as session:
        assert session.query(f"SELECT * FROM {schema}.a").rows == [(1,)]
    assert shown_by(provider, environment) is None


def test_a_table_put_in_a_views_place_is_never_dropped(models):
    provider = models.open()
    one, two = models.snapshot(A, 1), models.snapshot(A, 2)
    build(provider, one, two)
    show(provider, PROD, state(1), {A: (None, one)})
    models.unpoint(PROD, A)
    models.take(PROD, A)
    for after in (two, one, None):
        error = refused(show, provider, PROD, state(2), {A: (one, after)})
        assert isinstance(error, Refused)
        assert error.message == "sales.a is a table that Anabranch didn't make"
        assert error.hint == "rename that table"
    assert models.read(PROD, [A]) == {A: [("mine",)]}
    assert shown_by(provider, PROD) == state(1)


def test_what_it_would_point_at_is_gone(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    models.remove(snapshot.location)
    error = refused(show, provider, FEATURE, state(1), {A: (None, snapshot)})
    assert error.message == f"{snapshot.location} is gone, so it can't be shown as sales__feature.a"
    assert "anabranch apply" in str(error.hint)
    assert shown_by(provider, FEATURE) is None


def test_an_environment_never_takes_the_place_of_another(models):
    """In prod there is sales__x.a; the environment x would show sales.a there."""
    provider, x = models.open(), EnvironmentName("x")
    in_prod = models.snapshot(AssetName("sales__x.a"), 1)
    mine = models.snapshot(A, 1)
    build(provider, in_prod, mine)
    show(provider, PROD, state(1), {in_prod.asset: (None, in_prod)})
    before = models.read(PROD, [in_prod.asset])
    for call in (
        lambda: provider.check(x, {A: mine}),
        lambda: show(provider, x, state(2), {A: (None, mine)}),
    ):
        error = refused(call)
        assert isinstance(error, Refused)
        assert error.message.startswith("sales__x.a shows another model already (over anabranch__sales__x.a__")
        assert error.hint == "rename one of them, or choose another environment's name"
    assert models.read(PROD, [in_prod.asset]) == before
    show(provider, PROD, None, {in_prod.asset: (in_prod, None)})
    show(provider, x, state(2), {A: (None, mine)})
    error = refused(show, provider, PROD, state(3), {in_prod.asset: (None, in_prod)})
    assert isinstance(error, Refused), "nor the other way round"
    assert models.read(x, [A]) == {A: [("1",)]}


def test_an_asset_named_as_if_it_lay_in_an_environment(models):
    provider, x = models.open(), EnvironmentName("x")
    plain, odd = models.snapshot(A, 1), models.snapshot(AssetName("sales__x.other"), 1)
    build(provider, plain, odd)
    show(provider, PROD, state(1), {A: (None, plain), odd.asset: (None, odd)})
    both = {A: (None, plain), odd.asset: (None, odd)}
    message = "sales__x.other is named like what environment x shows: sales__x ends in __x"
    for call in (lambda: provider.check(x, {odd.asset: odd}), lambda: show(provider, x, state(1), both)):
        error = refused(call)
        assert isinstance(error, Refused)
        assert (error.message, error.asset) == (message, odd.asset)
        assert error.hint == "rename the asset, or choose another environment's name"
    show(provider, PROD, state(2), {odd.asset: (odd, None)})
    show(provider, x, state(1), {A: (None, plain)})
    for call in (
        lambda: provider.check(PROD, {odd.asset: odd}),
        lambda: show(provider, PROD, state(3), {odd.asset: (None, odd)}),
    ):
        assert refused(call).message == message
    assert shown_by(provider, PROD) == state(2)


def test_views_that_were_set_before_the_state_was_lost(models):
    provider = models.open()
    one, two = models.snapshot(A, 1), models.snapshot(A, 2)
    source = models.source(SOURCE)
    build(provider, one, two)
    show(provider, FEATURE, state(1), {A: (None, one), SOURCE: (None, source)})
    show(provider, FEATURE, state(2), {A: (None, two), SOURCE: (None, source)})
    assert models.read(FEATURE, [A]) == {A: [("2",)]}


def test_only_what_is_among_the_physical_tables_is_dropped(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    models.take(PROD, A)
    models.run("CREATE TABLE anabranch__sales.mine AS SELECT 1 AS id")
    models.run("CREATE VIEW anabranch__sales.mine_too AS SELECT 1 AS id")
    provider.drop([snapshot.location, "sales.a", "main.nothing", "anabranch.environments"])
    assert models.relations() >= {"sales.a", "anabranch__sales.mine", "anabranch__sales.mine_too"}
    assert snapshot.location not in models.relations()
    assert provider.locations() == {"anabranch__sales.mine", "anabranch__sales.mine_too"}
