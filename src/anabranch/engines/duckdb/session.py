"""One connection to DuckDB: statements, the catalog, tables and views, and what a relation holds as one hash."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.domain.names import OWN_PREFIX, SEPARATOR, shorten
from anabranch.engines.arrow import ROWS, batches, require_arrow
from anabranch.engines.common import CommonSession, merging, signed
from anabranch.engines.csv_files import find_fault, require_header
from anabranch.engines.duckdb.errors import errors
from anabranch.errors import StatementFailed, WarehouseUnavailable, Where
from anabranch.ports.cloning import Held
from anabranch.ports.engine import ArrowStream, Found, Relation, Result, quoted, transaction

if TYPE_CHECKING:
    import duckdb

_OWN_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*)'
_POINTER = re.compile(
    rf"CREATE VIEW\s+(?:{_IDENTIFIER}\.)*{_IDENTIFIER}\s+AS\s+SELECT \* FROM "
    rf"(?:((?:{_IDENTIFIER}\.)*{_IDENTIFIER})|query_table\('((?:[^']|'')*)'\));?\s*\Z",
    re.IGNORECASE,
)
_CSV = "header = true, delim = ',', quote = '\"', escape = '\"', comment = '', skip = 0, sample_size = -1"
"""Commas and double quotes, all rows decide a type: left to guess, DuckDB passes over rows that don't fit its guess."""

_EXACT = re.compile(
    r"(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DECIMAL\(.*\)|VARCHAR|BLOB|BIT|UUID|DATE|TIME|TIMESTAMP(_S|_MS|_NS)?"
    r"|TIMESTAMP WITH TIME ZONE|ENUM\(.*\))\Z",
    re.DOTALL,
)
"""Types whose values hash alike only if they are the same."""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unquote(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


class DuckDBSession(CommonSession):
    """See :class:`anabranch.ports.engine.Session`."""

    engine_name = "DuckDB"
    transacts = True

    def __init__(self, cursor: duckdb.DuckDBPyConnection, place: str, catalog: str, *, guarded: bool = False) -> None:
        """``guarded``: the connection can write, and this session must not."""
        self._cursor = cursor
        self._place = place
        self._guarded = guarded
        self._in_transaction = False
        self._streaming = False
        """A stream is being read, in a transaction of its own."""
        self._catalog = catalog

    def qualify(self, relation: Relation) -> Relation:
        if relation.catalog is None and self._is_ambiguous(relation.schema):
            return Relation(relation.schema, relation.name, self._catalog)
        return relation

    def _is_ambiguous(self, schema: str) -> bool:
        """In flights.duckdb, whose catalog is "flights", DuckDB refuses flights.t where there is a schema "flights"."""
        return schema.lower() == self._catalog.lower()

    def _quote(self, relation: Relation) -> str:
        full = self.qualify(relation)
        return quoted(p for p in (full.catalog, full.schema, full.name) if p)

    def begin(self) -> None:
        self._end_stream()
        with errors(self._place):
            self._cursor.execute(f"BEGIN TRANSACTION{' READ ONLY' if self._guarded else ''}")
            self._in_transaction = True

    def commit(self) -> None:
        try:
            with errors(self._place):
                self._cursor.execute("COMMIT")
                self._in_transaction = False
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        self._in_transaction = False
        # a failed COMMIT has rolled back already
        with contextlib.suppress(StatementFailed, WarehouseUnavailable), errors(self._place):
            self._cursor.execute("ROLLBACK")

    @contextlib.contextmanager
    def _statement(self) -> Iterator[None]:
        self._end_stream()
        with errors(self._place):
            if not self._guarded or self._in_transaction:
                yield
                return
            self._cursor.execute("BEGIN TRANSACTION READ ONLY")
            try:
                yield
            finally:
                self._cursor.execute("ROLLBACK")

    def execute(self, statement: str) -> None:
        with self._statement():
            self._cursor.execute(statement)

    def query(self, statement: str, most: int | None = None) -> Result:
        with self._statement():
            described = self._cursor.execute(statement).description or ()
            columns = tuple(str(d[0]) for d in described)
            if any("TIMESTAMP WITH TIME ZONE" in str(d[1]) for d in described):
                self._cursor.execute(f"SELECT {_readable([str(d[1]) for d in described])} FROM ({statement})")
            return Result(columns, self._cursor.fetchall() if most is None else self._cursor.fetchmany(most))

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(r[0]), str(r[1])) for r in self.query(f"DESCRIBE {query}").rows)

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        require_arrow(self._place)
        self._end_stream()
        with errors(self._place):
            if self._guarded:
                self._require_query(query)
            if self._guarded and not self._in_transaction:
                self._cursor.execute("BEGIN TRANSACTION READ ONLY")
                self._streaming = True
            found: ArrowStream = self._cursor.sql(query).to_arrow_reader(rows or ROWS)
            return found

    def _require_query(self, text: str) -> None:
        """A transaction that only reads still lets COPY write files. Raises ``StatementFailed``."""
        found = self._cursor.extract_statements(text)
        written = [s for s in found if s.query or s is found[-1]]  # DuckDB adds some of its own, without a text: PIVOT
        if len(written) != 1 or written[0].type.name not in ("SELECT", "EXPLAIN"):
            raise StatementFailed("only one query can be read, nothing else", hint="write one SELECT")

    def _end_stream(self) -> None:
        if self._streaming:
            self._streaming = False
            with contextlib.suppress(StatementFailed, WarehouseUnavailable), errors(self._place):
                self._cursor.execute("ROLLBACK")

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        require_arrow(self._place)
        whole = contextlib.nullcontext() if self._in_transaction else transaction(self)
        name, rows = self._quote(table), 0
        declared = ", ".join(f"{quoted([c])} {kind}" for c, kind in columns.items())
        cast = ", ".join(f"CAST({quoted([c])} AS {kind})" for c, kind in columns.items())
        with whole:
            self.execute(f"CREATE TABLE {name} ({declared})")
            for anabranch_batch in batches(parts):
                # DuckDB finds a variable by its name; what is registered instead is kept until the transaction ends
                with errors(self._place):
                    self._cursor.execute(f"INSERT INTO {name} SELECT {cast} FROM anabranch_batch")
                rows += anabranch_batch.num_rows
        return rows

    def create_schemas(self, schemas: Collection[str]) -> None:
        for schema in sorted(schemas):
            name = [self._catalog, schema] if self._is_ambiguous(schema) else [schema]
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")

    def drop_schemas(self, schemas: Collection[str]) -> None:
        wanted = sorted(set(schemas) & set(self.schemas()))
        if not wanted:
            return
        own = "database_name = current_database()"
        used = {
            str(row[0])
            for row in self.query(
                f"SELECT schema_name FROM duckdb_tables() WHERE {own}"
                f" UNION SELECT schema_name FROM duckdb_views() WHERE {own} AND NOT internal"
                f" UNION SELECT schema_name FROM duckdb_sequences() WHERE {own}"
                f" UNION SELECT schema_name FROM duckdb_types() WHERE {own} AND NOT internal"
                f" UNION SELECT schema_name FROM duckdb_functions() WHERE {own} AND NOT internal"
            ).rows
        }
        for schema in wanted:
            if schema not in used and not self._is_ambiguous(schema):  # which DuckDB 2.0 can't drop by any name
                self.execute(f"DROP SCHEMA IF EXISTS {quoted([schema])}")

    def create_table(self, table: Relation, query: str) -> int:
        return self._rows(f"CREATE TABLE {self._quote(table)} AS {query}")

    def load_csv(self, table: Relation, path: Path, columns: Mapping[str, str]) -> int:
        types = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in columns.items())
        options = f"{_CSV}, types = {{{types}}}" if types else _CSV
        file = _literal(re.sub(r"[*?\[]", r"[\g<0>]", str(path)))  # a name, not a pattern
        require_header(path)
        try:
            return self._rows(f"CREATE TABLE {self._quote(table)} AS SELECT * FROM read_csv({file}, {options})")
        except StatementFailed as failure:
            fault = find_fault(path) if "sniffing" in failure.message else None
            if fault is None:
                raise
            told = StatementFailed(f"line {fault[0]} {fault[1]}", kind=failure.kind, hint="correct the file")
            told.where = Where(path, fault[0])
            raise told from failure

    def _rows(self, statement: str) -> int:
        answer = self.query(statement).rows
        return int(str(answer[0][0])) if answer else 0

    def rename(self, table: Relation, name: str) -> None:
        self.execute(f"ALTER TABLE {self._quote(table)} RENAME TO {quoted([name])}")

    def swap(self, one: Relation, other: Relation) -> None:
        if one.schema.lower() != other.schema.lower():
            self.refuse(f"move {one} to another schema")
        spare = shorten(f"{OWN_PREFIX}{SEPARATOR}swap_{one.name}")
        with contextlib.nullcontext() if self._in_transaction else transaction(self):
            self.rename(one, spare)
            self.rename(other, one.name)
            self.rename(Relation(one.schema, spare, one.catalog), other.name)

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        """Blocks of the file, as of the last checkpoint; a table of which something isn't in the file yet is left out.
        No block is shared."""
        there = {f.relation for f in self.find({t.schema for t in tables}) if not f.is_view} if tables else set()
        asked = [t for t in sorted(tables) if t in there]
        if not asked:
            return {}
        each = [
            f"SELECT {n} AS n, bool_and(persistent) AS whole, list_distinct(flatten(list([block_id] ||"
            f" additional_block_ids))) AS blocks FROM pragma_storage_info({self.grammar.literal(self._quote(t))})"
            for n, t in enumerate(asked)
        ]
        found = self.query(
            f"SELECT n, len(list_filter(blocks, lambda b: b >= 0)) * (SELECT block_size FROM pragma_database_size()"
            f" WHERE database_name = current_database()) FROM ({' UNION ALL '.join(each)}) WHERE whole"
        )
        return {asked[int(str(n))]: Held(int(str(size)), int(str(size))) for n, size in found.rows}

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        self.execute(merging(self, table, rows, keys, columns, mark))

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        statements = [
            f"DROP VIEW IF EXISTS {self._quote(view)}"
            if target is None
            else f"CREATE OR REPLACE VIEW {self._quote(view)} AS SELECT * FROM {self._source(target)}"
            for view, target in pointers.items()
        ]
        if statements:
            self.execute(";\n".join(statements))

    def _source(self, target: Relation) -> str:
        """DuckDB 2.0 shortens a name within a view, to what it then finds ambiguous: there it is given as a text."""
        name = self._quote(target)
        return f"query_table({_literal(name)})" if self.qualify(target) != target else name

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        if not schemas:
            return {}
        found = self.query(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE database_name = current_database()"
            f" AND NOT internal AND lower(schema_name) IN ({_list(schemas)})"
        )
        asked = {s.lower(): s for s in schemas}
        return {Relation(asked[str(s).lower()], str(v)): self._pointed(str(sql)) for s, v, sql in found.rows}

    def _pointed(self, sql: str) -> Relation | None:
        match = _POINTER.match(sql)
        if match is None:
            return None
        target = match.group(1) or match.group(2).replace("''", "'")
        *catalog, schema, name = [_unquote(p) for p in re.findall(_IDENTIFIER, f"main.{target}")][-3:]
        own = not catalog or catalog[0] in ("main", self._catalog)
        return Relation(schema, name, None if own else catalog[0])

    def drop(self, relations: Collection[Relation]) -> None:
        views = self.targets({r.schema for r in relations})
        for relation in sorted(relations):
            self.execute(f"DROP {'VIEW' if relation in views else 'TABLE'} IF EXISTS {self._quote(relation)}")

    def find(self, schemas: Collection[str]) -> list[Found]:
        if not schemas:
            return []
        return self._catalogued(f"lower(schema_name) IN ({_list(schemas)})", {s.lower(): s for s in schemas})

    def _catalogued(self, condition: str, spelled: Mapping[str, str], name: str = "") -> list[Found]:
        """``spelled``: how to spell schemas, which DuckDB compares without regard to case. ``name``: only that one."""
        wanted = f"database_name = current_database() AND NOT internal AND {condition}"
        table, view = (
            (f" AND lower({c}) = {_literal(name.lower())}" if name else "") for c in ("table_name", "view_name")
        )
        views = {
            (str(s), str(v)): str(sql)
            for s, v, sql in self.query(
                f"SELECT schema_name, view_name, sql FROM duckdb_views() WHERE {wanted}{view}"
            ).rows
        }
        columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for schema, relation, column, kind in self.query(
            f"SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE {wanted}{table}"
            " ORDER BY schema_name, table_name, column_index"
        ).rows:
            columns.setdefault((str(schema), str(relation)), []).append((str(column), str(kind)))
        for key in views:
            columns.setdefault(key, [])
        return [
            Found(Relation(spelled[key[0].lower()], key[1]), key in views, tuple(found), views.get(key, ""))
            for key, found in sorted(columns.items())
        ]

    def schemas(self) -> list[str]:
        found = self.query("SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()")
        return sorted({str(r[0]) for r in found.rows} - _OWN_SCHEMAS)

    def describe(self, relation: Relation) -> Found | None:
        if self._in_transaction and relation.catalog in (None, self._catalog):  # which an error would end
            found = self._named(relation)
            return found[0] if found else None
        columns = self.columns(relation)
        if columns is None:
            lost = self._named(relation) if self._definition(relation) is not None else []
            return lost[0] if lost else None  # a view that leads nowhere is there all the same
        definition = self._definition(relation)
        return Found(relation, definition is not None, columns, definition or "")

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        try:
            return tuple((str(r[0]), str(r[1])) for r in self.query(f"DESCRIBE {self._quote(relation)}").rows)
        except StatementFailed as failure:
            if failure.kind in ("CatalogException", "BinderException"):
                return None
            raise

    def _named(self, relation: Relation) -> list[Found]:
        schema = relation.schema.lower()
        return self._catalogued(f"lower(schema_name) = {_literal(schema)}", {schema: relation.schema}, relation.name)

    def _definition(self, view: Relation) -> str | None:
        found = self.query(
            "SELECT sql FROM duckdb_views() WHERE database_name = current_database()"
            f" AND lower(schema_name) = {_literal(view.schema.lower())}"
            f" AND lower(view_name) = {_literal(view.name.lower())}"
        ).rows
        return str(found[0][0]) if found else None

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        names = ", ".join(quoted([c]) for c in columns)
        types = []
        if columns:
            described = self.query(f"DESCRIBE SELECT {names} FROM {self._quote(relation)}").rows
            types = [str(row[1]) for row in described]
        values = ", ".join(v for c, t in zip(columns, types, strict=True) for v in _hashed(quoted([c]), t))
        # Sums, for an xor would cancel two equal rows; the number of rows and a second sum with a salt, because hash(0)
        # is 0; 38 digits hold the sum of 2^64 rows.
        sums = f", sum(hash({values})), sum(hash('anabranch', {values}))" if values else ""
        (row,) = self.query(f"SELECT count(*){sums} FROM {self._quote(relation)}").rows
        return signed(list(zip(columns, types, strict=True)), row)


def _list(names: Collection[str]) -> str:
    """In lower case, to be found without regard to case, as DuckDB finds them."""
    return ", ".join(_literal(n) for n in sorted({n.lower() for n in names}))


def _readable(types: Collection[str]) -> str:
    """Columns with moments as text: DuckDB's driver can't make Python's out of them without the package pytz."""
    casts = (f"#{i}::VARCHAR" if "TIMESTAMP WITH TIME ZONE" in kind else f"#{i}" for i, kind in enumerate(types, 1))
    return ", ".join(casts)


def _hashed(column: str, kind: str) -> list[str]:
    """What of a column goes into a hash: DuckDB's ``hash`` has one value for 0.0 and -0.0, for 1 month and 30 days, for
    [[1], [2]] and [[1, 2]]; and a text doesn't tell which member of a union it is."""
    if _EXACT.match(kind):
        return [column]
    if kind in ("DOUBLE", "FLOAT"):
        return [column, f"({column} = 0 AND signbit({column}))"]
    return [column, f"{column}::VARCHAR"]
