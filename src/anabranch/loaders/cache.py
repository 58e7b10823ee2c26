"""What is known of files from before: their hashes, and what parsing them said.

One SQLite file that may be deleted at any time. Nothing depends on it but speed: where it can't be read, written or
understood, it is made anew or done without, silently. Several processes may use it at once.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from anabranch.loaders.files import Known, Stamp

VERSION = 1
"""Of the tables. Another one means that the file is made anew."""
DAY = 86_400 * 1_000_000_000
TOUCHED_AFTER = 7 * DAY
"""An entry in use is marked as such so often: a command that learns nothing shouldn't write."""
KEPT_FOR = 60 * DAY
"""Entries that nobody used for so long are deleted."""
PATIENCE = 2.0
"""Seconds to wait for another process that is writing."""
_CHUNK = 500
_Row = tuple[Any, ...]
_TABLES = f"""
BEGIN IMMEDIATE;
DROP TABLE IF EXISTS file;
DROP TABLE IF EXISTS parsed;
CREATE TABLE file (
    path TEXT PRIMARY KEY, size INTEGER, modified INTEGER, changed INTEGER, inode INTEGER, content TEXT, seen INTEGER
) WITHOUT ROWID;
CREATE TABLE parsed (key TEXT PRIMARY KEY, value TEXT NOT NULL, used INTEGER NOT NULL);
PRAGMA user_version = {VERSION};
COMMIT;
"""


class ParseCache:
    """``path`` None: nothing is kept. ``now``: nanoseconds since 1970."""

    def __init__(self, path: Path | None, now: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self.now = now

    def files(self, root: Path) -> dict[str, Known]:
        """All files known under ``root``, by relative path."""
        prefix = f"{root}/"
        found = self._try(lambda c: c.execute("SELECT * FROM file WHERE path >= ? AND path < ?", (prefix, f"{root}0")))
        cut = len(prefix)
        return {path[cut:]: Known(Stamp(*stamp), content, seen) for path, *stamp, content, seen in found}

    def parsed(self, keys: Collection[str]) -> dict[str, str]:
        """The values that are known of ``keys``."""
        wanted = sorted(keys)
        found: dict[str, str] = {}
        old: list[str] = []
        before = self.now() - TOUCHED_AFTER
        for i in range(0, len(wanted), _CHUNK):
            for key, value, used in self._rows_of(wanted[i : i + _CHUNK]):
                found[key] = value
                if used < before:
                    old.append(key)
        if old:
            rows = [(self.now(), key) for key in old]
            self._write(lambda c: c.executemany("UPDATE parsed SET used = ? WHERE key = ?", rows))
        return found

    def _rows_of(self, keys: Sequence[str]) -> list[_Row]:
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value, used FROM parsed WHERE key IN ({marks})"  # noqa: S608  # question marks only
        return self._try(lambda c: c.execute(query, keys))

    def learn(self, root: Path, news: Mapping[str, Known], gone: Collection[str], parsed: Mapping[str, str]) -> None:
        """Keeps what is new, and forgets files that are gone and what nobody used for long."""
        if not news and not gone and not parsed:
            return
        files = [(f"{root}/{path}", *_row(known)) for path, known in news.items()]
        lost = [(f"{root}/{path}",) for path in gone]
        now = self.now()
        values = [(key, value, now) for key, value in parsed.items()]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?)", files)
            connection.executemany("DELETE FROM file WHERE path = ?", lost)
            connection.executemany("INSERT OR REPLACE INTO parsed VALUES (?, ?, ?)", values)
            if values:
                connection.execute("DELETE FROM parsed WHERE used < ?", (now - KEPT_FOR,))

        self._write(write)

    def _write(self, write: Callable[[sqlite3.Connection], object]) -> None:
        def transact(connection: sqlite3.Connection) -> list[_Row]:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                write(connection)
            return []

        self._try(transact)

    def _try(self, use: Callable[[sqlite3.Connection], Iterable[_Row]]) -> list[_Row]:
        """What ``use`` gives; nothing where the file can't be used. A damaged one is made anew, once."""
        for last in (False, True):
            if self._path is None:
                break
            try:
                return _with(self._path, use)
            except (sqlite3.Error, OSError) as error:
                if _is_busy(error):
                    break
                if last or not _is_damaged(error) or not _delete(self._path):
                    self._path = None
        return []


def _with(path: Path, use: Callable[[sqlite3.Connection], Iterable[_Row]]) -> list[_Row]:
    """Opens the file for one use: so it may vanish between two, and threads don't matter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        if connection.execute("PRAGMA user_version").fetchone() != (VERSION,):
            connection.executescript(_TABLES)
        return list(use(connection))
    finally:
        connection.close()


def _delete(path: Path) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _row(known: Known) -> _Row:
    s = known.stamp
    return (s.size, s.modified, s.changed, s.inode, known.content, known.seen)


def _is_busy(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _is_damaged(error: Exception) -> bool:
    """Not what this module wrote: no database at all, torn, or with other tables."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(("no such", "table "))
    return isinstance(error, sqlite3.Error)
