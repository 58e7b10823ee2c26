"""DuckDB, embedded: one file, one writing process at a time, many threads in it.

The database is opened when first needed and given back by :meth:`DuckDBEngine.close`, so that other processes wait only
while something is under way here. Verified against DuckDB 1.5 and 2.0.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.engines.csv_files import find_fault, require_header
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable, Where
from anabranch.ports.engine import Capability, Found, Grant, Relation, Result, Support, quoted

if TYPE_CHECKING:
    import duckdb

Patience = Callable[[str], None]
"""Told once, by whom the database is held, when a session has to wait."""

_OWN_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*)'
_POINTER = re.compile(
    rf"CREATE VIEW\s+(?:{_IDENTIFIER}\.)*{_IDENTIFIER}\s+AS\s+SELECT \* FROM "
    rf"(?:((?:{_IDENTIFIER}\.)*{_IDENTIFIER})|query_table\('((?:[^']|'')*)'\));?\s*\Z",
    re.IGNORECASE,
)
_SETTLED = 0.03
"""Seconds after which a file's time stamp can't hide another write (the kernel's clock ticks every 1 to 10 ms)."""
_CSV = "header = true, delim = ',', quote = '\"', escape = '\"', comment = '', skip = 0, sample_size = -1"
"""Commas and double quotes, all rows decide a type: left to guess, DuckDB passes over rows that don't fit its guess."""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unquote(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


class DuckDBSession:
    """See :class:`anabranch.ports.engine.Session`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, place: str, catalog: str, *, guarded: bool = False) -> None:
        """``guarded``: the connection can write, and this session must not."""
        self._cursor = cursor
        self._place = place
        self._guarded = guarded
        self._in_transaction = False
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
        with _errors(self._place):
            self._cursor.execute(f"BEGIN TRANSACTION{' READ ONLY' if self._guarded else ''}")
            self._in_transaction = True

    def commit(self) -> None:
        try:
            with _errors(self._place):
                self._cursor.execute("COMMIT")
                self._in_transaction = False
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        self._in_transaction = False
        # a failed COMMIT has rolled back already
        with contextlib.suppress(StatementFailed, WarehouseUnavailable), _errors(self._place):
            self._cursor.execute("ROLLBACK")

    @contextlib.contextmanager
    def _statement(self) -> Iterator[None]:
        with _errors(self._place):
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

    def create_view(self, view: Relation, query: str) -> None:
        self.execute(f"CREATE OR REPLACE VIEW {self._quote(view)} AS {query}")

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

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        return {}  # there are no users

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        if grants:
            raise StatementFailed(f"DuckDB has no rights to grant on {relation}", kind="NotImplementedException")

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

    def count(self, table: Relation) -> int:
        return int(str(self.query(f"SELECT count(*) FROM {self._quote(table)}").rows[0][0]))


class DuckDBEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "duckdb"
    dialect = "duckdb"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.FULL,
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        Capability.GRANTS: Support.NEVER,
    }

    def __init__(
        self,
        path: Path,
        *,
        settings: Mapping[str, str] | None = None,
        patience: float = 300.0,
        on_wait: Patience = lambda holder: None,
    ) -> None:
        """``settings`` are DuckDB's own (``memory_limit``, ``threads``, …). ``patience``: seconds to wait for another
        process."""
        self._path = path
        self._settings = dict(settings or {})
        self._patience = patience
        self._on_wait = on_wait
        self._lock = threading.RLock()
        self._left = threading.Condition(self._lock)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._read_only = False
        self._catalog = ""
        self._cursors: dict[duckdb.DuckDBPyConnection, int] = {}
        """Those in use, and by which thread."""
        self._stops = 0
        """How often :meth:`interrupt` was called."""

    @property
    def place(self) -> str:
        return str(self._path)

    def exists(self) -> bool:
        return self._path.exists()

    def size(self) -> int | None:
        return sum(p.stat().st_size for p in self._files() if p.exists())

    def _files(self) -> tuple[Path, Path]:
        return self._path, self._path.with_name(self._path.name + ".wal")

    def revision(self) -> str | None:
        now = time.time()
        parts = [socket.gethostname()]
        for path in self._files():
            try:
                found = path.stat()
            except OSError:
                parts.append("-")
                continue
            if now - found.st_mtime < _SETTLED:
                return None
            parts.append(f"{found.st_ino}.{found.st_size}.{found.st_mtime_ns}")
        return " ".join(parts)

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[DuckDBSession]:
        with self._lock:
            connection = self._open(read_only, self._patience if patience is None else min(patience, self._patience))
            cursor = connection.cursor()
            self._cursors[cursor] = threading.get_ident()
            guarded = read_only and not self._read_only
        try:
            yield DuckDBSession(cursor, self.place, self._catalog, guarded=guarded)
        finally:
            with self._lock:
                del self._cursors[cursor]
                cursor.close()
                self._left.notify_all()

    def _open(self, read_only: bool, patience: float) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + patience
        while self._connection is not None and self._read_only and not read_only:  # DuckDB can't have it both ways
            if not self._cursors:
                self.close()
            elif threading.get_ident() in self._cursors.values() or not self._left.wait(deadline - time.monotonic()):
                raise WarehouseBusy(f"{self.place} is being read by this process, which now wants to write to it")
        if self._connection is None:
            self._connection = self._connect(read_only, patience)
            self._read_only = read_only
            self._catalog = str(self._connection.execute("SELECT current_database()").fetchall()[0][0])
        return self._connection

    def _connect(self, read_only: bool, patience: float) -> duckdb.DuckDBPyConnection:
        import duckdb  # costs 0.1 s of CPU, and a plan without changes needs no engine

        if read_only and not self._path.exists():
            raise self._missing()
        if not self._path.parent.is_dir():
            raise self._missing()
        deadline = time.monotonic() + patience
        stops = self._stops
        delay = 0.005
        told = False
        while True:
            try:
                return duckdb.connect(str(self._path), read_only=read_only, config=dict(self._settings))
            except duckdb.IOException as error:
                holder = _holder(str(error))
                if holder is None:
                    raise self._unavailable(error) from error
                if time.monotonic() > deadline or self._stops != stops:
                    raise WarehouseBusy(
                        f"{self.place} is held by {holder}",
                        hint="close that process, or wait until it is done, and run the command again",
                    ) from error
                if not told:
                    self._on_wait(holder)
                    told = True
                time.sleep(delay)
                delay = min(delay * 1.5, 0.25)
            except duckdb.Error as error:
                raise self._unavailable(error) from error

    def _missing(self) -> WarehouseUnavailable:
        return WarehouseUnavailable(f"{self.place} doesn't exist", hint="check warehouse.database in anabranch.yaml")

    def _unavailable(self, error: Exception) -> WarehouseUnavailable:
        text = _first_line(error)
        if self._path.exists() and not os.access(self._path, os.R_OK):
            return WarehouseUnavailable(
                f"{self.place} may not be read", hint="let this user read and write it (chmod u+rw)"
            )
        if self._path.exists() and not os.access(self._path, os.W_OK):
            return WarehouseUnavailable(f"{self.place} is read-only", hint="make it writable for this user (chmod u+w)")
        if not os.access(self._path.parent, os.W_OK):
            return _shut(self.place)
        if "not a valid DuckDB database" in text:
            return WarehouseUnavailable(
                f"{self.place} is not a DuckDB database", hint="check warehouse.database in anabranch.yaml"
            )
        return WarehouseUnavailable(f"{self.place} can't be opened: {text}", hint="check warehouse in anabranch.yaml")

    def interrupt(self) -> None:
        self._stops += 1  # without the lock, which whoever waits for another process holds
        for cursor in list(self._cursors):
            # one that was closed just now has nothing to stop
            with contextlib.suppress(StatementFailed, WarehouseUnavailable), _errors(self.place):
                cursor.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and not self._cursors:
                with _errors(self.place):
                    self._connection.close()
                self._connection = None


def _list(names: Collection[str]) -> str:
    """In lower case, to be found without regard to case, as DuckDB finds them."""
    return ", ".join(_literal(n) for n in sorted({n.lower() for n in names}))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _holder(text: str) -> str | None:
    """Who holds the lock that ``text`` speaks of; None where it speaks of something else."""
    match = re.search(r"[Ll]ock is (?:already )?held in (?:(.*?) \(PID (\d+)\)|PID (\d+))?", text)
    if match is None:
        return None
    program, number, alone = match.groups()
    return f"process {number} ({program})" if number else f"process {alone}" if alone else "another process"


def _readable(types: Collection[str]) -> str:
    """Columns with moments as text: DuckDB's driver can't make Python's out of them without the package pytz."""
    casts = (f"#{i}::VARCHAR" if "TIMESTAMP WITH TIME ZONE" in kind else f"#{i}" for i, kind in enumerate(types, 1))
    return ", ".join(casts)


def _shut(place: str) -> WarehouseUnavailable:
    return WarehouseUnavailable(
        f"{place} lies in a folder that can't be written", hint="DuckDB keeps its log beside the database"
    )


@contextlib.contextmanager
def _errors(place: str) -> Iterator[None]:
    import duckdb  # already loaded here: there is a connection

    try:
        yield
    except duckdb.Error as error:
        text = str(error).strip()
        if "No space left" in text or "File too large" in text or "database or disk is full" in text:
            raise WarehouseUnavailable(
                f"no space left for {place}: {_first_line(error)}",
                hint="make room (anabranch gc drops what nobody reads), then run it again",
            ) from error
        if f"{place}.wal" in text and ("Permission denied" in text or "Read-only file system" in text):
            raise _shut(place) from error
        raise StatementFailed(text, kind=type(error).__name__) from error
