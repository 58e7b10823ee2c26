"""Data moves on, for all environments that share it; and back."""

from __future__ import annotations

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from tests.support.gates import Gate, behind
from tests.support.project import SOURCE, Model
from tests.support.proxies import Crash, Doom, ProxyProvider, ProxyStore
from tests.support.site import FEATURE, PROD, Process, Site

from anabranch.app.restating import Restatement
from anabranch.app.state import CONTENT, OPEN, REFRESHING
from anabranch.domain.commit import Action
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Reason, Verb
from anabranch.domain.selection import Selection
from anabranch.domain.snapshot import Kind
from anabranch.errors import BuildFailed, Refused, SelectionError, StatementFailed
from anabranch.ports.store import Store
from anabranch.providers.memory.world import Moment
from anabranch.stores.memory import MemoryStore

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.v": Model(kind=Kind.VIEW, reads=("s.a",)),
    "s.e": Model(kind=Kind.EMBEDDED, reads=("s.v",)),
    "s.b": Model(reads=("s.e",)),
    "s.z": Model(),
}
CHANGED = {**MODELS, "s.b": Model("2", reads=("s.e",))}


@pytest.fixture
def ann(site: Site) -> Process:
    process = site.process(MODELS)
    process.apply(PROD)
    site.clock.advance(days=1)
    return process


def run(process: Process, name: str = PROD, **more: Any) -> None:
    process.run(lambda w: w.plan_run(PROD if name == PROD else FEATURE, **more))


def dying(store: Store, doom: Doom) -> Store:
    """One whose every call may be the last."""
    return cast(Store, ProxyStore(cast(MemoryStore, store), doom))


def moved(site: Site, before: dict[AssetName, str | None], name: str = PROD) -> set[str]:
    """Which assets show other data than before."""
    now = site.shown(PROD if name == PROD else FEATURE)
    return {a for a in now if now[a] != before[a]}


def test_a_run_computes_what_is_due_and_shows_it_at_once(site: Site, ann: Process):
    before = site.shown(PROD)
    pointers = dict(site.world.pointers[PROD])
    plan = ann.w.plan_run(PROD)
    assert [(d.asset, d.verb) for d in plan.decisions] == [(a, Verb.REFRESH) for a in ("s.a", "s.b", "s.z")]
    needs = {s.asset: s.needs for s in plan.refreshes}
    assert needs == {"s.a": (), "s.b": ("refresh:s.a",), "s.z": ()}, "through a view and an embedded model"
    ann.w.apply(plan)
    assert moved(site, before) == {"s.a", "s.b", "s.z"}
    assert site.world.pointers[PROD] == pointers, "no view was touched"
    now = site.shown(PROD)
    value = now[AssetName("s.a")]
    assert value is not None
    assert value.endswith(f"as of {plan.now}")
    commit = site.state().commit(ann.head())
    assert (commit.action, commit.tree) == (Action.RUN, site.state().commit(commit.parents[0]).tree)
    assert len(commit.refreshed) == 3
    assert ann.w.plan_run(PROD).is_empty, "nothing is due twice"
    assert not ann.w.plan_run(PROD, ignore_cron=True).is_empty
    assert site.store.scan(OPEN) == {}
    assert site.store.scan(REFRESHING) == {}


def test_an_undo_brings_back_the_data_for_all_who_share_it(site: Site, ann: Process):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    states = [(site.shown(PROD), site.shown(FEATURE), ann.head())]
    for _ in range(2):
        run(ann)
        states.append((site.shown(PROD), site.shown(FEATURE), ann.head()))
        site.clock.advance(days=1)
    assert len({tuple(sorted(p.items())) for p, _, _ in states}) == 3
    assert moved(site, states[0][1], FEATURE) == {"s.a", "s.z"}, "what it shares"
    ann.undo()
    assert (site.shown(PROD), site.shown(FEATURE)) == states[1][:2]
    ann.undo()
    assert (site.shown(PROD), site.shown(FEATURE)) == states[0][:2]
    ann.restore(PROD, states[2][2])
    assert (site.shown(PROD), site.shown(FEATURE)) == states[2][:2]
    ann.restore(PROD, states[0][2])
    assert (site.shown(PROD), site.shown(FEATURE)) == states[0][:2]


def test_a_promotion_two_runs_and_the_way_back(site: Site, ann: Process):
    before, head = site.shown(PROD), ann.head()
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    bob.promote()
    for _ in range(2):
        run(ann)
        site.clock.advance(days=1)
    ann.restore(PROD, head)
    assert site.shown(PROD) == before


def test_data_of_the_trunk_is_left_to_its_own_runs(site: Site, ann: Process):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    site.clock.advance(days=1)
    before, theirs = site.shown(PROD), site.shown(FEATURE)
    plan = bob.w.plan_run(FEATURE)
    assert [d.asset for d in plan.decisions] == ["s.b"]
    assert plan.notes == ("prod's data too, and left to its runs: s.a, s.z",)
    bob.w.apply(plan)
    assert site.shown(PROD) == before
    assert moved(site, theirs, FEATURE) == {"s.b"}
    bob.undo(FEATURE)
    assert site.shown(FEATURE) == theirs
    assert site.shown(PROD) == before


def test_a_rehearsal_does_not_restate_the_trunks_data(site: Site, ann: Process):
    bob = site.process(CHANGED)
    bob.apply(FEATURE)
    before = site.shown(PROD)
    shared = bob.w.assets(FEATURE)[AssetName("s.a")].location
    assert shared == bob.w.assets(PROD)[AssetName("s.a")].location
    plan = bob.w.plan_run(FEATURE, restate=Restatement([AssetName("s.a")]))
    assert {d.asset: d.reason for d in plan.decisions if d.verb is Verb.BUILD} == {
        "s.a": Reason.RESTATED,
        "s.b": Reason.UPSTREAM_CHANGED,
        "s.v": Reason.UPSTREAM_CHANGED,
    }
    bob.w.apply(plan)
    assert site.shown(PROD) == before
    assert bob.w.assets(FEATURE)[AssetName("s.a")].location != shared
    assert bob.w.plan_apply(FEATURE).is_empty, "an apply of the same files keeps it"
    bob.run(lambda w: w.plan_run(FEATURE, restate=Restatement([AssetName("s.b")])))
    assert site.shown(PROD) == before
    with pytest.raises(Refused, match="has no data of its own"):
        ann.w.plan_run(PROD, restate=Restatement([AssetName("s.v")]))


def test_a_restatement_takes_the_readers_along(ann: Process):
    plan = ann.w.plan_run(PROD, restate=Restatement([AssetName("s.a")]))
    assert [d.asset for d in plan.decisions] == ["s.a", "s.b"]


def test_only_some(ann: Process):
    assert [d.asset for d in ann.w.plan_run(PROD, selection=Selection(("s.z",))).decisions] == ["s.z"]
    with pytest.raises(SelectionError, match=r"s\.nothing"):
        ann.w.plan_run(PROD, selection=Selection(("s.nothing",)))


def test_one_that_fails_leaves_all_as_it_was(site: Site, ann: Process):
    before, head = site.shown(PROD), ann.head()

    def fail(moment: Moment, name: str) -> None:
        if (moment, name) == (Moment.STAGE, "s.b"):
            raise StatementFailed("no")

    with pytest.raises(BuildFailed, match=r"s\.b could not be refreshed; prod is as it was"):
        run(site.process(MODELS, hook=fail))
    assert (site.shown(PROD), ann.head()) == (before, head)
    assert site.store.scan(OPEN) == {}
    assert site.store.scan(REFRESHING) == {}
    run(ann)
    assert moved(site, before) == {"s.a", "s.b", "s.z"}


def test_two_runs_of_the_same_data_wait_for_each_other(site: Site, ann: Process):
    gate = Gate("s.b", moment=Moment.STAGE)
    first = site.process(MODELS, hook=gate)
    running = behind(lambda: run(first))
    assert gate.began.wait(10)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: run(ann, ignore_cron=True))
        with pytest.raises(TimeoutError):
            second.result(0.5)
        gate.open.set()
        running.result(10)
        second.result(10)
    content = next(
        iter(site.state().contents([s.location for s in site.trees()[PROD].values() if s.asset == "s.z"]).values())
    )
    assert content.top == 2, "one after the other"


def test_a_collection_forgets_earlier_data(site: Site, ann: Process):
    for _ in range(3):
        run(ann)
        site.clock.advance(days=1)
    assert len(site.world.beside) == 9
    now = site.shown(PROD)
    ann.gc()
    assert len(site.world.beside) == 9, "it is kept as long as history says"
    site.clock.advance(days=40)
    ann.gc()
    assert site.world.beside == {}
    assert site.shown(PROD) == now
    plan = ann.w.plan_undo(PROD)
    assert any("no longer kept" in note for note in plan.notes)
    drop_all(site, ann)
    assert site.store.scan(CONTENT) == {}


def drop_all(site: Site, ann: Process) -> None:
    """Nothing that was built is needed any more."""
    ann.models = {"raw.u": SOURCE}
    ann.apply(PROD)
    site.process(retention=timedelta()).gc()


COMMANDS: dict[str, Callable[[Process], object]] = {
    "run": run,
    "undo": lambda p: p.undo(PROD),
    "gc": lambda p: p.gc(),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_every_call(name: str):
    """Readers see all of a run or nothing of it; the next command ends it, and the data is as the store says."""
    at = 0
    while True:
        at += 1
        site = Site()
        process = site.process(MODELS)
        process.apply(PROD)
        seen: list[Collection[tuple[AssetName, str | None]]] = [site.shown(PROD).items()]
        for _ in range(2):
            site.clock.advance(days=1)
            run(process)
            seen.append(site.shown(PROD).items())
        site.clock.advance(days=1)
        doom = Doom(at)
        doomed = site.process(
            MODELS,
            author="doomed",
            wrap=partial(dying, doom=doom),
            providers={"memory": ProxyProvider(site.world, doom)},
        )
        try:
            COMMANDS[name](doomed)
        except Crash:
            assert doom.is_dead
        site.kill(doomed)
        now = site.shown(PROD)
        refreshed = {a for a, v in now.items() if v and v.endswith(str(int(site.clock.seconds())))}
        assert now.items() in seen or refreshed == {"s.a", "s.b", "s.z"}, "all or nothing"
        heir = site.process(MODELS)
        heir.w.heal()
        assert site.store.scan(OPEN) == {}
        assert site.store.scan(REFRESHING) == {}
        for location, content in heir.w.state.contents(site.built()).items():
            recorded = site.world.contents.get(location)
            assert recorded is None or recorded.current == content.current, "the data is as the store says"
        run(heir, ignore_cron=True)
        heir.undo()
        assert site.shown(PROD).items() in [*seen, now.items()] or name == "run"
        if not doom.is_dead:
            break
    assert at > 10
