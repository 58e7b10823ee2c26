"""A provider of models: the suite, where things are, how they are built and shown."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.providers.models_rig import PROD, ModelsRig, PlainModelsRig, refused

from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import Suffix
from anabranch.domain.snapshot import Kind
from anabranch.errors import AnabranchError, StatementFailed, UnknownUpstream
from anabranch.ports.engine import Relation
from anabranch.ports.provider import Built, Move
from anabranch.providers.standing import relation
from anabranch.testing.provider_helpers import FEATURE, A, B, Rig, build, show, state
from anabranch.testing.provider_suite import ProviderSuite


class TestModels(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path)


class TestModelsAsViews(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, kind=Kind.VIEW)


class TestModelsWithoutTransactions(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return PlainModelsRig(tmp_path)


class TestModelsAsViewsWithoutTransactions(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return PlainModelsRig(tmp_path, kind=Kind.VIEW)


class TestModelsWithSuffixOnTables(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, suffix=Suffix.TABLE)


class TestModelsInADatabaseNamedAsTheirSchema(ProviderSuite):
    """sales.duckdb with schema sales."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, database="sales.duckdb")


class TestModelsInADatabaseNamedAsOurs(ProviderSuite):
    """anabranch.duckdb with schema anabranch."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, database="anabranch.duckdb")


# --- names


def test_where_things_are(models):
    provider = models.open()
    snapshot = models.model(AssetName("sales.orders"), "SELECT 1 AS id")
    (built,) = build(provider, snapshot)
    assert built == Built(1, (("id", "INTEGER"),), "", built.seconds)
    assert snapshot.location == f"anabranch__sales.orders__{snapshot.fingerprint[:12]}"
    feature = EnvironmentName("feature_new_price")
    for environment in (PROD, feature):
        show(provider, environment, state(1), {snapshot.asset: (None, snapshot)})
    assert models.relations() == {
        snapshot.location,
        "sales.orders",
        "sales__feature_new_price.orders",
        "anabranch.environments",
    }
    with models.engine.session(read_only=True) as session:
        target = relation(snapshot.location)
        assert session.targets(["sales", "sales__feature_new_price"]) == {
            Relation("sales", "orders"): target,
            Relation("sales__feature_new_price", "orders"): target,
        }
        assert session.query("SELECT * FROM anabranch.environments ORDER BY environment").rows == [
            ("feature_new_price", state(1).commit, state(1).tree),
            ("prod", state(1).commit, state(1).tree),
        ]


def test_the_suffix_on_tables(tmp_path):
    models = ModelsRig(tmp_path, suffix=Suffix.TABLE)
    provider = models.open()
    snapshot = models.model(AssetName("sales.orders"), "SELECT 1 AS id")
    build(provider, snapshot)
    show(provider, FEATURE, state(1), {snapshot.asset: (None, snapshot)})
    assert models.relations("sales") == {"sales.orders__feature"}
    show(provider, FEATURE, None, {snapshot.asset: (snapshot, None)})
    assert models.relations("sales") == set()
    assert "sales" in models.schemas(), "others' models are shown there too"


def test_long_names(models):
    provider = models.open()
    long = AssetName(f"{'s' * 63}.{'t' * 63}")
    other = AssetName(f"{'s' * 63}.{'t' * 62}u")
    snapshots = [models.model(a, "SELECT 1 AS id") for a in (long, other)]
    assert all(len(part) <= 63 for s in snapshots for part in s.location.split("."))
    build(provider, *snapshots)
    for environment in (PROD, EnvironmentName("e" * 32)):
        show(provider, environment, state(1), {s.asset: (None, s) for s in snapshots})
        assert len(models.read(environment, [long, other])) == 2
    provider.drop([s.location for s in snapshots])


def test_an_environments_schema_goes_with_its_last_view(models):
    provider = models.open()
    a, b = models.snapshot(A, 1), models.snapshot(B, 1)
    build(provider, a, b)
    show(provider, FEATURE, state(1), {A: (None, a), B: (None, b)})
    show(provider, FEATURE, state(2), {A: (a, None)})
    assert models.relations("sales__feature") == {"sales__feature.b"}
    models.run("CREATE TABLE sales__feature.mine AS SELECT 1 AS id")
    models.run("CREATE SEQUENCE sales__feature.numbers")
    show(provider, FEATURE, None, {B: (b, None)})
    assert models.relations("sales__feature") == {"sales__feature.mine"}
    models.run("DROP TABLE sales__feature.mine")
    show(provider, FEATURE, state(3), {A: (None, a)})
    show(provider, FEATURE, None, {A: (a, None)})
    assert "sales__feature" in models.schemas(), "there is a sequence in it"
    models.run("DROP SEQUENCE sales__feature.numbers")
    show(provider, FEATURE, state(3), {A: (None, a)})
    show(provider, FEATURE, None, {A: (a, None)})
    assert "sales__feature" not in models.schemas()


# --- builds


def test_a_build_that_fails_names_asset_and_file(models):
    error = refused(build, models.open(), models.broken(A))
    assert isinstance(error, StatementFailed)
    assert "as asked for" in error.message
    assert error.asset == A
    assert error.where is not None
    assert error.where.path == models.root / "models/sales/a.sql"


def test_a_model_that_reads_what_is_not_among_its_inputs(models):
    error = refused(build, models.open(), models.model(A, "SELECT * FROM sales.nothing"))
    assert isinstance(error, UnknownUpstream)
    assert error.asset == A


def test_views_are_probed_with_their_definition(models):
    provider = models.open()
    upstream = models.snapshot(A, 1)
    view = models.model(B, "SELECT content, 1 AS one FROM sales.a", upstream, kind=Kind.VIEW)
    _, built = build(provider, upstream, view)
    assert built.rows is None
    assert "content" in built.definition
    assert provider.probe(view) == Built(None, built.columns, built.definition)


def test_a_build_over_something_of_another_kind(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    models.run("CREATE SCHEMA anabranch__sales")
    models.run(f"CREATE VIEW {snapshot.location} AS SELECT 1 AS id")
    assert build(provider, snapshot)[0].rows == 1
    assert models.relations("anabranch__sales") == {snapshot.location}


def test_a_build_can_be_interrupted(models):
    provider = models.open()
    slow = models.model(A, "SELECT a.range + b.range AS n FROM range(1000000) AS a, range(1000000) AS b")
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            build(provider, slow)
        except AnabranchError as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        provider.interrupt()
    assert isinstance(outcome[0], StatementFailed)
    assert provider.probe(slow) is Outcome.NOT_APPLIED


# --- one transaction


def test_readers_see_all_views_move_at_once(models):
    provider = models.open()
    old = [models.snapshot(AssetName(f"sales.t{n}"), 1) for n in range(20)]
    new = [models.snapshot(s.asset, 2) for s in old]
    assets = [s.asset for s in old]
    build(provider, *old)
    build(provider, *new)
    show(provider, PROD, state(1), {s.asset: (None, s) for s in old})
    before = models.read(PROD, assets)
    entries = {o.asset: (o, n) for o, n in zip(old, new, strict=True)}
    with provider.prepare(PROD, lambda _: Move(state(2), entries)) as prepared:
        assert prepared.moved == 20
        assert models.read(PROD, assets) == before
        prepared.commit()
        after = models.read(PROD, assets)
    assert all(after[a] == [("2",)] for a in assets)
    assert provider.window is None
