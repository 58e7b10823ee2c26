"""Early cutoff: what reads a rebuilt asset keeps its data, where the rebuilt one turns out to hold what it held before.

Equal data is proved by a hash computed where the data is. What is kept is a snapshot of the new definition at the old
location; the location is remembered, so that later plans find it (``same/``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

from anabranch.app.state import SAME, State
from anabranch.domain.ids import TreeId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Build, Plan, Verb
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.domain.tree import Change
from anabranch.ports.provider import Provider


class Cutoff:
    """Says of each build of one plan, once what it needs is done, whether it can be left out."""

    def __init__(self, state: State, providers: Mapping[str, Provider], plan: Plan) -> None:
        self._state = state
        self._providers = providers
        changed = [d for d in plan.decisions if d.before is not None and d.after is not None]
        found = state.snapshots({i for d in changed for i in (d.before, d.after) if i is not None})
        self._changed = {d.asset: (found[d.before], found[d.after]) for d in changed if d.before and d.after}
        self._rebuilt = {d.asset for d in changed if d.verb is Verb.BUILD}
        self._known: dict[AssetName, bool] = {}
        self._lock = threading.RLock()
        self.kept: dict[AssetName, tuple[Snapshot, Snapshot]] = {}
        """Before and after, of those that were left out."""

    def keeps(self, step: Build) -> bool:
        """Whether the step's data can stay as it is."""
        if step.keeps is None:
            return False
        with self._lock:
            if not self._reads_the_same(step.asset):
                return False
            self.kept[step.asset] = self._changed[step.asset]
            self._known[step.asset] = True
            return True

    def placed(self, snapshot: Snapshot) -> Snapshot:
        """``snapshot``, at the location where its data stands: the old one, where its build was left out."""
        with self._lock:
            before, after = self.kept.get(snapshot.asset, (None, None))
        if before is None or after is None or after.location != snapshot.location:
            return snapshot
        return replace(snapshot, location=before.location)

    def _reads_the_same(self, asset: AssetName) -> bool:
        """Whether all that changed in what ``asset`` reads holds the same data, and nothing else changed in it."""
        before, after = self._changed[asset]
        if before.logic != after.logic or before.upstreams.keys() != after.upstreams.keys():
            return False
        moved = [u for u in sorted(after.upstreams) if before.upstreams[u] != after.upstreams[u]]
        return bool(moved) and all(self._is_same(u) for u in moved)

    def _is_same(self, asset: AssetName) -> bool:
        if asset not in self._known:
            self._known[asset] = asset in self._changed and self._compare(asset)
        return self._known[asset]

    def _compare(self, asset: AssetName) -> bool:
        before, after = self._changed[asset]
        if before.kind is not after.kind or before.provider != after.provider:
            return False
        if after.kind in (Kind.VIEW, Kind.EMBEDDED) and self._reads_the_same(asset):
            return True
        if not after.is_physical or not before.location or before.kind is Kind.EXTERNAL:
            return False
        if after.kind is Kind.CLONE:  # another mark: it was written to
            return False
        if before.location == after.location:
            return True
        built = self._state.built([before.location, after.location])
        if len(built) < 2:
            return False
        contents = self._state.contents([before.location, after.location])
        held = [contents[s.location].now.held for s in (before, after) if s.location in contents]
        if len(held) == 2 and held[0] != held[1]:
            return False
        return self._providers[after.provider].same(before, after)

    def result(self, plan: Plan) -> Plan:
        """The plan with the tree that results; remembers where the data of what was left out stands."""
        if not self.kept:
            return plan
        at_old = {a: replace(after, location=before.location) for a, (before, after) in self.kept.items()}
        self._state.learn(at_old.values())
        self._state.keep([s.id for s in at_old.values()])
        changes = [Change(a, after.id, at_old[a].id) for a, (_, after) in sorted(self.kept.items())]
        tree: TreeId = self._state.trees.patch(plan.tree, changes)
        cells = {SAME + after.location: before.location.encode() for before, after in self.kept.values()}
        self._state.store.swap({}, cells)
        return replace(plan, tree=tree)


def resolve(state: State, snapshots: Mapping[AssetName, Snapshot]) -> dict[AssetName, Snapshot]:
    """``snapshots``, with the locations where their data was found to stand already."""
    known = {k.removeprefix(SAME): v.decode() for k, v in state.store.scan(SAME).items()}
    wanted = {s.location: known[s.location] for s in snapshots.values() if s.location in known}
    if not wanted:
        return dict(snapshots)
    there = state.built(set(wanted.values()))
    usable = {own: old for own, old in wanted.items() if old in there}
    return {a: replace(s, location=usable[s.location]) if s.location in usable else s for a, s in snapshots.items()}
