"""How rows differ from those that were expected.

The order of rows doesn't matter; how often one is there does. NULL is NULL. Numbers are compared by value, those with a
binary point within a tolerance, days and moments by value too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from anabranch.domain.cells import naive

RELATIVE, ABSOLUTE = 1e-5, 1e-8
"""How far two floating-point numbers may lie apart; as SQLMesh has it, so that tests carry over."""
_PAIRS = 200
"""So many rows on each side are paired by likeness; beyond, only by key."""
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """``columns``: their names."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A row that was expected and one that came instead; either may be None. ``differs``: the indices of the columns in
    which they do."""

    expected: Row | None
    got: Row | None
    differs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Mismatch:
    """How a result differs from what was expected. ``columns``: those of the rows in ``pairs``; ``lacking``: columns
    that were expected and aren't there; ``unnamed``: columns with values that no expected row names."""

    columns: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    lacking: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.pairs or self.lacking)

    def count(self) -> tuple[int, int, int]:
        """Rows that differ, are missing, are unexpected."""
        missing = sum(p.got is None for p in self.pairs)
        unexpected = sum(p.expected is None for p in self.pairs)
        return len(self.pairs) - missing - unexpected, missing, unexpected


def match(expected: Rows, got: Rows, *, partial: bool = False, keys: Collection[str] = ()) -> Mismatch:
    """``partial``: columns that aren't expected don't count; else they should be NULL. ``keys``: the columns that tell
    rows apart, where that is known. Names of columns are compared without regard to case."""
    there = {name.lower(): i for i, name in enumerate(got.columns)}
    named = {name.lower(): i for i, name in enumerate(expected.columns)}
    lacking = tuple(n for n in expected.columns if n.lower() not in there)
    if lacking:
        return Mismatch(got.columns, lacking=lacking)
    columns = [n for n in got.columns if not partial or n.lower() in named]
    at = [there[n.lower()] for n in columns]
    wanted = [tuple(r[named[n.lower()]] if n.lower() in named else None for n in columns) for r in expected.rows]
    found = [tuple(r[i] for i in at) for r in got.rows]
    wanted, found = _rest(wanted, found)
    unnamed = tuple(n for i, n in enumerate(columns) if n.lower() not in named and any(r[i] is not None for r in found))
    by = [i for i, n in enumerate(columns) if n.lower() in {k.lower() for k in keys}]
    return Mismatch(tuple(columns), tuple(_paired(wanted, found, by)), (), unnamed if named else ())


def alike(one: object, other: object) -> bool:
    """Whether two values are the same, as far as this module's text says."""
    if one is None or other is None or isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(alike(value, other[key]) for key, value in one.items())
    if isinstance(one, int | float | Decimal) and isinstance(other, int | float | Decimal):
        if isinstance(one, float) or isinstance(other, float):
            first, second = float(one), float(other)
            both = math.isnan(first) and math.isnan(second)
            return both or math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
        return one == other
    return _key(one) == _key(other)


def _key(value: object) -> object:
    """Equal for values that are the same; not for those that need a tolerance."""
    if value is None or (isinstance(value, int | Decimal) and not isinstance(value, bool)):
        return value
    if isinstance(value, datetime):
        return "at", naive(value)
    if isinstance(value, date):
        return "at", datetime(value.year, value.month, value.day)  # noqa: DTZ001  # a day has no zone
    return type(value).__name__, str(value)


def _is_near(value: object) -> bool:
    return isinstance(value, float | list | tuple | Mapping)


def _rest(wanted: Sequence[Row], found: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """What is left on each side once equal rows are taken out in pairs."""
    width = len((wanted or found or [()])[0])
    near = {i for i in range(width) for rows in (wanted, found) if any(_is_near(r[i]) for r in rows)}
    exact = [i for i in range(width) if i not in near]
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in found:
        groups.setdefault(tuple(_key(row[i]) for i in exact), []).append(row)
    missing: list[Row] = []
    for row in wanted:
        group = groups.get(tuple(_key(row[i]) for i in exact), [])
        at = next((n for n, other in enumerate(group) if all(alike(row[i], other[i]) for i in near)), None)
        if at is None:
            missing.append(row)
        else:
            del group[at]
    left = {id(row) for group in groups.values() for row in group}
    return missing, [row for row in found if id(row) in left]


def _paired(wanted: list[Row], found: list[Row], by: Sequence[int]) -> list[Pair]:
    """Rows that belong together first: by key, else those that are most alike."""
    pairs: list[Pair] = []
    rest = list(found)
    missing: list[Row] = []
    for row in wanted:
        at = _partner(row, rest, by) if len(rest) <= _PAIRS or by else None
        if at is None:
            missing.append(row)
            continue
        other = rest.pop(at)
        pairs.append(Pair(row, other, tuple(i for i in range(len(row)) if not alike(row[i], other[i]))))
    return [*pairs, *(Pair(row, None) for row in missing), *(Pair(None, row) for row in rest)]


def _partner(row: Row, rest: Sequence[Row], by: Sequence[int]) -> int | None:
    if by:
        return next((n for n, other in enumerate(rest) if all(alike(row[i], other[i]) for i in by)), None)
    same = [sum(map(alike, row, other)) for other in rest]
    best = max(range(len(rest)), key=same.__getitem__, default=None)
    return best if best is not None and (same[best] or len(row) == 1) else None
