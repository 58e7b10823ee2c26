"""Assets in memory: gone with the process. For tests, and to try what a provider has to do.

A :class:`~anabranch.providers.memory_world.World` is what a warehouse is to an engine; any number of providers act on
one, as processes would. A build's content is a *value*: a hash of its own logic and of the values of what it reads. So
what a reader sees tells exactly what it was made from, and equal data has equal values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.content import Content, Write, after, first
from anabranch.domain.ids import canonical, digest
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import clone_location
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import ModelError, Refused, StatementFailed, WarehouseBusy
from anabranch.ports.clones import Merging, Weight
from anabranch.ports.cloning import Held
from anabranch.ports.provider import (
    NO_WORK,
    Answer,
    Built,
    Decide,
    Drift,
    Expectation,
    Fault,
    Move,
    Over,
    Shown,
    Staged,
    Standing,
    Swap,
    Takeover,
    Work,
)
from anabranch.ports.rows import By, ColumnDiff, RowDiff, RowOptions
from anabranch.providers.memory_world import VALUE, BadRows, Hook, Moment, Table, World, nothing, patient
from anabranch.providers.standing import read_at

NOTHING: Mapping[AssetName, str] = MappingProxyType({})


class MemoryProvider:
    """See :class:`anabranch.ports.provider.Tables`."""

    def __init__(
        self,
        world: World,
        *,
        name: str = "memory",
        workers: int = 4,
        transactions: bool = True,
        exclusive: bool = False,
        hook: Hook = nothing,
        acquire: Callable[[threading.Lock], bool] = patient,
    ) -> None:
        """``hook`` is called at each :class:`Moment`; an error that it raises is what goes wrong then. ``acquire``
        waits for one of the world's locks, and says whether it got it. Without ``transactions``, pointers move one by
        one. ``exclusive``: only one provider may have the world open at a time, as an embedded database's file."""
        self.world = world
        self._name = name
        self._workers = workers
        self._transactions = transactions
        self._exclusive = exclusive
        self._hook = hook
        self._acquire = acquire
        self._interrupts = 0
        self._opened = 0
        self._opening = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def window(self) -> str | None:
        return None if self._transactions else f"{self._name} has no transactions: pointers move one by one"

    # -- building --------------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        return None

    def check(self, environment: EnvironmentName, added: Mapping[AssetName, Snapshot]) -> None:
        with self.world.lock:
            for asset, snapshot in sorted(added.items()):
                if snapshot.kind in (Kind.EXTERNAL, Kind.CLONE):
                    self._check_source(asset, snapshot)
                self._check_free(environment, asset)

    def _check_source(self, asset: AssetName, snapshot: Snapshot) -> None:
        table = self.world.tables.get(asset)
        if table is None:
            raise ModelError(f"source {asset} isn't there", asset=asset, hint=f"load {asset}")
        there = {name for name, _ in table.columns}
        for column in snapshot.properties.get("columns", "").split(","):
            if column and column not in there:
                raise ModelError(f"source {asset} has no column {column}", asset=asset, hint="correct its declaration")

    def _check_free(self, environment: EnvironmentName, asset: AssetName) -> None:
        if (environment, asset) in self.world.foreign:
            raise Refused(
                f"something that Anabranch didn't make stands where {environment} would show {asset}",
                hint="rename it or the model",
                asset=asset,
            )

    @contextmanager
    def opened(self) -> Iterator[None]:
        if not self._exclusive:
            yield
            return
        with self._opening:
            if not self._opened and not self._acquire(self.world.opening):
                raise WarehouseBusy("somebody else has the world open", hint="try again")
            self._opened += 1
        try:
            yield
        finally:
            with self._opening:
                self._opened -= 1
                if not self._opened:
                    self.world.opening.release()

    def build(self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], work: Work = NO_WORK) -> Built:
        interrupts = self._interrupts
        self._hook(Moment.BUILD, snapshot.asset)
        with self.opened(), self.world.lock:
            if interrupts != self._interrupts:
                raise StatementFailed(f"the build of {snapshot.asset} was interrupted", asset=snapshot.asset)
            if snapshot.kind is Kind.CLONE:
                return self._clone(snapshot, work.previous)
            table = Table(self._value(snapshot, inputs))
            self.world.tables[snapshot.location] = table
            self.world.changes += 1
        return Built(table.rows, table.columns, content=self._begin(snapshot, work))

    def _clone(self, snapshot: Snapshot, origin: Snapshot | None) -> Built:
        source = origin.location if origin is not None else str(snapshot.asset)
        if source not in self.world.tables:
            raise StatementFailed(f"{source} isn't there to be cloned", asset=snapshot.asset)
        table = self.world.tables[snapshot.location] = self.world.tables[source]
        self.world.changes += 1
        return Built(table.rows, table.columns, token=_token(table), base=_token(table))

    def _begin(self, snapshot: Snapshot, work: Work) -> Content | None:
        if snapshot.kind not in INCREMENTAL | HISTORY:
            return None
        content = first(work.spans, float(work.now), partial=work.partial)
        with self.world.lock:
            self.world.contents[snapshot.location] = content
        return content

    def stage(
        self,
        snapshot: Snapshot,
        content: Content,
        inputs: Mapping[AssetName, Snapshot],
        staged: Mapping[AssetName, Staged],
        work: Work,
    ) -> Staged:
        """A generation's value tells the moment of its making."""
        self._hook(Moment.STAGE, snapshot.asset)
        number = content.top + 1
        with self.opened(), self.world.lock:
            beside = {a: self.world.beside[s.snapshot.location, s.number].value for a, s in staged.items()}
            table = Table(f"{self._value(snapshot, inputs, beside)} as of {work.now}")
            self.world.beside[snapshot.location, number] = table
        made = after(content, Write.REPLACE, work.spans, float(work.now))
        return Staged(snapshot, number, made, Built(table.rows, table.columns))

    def audit(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], audits: Sequence[Audit], over: Over
    ) -> list[Finding]:
        """An audit fails where the hook raises at it; its finding is then the one row of the table."""
        with self.opened(), self.world.lock:
            own = over.staged.get(snapshot.asset)
            table = (
                self.world.beside[own.snapshot.location, own.number] if own else self.world.tables[snapshot.location]
            )
            for read in {r for audit in audits for r in audit.reads}:
                if inputs[read].location not in self.world.tables:
                    raise StatementFailed(f"an audit of {snapshot.asset} reads {read}, which isn't there")
        return [self._finding(snapshot, audit, table) for audit in audits]

    def _finding(self, snapshot: Snapshot, audit: Audit, table: Table) -> Finding:
        try:
            self._hook(Moment.AUDIT, f"{snapshot.asset}:{audit.name}")
        except BadRows:
            return Finding(audit, 1, ("value",), ((table.value,),))
        return Finding(audit, 0)

    def contents(self, locations: Collection[str]) -> dict[str, Content]:
        with self.world.lock:
            return {loc: self.world.contents[loc] for loc in locations if loc in self.world.contents}

    def discard(self, keep: Mapping[str, Collection[int]]) -> None:
        with self.world.lock:
            for location, writes in keep.items():
                known = self.world.contents[location].generations if location in self.world.contents else {}
                kept = {n for w in writes for n in (w, known[w].parent if w in known else None)}
                for key in [k for k in self.world.beside if k[0] == location and k[1] not in kept]:
                    del self.world.beside[key]

    def _swap(self, swaps: Collection[Swap]) -> None:
        world = self.world
        for each in swaps:
            location = each.snapshot.location
            there = world.contents.get(location)
            current = there.current if there else min(each.content.generations)
            if current != each.content.current:
                world.beside[location, current] = world.tables[location]
                world.tables[location] = world.beside.pop((location, each.content.current))
            world.contents[location] = each.content
            world.changes += 1

    def _value(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], beside: Mapping[AssetName, str] = NOTHING
    ) -> str:
        read: dict[AssetName, str] = {}
        for asset in snapshot.upstreams:
            upstream = inputs[asset]
            if asset in beside:
                read[asset] = beside[asset]
            elif upstream.kind is Kind.EMBEDDED:
                read[asset] = self._value(upstream, inputs, beside)
            elif (location := str(read_at(upstream))) in self.world.tables:
                read[asset] = self.world.tables[location].value
            else:
                raise StatementFailed(
                    f"{snapshot.asset} reads {upstream.location}, which isn't there", asset=snapshot.asset
                )
        return value_of(snapshot, read)

    def same(self, one: Snapshot, other: Snapshot) -> bool:
        with self.world.lock:
            found = [self.world.tables.get(s.location) for s in (one, other)]
        return found[0] is not None and found[0] == found[1]

    def probe(self, snapshot: Snapshot) -> Built | Outcome:
        with self.world.lock:
            table = self.world.tables.get(snapshot.location)
            content = self.world.contents.get(snapshot.location)
        if table is None:
            return Outcome.NOT_APPLIED
        made = _token(table) if snapshot.kind is Kind.CLONE else ""
        return Built(table.rows, table.columns, content=content, token=made, base=made)

    def interrupt(self) -> None:
        self._interrupts += 1

    # -- showing ---------------------------------------------------------------------------------------------------
    @contextmanager
    def prepare(
        self,
        environment: EnvironmentName,
        decide: Decide,
        swaps: Collection[Swap] = (),
        takeovers: Collection[Takeover] = (),
    ) -> Iterator[_Prepared]:
        with self.opened():
            if not self._acquire(self.world.writing):
                raise WarehouseBusy("somebody else is showing an environment", hint="try again")
            try:
                with self.world.lock:
                    shown = self.world.shown.get(environment)
                move = decide(shown)
                due = self._due(environment, takeovers)
                pointers = self._pointers(environment, move, due)
                self._hook(Moment.PREPARE, environment)
                yield _Prepared(self, environment, move.shown, pointers, swaps, due)
            finally:
                self.world.writing.release()

    def _due(self, environment: EnvironmentName, takeovers: Collection[Takeover]) -> list[Takeover]:
        """Those that aren't made yet."""
        found = []
        with self.world.lock:
            for each in takeovers:
                asset, location = each.snapshot.asset, each.snapshot.location
                if (location in self.world.tables) != each.back:
                    continue
                table = self.world.tables.get(asset)
                if not each.back and (table is None or each.built.columns not in ((), table.columns)):
                    raise Refused(f"{asset} isn't the table any more that was to be adopted", asset=asset)
                if each.back and table is not None:
                    raise Refused(f"{location} can't get its name {asset} back", asset=asset)
                found.append(each)
        return found

    def _take_over(self, environment: EnvironmentName, takeovers: Collection[Takeover]) -> None:
        world = self.world
        for each in takeovers:
            asset, location = each.snapshot.asset, each.snapshot.location
            old, new = (location, str(asset)) if each.back else (str(asset), location)
            world.tables[new] = world.tables.pop(old)
            world.contents.pop(location, None)
            if each.back:
                world.foreign.add((environment, asset))
                for key in [k for k in world.beside if k[0] == location]:
                    del world.beside[key]
            else:
                world.foreign.discard((environment, asset))
                if each.built.content is not None:
                    world.contents[location] = each.built.content
            world.changes += 1

    def standing(self, assets: Collection[AssetName]) -> dict[AssetName, Standing]:
        with self.world.lock:
            taken = {a for _, a in self.world.foreign}
            return {
                a: Standing.TABLE if a in self.world.tables else Standing.VIEW
                for a in assets
                if a in self.world.tables or a in taken
            }

    def survey(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], now: int, *, check: bool = True
    ) -> tuple[Built, tuple[str, ...]]:
        with self.world.lock:
            table = self.world.tables.get(snapshot.asset)
        if table is None or table.columns != VALUE:
            raise Refused(f"{snapshot.asset} is another table than its model describes", asset=snapshot.asset)
        held = snapshot.kind in INCREMENTAL | HISTORY
        return Built(table.rows, table.columns, content=first((), float(now)) if held else None), ()

    def _pointers(
        self, environment: EnvironmentName, move: Move, takeovers: Collection[Takeover]
    ) -> dict[AssetName, str | None]:
        found: dict[AssetName, str | None] = {}
        coming = {t.snapshot.location for t in takeovers if not t.back}
        with self.world.lock:
            for asset, (before, after) in move.entries.items():
                old, new = (s.location if s and s.kind is not Kind.EMBEDDED else None for s in (before, after))
                if old is None and new is None:
                    continue
                if old is None and new not in coming:
                    self._check_free(environment, asset)
                if new is not None and new not in self.world.tables and new not in coming:
                    raise StatementFailed(f"{asset} can't point at {new}, which isn't there", asset=asset)
                found[asset] = new
        return found

    def _commit(
        self,
        environment: EnvironmentName,
        shown: Shown | None,
        pointers: Mapping[AssetName, str | None],
        swaps: Collection[Swap],
        takeovers: Collection[Takeover],
    ) -> None:
        self._hook(Moment.COMMIT, environment)
        if not self._transactions:
            for asset, location in sorted(pointers.items()):
                self._hook(Moment.POINT, asset)
                self.world.point(environment, asset, location)
        with self.world.lock:
            self._swap(swaps)
            self._take_over(environment, takeovers)
            for asset, location in pointers.items():
                self.world.point(environment, asset, location)
            if shown is not None:
                self.world.shown[environment] = shown
            else:
                self.world.shown.pop(environment, None)
            if not self.world.pointers.get(environment):
                self.world.pointers.pop(environment, None)
            self.world.changes += 1

    # -- observing -------------------------------------------------------------------------------------------------
    def observe(self, expectation: Expectation) -> list[Drift]:
        drifts: list[Drift] = []
        with self.world.lock:
            shown = self.world.shown.get(expectation.environment)
            if shown != expectation.shown:
                told = f"@ {shown.commit[:7]}" if shown else "nothing"
                drifts.append(Drift(Fault.BEHIND, None, f"readers see {told}, not @ {expectation.shown.commit[:7]}"))
            pointers = self.world.pointers.get(expectation.environment, {})
            for asset, snapshot in sorted(expectation.snapshots.items()):
                if snapshot.kind is Kind.EMBEDDED:
                    continue
                location = snapshot.location
                if snapshot.is_physical:
                    built = expectation.built.get(location) if snapshot.kind is not Kind.CLONE else None
                    drifts += self._physical_drift(asset, location, built)
                if asset not in pointers:
                    drifts.append(Drift(Fault.UNPOINTED, asset, f"the pointer of {asset} is gone"))
                elif pointers[asset] != location:
                    drifts.append(Drift(Fault.REPOINTED, asset, f"{asset} leads to {pointers[asset]}"))
        return drifts

    def _physical_drift(self, asset: AssetName, location: str, built: Built | None) -> list[Drift]:
        table = self.world.tables.get(location)
        if table is None:
            return [Drift(Fault.MISSING, asset, f"{location} is gone")]
        if built is not None and built.columns != table.columns:
            return [Drift(Fault.ALTERED, asset, f"{location} was altered")]
        return []

    def locations(self) -> set[str]:
        """All tables that aren't sources: those that stand in Anabranch's own schemas."""
        with self.world.lock:
            return {location for location in self.world.tables if location.startswith("anabranch__")}

    def drop(self, locations: Collection[str]) -> None:
        for location in sorted(locations):
            self._hook(Moment.DROP, location)
            with self.opened(), self.world.lock:
                self.world.contents.pop(location, None)
                for key in [k for k in self.world.beside if k[0] == location]:
                    del self.world.beside[key]
                if self.world.tables.pop(location, None) is not None:
                    self.world.changes += 1

    # -- clones ----------------------------------------------------------------------------------------------------
    def copies_clone(self, depth: int) -> bool:
        return False

    def clone_location(self, environment: EnvironmentName, asset: AssetName, identifier: str) -> str:
        return clone_location(str(asset).replace(".", f"__{environment}.", 1), identifier)

    def weigh(self, source: Snapshot, *, past: bool = False, is_copy: bool = False) -> Weight:
        if past:
            raise Refused(f"{source.asset} can't be cloned as it was earlier", asset=source.asset)
        return Weight()

    def tokens(self, clones: Collection[Snapshot]) -> dict[str, str]:
        with self.world.lock:
            found = {s.location: self.world.tables.get(s.location) for s in clones}
        return {location: _token(table) for location, table in found.items() if table is not None}

    def own_bytes(self, clones: Collection[Snapshot]) -> dict[str, int]:
        return {}

    def weigh_merge(self, clone: Snapshot, made: Built) -> Merging:
        return Merging(why="clones in memory stay there", hint="give it up: anabranch clone --reset")

    def stage_merge(self, source: Snapshot, clone: Snapshot, made: Built, content: Content, now: int) -> Staged:
        raise Refused("clones in memory stay there", asset=source.asset)

    def check_return(self, source: Snapshot, content: Content, to: int) -> None:
        return None

    # -- reading ---------------------------------------------------------------------------------------------------
    @property
    def place(self) -> str:
        return "memory"

    def size(self) -> int | None:
        return None

    def sizes(self, snapshots: Collection[Snapshot]) -> dict[str, Held]:
        return {}

    def query(self, text: str, assets: Mapping[AssetName, Snapshot], limit: int | None) -> Answer:
        """A query is the name of one asset, and tells its value."""
        snapshot = assets.get(AssetName(text))
        if snapshot is None:
            raise ModelError(f"there is no asset {text}", hint="a query in memory is an asset's name")
        with self.world.lock:
            table = self.world.tables.get(snapshot.location)
        if table is None:
            raise StatementFailed(f"{snapshot.location} isn't there", asset=snapshot.asset)
        rows = ((table.value,),)
        return Answer(("value",), rows if limit is None else rows[:limit], limit is not None and len(rows) > limit)

    def execute(self, environment: EnvironmentName, statements: Iterable[str]) -> None:
        """A statement is ``load LOCATION VALUE``, as :meth:`World.load`; all others fail."""
        for statement in statements:
            words = statement.replace("@this_env", environment).split()
            if len(words) != 3 or words[0] != "load":
                raise StatementFailed(f"this is no statement: {statement}", kind="ParserException")
            self.world.load(words[1], words[2])

    def compare(self, before: Snapshot, after: Snapshot, options: RowOptions) -> RowDiff:
        """A table has one value, which is taken for that of one row."""
        with self.world.lock:
            old, new = self.world.tables[before.location], self.world.tables[after.location]
        changed = int(old.value != new.value)
        columns = (ColumnDiff("value", "text", "text", differing=changed),)
        return RowDiff(old.rows, new.rows, By.KEY, (), 0, 0, changed, 1, not changed, columns)

    def revision(self) -> str | None:
        with self.world.lock:
            return str(self.world.changes)

    def close(self) -> None:
        """Nothing is held."""


class _Prepared:
    """See :class:`anabranch.ports.provider.Prepared`."""

    def __init__(
        self,
        provider: MemoryProvider,
        environment: EnvironmentName,
        shown: Shown | None,
        pointers: Mapping[AssetName, str | None],
        swaps: Collection[Swap],
        takeovers: Collection[Takeover],
    ) -> None:
        self._provider = provider
        self._environment = environment
        self._shown = shown
        self._pointers = pointers
        self._swaps = swaps
        self._takeovers = takeovers

    @property
    def moved(self) -> int:
        return len(self._pointers)

    def commit(self) -> None:
        self._provider._commit(self._environment, self._shown, self._pointers, self._swaps, self._takeovers)


def _token(table: Table) -> str:
    return digest(canonical([table.value, [list(c) for c in table.columns]]))


def value_of(snapshot: Snapshot, read: Mapping[AssetName, str]) -> str:
    """What a build of ``snapshot`` holds when what it reads has these values."""
    return digest(canonical([snapshot.logic, {str(asset): value for asset, value in read.items()}]))
