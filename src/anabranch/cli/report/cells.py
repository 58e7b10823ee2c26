"""Single values and figures, as people read them on a terminal and on a page."""

from __future__ import annotations

import math
from decimal import Decimal

from anabranch.app.diff import AssetDiff
from anabranch.cli.text import count
from anabranch.ports.rows import By, Profile, Repeated

NOTHING = "–"


def cell(value: object, longest: int = 0) -> str:
    """A value on one line: what can't be printed is escaped; cut to ``longest`` characters, if given."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    return text[: longest - 1] + "…" if longest and len(text) > longest else text


def figure(value: object, longest: int = 0) -> str:
    """A number without the digits that nobody reads; all else as a cell."""
    if isinstance(value, float | Decimal):
        number = float(value)
        return f"{number:,.1f}".removesuffix(".0") if 1e3 <= abs(number) < 1e15 else f"{number:.5g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return cell(value, longest)


def figures(before: object, after: object, longest: int = 0) -> tuple[str, str]:
    """Two of them; the same where they differ by no more than the order in which numbers were added up."""
    if isinstance(before, float) and isinstance(after, float) and math.isclose(before, after, rel_tol=1e-9):
        before = after
    return figure(before, longest), figure(after, longest)


def share(part: float | None) -> str:
    """``99.97 %``: never rounded to all or nothing unless it is."""
    if part is None:
        return NOTHING
    for digits in (1, 2, 3):
        text = f"{part * 100:.{digits}f}"
        if part in (0, 1) or float(text) not in (0, 100):
            return f"{text} %"
    return "> 99.999 %" if part > 0.5 else "< 0.001 %"


def nulls(profile: Profile | None, rows: int) -> float | None:
    """The share of rows without a value."""
    return profile.nulls / rows if profile and rows else None


def distinct(profile: Profile | None) -> str:
    """``1,204``, or ``≈ 1,204``."""
    if profile is None:
        return NOTHING
    return f"{'' if profile.is_exact else '≈ '}{profile.distinct:,}"


def headline(asset: AssetDiff) -> str:
    """What became of the rows, the number that matters first."""
    found = asset.rows
    if found is None:
        if asset.rows_before is None or asset.rows_after is None:
            return ""
        if asset.rows_before == asset.rows_after:
            return count(asset.rows_after, "row")
        return f"{asset.rows_before:,} → {count(asset.rows_after, 'row')}"
    rows = count(found.rows_after, "row")
    if found.by is By.COUNT:
        differ = ", not the same" if found.same is False else ""
        return f"{rows}, {found.rows_after - found.rows_before:+,}{differ}"
    if found.by is By.ROW:
        return f"{rows}, all the same" if found.same else f"{rows}, {found.added:,} added, {found.removed:,} removed"
    told = f"{rows}, {found.added:,} added, {found.removed:,} removed, {found.changed:,} changed"
    return f"{told} by key" if found.changed else told


def of_repeated(found: Repeated, before: str, after: str) -> str:
    """Where keys stand for several rows, and how often."""
    sides = ((found.keys_before, found.rows_before, before), (found.keys_after, found.rows_after, after))
    told = [f"{count(keys, 'key')} for {count(rows, 'row')} in {side}" for keys, rows, side in sides if keys]
    some = [f"{', '.join(cell(v, 30) for v in e.key)} ({e.before:,} → {e.after:,})" for e in found.examples]
    return f"{'; '.join(told)}: {', '.join(some)}"


def hidden(total: int, shown: int, what: str) -> str:
    """``… and 7 more columns``, or nothing."""
    return f"… and {total - shown:,} more {what}{'s' if total - shown != 1 else ''}" if total > shown else ""
