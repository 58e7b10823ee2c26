"""What gc deletes, and what it never deletes."""

import time
from concurrent.futures import Future
from datetime import timedelta

import pytest
from tests.support.gates import Gate, behind, until
from tests.support.project import SOURCE, Model, snapshots
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.app import janitor, state
from anabranch.app.janitor import GRACE
from anabranch.app.state import OPEN, PHYSICAL, Physical, Stage
from anabranch.domain.ids import PlanId, StepId
from anabranch.domain.names import AssetName
from anabranch.errors import StatementFailed, WarehouseBusy
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Moment

MODELS = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",)), "s.b": Model(reads=("s.a",)), "s.z": Model()}
CHANGED = {**MODELS, "s.z": Model("2"), "s.new": Model()}


@pytest.fixture
def ann(site: Site) -> Process:
    process = site.process(MODELS)
    process.apply(PROD)
    return process


def location(asset: str, models=MODELS) -> str:
    return snapshots(models)[AssetName(asset)].location


def strict(site: Site) -> Process:
    """One that keeps no history."""
    return site.process(retention=timedelta())


# -- what goes ---------------------------------------------------------------------------------------------------------


def test_where_everything_is_reached_nothing_goes(site: Site, ann: Process):
    assert strict(site).gc() == set()
    site.check_nothing_is_left()


def test_what_only_a_dropped_environment_reached_goes(site: Site, ann: Process):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    assert strict(site).gc() == set()
    bob.drop(FEATURE)
    found, _ = strict(site).w.garbage()
    assert found.locations == {location("s.z", CHANGED): "s.z", location("s.new", CHANGED): "s.new"}
    assert found.rows == 2
    assert strict(site).gc() == found.locations.keys()
    site.check_nothing_is_left()
    assert strict(site).gc() == set()


def test_what_history_retains_stays_until_it_is_old(site: Site, ann: Process):
    ann.models = CHANGED
    ann.apply(PROD)
    keeper = site.process(retention=timedelta(days=7))
    assert keeper.gc() == set()
    site.clock.advance(days=6)
    assert keeper.gc() == set()
    ann.undo(PROD)
    site.clock.advance(days=8)
    assert keeper.gc() == {location("s.z", CHANGED), location("s.new", CHANGED)}
    site.check()


def test_a_failed_plans_builds_go(site: Site, ann: Process):
    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.BUILD and name == "s.new":
            raise StatementFailed("no")

    bob = site.process({**CHANGED, "s.ok": Model()}, hook=hook)
    with pytest.raises(Exception, match="could not be built"):
        bob.apply(FEATURE)
    assert site.built() > site.pointed()
    strict(site).gc()
    site.check_nothing_is_left()


def test_old_objects_that_nobody_reaches_go(site: Site, ann: Process):
    for number in range(5):
        bob = site.process({**MODELS, "s.z": Model(str(number))})
        bob.apply(FEATURE)
        bob.drop(FEATURE)
    before = site.store.aged(-1)
    assert strict(site).w.collect()[0].objects == 0, "they are young"
    site.clock.advance(seconds=GRACE + 1)
    found, _ = strict(site).w.garbage()
    collected, _ = strict(site).w.collect()
    assert collected.objects == found.objects > 10
    assert len(site.store.aged(-1)) == len(before) - collected.objects
    site.check_nothing_is_left()
    assert [e.commit.environment for e in ann.w.log(PROD, 10)] == [PROD]
    ann.models = CHANGED
    ann.apply(PROD)
    ann.undo(PROD)
    site.check()


def test_a_process_that_lives_long_writes_again_what_was_swept(site: Site, ann: Process):
    """It remembers nodes, snapshots and commits that nobody has any more."""
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    site.clock.advance(seconds=GRACE + 1)
    assert strict(site).w.collect()[0].objects > 0
    bob.apply(FEATURE)
    site.check()
    assert site.process().w.assets(FEATURE).keys() == snapshots(CHANGED).keys()


# -- what stays --------------------------------------------------------------------------------------------------------


def test_what_anabranch_did_not_make_stays(site: Site, ann: Process):
    site.world.load("anabranch__s.made_by_hand", "precious")
    site.world.load("s.somebody_elses", "precious")
    found, _ = strict(site).w.garbage()
    assert found.unknown == ("anabranch__s.made_by_hand",)
    collected, _ = strict(site).w.collect()
    assert collected.unknown == ("anabranch__s.made_by_hand",)
    assert {"anabranch__s.made_by_hand", "s.somebody_elses", "raw.u"} <= site.world.tables.keys()


def test_what_an_open_plan_wants_stays(site: Site, ann: Process):
    """Also where all that it reaches is built already, and nobody else has it."""
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    gate = Gate("s.last")
    cem = site.process({**CHANGED, "s.last": Model()}, hook=gate)
    cems = behind(lambda: cem.apply(FEATURE))
    assert gate.began.wait(10)
    assert strict(site).gc() == set()
    gate.open.set()
    cems.result(10)
    site.check_nothing_is_left()


def test_what_is_published_while_the_janitor_looks_stays(site: Site, ann: Process, monkeypatch: pytest.MonkeyPatch):
    """A new environment: not yet among the refs when those were read, no longer open when the journals were."""
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    site.process({**MODELS, "s.z": Model("garbage")}).apply(FEATURE)
    bob.drop(FEATURE)
    gate = Gate("s.last")
    cem = site.process({**CHANGED, "s.last": Model()}, hook=gate)
    cems = behind(lambda: cem.apply(OTHER))
    assert gate.began.wait(10)
    original = janitor.Janitor._heads
    looks: list[int] = []

    def heads(self: janitor.Janitor):
        found = original(self)
        looks.append(len(found))
        if len(looks) == 2:  # the first look says that there is something to do
            gate.open.set()
            cems.result(10)
        return found

    monkeypatch.setattr(janitor.Janitor, "_heads", heads)
    assert strict(site).gc() == {location("s.z", {**MODELS, "s.z": Model("garbage")})}
    assert len(looks) == 2
    site.check_nothing_is_left()


def test_whoever_moves_while_the_janitor_looks_is_seen(site: Site, ann: Process, monkeypatch: pytest.MonkeyPatch):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    plan = bob.w.plan_promote(FEATURE, PROD)
    site.process({**MODELS, "s.z": Model("4")}).apply(OTHER)
    ann.drop(OTHER)
    failed = location("s.z", {**MODELS, "s.z": Model("4")})
    original = janitor.Janitor._condemn
    turns: list[int] = []

    def condemn(self: janitor.Janitor, cells, seen):
        turns.append(len(cells))
        if len(turns) == 1:
            bob.w.apply(plan)
        return original(self, cells, seen)

    monkeypatch.setattr(janitor.Janitor, "_condemn", condemn)
    assert strict(site).gc() == {failed}
    assert turns == [1, 1]
    assert strict(site).gc() == {location("s.z")}
    site.check_nothing_is_left()


def test_whoever_wants_what_is_being_dropped_waits_and_builds_it_again(site: Site, ann: Process):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    running: list[Future[object]] = []

    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.DROP and not running:
            running.append(behind(lambda: bob.apply(FEATURE)))
            until(lambda: bool(site.store.scan(OPEN)))

    collector = site.process(retention=timedelta(), providers={"memory": MemoryProvider(site.world, hook=hook)})
    assert len(collector.gc()) == 2
    running[0].result(10)
    assert site.shown(FEATURE) == expected(CHANGED)
    site.check_nothing_is_left()


def test_nothing_is_condemned_before_the_world_is_open(site: Site, ann: Process):
    """Only one process may have it open. Whoever has, and waits for what is condemned, would wait for ever."""
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    other = MemoryProvider(site.world, exclusive=True)
    collector = MemoryProvider(site.world, exclusive=True, acquire=lambda lock: lock.acquire(blocking=False))
    with other.opened(), pytest.raises(WarehouseBusy):
        site.process(retention=timedelta(), providers={"memory": collector}).gc()
    assert {p.stage for p in site.state().all_physical().values()} == {Stage.BUILT}
    assert site.process(retention=timedelta(), providers={"memory": collector}).gc()
    site.check_nothing_is_left()


def test_a_janitor_that_takes_long_shows_signs_of_life(site: Site, ann: Process):
    """Else somebody takes its claim over, builds, and then it drops what they built."""
    site.store = type(site.store)()  # on a real clock
    lifetime = 0.2
    ann = site.process(MODELS)
    ann.models = CHANGED
    site.world.shown.clear()
    site.world.pointers.clear()
    ann.apply(FEATURE)
    ann.drop(FEATURE)
    running: list[Future[object]] = []
    bob = site.process(CHANGED, lifetime=lifetime)

    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.DROP and not running:
            running.append(behind(lambda: bob.apply(FEATURE)))
            until(lambda: bool(site.store.scan(OPEN)))
            site.clock.advance(seconds=1)
            time.sleep(5 * lifetime)

    collector = site.process(
        retention=timedelta(), lifetime=lifetime, providers={"memory": MemoryProvider(site.world, hook=hook)}
    )
    assert collector.gc()
    running[0].result(10)
    site.check()


def test_a_janitor_that_lost_its_claim_drops_nothing(site: Site, ann: Process):
    """It slept too long (a laptop was closed); somebody has built there since."""
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.drop(FEATURE)
    slept: list[bool] = []

    class Sleepy(MemoryProvider):
        def locations(self) -> set[str]:
            if not slept:
                slept.append(True)
                site.clock.advance(seconds=31)
                bob.apply(FEATURE)
            return super().locations()

    collector = site.process(retention=timedelta(), providers={"memory": Sleepy(site.world)})
    collector.gc()
    assert site.shown(FEATURE) == expected(CHANGED)
    site.check()


# -- after somebody died -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [Stage.BUILDING, Stage.CONDEMNED])
@pytest.mark.parametrize("stands", [True, False])
def test_what_a_dead_process_left_goes(site: Site, ann: Process, stage: Stage, stands: bool):
    snapshot = snapshots(CHANGED)[AssetName("s.new")]
    left = Physical(snapshot.location, snapshot.id, stage, "there 1 - x", site.clock.seconds())
    site.store.swap({}, {PHYSICAL + snapshot.location: left.encode()})
    if stands:
        MemoryProvider(site.world).build(snapshot, {})
    assert strict(site).gc() == set(), "it may live"
    site.clock.advance(seconds=31)
    assert strict(site).gc() == {snapshot.location}
    site.check_nothing_is_left()


def test_a_cell_whose_snapshot_is_lost_goes_too(site: Site, ann: Process):
    lost = snapshots({"s.lost": Model()})[AssetName("s.lost")]
    left = Physical(lost.location, lost.id, Stage.CONDEMNED)
    site.store.swap({}, {PHYSICAL + lost.location: left.encode()})
    found, _ = strict(site).w.garbage()
    assert found.locations == {lost.location: None}
    assert strict(site).gc() == {lost.location}
    site.check_nothing_is_left()


def test_marks_of_environments_that_are_gone_go(site: Site, ann: Process):
    site.store.swap({}, {state.VERIFIED + "gone": b"x"})
    ann.apply(PROD)
    strict(site).gc()
    assert list(site.store.scan(state.VERIFIED)) == [state.VERIFIED + "prod"]


def test_lines_without_a_journal_go(site: Site, ann: Process):
    gate = Gate("s.new")
    bob = site.process(CHANGED, hook=gate)
    running = behind(lambda: bob.apply(FEATURE))
    assert gate.began.wait(10)
    lines = set(site.store.scan(state.LINE))
    stale = {state.line(PlanId("gone"), None): b"begin", state.line(PlanId("gone"), StepId("x")): b"done"}
    site.store.swap({}, stale)
    ann.gc()
    left = set(site.store.scan(state.LINE))
    assert lines, "bob has begun"
    assert lines <= left, "those of whoever is at work stay"
    assert not left & set(stale)
    gate.open.set()
    running.result(10)
    site.check()


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_environments_expire(site: Site, ann: Process):
    bob = site.process(CHANGED, ttl=timedelta(days=14))
    bob.apply(FEATURE)
    bob.run(lambda w: w.plan_create(OTHER, None, timedelta(days=1)))
    assert site.state().require(PROD).expires_at is None
    site.clock.advance(days=2)
    _, expired = ann.w.garbage()
    assert [e.name for e in expired] == [OTHER]
    ann.w.collect()
    assert site.state().environments().keys() == {PROD, FEATURE}
    site.clock.advance(days=13)
    _, expired = ann.w.collect()
    assert [e.name for e in expired] == [FEATURE]
    strict(site).gc()
    site.check_nothing_is_left()


def test_a_change_renews_it(site: Site, ann: Process):
    bob = site.process(CHANGED, ttl=timedelta(days=14))
    bob.apply(FEATURE)
    site.clock.advance(days=13)
    bob.models = {**CHANGED, "s.z": Model("3")}
    bob.apply(FEATURE)
    site.clock.advance(days=13)
    assert ann.w.collect()[1] == []
    assert FEATURE in site.state().environments()


def test_protected_environments_do_not_expire(site: Site, ann: Process):
    bob = site.process(CHANGED, ttl=timedelta(days=14), protected=[FEATURE])
    bob.apply(FEATURE)
    site.clock.advance(days=100)
    assert ann.w.collect()[1] == []
    assert site.state().require(FEATURE).protected
    assert ann.w.is_protected(FEATURE)
    assert ann.w.is_protected(PROD)
    assert not ann.w.is_protected(OTHER)


def test_an_expired_environment_that_somebody_renews_meanwhile_stays(
    site: Site, ann: Process, monkeypatch: pytest.MonkeyPatch
):
    bob = site.process(CHANGED, ttl=timedelta(days=1))
    bob.apply(FEATURE)
    bob.run(lambda w: w.plan_create(OTHER, None, timedelta(days=1)))
    site.clock.advance(days=2)
    original = type(ann.w._planning).drop

    def drop(self, environment):
        plan = original(self, environment)
        if environment.name == FEATURE:
            bob.models = {**CHANGED, "s.z": Model("3")}
            bob.apply(FEATURE)
        return plan

    monkeypatch.setattr(type(ann.w._planning), "drop", drop)
    _, expired = ann.w.collect()
    assert [e.name for e in expired] == [OTHER]
    assert site.state().environments().keys() == {PROD, FEATURE}
    site.check()
