"""What environments cost: the bytes that they share with the trunk, and those that they hold alone, as engines tell it.

Sizes are asked for once for what stands at a location as some generation; those of sources and clones, which people
write to, whenever the warehouse has changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from anabranch.app.state import COST, JOURNALS, SIZE, State
from anabranch.domain.clones import COPIED
from anabranch.domain.commit import Environment
from anabranch.domain.ids import canonical
from anabranch.domain.names import EnvironmentName
from anabranch.domain.plan import Cost
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import WarehouseBusy
from anabranch.ports.cloning import Held
from anabranch.ports.provider import Tables

_READ = (Kind.EXTERNAL, Kind.CLONE)
"""What people write to."""


class Costs:
    """See the module's text."""

    def __init__(self, state: State, tables: Tables, trunk: EnvironmentName) -> None:
        self._state = state
        self._tables = tables
        self._trunk = trunk

    def of(self, environment: Environment) -> Cost | None:
        """What an environment costs; None where the warehouse is busy."""
        key = COST + environment.name
        seen = self._seen(environment)
        if seen is not None:
            cell = self._state.store.read([key]).get(key)
            if cell is not None and json.loads(cell)[0] == seen:
                return Cost(*json.loads(cell)[1])
        try:
            found = self._count(environment)
        except WarehouseBusy:
            return None
        finally:
            self._tables.close()
        if seen is not None and self._seen(environment) == seen:
            told = [found.shared, found.alone, found.unknown]
            self._state.store.swap({}, {key: canonical([seen, told])}, durable=False)
        return found

    def _seen(self, environment: Environment) -> list[str] | None:
        """Where this is the same, so is what it costs."""
        revision, trunk = self._tables.revision(), self._state.environment(self._trunk)
        if revision is None:
            return None
        journals = self._state.store.read([JOURNALS]).get(JOURNALS, b"").decode()
        return [environment.head, trunk.head if trunk else "", journals, revision]

    def _count(self, environment: Environment) -> Cost:
        snapshots = self._there(environment)
        trunk = self._state.environment(self._trunk)
        is_trunk = trunk is None or trunk.name == environment.name
        theirs = set() if is_trunk or trunk is None else {s.location for s in self._there(trunk).values()}
        sizes = self._sizes(snapshots.values())
        shared = alone = unknown = 0
        for snapshot in snapshots.values():
            held = sizes.get(snapshot.location)
            if snapshot.kind is Kind.VIEW or not (snapshot.is_physical or snapshot.kind is Kind.EXTERNAL):
                continue
            if held is None:
                unknown += 1
            elif snapshot.kind is Kind.CLONE:
                own = held.total if COPIED in snapshot.properties else held.own or 0
                alone += own
                shared += held.total - own
            elif snapshot.kind is Kind.EXTERNAL or snapshot.location in theirs:
                shared += held.total
            else:
                alone += held.total
        return Cost(shared, alone, unknown)

    def _there(self, environment: Environment) -> dict[str, Snapshot]:
        entries = self._state.trees.entries(self._state.commit(environment.head).tree)
        found = self._state.snapshots(list(entries.values()))
        return {a: found[i] for a, i in entries.items()}

    def _sizes(self, snapshots: Iterable[Snapshot]) -> dict[str, Held]:
        own = {s.location: s for s in snapshots if s.provider == self._tables.name and s.location}
        fixed = [k for k, s in own.items() if s.kind not in _READ and s.kind is not Kind.VIEW]
        current = {k: c.current for k, c in self._state.contents(fixed).items()}
        cells = self._state.store.read([SIZE + k for k in fixed])
        known: dict[str, Held] = {}
        for key, cell in cells.items():
            location = key.removeprefix(SIZE)
            number, total = json.loads(cell)
            if number == current.get(location, 0):
                known[location] = Held(total, total)
        missing = [s for k, s in own.items() if k not in known and s.kind is not Kind.VIEW]
        found = self._tables.sizes(missing) if missing else {}
        fresh = {k: h.total for k, h in found.items() if own[k].kind not in _READ}
        if fresh:
            write = {SIZE + k: canonical([current.get(k, 0), total]) for k, total in fresh.items()}
            self._state.store.swap({}, cast("dict[str, bytes | None]", write), durable=False)
        return {**known, **found}
