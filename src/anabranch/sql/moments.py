"""A query in which the present is a given moment.

The functions of DuckDB that tell the present are replaced in the query's own text: ``now()``, ``current_date`` and
their kin; ``age(x)``, which counts from today, gets today as its first argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlglot import Token, TokenType

from anabranch.sql.header import closing, commas
from anabranch.sql.labels import label_outputs
from anabranch.sql.qualifiers import Edit
from anabranch.sql.syntax import Statement

_CALLS = {
    "now": "TIMESTAMPTZ",
    "transaction_timestamp": "TIMESTAMPTZ",
    "get_current_timestamp": "TIMESTAMPTZ",
    "get_current_time": "TIMETZ",
    "current_localtimestamp": "TIMESTAMP",
    "current_localtime": "TIME",
    "today": "DATE",
}
_WORDS = {
    "current_timestamp": "TIMESTAMPTZ",
    "current_time": "TIMETZ",
    "localtimestamp": "TIMESTAMP",
    "localtime": "TIME",
    "current_date": "DATE",
}
"""With or without parentheses."""


def tells_present(statement: Statement) -> bool:
    """Whether the query asks for the present."""
    return bool(_edits(statement, datetime(2000, 1, 1)))  # noqa: DTZ001  # any will do


def frozen(statement: Statement, moment: datetime) -> str:
    """The statement's text, with ``moment`` (in UTC) for the present. Names of columns stay what they were."""
    edits = _edits(statement, moment)
    edits += label_outputs(statement, edits)
    text, at, parts = statement.source.text, statement.start, []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at : statement.end]])


def _edits(statement: Statement, moment: datetime) -> list[Edit]:
    tokens, text = statement.tokens, statement.source.text
    found: list[Edit] = []
    for i, token in enumerate(tokens):
        word = text[token.start : token.end + 1].lower()
        if token.token_type in (TokenType.STRING, TokenType.IDENTIFIER) or not _may_be_function(tokens, i):
            continue
        end = _empty_call(tokens, i)
        if word in _WORDS and (end is not None or not _is_call(tokens, i)):
            found.append(Edit(token.start, tokens[end or i].end + 1, _literal(moment, _WORDS[word])))
        elif word in _CALLS and end is not None:
            found.append(Edit(token.start, tokens[end].end + 1, _literal(moment, _CALLS[word])))
        elif word == "age" and _is_call(tokens, i):
            close = closing(tokens, i + 1)
            if close is not None and len([c for c in commas(tokens[i + 2 : close]) if c]) == 1:
                start = tokens[i + 2].start
                found.append(Edit(start, start, f"CAST({_literal(moment, 'DATE')} AS TIMESTAMP), "))
    return found


def _may_be_function(tokens: Sequence[Token], i: int) -> bool:
    """It is no part of a longer name, and no alias."""
    before = tokens[i - 1].token_type if i else None
    after = tokens[i + 1].token_type if i + 1 < len(tokens) else None
    return before not in (TokenType.DOT, TokenType.ALIAS) and after is not TokenType.DOT


def _is_call(tokens: Sequence[Token], i: int) -> bool:
    return i + 1 < len(tokens) and tokens[i + 1].token_type is TokenType.L_PAREN


def _empty_call(tokens: Sequence[Token], i: int) -> int | None:
    """The index of the closing parenthesis of ``name()``."""
    if _is_call(tokens, i) and i + 2 < len(tokens) and tokens[i + 2].token_type is TokenType.R_PAREN:
        return i + 2
    return None


def _literal(moment: datetime, kind: str) -> str:
    """Of a type; from the moment, as the session's time zone has it."""
    at = f"CAST('{moment.isoformat(sep=' ')}+00' AS TIMESTAMPTZ)"
    match kind:
        case "TIMESTAMPTZ":
            return at
        case "TIME" | "TIMETZ":
            return f"CAST(CAST({at} AS TIMESTAMP) AS {kind})"
        case _:
            return f"CAST({at} AS {kind})"
