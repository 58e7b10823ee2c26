"""One session's connection to Postgres: statements, transactions, and what becomes of them where it breaks.

**A connection that breaks** outside a transaction is replaced by another, and what only read is asked again; what may
have written is not. Within a transaction all is lost until :meth:`Link.rollback`. One that breaks while it commits
leaves a doubt: the server is asked what became of the transaction (``pg_xact_status``).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from anabranch.engines.common import UNSUPPORTED
from anabranch.engines.postgres_errors import explain, is_lost, lost
from anabranch.engines.postgres_pool import Pool, driver
from anabranch.errors import OutcomeUnknown, StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.engine import Row

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]
    Cursor = psycopg.Cursor[tuple[Any, ...]]

T = TypeVar("T")

PAUSES = (0.1, 0.5, 2.0)
"""Seconds to wait before a lost connection is replaced, time after time."""
LONGEST = 63
"""Bytes of a name. Postgres cuts longer ones, and only mentions it."""
_CUT = "42622"
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_BEGIN_READING = f"{_BEGIN} READ ONLY; SELECT 1"
"""A transaction that has read can't be made one that writes any more."""


class Link:
    """``read_only``: the server refuses to write. ``make``: the database may be made."""

    def __init__(self, pool: Pool, *, read_only: bool, patience: float) -> None:
        self.address = pool.address
        self.read_only = read_only
        self.in_transaction = False
        self.running = False
        self._begin = _BEGIN_READING if read_only else _BEGIN
        self._pool = pool
        self._patience = patience
        self._comment = ""
        self._cut: list[str] = []
        self._stream: contextlib.ExitStack | None = None
        self._connection: Connection | None = self._take()

    def _take(self) -> Connection:
        connection = self._pool.take(read_only=self.read_only, patience=self._patience, make=True)
        connection.add_notice_handler(self._heard)
        return connection

    @property
    def connection(self) -> Connection:
        if self._connection is None:
            if self.in_transaction:
                raise WarehouseUnavailable(
                    f"the connection to {self.address.place} was lost, and the transaction with it",
                    hint="run the command again",
                )
            self._connection = self._take()
        return self._connection

    @property
    def database(self) -> str:
        """The name of the database that it leads to."""
        return str(self.connection.info.dbname)

    @property
    def is_broken(self) -> bool:
        """Whether the connection was lost, and the next statement opens another."""
        return self._connection is None

    def tag(self, about: Mapping[str, str]) -> None:
        """A slash is written with a backslash before it, so that the comment ends where it should."""
        told = json.dumps(dict(about)).replace("/", "\\/")
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

    def _heard(self, notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == _CUT:
            self._cut.append(notice.message_primary or "a name is too long")

    # -- transactions ----------------------------------------------------------------------------------------------
    def begin(self) -> None:
        if self.in_transaction:
            raise StatementFailed("there is a transaction already", kind="ActiveSqlTransaction")

        def work(connection: Connection) -> None:
            connection.execute(self._begin)
            self.in_transaction = True

        self.run(work, safe=True)

    def commit(self) -> None:
        """Ends the transaction.

        Raises:
            StatementFailed: an earlier statement of it had failed, or a check that waited for its end does; nothing of
                it has happened.
            OutcomeUnknown: the connection broke, and nobody can tell.
        """
        if not self.in_transaction:
            return
        psycopg = driver()
        status = psycopg.pq.TransactionStatus
        if self.run(lambda connection: connection.info.transaction_status) != status.INTRANS:
            self.rollback()
            raise StatementFailed(
                "a statement of the transaction had failed, so nothing of it was kept", kind="InFailedSqlTransaction"
            )
        number = None
        if not self.read_only:
            asked = self.run(lambda c: c.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone())
            number = asked[0] if asked else None
        try:
            self.connection.execute("COMMIT")
        except psycopg.Error as error:
            broken = is_lost(error, self.connection)
            self.in_transaction = False
            if not broken:
                self.rollback()
                raise explain(error, self.address) from error
            self._retire()
            if number is None or not self._is_committed(str(number)):
                raise lost(error, self.address) from error
        self.in_transaction = False

    def rollback(self) -> None:
        """Takes it back; harmless where there is none."""
        self.end_stream()
        self.in_transaction = False
        psycopg, connection = driver(), self._connection
        if connection is None or connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            return
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
            self._retire()

    def _is_committed(self, number: str) -> bool:
        """What became of a transaction. Raises ``OutcomeUnknown``."""
        deadline = time.monotonic() + self._patience
        told = None
        with contextlib.suppress(WarehouseError):
            while time.monotonic() < deadline:
                ask = f"SELECT pg_xact_status('{number}'::xid8)"
                found = self.run(lambda c, ask=ask: c.execute(ask).fetchone(), safe=True)  # type: ignore[misc]
                told = found[0] if found else None
                if told != "in progress":
                    break
                time.sleep(PAUSES[0])
        if told in ("committed", "aborted"):
            return told == "committed"
        raise OutcomeUnknown(
            f"the connection to {self.address.place} broke while a change was being committed, and it can't be told "
            f"whether it was",
            hint="see that the server is up, then run the command again: it goes on from what it finds",
            unchanged=False,
        )

    @contextlib.contextmanager
    def whole(self) -> Iterator[None]:
        """What is done within happens wholly or not at all."""
        if self.in_transaction:
            yield
            return
        self.begin()
        try:
            yield
        except BaseException:
            self.rollback()
            raise
        self.commit()

    @contextlib.contextmanager
    def attempt(self) -> Iterator[None]:
        """What fails within a transaction doesn't end it: only what was done here is taken back."""
        self.script(["SAVEPOINT anabranch_attempt"])
        try:
            yield
        except StatementFailed:
            self.script(["ROLLBACK TO SAVEPOINT anabranch_attempt", "RELEASE SAVEPOINT anabranch_attempt"])
            raise
        self.script(["RELEASE SAVEPOINT anabranch_attempt"])

    # -- statements ------------------------------------------------------------------------------------------------
    def run(self, work: Callable[[Connection], T], *, safe: bool = False, stays_open: bool = False) -> T:
        """``work`` with the connection. ``safe``: it may be done again where the connection was lost. ``stays_open``: it
        begins what it doesn't end."""
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
                self._retire()
                if not again or pause is None or self._pool.stops != stops:
                    raise lost(error, self.address) from error
                time.sleep(pause)
            except WarehouseUnavailable:
                if not again or pause is None or pause == PAUSES[0] or self._pool.stops != stops:
                    raise  # the first connection isn't waited for
                time.sleep(pause)
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
        """Ends what a statement has begun and not ended."""
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

    def execute(self, statement: str) -> int:
        """Runs one statement, and no more than one; how many rows it was about."""
        text = self.text(statement)

        def work(connection: Connection) -> int:
            prepared(connection, text)
            self.require_uncut()
            connection.pgconn.send_query_prepared(b"", None)
            result = _result(connection)
            return result.command_tuples or 0

        return self.run(work)

    def query(self, statement: str, *, safe: bool = False) -> tuple[tuple[str, ...], list[Row]]:
        """The names and rows that one statement, and no more than one, answers with."""
        text = self.text(statement)

        def work(connection: Connection) -> tuple[tuple[str, ...], list[Row]]:
            with connection.pipeline():  # which takes one statement at a time
                cursor = connection.execute(text)
            return named(cursor)

        return self.run(work, safe=safe)

    def described(self, query: str) -> list[tuple[str, int, int]]:
        """The columns that one query gives, with the number and the modifier of each one's type. It isn't run."""
        text = self.text(query)

        def work(connection: Connection) -> list[tuple[str, int, int]]:
            prepared(connection, text)
            connection.pgconn.send_describe_prepared(b"")
            result = _result(connection)
            names = [(result.fname(i) or b"").decode() for i in range(result.nfields)]
            return [(name, result.ftype(i), result.fmod(i)) for i, name in enumerate(names)]

        return self.run(work, safe=True)

    def script(self, statements: list[str]) -> None:
        """Runs statements of ours in one round trip; within a transaction, which they must not end."""
        if statements:
            text = self.text(";\n".join(statements))
            self.run(lambda connection: connection.execute(text))

    def ask(self, query: str) -> list[Row]:
        """Asks the catalog. All names in the answer have their schemas, whatever the session's search_path is."""
        begin, end = "BEGIN READ ONLY", "COMMIT"
        if self.in_transaction:
            begin = "SAVEPOINT anabranch_asked"
            end = "ROLLBACK TO SAVEPOINT anabranch_asked; RELEASE SAVEPOINT anabranch_asked"
        text = self.text(f"{begin}; SET LOCAL search_path TO ''; {query}; {end}")

        def work(connection: Connection) -> list[Row]:
            cursor = connection.execute(text)
            for _ in range(2):
                cursor.nextset()
            return cursor.fetchall()

        return self.run(work, safe=True)

    # -- streams ---------------------------------------------------------------------------------------------------
    def opened(self, work: Callable[[Connection, contextlib.ExitStack], T]) -> tuple[T, contextlib.ExitStack]:
        """Begins what keeps the connection busy until the stack is closed, which the next statement does: in a
        transaction of its own, or, within the session's, in a part of it."""
        stack = contextlib.ExitStack()

        def begun(connection: Connection) -> T:
            begin, end = "SAVEPOINT anabranch_stream", "ROLLBACK TO SAVEPOINT anabranch_stream"
            if not self.in_transaction:
                begin, end = self._begin, "ROLLBACK"
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

    def cancel(self) -> None:
        """Has the server stop what runs; from another thread."""
        connection = self._connection
        if self.running and connection is not None:
            with contextlib.suppress(driver().Error):
                connection.cancel_safe(timeout=5)


def prepared(connection: Connection, statement: str) -> None:
    """Has the server read one statement, and keep it as the one without a name."""
    connection.pgconn.send_prepare(b"", statement.encode())
    _result(connection)


def _result(connection: Connection) -> psycopg.pq.abc.PGresult:
    """What the server answers to what was sent. Raises ``psycopg.Error``."""
    psycopg = driver()
    from psycopg import generators

    results = connection.wait(generators.execute(connection.pgconn))
    for result in results:
        if result.status in (psycopg.pq.ExecStatus.COPY_IN, psycopg.pq.ExecStatus.COPY_OUT):
            connection.close()
            raise psycopg.NotSupportedError("rows of a COPY come and go as Arrow, not by a statement")
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
    return results[-1]


def named(cursor: Cursor) -> tuple[tuple[str, ...], list[Row]]:
    """A cursor's columns and rows; nothing of a statement without an answer."""
    if cursor.description is None:
        return (), []
    return tuple(str(c.name) for c in cursor.description), list(cursor.fetchall())
