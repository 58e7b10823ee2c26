"""Each snapshot is built once, whoever wants it; what fails, and who dies."""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from tests.support.gates import PATIENCE, Gate, behind, failing, until
from tests.support.project import SOURCE, Model, snapshots
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.app import builds, events
from anabranch.app.apply import Inputs
from anabranch.app.state import PHYSICAL, Physical, Stage
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError, BuildFailed, OutcomeUnknown, StalePlan
from anabranch.ports.provider import Built
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Moment

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.b": Model(reads=("s.a",)),
    "s.c": Model(reads=("s.b",)),
    "s.z": Model(),
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "POLL", (0.001, 0.01))


# -- order and failure -------------------------------------------------------------------------------------------------


def test_builds_come_after_what_they_read(site: Site):
    gate = Gate()
    many = {f"w.m{n}": Model(reads=tuple(f"w.m{m}" for m in range(n) if (m * 7 + n) % 3 == 0)) for n in range(30)}
    process = site.process(many, hook=gate, workers=3)
    process.apply(PROD)
    place = {name: n for n, name in enumerate(gate.built)}
    assert len(place) == 30
    assert all(place[u] < place[name] for name, model in many.items() for u in model.reads)
    assert site.shown(PROD) == expected(many)
    site.check()


def test_independent_builds_run_at_the_same_time(site: Site):
    meeting = threading.Barrier(3)

    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.BUILD:
            meeting.wait(PATIENCE)

    process = site.process({f"w.m{n}": Model() for n in range(3)}, hook=hook, workers=3)
    process.apply(PROD)
    site.check()


def test_a_build_that_fails_leaves_the_environment_as_it_was(site: Site):
    site.process(MODELS).apply(PROD)
    shown = site.world.see(PROD)
    changed = {name: model.but(logic="2") if model != SOURCE else model for name, model in MODELS.items()}
    told: list[events.Event] = []
    process = site.process(changed, hook=failing("s.b"), listen=told.append)
    with pytest.raises(BuildFailed) as caught:
        process.apply(PROD)
    assert caught.value.message == "s.b could not be built; prod is as it was"
    ((asset, error),) = caught.value.failures
    assert (asset, error.message) == ("s.b", "s.b divides by zero")
    assert caught.value.hint
    assert caught.value.unchanged
    assert site.world.see(PROD) == shown
    site.check()
    assert {e.asset for e in told if isinstance(e, events.BuildEnded)} == {"s.a", "s.z"}
    assert [(e.asset, e.because) for e in told if isinstance(e, events.BuildSkipped)] == [("s.c", "s.b")]
    again = site.process(changed)
    applied = again.apply(PROD)
    assert applied is not None
    assert set(applied.report.built) == {"s.b", "s.c"}, "what was built is reused"
    assert site.shown(PROD) == expected(changed)
    site.check()


def test_all_that_can_be_built_is_and_all_that_failed_is_told(site: Site):
    many = {f"w.m{n}": Model() for n in range(20)}
    process = site.process(many, hook=failing("w.m3", "w.m7"), workers=3)
    with pytest.raises(BuildFailed, match="2 models could not be built") as caught:
        process.apply(PROD)
    assert {asset for asset, _ in caught.value.failures} == {"w.m3", "w.m7"}
    assert len(site.built()) == 18
    site.check()


def test_readers_of_what_failed_are_skipped_once(site: Site):
    models = {
        "s.a": Model(),
        "s.b": Model(),
        "s.ok": Model(),
        "s.ab": Model(reads=("s.a", "s.b")),
        "s.abc": Model(reads=("s.ab", "s.ok")),
    }
    told: list[events.Event] = []
    process = site.process(models, hook=failing("s.a", "s.b"), listen=told.append)
    with pytest.raises(BuildFailed):
        process.apply(PROD)
    assert sorted(e.asset for e in told if isinstance(e, events.BuildSkipped)) == ["s.ab", "s.abc"]
    assert sorted(e.asset for e in told if isinstance(e, events.BuildBroke)) == ["s.a", "s.b"]


def test_a_fault_in_a_provider_is_no_failed_build(site: Site):
    def hook(moment: Moment, name: str) -> None:
        if name == "s.b":
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        site.process(MODELS, hook=hook).apply(PROD)
    site.check()
    site.process(MODELS).apply(PROD)
    site.check()


# -- two who want the same ---------------------------------------------------------------------------------------------


def test_two_who_want_the_same_at_once_build_it_once(site: Site):
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate, told = Gate("s.b"), list[events.Event]()
    first = site.process(MODELS, author="bob", hook=gate)
    second = site.process(MODELS, author="cem", hook=gate, listen=told.append)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    cems = behind(lambda: second.apply(OTHER))
    until(lambda: any(isinstance(e, events.Waiting) for e in told))
    gate.open.set()
    bobs.result(PATIENCE)
    cems.result(PATIENCE)
    assert sorted(gate.built) == ["s.a", "s.b", "s.c", "s.z"]
    waiting = next(e for e in told if isinstance(e, events.Waiting))
    assert (waiting.what, waiting.holder) == ("s.b", "process 2 on here")
    assert {e.asset for e in told if isinstance(e, events.BuildEnded) and e.reused} >= {"s.b"}
    assert site.shown(FEATURE) == site.shown(OTHER) == expected(MODELS)
    site.check()


def test_whoever_waits_builds_it_where_the_other_fails(site: Site):
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate = Gate("s.b")

    def hook(moment: Moment, name: str) -> None:
        gate(moment, name)
        failing("s.b")(moment, name)

    first, second = site.process(MODELS, hook=hook), site.process(MODELS)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    cems = behind(lambda: second.apply(OTHER))
    gate.open.set()
    with pytest.raises(BuildFailed):
        bobs.result(PATIENCE)
    cems.result(PATIENCE)
    assert site.shown(OTHER) == expected(MODELS)
    site.check()


def test_whoever_waits_takes_over_where_the_other_dies(site: Site):
    """What the dead one left is looked at before anything is built again."""
    site.process({"raw.u": SOURCE}).apply(PROD)
    for left_whole in (False, True):
        gate, counted = Gate("s.b"), Gate()
        models = {**MODELS, "s.b": Model(str(left_whole), reads=("s.a",))}
        first, second = site.process(models, hook=gate), site.process(models, hook=counted)
        bobs = behind(partial(first.apply, FEATURE))
        assert gate.began.wait(PATIENCE)
        cems = behind(partial(second.apply, OTHER))
        time.sleep(0.05)
        assert not cems.done()
        snapshot = snapshots(models)[AssetName("s.b")]
        if left_whole:
            MemoryProvider(site.world).build(snapshot, snapshots(models))
        site.kill(first)
        cems.result(PATIENCE)
        assert ("s.b" in counted.built) == (not left_whole)
        assert site.shown(OTHER) == expected(models)
        gate.open.set()
        assert [o.plan.environment for o in second.w.heal()] == [FEATURE]
        with pytest.raises(StalePlan, match="taken for dead"):
            bobs.result(PATIENCE)
        site.check()


def test_what_nobody_can_tell_is_not_guessed(site: Site):
    class Unsure(MemoryProvider):
        def probe(self, snapshot: Snapshot) -> Built | Outcome:
            return Outcome.UNKNOWN

    location = snapshots(MODELS)[AssetName("s.z")].location
    left = Physical(location, snapshots(MODELS)[AssetName("s.z")].id, Stage.BUILDING, "there 1 - x", 0.0)
    site.store.swap({}, {PHYSICAL + location: left.encode()})
    process = site.process(MODELS, providers={"memory": Unsure(site.world)})
    with pytest.raises(BuildFailed) as caught:
        process.apply(PROD)
    ((_, error),) = caught.value.failures
    assert isinstance(error, OutcomeUnknown)
    assert location in (error.hint or "")
    site.check()
    assert [p.location for p in site.state().all_physical().values() if p.stage is not Stage.BUILT] == [location], (
        "the janitor still knows whose it is"
    )
    process.apply(PROD)
    site.check()


# -- signs of life -----------------------------------------------------------------------------------------------------


def test_a_long_build_is_not_stolen_while_its_builder_lives(site: Site):
    """Nobody can look the builder up (another host): only its signs of life tell."""
    lifetime = 0.3
    site.store = type(site.store)()  # on a real clock
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate, counted = Gate("s.b"), Gate()
    first = site.process(MODELS, hook=gate, lifetime=lifetime)
    second = site.process(MODELS, hook=counted, lifetime=lifetime)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    cems = behind(lambda: second.apply(OTHER))
    time.sleep(4 * lifetime)
    assert second.w.heal() == []
    assert not cems.done()
    gate.open.set()
    bobs.result(PATIENCE)
    cems.result(PATIENCE)
    assert "s.b" not in counted.built
    site.check()


def test_a_builder_without_signs_of_life_is_dead(site: Site):
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate, counted = Gate("s.b"), Gate()
    first = site.process(MODELS, hook=gate)
    second = site.process(MODELS, hook=counted)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    cems = behind(lambda: second.apply(OTHER))
    time.sleep(0.05)
    assert not cems.done()
    site.clock.advance(seconds=31)
    cems.result(PATIENCE)
    assert "s.b" in counted.built
    assert [o.plan.environment for o in second.w.heal()] == [FEATURE]
    gate.open.set()
    with pytest.raises(StalePlan, match="taken for dead"):
        bobs.result(PATIENCE)
    assert FEATURE not in site.state().environments()
    site.check()


def test_nobody_takes_itself_for_dead(site: Site):
    process = site.process(MODELS, hook=lambda moment, name: late(moment))

    def late(moment: Moment) -> None:
        if moment is Moment.BUILD:
            site.clock.advance(seconds=31)
            assert process.w.heal() == []

    process.apply(PROD)
    site.check()


def test_whoever_was_taken_for_dead_publishes_nothing_that_was_cleaned_up(site: Site):
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate = Gate("s.c")
    first = site.process(MODELS, hook=gate)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    until(lambda: len(site.built()) == 3)
    site.clock.advance(seconds=31)
    assert len(site.process({}).gc()) == 4
    gate.open.set()
    with pytest.raises((StalePlan, BuildFailed)):
        bobs.result(PATIENCE)
    site.check()
    site.process({}).gc()
    site.check_nothing_is_left()


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------


def stopping(at: type, then: Callable[[], None] = lambda: None) -> events.Listener:
    """Ctrl-C as soon as an event of this kind is heard (in the main thread, as a signal is)."""

    def listen(event: events.Event) -> None:
        if isinstance(event, at):
            then()
            raise KeyboardInterrupt

    return listen


def test_an_interruption_stops_what_runs_and_leaves_nothing_claimed(site: Site):
    """More builds than workers: some have not begun."""
    many = {f"w.m{n}": Model() for n in range(20)}
    gate = Gate("w.m19")

    def hook(moment: Moment, name: str) -> None:
        failing("w.m0")(moment, name)

    process = site.process(many, hook=hook, workers=2, listen=stopping(events.BuildBroke))
    running = behind(lambda: process.apply(PROD))
    with pytest.raises(KeyboardInterrupt):
        running.result(PATIENCE)
    gate.open.set()
    site.check()
    site.process(many).apply(PROD)
    site.check()


def test_an_interruption_does_not_wait_for_somebody_elses_build(site: Site):
    site.process({"raw.u": SOURCE}).apply(PROD)
    gate = Gate("s.z")
    first = site.process(MODELS, hook=gate)
    bobs = behind(lambda: first.apply(FEATURE))
    assert gate.began.wait(PATIENCE)
    until(lambda: len(site.built()) == 3)
    told: list[events.Event] = []

    def listen(event: events.Event) -> None:
        told.append(event)
        if isinstance(event, events.BuildBroke):
            until(lambda: any(isinstance(e, events.Waiting) for e in told))
            raise KeyboardInterrupt

    second = site.process({**MODELS, "s.broken": Model()}, hook=failing("s.broken"), listen=listen)
    cems = behind(lambda: second.apply(OTHER))
    try:
        with pytest.raises(KeyboardInterrupt):
            cems.result(5)
    finally:
        gate.open.set()
    bobs.result(PATIENCE)
    site.check()


def test_a_process_tells_what_it_does(site: Site):
    told: list[events.Event] = []
    process = site.process(MODELS, listen=told.append)
    process.apply(PROD)
    assert {e.asset for e in told if isinstance(e, events.BuildBegan)} == {"s.a", "s.b", "s.c", "s.z"}
    assert all(not e.reused and e.built.rows == 1 for e in told if isinstance(e, events.BuildEnded))
    (pointed,) = [e for e in told if isinstance(e, events.Pointed)]
    assert (pointed.environment, pointed.moved) == (PROD, 5)
    events.silent(pointed)


def test_what_a_snapshot_reads_must_be_in_the_tree(site: Site):
    process: Process = site.process(MODELS)
    process.apply(PROD)
    state = site.state()
    inputs = Inputs(state, state.commit(process.head()).tree)
    lost = snapshots({"s.gone": Model(), "s.reader": Model(reads=("s.gone",))})[AssetName("s.reader")]
    with pytest.raises(AnabranchError, match=r"s\.reader reads s\.gone, which isn't in the environment"):
        inputs.of(lost)
