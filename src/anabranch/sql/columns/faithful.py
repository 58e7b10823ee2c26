"""Whether a tree holds all that its text says.

sqlglot rewrites some of what it reads, and drops some of it: ``date_trunc(unit, at)`` becomes a truncation to a unit
called UNIT, whether or not there is such a column. What is hashed is the tree, and what is run is the text, so each
name and each literal of the text has to be in the tree.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from sqlglot import Token, TokenType, exp

from anabranch.sql.canonical import has_odd_gaps
from anabranch.sql.columns.values import Unhandled
from anabranch.sql.syntax import Statement
from anabranch.sql.words import word_set

_NAMES = frozenset({TokenType.VAR, TokenType.IDENTIFIER})
_SPAN = re.compile(r"(\d+) ([A-Za-z]+)\Z")
_SYNTAX = word_set(
    "exclude replace filter over nulls first last all by name semi anti within group both leading trailing "
    "preceding following unbounded current row year month day hour minute second week quarter"
)
"""Words that are no names where the tree has none at their place. Units are looked at once more."""
_UNITS = word_set("year month day hour minute second week quarter")


def check(statement: Statement) -> None:
    """Raises :class:`Unhandled` for a text of which the tree may lack something."""
    if has_odd_gaps(statement):
        raise Unhandled("words that touch, or are set apart by unusual white space")
    _check_names(statement)
    _check_literals(statement)


def _check_names(statement: Statement) -> None:
    known = {n.meta.get("start") for n in statement.root.find_all(exp.Identifier, exp.Star)}
    units = Counter(
        v.name.lower() for v in statement.root.find_all(exp.Var) if isinstance(v.parent, exp.Interval | exp.Extract)
    )
    tokens = statement.tokens
    for i, token in enumerate(tokens):
        if token.token_type not in _NAMES or token.start in known:
            continue
        word = token.text.lower()
        if i + 1 < len(tokens) and tokens[i + 1].token_type is TokenType.L_PAREN:
            continue  # a function's name, which counts where the function is read
        if token.token_type is TokenType.IDENTIFIER or (word not in _SYNTAX and units[word] <= 0):
            raise Unhandled(f"{token.text!r}, which isn't understood there")
        if word in _UNITS or units[word] > 0:
            units[word] -= 1
            if units[word] < 0:
                raise Unhandled(f"{token.text!r}, which may be a column or a unit of time")


def _check_literals(statement: Statement) -> None:
    written = Counter(_literals(statement.tokens))
    written.subtract(Counter(_held(statement.root)))
    missing = [text for text, count in written.items() if count > 0 for _ in range(count)]
    if not missing:
        return
    units = Counter(v.name.lower() for v in statement.root.find_all(exp.Var))
    spans = Counter(
        (n.this.name, n.args["unit"].name.lower())
        for n in statement.root.find_all(exp.Interval)
        if isinstance(n.this, exp.Literal) and isinstance(n.args.get("unit"), exp.Var)
    )
    for text in missing:
        span = _SPAN.match(text)
        if span and spans[span[1], span[2].lower().removesuffix("s")] + spans[span[1], span[2].lower()] > 0:
            spans[span[1], span[2].lower()] -= 1
        elif units[text.lower()] > 0:
            units[text.lower()] -= 1
        else:
            raise Unhandled(f"{text[:20]!r}, which the parser takes for something else")


def _held(root: exp.Expr) -> Iterator[str]:
    """The literals of a tree, as they were written."""
    for node in root.find_all(exp.Literal, exp.PropertyEQ):
        if isinstance(node, exp.PropertyEQ):
            yield node.this.name
        elif node.is_string:
            yield node.this
        elif isinstance(node.parent, exp.Bracket) and str(node.this).isdigit():
            yield str(int(node.this) + 1)  # sqlglot counts from 0
        else:
            yield _number(node.this)


def _literals(tokens: Sequence[Token]) -> list[str]:
    found: list[str] = []
    for token in tokens:
        if token.token_type is TokenType.NUMBER:
            found.append(_number(token.text))
        elif token.token_type is TokenType.STRING:
            found.append(token.text)
        elif token.token_type in _UNUSUAL:
            raise Unhandled("a string of an unusual form")
    return found


_UNUSUAL = frozenset(
    {TokenType.RAW_STRING, TokenType.BYTE_STRING, TokenType.HEX_STRING, TokenType.BIT_STRING, TokenType.HEREDOC_STRING}
    | {TokenType.NATIONAL_STRING, TokenType.UNICODE_STRING, TokenType.PARAMETER, TokenType.PLACEHOLDER}
)


def _number(text: str) -> str:
    text = text.replace("_", "")
    return f"0{text}" if text.startswith(".") else text
