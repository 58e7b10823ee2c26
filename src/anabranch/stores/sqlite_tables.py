"""The tables of a state in SQLite, and how they are made and migrated."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from anabranch.stores.migrations import Migration, Stamp
from anabranch.stores.sqlite_errors import not_ours

MIGRATIONS = (
    Migration(
        1,
        (
            # `at` before `body`: writing it anew doesn't touch the pages that a large body overflows to.
            "CREATE TABLE objects (id TEXT NOT NULL PRIMARY KEY, at REAL NOT NULL, body BLOB NOT NULL)",
            "CREATE TABLE cells (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        ),
    ),
)

_ABOUT = "CREATE TABLE IF NOT EXISTS about (written_by TEXT NOT NULL, flushes INTEGER NOT NULL)"
APPLICATION = 0x414E4142
"""``ANAB``: in the file's header, it says whose file this is (``file`` shows it)."""


class SqliteTables:
    """See :class:`anabranch.stores.migrations.Tables`. The version is in the header, where reading it is cheapest."""

    def __init__(self, sql: sqlite3.Connection, place: str, patience: float) -> None:
        self._sql = sql
        self._patience = patience
        self.place = place

    def stamp(self) -> Stamp | None:
        if self._sql.in_transaction:
            return self._stamp()
        self._sql.execute("BEGIN")  # or another process may migrate between two of the questions
        try:
            return self._stamp()
        finally:
            self._sql.rollback()

    def _stamp(self) -> Stamp | None:
        (application,) = self._sql.execute("PRAGMA application_id").fetchone()
        (version,) = self._sql.execute("PRAGMA user_version").fetchone()
        if application == APPLICATION:
            return Stamp(version, written_by(self._sql))
        if application or version or self._sql.execute("SELECT 1 FROM sqlite_schema").fetchone():
            raise not_ours(self.place)
        return None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self._log_ahead()
        self._sql.execute("PRAGMA synchronous = FULL")
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            self._sql.rollback()
            raise

    def _log_ahead(self) -> None:
        """Sets what stays with the file. For this one statement SQLite doesn't wait for others; so it is done here."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self._sql.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return

    def run(self, statement: str) -> None:
        self._sql.execute(statement)

    def mark(self, stamp: Stamp) -> None:
        self._sql.execute(f"PRAGMA application_id = {APPLICATION}")
        self._sql.execute(f"PRAGMA user_version = {stamp.version:d}")
        self._sql.execute(_ABOUT)
        self._sql.execute("DELETE FROM about")
        self._sql.execute("INSERT INTO about VALUES (?, 0)", (stamp.written_by,))


def written_by(sql: sqlite3.Connection) -> str:
    """The version of Anabranch that made the tables what they are; ``""`` where it can't be told."""
    try:
        (written_by,) = sql.execute("SELECT written_by FROM about").fetchone()
    except sqlite3.OperationalError:  # a newer version may keep it elsewhere
        return ""
    return str(written_by)
