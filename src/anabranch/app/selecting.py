"""A part of what the files say, on top of an environment as it is."""

from __future__ import annotations

from collections.abc import Collection

from anabranch.app.state import State
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
    taken = [c for c in changes if c.asset in chosen]
    left = [c.asset for c in changes if c.asset not in chosen]
    if not left:
        return after, ()
    tree = state.trees.patch(before, taken)
    broken = incoherent(state.trees, state.snapshots, tree, _touched(state, tree, taken), (before, before, after))
    if broken:
        raise _refused(broken, {c.asset for c in taken})
    one = len(left) == 1
    what = (
        "another asset differs from the files and stays as it is" if one else "other assets differ and stay as they are"
    )
    return tree, (f"{what}: {_some(left)}",)


def _touched(state: State, tree: TreeId, taken: Collection[Change]) -> set[AssetName]:
    """What changes, and what reads it."""
    changed = {c.asset for c in taken}
    if not changed:
        return changed
    entries = state.trees.entries(tree)
    found = state.snapshots(list(entries.values()))
    return changed | {a for a, i in entries.items() if changed & set(found[i].upstreams)}


def _refused(broken: Collection[Conflict], taken: Collection[AssetName]) -> Refused:
    first = min(broken, key=lambda c: (c.asset not in taken, c.asset))
    needed: dict[str, None] = {}
    for each in sorted(broken, key=lambda c: (c.asset not in taken, c.asset)):
        needed[f"+{each.asset}" if each.asset in taken else f"{each.upstream}+"] = None
    if first.asset in taken:
        what = (
            f"{first.asset} is selected, but not {first.upstream}, which it reads and which differs from the files too"
        )
    else:
        what = (
            f"{first.upstream} is selected, but not {first.asset}, which reads it and would go on with what was before"
        )
    add = " ".join(f"--select {n}" for n in list(needed)[:_TELL])
    return Refused(what, asset=first.asset, hint=f"add what belongs to it: {add}")


def _some(names: list[AssetName]) -> str:
    more = len(names) - _TELL
    return ", ".join(names[:_TELL]) + (f" and {more} more" if more > 0 else "")
