"""The janitor: deletes what no ref, no retained history and no open journal can reach, and never anything that
Anabranch did not make.

What goes is first *condemned* in the store, in one swap that holds only if no journal was opened and no ref moved
since it was looked for; from then on nobody reuses it. Then it is dropped, then forgotten. A crash in between leaves
it condemned, and the next run goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from anabranch.app.heartbeat import Heartbeat
from anabranch.app.state import (
    ADOPTED,
    AUDITED,
    CONTENT,
    JOURNALS,
    LINE,
    OPEN,
    PHYSICAL,
    REF,
    REFRESHING,
    SAME,
    TOKEN,
    VERIFIED,
    Physical,
    Stage,
    State,
)
from anabranch.domain.commit import ancestors, decode_environment
from anabranch.domain.content import Content
from anabranch.domain.ids import CommitId, ObjectId, TreeId
from anabranch.domain.names import AssetName
from anabranch.domain.places import is_adopted
from anabranch.domain.retention import retained
from anabranch.domain.snapshot import Snapshot
from anabranch.ports.provider import Provider, Refreshes

GRACE = 24 * 3600.0
"""Seconds that an unreachable object is kept: longer than any plan waits between its making and its opening."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nobody can reach. ``unknown``: what stands among the physical tables but isn't known to be ours; it is left
    alone."""

    locations: Mapping[str, AssetName | None]
    rows: int
    objects: int
    unknown: tuple[str, ...] = ()


class Janitor:
    """See the module's text."""

    def __init__(self, state: State, providers: Mapping[str, Provider], retention: timedelta) -> None:
        self._state = state
        self._providers = providers
        self._retention = retention

    def look(self, now: datetime) -> Garbage:
        """What would go; changes nothing."""
        cells = self._candidates(self._kept(now))
        return self._garbage(cells, len(self._unreachable()))

    def sweep(self, now: datetime) -> Garbage:
        """Drops it."""
        with ExitStack() as stack:
            is_open = False
            while True:
                expect: dict[str, bytes | None] = dict(self._state.store.scan(REF))
                refs = set(expect)
                expect[JOURNALS] = self._state.store.read([JOURNALS]).get(JOURNALS)
                expect.update(self._state.store.scan(PHYSICAL))
                cells = self._candidates(self._kept(now))
                if cells and not is_open:  # before anything is condemned: others may wait for that, with the world open
                    for _, provider in sorted(self._providers.items()):
                        stack.enter_context(provider.opened())
                    is_open = True
                elif self._condemn(cells, expect):
                    break
            return self._drop(cells, refs, now - self._retention)

    def _drop(self, cells: Mapping[str, Physical], refs: Collection[str], since: datetime) -> Garbage:
        garbage = self._garbage(cells, 0)
        by_provider: dict[str, list[str]] = {}
        owners = self._snapshots(cells.values())
        for location in cells:
            owner = owners.get(location)
            by_provider.setdefault(owner.provider if owner else next(iter(self._providers)), []).append(location)
        with Heartbeat(self._state) as heartbeat:
            for location in cells:
                heartbeat.add(PHYSICAL + location)
            for name, locations in sorted(by_provider.items()):
                self._providers[name].drop(self._held(locations))
                for location in locations:
                    heartbeat.discard(PHYSICAL + location)
                    self._forget(location)
        self._forget_verified(refs)
        self._forget_lines()
        self._forget_same()
        self._forget_generations(since)
        return replace(garbage, objects=self._state.store.delete(self._unreachable(), GRACE))

    # -- what is kept ----------------------------------------------------------------------------------------------
    def _heads(self) -> list[CommitId]:
        return [decode_environment(data).head for data in self._state.store.scan(REF).values()]

    def _open_trees(self) -> set[TreeId]:
        return {t for o in self._state.open_plans().values() for t in (o.plan.before, o.plan.tree)}

    def _kept(self, now: datetime) -> set[str]:
        """Locations that something can reach."""
        trees = self._open_trees()  # before the refs: what is published in between is then seen here or there
        commits = retained(self._state.commits, self._heads(), now - self._retention)
        trees |= {self._state.commit(c).tree for c in commits}
        snapshots = self._state.snapshots(self._state.trees.snapshots(trees))
        return {s.location for s in snapshots.values()}

    def _candidates(self, kept: Collection[str]) -> dict[str, Physical]:
        found = self._state.all_physical()
        return {
            location: p
            for location, p in found.items()
            if location not in kept and (p.stage is Stage.BUILT or self._state.is_dead(p.holder, p.seen))
        }

    def _unreachable(self) -> set[ObjectId]:
        """Aged objects that no ref and no open journal needs."""
        aged = self._state.store.aged(GRACE)
        if not aged:
            return set()
        trees = self._open_trees()
        history = ancestors(self._state.commits, self._heads())
        trees |= {c.tree for c in history.values()}
        nodes = self._state.trees.nodes(trees)
        return aged - set(history) - set(nodes) - set(self._state.trees.snapshots(trees)) - self._named_by_cells()

    def _named_by_cells(self) -> set[ObjectId]:
        return {p.snapshot for p in self._state.all_physical().values()}

    # -- dropping --------------------------------------------------------------------------------------------------
    def _condemn(self, cells: Mapping[str, Physical], seen: Mapping[str, bytes | None]) -> bool:
        """False where somebody opened a journal, moved a ref or built something since ``seen``: look again."""
        token, now = self._state.holder.token, self._state.store.now()
        gone = [replace(p, stage=Stage.CONDEMNED, holder=token, seen=now, built=None) for p in cells.values()]
        write = {PHYSICAL + p.location: p.encode() for p in gone}
        expect = {k: v for k, v in seen.items() if not k.startswith(PHYSICAL)} | {k: seen.get(k) for k in write}
        return self._state.store.swap(expect, write)

    def _held(self, locations: Collection[str]) -> list[str]:
        """Those that nobody has taken over since, taking this process for dead."""
        token = self._state.holder.token
        return [location for location, p in self._state.physical(locations).items() if p.holder == token]

    def _forget(self, location: str) -> None:
        key = PHYSICAL + location

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            mine = key in seen and Physical.decode(location, seen[key]).holder == self._state.holder.token
            if not mine:
                return None
            gone = dict.fromkeys([key, CONTENT + location, AUDITED + location, TOKEN + location])
            return {**gone, **self._adopted(location)}

        self._state.swap(change, [key])

    def _adopted(self, location: str) -> dict[str, None]:
        """The cells that lead to it, of an adopted table."""
        if not is_adopted(location):
            return {}
        return {k: None for k, v in self._state.store.scan(ADOPTED).items() if v.decode() == location}

    def _forget_verified(self, refs: Collection[str]) -> None:
        stale = [k for k in self._state.store.scan(VERIFIED) if REF + k.removeprefix(VERIFIED) not in refs]
        if stale:
            self._state.store.swap({}, dict.fromkeys(stale))

    def _forget_lines(self) -> None:
        """Lines without a journal: of somebody who was taken for dead, went on, and then died."""
        lines = self._state.store.scan(LINE)
        opened = {k.removeprefix(OPEN) for k in self._state.store.scan(OPEN)}
        stale = [k for k in lines if k.removeprefix(LINE).split("/")[0] not in opened]
        if stale:
            self._state.store.swap({}, dict.fromkeys(stale))

    def _forget_same(self) -> None:
        """Where data was found that is gone by now."""
        known = {k: v.decode() for k, v in self._state.store.scan(SAME).items()}
        there = self._state.physical(set(known.values()))
        stale = [k for k, location in known.items() if location not in there]
        if stale:
            self._state.store.swap({}, dict.fromkeys(stale))

    def _forget_generations(self, since: datetime) -> None:
        """Earlier data that nobody has seen since then, and what was computed for refreshes that came to nothing."""
        keep: dict[str, dict[str, Collection[int]]] = {}
        cells = self._state.store.scan(CONTENT)
        physical = self._state.store.scan(PHYSICAL)
        owners = self._snapshots([p for k, p in self._state.all_physical().items() if CONTENT + k in cells])
        for key, cell in cells.items():
            location = key.removeprefix(CONTENT)
            content, _ = Content.decode(cell).retained(since.timestamp())
            guard = {key: cell, REFRESHING + location: None}  # whoever refreshes it now is left alone
            is_source = PHYSICAL + location not in physical
            if (location in owners or is_source) and self._state.store.swap(guard, {key: content.encode().encode()}):
                kept = [n for n, g in content.generations.items() if g.parent is not None]
                provider = owners[location].provider if location in owners else next(iter(self._providers))
                keep.setdefault(provider, {})[location] = kept
        for name, numbers in sorted(keep.items()):
            cast(Refreshes, self._providers[name]).discard(numbers)

    def _garbage(self, cells: Mapping[str, Physical], objects: int) -> Garbage:
        owners = self._snapshots(cells.values())
        names = {location: owners[location].asset if location in owners else None for location in sorted(cells)}
        rows = sum(p.built.rows or 0 for p in cells.values() if p.built)
        known = {k.removeprefix(PHYSICAL) for k in self._state.store.scan(PHYSICAL)} | set(cells)
        there = {location for p in self._providers.values() for location in p.locations()}
        return Garbage(names, rows, objects, tuple(sorted(there - known)))

    def _snapshots(self, cells: Collection[Physical]) -> dict[str, Snapshot]:
        found: dict[str, Snapshot] = {}
        for physical in cells:
            try:
                found[physical.location] = self._state.snapshots([physical.snapshot])[physical.snapshot]
            except KeyError:  # its object was swept in an earlier run that died before the cell went
                continue
        return found
