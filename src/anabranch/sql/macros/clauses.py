"""The macros that stand for the first word of a clause: ``@WHERE(condition) …`` is ``WHERE …``, or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.sql.macros.lexer import CLOSING, OPENING, Lexeme
from anabranch.sql.words import word_set

CLAUSES = {
    "with": "WITH",
    "join": "JOIN",
    "where": "WHERE",
    "group_by": "GROUP BY",
    "having": "HAVING",
    "order_by": "ORDER BY",
    "limit": "LIMIT",
}
JOIN_WORDS = word_set("left right full inner outer cross natural asof positional semi anti join")
_NEXT = word_set("where group having window qualify order limit offset fetch union except intersect using")
_CALLED = frozenset(["left", "right"])
"""Functions, too."""


def clause_end(found: Sequence[Lexeme], at: int, clause: str) -> int:
    """The index just behind a clause whose first word stood before ``at``."""
    depth = 0
    for i in range(at, len(found)):
        lexeme = found[i]
        if lexeme.kind == "sign":
            if lexeme.text in OPENING:
                depth += 1
            elif lexeme.text in CLOSING:
                if not depth:
                    return i
                depth -= 1
            elif not depth and (lexeme.text == ";" or (lexeme.text == "," and clause == "join")):
                return i
        elif not depth and _begins(found, i, clause):
            return i
    return len(found)


def _begins(found: Sequence[Lexeme], i: int, clause: str) -> bool:
    """Whether another clause begins here."""
    lexeme = found[i]
    called = i + 1 < len(found) and found[i + 1].is_sign("(")
    if i and found[i - 1].is_sign("."):
        return False
    if lexeme.kind == "macro":
        return called and lexeme.lower[1:] in CLAUSES
    if lexeme.kind != "word":
        return False
    word = lexeme.lower
    if clause == "with":
        return word in ("select", "from", "values")
    if word == "using":
        return clause != "join" and _follows(found, i, "sample")
    if clause == "join" and word in JOIN_WORDS:
        return not (called and word in _CALLED)
    return word in _NEXT


def _follows(found: Sequence[Lexeme], i: int, word: str) -> bool:
    return any(x.lower == word for x in found[i + 1 : i + 3])
