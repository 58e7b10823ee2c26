"""Three-way merge of trees; a conflict is a value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from anabranch.domain.ids import SnapshotId, TreeId
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.tree import Change, Trees

ReadSnapshots = Callable[[Collection[SnapshotId]], Mapping[SnapshotId, Snapshot]]


class Cause(StrEnum):
    """Why two sides don't go together."""

    BOTH_CHANGED = "both sides changed it"
    UPSTREAM_MOVED = "one side changed what the other built it over"
    ROWS_CHANGED = "both sides wrote to the same rows"


@dataclass(frozen=True, slots=True)
class Conflict:
    """What each side has of an asset; None where it isn't there. ``upstream``: what it was built over and has moved."""

    asset: AssetName
    base: SnapshotId | None
    ours: SnapshotId | None
    theirs: SnapshotId | None
    cause: Cause = Cause.BOTH_CHANGED
    upstream: AssetName | None = None
    rows: tuple[str, ...] = ()
    """Keys of some rows that both sides wrote to."""


@dataclass(frozen=True, slots=True)
class Merged:
    """``tree`` is ours with ``changes`` made to it. It is to be used only where ``conflicts`` is empty."""

    tree: TreeId
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...] = ()


def merge(trees: Trees, read: ReadSnapshots, base: TreeId, ours: TreeId, theirs: TreeId) -> Merged:
    """Makes in ``ours`` the changes that lead from ``base`` to ``theirs``.

    What counts is who changed an asset's *definition*. Where one side did, or both alike, and the other only follows a
    changed upstream, there are two builds of what is meant; the one that was built over the upstreams of the result is
    taken. If neither was, that is a conflict: what was rehearsed isn't what would result. Where both changed the
    definition, differently, that is a conflict too, unless the data is the same: then theirs is taken.
    """
    changes: list[Change] = []
    conflicts: list[Conflict] = []
    instead: dict[AssetName, Change] = {}
    theirs_changed = trees.diff(base, theirs)
    for change in theirs_changed:
        b, t = change.before, change.after
        o = trees.get(ours, change.asset)
        if o == t:
            continue
        if o == b:
            changes.append(Change(change.asset, o, t))
            continue
        takes, same_data = _who_defines(read, b, o, t), _same_data(read, o, t)
        if takes is None and not same_data:
            conflicts.append(Conflict(change.asset, b, o, t))
            continue
        if takes is not _Side.OURS:
            changes.append(Change(change.asset, o, t))
        if takes is _Side.EITHER or same_data:
            instead[change.asset] = Change(change.asset, o, t) if takes is _Side.OURS else Change(change.asset, t, o)
    tree = trees.patch(ours, changes)
    if not conflicts and ours != base:
        touched = [c.asset for c in theirs_changed] + [c.asset for c in trees.diff(base, ours)]
        sides = (base, ours, theirs)
        while conflicts := incoherent(trees, read, tree, touched, sides):
            other = [instead.pop(c.asset) for c in conflicts if c.asset in instead]
            if not other:
                break
            tree = trees.patch(tree, other)
    return Merged(tree, tuple(trees.diff(ours, tree)), tuple(conflicts))


class _Side(Enum):
    """Whose build of an asset is meant."""

    OURS = auto()
    THEIRS = auto()
    EITHER = auto()


def _who_defines(
    read: ReadSnapshots, base: SnapshotId | None, ours: SnapshotId | None, theirs: SnapshotId | None
) -> _Side | None:
    """None where both sides changed the definition, and not alike. Whoever removes an asset changes its definition."""
    found = read([i for i in (base, ours, theirs) if i is not None])
    b, o, t = (_definition(found[i]) if i is not None else None for i in (base, ours, theirs))
    if o == t:
        return _Side.EITHER
    if o == b:
        return _Side.THEIRS
    return _Side.OURS if t == b else None


def _definition(snapshot: Snapshot) -> tuple[object, ...]:
    return snapshot.kind, snapshot.provider, snapshot.logic, dict(snapshot.properties)


def incoherent(
    trees: Trees,
    read: ReadSnapshots,
    tree: TreeId,
    assets: Collection[AssetName],
    sides: tuple[TreeId, TreeId, TreeId],
) -> list[Conflict]:
    """Those of ``assets`` whose upstreams in ``tree`` aren't what they were built over, as far as they read
    it; ``sides`` (base, ours, theirs) are for the report."""
    pointed = {a: s for a in sorted(set(assets)) if (s := trees.get(tree, a)) is not None}
    snapshots = read(list(pointed.values()))
    found: list[Conflict] = []
    upstream_ids = {u: trees.get(tree, u) for s in snapshots.values() for u in s.upstreams}
    upstreams = read([i for i in upstream_ids.values() if i is not None])
    for asset, snapshot_id in pointed.items():
        for upstream, read_of_it in snapshots[snapshot_id].upstreams.items():
            there = upstream_ids[upstream]
            if there is None or not read_of_it.holds(upstreams[there]):
                b, o, t = (trees.get(side, asset) for side in sides)
                found.append(Conflict(asset, b, o, t, Cause.UPSTREAM_MOVED, upstream))
                break
    return found


def _same_data(read: ReadSnapshots, one: SnapshotId | None, other: SnapshotId | None) -> bool:
    if one is None or other is None:
        return False
    snapshots = read([one, other])
    a, b = snapshots[one], snapshots[other]
    return (a.kind, a.fingerprint, a.location) == (b.kind, b.fingerprint, b.location)
