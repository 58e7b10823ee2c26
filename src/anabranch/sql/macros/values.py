"""The values of variables: numbers, texts, truth, lists; and SQL that isn't evaluated.

Nothing here loads sqlglot: settings are made of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TypeAlias

_PLAIN = re.compile(r"[^\W\d]\w*\Z")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")
_NUMBER = re.compile(r"\d+(?:\.\d+)?\Z")


class Sql(str):
    """SQL as it stands: a column, an expression, a query. Not a text."""

    __slots__ = ()


Value: TypeAlias = "bool | int | float | Decimal | str | Sequence[Value] | None"
"""A ``str`` is a text unless it is :class:`Sql`."""


def literal(text: str) -> str:
    """A text as a string literal."""
    return "'" + text.replace("'", "''") + "'"


def to_sql(value: Value) -> str:
    """As ``@name`` is replaced: a text becomes a string literal, a list becomes ``(a, b)``."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, Sql):
        return str(value)
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, int | float | Decimal):
        return _number(value)
    return f"({', '.join(to_sql(v) for v in value)})"


def to_text(value: Value) -> str:
    """As ``@{name}`` is replaced: without quotes, to be part of a name or of a string."""
    if isinstance(value, Sql):
        text = str(value).strip()
        if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" and text[0] not in text[1:-1]:
            return text[1:-1]
        return text
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | int | float | Decimal):
        return to_sql(value).lower() if isinstance(value, bool) else to_sql(value)
    return ", ".join(to_text(v) for v in value)


def identifier(text: str, alone: bool = False) -> str:
    """A text as a name in SQL, in quotes where it must be. ``alone``: it is the whole name, and so may be a name of
    several parts, or a number."""
    if _PLAIN.match(text) or (alone and (_DOTTED.match(text) or _NUMBER.match(text))):
        return text
    if alone and '"' in text:
        return text
    return '"' + text.replace('"', '""') + '"'


def is_dotted(text: str) -> bool:
    """Whether it is a plain name, of one part or several."""
    return _DOTTED.match(text) is not None


def _number(value: float | Decimal) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f") if value == value.to_integral() else format(value, "f")
    return repr(value)
