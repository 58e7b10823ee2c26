"""One session's statements and transactions. One that breaks while it commits leaves a doubt: the server is asked what
became of the transaction (``pg_xact_status``), and only where it can't say is the outcome unknown."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anabranch.engines.postgres.errors import explain, is_lost, lost
from anabranch.engines.postgres.pool import driver
from anabranch.engines.postgres.wire import PAUSES, Wire
from anabranch.errors import OutcomeUnknown, StatementFailed, WarehouseError
from anabranch.ports.engine import Row

if TYPE_CHECKING:
    import psycopg
    from psycopg.pq.abc import PGresult

    Connection = psycopg.Connection[tuple[Any, ...]]


class Link(Wire):
    """See :class:`anabranch.engines.postgres.wire.Wire`."""

    # -- transactions ----------------------------------------------------------------------------------------------
    def begin(self) -> None:
        if self.in_transaction:
            raise StatementFailed("there is a transaction already", kind="ActiveSqlTransaction")

        def work(connection: Connection) -> None:
            connection.execute(self.beginning)
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
        if self.run(lambda c: c.info.transaction_status) != psycopg.pq.TransactionStatus.INTRANS:
            self.rollback()
            raise StatementFailed(
                "a statement of the transaction had failed, so nothing of it was kept", kind="InFailedSqlTransaction"
            )
        number = None
        if not self.read_only:
            asked = self.run(lambda c: c.execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone())
            number = asked[0] if asked else None
        connection = self.connection
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            self.in_transaction = False
            if not is_lost(error, connection):
                self.rollback()
                raise explain(error, self.address) from error
            self.retire_lost()
            if number is None or not self._is_committed(str(number)):
                raise lost(error, self.address) from error
        self.in_transaction = False

    def _is_committed(self, number: str) -> bool:
        """What became of a transaction. Raises ``OutcomeUnknown``."""
        deadline = time.monotonic() + self.patience
        told: object = None
        query = f"SELECT pg_xact_status('{number}'::xid8)"
        while told is None or told == "in progress":
            if time.monotonic() > deadline:
                break
            with contextlib.suppress(WarehouseError):
                found = self.run(lambda connection: connection.execute(query).fetchone(), safe=True)
                told = found[0] if found else None
                if told is None:
                    break  # too long ago to be known
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
    def execute(self, statement: str) -> int:
        """Runs one statement, and no more than one; how many rows it was about. A name that Postgres would cut is
        noticed before anything is done."""
        text = self.text(statement)

        def work(connection: Connection) -> int:
            _prepare(connection, text)
            self.require_uncut()
            connection.pgconn.send_query_prepared(b"", None)
            return _result(connection).command_tuples or 0

        return self.run(work)

    def query(self, statement: str, *, safe: bool = False) -> tuple[tuple[str, ...], list[Row]]:
        """The names and rows that one statement, and no more than one, answers with."""
        text = self.text(statement)

        def work(connection: Connection) -> tuple[tuple[str, ...], list[Row]]:
            with connection.pipeline():  # which takes one statement at a time
                cursor = connection.execute(text)
            if cursor.description is None:
                return (), []
            return tuple(str(c.name) for c in cursor.description), list(cursor.fetchall())

        return self.run(work, safe=safe)

    def described(self, query: str) -> list[tuple[str, int, int]]:
        """The columns that one query gives, with the number and the modifier of each one's type. It isn't run."""
        text = self.text(query)

        def work(connection: Connection) -> list[tuple[str, int, int]]:
            _prepare(connection, text)
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


def _prepare(connection: Connection, statement: str) -> None:
    """Has the server read one statement, and keep it as the one without a name."""
    connection.pgconn.send_prepare(b"", statement.encode())
    _result(connection)


def _result(connection: Connection) -> PGresult:
    """What the server answers to what was sent. Raises ``psycopg.Error``."""
    psycopg = driver()
    from psycopg import generators

    results: list[PGresult] = connection.wait(generators.execute(connection.pgconn))
    for result in results:
        if result.status in (psycopg.pq.ExecStatus.COPY_IN, psycopg.pq.ExecStatus.COPY_OUT):
            connection.close()
            raise psycopg.NotSupportedError("rows of a COPY come and go as Arrow, not by a statement")
        if result.status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result)
    return results[-1]
