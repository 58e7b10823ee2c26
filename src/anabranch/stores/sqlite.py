"""State in one SQLite file: the default, for one machine.

Readers never wait for writers, nor writers for readers (write-ahead log). Writers take turns: threads at a lock,
processes by asking again until ``patience`` is over. How durable a commit is, is decided per transaction: FULL makes
the log reach the disk before the commit returns; NORMAL leaves that to the next one that does, or to a checkpoint. As
there is one log, a durable commit makes durable all that came before it, whoever wrote it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from anabranch.domain.ids import ObjectId
from anabranch.errors import StateUnavailable
from anabranch.stores.keys import changes_something, prefix_end
from anabranch.stores.migrations import Migration, Stamp, migrate, newest, too_new
from anabranch.stores.pool import Pool
from anabranch.stores.sqlite_errors import explain, held
from anabranch.stores.sqlite_tables import MIGRATIONS, SqliteTables, written_by

PATIENCE = 30.0
"""Seconds to wait for another writer."""

# CROSS JOIN: SQLite then keeps this order, one look into the index for each key.
_READ = "SELECT c.key, c.value FROM json_each(?) AS j CROSS JOIN cells AS c ON c.key = j.value"
_GET = "SELECT o.id, o.body FROM json_each(?) AS j CROSS JOIN objects AS o ON o.id = j.value"
_WRITE = "INSERT INTO cells VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_PUT = "INSERT INTO objects (id, at, body) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET at = excluded.at"


class _Connection:
    """One connection, and how durable its next commit is."""

    __slots__ = ("durable", "sql")

    def __init__(self, sql: sqlite3.Connection) -> None:
        self.sql = sql
        self.durable: bool | None = None

    def commit_durably(self, durable: bool) -> None:
        if self.durable is not durable:
            self.sql.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.durable = durable


class SqliteStore:
    """The Store port, in the file ``path``, which is made when first needed, with its folder.

    ``clock`` gives seconds since 1970. ``patience``: the seconds to wait for other writers. ``migrations`` are given by
    tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self._path = path.absolute()
        self._place = str(path)
        self._clock = clock
        self._patience = patience
        self._migrations = migrations
        self._file: tuple[int, int] | None = None
        self._turn = threading.Lock()
        self._pool = Pool(
            self._place, self._connect, lambda c: c.sql.close(), self._is_usable, fork_patience=patience + 5
        )

    def __repr__(self) -> str:
        return f"SqliteStore({self._place!r})"

    @property
    def place(self) -> str:
        return self._place

    def put(self, objects: Mapping[ObjectId, bytes]) -> None:
        with self._writing(durable=False) as sql:
            at = self._clock()  # once it is our turn: the longer it took, the younger they are
            sql.executemany(_PUT, ((identifier, at, body) for identifier, body in objects.items()))

    def get(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        with self._reading() as sql:
            return dict(sql.execute(_GET, (json.dumps(list(ids)),)))

    def aged(self, seconds: float) -> set[ObjectId]:
        with self._reading() as sql:
            return {i for (i,) in sql.execute("SELECT id FROM objects WHERE at < ?", (self._clock() - seconds,))}

    def delete(self, ids: Collection[ObjectId], seconds: float) -> int:
        statement = "DELETE FROM objects WHERE id IN (SELECT value FROM json_each(?)) AND at < ?"
        before = self._clock() - seconds
        with self._writing(durable=False) as sql:
            return sql.execute(statement, (json.dumps(list(ids)), before)).rowcount

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        with self._reading() as sql:
            return dict(sql.execute(_READ, (json.dumps(list(keys)),)))

    def scan(self, prefix: str) -> dict[str, bytes]:
        end = prefix_end(prefix)
        below, bounds = ("", (prefix,)) if end is None else ("AND key < ?", (prefix, end))
        with self._reading() as sql:
            return dict(sql.execute(f"SELECT key, value FROM cells WHERE key >= ? {below} ORDER BY key", bounds))

    def swap(
        self, expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None], *, durable: bool = True
    ) -> bool:
        with self._writing(durable) as sql:
            self._check_version(sql)
            if expect:
                found = dict(sql.execute(_READ, (json.dumps(list(expect)),)))
                if any(found.get(key) != value for key, value in expect.items()):
                    return False
            kept = [(key, value) for key, value in write.items() if value is not None]
            if kept:
                sql.executemany(_WRITE, kept)
            if len(kept) < len(write):
                gone = ((key,) for key, value in write.items() if value is None)
                sql.executemany("DELETE FROM cells WHERE key = ?", gone)
            if durable and not changes_something(expect, write):
                sql.execute("UPDATE about SET flushes = flushes + 1")
            return True

    def now(self) -> float:
        return self._clock()

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """For a single statement, which sees one moment."""
        with self._explained(), self._pool.use() as connection:
            yield connection.sql

    @contextmanager
    def _writing(self, durable: bool) -> Iterator[sqlite3.Connection]:
        """One transaction. An exception closes the connection, which rolls it back."""
        with self._explained(), self._pool.use() as connection:
            if not self._turn.acquire(timeout=self._patience):
                raise held(self._place, self._patience)
            try:
                connection.commit_durably(durable)
                connection.sql.execute("BEGIN IMMEDIATE")
                try:
                    yield connection.sql
                    connection.sql.execute("COMMIT")
                except BaseException:
                    connection.sql.rollback()
                    raise
            finally:
                self._turn.release()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise explain(error, self._path, self._place, self._patience) from error

    def _check_version(self, sql: sqlite3.Connection) -> None:
        """Refuses to publish where a newer version has migrated the store since this connection was opened."""
        (version,) = sql.execute("PRAGMA user_version").fetchone()
        if version > newest(self._migrations):
            raise too_new(self._place, Stamp(version, written_by(sql)), newest(self._migrations))

    def _connect(self) -> _Connection:
        self._check_file()
        self._make_folder()
        sql = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        try:
            sql.execute("PRAGMA fullfsync = ON")  # macOS: what `synchronous` means to say
            migrate(SqliteTables(sql, self._place, self._patience), self._migrations)
            stat = self._path.stat()
        except BaseException:
            sql.close()
            raise
        self._file = (stat.st_dev, stat.st_ino)
        return _Connection(sql)

    def _make_folder(self) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateUnavailable(
                f"{self._place} can't be made: the folder {folder} can't be ({error.strerror})",
                hint="make the folder, or name another file under `state` in anabranch.yaml",
            ) from error

    def _is_usable(self, _: _Connection) -> bool:
        self._check_file()
        return True

    def _check_file(self) -> None:
        """That the path leads to the file that this store began with: what is written to another would be lost, or
        worse, for SQLite finds the log by the path."""
        if self._file is None:
            return
        try:
            stat = os.stat(self._path)  # noqa: PTH116  # half the time of Path.stat, in every call
        except OSError:
            raise StateUnavailable(
                f"{self._place} has disappeared while it was in use",
                hint="put it back (docs/state.md, Backup): the next command would begin with an empty one",
            ) from None
        if self._file != (stat.st_dev, stat.st_ino):
            raise StateUnavailable(
                f"{self._place} has been replaced by another file while it was in use",
                hint="repeat the command; if a backup was put there, see docs/state.md, Backup",
            )
