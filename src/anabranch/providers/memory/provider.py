"""The provider: building and observing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.content import Content, Write, after, first
from anabranch.domain.ids import canonical, digest
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.provider import (
    NO_WORK,
    Built,
    Drift,
    Expectation,
    Fault,
    Over,
    Staged,
    Work,
)
from anabranch.providers.memory.reading import Reading, token
from anabranch.providers.memory.showing import Showing
from anabranch.providers.memory.world import BadRows, Moment, Table
from anabranch.providers.standing import read_at

NOTHING: Mapping[AssetName, str] = MappingProxyType({})


class MemoryProvider(Showing, Reading):
    """See :class:`anabranch.ports.provider.Tables`."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def workers(self) -> int:
        return self._workers

    @property
    def window(self) -> str | None:
        return None if self._transactions else f"{self._name} has no transactions: pointers move one by one"

    # -- building ------------------------------------------------------------------------------------------------------
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
        return Built(table.rows, table.columns, token=token(table), base=token(table))

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
        made = token(table) if snapshot.kind is Kind.CLONE else ""
        return Built(table.rows, table.columns, content=content, token=made, base=made)

    def interrupt(self) -> None:
        self._interrupts += 1

    # -- observing -----------------------------------------------------------------------------------------------------
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

    def close(self) -> None:
        """Nothing is held."""


def value_of(snapshot: Snapshot, read: Mapping[AssetName, str]) -> str:
    """What a build of ``snapshot`` holds when what it reads has these values."""
    return digest(canonical([snapshot.logic, {str(asset): value for asset, value in read.items()}]))
