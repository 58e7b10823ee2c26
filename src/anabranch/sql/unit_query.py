"""A model's query as its unit tests run it: in DuckDB, at a given moment, whole or one expression of its WITH."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlglot import ErrorLevel, Token, TokenType, exp, parse_one
from sqlglot.errors import SqlglotError

from anabranch.domain.names import nearest
from anabranch.errors import UnitTestError
from anabranch.sql.header import closing
from anabranch.sql.moments import frozen, tells_present
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.syntax import Statement, single
from anabranch.sql.syntax import dialect as dialect_of
from anabranch.sql.template import Template

DUCKDB = "duckdb"


def unit_template(
    query: str, dialect: str, default_schema: str, *, moment: datetime | None = None, cte: str | None = None
) -> Template:
    """The query in DuckDB's dialect, with holes for what it reads; ``cte``: the rows of that expression instead.

    Raises:
        UnitTestError: there is no such expression, or DuckDB has nothing that does what the query does.
        SqlSyntaxError: it doesn't parse.
    """
    statement = single(in_duckdb(query, dialect), DUCKDB)
    if cte is not None:
        statement = single(_only(statement, cte), DUCKDB)
    if moment is not None:
        statement = single(frozen(statement, moment), DUCKDB)
    return make_template(statement, find_reads(statement).reads, default_schema)


def in_duckdb(query: str, dialect: str) -> str:
    """The query in DuckDB's dialect. Raises ``UnitTestError`` where it can't be said there."""
    if dialect == DUCKDB:
        return query
    try:
        return single(query, dialect).root.sql(DUCKDB, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError as error:
        raise UnitTestError(
            f"the query can't be run in DuckDB, where tests run: {str(error).splitlines()[0]}",
            hint=f"write it without what only {dialect} has, or leave out the test",
        ) from error


def asks_for_present(query: str, dialect: str) -> bool:
    """Whether the query gives something else at another moment, as far as functions of time go."""
    return tells_present(single(in_duckdb(query, dialect), DUCKDB))


def cte_names(query: str, dialect: str) -> list[str]:
    """The common table expressions at the query's beginning, as written."""
    return [name for name, _, _ in _ctes(single(in_duckdb(query, dialect), DUCKDB))]


def data_type(text: str, dialect: str) -> str:
    """The name of a type, as DuckDB spells it. Raises ``ValueError`` for what is no type."""
    try:
        found = parse_one(text, read=dialect_of(dialect), into=exp.DataType, error_level=ErrorLevel.IMMEDIATE)
        return found.sql(DUCKDB)
    except (SqlglotError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{text!r} is no type") from error


def _only(statement: Statement, name: str) -> str:
    found = _ctes(statement)
    for known, token, end in found:
        if known.lower() == name.lower():
            quoted = statement.source.text[token.start : token.end + 1]
            return f"{statement.source.text[statement.start : end]}\nSELECT * FROM {quoted}"
    names = [n for n, _, _ in found]
    near = nearest(name, names)
    hint = f"did you mean {near}?" if near else f"it has: {', '.join(names)}" if names else "it begins with no WITH"
    raise UnitTestError(f"the query has no common table expression {name}", hint=hint)


def _ctes(statement: Statement) -> list[tuple[str, Token, int]]:
    """The expressions of the WITH that the statement begins with: name, its token, and where it ends in the text."""
    tokens = statement.tokens
    if not tokens or tokens[0].token_type is not TokenType.WITH:
        return []
    at = 2 if len(tokens) > 1 and tokens[1].token_type is TokenType.RECURSIVE else 1
    found: list[tuple[str, Token, int]] = []
    while at < len(tokens):
        name = tokens[at]
        end = _body_end(tokens, at + 1)
        if end is None:
            break
        found.append((name.text, name, tokens[end].end + 1))
        if end + 1 >= len(tokens) or tokens[end + 1].token_type is not TokenType.COMMA:
            break
        at = end + 2
    return found


def _body_end(tokens: Sequence[Token], at: int) -> int | None:
    """The index of the parenthesis that closes the expression whose name stands before ``at``."""
    seen_as = False
    while at < len(tokens):
        if tokens[at].token_type is TokenType.ALIAS:
            seen_as = True
        elif tokens[at].token_type is TokenType.L_PAREN:
            end = closing(tokens, at)
            if end is None or seen_as:
                return end
            at = end
        at += 1
    return None
