"""A part of what the files say, on top of an environment as it is."""

from __future__ import annotations

from collections.abc import Collection

from anabranch.app.state import State
from anabranch.domain.graph import reach, reversed_edges
from anabranch.domain.ids import TreeId
from anabranch.domain.merge import Conflict, incoherent
from anabranch.domain.names import AssetName
from anabranch.domain.tree import Change
from anabranch.errors import Refused

_TELL = 3
"""So many assets are named; the rest is counted."""


def narrow(
    state: State, before: TreeId, after: TreeId, chosen: Collection[AssetName]
) -> tuple[TreeId, tuple[str, ...]]:
    """``before``, with those changes that lead to ``after`` whose assets are ``chosen``; and notes on what is left out.

    Every asset of the result is defined over the very upstreams that the result has: nothing reads a version that isn't
    there.

    Raises:
        Refused: a chosen asset needs a change that isn't chosen, or what stays was built over something that changes.
    """
    changes = state.trees.diff(before, after)
    left = [c.asset for c in changes if c.asset not in chosen]
    if not left:
        return after, ()
    tree, broken = _patched(state, before, changes, chosen)
    if broken:
        raise _refused(state, before, changes, chosen, broken)
    one = len(left) == 1
    what = "another asset has changed and stays as it is" if one else "other assets have changed and stay as they are"
    return tree, (f"{what}: {_some(left)}",)


def _patched(
    state: State, before: TreeId, changes: Collection[Change], chosen: Collection[AssetName]
) -> tuple[TreeId, list[Conflict]]:
    """The tree with the changes of what is chosen, and what isn't coherent in it."""
    taken = [c for c in changes if c.asset in chosen]
    tree = state.trees.patch(before, taken)
    touched = _touched(state, tree, taken)
    return tree, incoherent(state.trees, state.snapshots, tree, touched, (before, before, tree))


def _touched(state: State, tree: TreeId, taken: Collection[Change]) -> set[AssetName]:
    """What changes, and what reads it."""
    changed = {c.asset for c in taken}
    if not changed:
        return changed
    entries = state.trees.entries(tree)
    found = state.snapshots(list(entries.values()))
    return changed | {a for a, i in entries.items() if changed & set(found[i].upstreams)}


def _refused(
    state: State,
    before: TreeId,
    changes: Collection[Change],
    chosen: Collection[AssetName],
    broken: Collection[Conflict],
) -> Refused:
    """Says what is missing, all of it: what belongs to a chosen asset may need something itself."""
    first = min(broken, key=lambda c: (c.asset not in chosen, c.asset))
    if first.asset in chosen:
        what = f"{first.asset} is selected, but not {first.upstream}, which it reads and which has changed too"
    else:
        what = (
            f"{first.upstream} is selected, but not {first.asset}, which reads it and would go on with what was before"
        )
    found = state.snapshots([c.after for c in changes if c.after is not None])
    reads = {s.asset: list(s.upstreams) for s in found.values()}
    needed: dict[str, None] = {}
    wanted = set(chosen)
    while broken:
        each = min(broken, key=lambda c: (c.asset not in wanted, c.asset))
        start = each.asset if each.asset in wanted else each.upstream or each.asset
        selector = f"+{start}" if each.asset in wanted else f"{start}+"
        if selector in needed:
            break
        needed[selector] = None
        wanted |= reach(reads if each.asset in wanted else reversed_edges(reads), [start])
        _, broken = _patched(state, before, changes, wanted)
    add = " ".join(f"--select {n}" for n in needed)
    return Refused(what, asset=first.asset, hint=f"add what belongs to it: {add}")


def _some(names: list[AssetName]) -> str:
    more = len(names) - _TELL
    return ", ".join(names[:_TELL]) + (f" and {more} more" if more > 0 else "")
