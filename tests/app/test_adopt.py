"""Tables that somebody else made come under management, and go back; their readers never notice."""

from datetime import timedelta
from typing import Any, cast

import pytest
from tests.app.adopting import ADOPTED_ONLY, MODELS, REST, A, B, by_name, foreign, is_free, promised
from tests.support.project import Model
from tests.support.proxies import ProxyStore
from tests.support.site import FEATURE, PROD, Process, Site, expected

from anabranch.app.state import ADOPTED, OPEN, PHYSICAL, Physical, Stage
from anabranch.domain.commit import Action
from anabranch.domain.names import AssetName
from anabranch.domain.places import adopted_location, is_adopted
from anabranch.domain.plan import Plan, Verb
from anabranch.domain.snapshot import Kind
from anabranch.errors import AnabranchError, NotFound, Refused, StalePlan
from anabranch.ports.provider import Refreshes
from anabranch.ports.store import Store
from anabranch.stores.memory import MemoryStore


@pytest.fixture
def site() -> Site:
    found = Site()
    foreign(found, A, B)
    return found


@pytest.fixture
def ann(site: Site) -> Process:
    return site.process(MODELS)


def test_apply_refuses_what_adopt_takes_over(site: Site, ann: Process):
    with pytest.raises(Refused):
        ann.apply(PROD)
    applied = ann.adopt("s.a", "s.b")
    assert applied is not None
    assert {d.asset: d.verb for d in applied.plan.decisions} == {
        "raw.u": Verb.DEFINE, "s.a": Verb.ADOPT, "s.b": Verb.ADOPT, "s.e": Verb.DEFINE,
    }  # fmt: skip
    assert applied.report.built == ()
    assert by_name(site) == promised()
    assert site.shown(PROD) == expected(ADOPTED_ONLY)
    commit = ann.w.state.commit(ann.head())
    assert (commit.action, commit.message) == (Action.ADOPT, "adopt s.a, s.b")
    site.check()


def test_adopted_tables_are_reused_by_whatever_comes(site: Site, ann: Process):
    ann.adopt("s.*")
    applied = ann.apply(PROD)
    assert applied is not None
    assert applied.report.built == ("s.z",)
    feature = ann.apply(FEATURE)
    assert feature is not None
    assert feature.report.built == ()
    assert ann.apply(FEATURE) is None
    assert ann.w.status(PROD).plan.is_empty
    assert site.shown(FEATURE) == site.shown(PROD) == expected(MODELS)
    site.check()


def test_what_is_adopted_is_recorded_as_built(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    for asset in (A, B):
        snapshot = ann.w.assets(PROD)[asset]
        assert snapshot.location == adopted_location(asset, snapshot.fingerprint)
        cell = Physical.decode(
            snapshot.location, site.store.read([PHYSICAL + snapshot.location])[PHYSICAL + snapshot.location]
        )
        assert (cell.stage, cell.built and cell.built.rows) == (Stage.BUILT, 1)
    location = ann.w.assets(PROD)[B].location
    tables = cast(Refreshes, site.process().w.tables)
    assert ann.w.state.contents([location]) == tables.contents([location])


def test_undo_gives_the_tables_back(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    applied = ann.undo()
    assert applied is not None
    assert {d.asset: d.verb for d in applied.plan.decisions if d.verb is not Verb.REMOVE} == {
        "s.a": Verb.RELEASE, "s.b": Verb.RELEASE,
    }  # fmt: skip
    assert by_name(site) == promised()
    assert is_free(site)
    site.check()
    with pytest.raises(Refused, match="nothing to undo"):
        ann.undo()
    ann.adopt("s.a", "s.b")
    assert by_name(site) == promised()
    site.check()


def test_undo_steps_back_through_what_came_after(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    ann.apply(PROD)
    ann.models = {**MODELS, "s.a": Model("2", reads=("raw.u",))}
    ann.apply(PROD)
    assert by_name(site) != promised()
    ann.undo()
    assert by_name(site) == promised()
    ann.undo()
    ann.undo()
    assert by_name(site) == promised()
    assert is_free(site)
    site.check()


def test_restore_to_before_an_adoption(site: Site):
    ann = site.process(REST)
    ann.apply(PROD)
    before = ann.head()
    ann.models = MODELS
    ann.adopt("s.a", "s.b")
    ann.models = {**MODELS, "s.a": Model("2", reads=("raw.u",))}
    ann.apply(PROD)
    ann.restore(PROD, before)
    assert by_name(site) == promised()
    assert is_free(site)
    site.check()


def test_a_run_moves_adopted_data_on_and_back(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    site.clock.advance(days=2)
    ann.run(lambda w: w.plan_run(PROD))
    assert by_name(site) != promised()
    ann.undo()
    assert by_name(site) == promised()
    ann.undo()
    assert by_name(site) == promised()
    assert is_free(site)
    assert site.world.beside == {}


def test_data_that_runs_brought_goes_along(site: Site, ann: Process):
    """A return to before the adoption keeps the rows that readers see."""
    ann.adopt("s.a", "s.b")
    before = ann.w.state.commit(ann.head()).parents[0]
    site.clock.advance(days=2)
    ann.run(lambda w: w.plan_run(PROD))
    seen = by_name(site)
    ann.restore(PROD, before)
    assert by_name(site) == seen
    assert is_free(site)


def test_what_another_environment_reads_is_not_given_back(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    ann.create(FEATURE)
    with pytest.raises(Refused, match=r"feature reads the table that was adopted as s\.a"):
        ann.undo()
    ann.drop(FEATURE)
    ann.undo()
    assert is_free(site)


def test_an_environment_that_is_made_meanwhile_keeps_the_table(site: Site, ann: Process):
    """Between the plan to give it back and the moment it is carried out."""
    ann.adopt("s.a", "s.b")
    plan = ann.w.plan_undo(PROD)
    site.process(MODELS, author="bob").create(FEATURE)
    with pytest.raises(Refused, match="feature reads"):
        ann.w.apply(plan)
    assert site.shown(FEATURE) == expected(ADOPTED_ONLY)
    site.check()


def test_an_environment_that_is_made_at_the_last_moment_keeps_the_table(site: Site, ann: Process):
    """Just before the store's swap that publishes: the journal that it opened is seen."""
    ann.adopt("s.a", "s.b")
    bob = site.process(MODELS, author="bob")
    made: list[Plan] = []

    class Late(ProxyStore):
        def swap(self, expect: Any, write: Any, **more: Any) -> bool:
            if any(k.startswith(ADOPTED) and v is None for k, v in write.items()) and not made:
                made.append(bob.w.plan_create(FEATURE, PROD, None))
                bob.w._applier._open(made[0])
            return self._store.swap(expect, write, **more)

    late = site.process(MODELS, author="cem", wrap=lambda s: cast(Store, Late(cast(MemoryStore, s), lambda _: None)))
    with pytest.raises(Refused, match="create of feature, which is under way, reads"):
        late.undo()
    assert made
    assert by_name(site) == promised()


def test_the_janitor_drops_an_adopted_table_as_any_other(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    location = ann.w.assets(PROD)[A].location
    later = site.process({**MODELS, "s.a": Model("2", reads=("raw.u",))}, retention=timedelta())
    assert location not in later.gc()
    later.apply(PROD)
    assert location in later.gc()
    assert location not in site.world.tables
    site.check_nothing_is_left()
    assert site.store.scan(ADOPTED) == {}
    first = later.w.log(PROD, 10)[-1].id
    with pytest.raises(Refused, match=r"adopted as s\.a has been cleaned up"):
        later.restore(PROD, first)
    back = site.process(MODELS)
    back.apply(PROD)  # the definition of before is built anew, where builds stand
    assert not is_adopted(back.w.assets(PROD)[A].location)
    assert site.shown(PROD) == expected(MODELS)


def test_a_table_by_hand_dropped_is_built_again(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    site.world.remove(ann.w.assets(PROD)[A].location)
    ann.apply(PROD)
    assert by_name(site) == promised()
    site.check()


# --- what is refused


def refused(ann: Process, *names: str) -> AnabranchError:
    with pytest.raises((Refused, NotFound)) as caught:
        ann.adopt(*names)
    return caught.value


def test_what_its_model_reads_must_be_there(site: Site, ann: Process):
    error = refused(ann, "s.b")
    assert error.message == "s.b reads s.a, which prod doesn't have yet"
    assert error.hint == "adopt it too: anabranch adopt s.a s.b; or build it first"


def test_what_its_model_reads_must_be_as_in_the_files(site: Site):
    first = Site()
    foreign(first, B)
    ann = first.process({n: MODELS[n] for n in ("raw.u", "s.a")})
    ann.apply(PROD)
    ann.models = {**MODELS, "s.a": Model("2", reads=("raw.u",))}
    assert "s.b reads s.a, which prod has in another version" in refused(ann, "s.b").message


def test_what_is_no_table_of_a_model(site: Site, ann: Process):
    assert "there is no model s.none" in refused(ann, "s.none").message
    assert "no asset of the project fits" in refused(ann, "t.*").message
    assert "there is no table s.z to adopt" in refused(ann, "s.z").message
    assert "is of kind EMBEDDED" in refused(ann, "s.e").message
    assert "is of kind EXTERNAL" in refused(ann, "raw.u").message
    site.world.take(PROD, AssetName("s.z"))
    error = refused(ann, "s.z")
    assert error.message == "s.z is a view, so there is no table to adopt"


def test_other_columns_are_another_table(site: Site, ann: Process):
    site.world.alter("s.a")
    assert "another table" in refused(ann, "s.a").message
    with pytest.raises(Refused, match="another table"):
        ann.adopt("s.a", "s.b")


def test_a_pattern_leaves_out_what_does_not_fit(site: Site, ann: Process):
    site.world.alter("s.a")
    plan = ann.w.plan_adopt(["*"])
    assert plan.is_empty
    assert [n.split(":")[0] for n in plan.notes] == ["s.a is left out", "s.b is left out"]


def test_what_is_managed_already(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    head = ann.head()
    assert ann.adopt("s.a") is None
    assert ann.adopt("*") is None
    assert ann.head() == head
    ann.apply(PROD)
    assert refused(ann, "s.z").message == "s.z is in prod already"


def test_a_table_that_changes_after_it_was_looked_at(site: Site, ann: Process):
    plan = ann.w.plan_adopt(["s.a"])
    site.world.alter("s.a")
    with pytest.raises(Refused, match="isn't the table any more"):
        ann.w.apply(plan)
    assert site.world.shown == {}
    assert site.store.scan(OPEN) == {}


def test_two_views_upward_are_told_apart(site: Site):
    """A view over a table that is adopted only now can't be made before it is."""
    view = {**MODELS, "s.v": Model(kind=Kind.VIEW, reads=("s.a",)), "s.b": Model(reads=("s.v",))}
    ann = site.process(view)
    assert "s.b reads s.v, a view over s.a, which is adopted only now" in refused(ann, "s.a", "s.b").message
    ann.adopt("s.*")  # what doesn't fit is left out
    assert A in ann.w.assets(PROD)
    applied = ann.adopt("s.b")
    assert applied is not None
    assert applied.report.built == ("s.v",)


# --- others at the same time


def test_two_at_once(site: Site):
    process = site.process(REST)
    process.apply(PROD)
    ann, bob = (site.process(MODELS, author=name) for name in ("ann", "bob"))
    first, second = ann.w.plan_adopt(["s.a", "s.b"]), bob.w.plan_adopt(["s.a"])
    ann.w.apply(first)
    head = ann.head()
    bob.w.apply(second)
    assert ann.head() == head
    assert by_name(site) == promised()
    site.check()


def test_two_first_ones_at_once(site: Site):
    ann, bob = (site.process(MODELS, author=name) for name in ("ann", "bob"))
    first, second = ann.w.plan_adopt(["s.a"]), bob.w.plan_adopt(["s.a"])
    ann.w.apply(first)
    with pytest.raises(StalePlan):
        bob.w.apply(second)
    site.check()


def test_an_undo_after_somebody_elses_change_is_stale(site: Site, ann: Process):
    ann.adopt("s.a", "s.b")
    plan = ann.w.plan_undo(PROD)
    site.process(MODELS, author="bob").apply(PROD)
    with pytest.raises(StalePlan):
        ann.w.apply(plan)
    assert by_name(site) == promised()
    site.check()
