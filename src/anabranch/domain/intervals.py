"""Intervals of time: which spans an incremental model holds, which are missing, and how they are cut into batches.

Times are whole seconds since 1970 in UTC; spans are half-open, ``[begin, end)``. What a model holds is kept as few
spans, not as one entry a day: ten years without a gap are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

Span = tuple[int, int]
"""``[begin, end)`` in seconds since 1970."""
Spans = tuple[Span, ...]
"""In order, apart from each other, none empty."""


class Unit(StrEnum):
    """How fine a model's intervals are."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    HALF_HOUR = "half_hour"
    QUARTER_HOUR = "quarter_hour"
    FIVE_MINUTE = "five_minute"

    def floor(self, at: int) -> int:
        """The last border at or before ``at``."""
        if self in _SECONDS:
            return at - at % _SECONDS[self]
        moment = datetime.fromtimestamp(at, UTC)
        month = 1 if self is Unit.YEAR else moment.month
        return int(datetime(moment.year, month, 1, tzinfo=UTC).timestamp())

    def ceil(self, at: int) -> int:
        """The first border at or after ``at``."""
        floor = self.floor(at)
        return floor if floor == at else self.after(floor)

    def after(self, border: int, count: int = 1) -> int:
        """The border ``count`` units after ``border`` (before it, where negative)."""
        if self in _SECONDS:
            return border + count * _SECONDS[self]
        moment = datetime.fromtimestamp(border, UTC)
        months = moment.year * 12 + moment.month - 1 + count * (12 if self is Unit.YEAR else 1)
        return int(datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC).timestamp())

    def number(self, span: Span) -> int:
        """How many units lie in a span between borders."""
        if self in _SECONDS:
            return (span[1] - span[0]) // _SECONDS[self]
        begin, end = (datetime.fromtimestamp(t, UTC) for t in span)
        months = (end.year - begin.year) * 12 + end.month - begin.month
        return months // 12 if self is Unit.YEAR else months

    @staticmethod
    def of(gap: timedelta) -> Unit:
        """The coarsest unit that is no longer than ``gap``, the shortest time between two runs."""
        seconds = gap.total_seconds()
        return next((u for u, least in _LEAST if seconds >= least), Unit.FIVE_MINUTE)


_SECONDS = {
    Unit.DAY: 86400,
    Unit.HOUR: 3600,
    Unit.HALF_HOUR: 1800,
    Unit.QUARTER_HOUR: 900,
    Unit.FIVE_MINUTE: 300,
}
_LEAST = [(Unit.YEAR, 365 * 86400), (Unit.MONTH, 28 * 86400), *_SECONDS.items()]


def normal(spans: Iterable[Span]) -> Spans:
    """In order, touching ones joined, empty ones left out."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return tuple(found)


def union(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """What is in either."""
    return normal([*one, *other])


def minus(whole: Iterable[Span], taken: Iterable[Span]) -> Spans:
    """What is in ``whole`` and not in ``taken``."""
    found: list[Span] = []
    holes = normal(taken)
    for begin, end in normal(whole):
        at = begin
        for hole_begin, hole_end in holes:
            if hole_end <= at or hole_begin >= end:
                continue
            if hole_begin > at:
                found.append((at, hole_begin))
            at = max(at, hole_end)
        if at < end:
            found.append((at, end))
    return tuple(found)


def common(one: Iterable[Span], other: Iterable[Span]) -> Spans:
    """What is in both."""
    whole = normal(one)
    return minus(whole, minus(whole, other))


def covers(held: Iterable[Span], span: Span) -> bool:
    """Whether all of ``span`` is held."""
    return not minus([span], held)


def due(wanted: Span, held: Iterable[Span], unit: Unit, lookback: int = 0) -> Spans:
    """What is to be filled of ``wanted``: what isn't held, and ``lookback`` units before each gap that continues what
    is held, for late rows; never before ``wanted`` begins."""
    held = normal(held)
    missing = minus([wanted], held)
    ends = {end for _, end in held}
    looked = [(max(wanted[0], unit.after(b, -lookback)) if b in ends else b, e) for b, e in missing]
    return normal(looked)


def batches(spans: Iterable[Span], unit: Unit, size: int | None) -> Iterator[Span]:
    """The spans, cut after every ``size`` units; whole where it is None."""
    for begin, end in spans:
        at = begin
        while size is not None and unit.after(at, size) < end:
            following = unit.after(at, size)
            yield at, following
            at = following
        yield at, end


def seconds(moment: datetime) -> int:
    """Seconds since 1970; a moment without a zone is UTC."""
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def moment(at: int) -> datetime:
    """The inverse of :func:`seconds`, in UTC."""
    return datetime.fromtimestamp(at, UTC)


def shown(span: Span) -> str:
    """For people: days where the borders are days, the end then as the last day."""
    begin, end = moment(span[0]), moment(span[1])
    if span[0] % 86400 == 0 and span[1] % 86400 == 0:
        last = end - timedelta(days=1)
        return f"{begin:%Y-%m-%d}" if last <= begin else f"{begin:%Y-%m-%d} to {last:%Y-%m-%d}"
    return f"{begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
