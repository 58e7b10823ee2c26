"""Small charts as inline SVG. Widths are shares of the room there is; colours are the page's."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, LABEL, ROOM, STEP, THIN = 320, 120, 140, 30, 10


def bar(share: float) -> str:
    """A match rate: full where all is the same."""
    kind = "match" if share == 1 else "miss"
    return (
        f'<svg width="90" height="8" role="img" aria-label="{share:.1%}">'
        f'<rect class="track" width="90" height="8" rx="2"/>'
        f'<rect class="{kind}" width="{_wide(share, 90)}" height="8" rx="2"/></svg>'
    )


def bars(shares: Sequence[float | None]) -> str:
    """Two shares, before above after. Nothing where neither has any."""
    if not any(shares):
        return ""
    drawn = [
        f'<rect class="track" y="{7 * i}" width="50" height="6" rx="1"/>'
        f'<rect class="{kind}" y="{7 * i}" width="{_wide(share, 50)}" height="6" rx="1"/>'
        for i, (kind, share) in enumerate(zip(("before", "after"), shares, strict=True))
        if share is not None
    ]
    return f'<svg width="56" height="13" aria-hidden="true">{"".join(drawn)}</svg>'


def distribution(values: Sequence[tuple[str, int, int]], rows_before: int, rows_after: int) -> str:
    """How often each value is there, before and after: two bars for each, as shares of all rows of their side."""
    shares = [(b / rows_before if rows_before else 0.0, a / rows_after if rows_after else 0.0) for _, b, a in values]
    most = max((s for pair in shares for s in pair), default=0.0) or 1.0
    drawn = []
    for i, ((value, was, now), (old, new)) in enumerate(zip(values, shares, strict=True)):
        y = i * STEP
        drawn.append(f'<text x="{LABEL - 8}" y="{y + 17}" text-anchor="end">{escape(value)}</text>')
        for top, share, number, kind in ((y + 2, old, was, "before"), (y + 13, new, now, "after")):
            wide = _wide(share / most, ROOM)
            drawn.append(f'<rect class="{kind}" x="{LABEL}" y="{top}" width="{wide}" height="{THIN}" rx="1"/>')
            where = f'x="{LABEL + wide + 6:g}" y="{top + THIN - 1}"'
            drawn.append(f'<text class="soft" {where}>{number:,}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {len(values) * STEP}" role="img">{"".join(drawn)}</svg>'


def _wide(share: float, room: int) -> float:
    """A width that shows that there is something, where there is, and that something lacks, where it does."""
    if share in (0, 1):
        return share * room
    return round(min(max(share * room, 1.0), room - 1.0), 1)
