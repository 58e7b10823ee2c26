"""What a query means, apart from how it is written: its ``logic``.

The hash is over the query's own words in their order, without what can't matter to data:

- comments, white space, and a semicolon at the end;
- the case of keywords, and of identifiers that refer to something; quotes around plain identifiers;
- ``AS`` before an alias, ``INNER`` and ``OUTER`` before ``JOIN``, ``ASC``;
- parentheses that group what is grouped anyway (:mod:`anabranch.sql.parentheses`).

All else counts, also the order and the names of the output columns, in the case in which an alias gives them: they
are what readers see. Two kinds of query keep every word as it stands, for their words become names of columns: those
with a column that has neither a name nor an alias (``select a + 1``), and those with PIVOT or UNPIVOT.

Why words and not sqlglot's tree: a tree is another one in each version of sqlglot, and it unites what an engine tells
apart (``->`` binds differently in DuckDB and in sqlglot). The tree only says which words are identifiers, aliases and
outputs. Words are cut by sqlglot's tokenizer, which has agreed about them through all versions that were tried.

It counts where the rules by column (:mod:`anabranch.sql.columns`) have none for something in the query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from sqlglot import Token, TokenType, exp

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.snapshot import Kind
from anabranch.sql.outputs import exposed_selects, is_named
from anabranch.sql.parentheses import redundant
from anabranch.sql.syntax import Statement, comment_end
from anabranch.sql.version import WORDS

CASE_INSENSITIVE = frozenset({"duckdb", "bigquery", "spark", "databricks", "hive", "tsql", "sqlite", "trino", "presto"})
"""Dialects in which quotes make no difference to the case of an identifier."""
UPPER_CASE = frozenset({"snowflake", "oracle"})
"""Dialects in which a name without quotes is one in capitals. Anabranch says such names in small letters, as those
of assets are: see :class:`anabranch.ports.grammar.Grammar`."""
CASE_SENSITIVE = frozenset({"clickhouse"})
"""Dialects in which a name means what it says, with quotes and without."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_JOINING = frozenset("~!@#^&|?")
"""Characters that engines join to one operator with what touches them."""


_KEYWORDS = frozenset(["default", "export_state"])
"""Keywords of DuckDB that sqlglot takes for names."""
_IDENTIFIER = "·"
"""Begins the canonical form of an identifier, so that a column called ``left`` isn't the keyword."""


class Use(Enum):
    """What an identifier does."""

    REFERS = 1
    NAMES = 2
    """Its case reaches the output."""
    NAMES_COLUMN = 3
    """The same, and ``AS`` before it is optional."""
    NAMES_RELATION = 4
    """Nobody sees it, and ``AS`` before it is optional."""


class Word(NamedTuple):
    """One word: ``text`` is its canonical form; ``raw`` is what was written, in lower case, or a mark for identifiers;
    ``is_alias``: an AS fits before it; ``is_name``: an identifier, a number or a string."""

    text: str
    raw: str
    is_name: bool = False
    is_alias: bool = False


_GLUE = Word("\x1d", "\x1d")
"""Stands between two tokens that touch where it might matter."""


_ODD_SPACE = Word("\xa0", "\xa0")


def logic(statement: Statement, kind: Kind, reads: Sequence[str], stamp: str = "") -> Fingerprint:
    """The hash of what a query means. ``reads``: the assets that it reads, in the order of its text, so that a name
    without schema counts as what it stands for."""
    parts = [str(WORDS), statement.source.dialect, kind.value, stamp, "\x1e".join(reads), *words(statement)]
    return Fingerprint(digest("\x1f".join(parts).encode()))


def words(statement: Statement) -> list[str]:
    """The words that count."""
    if _is_exact(statement.root):
        return [w.raw for w in _cut(statement, exact=True)]
    found = _cut(statement)
    drop = redundant([w.raw for w in found], [w.is_alias for w in found], [w.is_name for w in found])
    kept: list[str] = []
    for i, word in enumerate(found):
        if i in drop or _is_optional(found, i):
            continue
        if word.is_alias and not (kept and kept[-1] == "as"):
            kept.append("as")
        kept.append(word.text)
    return kept


def fold(name: str, quoted: bool, dialect: str) -> str:
    """An identifier in the form in which ``dialect`` compares it. Where names without quotes are in capitals, one in
    quotes that isn't keeps them where it would be taken for one without."""
    if dialect in CASE_INSENSITIVE or not quoted:
        return name.lower()
    if dialect not in UPPER_CASE or not _PLAIN.match(name):
        return name
    return name.lower() if name == name.upper() else f'"{name}"' if name == name.lower() else name


def stored(name: str, quoted: bool, dialect: str) -> str:
    """An identifier as it is to be written in quotes, to mean what it means as it stands in a query."""
    if quoted or dialect in CASE_INSENSITIVE or dialect in CASE_SENSITIVE:
        return name
    return name.upper() if dialect in UPPER_CASE else name.lower()


def _cut(statement: Statement, exact: bool = False) -> list[Word]:
    text, dialect, tokens = statement.source.text, statement.source.dialect, statement.tokens
    uses = {} if exact else _identifiers(statement.root)
    found: list[Word] = []
    end = -1
    for i, token in enumerate(tokens):
        raw = text[token.start : token.end + 1]
        if token.start == end:
            if _touch(text[end - 1], raw[0]):
                found.append(_GLUE)
        elif end > 0 and not text[end : token.start].isascii() and _has_odd_space(text[end : token.start]):
            found.append(_ODD_SPACE)
        end = token.end + 1
        use = uses.get(token.start)
        if use is not None and raw[0] != "'" and raw.lower() not in _KEYWORDS:
            found.append(_identifier(raw, use, dialect))
        elif _is_literal(raw) or _is_key(tokens, i):
            found.append(Word(raw, raw, is_name=True))
        else:
            found += _plain(raw if exact else raw.lower())
    if end > 0 and _has_odd_space(text[end:]):
        found.append(_ODD_SPACE)
    return found


@lru_cache(maxsize=4096)
def _plain(raw: str) -> tuple[Word, ...]:
    """Keywords and signs; sqlglot takes ``group by`` for one token."""
    return tuple(Word(w, w) for w in raw.split())


def _is_literal(raw: str) -> bool:
    """Or something else in quotes."""
    return raw[0] in "0123456789" or raw[-1] in "'\"`" or (raw[0] == "$" and len(raw) > 1)


@lru_cache(maxsize=4096)
def _identifier(raw: str, use: Use, dialect: str) -> Word:
    quoted = raw[0] in '"`['
    name = raw[1:-1] if quoted else raw
    if not _PLAIN.match(name):
        name = raw
    elif use in (Use.REFERS, Use.NAMES_RELATION) or dialect not in CASE_INSENSITIVE:
        name = fold(name, quoted, dialect)
    return Word(_IDENTIFIER + name, _IDENTIFIER, True, use in (Use.NAMES_COLUMN, Use.NAMES_RELATION))


def _is_key(tokens: Sequence[Token], i: int) -> bool:
    """A key or the name of an argument: its case may show in the data."""
    following = tokens[i + 1].token_type if i + 1 < len(tokens) else None
    is_word = tokens[i].token_type not in (TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE)
    return is_word and following in (TokenType.COLON, TokenType.COLON_EQ, TokenType.FARROW)


def _touch(before: str, after: str) -> bool:
    """Whether two tokens that touch might be one to the engine."""
    if before in _JOINING or after in _JOINING:
        return not (before.isalnum() or after.isalnum() or before in "_)(,;.]['\"" or after in "_)(,;.]['\"")
    return (before.isalnum() or before in "_$'\"") and (after.isalnum() or after in "_$'\"")


def has_odd_gaps(statement: Statement) -> bool:
    """Whether an engine might cut the text into other words than the tokenizer."""
    text, end = statement.source.text, -1
    for token in statement.tokens:
        start = token.start
        if start == end:
            if _touch(text[end - 1], text[start]):
                return True
        elif end > 0 and not text[end:start].isascii() and _has_odd_space(text[end:start]):
            return True
        end = token.end + 1
    return False


def _has_odd_space(gap: str) -> bool:
    """Whether there is white space that isn't ASCII, comments aside: DuckDB takes it for white space at times only."""
    at = 0
    while at < len(gap):
        if gap.startswith("--", at):
            at = gap.find("\n", at) + 1 or len(gap)
        elif gap.startswith("/*", at):
            at = comment_end(gap, at) or len(gap)
        elif gap[at].isascii():
            at += 1
        else:
            return True
    return False


def _is_optional(found: Sequence[Word], i: int) -> bool:
    """Identifiers of these names never look like this: see :class:`Word`."""
    raw = found[i].raw
    following = found[i + 1].raw if i + 1 < len(found) else ""
    if raw == "inner":
        return following == "join"
    if raw == "outer":
        return following == "join" and i > 0 and found[i - 1].raw in ("left", "right", "full")
    return raw == "asc"


def _identifiers(root: exp.Expr) -> Mapping[int, Use]:
    """What each identifier does, by where it begins."""
    uses: dict[int, Use] = {}
    sources: set[str] = set()
    for node in root.find_all(exp.Identifier):
        start = node.meta.get("start")
        if start is not None:
            uses[start] = _use(node)
        parent = node.parent
        if node.arg_key == "this" and isinstance(parent, exp.Table | exp.TableAlias):
            sources.add(node.name.lower())
    for select in exposed_selects(root):
        for start in _showing(select, sources):
            uses[start] = Use.NAMES
    return uses


def _use(node: exp.Identifier) -> Use:
    parent, key = node.parent, node.arg_key
    if isinstance(parent, exp.Alias) and key == "alias":
        return Use.NAMES_COLUMN
    if isinstance(parent, exp.TableAlias) and key == "this":
        return Use.REFERS if isinstance(parent.parent, exp.CTE) else Use.NAMES_RELATION
    if isinstance(parent, exp.Column | exp.Table | exp.Star | exp.Window | exp.Dot):
        return Use.REFERS
    return Use.REFERS if isinstance(parent, exp.Join) and key == "using" else Use.NAMES


def _showing(select: exp.Select, sources: set[str]) -> Iterable[int]:
    """Columns without an alias that are shown as they are written, not as the table spells them: a whole row, a field
    of a struct, another column's alias, a pseudo column."""
    aliases = {e.alias.lower() for e in select.expressions if isinstance(e, exp.Alias)} | {"rowid"}
    for column in select.expressions:
        if not isinstance(column, exp.Column) or not isinstance(column.this, exp.Identifier):
            continue
        parts = column.parts
        if len(parts) == 1:
            shows = parts[0].name.lower() in sources or parts[0].name.lower() in aliases
        else:
            shows = len(parts) > 2 or parts[0].name.lower() not in sources
        start = column.this.meta.get("start")
        if shows and start is not None:
            yield start


def _is_exact(root: exp.Expr) -> bool:
    """Whether words become names of columns."""
    if root.find(exp.Pivot):
        return True
    return any(not is_named(e) for select in exposed_selects(root) for e in select.expressions)
