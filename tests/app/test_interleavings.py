"""Several at once, in every order that chance thinks of: each call of each process is a moment at which another may go."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

import pytest
from tests.support.project import SOURCE, Model
from tests.support.proxies import Crash, ProxyProvider, ProxyStore
from tests.support.scheduler import Scheduler
from tests.support.site import FEATURE, OTHER, PROD, Process, Site

from anabranch.app import builds
from anabranch.app.apply import Applied
from anabranch.app.holder import LIFETIME
from anabranch.app.state import OPEN, State
from anabranch.domain.commit import Action, history
from anabranch.domain.ids import CommitId, SnapshotId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Kind
from anabranch.errors import AnabranchError, MergeConflict, MovedOn, NotFound, Refused
from anabranch.ports.store import Store
from anabranch.stores.memory import MemoryStore

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.e": Model(kind=Kind.EMBEDDED, reads=("s.a",)),
    "s.b": Model(reads=("s.e",)),
    "s.y": Model(),
    "s.z": Model(),
}
SEEDS = 320
GROUPS = 16
AUTHORS = ("ann", "bob", "cem")
TELLING = ("by ann", "by bob", "by cem", "dropped", "is gone", "cleaned up", "taken for dead")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builds, "POLL", (0.0, 0.0))


@dataclass
class Run:
    """One seed: a site, its actors, and what came of what they did."""

    seed: int
    site: Site = field(default_factory=Site)
    done: list[Applied] = field(default_factory=list)
    lost: list[AnabranchError] = field(default_factory=list)
    dropped: set[EnvironmentName] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.scheduler = Scheduler(self.chance, self.look)
        self.observer = self.site.state()
        self.known: dict[CommitId, Mapping[AssetName, str]] = {}
        self.looked = -1
        self.silences = self.chance.choice([0, 0, 0, 3])

    # -- what anybody may see at any moment ------------------------------------------------------------------------
    def look(self) -> None:
        """A reader's: each environment shows some commit's tree, whole. Now and then nobody has shown a sign of life for
        long: then each takes the others for dead, and they go on nevertheless."""
        if self.silences and self.chance.random() < 0.01:
            self.silences -= 1
            self.site.clock.advance(seconds=LIFETIME + 1)
        world = self.site.world
        if world.changes == self.looked:
            return
        self.looked = world.changes
        assert world.pointers.keys() <= world.shown.keys()
        for name, shown in world.shown.items():
            if shown.commit not in self.known:
                assert self.observer.commit(shown.commit).tree == shown.tree
                self.known[shown.commit] = self.site.values_of(self.observer, shown.commit)
            assert self.site.shown(name) == self.known[shown.commit], f"{name} shows a mix"

    # -- actors ----------------------------------------------------------------------------------------------------
    def actor(self, name: str, dies: bool) -> Callable[[], None]:
        chance = random.Random(f"{self.seed} {name}")
        left = chance.randrange(10, 200) if dies else -1

        def passing(what: str) -> None:
            nonlocal left
            if left == 0:
                raise Crash
            left -= 1
            self.scheduler.step(name, what)

        def acquire(lock: threading.Lock) -> bool:
            while not lock.acquire(blocking=False):
                passing("waits for the world")
            return True

        provider = ProxyProvider(self.site.world, passing, acquire=acquire, exclusive=self.seed % 3 == 0)
        process = self.site.process(
            MODELS,
            author=name,
            retention=timedelta(),
            wrap=lambda store: cast(Store, ProxyStore(cast(MemoryStore, store), passing)),
            providers={"memory": provider},
        )

        def act() -> None:
            try:
                for number in range(4):
                    self.one(process, chance, f"{name} {number}")
            except Crash:
                self.site.kill(process)

        return act

    def one(self, process: Process, chance: random.Random, label: str) -> None:
        """One random command."""
        place = chance.choice([PROD, FEATURE, OTHER])
        branch = chance.choice([FEATURE, OTHER])

        def collect() -> None:
            process.gc()

        commands: dict[str, tuple[int, Callable[[], Applied | None]]] = {
            "apply": (5, lambda: process.apply(place)),
            "merged": (1, lambda: process.apply(branch, merged=True)),
            "create": (1, lambda: process.create(branch, PROD)),
            "promote": (
                5,
                lambda: process.promote(branch, chance.choice([PROD, PROD, *({FEATURE, OTHER} - {branch})])),
            ),
            "undo": (3, lambda: process.undo(place)),
            "drop": (1, lambda: process.drop(branch)),
            "gc": (2, collect),
        }
        (name,) = chance.choices(list(commands), [weight for weight, _ in commands.values()])
        if name in ("apply", "merged"):
            process.models = edited(process.models, chance, label)
        try:
            applied = commands[name][1]()
        except Crash:
            self.dropped |= {branch} if name == "drop" else set()
            raise
        except (MovedOn, Refused, NotFound) as error:
            self.lost.append(error)
            return
        if applied is not None:
            self.done.append(applied)
            if applied.commit is None:
                self.dropped.add(applied.plan.environment)

    def run(self) -> None:
        first = self.site.process(MODELS)
        first.apply(PROD)
        for name, asset in ((FEATURE, "s.y"), (OTHER, "s.z")):
            if self.chance.random() < 0.8:
                first.models = {**MODELS, asset: Model("q")}
                first.apply(name)
        number = self.chance.choice([2, 3])
        dying = self.chance.randrange(number) if self.chance.random() < 0.3 else None
        actors = {name: self.actor(name, n == dying) for n, name in enumerate(AUTHORS[:number])}
        silent = self.silences > 0
        self.scheduler.run(actors)
        self.silences = 0
        self.look()
        self.check(died=silent or dying is not None)

    # -- afterwards ------------------------------------------------------------------------------------------------
    def check(self, *, died: bool) -> None:
        site = self.site
        if died:
            site.process().w.heal()
            assert site.store.scan(OPEN) == {}
            collector = site.process(retention=timedelta())
            collector.gc()
        site.check()
        self.check_nothing_was_lost()
        for error in self.lost:
            assert str(error)
            assert error.hint
            if isinstance(error, MergeConflict):
                assert error.conflicts
            elif isinstance(error, MovedOn):
                assert any(word in str(error) for word in TELLING), error
        site.process(retention=timedelta()).gc()
        site.check_nothing_is_left()

    def check_nothing_was_lost(self) -> None:
        """Each success is in its environment's history, with all that it changed, and nothing else."""
        state = self.site.state()
        heads = {name: e.head for name, e in state.environments().items()}
        kept = {name: dict(history(state.commits, head)) for name, head in heads.items()}
        for applied in self.done:
            plan, commit_id = applied.plan, applied.commit
            if commit_id is None or plan.environment in self.dropped:
                continue
            assert commit_id in kept[plan.environment]
            commit = state.commit(commit_id)
            if commit.plan != plan.id:
                continue  # it changed nothing but pointers
            before = state.trees.entries(state.commit(commit.parents[0]).tree) if commit.parents else {}
            after = state.trees.entries(commit.tree)
            if plan.action in (Action.UNDO, Action.RESTORE):
                assert commit.restores is not None
                assert commit.tree == state.commit(commit.restores).tree
                continue
            decided = {d.asset: d for d in plan.decisions}
            for asset in before.keys() | after.keys() | decided.keys():
                was, now = defined(state, before.get(asset)), defined(state, after.get(asset))
                decision = decided.get(asset)
                if decision is not None and defined(state, decision.before) != defined(state, decision.after):
                    assert now == defined(state, decision.after), asset
                else:
                    assert now == was, asset


def defined(state: State, snapshot: SnapshotId | None) -> tuple[object, ...]:
    """What a snapshot says by itself: where both sides mean the same, either's build may have been taken."""
    if snapshot is None:
        return ()
    found = state.snapshots([snapshot])[snapshot]
    return found.kind, found.logic, dict(found.properties)


def edited(models: Mapping[str, Model], chance: random.Random, label: str) -> dict[str, Model]:
    """One model more, less or otherwise."""
    changed = dict(models)
    own = sorted(name for name in changed if changed[name].kind is not Kind.EXTERNAL)
    name = chance.choice(own)
    match chance.choice(["logic", "logic", "same for all", "same for all", "add", "remove", "describe"]):
        case "logic":
            changed[name] = changed[name].but(logic=label)
        case "same for all":
            changed[name] = changed[name].but(logic=chance.choice("pqr"))
        case "add":
            changed[chance.choice(["s.n1", "s.n2"])] = Model(label, reads=(chance.choice(["s.a", "s.b", "s.y"]),))
        case "describe":
            changed[name] = changed[name].but(description=label)
        case _ if name in ("s.y", "s.z", "s.b") and not any(name in m.reads for m in changed.values()):
            del changed[name]
    return {n: m for n, m in changed.items() if all(u in changed for u in m.reads)}


@pytest.mark.parametrize("group", range(GROUPS))
def test_whatever_the_order_nothing_is_lost_or_mixed(group: int):
    outcomes: list[int] = []
    for seed in range(group, SEEDS, GROUPS):
        run = Run(seed)
        try:
            run.run()
        except BaseException as error:
            error.add_note(f"seed {seed}, after {run.scheduler.steps} steps: " + "\n".join(run.scheduler.trace[-40:]))
            raise
        outcomes.append(len(run.done))
    assert sum(outcomes) > 0


def test_one_seed_is_one_order():
    traces = []
    for _ in range(2):
        run = Run(7)
        run.run()
        traces.append((run.scheduler.trace, [str(e) for e in run.lost], len(run.done)))
    assert traces[0][1:] == traces[1][1:]
    assert len(traces[0][0]) == len(traces[1][0])
