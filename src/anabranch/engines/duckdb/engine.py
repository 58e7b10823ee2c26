"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.engines.duckdb.errors import errors, first_line, shut
from anabranch.engines.duckdb.session import DuckDBSession
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import USUAL
from anabranch.ports.grammar import STANDARD

if TYPE_CHECKING:
    import duckdb

Patience = Callable[[str], None]
"""Told once, by whom the database is held, when a session has to wait."""

_SETTLED = 0.03
"""Seconds after which a file's time stamp can't hide another write (the kernel's clock ticks every 1 to 10 ms)."""


class DuckDBEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "duckdb"
    clone_rules = USUAL
    dialect = "duckdb"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.FULL,
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        Capability.CLONE_TABLE: Support.NEVER,
        Capability.CLONE_SCHEMA: Support.NEVER,
        Capability.CLONE_DATABASE: Support.NEVER,
        Capability.TIME_TRAVEL: Support.NEVER,
        Capability.SWAP_TABLES: Support.FULL,
        Capability.SWAP_SCHEMAS: Support.NEVER,
        Capability.MATERIALIZED_VIEWS: Support.NEVER,
        Capability.MERGE: Support.FULL,
        Capability.GRANTS: Support.NEVER,
        Capability.EXACT_HASH: Support.FULL,
    }
    grammar = STANDARD
    identifiers = Identifiers(longest=2**16, case=Case.INSENSITIVE)
    session_type: type[DuckDBSession] = DuckDBSession

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
            yield self.session_type(cursor, self.place, self._catalog, guarded=guarded)
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
        text = first_line(error)
        if self._path.exists() and not os.access(self._path, os.R_OK):
            return WarehouseUnavailable(
                f"{self.place} may not be read", hint="let this user read and write it (chmod u+rw)"
            )
        if self._path.exists() and not os.access(self._path, os.W_OK):
            return WarehouseUnavailable(f"{self.place} is read-only", hint="make it writable for this user (chmod u+w)")
        if not os.access(self._path.parent, os.W_OK):
            return shut(self.place)
        if "not a valid DuckDB database" in text:
            return WarehouseUnavailable(
                f"{self.place} is not a DuckDB database", hint="check warehouse.database in anabranch.yaml"
            )
        return WarehouseUnavailable(f"{self.place} can't be opened: {text}", hint="check warehouse in anabranch.yaml")

    def interrupt(self) -> None:
        self._stops += 1  # without the lock, which whoever waits for another process holds
        for cursor in list(self._cursors):
            # one that was closed just now has nothing to stop
            with contextlib.suppress(StatementFailed, WarehouseUnavailable), errors(self.place):
                cursor.interrupt()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None and not self._cursors:
                with errors(self.place):
                    self._connection.close()
                self._connection = None


def _holder(text: str) -> str | None:
    """Who holds the lock that ``text`` speaks of; None where it speaks of something else."""
    match = re.search(r"[Ll]ock is (?:already )?held in (?:(.*?) \(PID (\d+)\)|PID (\d+))?", text)
    if match is None:
        return None
    program, number, alone = match.groups()
    return f"process {number} ({program})" if number else f"process {alone}" if alone else "another process"
