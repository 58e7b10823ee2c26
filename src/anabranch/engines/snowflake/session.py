"""One session in Snowflake: statements, the catalog, tables and views, and rows as Arrow."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from anabranch.domain.names import OWN_PREFIX
from anabranch.engines.arrow import require_arrow
from anabranch.engines.common import CommonSession, merging, signed
from anabranch.engines.snowflake import errors as told
from anabranch.engines.snowflake.catalog import Catalog
from anabranch.engines.snowflake.link import Link
from anabranch.engines.snowflake.loading import Loading
from anabranch.engines.snowflake.rows import stream
from anabranch.engines.snowflake.statements import cloning, granting
from anabranch.engines.snowflake.types import described, hashed
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import PLAIN, Cloning, Held
from anabranch.ports.engine import ArrowStream, Found, Grant, Relation, Result
from anabranch.ports.grammar import Grammar

GRAMMAR = Grammar(
    escapes=True,
    is_upper=True,
    double="FLOAT",
    timestamp="TIMESTAMP_NTZ",
    zoned="TIMESTAMP_TZ",
    prefix="SUBSTR({}, 1, {})",
    materialized="AS",
    except_all="",
)
LONGEST_NAME = 255
"""Characters."""
RunAll = Callable[[Sequence[str], Link], None]
"""Runs statements that don't depend on each other, in any order, over several connections where there are many."""

_APART = re.compile(
    r"""'(?:[^'\\]|\\.|'')*' | "(?:[^"]|"")*" | \$\$.*?\$\$ | --[^\n]* | //[^\n]* | /\*.*?\*/""", re.VERBOSE | re.DOTALL
)
"""Texts, quoted names and comments."""
_QUERIES = frozenset({"SELECT", "WITH"})
_LISTS = frozenset({"SHOW", "DESC", "DESCRIBE", "EXPLAIN", "LIST", "LS"})
_STAYS = re.compile(
    r"\s*(?:BEGIN|START|USE|SET|UNSET|ALTER\s+SESSION|CREATE\s+(?:OR\s+REPLACE\s+)?TEMP)", re.IGNORECASE
)
"""What such a statement does stays in the session."""


class SnowflakeSession(CommonSession):
    """See :class:`anabranch.ports.engine.Session`."""

    engine_name = "Snowflake"
    grammar = GRAMMAR

    def __init__(self, link: Link, database: str, run_all: RunAll, *, guarded: bool = False) -> None:
        """``guarded``: it must not write, which Snowflake has no session for."""
        self._link = link
        self._database = database
        self._run_all = run_all
        self._guarded = guarded
        self._catalog = Catalog(link, database, self.grammar)

    # -- statements ------------------------------------------------------------------------------------------------
    def qualify(self, relation: Relation) -> Relation:
        return relation if relation.catalog else Relation(relation.schema, relation.name, self._database)

    def named(self, relation: Relation) -> str:
        full = self.qualify(relation)
        for part in (full.catalog, full.schema, full.name):
            self._check(str(part))
        return super().named(relation)

    def _schema(self, schema: str) -> str:
        self._check(schema)
        return self.grammar.name(self._database, schema)

    def _check(self, name: str) -> None:
        if len(name) > LONGEST_NAME:
            self.refuse(f"take a name of {len(name)} characters ({name[:40]}…): at most {LONGEST_NAME}")

    def tag(self, about: Mapping[str, str]) -> None:
        self._link.tag(about)

    def execute(self, statement: str) -> None:
        if self._guarded:
            self._require_reading(statement)
        if _STAYS.match(statement):
            self._link.is_dirty = True
        self._link.run(statement)

    def query(self, statement: str, most: int | None = None) -> Result:
        is_query = self._first_word(statement) in _QUERIES
        if self._guarded:
            self._require_reading(statement)
        if most is None or not is_query:
            return self._answer(statement, most, reads=is_query)
        try:
            return self._answer(f"{statement.rstrip().rstrip(';')}\nLIMIT {most}", most, reads=True)
        except StatementFailed as failure:
            if failure.kind != told.SYNTAX:  # it ends with a limit of its own
                raise
            return self._answer(statement, most, reads=True)

    def _answer(self, statement: str, most: int | None, *, reads: bool) -> Result:
        cursor = self._link.run(statement, reads=reads)
        if cursor is None:
            return Result((), ())
        with self._link.errors():
            rows = cursor.fetchall() if most is None else cursor.fetchmany(most) if most else []
            names = tuple(self.grammar.told(c.name) for c in cursor.description or ())
        return Result(names, [tuple(row) for row in rows])

    def _require_writing(self) -> None:
        if self._guarded:
            self.refuse("write in a session that reads")

    def _require_reading(self, statement: str) -> None:
        """Raises ``StatementFailed`` where it isn't a query: Snowflake is asked whether it can stand within one."""
        word = self._first_word(statement)
        if word not in _QUERIES | _LISTS or "->>" in _APART.sub(" ", statement):
            self.refuse("write in a session that reads")
        if word in _QUERIES:
            self._link.describe(f"SELECT * FROM (\n{statement.rstrip().rstrip(';')}\n)")

    def _first_word(self, statement: str) -> str:
        match = re.match(r"[\s(]*([A-Za-z]+)", _APART.sub(" ", statement))
        return match.group(1).upper() if match else ""

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        return tuple((self.grammar.told(name), kind) for name, kind in described(self._link.describe(query)))

    # -- rows as Arrow ---------------------------------------------------------------------------------------------
    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        require_arrow(self._link.place)
        if self._guarded:
            self._require_reading(query)
        cursor = self._link.run(query, reads=self._first_word(query) in _QUERIES)
        assert cursor is not None
        columns = [(self.grammar.told(name), kind) for name, kind in described(cursor.description or ())]
        return stream(self._link, cursor, columns, rows)

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        require_arrow(self._link.place)
        name = self.named(table)
        self._require_writing()
        if self._catalog_of(table).kinds_of([table]):
            raise StatementFailed(f"{table} is already there", kind=told.EXISTS)
        return Loading(self._link, self.grammar, name, self._schema(table.schema), table.name).load(parts, columns)

    # -- schemas and relations -------------------------------------------------------------------------------------
    def schemas(self) -> list[str]:
        return self._catalog.schemas()

    def create_schemas(self, schemas: Collection[str]) -> None:
        there = {self.grammar.stored(s) for s in self.schemas()} if schemas else set()
        missing = sorted(s for s in schemas if self.grammar.stored(s) not in there)
        for schema in missing:  # IF NOT EXISTS needs the right to make one, even where it exists
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {self._schema(schema)}")
        if missing:
            self._link.go_home()

    def drop_schemas(self, schemas: Collection[str]) -> None:
        there = {self.grammar.stored(s) for s in self.schemas()} if schemas else set()
        for schema in sorted(schemas):
            if self.grammar.stored(schema) in there and self._catalog.is_empty(schema):
                self.execute(f"DROP SCHEMA IF EXISTS {self._schema(schema)}")

    def find(self, schemas: Collection[str]) -> list[Found]:
        return self._catalog.find(schemas)

    def describe(self, relation: Relation) -> Found | None:
        found = self._catalog_of(relation).find([relation.schema], relation.name)
        return replace(found[0], relation=relation) if found else None

    def _catalog_of(self, relation: Relation) -> Catalog:
        catalog = self.qualify(relation).catalog or self._database
        return self._catalog if catalog == self._database else Catalog(self._link, catalog, self.grammar)

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        try:
            return self.describe_query(f"SELECT * FROM {self.named(relation)}")
        except StatementFailed as failure:
            if failure.kind in told.MISSING:
                return None
            raise

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        return self._catalog.targets(schemas)

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        self._require_writing()
        there = self._catalog.kinds_of([view for view, target in pointers.items() if target is None])
        statements = [
            f"DROP VIEW IF EXISTS {self.named(view)}"
            if target is None
            else self._view(view, f"SELECT * FROM {self.named(target)}")
            for view, target in pointers.items()
            if target is not None or view in there
        ]
        self._run_all(statements, self._link)

    def _view(self, view: Relation, query: str) -> str:
        return f"CREATE OR REPLACE VIEW {self.named(view)} COPY GRANTS AS {query}"

    def create_view(self, view: Relation, query: str) -> None:
        self.execute(self._view(view, query))

    def create_materialized_view(self, view: Relation, query: str) -> None:
        self.execute(f"CREATE MATERIALIZED VIEW {self.named(view)} AS {query}")

    def rename(self, table: Relation, name: str) -> None:
        new = Relation(table.schema, name, table.catalog)  # a name of one part would move it to another schema
        self.execute(f"ALTER TABLE {self.named(table)} RENAME TO {self.named(new)}")

    def drop(self, relations: Collection[Relation]) -> None:
        by_catalog: dict[str | None, list[Relation]] = {}
        for relation in sorted(relations, key=str):
            by_catalog.setdefault(relation.catalog, []).append(relation)
        for there in by_catalog.values():
            for relation, kind in self._catalog_of(there[0]).kinds_of(there).items():
                self.execute(f"DROP {kind} IF EXISTS {self.named(relation)}")

    # -- clones, swaps, merges -------------------------------------------------------------------------------------
    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        self._require_writing()
        transient = partial(self._catalog_of(source).is_transient, "TABLE", source.schema, source.name)
        self.execute(cloning(self, "TABLE", self.named(source), self.named(clone), how, transient))

    def clone_schema(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        self._require_writing()
        transient = partial(self._catalog.is_transient, "SCHEMA", source)
        self.execute(cloning(self, "SCHEMA", self._schema(source), self._schema(clone), how, transient))

    def clone_database(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        for name in (source, clone):
            self._check(name)
        self._require_writing()
        transient = partial(Catalog(self._link, source, self.grammar).is_transient, "DATABASE")
        self.execute(cloning(self, "DATABASE", self.grammar.name(source), self.grammar.name(clone), how, transient))

    def swap(self, one: Relation, other: Relation) -> None:
        self.execute(f"ALTER TABLE {self.named(one)} SWAP WITH {self.named(other)}")

    def swap_schemas(self, one: str, other: str) -> None:
        self.execute(f"ALTER SCHEMA {self._schema(one)} SWAP WITH {self._schema(other)}")

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        self.execute(merging(self, table, rows, keys, columns, mark))

    # -- what the engine's metadata says ---------------------------------------------------------------------------
    def version(self, table: Relation) -> str | None:
        return self._catalog.version(self.named(table))

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        return self._catalog.held(tables)

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        return self._catalog.grants(relations)

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        if not grants:
            return
        kind = self._catalog_of(relation).kinds_of([relation]).get(relation, "TABLE")
        for statement in granting(self, kind, self.named(relation), grants):
            self.execute(statement)

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        name, names = self.named(relation), self.grammar.columns(columns)
        types = [kind for _, kind in self.describe_query(f"SELECT {names} FROM {name}")] if columns else []
        values = ", ".join(
            v for c, t in zip(columns, types, strict=True) for v in hashed(self.grammar.identifier(c), t)
        )
        # Sums, for an xor would cancel two equal rows; a second one with a salt; 38 digits hold the sum of 2^62 rows
        hashes = [f"HASH({values})", f"HASH('{OWN_PREFIX}', {values})"] if values else []
        sums = "".join(f", SUM(CAST({h} AS NUMBER(38, 0)))" for h in hashes)
        (row,) = self._link.ask(f"SELECT COUNT(*){sums} FROM {name}")
        return signed(list(zip(columns, types, strict=True)), row)
