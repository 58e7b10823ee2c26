"""What can be done with a column, by its type as engines spell it."""

from __future__ import annotations

import re
from enum import StrEnum


class Family(StrEnum):
    """Types whose values can be compared with each other."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    MOMENT = "moment"
    """Dates and times without a time zone."""
    ORDERED = "ordered"
    """All else that has a sensible least value."""
    OTHER = "other"
    """Lists, structures, binary values, documents, intervals."""


_FAMILIES = {
    Family.NUMBER: r"U?(?:TINY|SMALL|BIG|HUGE|MEDIUM)?INT|U?INTEGER|U?INT\d+|BYTEINT|LONG|SHORT|BYTE|FLOAT\d*|REAL"
    r"|DOUBLE(?: PRECISION)?|(?:DECIMAL|NUMERIC|NUMBER|BIGNUMERIC|BIGDECIMAL)(?:\(.*\))?",
    Family.BOOLEAN: "BOOL(?:EAN)?",
    Family.TEXT: r"(?:VARCHAR|CHAR|CHARACTER VARYING|CHARACTER|BPCHAR|FIXEDSTRING|STRING|TEXT)(?:\(\d+\))?"
    r"|ENUM\d*\(.*\)",
    Family.MOMENT: r"DATE(?:32)?|DATETIME(?:64)?(?:\(.*\))?"
    r"|TIMESTAMP(?:_S|_MS|_NS|_NTZ)?(?:\(\d\))?(?: WITHOUT TIME ZONE)?",
    Family.ORDERED: r"TIMESTAMP(?:TZ|_TZ|_LTZ)(?:\(\d\))?|TIMESTAMP(?:\(\d\))? WITH TIME ZONE"
    r"|TIME(?:\(\d\))?(?: WITHOUT TIME ZONE)?|UUID",
}
_MATCHES = {family: re.compile(rf"(?:{pattern})\Z", re.DOTALL | re.IGNORECASE) for family, pattern in _FAMILIES.items()}
_FLOATS = re.compile(r"(?:FLOAT\d*|DOUBLE(?: PRECISION)?|REAL)\Z", re.IGNORECASE)
_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)\Z", re.DOTALL)
_DATE = re.compile(r"DATE(?:32)?\Z", re.IGNORECASE)
_INTEGER = re.compile(
    r"(?:U?(?:TINY|SMALL|BIG|HUGE|MEDIUM)?INT|U?INTEGER|U?INT\d+|LONG|NUMBER\(\d+, ?0\))\Z", re.IGNORECASE
)


class TimeKind(StrEnum):
    """How a column says a time."""

    DATE = "date"
    NAIVE = "naive"
    """Without a time zone."""
    ZONED = "zoned"
    TEXT = "text"
    INTEGER = "integer"
    NONE = "none"
    """It can't."""


def time_kind(kind: str, zoned: str) -> TimeKind:
    """That of a type. ``zoned``: how the engine spells that of moments, which others may spell without a zone."""
    kind = bare(kind)
    if kind.upper() == zoned.upper() or (family(kind) is Family.ORDERED and kind.upper().startswith("TIMESTAMP")):
        return TimeKind.ZONED
    if _DATE.match(kind):
        return TimeKind.DATE
    if family(kind) is Family.MOMENT:
        return TimeKind.NAIVE
    if family(kind) is Family.TEXT and not kind.upper().startswith("ENUM"):
        return TimeKind.TEXT
    return TimeKind.INTEGER if _INTEGER.match(kind) else TimeKind.NONE


def bare(kind: str) -> str:
    """A type without what says that it may be NULL, or how it is kept."""
    while (found := _WRAPPED.match(kind)) is not None:
        kind = found[1]
    return kind


def family(kind: str) -> Family:
    """That of a type."""
    kind = bare(kind)
    return next((f for f, pattern in _MATCHES.items() if pattern.match(kind)), Family.OTHER)


def is_float(kind: str) -> bool:
    """Whether its numbers are approximate."""
    return _FLOATS.match(bare(kind)) is not None


def is_text_like(before: str, after: str) -> bool:
    """Whether values of these two types, of one column before and after, are to be compared as texts.

    Of two types: unless both are numbers, or both are dates and times. Of one: where it has intervals in it, for
    engines take 1 month and 30 days for the same.
    """
    if before == after:
        return "INTERVAL" in before.upper() and family(before) is Family.OTHER
    families = {family(before), family(after)}
    return families not in ({Family.NUMBER}, {Family.MOMENT})
