"""Small pieces of text that several commands show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import click

from anabranch.domain import sizes
from anabranch.domain.ids import short
from anabranch.domain.plan import Verb

COLOURS = {
    Verb.BUILD: "green",
    Verb.CLONE: "green",
    Verb.COPY: "green",
    Verb.REUSE: "cyan",
    Verb.REFRESH: "green",
    Verb.RETURN: "cyan",
    Verb.MERGE: "green",
    Verb.DEFINE: "cyan",
    Verb.ADOPT: "green",
    Verb.RELEASE: "cyan",
    Verb.DESCRIBE: "yellow",
    Verb.REMOVE: "yellow",
}


def table(rows: Sequence[Sequence[str]], indent: int = 2, gap: int = 3, right: Sequence[int] = ()) -> list[str]:
    """Aligned columns; ``right`` names those that are flush right. Styled cells are measured without their style."""
    if not rows:
        return []
    widths = [max(len(click.unstyle(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            pad = " " * (widths[i] - len(click.unstyle(cell)))
            cells.append(pad + cell if i in right else cell + pad)
        lines.append((" " * indent + (" " * gap).join(cells)).rstrip())
    return lines


def count(number: int, what: str) -> str:
    """``1 view``, ``13 views``, ``7,004 rows``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def seconds(value: float) -> str:
    """``0.03 s``, ``4.1 s``, ``2 min 5 s``."""
    if value >= 60:
        return f"{int(value // 60)} min {int(value % 60)} s"
    return f"{value:.2f} s" if value < 1 else f"{value:.1f} s"


def size(number: int | None) -> str:
    """Bytes for people: ``4.2 MB``."""
    return "–" if number is None else sizes.told(number)


def ago(at: datetime, now: datetime | None = None) -> str:
    """``just now``, ``12 min ago``, ``3 days ago``."""
    passed = ((now or datetime.now(UTC)) - at).total_seconds()
    if passed < 60:
        return "just now"
    for length, unit in ((86400, "day"), (3600, "h"), (60, "min")):
        if passed >= length:
            number = int(passed // length)
            return f"{number} {unit}{'s' if unit == 'day' and number != 1 else ''} ago"
    return "just now"


def span(value: timedelta) -> str:
    """``14d``, ``6h``."""
    total = int(value.total_seconds())
    for length, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if total >= length:
            return f"{total // length}{unit}"
    return f"{total}s"


def at(name: str, commit: str | None) -> str:
    """``prod @ 7f3c2a1``."""
    return f"{name} @ {short(commit)}" if commit else name
