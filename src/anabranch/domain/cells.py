"""Values that people write in files, before an engine has typed them.

A plain word is read as YAML 1.2 reads it, with dates and moments besides: ``no`` and ``12:30`` are texts, ``010`` is
ten. The text stays with the value, so that ``2.50`` becomes that very decimal where the column is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum


class Form(StrEnum):
    """What a value was written as."""

    NULL = "null"
    BOOL = "bool"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    TEXT = "text"
    LIST = "list"
    MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class Cell:
    """One value. ``text``: as an engine reads it (``true``, ``255``, ``2022-01-01``); ``line`` and ``column``: where it
    stands, from 1."""

    form: Form
    text: str = ""
    items: tuple[Cell, ...] = ()
    fields: tuple[tuple[str, Cell], ...] = ()
    line: int = field(default=1, compare=False)
    column: int = field(default=1, compare=False)

    def value(self) -> object:
        """As Python has it; a number with a point is a ``Decimal``, or a ``float`` where it has no digits."""
        match self.form:
            case Form.NULL:
                return None
            case Form.BOOL:
                return self.text == "true"
            case Form.INTEGER:
                return int(self.text)
            case Form.NUMBER:
                return Decimal(self.text) if self.text[-1].isdigit() or self.text[-1] == "." else float(self.text)
            case Form.DATE:
                return date.fromisoformat(self.text)
            case Form.MOMENT:
                return datetime.fromisoformat(self.text)
            case Form.LIST:
                return [item.value() for item in self.items]
            case Form.MAPPING:
                return {name: item.value() for name, item in self.fields}
            case _:
                return self.text

    def leaves(self) -> Iterator[Cell]:
        """All values in it that hold no others."""
        inner = (*self.items, *(item for _, item in self.fields))
        if not inner:
            yield self
        for item in inner:
            yield from item.leaves()

    def shown(self) -> str:
        """In one line."""
        if self.form is Form.LIST:
            return f"[{', '.join(i.shown() for i in self.items)}]"
        if self.form is Form.MAPPING:
            return "{" + ", ".join(f"{n}: {i.shown()}" for n, i in self.fields) + "}"
        return repr(self.text) if self.form is Form.TEXT else self.text or "null"


_LONGEST = 1000
"""Digits that a number may have; Python refuses some thousands."""
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_BASED = re.compile(r"0(?:x[0-9a-fA-F]+|o[0-7]+)\Z")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_INFINITE = re.compile(r"([-+]?)\.(?:inf|Inf|INF)\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?) ?"
    r"(Z|z|[-+][0-9]{2}(?::?[0-9]{2})?)?\Z"
)


def plain(text: str) -> tuple[Form, str]:
    """What a word that stands without quotes means, and its text as an engine reads it."""
    if text in ("", "~", "null", "Null", "NULL"):
        return Form.NULL, ""
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return Form.BOOL, text.lower()
    first = text[0]
    if not (first.isdigit() or first in "+-."):
        return Form.TEXT, text
    if _INTEGER.match(text):
        return (Form.INTEGER, str(int(text))) if len(text) <= _LONGEST else (Form.TEXT, text)
    if _BASED.match(text):
        return Form.INTEGER, str(int(text, 0))
    if _NUMBER.match(text):
        return Form.NUMBER, text
    if (found := _INFINITE.match(text)) is not None:
        return Form.NUMBER, f"{'-' if found[1] == '-' else ''}inf"
    if text in (".nan", ".NaN", ".NAN"):
        return Form.NUMBER, "nan"
    return _time(text)


def _time(text: str) -> tuple[Form, str]:
    try:
        if _DATE.match(text):
            return Form.DATE, date.fromisoformat(text).isoformat()
        if (found := _MOMENT.match(text)) is not None:
            day, hour, zone = found.groups()
            hour += ":00" if len(hour) == len("12:00") else ""  # engines want seconds
            spelled = f"{day} {hour}{(zone or '').upper().replace('Z', '+00:00')}"
            datetime.fromisoformat(spelled)
            return Form.MOMENT, spelled
    except ValueError:  # a day that doesn't exist
        pass
    return Form.TEXT, text


def as_number(text: str) -> Decimal | None:
    """The number that ``text`` spells; None where it spells none."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def as_moment(text: str) -> datetime | None:
    """The day (its first moment) or the moment that ``text`` spells, in UTC and without a zone; None where none."""
    form, spelled = _time(text.strip())
    if form is Form.TEXT:
        return None
    return naive(datetime.fromisoformat(spelled))


def naive(moment: datetime) -> datetime:
    """In UTC, without a zone."""
    offset = moment.utcoffset()
    return moment.replace(tzinfo=None) - offset if offset is not None else moment
