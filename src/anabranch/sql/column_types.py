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
    Family.NUMBER: r"U?(?:TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|INT\d|FLOAT\d?|DOUBLE(?: PRECISION)?|REAL"
    r"|(?:DECIMAL|NUMERIC|NUMBER)(?:\(.*\))?",
    Family.BOOLEAN: "BOOL(?:EAN)?",
    Family.TEXT: r"(?:VARCHAR|CHAR|CHARACTER VARYING|CHARACTER)(?:\(\d+\))?|TEXT|STRING|BPCHAR|ENUM\(.*\)",
    Family.MOMENT: r"DATE|DATETIME|TIMESTAMP(?:_S|_MS|_NS)?(?:\(\d\))?(?: WITHOUT TIME ZONE)?",
    Family.ORDERED: "TIMESTAMP(?:TZ| WITH TIME ZONE)|TIME|UUID",
}
_MATCHES = {family: re.compile(rf"(?:{pattern})\Z", re.DOTALL | re.IGNORECASE) for family, pattern in _FAMILIES.items()}
_FLOATS = re.compile(r"(?:FLOAT\d?|DOUBLE(?: PRECISION)?|REAL)\Z", re.IGNORECASE)


def family(kind: str) -> Family:
    """That of a type."""
    return next((f for f, pattern in _MATCHES.items() if pattern.match(kind)), Family.OTHER)


def is_float(kind: str) -> bool:
    """Whether its numbers are approximate."""
    return _FLOATS.match(kind) is not None


def is_text_like(before: str, after: str) -> bool:
    """Whether values of these two types, of one column before and after, are to be compared as texts.

    Of two types: unless both are numbers, or both are dates and times. Of one: where it has intervals in it, for
    engines take 1 month and 30 days for the same.
    """
    if before == after:
        return "INTERVAL" in before.upper() and family(before) is Family.OTHER
    families = {family(before), family(after)}
    return families not in ({Family.NUMBER}, {Family.MOMENT})
