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

from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable
from anabranch.ports.engine import Capability, Found, Relation, Result, Support, quoted

if TYPE_CHECKING:
    import duckdb

Patience = Callable[[str], None]
"""Told once, by whom the database is held, when a session has to wait."""

_OWN_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_]*)'
_POINTER = re.compile(
    rf"CREATE VIEW\s+(?:{_IDENTIFIER}\.)*{_IDENTIFIER}\s+(?:\([^)]*\)\s+)?AS\s+SELECT \* FROM "
    rf"((?:{_IDENTIFIER}\.)*{_IDENTIFIER});?\s*\Z",
    re.IGNORECASE,
)
_SETTLED = 0.03
"""Seconds after which a file's time stamp can't hide another write (the kernel's clock ticks every 1 to 10 ms)."""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _unquote(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


class DuckDBSession:
    """See :class:`anabranch.ports.engine.Session`."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, place: str) -> None:
        self._cursor = cursor
        self._place = place
        self._catalog = str(self.query("SELECT current_database()").rows[0][0])

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
        self.execute("BEGIN TRANSACTION")

    def commit(self) -> None:
        try:
            self.execute("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        with contextlib.suppress(StatementFailed, WarehouseUnavailable):  # a failed COMMIT has rolled back already
            self.execute("ROLLBACK")

    def execute(self, statement: str) -> None:
        with _errors(self._place):
            self._cursor.execute(statement)

    def query(self, statement: str) -> Result:
        with _errors(self._place):
            cursor = self._cursor.execute(statement)
            columns = tuple(str(d[0]) for d in cursor.description or ())
            return Result(columns, cursor.fetchall())

    def create_schemas(self, schemas: Collection[str]) -> None:
        for schema in sorted(schemas):
            name = [self._catalog, schema] if self._is_ambiguous(schema) else [schema]
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(name)}")

    def drop_schemas(self, schemas: Collection[str]) -> None:
        wanted = sorted(set(schemas) & set(self.schemas()))
        if not wanted:
            return
        used = {f.relation.schema for f in self.find(wanted)}
        for schema in wanted:
            if schema not in used and not self._is_ambiguous(schema):  # which DuckDB 2.0 can't drop by any name
                self.execute(f"DROP SCHEMA IF EXISTS {quoted([schema])}")

    def create_table(self, table: Relation, query: str) -> int:
        return self._rows(f"CREATE TABLE {self._quote(table)} AS {query}")

    def load_csv(self, table: Relation, path: Path, columns: Mapping[str, str]) -> int:
        types = ", ".join(f"{_literal(name)}: {_literal(kind)}" for name, kind in columns.items())
        options = f", types = {{{types}}}" if types else ""
        source = f"read_csv({_literal(str(path))}, header = true{options})"
        return self._rows(f"CREATE TABLE {self._quote(table)} AS SELECT * FROM {source}")

    def _rows(self, statement: str) -> int:
        answer = self.query(statement).rows
        return int(str(answer[0][0])) if answer else 0

    def create_view(self, view: Relation, query: str) -> None:
        self.execute(f"CREATE OR REPLACE VIEW {self._quote(view)} AS {query}")

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        statements = [
            f"DROP VIEW IF EXISTS {self._quote(view)}"
            if target is None
            else f"CREATE OR REPLACE VIEW {self._quote(view)} AS SELECT * FROM {self._quote(target)}"
            for view, target in pointers.items()
        ]
        if statements:
            self.execute(";\n".join(statements))

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        if not schemas:
            return {}
        found = self.query(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE database_name = current_database()"
            f" AND NOT internal AND schema_name IN ({_list(schemas)})"
        )
        return {Relation(str(s), str(v)): self._pointed(str(sql)) for s, v, sql in found.rows}

    def _pointed(self, sql: str) -> Relation | None:
        match = _POINTER.match(sql)
        if match is None:
            return None
        *catalog, schema, name = [_unquote(p) for p in re.findall(_IDENTIFIER, f"main.{match.group(1)}")][-3:]
        own = not catalog or catalog[0] in ("main", self._catalog)
        return Relation(schema, name, None if own else catalog[0])

    def drop(self, relations: Collection[Relation]) -> None:
        views = self.targets({r.schema for r in relations})
        for relation in sorted(relations):
            self.execute(f"DROP {'VIEW' if relation in views else 'TABLE'} IF EXISTS {self._quote(relation)}")

    def find(self, schemas: Collection[str]) -> list[Found]:
        if not schemas:
            return []
        wanted = f"database_name = current_database() AND NOT internal AND schema_name IN ({_list(schemas)})"
        views = {
            (str(s), str(v)): str(sql)
            for s, v, sql in self.query(f"SELECT schema_name, view_name, sql FROM duckdb_views() WHERE {wanted}").rows
        }
        columns: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for schema, table, column, kind in self.query(
            f"SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE {wanted}"
            " ORDER BY schema_name, table_name, column_index"
        ).rows:
            columns.setdefault((str(schema), str(table)), []).append((str(column), str(kind)))
        for key in views:
            columns.setdefault(key, [])
        return [
            Found(Relation(*key), key in views, tuple(found), views.get(key, ""))
            for key, found in sorted(columns.items())
        ]

    def schemas(self) -> list[str]:
        found = self.query("SELECT schema_name FROM duckdb_schemas() WHERE database_name = current_database()")
        return sorted({str(r[0]) for r in found.rows} - _OWN_SCHEMAS)

    def describe(self, relation: Relation) -> Found | None:
        try:
            columns = tuple((str(r[0]), str(r[1])) for r in self.query(f"DESCRIBE {self._quote(relation)}").rows)
        except StatementFailed as failure:
            if failure.kind in ("CatalogException", "BinderException"):
                return None
            raise
        found = self.query(
            "SELECT sql FROM duckdb_views() WHERE database_name = current_database()"
            f" AND schema_name = {_literal(relation.schema)} AND view_name = {_literal(relation.name)}"
        ).rows
        return Found(relation, bool(found), columns, str(found[0][0]) if found else "")

    def count(self, table: Relation) -> int:
        return int(str(self.query(f"SELECT count(*) FROM {self._quote(table)}").rows[0][0]))


class DuckDBEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "duckdb"
    dialect = "duckdb"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.FULL,
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
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
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._read_only = False
        self._cursors: set[duckdb.DuckDBPyConnection] = set()

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
            self._cursors.add(cursor)
        try:
            yield DuckDBSession(cursor, self.place)
        finally:
            with self._lock:
                self._cursors.discard(cursor)
                cursor.close()

    def _open(self, read_only: bool, patience: float) -> duckdb.DuckDBPyConnection:
        if self._connection is not None and self._read_only and not read_only and not self._cursors:
            self.close()
        if self._connection is not None and self._read_only and not read_only:
            raise WarehouseUnavailable(f"{self.place} is being read by this process, which now wants to write to it")
        if self._connection is None:
            self._connection = self._connect(read_only, patience)
            self._read_only = read_only
        return self._connection

    def _connect(self, read_only: bool, patience: float) -> duckdb.DuckDBPyConnection:
        import duckdb  # costs 0.1 s of CPU, and a plan without changes needs no engine

        if read_only and not self._path.exists():
            raise self._missing()
        if not self._path.parent.is_dir():
            raise self._missing()
        deadline = time.monotonic() + patience
        delay = 0.005
        told = False
        while True:
            try:
                return duckdb.connect(str(self._path), read_only=read_only, config=dict(self._settings))
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise self._unavailable(error) from error
                holder = _holder(str(error))
                if time.monotonic() > deadline:
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
        if self._path.exists() and not os.access(self._path, os.W_OK):
            return WarehouseUnavailable(f"{self.place} is read-only", hint="make it writable for this user (chmod u+w)")
        if self._path.exists() and not os.access(self._path.parent, os.W_OK):
            return WarehouseUnavailable(
                f"{self.place} lies in a folder that can't be written", hint="DuckDB keeps its log beside the database"
            )
        if "not a valid DuckDB database" in text:
            return WarehouseUnavailable(
                f"{self.place} is not a DuckDB database", hint="check warehouse.database in anabranch.yaml"
            )
        return WarehouseUnavailable(f"{self.place} can't be opened: {text}", hint="check warehouse in anabranch.yaml")

    def interrupt(self) -> None:
        with self._lock:
            for cursor in self._cursors:
                cursor.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and not self._cursors:
                with _errors(self.place):
                    self._connection.close()
                self._connection = None


def _list(names: Collection[str]) -> str:
    return ", ".join(_literal(n) for n in sorted(names))


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _holder(text: str) -> str:
    match = re.search(r"held in (.*?) \(PID (\d+)\)", text)
    return f"process {match.group(2)} ({match.group(1)})" if match else "another process"


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
        raise StatementFailed(text, kind=type(error).__name__) from error
