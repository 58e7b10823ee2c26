"""Connections to one Postgres database: made with the settings that Anabranch needs, kept while they wait to be used
again, and never more than so many."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anabranch.engines.postgres.address import HINT, Address
from anabranch.engines.postgres.dates import read_all_dates
from anabranch.engines.postgres.errors import (
    NoDatabase,
    is_lost,
    is_missing,
    is_passing,
    is_refused,
    missing,
    unreachable,
)
from anabranch.errors import ConfigError, WarehouseBusy, WarehouseUnavailable

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

MAINTENANCE = ("postgres", "template1")
"""Databases that are there on every server, from which others are made."""
_OURS = {
    "DateStyle": "ISO",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "quote_all_identifiers": "off",
    "client_min_messages": "notice",
    "default_transaction_isolation": "read committed",
}
"""How values and definitions are written, and what a text means: hashes, Arrow and the catalog depend on it."""
_STEP = 0.2
"""Seconds between two looks at whether somebody wants to stop."""

_abandoned: list[object] = []
"""Connections of the process that this one was forked from: kept, so that nobody closes them here."""


def driver() -> Any:
    """The package psycopg. Raises ``WarehouseUnavailable`` where it isn't installed."""
    try:
        import psycopg
    except ImportError as error:
        raise WarehouseUnavailable(
            f"a warehouse in Postgres needs the package psycopg ({error})", hint="pip install 'anabranch[postgres]'"
        ) from error
    return psycopg


class Pool:
    """``settings``: the server's own, for every session. ``most``: connections at a time."""

    def __init__(self, address: Address, settings: Mapping[str, str], most: int) -> None:
        self.address = address
        self.stops = 0
        """How often all was told to stop; whoever waits looks at it."""
        self._settings = {**settings, **_OURS}
        self._most = most
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._idle: list[Connection] = []
        self._used = 0

    def take(self, *, read_only: bool, patience: float, make: bool = False) -> Connection:
        """A connection for the caller alone, to be given to :meth:`give`. ``make``: makes the database where it isn't
        there.

        Raises:
            WarehouseBusy: there are none left, here or on the server, within ``patience`` seconds.
            WarehouseUnavailable: there is no such database, or it is out of reach.
        """
        deadline, stops = time.monotonic() + patience, self.stops
        connection = self._reserve(deadline, stops)
        try:
            while connection is not None:
                if self._prepare(connection, read_only, patience):
                    return connection
                connection.close()  # it was lost while it waited
                with self._changed:
                    connection = self._idle.pop() if self._idle else None
            connection = self._open(deadline, stops, make=make and not read_only)
            if not self._prepare(connection, read_only, patience):
                raise WarehouseUnavailable(
                    f"{self.address.place} closes connections at once", hint="see the server's log"
                )
        except BaseException:
            if connection is not None:
                connection.close()
            self._leave(None)
            raise
        return connection

    def give(self, connection: Connection) -> None:
        """Takes it back; it is used again where it is as new."""
        psycopg = driver()
        try:
            if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.close()
            else:
                connection.execute("DISCARD ALL")
        except psycopg.Error:
            connection.close()
        except BaseException:
            connection.close()
            self._leave(None)
            raise
        self._leave(None if connection.closed else connection)

    def exists(self, patience: float) -> bool:
        """Whether the database is there. Raises ``WarehouseUnavailable`` where the server doesn't say."""
        try:
            self.give(self.take(read_only=True, patience=patience))
        except NoDatabase:
            return False
        return True

    def _leave(self, connection: Connection | None) -> None:
        with self._changed:
            self._used -= 1
            if connection is not None:
                self._idle.append(connection)
            self._changed.notify_all()

    def close(self) -> None:
        """Closes what waits."""
        with self._changed:
            self._check_process()
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _check_process(self) -> None:
        """A connection never crosses a fork: two processes on one socket garble the conversation."""
        if self._process != os.getpid():
            _abandoned.extend(self._idle)
            self._idle, self._used, self._process = [], 0, os.getpid()

    def _reserve(self, deadline: float, stops: int) -> Connection | None:
        """One that waits, or the right to open one."""
        with self._changed:
            self._check_process()
            while not self._idle and self._used >= self._most:
                left = deadline - time.monotonic()
                if left <= 0 or self.stops != stops:
                    raise WarehouseBusy(
                        f"all {self._most} connections to {self.address.place} are in use here",
                        hint="use fewer at a time (warehouse.workers), or allow more connections",
                    )
                self._changed.wait(min(left, _STEP))
            self._used += 1
            return self._idle.pop() if self._idle else None

    def _prepare(self, connection: Connection, read_only: bool, patience: float) -> bool:
        """Sets all that a session begins with; False: the connection was lost in the meantime."""
        psycopg = driver()
        wanted = {**self._settings, "lock_timeout": str(max(1, round(patience * 1000)))}
        if read_only:
            wanted["default_transaction_read_only"] = "on"
        texts = [text for pair in wanted.items() for text in pair]
        try:
            connection.execute(f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(wanted))}", texts)
        except psycopg.Error as error:
            if is_lost(error, connection):
                return False
            raise WarehouseUnavailable(
                f"{self.address.place} refuses a setting ({self.address.redact(str(error))})",
                hint="correct warehouse.settings in anabranch.yaml",
            ) from None
        return True

    def _open(self, deadline: float, stops: int, *, make: bool) -> Connection:
        """A new connection. What passes is waited for: a server that starts, or is full."""
        psycopg, delay = driver(), 0.05
        while True:
            try:
                return self._connect()
            except psycopg.Error as error:
                if is_passing(error) and time.monotonic() + delay < deadline and self.stops == stops:
                    time.sleep(delay)
                    delay = min(delay * 1.5, _STEP)
                    continue
                if self.is_missing(error):
                    if not make:
                        raise missing(self.address) from None
                    self._make_database(name_in(error, self.address))
                    make = False
                    continue
                raise unreachable(error, self.address) from None

    def _connect(self, **instead: str) -> Connection:
        psycopg = driver()
        try:
            given = psycopg.conninfo.conninfo_to_dict(self.address.url)
        except psycopg.Error as error:
            raise ConfigError(
                f"warehouse.database can't be used ({self.address.redact(str(error))})", hint=HINT
            ) from None
        parameters: dict[str, Any] = {**_parameters(given), **instead}
        connection: Connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)
        read_all_dates(connection)
        return connection

    def is_missing(self, error: psycopg.Error) -> bool:
        """Whether an error while connecting means that there is no such database: by its text, or, where that is in
        another language, by the catalog."""
        if is_missing(error):
            return True
        name, psycopg = name_in(error, self.address), driver()
        if not name or name in MAINTENANCE or is_refused(error) or "FATAL" not in str(error).upper():
            return False
        try:
            with self._connect(dbname=MAINTENANCE[0]) as connection:
                found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
                return found.rowcount == 0
        except psycopg.Error:
            return False

    def _make_database(self, name: str) -> None:
        psycopg = driver()
        last: Exception | None = None
        for other in MAINTENANCE:
            try:
                connection = self._connect(dbname=other)
            except psycopg.Error as error:
                last = error
                continue
            try:
                connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                pass  # another process was faster
            except psycopg.Error as error:
                last = error
                break
            finally:
                connection.close()
            return
        said = self.address.redact(str(last)) if last is not None else ""
        raise WarehouseUnavailable(
            f"{self.address.place} doesn't exist, and can't be made by this role ({said})",
            hint="have it made (CREATE DATABASE), or correct warehouse.database in anabranch.yaml",
        )


def name_in(error: psycopg.Error, address: Address) -> str:
    """Which database was asked for, by the driver's account where the address doesn't say."""
    if address.database:
        return address.database
    told = error.pgconn.db if error.pgconn is not None else b""
    return told.decode()


def _parameters(given: Mapping[str, object]) -> dict[str, Any]:
    """The driver's: a server that is gone is noticed within a minute, unless the address says otherwise."""
    defaults: dict[str, Any] = {
        "application_name": "anabranch",
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    return {**defaults, **given, "client_encoding": "utf8"}
