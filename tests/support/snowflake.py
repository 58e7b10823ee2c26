"""A connection that records what it is asked and answers what a test has said, in place of Snowflake's driver's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

from snowflake.connector import errors
from snowflake.connector.constants import FIELD_NAME_TO_ID

from anabranch.engines.snowflake import SnowflakeEngine

URL = "snowflake://ann@acme-prod/db"

Answer = Sequence[Sequence[object]] | Exception
Columns = Sequence[tuple[str, str]]


def column(name: str, kind: str = "TEXT", length: int | None = None, precision: int | None = None, scale: int = 0):
    """A column as the driver describes it."""
    return SimpleNamespace(
        name=name, type_code=FIELD_NAME_TO_ID[kind], internal_size=length, precision=precision, scale=scale
    )


def refused(number: int, text: str = "no", state: str = "42000") -> errors.ProgrammingError:
    """What the driver raises where Snowflake refuses a statement."""
    return errors.ProgrammingError(msg=text, errno=number, sqlstate=state, sfqid="of-the-refused")


def lost(text: str = "Failed to execute request: reset") -> errors.OperationalError:
    """What the driver raises when it gives up."""
    return errors.OperationalError(msg=text, errno=250003)


class Account:
    """All that is recorded, over all connections to it."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.logins: list[dict[str, object]] = []
        self.answers: list[tuple[re.Pattern[str], list[tuple[Sequence[object], Answer]]]] = []
        self.uploads: list[tuple[str, bytes]] = []
        self.statuses: list[object] = []
        """What the states of a statement in doubt are, one after the other: names, or errors."""
        self.asked: list[str] = []
        """Of which statements."""
        self.refusals: list[Exception] = []
        """Of logins."""
        self.during: Callable[[str], None] = lambda statement: None
        self.closed = 0
        self.database: str | None = "DB"

    def engine(self, url: str = URL, **more) -> SnowflakeEngine:
        return SnowflakeEngine(url, connect=cast(Any, self.connect), **more)

    def connect(self, **arguments) -> Connection:
        self.logins.append(arguments)
        if self.refusals:
            raise self.refusals.pop(0)
        return Connection(self, len(self.logins))

    def answer(self, pattern: str, *answers: Answer, columns: Sequence[object] = ()) -> None:
        """What a statement that begins so gets: one after the other, the last again and again."""
        self.answers.insert(0, (re.compile(pattern), [(columns, a) for a in answers]))

    def take(self, statement: str) -> tuple[Sequence[object], Answer]:
        for pattern, answers in self.answers:
            if pattern.match(statement):
                return answers.pop(0) if len(answers) > 1 else answers[0]
        return (), []

    def said(self) -> list[str]:
        """What was asked since the last time."""
        found, self.statements = self.statements, []
        return found


class Connection:
    def __init__(self, account: Account, number: int) -> None:
        self.account = account
        self.session_id = 1000 + number
        self.database = account.database
        self.schema = "PUBLIC"

    def cursor(self) -> Cursor:
        return Cursor(self)

    def get_query_status_throw_if_error(self, sf_qid: str) -> object:
        self.account.asked.append(sf_qid)
        status = self.account.statuses.pop(0)
        if isinstance(status, Exception):
            raise status
        return SimpleNamespace(name=status)

    get_query_status = get_query_status_throw_if_error

    def is_still_running(self, status: object) -> bool:
        return getattr(status, "name", "") in ("RUNNING", "NO_DATA")

    def close(self) -> None:
        self.account.closed += 1


class Cursor:
    def __init__(self, connection: Connection) -> None:
        self._account = connection.account
        self._rows: list[Sequence[object]] = []
        self._tables: list[object] = []
        self.description: Sequence[object] = ()
        self.sfqid: str | None = None

    def execute(self, command: str, *, file_stream=None) -> None:
        account = self._account
        account.statements.append(command)
        if file_stream is not None:
            account.uploads.append((command, file_stream.read()))
        account.during(command)
        self.description, answer = account.take(command)
        if isinstance(answer, Exception):
            raise answer
        self._rows, self._tables = list(answer), list(answer)
        self.sfqid = f"statement-{len(account.statements)}"

    def describe(self, command: str) -> Sequence[object]:
        self.execute(f"-- describe\n{command}")
        return self.description

    def fetchall(self) -> Sequence[Sequence[object]]:
        found, self._rows = self._rows, []
        return found

    def fetchmany(self, size: int) -> Sequence[Sequence[object]]:
        found, self._rows = self._rows[:size], self._rows[size:]
        return found

    def fetch_arrow_batches(self) -> Iterator[object]:
        if not all(hasattr(table, "schema") for table in self._tables):
            raise errors.NotSupportedError(msg="rows, not Arrow")
        return iter(self._tables)

    def close(self) -> None:
        pass
