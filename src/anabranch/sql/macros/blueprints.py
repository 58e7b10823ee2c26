"""One file, many models: ``blueprints ((customer := a, region := 'x'), (…))`` in the header."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from anabranch.sql.macros.expand import Expander
from anabranch.sql.macros.lexer import Lexeme, closing, lex, significant, split
from anabranch.sql.macros.scope import Scope
from anabranch.sql.macros.shapes import as_value
from anabranch.sql.macros.text import Mapped, join
from anabranch.sql.macros.values import Value

_FORM = "write blueprints ((customer := a, region := 'x'), (customer := b, region := 'y'))"
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Blueprint:
    """The variables of one model. ``label`` names it in errors; empty where the file is a model of its own."""

    values: Mapping[str, Value] = field(default_factory=dict)
    label: str = ""


@dataclass(frozen=True, slots=True)
class Blueprints:
    """``header``: without the property."""

    header: Mapped
    each: Sequence[Blueprint]


def blueprints(header: Mapped, expander: Expander) -> Blueprints:
    """The blueprints that a header lists; a single one without variables where there are none.

    Raises:
        ModelError: they can't be read, or two are alike.
    """
    found = lex(header.text)
    words = significant(found)
    close = closing(words, 1) if len(words) > 1 else None
    for item in split(words[2:close]) if close else []:
        if len(item) > 1 and item[0].lower == "blueprints":
            value = header.slice(item[2 if item[1].is_sign("=") else 1].start, item[-1].end)
            return Blueprints(_without(header, words, item), _read(value, expander))
    return Blueprints(header, [Blueprint()])


def _without(header: Mapped, words: Sequence[Lexeme], item: Sequence[Lexeme]) -> Mapped:
    start, end = item[0].start, item[-1].end
    for before, after in pairwise(words):
        if before is item[-1] and after.is_sign(","):
            end = after.end
    return join([header.slice(0, start), header.slice(end, len(header.text))])


def _read(value: Mapped, expander: Expander) -> list[Blueprint]:
    place = value.place(0, len(value.text))
    made = expander.expand(value, Scope()).strip()
    words = significant(lex(made.text))
    if len(words) > 1 and words[0].is_sign("(") and closing(words, 0) == len(words) - 1 and words[1].is_sign("("):
        words = words[1:-1]
    found: list[Blueprint] = []
    for item in split(words):
        if not item:
            continue
        if len(item) < 2 or not item[0].is_sign("(") or closing(item, 0) != len(item) - 1:
            expander.fail("blueprints can't be read", made.place(item[0].start, item[-1].end), _FORM)
        found.append(_one(made, item[1:-1], expander))
    if not found:
        expander.fail("there are no blueprints", place, _FORM)
    return found


def _one(made: Mapped, words: Sequence[Lexeme], expander: Expander) -> Blueprint:
    values: dict[str, Value] = {}
    for part in split(words):
        if not part:
            continue
        place = made.place(part[0].start, part[-1].end)
        if len(part) < 3 or part[0].kind != "word" or part[1].text not in (":=", "="):
            expander.fail("a blueprint's variable can't be read", place, _FORM)
        if part[0].lower in values:
            expander.fail(f"the blueprint says {part[0].text} twice", place, "keep one of them")
        values[part[0].lower] = as_value(made.text[part[2].start : part[-1].end])
    label = ", ".join(made.text[p[0].start : p[-1].end] for p in split(words) if p)
    label = label if len(label) <= _SHOWN else f"{label[: _SHOWN - 1]}…"
    return Blueprint(values, label or "()")
