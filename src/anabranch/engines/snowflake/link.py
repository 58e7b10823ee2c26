"""One connection to Snowflake, and what becomes of a statement whose answer was lost.

Snowflake's driver repeats a request that the network swallowed by itself, under the same number, so that it is carried
out once. What it gives up is a statement in doubt: a new connection looks for it in the history of the lost session,
and asks by its number how it ended. It is never repeated unless it only reads.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Protocol

from anabranch.engines.retrying import retried
from anabranch.engines.snowflake import errors as told
from anabranch.errors import WarehouseError, WarehouseUnavailable

if TYPE_CHECKING:
    from snowflake.connector.errors import Error

LONGEST_TAG = 2000
"""Characters of a query's tag."""
_LOOKS = (0.0, 1.0, 2.0, 4.0)
"""Seconds before each look for a statement in doubt."""
_ASKS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between questions how it does; the last goes on."""
_NO_NEWS = 20
"""So often no news of it may come."""


class Described(Protocol):
    """A column of an answer, as the driver describes it."""

    @property
    def name(self) -> str: ...
    @property
    def type_code(self) -> int: ...
    @property
    def internal_size(self) -> int | None: ...
    @property
    def precision(self) -> int | None: ...
    @property
    def scale(self) -> int | None: ...


class Cursor(Protocol):
    """What is used of the driver's cursor."""

    @property
    def description(self) -> Sequence[Described] | None: ...
    @property
    def sfqid(self) -> str | None: ...
    def execute(self, command: str, *, file_stream: IO[bytes] | None = None) -> object: ...
    def describe(self, command: str) -> Sequence[Described] | None: ...
    def fetchall(self) -> Sequence[Sequence[object]]: ...
    def fetchmany(self, size: int) -> Sequence[Sequence[object]]: ...
    def fetch_arrow_batches(self) -> Iterator[object]: ...
    def close(self) -> object: ...


class Connection(Protocol):
    """What is used of the driver's connection."""

    @property
    def session_id(self) -> int | None: ...
    @property
    def database(self) -> str | None: ...
    @property
    def schema(self) -> str | None: ...
    def cursor(self) -> Cursor: ...
    def get_query_status(self, sf_qid: str) -> object: ...
    def get_query_status_throw_if_error(self, sf_qid: str) -> object: ...
    def is_still_running(self, status: object) -> bool: ...
    def close(self) -> None: ...


class Link:
    """A connection with its tag; used by one thread at a time, but for :meth:`cancel`."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        place: str,
        history: str,
        secrets: Sequence[str] = (),
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``history``: the name of the function that tells what a session has run."""
        self.place = place
        self.secrets = tuple(secrets)
        self._open = connect
        self._history = history
        self._sleep = sleep
        self._connection = connect()
        self._home = self._connection.schema
        self._last: str | None = None
        """The last statement that was answered."""
        self._tag, self._tagged = "", ""
        """As it should be, and as it is."""
        self._busy = threading.Event()
        self.is_dirty = False
        """A transaction may be open, or the session is no longer what it was."""

    # -- statements ------------------------------------------------------------------------------------------------
    def run(self, statement: str, *, reads: bool = False) -> Cursor | None:
        """Runs it, and waits for its end. ``reads``: it changes nothing. None: it was carried out, and its answer is
        lost, which happens to none that reads.

        Raises:
            WarehouseError: it failed.
        """
        self._put_tag()
        return self._run(statement, lambda cursor: cursor.execute(statement), reads=reads)

    def ask(self, statement: str) -> list[tuple[object, ...]]:
        """All rows of a query."""
        cursor = self.run(statement, reads=True)
        assert cursor is not None
        with self.errors():
            return [tuple(row) for row in cursor.fetchall()]

    def show(self, statement: str) -> list[dict[str, object]]:
        """All rows of a SHOW, by the names of its columns."""
        cursor = self.run(statement, reads=True)
        assert cursor is not None
        with self.errors():
            names = [c.name for c in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def describe(self, query: str) -> Sequence[Described]:
        """The columns of a query, which is compiled and not run."""
        found: list[Described] = []

        def describe(cursor: Cursor) -> None:
            found[:] = cursor.describe(query) or ()

        self._run(query, describe, reads=True)
        return found

    def upload(self, statement: str, content: IO[bytes]) -> None:
        """Runs a PUT with ``content`` for the file. May be repeated: a file of that name is replaced."""

        def put(cursor: Cursor) -> None:
            content.seek(0)
            cursor.execute(statement, file_stream=content)

        self._run(statement, put, reads=True)

    def tag(self, about: Mapping[str, str]) -> None:
        """What the following statements are about."""
        self._tag = _tag(about)

    def tag_as(self, other: Link) -> None:
        """The same as another's."""
        self._tag = other._tag

    def _put_tag(self) -> None:
        if self._tag == self._tagged:
            return
        # as in anabranch.ports.grammar: a backslash begins an escape
        text = self._tag.replace("\\", "\\\\").replace("'", "\\'")
        statement = f"ALTER SESSION SET QUERY_TAG = '{text}'" if text else "ALTER SESSION UNSET QUERY_TAG"
        self._run(statement, lambda cursor: cursor.execute(statement), reads=True)
        self._tagged = self._tag

    def _run(self, statement: str, call: Callable[[Cursor], object], *, reads: bool) -> Cursor | None:
        from snowflake.connector.errors import Error

        def once() -> Cursor:
            cursor = self._connection.cursor()
            call(cursor)
            self._last = cursor.sfqid or self._last
            return cursor

        self._busy.set()
        try:
            return retried(once, told.is_locked, sleep=self._sleep)
        except Error as error:
            if not told.is_expired(error) and not told.is_lost(error):
                self._last = error.sfqid or self._last
                raise self._failure(error) from error
            lost, last = self._connection.session_id, self._last
            self._connect_again(error)
            if not told.is_expired(error) and not reads:
                self._probe(statement, lost, last, error)
                return None
            with self.errors():
                return once()
        finally:
            self._busy.clear()

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what the driver raises as an error of ours."""
        from snowflake.connector.errors import Error

        try:
            yield
        except Error as error:
            raise self._failure(error) from error

    def _failure(self, error: Error) -> WarehouseError:
        return told.failure(error, self.place, self.secrets)

    def go_home(self) -> None:
        """Has names of one part found where they were after the login: CREATE SCHEMA and USE SCHEMA change that."""
        if self._home:
            home = self._home.replace('"', '""')
            self.run(f'USE SCHEMA "{home}"', reads=True)

    # -- when the connection is lost -------------------------------------------------------------------------------
    def _connect_again(self, error: Error) -> None:
        """What belonged to the session (temporary tables) is gone."""
        self.is_dirty = True
        old = self._connection
        try:
            self._connection = self._open()
        except WarehouseUnavailable as unavailable:
            unavailable.unchanged = False
            raise unavailable from error
        self._last, self._tagged = None, ""
        with contextlib.suppress(Exception):  # it is of no use any more
            old.close()

    def _probe(self, statement: str, session: int | None, last: str | None, error: Error) -> None:
        """Waits for the end of a statement in doubt. Raises what it failed with, or ``WarehouseUnavailable`` where it
        hasn't reached Snowflake, or nothing is known of it."""
        number = self._find(statement, session, last, error)
        news = 0
        for turn in range(10**9):
            with self.errors():
                status = self._connection.get_query_status_throw_if_error(number)
                if not self._connection.is_still_running(status):
                    return
            news = 0 if getattr(status, "name", "") != "NO_DATA" else news + 1
            if news > _NO_NEWS:
                raise self._doubt("nothing is known of it any more", error)
            self._sleep(_ASKS[min(turn, len(_ASKS) - 1)])

    def _find(self, statement: str, session: int | None, last: str | None, error: Error) -> str:
        """The number of the statement that the lost session ran last."""
        if session is None:
            raise self._doubt("whether it was carried out isn't known", error)
        query = (
            f"SELECT query_id, query_text FROM TABLE({self._history}(SESSION_ID => {session}, RESULT_LIMIT => 1))"
            " ORDER BY start_time DESC"
        )
        for wait in _LOOKS:
            self._sleep(wait)
            try:
                cursor = self._run(query, lambda cursor: cursor.execute(query), reads=True)
                assert cursor is not None
                rows = cursor.fetchall()
            except WarehouseError as failure:
                raise self._doubt(f"whether it was carried out isn't known ({failure.message})", error) from error
            if rows and rows[0][0] != last:
                # the history cuts long texts
                if str(rows[0][1]).strip()[:500] == statement.strip()[:500]:
                    return str(rows[0][0])
                raise self._doubt("whether it was carried out isn't known", error)
        raise self._doubt("it hasn't reached Snowflake", error)

    def _doubt(self, why: str, error: Error) -> WarehouseUnavailable:
        return WarehouseUnavailable(
            f"the connection to {self.place} was lost during a statement, and {why}: {told.said(error, self.secrets)}",
            hint="run the command again: it finds out what is there",
        )

    # -- the end of it ---------------------------------------------------------------------------------------------
    @property
    def running(self) -> int | None:
        """The session, while a statement runs in it."""
        return self._connection.session_id if self._busy.is_set() else None

    def cancel(self, session: int) -> None:
        """Stops what runs in another session."""
        self.ask(f"SELECT SYSTEM$CANCEL_ALL_QUERIES({session})")

    def close(self) -> None:
        with contextlib.suppress(Exception):  # Snowflake ends the session by itself
            self._connection.close()


def _tag(about: Mapping[str, str]) -> str:
    """As JSON; what makes it too long is cut."""
    text = json.dumps(dict(about), ensure_ascii=False, separators=(",", ":")) if about else ""
    for longest in (400, 100, 30):
        if len(text) <= LONGEST_TAG:
            break
        cut = {key[:longest]: value[:longest] for key, value in about.items()}
        text = json.dumps(cut, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= LONGEST_TAG else ""
