"""From text to tokens and one tree, with errors in plain words at their place in the file.

A :class:`Source` knows where its text came from. A :class:`Statement` is one query of it: its tokens and its tree,
whose positions are those of the whole text. Trees are shared: nobody changes one.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlglot import Token, TokenType, dialects, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ParseError, SqlglotError, TokenError

from anabranch.domain.names import nearest
from anabranch.errors import AnabranchError, SqlSyntaxError, Where
from anabranch.sql.macros.moments import strays
from anabranch.sql.macros.text import Mapped

# sqlglot warns of statements that it doesn't know; those are refused here.
logging.getLogger("sqlglot").addHandler(logging.NullHandler())

ErrorType = TypeVar("ErrorType", bound=AnabranchError)

QUERY_WORDS = frozenset({"select", "with", "from", "values", "(", "table", "pivot", "unpivot"})
"""What a query begins with."""
INSPECTION_WORDS = frozenset({"describe", "desc", "summarize"})
MAX_DEPTH = 400
"""Of parentheses."""
_STUMBLES = (SqlglotError, TypeError, ValueError, AttributeError, LookupError, AssertionError)
"""What sqlglot raises on some texts, besides its own errors."""
_STRINGS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*", re.DOTALL)
_COMMENTS = re.compile(r"--[^\n\r]*|/\*")
_COMMENT_MARKS = re.compile(r"/\*|\*/")
_OPENERS = re.compile(r"/\*|'|\"|\$\w*\$")


class Origin(NamedTuple):
    """Where a text with macros expanded came from: the file's own text, and the place in it of each character."""

    text: str
    places: Mapped


@dataclass(frozen=True, slots=True)
class Source:
    """A text, and what to say of it in an error. Places are those of the file that it came from (``origin``)."""

    text: str
    dialect: str
    path: Path | None = None
    asset: str | None = None
    origin: Origin | None = None

    def position(self, start: int) -> tuple[int, int]:
        """The line and the column of an offset, from 1."""
        return self.span(start, start + 1)[:2]

    def span(self, start: int, end: int) -> tuple[int, int, int]:
        """The line and the column of ``text[start:end]``, from 1, and how many characters of the file it is."""
        text = self.text
        if self.origin is not None:
            text = self.origin.text
            start, end = self.origin.places.place(start, end)
        before = text.rfind("\n", 0, start)
        return text.count("\n", 0, start) + 1, start - before, end - start

    def error(
        self, kind: type[ErrorType], message: str, start: int = 0, end: int | None = None, hint: str | None = None
    ) -> ErrorType:
        """An error about ``text[start:end]``; to be raised by the caller."""
        text, end = self.text, start + 1 if end is None else end
        line, column, _ = self.span(start, end)
        if self.path is None:
            return kind(f"{message} (line {line}, column {column})", asset=self.asset, hint=hint)
        if self.origin is not None:
            text = self.origin.text
            start, end = self.origin.places.place(start, end)
        line_end = text.find("\n", start)
        end = min(end, len(text) if line_end < 0 else line_end)
        where = Where(self.path, line, column, max(1, end - start))
        return kind(message, asset=self.asset, where=where, hint=hint)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a source."""

    source: Source
    tokens: Sequence[Token]
    root: exp.Expr

    @property
    def start(self) -> int:
        return int(self.tokens[0].start)

    @property
    def end(self) -> int:
        """Just after its last word: neither a semicolon nor a comment follows before."""
        return int(self.tokens[-1].end) + 1

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


@cache
def dialect(name: str) -> Dialect:
    """sqlglot's dialect of that name: its own, whatever other packages (Ibis) have registered under the name since."""
    known = {each.lower(): each for each in dialects.DIALECTS}
    if name not in known:
        return Dialect.get_or_raise(name)
    found: type[Dialect] = getattr(dialects, known[name])
    return found()


def tokenize(source: Source) -> list[Token]:
    """All tokens.

    Raises:
        SqlSyntaxError: a quote or a comment that isn't closed, a template, or a control character that
            means something here.
    """
    if "\0" in source.text:  # it stands for holes in templates
        at = source.text.index("\0")
        raise source.error(SqlSyntaxError, "there is a NUL character here", at, at + 1, "delete it")
    at_mark = strays(source.text)
    if at_mark is not None:  # it stands for moments of an interval
        message = "there is a control character (0x02) here"
        raise source.error(SqlSyntaxError, message, at_mark, at_mark + 1, "delete it")
    try:
        tokens = dialect(source.dialect).tokenize(source.text)
    except TokenError as error:
        raise _unclosed(source) from error
    done = depth = 0
    brace = -1
    for token in tokens:
        if token.token_type is TokenType.L_PAREN:
            depth += 1
            if depth > MAX_DEPTH:  # the parser's own limit is the end of the process
                raise source.error(SqlSyntaxError, "the query is nested too deeply", token.start)
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        if token.start - done > 3:
            _check_gap(source, done, token.start)
        if token.token_type is TokenType.BLOCK_START:
            raise _template(source, token.start)
        if token.token_type is TokenType.L_BRACE:
            if token.start == brace + 1:
                raise _template(source, brace)
            brace = token.start
        done = token.end + 1
    _check_gap(source, done, len(source.text))
    return tokens


def split(tokens: Sequence[Token]) -> list[list[Token]]:
    """The statements, without the semicolons between them; empty ones are left out."""
    found: list[list[Token]] = [[]]
    for token in tokens:
        if token.token_type is TokenType.SEMICOLON:
            found.append([])
        else:
            found[-1].append(token)
    return [f for f in found if f]


def parse(source: Source, tokens: Sequence[Token]) -> Statement:
    """The tree of one statement's tokens.

    Raises:
        SqlSyntaxError: it doesn't parse.
    """
    parser = dialect(source.dialect).parser()
    try:
        (root,) = parser.parse(list(tokens), source.text)
    except ParseError as error:
        raise _mistake(source, tokens, error) from error
    except RecursionError as error:
        raise source.error(SqlSyntaxError, "the query is nested too deeply", tokens[0].start) from error
    except _STUMBLES as error:
        message = "this can't be read as SQL"
        raise source.error(SqlSyntaxError, message, tokens[0].start, tokens[-1].end + 1) from error
    if root is None:
        raise source.error(SqlSyntaxError, "there is no query here", tokens[0].start)
    return Statement(source, tokens, root)


@lru_cache(maxsize=64)
def single(text: str, dialect_name: str) -> Statement:
    """The one statement of ``text``, which is in no file.

    Raises:
        SqlSyntaxError: it doesn't parse, or there are none or several.
    """
    source = Source(text, dialect_name)
    statements = split(tokenize(source))
    if not statements:
        raise source.error(SqlSyntaxError, "there is no query here")
    if len(statements) > 1:
        raise source.error(SqlSyntaxError, "a second statement begins here", statements[1][0].start, hint="run one")
    return parse(source, statements[0])


_PARSED: dict[tuple[str, str], Statement] = {}
KEPT = 1000
"""So many statements wait for :func:`parsed_before`."""


def keep(text: str, statement: Statement) -> None:
    """Keeps what ``text`` was parsed to, as part of some source, for :func:`parsed_before` in the same command."""
    if len(_PARSED) < KEPT:
        _PARSED[text, statement.source.dialect] = statement


def parsed_before(text: str, dialect_name: str) -> Statement:
    """:func:`single`, once more cheaply: what was kept is given away. Its positions may be those of a larger source."""
    return _PARSED.pop((text, dialect_name), None) or single(text, dialect_name)


def _check_gap(source: Source, start: int, end: int) -> None:
    """What stands between two tokens must be a comment to the engine as well."""
    gap = source.text[start:end].lstrip()
    if gap.startswith("{"):
        raise _template(source, source.text.index("{", start))
    at = start
    while (found := _COMMENTS.search(source.text, at, end)) is not None:
        if found[0] != "/*":
            at = found.end()
            continue
        closed = comment_end(source.text, found.start())
        if closed is None or closed > end:  # sqlglot takes /*/* for one opening; DuckDB for two
            message = "where this comment ends can't be told for sure"
            hint = "put a space after its /*, or close each /* in it"
            raise source.error(SqlSyntaxError, message, found.start(), found.start() + 2, hint)
        at = closed


def _template(source: Source, start: int) -> SqlSyntaxError:
    hint = "write plain SQL; what differs between environments is done by Anabranch"
    return source.error(SqlSyntaxError, "templates aren't supported", start, start + 2, hint)


def _unclosed(source: Source) -> SqlSyntaxError:
    """Finds the quote or comment that isn't closed."""
    text, at = source.text, 0
    while opener := _OPENERS.search(text, at):
        skip = _STRINGS.search(text, at)
        if skip and skip.start() <= opener.start():
            at = skip.end()
        elif opener[0] == "/*" and (end := comment_end(text, opener.start())) is not None:
            at = end
        else:
            what = "comment" if opener[0] == "/*" else "quote"
            message = f"the {what} that opens here isn't closed"
            return source.error(
                SqlSyntaxError, message, opener.start(), opener.end(), f"close it with {_closer(opener[0])}"
            )
    return source.error(SqlSyntaxError, "this can't be read as SQL")


def _closer(opener: str) -> str:
    return "*/" if opener == "/*" else opener


def comment_end(text: str, start: int) -> int | None:
    """Where the comment that begins at ``start`` ends; None where it doesn't. Comments nest."""
    depth = 0
    for mark in _COMMENT_MARKS.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return None


def _mistake(source: Source, tokens: Sequence[Token], error: ParseError) -> SqlSyntaxError:
    """sqlglot's complaint in plain words."""
    found = error.errors[0] if error.errors else {}
    said = str(found.get("description") or "")
    place = (found.get("line"), found.get("col"))
    token = next((t for t in tokens if (t.line, t.col) == place), tokens[-1])
    word = source.text[token.start : token.end + 1]
    shown = word if len(word) <= 30 else word[:29] + "…"
    at_end = token is tokens[-1]
    hint = None
    if said.startswith("Expecting "):
        expected = said.removeprefix("Expecting ")
        message = f"{expected} is missing " + (f"after {shown!r}" if at_end else f"before {shown!r}")
    elif said.startswith("Required keyword"):
        message = f"something is missing after {shown!r}"
    elif said.startswith("Expected table name"):
        message = f"the name of a table is missing after {shown!r}" if at_end else f"{shown!r} is no table's name"
    elif at_end and token.token_type in _NEEDS_MORE:
        message = f"something is missing after {shown!r}"
    else:
        message = f"{shown!r} doesn't fit here"
        hint = _suspect(source, tokens, token)
    return source.error(SqlSyntaxError, message, token.start, token.end + 1, hint)


_NEEDS_MORE = frozenset(
    {TokenType.FROM, TokenType.WHERE, TokenType.COMMA, TokenType.AND, TokenType.OR, TokenType.ON, TokenType.EQ}
    | {TokenType.JOIN, TokenType.SELECT, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.HAVING, TokenType.ALIAS}
)
_COMMON = ["select", "from", "where", "group", "having", "order", "limit", "join", "left", "right", "inner", "qualify"]
_COMMON += ["union", "with", "distinct", "case", "when", "then", "else", "end", "between", "partition", "over", "using"]


def _suspect(source: Source, tokens: Sequence[Token], wrong: Token) -> str | None:
    """A word just before that was probably meant to be a keyword."""
    at = next(i for i, t in enumerate(tokens) if t is wrong)
    for token in reversed(tokens[max(0, at - 2) : at + 1]):
        if token.token_type is TokenType.VAR:
            word = source.text[token.start : token.end + 1].lower()
            near = nearest(word, _COMMON)
            if near and near != word:
                return f"did you mean {near}?"
    return None
