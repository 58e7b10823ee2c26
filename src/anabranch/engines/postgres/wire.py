"""A session's connection, and what becomes of it where it breaks. Outside a transaction it is replaced by another, and
what only read is asked again; what may have written is not. Within a transaction all is lost until it is rolled
back."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from anabranch.engines.common import UNSUPPORTED
from anabranch.engines.postgres.errors import Lost, explain, is_lost, lost
from anabranch.engines.postgres.pool import Pool, driver
from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

PAUSES = (0.1, 0.5, 2.0)
"""Seconds to wait before a lost connection is replaced, time after time."""
LONGEST = 63
"""Bytes of a name. Postgres cuts longer ones, and only mentions it."""
_CUT = "42622"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_READING = f"{_BEGIN} READ ONLY; SELECT 1"
"""A transaction that has read can't be made one that writes any more."""


class Wire:
    """``read_only``: the server refuses to write; else it makes the database where it isn't there. ``patience``: see
    :class:`anabranch.engines.postgres.PostgresEngine`."""

    def __init__(self, pool: Pool, *, read_only: bool, patience: float) -> None:
        self.address = pool.address
        self.read_only = read_only
        self.patience = patience
        self.in_transaction = False
        self.running = False
        """A statement is under way, which another thread may stop."""
        self.beginning = _BEGIN_READING if read_only else _BEGIN
        self._pool = pool
        self._comment = ""
        self._cut: list[str] = []
        self._stream: contextlib.ExitStack | None = None
        self._connection: Connection | None = self._take()

    def _take(self) -> Connection:
        connection = self._pool.take(read_only=self.read_only, patience=self.patience, make=True)
        connection.add_notice_handler(self._heard)
        return connection

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            if self.in_transaction:
                raise Lost(
                    f"the connection to {self.address.place} was lost, and the transaction with it",
                    hint="run the command again",
                )
            self._connection = self._take()
        return self._connection

    @property
    def database(self) -> str:
        """The name of the database that it leads to."""
        return str(self.connection.info.dbname)

    def tag(self, about: Mapping[str, str]) -> None:
        """A star is written by its number, so that no comment begins or ends within the comment."""
        told = json.dumps(dict(about)).replace("*", "\\u002a")
        self._comment = f"/* anabranch {told} */ " if about else ""

    def close(self) -> None:
        self.rollback()
        self._retire()

    def _retire(self) -> None:
        """Gives the connection back, to be used again or closed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.remove_notice_handler(self._heard)
            self._pool.give(connection)

    def retire_lost(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._retire()

    def rollback(self) -> None:
        """Takes back what isn't committed; harmless where there is nothing."""
        self.end_stream()
        self.in_transaction = False
        psycopg, connection = driver(), self._connection
        if connection is None or connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            self.retire_lost()

    def _heard(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == _CUT:
            self._cut.append(notice.message_primary or "a name is too long")

    def require_uncut(self) -> None:
        """Raises ``StatementFailed`` where Postgres has cut a name."""
        if self._cut:
            raise StatementFailed(
                f"a name is too long for Postgres ({self._cut[0]})",
                kind="NameTooLong",
                hint=f"at most {LONGEST} bytes",
            )

    def text(self, statement: str) -> str:
        """As it is sent: with what it is about."""
        if "\0" in statement:
            raise StatementFailed("Postgres takes no character 0 in a statement", kind=UNSUPPORTED)
        return self._comment + statement

    # -- work ------------------------------------------------------------------------------------------------------
    def run(self, work: Callable[[Connection], T], *, safe: bool = False, stays_open: bool = False) -> T:
        """``work`` with the connection. ``safe``: it may be done again where the connection was lost. ``stays_open``:
        it begins what it doesn't end."""
        self.end_stream()
        psycopg, stops = driver(), self._pool.stops
        for pause in (*PAUSES, None):
            again = pause is not None and not self.in_transaction and (safe or self.read_only)
            try:
                connection = self.connection
                result = self._once(connection, work, stays_open)
            except psycopg.Error as error:
                if not is_lost(error, connection):
                    self._settle(connection)
                    raise explain(error, self.address) from error
                self.retire_lost()
                if not again or pause is None or self._pool.stops != stops:
                    raise lost(error, self.address) from error
                time.sleep(pause)
            except WarehouseUnavailable:
                if not again or pause in (None, PAUSES[0]) or self._pool.stops != stops:
                    raise  # only one that was lost is waited for
                time.sleep(pause or 0)
            else:
                return result
        raise AssertionError("the last round returns or raises")

    def _once(self, connection: Connection, work: Callable[[Connection], T], stays_open: bool) -> T:
        self._cut.clear()
        self.running = True
        try:
            result = work(connection)
        except (ValueError, OverflowError) as error:  # what can't be sent, or can't be a value of Python
            self._settle(connection)
            raise explain(error, self.address) from error
        finally:
            self.running = False
        if not stays_open:
            self._look_after(connection)
        return result

    def _settle(self, connection: Connection) -> None:
        """Ends what a statement that failed has begun."""
        status = driver().pq.TransactionStatus
        if not self.in_transaction and connection.info.transaction_status != status.IDLE:
            self.rollback()

    def _look_after(self, connection: Connection) -> None:
        """Undoes what a statement did to the session itself, and tells of it. Raises ``StatementFailed``."""
        status = driver().pq.TransactionStatus
        is_open = connection.info.transaction_status != status.IDLE
        if self.read_only and connection.info.parameter_status("default_transaction_read_only") == "off":
            connection.execute("SET default_transaction_read_only = on")
        if is_open != self.in_transaction:
            self.rollback()
            raise StatementFailed(
                "a statement began or ended a transaction of its own",
                kind="InvalidTransactionState",
                hint="leave it out",
            )
        self.require_uncut()

    def cancel(self) -> None:
        """Has the server stop what runs; from another thread."""
        connection = self._connection
        if self.running and connection is not None:
            with contextlib.suppress(driver().Error):
                connection.cancel_safe(timeout=5)

    # -- streams ---------------------------------------------------------------------------------------------------
    def opened(self, work: Callable[[Connection, contextlib.ExitStack], T]) -> tuple[T, contextlib.ExitStack]:
        """Begins what keeps the connection busy until the stack is closed, which the next statement does: in a
        transaction of its own, or, within the session's, in a part of it."""
        stack = contextlib.ExitStack()

        def begun(connection: Connection) -> T:
            begin, end = "SAVEPOINT anabranch_stream", "ROLLBACK TO SAVEPOINT anabranch_stream"
            if not self.in_transaction:
                begin, end = self.beginning, "ROLLBACK"
            connection.execute(begin)
            stack.callback(connection.execute, end)
            return work(connection, stack)

        try:
            made = self.run(begun, safe=True, stays_open=True)
        except BaseException:
            stack.pop_all()  # what went wrong has ended it
            raise
        self._stream = stack
        return made, stack

    def is_open(self, stack: contextlib.ExitStack) -> bool:
        return self._stream is stack

    def end_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(WarehouseError, driver().Error):
                let_go = GeneratorExit()  # without an exception, the driver takes a COPY to be at its end
                stream.__exit__(GeneratorExit, let_go, None)
