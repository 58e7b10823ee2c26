"""Which assets a query reads, and where its text says so.

A name is a table unless a common table expression of that name is in sight. DuckDB's rules, each tested against it:

- an expression sees those before it and those of the queries around it; never those after it;
- an expression doesn't see itself: ``with orders as (select * from orders)`` reads the table;
- a recursive one sees itself to the right of its UNION only: the first part of the union reads the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from anabranch.errors import ModelError
from anabranch.sql.canonical import fold
from anabranch.sql.functions import NAMES_IN_TEXT, READS_FILES, function_name
from anabranch.sql.syntax import Source, Statement

SYSTEM_SCHEMAS = frozenset(["information_schema", "pg_catalog"])
READS_FILES_NOTE = "reads files outside the environment, whose changes aren't seen"
READS_CATALOG_NOTE = "reads the warehouse's own catalog, whose changes aren't seen"
_FILE = re.compile(
    r"[/\\*?]|\.(csv|tsv|txt|parquet|json|jsonl|ndjson|xlsx|avro|arrow|feather|db|duckdb)(\.(gz|zst|bz2))?\Z",
    re.IGNORECASE,
)
_Ctes = frozenset[str]


@dataclass(frozen=True, slots=True)
class TableRead:
    """A table that a query names. ``parts``: one to three, in the form in which the dialect compares them; ``start``
    and ``end`` enclose the name in the text."""

    node: exp.Table
    parts: tuple[str, ...]
    start: int
    end: int

    def asset(self, default_schema: str) -> str:
        """With the schema that a bare name stands in."""
        parts = self.parts if len(self.parts) > 1 else (default_schema, *self.parts)
        return ".".join(parts)


@dataclass(frozen=True, slots=True)
class Found:
    """``reads`` in the order of the text; ``notes``: what leads outside the environment."""

    reads: tuple[TableRead, ...]
    notes: tuple[str, ...]


def find_reads(statement: Statement) -> Found:
    """The tables that a query reads.

    Raises:
        ModelError: a table is named in a way that can't be followed.
    """
    reads: list[TableRead] = []
    notes: set[str] = set()
    for table, ctes in _tables(statement.root, statement.source.dialect):
        found = _classify(table, ctes, statement.source, notes)
        if found is not None:
            reads.append(found)
    for node in statement.root.find_all(exp.Func):
        name = function_name(node, statement.source.text)
        if name in NAMES_IN_TEXT:
            start = node.meta.get("start", statement.start)
            message = f"{name}() names what it reads in a text, which can't be followed"
            hint = "name the table after FROM"
            raise statement.source.error(ModelError, message, start, start + len(name), hint)
    return Found(tuple(sorted(reads, key=lambda r: r.start)), tuple(sorted(notes)))


def _classify(table: exp.Table, ctes: _Ctes, source: Source, notes: set[str]) -> TableRead | None:
    """The read that a table in the tree is; None for what is no asset."""
    if not isinstance(table.this, exp.Identifier | exp.Dot):
        if function_name(table.this, source.text) in READS_FILES:
            notes.add(READS_FILES_NOTE)
        return None
    identifiers = [p for p in table.parts if isinstance(p, exp.Identifier)]
    start, end = identifiers[0].meta["start"], identifiers[-1].meta["end"] + 1
    parts = tuple(fold(p.name, bool(p.args.get("quoted")), source.dialect) for p in identifiers)
    if len(parts) == 1:
        if parts[0] in ctes:
            return None
        if source.text[start] == "'" or (identifiers[0].args.get("quoted") and _FILE.search(identifiers[0].name)):
            notes.add(READS_FILES_NOTE)
            return None
    elif parts[-2] in SYSTEM_SCHEMAS:
        notes.add(READS_CATALOG_NOTE)
        return None
    elif parts[0] == "recurring" and len(parts) == 2 and parts[1] in ctes:
        return None
    if len(parts) > 3:
        message = f"{'.'.join(parts)} has {len(parts)} parts"
        raise source.error(ModelError, message, start, end, "write schema.name or catalog.schema.name")
    if table.args.get("when"):
        message = f"{'.'.join(parts)} is read as of another time"
        raise source.error(
            ModelError, message, start, end, "drop AT (…): each environment has its own versions of a table"
        )
    return TableRead(table, parts, start, end)


def _tables(root: exp.Expr, dialect: str) -> Iterator[tuple[exp.Table, _Ctes]]:
    """Each table in the tree, with the common table expressions in sight there."""
    stack: list[tuple[exp.Expr, _Ctes]] = [(root, frozenset())]
    while stack:
        node, ctes = stack.pop()
        own = node.args.get("with_")
        if own is not None:
            parts, ctes = _expressions(own, ctes, dialect)
            stack.extend(parts)
        if isinstance(node, exp.Table):
            yield node, ctes
        stack.extend((child, ctes) for child in node.iter_expressions() if child is not own)


def _expressions(own: exp.With, ctes: _Ctes, dialect: str) -> tuple[list[tuple[exp.Expr, _Ctes]], _Ctes]:
    """The bodies of common table expressions, each with those in its sight, and those in sight after them."""
    parts: list[tuple[exp.Expr, _Ctes]] = []
    for cte in own.expressions:
        identifier = cte.args["alias"].this
        name = fold(identifier.name, bool(identifier.args.get("quoted")), dialect)
        body = cte.this.unnest() if isinstance(cte.this, exp.Subquery) else cte.this
        if own.args.get("recursive") and isinstance(body, exp.Union):
            inner, inside = body.args.get("with_"), ctes
            if inner is not None:
                more, inside = _expressions(inner, ctes, dialect)
                parts += more
            for child in body.iter_expressions():
                if child is not inner:
                    parts.append((child, inside if child.arg_key == "this" else inside | {name}))
        else:
            parts.append((cte.this, ctes))
        ctes |= {name}
    return parts, ctes
