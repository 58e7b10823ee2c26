"""State in Postgres (13 or newer): for teams, and for machines that come and go.

**A swap** is one transaction under READ COMMITTED, in two round trips. The first begins it, takes locks, and checks
and writes in a single statement, which therefore sees all that was committed before the locks were taken; the second
commits. The locks are advisory, held until the transaction ends, and numbered by a hash of the schema and the key: a
key that doesn't exist can be locked like one that does, and whoever names another key passes by. They are taken in the
order of their numbers, so that no two wait for each other. Each swap also shares one lock of the whole store; one of
very many keys takes that one alone, for the server's table of locks is finite, and so does a migration.

**A connection that breaks** before COMMIT was sent has committed nothing, and the swap is tried anew. After, the server
is asked what became of the transaction's id (``pg_xact_status``). Only where it can't say is the outcome unknown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from anabranch.domain.ids import ObjectId
from anabranch.errors import ConfigError, OutcomeUnknown, StateError, StateUnavailable
from anabranch.stores import postgres_statements as statements
from anabranch.stores.keys import changes_something, prefix_end
from anabranch.stores.migrations import Migration, Stamp, migrate, newest, too_new
from anabranch.stores.pool import Pool
from anabranch.stores.postgres_errors import explain, is_lost, is_worth_repeating
from anabranch.stores.postgres_statements import in_schema, lock_number
from anabranch.stores.postgres_tables import MIGRATIONS, PostgresTables
from anabranch.stores.postgres_url import ADDRESS_HINT, Address, with_defaults

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to wait for a lock, and for a server that has to say what became of a swap."""
STALLED = 10
"""Seconds after which the server ends a transaction whose client says nothing: its locks are in others' way."""
PAUSES = (0.05, 0.5, 2.0)
"""Seconds to wait before a lost connection is replaced, time after time."""
MANY_KEYS = 256
CHUNK = 8_000_000
"""Bytes of objects in one statement."""


class PostgresStore:
    """The Store port, in schema ``anabranch_state`` of the database at ``url``, unless ``schema`` or ``?schema=`` says
    otherwise. The schema and its tables are made when first needed. ``migrations`` are given by tests.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str | None = None,
        patience: float = PATIENCE,
        migrations: Sequence[Migration] = MIGRATIONS,
    ) -> None:
        self._address = Address(url, schema)
        self._driver = _driver()
        self._patience = patience
        self._migrations = migrations
        self._known = newest(migrations)
        self._whole = lock_number(self._address.schema)
        self._pool: Pool[Connection] = Pool(
            self.place, self._connect, close=lambda c: c.close(), usable=lambda c: not c.closed
        )

    def __repr__(self) -> str:
        return f"PostgresStore({self.place!r})"

    @property
    def place(self) -> str:
        return self._address.place

    def put(self, objects: Mapping[ObjectId, bytes]) -> None:
        def work(connection: Connection) -> None:
            with self._batch(connection):
                self._begin(connection, durable=False)
                for chunk in _chunks(objects):
                    connection.execute(self._sql(statements.PUT), (chunk, [objects[i] for i in chunk]))
                connection.execute("COMMIT")

        self._run(work)

    def get(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        return dict(self._rows("SELECT id, body FROM {schema}.objects WHERE id = ANY (%s::text[])", list(ids)))

    def aged(self, seconds: float) -> set[ObjectId]:
        old = "SELECT id FROM {schema}.objects WHERE at < statement_timestamp() - make_interval(secs => %s)"
        return {i for (i,) in self._rows(old, seconds)}

    def delete(self, ids: Collection[ObjectId], seconds: float) -> int:
        wanted = sorted(ids)
        return self._run(lambda c: c.execute(self._sql(statements.DELETE), (wanted, seconds)).rowcount)

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        return dict(self._rows(statements.READ, list(keys)))

    def scan(self, prefix: str) -> dict[str, bytes]:
        end = prefix_end(prefix)
        below, bounds = ("", (prefix,)) if end is None else ("AND key < %s", (prefix, end))
        query = f"SELECT key, value FROM {{schema}}.cells WHERE key >= %s {below} ORDER BY key"
        return dict(self._rows(query, *bounds))

    def swap(
        self, expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None], *, durable: bool = True
    ) -> bool:
        return self._run(lambda connection: self._swap(connection, expect, write, durable))

    def now(self) -> float:
        ((seconds,),) = self._rows("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(seconds)

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _swap(
        self,
        connection: Connection,
        expect: Mapping[str, bytes | None],
        write: Mapping[str, bytes | None],
        durable: bool,
    ) -> bool:
        kept = {key: value for key, value in write.items() if value is not None}
        arguments = {
            "version": self._known,
            "expected": list(expect),
            "values": list(expect.values()),
            "gone": [key for key in write if key not in kept],
            "kept": list(kept),
            "bodies": list(kept.values()),
        }
        with self._batch(connection):
            self._begin(connection, durable)
            self._lock(connection, {*expect, *write})
            if durable and not changes_something(expect, write):
                connection.execute(statements.FLUSH)
            answer = connection.execute(self._sql(statements.SWAP), arguments)
        row = answer.fetchone()
        if row is None:
            raise StateUnavailable(f"{self.place} has lost what it says of itself", hint="restore a backup")
        ok, version, written_by, transaction = row
        if ok:
            return self._commit(connection, str(transaction), write, durable)
        connection.execute("ROLLBACK")
        if version > self._known:
            raise too_new(self.place, Stamp(version, written_by), self._known)
        return False

    def _lock(self, connection: Connection, keys: Collection[str]) -> None:
        if len(keys) > MANY_KEYS:
            connection.execute(statements.LOCK_STORE, (self._whole,))
        else:
            connection.execute(statements.SHARE_STORE, (self._whole,))
            numbers = sorted({lock_number(self._address.schema, key) for key in keys})
            connection.execute(statements.LOCK_KEYS, (numbers,))

    def _commit(
        self, connection: Connection, transaction: str, write: Mapping[str, bytes | None], durable: bool
    ) -> bool:
        """Commits; where the connection breaks in between, finds out what became of it."""
        try:
            connection.execute("COMMIT")
        except self._driver.Error as error:
            if not is_lost(error, connection):
                raise
            connection.close()
            match self._fate(transaction, write, durable):
                case True:
                    return True
                case False:
                    raise
            raise OutcomeUnknown(
                f"{self.place}: the connection broke while a change was being committed, and it can't be told whether "
                f"it was",
                hint="see that the server is up, then repeat the command: it goes on from what it finds",
                unchanged=False,
            ) from None
        return True

    def _fate(self, transaction: str, write: Mapping[str, bytes | None], durable: bool) -> bool | None:
        """Whether ``transaction`` was committed; None where the server can't say.

        An id is only given twice if the server crashed, or a replica took its place, and what it had not yet made
        durable was lost. A commit that wasn't durable is therefore believed only if the cells are as it left them.
        """
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            try:
                self._pool.drop_idle()
                with self._pool.use() as connection:
                    row = connection.execute(statements.FATE, (transaction,)).fetchone()
                    status = row[0] if row else None
                    if status == "committed":
                        return durable or self._holds(connection, write) or None
                    if status not in ("in progress", "replica"):
                        return False if status == "aborted" else None
            except self._driver.errors.InvalidParameterValue:  # an id of the future: it did not outlive a crash
                return False
            except self._driver.Error:
                pass  # not back yet
            except StateError:  # closed, or migrated, in between
                return None
            time.sleep(0.05)
        return None

    def _holds(self, connection: Connection, write: Mapping[str, bytes | None]) -> bool:
        rows = connection.execute(self._sql(statements.READ), (list(write),), binary=True).fetchall()
        found: dict[str, bytes] = dict(rows)
        return all(found.get(key) == value for key, value in write.items())

    def _begin(self, connection: Connection, durable: bool) -> None:
        connection.execute(statements.BEGIN)
        connection.execute(statements.SETTINGS, (f"{self._patience:g}s", f"{STALLED}s", durable))

    def _batch(self, connection: Connection) -> AbstractContextManager[object]:
        """Statements in one go, one round trip, where the driver's library can (libpq 14 or newer)."""
        return connection.pipeline() if self._driver.Pipeline.is_supported() else nullcontext()

    def _rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        statement = self._sql(query)
        return self._run(lambda connection: connection.execute(statement, arguments, binary=True).fetchall())

    def _run(self, work: Callable[[Connection], T]) -> T:
        """``work`` on a connection, which must be such that it can be repeated if that breaks."""
        lost = False
        for pause in (*PAUSES, None):
            try:
                with self._pool.use() as connection:
                    lost = False
                    try:
                        return work(connection)
                    except self._driver.Error as error:
                        lost = is_lost(error, connection)
                        raise
            except self._driver.Error as error:
                if pause is None or not (lost or is_worth_repeating(error)):
                    raise explain(error, self._address) from None
            if lost:
                self._pool.drop_idle()
            time.sleep(pause)
        raise AssertionError("the last round returns or raises")

    def _connect(self) -> Connection:
        for is_last in (False, True):
            # No prepared statements: they outlive a transaction, and a pooler may give the next one another session.
            connection: Connection = self._driver.connect(**self._parameters(), autocommit=True, prepare_threshold=None)
            try:
                connection.isolation_level = self._driver.IsolationLevel.READ_COMMITTED  # whatever the default is
                migrate(PostgresTables(connection, self._address), self._migrations)
            except self._driver.Error as error:
                lost = is_lost(error, connection)
                connection.close()
                if is_last or not lost:
                    raise
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise AssertionError("the last round returns or raises")

    def _parameters(self) -> dict[str, Any]:
        try:
            return with_defaults(self._driver.conninfo.conninfo_to_dict(self._address.url))
        except self._driver.Error as error:
            raise ConfigError(
                f"the address of the state can't be used ({self._address.redact(str(error))})", hint=ADDRESS_HINT
            ) from None

    def _sql(self, text: str) -> bytes:
        return in_schema(text, self._address.schema)


def _driver() -> ModuleType:
    try:
        import psycopg
    except ImportError as error:
        raise StateUnavailable(
            f"a state in Postgres needs the package psycopg ({error})", hint="pip install 'anabranch[postgres]'"
        ) from error
    return psycopg


def _chunks(objects: Mapping[ObjectId, bytes]) -> Iterator[list[ObjectId]]:
    """The ids in order (so that two writers of the same never wait for each other), not too much at a time."""
    chunk: list[ObjectId] = []
    size = 0
    for identifier in sorted(objects):
        if chunk and size + len(objects[identifier]) > CHUNK:
            yield chunk
            chunk, size = [], 0
        chunk.append(identifier)
        size += len(objects[identifier])
    if chunk:
        yield chunk
