"""The clones of an environment, as people and machines see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from anabranch.app.clones import Listed
from anabranch.cli.text import ago, size, table


def clone_lines(clones: Sequence[Listed], now: datetime | None = None) -> list[str]:
    """A line each: of what, since when, whether it was written to, and the bytes that are its own."""
    rows = []
    for each in clones:
        made = f"{'copied' if each.is_copy else 'cloned'} {ago(datetime.fromtimestamp(each.at, UTC), now)}"
        made += f", as it was at {each.past}" if each.past else ""
        made += f", from {each.origin}" if each.origin else ""
        own = f"{size(each.own)} of its own" if each.own is not None else ""
        rows.append(("clone", each.asset, made, _WRITTEN[each.is_written], own))
    return table(rows, indent=0)


_WRITTEN = {True: "written to", False: "not written to", None: "maybe written to"}


def clones_as_dicts(clones: Sequence[Listed]) -> list[dict[str, object]]:
    """For machines."""
    return [
        {
            "asset": each.asset,
            "location": each.location,
            "cloned_at": datetime.fromtimestamp(each.at, UTC).isoformat(),
            "past": each.past or None,
            "from": each.origin or None,
            "copied": each.is_copy,
            "written": each.is_written,
            "own_bytes": each.own,
        }
        for each in clones
    ]
