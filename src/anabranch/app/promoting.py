"""Which state a promotion aims at: the trunk's, with what an environment changed."""

from __future__ import annotations

from anabranch.app.clone_merging import Again, CloneMerging
from anabranch.app.clones import CloneKeeper
from anabranch.app.drafting import Aim, Drafter
from anabranch.app.drift import Inspection, Inspector
from anabranch.app.state import State
from anabranch.domain.clones import clones_among, is_behind, uncloned
from anabranch.domain.commit import Action, Environment, ancestors, history, merge_base
from anabranch.domain.ids import TreeId
from anabranch.domain.merge import Cause, Conflict, merge
from anabranch.domain.plan import Plan
from anabranch.domain.restated import PROPERTY
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.tree import EMPTY, Change
from anabranch.errors import MergeConflict, Refused


class Promoting:
    """Makes plans; changes nothing."""

    def __init__(
        self, state: State, drafter: Drafter, inspector: Inspector, clones: CloneKeeper, merging: CloneMerging
    ) -> None:
        self._state = state
        self._drafter = drafter
        self._inspector = inspector
        self._clones = clones
        self._merging = merging

    def plan(self, source: Environment, into: Environment, *, again: Again) -> Plan:
        """``into`` shall have what ``source`` changed since it began from it. ``again``: the loader's.

        Raises:
            Refused: clones that can't be merged into their sources.
            MergeConflict: both changed the same, or what the other's changes were built over; or both wrote to the same
                rows of a source.
        """
        if source.name == into.name:
            raise Refused(
                f"{into.name} can't be promoted into itself", hint="switch to a branch, or name an environment"
            )
        written = self._clones.promoted(source, into)
        base = merge_base(self._state.commits, into.head, source.head)
        sides = self._state.commit(base).tree if base else EMPTY, self._tree(into), self._tree(source)
        before, ours, theirs = map(self._uncloned, sides)
        before = self._begun(source, before, ours)
        theirs, same = self._merging.over_sources(theirs, written, again) if written else (theirs, {})
        merged = merge(self._state.trees, self._state.snapshots, before, ours, theirs)
        if merged.conflicts:
            raise self._conflict(source, into, merged.conflicts)
        inspection = self._inspector.inspect(into) if merged.changes else Inspection()
        changes = {c.asset: c for c in merged.changes}
        merges = self._merging.steps(source, {c: s for c, s in written.items() if c in changes}, changes)
        return self._drafter.draft(
            Aim(
                Action.PROMOTE, into.name, into.head, ours, merged.tree, (into.head, source.head), into,
                message=f"promote {source.name}", source=(source.name, source.head), inspection=inspection,
                merges=merges, same=same,
            )
        )  # fmt: skip

    def _begun(self, source: Environment, before: TreeId, ours: TreeId) -> TreeId:
        """``before``, with sources as clones of ``source`` began: as they are in ``ours``, where what was merged into
        them since is in the clones."""
        changes = []
        for asset, clone in sorted(self._clones.of(source).items()):
            was, now = self._state.trees.get(before, asset), self._state.trees.get(ours, asset)
            if was is None or now is None or was == now:
                continue
            found = self._state.snapshots([was, now])
            if _declared(found[was]) == _declared(found[now]) and not is_behind(clone, found[now]):
                changes.append(Change(asset, was, now))
        return self._state.trees.patch(before, changes)

    def _uncloned(self, tree: TreeId) -> TreeId:
        """The tree, with sources in the place of clones: those are an environment's own business."""
        entries = self._state.trees.entries(tree)
        clones = clones_among(self._state.own(entries))
        if not clones:
            return tree
        sources = {a: uncloned(s) for a, s in clones.items()}
        self._state.learn(sources.values())
        return self._state.trees.patch(tree, [Change(a, entries[a], s.id) for a, s in sorted(sources.items())])

    def _tree(self, environment: Environment) -> TreeId:
        return self._state.commit(environment.head).tree

    def _conflict(self, source: Environment, into: Environment, conflicts: tuple[Conflict, ...]) -> MergeConflict:
        known = ancestors(self._state.commits, [source.head])
        moved = []
        for identifier, commit in history(self._state.commits, into.head):
            if identifier in known or known.keys() & commit.parents[1:]:  # it began there, or was promoted there
                break
            moved.append(commit)
        both = any(c.cause is Cause.BOTH_CHANGED for c in conflicts)
        last = moved[0] if moved else None
        who = f", the last by {last.author or 'somebody'} at {last.at:%Y-%m-%d %H:%M} UTC" if last else ""
        commits = "1 commit" if len(moved) == 1 else f"{len(moved)} commits"
        return MergeConflict(
            f"{into.name} moved since {source.name} began from it: {commits}{who}",
            conflicts,
            hint=f"bring {into.name}'s code in, then rehearse again:"
            f" git merge main && anabranch apply{' --merged' if both else ''} && anabranch promote",
        )


def _declared(source: Snapshot) -> tuple[object, ...]:
    """What a source is said to be, whatever was merged into it."""
    return source.kind, source.logic, {k: v for k, v in source.properties.items() if k != PROPERTY}
