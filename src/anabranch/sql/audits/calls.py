"""What model files and audit files say of audits, as plain values that a cache can keep. Nothing here loads sqlglot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Place = tuple[int, int, int]
"""Line, column and length, from 1, in the file."""


@dataclass(frozen=True, slots=True)
class Item:
    """An expression, as written. ``column``: the column that it is, in the form in which the dialect compares it; None
    for everything else."""

    text: str
    column: str | None
    at: Place = (1, 1, 1)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument's value: one expression, or (``listed``) several in parentheses."""

    items: tuple[Item, ...]
    listed: bool = False
    at: Place = (1, 1, 1)
    """Of the argument's name."""

    def sql(self) -> str:
        """As it stands for ``@name`` in a query. Only columns, single words and literals go without parentheses."""
        if self.listed:
            return f"({', '.join(i.text for i in self.items)})"
        (item,) = self.items
        return item.text if item.column is not None or _is_plain(item.text) else f"({item.text})"

    def text(self) -> str:
        """As it was written, in one line."""
        inner = ", ".join(" ".join(i.text.split()) for i in self.items)
        return f"({inner})" if self.listed else inner


@dataclass(frozen=True, slots=True)
class Call:
    """``name(argument := value, …)`` in ``audits (…)``."""

    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    at: Place = (1, 1, 1)

    def text(self) -> str:
        """Its arguments, for people."""
        return ", ".join(f"{name} := {value.text()}" for name, value in self.arguments.items())


@dataclass(frozen=True, slots=True)
class Definition:
    """``AUDIT (name …); SELECT …``. ``pieces``: the query's text and the names after ``@`` by turns, beginning and
    ending with text; ``start``: where the query begins (line, column)."""

    name: str
    pieces: tuple[str, ...]
    start: tuple[int, int] = (1, 1)
    blocking: bool = True
    skip: bool = False
    defaults: Mapping[str, Argument] = field(default_factory=dict)
    at: Place = (1, 1, 1)
    """Of its name."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names after ``@``, each once."""
        return tuple(dict.fromkeys(self.pieces[1::2]))


def encode_calls(calls: Sequence[Call]) -> list[Any]:
    """As JSON has it."""
    return [[c.name, _encode_arguments(c.arguments), c.at] for c in calls]


def decode_calls(raw: list[Any]) -> tuple[Call, ...]:
    """The inverse of :func:`encode_calls`."""
    return tuple(Call(name, _decode_arguments(arguments), _place(at)) for name, arguments, at in raw)


def encode_definitions(definitions: Sequence[Definition]) -> list[Any]:
    """As JSON has it."""
    return [[d.name, d.pieces, d.start, d.blocking, d.skip, _encode_arguments(d.defaults), d.at] for d in definitions]


def decode_definitions(raw: list[Any]) -> tuple[Definition, ...]:
    """The inverse of :func:`encode_definitions`."""
    return tuple(
        Definition(name, tuple(pieces), (start[0], start[1]), blocking, skip, _decode_arguments(defaults), _place(at))
        for name, pieces, start, blocking, skip, defaults, at in raw
    )


def encode_file(definitions: Sequence[Definition]) -> str:
    """An audit file, as the cache keeps it."""
    return json.dumps(encode_definitions(definitions), ensure_ascii=False, separators=(",", ":"))


def decode_file(text: str) -> tuple[Definition, ...]:
    """The inverse of :func:`encode_file`. Raises ``ValueError`` where it isn't that."""
    try:
        return decode_definitions(json.loads(text))
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"not an audit file: {error}") from error


def _is_plain(text: str) -> bool:
    if text.startswith("'") and text.endswith("'"):
        return "'" not in text[1:-1]
    return text.replace("_", "").replace(".", "").isalnum()


def _encode_arguments(arguments: Mapping[str, Argument]) -> list[Any]:
    return [[n, [[i.text, i.column, i.at] for i in a.items], a.listed, a.at] for n, a in arguments.items()]


def _decode_arguments(raw: list[Any]) -> dict[str, Argument]:
    return {
        name: Argument(tuple(Item(t, c, _place(p)) for t, c, p in items), listed, _place(at))
        for name, items, listed, at in raw
    }


def _place(raw: list[int]) -> Place:
    return (raw[0], raw[1], raw[2])
