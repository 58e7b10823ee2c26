"""One store and one world, and any number of processes that work on them: the whole app in memory."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.support.project import MemoryLoader, Models, snapshots, values

from anabranch.app import events
from anabranch.app.apply import Applied
from anabranch.app.holder import LIFETIME, Holder
from anabranch.app.naming import Here, Rules
from anabranch.app.state import LINE, OPEN, PHYSICAL, Physical, Stage, State
from anabranch.app.workspace import Workspace
from anabranch.domain.ids import CommitId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import is_adopted
from anabranch.domain.plan import Plan
from anabranch.domain.planner import unexplained
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.ports.provider import Shown, Tables
from anabranch.ports.store import Store
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Hook, World, nothing
from anabranch.stores.memory import MemoryStore

PROD, FEATURE, OTHER = (EnvironmentName(n) for n in ("prod", "feature", "other"))
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
BRANCHES = {"main": PROD}


class Clock:
    """Time that passes when it is told to; and a little at each look, so that no two commits are of one moment."""

    def __init__(self) -> None:
        self.passed = timedelta()
        self._looks = itertools.count()
        self._lock = threading.Lock()

    def advance(self, **span: float) -> None:
        self.passed += timedelta(**span)

    def now(self) -> datetime:
        with self._lock:
            return BEGIN + self.passed + timedelta(microseconds=next(self._looks))

    def seconds(self) -> float:
        return (BEGIN + self.passed).timestamp()


@dataclass(frozen=True)
class TestHolder(Holder):
    """One whose death the tests decide."""

    __test__ = False
    graveyard: set[str] = field(default_factory=set, compare=False)

    def knows_dead(self, token: str) -> bool:
        return token in self.graveyard


class Site:
    """Where everything stands."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock.seconds)
        self.world = World()
        self.graveyard: set[str] = set()
        self._numbers = itertools.count(1)

    def load(self, models: Models) -> None:
        """Puts the sources of a project there."""
        for name, model in models.items():
            if model.kind is Kind.EXTERNAL and name not in self.world.tables:
                self.world.load(name, f"rows of {name}")

    def holder(self, name: str = "process") -> Holder:
        return TestHolder("here", next(self._numbers), "-", name, self.graveyard)

    def process(
        self,
        models: Models | None = None,
        *,
        author: str = "ann",
        branch: str | None = None,
        retention: timedelta = timedelta(days=30),
        ttl: timedelta | None = None,
        protected: Collection[EnvironmentName] = (),
        hook: Hook = nothing,
        workers: int = 4,
        transactions: bool = True,
        listen: events.Listener = events.silent,
        wrap: Callable[[Store], Store] = lambda store: store,
        providers: Mapping[str, Tables] | None = None,
        lifetime: float = LIFETIME,
    ) -> Process:
        """Another process. Its sources are loaded, as if they had always been there."""
        self.load(models or {})
        holder = self.holder(author)
        opened = providers or {
            "memory": MemoryProvider(self.world, hook=hook, workers=workers, transactions=transactions)
        }
        store = wrap(self.store.another())
        state = State(store, holder, lifetime)
        return Process(
            self,
            Workspace(
                state=state,
                providers=opened,
                tables=opened["memory"],
                loader=MemoryLoader(models or {}),
                rules=Rules(PROD, BRANCHES, ttl, retention, protected),
                here=Here(author, branch, branch is not None),
                now=self.clock.now,
                explain=unexplained,
                listen=listen,
            ),
        )

    def kill(self, process: Process) -> None:
        """It is gone, and everybody here knows."""
        self.graveyard.add(process.w.state.holder.token)

    # -- what is there ---------------------------------------------------------------------------------------------
    def state(self) -> State:
        """As seen by somebody who has read nothing yet."""
        return State(self.store.another(), self.holder("observer"))

    def shown(self, environment: EnvironmentName) -> dict[AssetName, str | None]:
        """The values that readers find."""
        return {asset: value for asset, (_, value) in self.world.see(environment).values.items()}

    def promised(self, environment: EnvironmentName) -> dict[AssetName, str]:
        """The values that readers should find, by the environment's tree."""
        state = self.state()
        head = state.require(environment).head
        return self.values_of(state, head)

    def values_of(self, state: State, head: CommitId) -> dict[AssetName, str]:
        entries = state.trees.entries(state.commit(head).tree)
        found = state.snapshots(list(entries.values()))
        sources = {loc: t.value for loc, t in self.world.tables.items()}
        return values({a: found[i] for a, i in entries.items()}, sources)

    def pointed(self) -> set[str]:
        """The locations of all physical snapshots that some environment has."""
        return {s.location for found in self.trees().values() for s in found.values() if s.is_physical}

    def trees(self) -> dict[EnvironmentName, dict[AssetName, Snapshot]]:
        state = self.state()
        result = {}
        for name, environment in state.environments().items():
            entries = state.trees.entries(state.commit(environment.head).tree)
            found = state.snapshots(list(entries.values()))
            result[name] = {a: found[i] for a, i in entries.items()}
        return result

    def check(self) -> None:
        """What always holds when nobody works: each environment shows what its ref says, all of it is built, and nothing
        is open or claimed."""
        state = self.state()
        environments = state.environments()
        assert self.world.shown.keys() == environments.keys()
        for name, environment in environments.items():
            assert self.world.shown[name] == Shown(environment.head, state.commit(environment.head).tree), name
            assert self.shown(name) == self.promised(name), name
        assert self.world.pointers.keys() <= environments.keys()
        cells = state.all_physical()
        for location in self.pointed():
            assert cells[location].stage is Stage.BUILT, location
            assert location in self.world.tables
        assert list(self.store.scan(OPEN)) == []
        assert list(self.store.scan(LINE)) == []
        assert self.claims() == []
        assert not self.world.writing.locked()

    def claims(self) -> list[Physical]:
        """What somebody holds, or held when they died."""
        cells = self.store.scan(PHYSICAL).items()
        found = [Physical.decode(key.removeprefix(PHYSICAL), data) for key, data in cells]
        return [p for p in found if p.holder]

    def check_nothing_is_left(self) -> None:
        """After a collection with no retention: what is reached is all there is."""
        self.check()
        assert self.built() == self.pointed()
        assert {k.removeprefix(PHYSICAL) for k in self.store.scan(PHYSICAL)} == self.pointed()

    def built(self) -> set[str]:
        return MemoryProvider(self.world).locations() | {loc for loc in self.world.tables if is_adopted(loc)}


class Process:
    """One process: a workspace, and its commands as the command line runs them."""

    def __init__(self, site: Site, workspace: Workspace) -> None:
        self.site = site
        self.w = workspace

    @property
    def models(self) -> Models:
        return self.loader.models

    @models.setter
    def models(self, models: Models) -> None:
        self.site.load(models)
        self.loader.models = dict(models)

    @property
    def loader(self) -> MemoryLoader:
        loader = self.w.loader
        assert isinstance(loader, MemoryLoader)
        return loader

    def run(self, make: Callable[[Workspace], Plan]) -> Applied | None:
        """Heals, plans and, where there is something to do, applies."""
        self.w.heal()
        plan = make(self.w)
        return None if plan.is_empty else self.w.apply(plan)

    def apply(self, name: EnvironmentName = PROD, *, merged: bool = False) -> Applied | None:
        return self.run(lambda w: w.plan_apply(name, merged=merged))

    def create(self, name: EnvironmentName, base: EnvironmentName = PROD) -> Applied | None:
        return self.run(lambda w: w.plan_create(name, base, None))

    def promote(self, source: EnvironmentName = FEATURE, into: EnvironmentName = PROD) -> Applied | None:
        return self.run(lambda w: w.plan_promote(source, into))

    def undo(self, name: EnvironmentName = PROD) -> Applied | None:
        return self.run(lambda w: w.plan_undo(name))

    def restore(self, name: EnvironmentName, commit: CommitId) -> Applied | None:
        return self.run(lambda w: w.plan_restore(name, commit))

    def drop(self, name: EnvironmentName = FEATURE) -> Applied | None:
        return self.run(lambda w: w.plan_drop(name))

    def adopt(self, *names: str) -> Applied | None:
        return self.run(lambda w: w.plan_adopt(names))

    def gc(self) -> set[str]:
        """What was dropped."""
        self.w.heal()
        return set(self.w.collect()[0].locations)

    def head(self, name: EnvironmentName = PROD) -> CommitId:
        return self.w.state.require(name).head


def expected(models: Models) -> dict[AssetName, str]:
    """The values that readers find where an environment is what these files say."""
    sources = {name: f"rows of {name}" for name, model in models.items() if model.kind is Kind.EXTERNAL}
    return values(snapshots(models), sources)
