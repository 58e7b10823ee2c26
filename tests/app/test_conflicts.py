"""When somebody else was faster."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.support.project import SOURCE, Model, snapshots
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.app.apply import Applier
from anabranch.app.workspace import Workspace
from anabranch.domain.merge import Cause
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Plan
from anabranch.errors import MergeConflict, NotFound, Refused, StalePlan
from anabranch.ports.provider import Decide
from anabranch.providers.memory import MemoryProvider

MODELS = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",)), "s.b": Model(reads=("s.a",)), "s.y": Model(), "s.z": Model()}
BOBS = {**MODELS, "s.y": Model("bob's")}
CEMS = {**MODELS, "s.z": Model("cem's")}


@pytest.fixture
def site() -> Site:
    site = Site()
    site.process(MODELS).apply(PROD)
    return site


@pytest.fixture
def bob(site: Site) -> Process:
    process = site.process(BOBS, author="bob")
    process.apply(FEATURE)
    return process


@pytest.fixture
def cem(site: Site) -> Process:
    process = site.process(CEMS, author="cem")
    process.apply(OTHER)
    return process


def unchanged(site: Site, call: Callable[[], object]) -> None:
    """Nobody sees anything of it, and nothing is left."""
    shown = {name: site.world.see(name) for name in (PROD, FEATURE, OTHER)}
    refs = site.store.scan("ref/")
    call()
    assert {name: site.world.see(name) for name in (PROD, FEATURE, OTHER)} == shown
    assert site.store.scan("ref/") == refs
    site.check()


# -- promotions --------------------------------------------------------------------------------------------------------


def test_disjoint_changes_promote_one_after_the_other(site: Site, bob: Process, cem: Process):
    bob.promote(FEATURE)
    applied = cem.promote(OTHER)
    assert applied is not None
    assert [d.asset for d in applied.plan.decisions] == ["s.z"]
    assert site.shown(PROD) == expected({**BOBS, "s.z": CEMS["s.z"]})
    site.check()


def test_what_both_changed_is_a_conflict_that_shows_all_sides(site: Site, bob: Process, cem: Process):
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    cem.apply(OTHER)
    bob.promote(FEATURE)

    def promote() -> None:
        with pytest.raises(MergeConflict) as caught:
            cem.promote(OTHER)
        (conflict,) = caught.value.conflicts
        sides = [snapshots(models)[AssetName("s.y")].id for models in (MODELS, BOBS, cem.models)]
        assert [conflict.base, conflict.ours, conflict.theirs] == sides
        assert (conflict.asset, conflict.cause) == ("s.y", Cause.BOTH_CHANGED)
        assert caught.value.message == (
            "prod moved since other began from it: 1 commit, the last by bob at 2026-01-01 00:00 UTC"
        )
        assert caught.value.hint

    unchanged(site, promote)


def test_a_conflict_counts_what_moved_since_the_last_promotion(site: Site, bob: Process, cem: Process):
    bob.promote(FEATURE)
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    site.process({**BOBS, "s.new": Model()}, author="dan").apply(PROD)
    bob.models = {**BOBS, "s.a": Model("bob's", ("raw.u",))}
    bob.apply(FEATURE)
    site.process({**BOBS, "s.a": Model("dan's", ("raw.u",)), "s.new": Model()}, author="dan").apply(PROD)
    with pytest.raises(MergeConflict, match="2 commits, the last by dan"):
        bob.promote(FEATURE)


def test_a_new_reader_of_what_prod_changed_is_a_conflict(site: Site, bob: Process, cem: Process):
    cem.models = {**CEMS, "s.new": Model(reads=("s.y",))}
    cem.apply(OTHER)
    bob.promote(FEATURE)

    def promote() -> None:
        with pytest.raises(MergeConflict) as caught:
            cem.promote(OTHER)
        (conflict,) = caught.value.conflicts
        assert (conflict.asset, conflict.cause, conflict.upstream) == ("s.new", Cause.UPSTREAM_MOVED, "s.y")

    unchanged(site, promote)


def test_after_bringing_prods_code_in_a_promotion_goes_through(site: Site, bob: Process, cem: Process):
    """A new reader is rehearsed again over what prod has now."""
    cem.models = {**CEMS, "s.new": Model(reads=("s.y",))}
    cem.apply(OTHER)
    bob.promote(FEATURE)
    with pytest.raises(MergeConflict):
        cem.promote(OTHER)
    cem.models = {**cem.models, "s.y": BOBS["s.y"]}
    cem.apply(OTHER)
    applied = cem.promote(OTHER)
    assert applied is not None
    assert applied.plan.builds == ()
    assert site.shown(PROD) == expected(cem.models)
    site.check()


def test_after_bringing_prods_code_in_what_both_changed_goes_through(site: Site, bob: Process, cem: Process):
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    cem.apply(OTHER)
    bob.promote(FEATURE)
    with pytest.raises(MergeConflict):
        cem.promote(OTHER)
    cem.models = {**bob.models, "s.y": Model("bob's and cem's")}  # git merge main, both kept
    cem.apply(OTHER)
    with pytest.raises(MergeConflict) as caught:  # nobody said that bob's change is in it
        cem.promote(OTHER)
    assert str(caught.value.hint).endswith("git merge main && anabranch apply --merged && anabranch promote")
    cem.apply(OTHER, merged=True)
    cem.promote(OTHER)
    assert site.shown(PROD) == expected(cem.models)


def test_where_there_is_nothing_to_take_in_nothing_is_recorded(site: Site, bob: Process):
    assert bob.apply(FEATURE, merged=True) is None
    assert site.process(MODELS).apply(PROD, merged=True) is None
    site.process({**MODELS, "s.z": Model("2")}).apply(PROD)
    bob.models = {**BOBS, "s.z": Model("2")}
    assert bob.apply(FEATURE, merged=True) is not None
    assert bob.apply(FEATURE, merged=True) is None, "it was taken in before"


def test_files_that_lack_what_prod_changed_are_not_taken_for_merged(site: Site, bob: Process, cem: Process):
    bob.models = {**BOBS, "s.b": Model("bob's", ("s.a",))}
    bob.apply(FEATURE)
    bob.promote(FEATURE)
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    with pytest.raises(Refused, match=r"^s\.b is as it was before prod changed it: these files lack prod's changes$"):
        cem.apply(OTHER, merged=True)


def test_after_bringing_prods_code_in_a_reader_of_what_prod_changed_goes_through(site: Site, cem: Process):
    cem.models = {**CEMS, "s.b": Model("cem's", ("s.a",))}
    cem.apply(OTHER)
    site.process({**MODELS, "s.a": Model("dan's", ("raw.u",))}, author="dan").apply(PROD)
    cem.models = {**cem.models, "s.a": Model("dan's", ("raw.u",))}  # git merge main
    cem.apply(OTHER)
    cem.promote(OTHER)
    assert site.shown(PROD) == expected(cem.models)


def test_an_environment_that_begins_anew_promotes_what_both_changed(site: Site, bob: Process, cem: Process):
    """And builds nothing again for it."""
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    cem.apply(OTHER)
    bob.promote(FEATURE)
    cem.models = {**cem.models, "s.y": Model("bob's and cem's")}
    cem.apply(OTHER)
    cem.drop(OTHER)
    applied = cem.apply(OTHER)
    assert applied is not None
    assert applied.report.built == ()
    cem.promote(OTHER)
    assert site.shown(PROD) == expected(cem.models)
    site.check()


# -- plans that somebody overtook --------------------------------------------------------------------------------------


def overtaken(site: Site, process: Process, make: Callable[[Workspace], Plan], by: Callable[[], object]) -> StalePlan:
    """Somebody does something between plan and apply."""
    built: list[StalePlan] = []
    plan = make(process.w)
    by()
    before = site.built()

    def apply() -> None:
        with pytest.raises(StalePlan) as caught:
            process.w.apply(plan)
        built.append(caught.value)

    unchanged(site, apply)
    assert site.built() == before, "it was refused before anything started"
    assert built[0].hint
    assert built[0].unchanged
    return built[0]


def test_an_apply_of_what_somebody_else_changed_is_refused(site: Site, bob: Process, cem: Process):
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    error = overtaken(site, cem, lambda w: w.plan_apply(PROD), bob.promote)
    assert error.message.startswith(f"prod moved on to @ {bob.head(PROD)[:7]} (promote by bob at 2026-01-01")
    assert error.message.endswith(": s.y")


def test_an_apply_beside_somebody_elses_keeps_both(site: Site, bob: Process, cem: Process):
    plan = cem.w.plan_apply(PROD)
    bob.promote(FEATURE)
    cem.w.apply(plan)
    assert site.shown(PROD) == expected({**BOBS, "s.z": CEMS["s.z"]})
    commits = [e.commit for e in cem.w.log(PROD, 2)]
    assert [c.author for c in commits] == ["cem", "bob"]
    assert commits[0].parents == (site.state().commit(cem.head(PROD)).parents[0],)
    site.check()


def test_a_promotion_beside_somebody_elses_keeps_both(site: Site, bob: Process, cem: Process):
    plan = cem.w.plan_promote(OTHER, PROD)
    bob.promote(FEATURE)
    cem.w.apply(plan)
    assert site.shown(PROD) == expected({**BOBS, "s.z": CEMS["s.z"]})
    site.check()


def test_a_promotion_over_what_somebody_else_changed_is_refused(site: Site, bob: Process, cem: Process):
    cem.models = {**CEMS, "s.y": Model("cem's too")}
    cem.apply(OTHER)
    error = overtaken(site, cem, lambda w: w.plan_promote(OTHER, PROD), bob.promote)
    assert "promote by bob" in error.message
    assert error.hint == "plan again: anabranch promote other"


def test_a_promotion_of_something_that_moved_is_refused(site: Site, bob: Process):
    def move() -> None:
        dan = site.process({**BOBS, "s.z": Model("dan's")}, author="dan")
        dan.apply(FEATURE)

    error = overtaken(site, bob, lambda w: w.plan_promote(FEATURE, PROD), move)
    assert "feature is now @" in error.message
    assert "dan" in error.message


def test_a_promotion_of_something_that_was_dropped_is_refused(site: Site, bob: Process):
    error = overtaken(site, bob, lambda w: w.plan_promote(FEATURE, PROD), lambda: bob.drop(FEATURE))
    assert "feature is gone" in error.message


def test_a_promotion_into_something_that_was_dropped_is_refused(site: Site, bob: Process, cem: Process):
    error = overtaken(site, bob, lambda w: w.plan_promote(FEATURE, OTHER), lambda: cem.drop(OTHER))
    assert error.message == "other was dropped since the plan was made"


def test_an_undo_of_something_that_moved_is_refused(site: Site, bob: Process, cem: Process):
    bob.promote(FEATURE)
    error = overtaken(site, bob, lambda w: w.plan_undo(PROD), lambda: cem.promote(OTHER))
    assert "promote by cem" in error.message
    assert error.hint == "plan again: anabranch undo prod"


def test_a_drop_of_something_that_moved_is_refused(site: Site, bob: Process):
    def move() -> None:
        bob.models = {**BOBS, "s.z": Model("more")}
        bob.apply(FEATURE)

    error = overtaken(site, bob, lambda w: w.plan_drop(FEATURE), move)
    assert "apply by bob" in error.message
    assert error.hint == "plan again: anabranch env drop feature"


def test_creating_what_somebody_else_created_is_refused(site: Site, bob: Process, cem: Process):
    cem.drop(OTHER)
    error = overtaken(site, cem, lambda w: w.plan_create(OTHER, PROD, None), lambda: bob.create(OTHER, FEATURE))
    assert error.message.startswith("other was made since the plan was made, for bob (apply by bob at ")


def test_the_first_apply_of_two_wins(site: Site):
    other_site = Site()
    one, two = (other_site.process({**MODELS, "s.z": Model(a)}, author=a) for a in ("ann", "dan"))
    plans = [p.w.plan_apply(PROD) for p in (one, two)]
    one.w.apply(plans[0])
    with pytest.raises(StalePlan, match="prod was made since"):
        two.w.apply(plans[1])
    other_site.check()
    two.apply(PROD)
    assert other_site.shown(PROD) == expected(two.models)


def test_a_plan_whose_environment_vanishes_is_refused(site: Site, bob: Process):
    bob.models = {**BOBS, "s.z": Model("more")}
    dan = site.process(BOBS, author="dan")
    overtaken(site, bob, lambda w: w.plan_apply(FEATURE), lambda: dan.drop(FEATURE))


def test_a_plan_is_refused_at_the_end_where_somebody_moves_while_it_builds(site: Site, bob: Process):
    """What it built stays, and is reused."""
    dan = site.process({**BOBS, "s.z": Model("dan's")}, author="dan")
    once = iter([True])

    def overtake(moment: object, name: str) -> None:
        if next(once, False):
            dan.apply(FEATURE)

    late = site.process({**BOBS, "s.z": Model("late")}, author="late", hook=overtake)
    with pytest.raises(StalePlan, match=r"feature moved on to .* \(apply by dan"):
        late.apply(FEATURE)
    assert site.shown(FEATURE) == expected(dan.models)
    site.check()
    applied = late.apply(FEATURE)
    assert applied is not None
    assert applied.report.built == ()
    assert site.shown(FEATURE) == expected(late.models)


def test_what_a_plan_reuses_is_not_cleaned_up_under_it(site: Site, bob: Process):
    """Between plan and apply it may be; then the plan is refused, not carried out over nothing."""
    bob.drop(FEATURE)
    plan = bob.w.plan_apply(FEATURE)
    assert plan.builds == ()
    site.clock.advance(days=1)
    janitor = site.process(BOBS)
    assert janitor.gc()
    with pytest.raises(StalePlan, match="cleaned up"):
        bob.w.apply(plan)
    site.check()
    applied = bob.apply(FEATURE)
    assert applied is not None
    assert applied.report.built
    site.check()


@pytest.mark.parametrize("create", [True, False])
def test_what_a_new_environment_begins_with_is_not_cleaned_up_under_it(site: Site, bob: Process, create: bool):
    """It is planned from prod as it is, prod moves on, and what it had is cleaned up."""
    cem = site.process({**MODELS, "s.new": Model()}, author="cem")
    plan = cem.w.plan_create(OTHER, PROD, None) if create else cem.w.plan_apply(OTHER)
    bob.promote(FEATURE)
    assert site.process(BOBS, retention=timedelta()).gc()
    with pytest.raises(StalePlan, match="cleaned up"):
        cem.w.apply(plan)
    site.check()
    cem.apply(OTHER)
    site.check()


def test_what_a_new_environment_begins_with_is_not_cleaned_up_while_it_is_opened(
    site: Site, bob: Process, monkeypatch: pytest.MonkeyPatch
):
    """Prod keeps it when that is looked at, and no longer when the journal is opened."""
    cem = site.process(MODELS, author="cem")
    original = Applier._inherited

    def inherited(self: Applier, plan: Plan) -> Any:
        found = original(self, plan)
        if plan.environment == OTHER:
            bob.promote(FEATURE)
            assert site.process(BOBS, retention=timedelta()).gc()
        return found

    monkeypatch.setattr(Applier, "_inherited", inherited)
    with pytest.raises(StalePlan, match="cleaned up"):
        cem.create(OTHER)
    site.check()


def test_a_new_environment_may_begin_from_a_state_that_was_left(site: Site, bob: Process):
    cem = site.process(MODELS, author="cem")
    plan = cem.w.plan_create(OTHER, PROD, None)
    bob.promote(FEATURE)
    cem.w.apply(plan)
    assert site.shown(OTHER) == expected(MODELS)
    site.check()


def test_nobody_finds_what_is_not_there(site: Site):
    process = site.process(MODELS)
    for call in (process.promote, process.undo, process.drop):
        with pytest.raises(NotFound):
            call(FEATURE)


def test_what_a_plan_would_merge_with_may_be_cleaned_up_meanwhile(site: Site, bob: Process, cem: Process):
    """Between finding where a plan leads to and preparing it, prod moves on, and what it had is cleaned up."""
    dan = site.process({**MODELS, "s.a": Model("dan's", ("raw.u",))}, author="dan", retention=timedelta())
    plan = cem.w.plan_promote(OTHER, PROD)
    bob.promote(FEATURE)

    class Late(MemoryProvider):
        def prepare(self, environment: EnvironmentName, decide: Decide, swaps: Any = (), takeovers: Any = ()) -> Any:
            if not slept:
                slept.append(True)
                dan.apply(PROD)
                bob.drop(FEATURE)
                dan.gc()
            return super().prepare(environment, decide, swaps, takeovers)

    slept: list[bool] = []
    late = site.process(CEMS, author="cem", providers={"memory": Late(site.world)})
    late.w.apply(plan)
    assert site.shown(PROD) == expected({**dan.models, "s.z": CEMS["s.z"]})
    site.check()


# -- circumstances -----------------------------------------------------------------------------------------------------


def test_a_promotion_keeps_circumstances_that_changed_meanwhile(site: Site, bob: Process, cem: Process):
    plan = bob.w.plan_promote(FEATURE, OTHER)
    site.process({**CEMS, "s.a": Model("2", ("raw.u",))}, author="cem", protected=[OTHER]).apply(OTHER)
    assert site.state().require(OTHER).protected
    bob.w.apply(plan)
    assert site.state().require(OTHER).protected
