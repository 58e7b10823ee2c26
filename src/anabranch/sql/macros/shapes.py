"""The shapes of texts: values, lists, functions, and what may stand beside an operator."""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.sql.macros.conditions import Undecidable, evaluate
from anabranch.sql.macros.lexer import CLOSING, OPENING, Lexeme, closing, lex, significant, split
from anabranch.sql.macros.moments import moment_sql
from anabranch.sql.macros.scope import Function, Local, Moment
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Sql, Value
from anabranch.sql.words import word_set

OPERATORS = word_set("+ - * / % || = == <> != < <= > >= :: . [ ^ & | ~ ->")
OPERATOR_WORDS = word_set("and or not in like ilike between is collate")
_MORE_WORDS = word_set("exclude except replace rename as over filter then else")
_HALVES = (OPERATORS | OPERATOR_WORDS | _MORE_WORDS) - {"-", "+", "~", "not", "["}
"""What begins a text that goes on with what stands before it, and so stands in no parentheses."""


def plain_value(value: Local) -> Value:
    """As conditions and Python macros see it."""
    if isinstance(value, Moment):
        return Sql(moment_sql(value.name))
    return Sql(value.body.text) if isinstance(value, Function) else value


def as_value(text: str) -> Value:
    """A text of SQL as a value: of a literal, or of a list of them; else it stays SQL."""
    text = text.strip()
    found = significant(lex(text))
    if len(found) == 1 and (found[0].kind in ("string", "number") or found[0].lower in ("true", "false", "null")):
        try:
            return evaluate(text)
        except Undecidable:
            return Sql(text)
    if found and found[0].text in ("[", "(") and closing(found, 0) == len(found) - 1:
        members = [as_value(text[p[0].start : p[-1].end]) for p in split(found[1:-1]) if p]
        if found[0].text == "[" or len(members) > 1:
            return members
    return Sql(text)


def as_function(text: Mapped) -> Function | None:
    """``x -> body``, ``(x, y) -> body``."""
    found = significant(lex(text.text))
    arrow = next((i for i, x in enumerate(found) if x.is_sign("->")), None)
    if arrow is None:
        return None
    head = found[:arrow]
    if len(head) > 1 and head[0].is_sign("(") and head[-1].is_sign(")"):
        head = head[1:-1]
    params = head[::2]
    if not params or any(p.kind != "word" for p in params) or any(not c.is_sign(",") for c in head[1::2]):
        return None
    return Function(tuple(p.lower for p in params), text.slice(found[arrow].end, len(text.text)).strip())


def listed(text: Mapped) -> list[Mapped]:
    """The members of ``[a, b]``, ``(a, b)`` or ``a, b``; one alone is a list of one, and NULL is an empty list."""
    found = significant(lex(text.text))
    if found and found[0].lower in ("array", "list") and len(found) > 1 and found[1].is_sign("["):
        found = found[1:]
    if found and found[0].text in ("[", "(") and closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    elif len(found) == 1 and found[0].lower == "null":
        return []
    return [text.slice(p[0].start, p[-1].end) for p in split(found) if p]


def is_whole(text: str) -> bool:
    """Whether nothing around it can take a part of it (a literal, a name, a call, something in parentheses), or it
    can't stand in parentheses at all."""
    found = significant(lex(text))
    if len(found) < 2:
        return True
    first, last = found[0].lower, found[-1].lower
    if (first == "case" and last == "end") or first in _HALVES or last in _HALVES:
        return True
    if first in OPENING:
        return closing(found, 0) == len(found) - 1
    at = 0
    while at + 2 < len(found) and found[at + 1].is_sign("."):
        at += 2
    if at == len(found) - 1:
        return True
    if found[at].kind in ("word", "quoted") and found[at + 1].is_sign("("):
        return closing(found, at + 1) == len(found) - 1
    return len(split(found)) > 1 or any(x.lower == "as" for x in _outer(found))


def _outer(found: Sequence[Lexeme]) -> list[Lexeme]:
    """What stands in no parentheses."""
    depth = 0
    outer: list[Lexeme] = []
    for lexeme in found:
        if lexeme.kind == "sign":
            depth += (lexeme.text in OPENING) - (lexeme.text in CLOSING)
        if not depth:
            outer.append(lexeme)
    return outer
