"""The world differs from the record: found, told, and mended."""

import pytest
from tests.support.gates import Gate, behind, until
from tests.support.project import SOURCE, Model, snapshots
from tests.support.site import FEATURE, PROD, Process, Site, expected

from anabranch.app import events
from anabranch.app.state import PHYSICAL, Physical, Stage
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Reason, Verb
from anabranch.errors import WarehouseBusy
from anabranch.ports.provider import Drift, Expectation, Fault
from anabranch.providers.memory import MemoryProvider

MODELS = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",)), "s.b": Model(reads=("s.a",)), "s.z": Model()}
A, B, Z = (AssetName(n) for n in ("s.a", "s.b", "s.z"))
LOCATIONS = {a: s.location for a, s in snapshots(MODELS).items()}


@pytest.fixture
def ann(site: Site) -> Process:
    process = site.process(MODELS)
    process.apply(PROD)
    return process


def faults(process: Process, name=PROD) -> set[tuple[Fault, AssetName | None]]:
    return {(d.fault, d.asset) for d in process.w.inspect(process.w.state.require(name)).drifts}


def mended(site: Site, process: Process) -> None:
    """One apply, and all is well; another has nothing to do."""
    assert process.apply(PROD) is not None
    assert faults(process) == set()
    assert site.shown(PROD) == expected(process.models)
    assert process.apply(PROD) is None
    site.check()


def test_where_nothing_moved_nothing_is_looked_at(site: Site, ann: Process):
    looked = list[Expectation]()

    class Watched(MemoryProvider):
        def observe(self, expectation: Expectation) -> list[Drift]:
            looked.append(expectation)
            return super().observe(expectation)

    other = site.process(MODELS, providers={"memory": Watched(site.world)})
    assert faults(other) == set()
    assert faults(other) == set()
    assert len(looked) <= 1, "by revision"
    before = len(looked)
    site.world.load("raw.other", "of somebody else")
    assert faults(other) == set()
    assert len(looked) == before + 1
    assert faults(other) == set()
    assert len(looked) == before + 1


def test_a_table_that_is_gone_is_built_again(site: Site, ann: Process):
    site.world.remove(LOCATIONS[A])
    assert faults(ann) == {(Fault.MISSING, A)}
    plan = ann.w.plan_apply(PROD)
    assert [(d.asset, d.verb, d.reason) for d in plan.decisions] == [(A, Verb.BUILD, Reason.DRIFTED)]
    assert plan.builds[0].again
    assert any("is gone" in note for note in plan.notes)
    mended(site, ann)


def test_a_table_that_was_altered_is_built_again(site: Site, ann: Process):
    site.world.alter(LOCATIONS[A])
    assert faults(ann) == {(Fault.ALTERED, A)}
    before = ann.head(PROD)
    mended(site, ann)
    assert len(site.world.tables[LOCATIONS[A]].columns) == 1
    assert ann.head(PROD) == before, "the environment's state is the same, so there is no commit"


def test_pointers_that_were_moved_or_taken_away_are_set_again(site: Site, ann: Process):
    site.world.point(PROD, A, LOCATIONS[Z])
    site.world.point(PROD, B, None)
    assert faults(ann) == {(Fault.REPOINTED, A), (Fault.UNPOINTED, B)}
    plan = ann.w.plan_apply(PROD)
    assert (plan.builds, plan.repairs) == ((), (A, B))
    mended(site, ann)


def test_an_environment_that_shows_another_state_is_set_right(site: Site, ann: Process):
    """The world was put back from a backup."""
    shown, pointers = dict(site.world.shown), {PROD: dict(site.world.pointers[PROD])}
    ann.models = {**MODELS, "s.z": Model("2"), "s.new": Model()}
    ann.apply(PROD)
    site.world.shown, site.world.pointers = shown, pointers
    site.world.changes += 1
    assert (Fault.BEHIND, None) in faults(ann)
    mended(site, ann)


def test_drift_is_mended_along_with_a_change(site: Site, ann: Process):
    site.world.remove(LOCATIONS[A])
    site.world.point(PROD, Z, None)
    ann.models = {**MODELS, "s.b": Model("2", reads=("s.a",))}
    mended(site, ann)


@pytest.mark.parametrize("damage", ["remove", "alter"])
def test_drift_of_something_that_is_only_described_anew_is_mended_too(site: Site, ann: Process, damage: str):
    getattr(site.world, damage)(LOCATIONS[A])
    ann.models = {**MODELS, "s.a": Model(reads=("raw.u",), description="for people")}
    mended(site, ann)


def test_drift_of_something_that_goes_away_does_not_matter(site: Site, ann: Process):
    site.world.remove(LOCATIONS[Z])
    site.world.point(PROD, B, None)
    ann.models = {"raw.u": SOURCE, "s.a": MODELS["s.a"]}
    mended(site, ann)


def test_drift_that_came_after_the_plan_is_found_by_the_next_one(site: Site, ann: Process):
    ann.models = {**MODELS, "s.z": Model("2")}
    plan = ann.w.plan_apply(PROD)
    site.world.alter(LOCATIONS[A])
    ann.w.apply(plan)
    assert faults(ann) == {(Fault.ALTERED, A)}
    mended(site, ann)


def test_a_new_environment_finds_what_was_wrong_before_it(site: Site, ann: Process):
    site.world.alter(LOCATIONS[A])
    ann.create(FEATURE)
    assert faults(ann, FEATURE) == {(Fault.ALTERED, A)}


def test_an_undo_mends_too(site: Site, ann: Process):
    ann.models = {**MODELS, "s.z": Model("2")}
    ann.apply(PROD)
    site.world.remove(LOCATIONS[A])
    plan = ann.w.plan_undo(PROD)
    assert {b.asset for b in plan.builds} == {A}
    ann.w.apply(plan)
    assert site.shown(PROD) == expected(MODELS)
    assert faults(ann) == set()
    site.check()


def test_a_promotion_into_an_environment_that_drifted_mends_it(site: Site, ann: Process):
    bob = site.process({**MODELS, "s.new": Model()}, author="bob")
    bob.apply(FEATURE)
    site.world.remove(LOCATIONS[A])
    site.world.point(PROD, B, None)
    bob.promote()
    assert faults(bob) == set()
    assert site.shown(PROD) == expected(bob.models)


def test_a_world_that_is_busy_is_told_not_guessed(site: Site, ann: Process):
    class Busy(MemoryProvider):
        def observe(self, expectation: Expectation) -> list[Drift]:
            raise WarehouseBusy("process 7 has it")

    site.world.alter(LOCATIONS[A])
    process = site.process(MODELS, providers={"memory": Busy(site.world)})
    assert process.w.inspect(process.w.state.require(PROD)).unknown == "process 7 has it"
    process.models = {**MODELS, "s.new": Model()}
    plan = process.w.plan_apply(PROD)
    assert "drift was not looked for: process 7 has it" in plan.notes
    process.w.apply(plan)
    assert faults(ann) == {(Fault.ALTERED, A)}, "what nobody looked at is not taken for well"


@pytest.mark.parametrize("rebuilt", [True, False])
def test_what_was_being_replaced_when_somebody_died_is_replaced(site: Site, ann: Process, rebuilt: bool):
    """It stands there, but nobody can trust it."""
    location = LOCATIONS[A]
    site.world.alter(location)
    if rebuilt:
        MemoryProvider(site.world).build(snapshots(MODELS)[A], snapshots(MODELS))
    left = Physical(location, snapshots(MODELS)[A].id, Stage.CONDEMNED, "here 99 - x", 0.0)
    site.store.swap({}, {PHYSICAL + location: left.encode()})
    assert faults(ann) >= {(Fault.ALTERED, A)}
    mended(site, ann)


def test_two_who_mend_the_same_at_once_build_it_once(site: Site, ann: Process):
    site.world.alter(LOCATIONS[A])
    gate, told = Gate("s.a"), list[events.Event]()
    bob = site.process(MODELS, author="bob", hook=gate)
    cem = site.process(MODELS, author="cem", hook=gate, listen=told.append)
    plans = [p.w.plan_apply(PROD) for p in (bob, cem)]
    bobs = behind(lambda: bob.w.apply(plans[0]))
    assert gate.began.wait(10)
    cems = behind(lambda: cem.w.apply(plans[1]))
    until(lambda: any(isinstance(e, events.Waiting) for e in told))
    gate.open.set()
    bobs.result(10)
    cems.result(10)
    assert gate.built == ["s.a"]
    assert faults(ann) == set()
    site.check()
