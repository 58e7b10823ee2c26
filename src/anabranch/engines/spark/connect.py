"""Spark Connect: one server-side session, reached by gRPC with the package pyspark-client.

Statements survive a network that breaks and comes back: the driver attaches itself to the running statement again, and
never runs it twice, for the server knows each by an id. A session that the server has lost (it was started anew) isn't
silently another: its settings would be the server's own.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import uuid
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from anabranch.engines.arrow import Batch
from anabranch.engines.spark.arrow import rebatched, values
from anabranch.engines.spark.errors import is_lost, told
from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.engine import ArrowStream, Result

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_BATCH = "anabranch_batch"
"""The temporary view of rows that are being loaded."""


class Transport(Protocol):
    """How statements of Spark SQL are run, and how rows come and go. All methods raise errors of Anabranch's."""

    @property
    def parallel(self) -> int:
        """So many statements may run at a time."""
        ...

    @property
    def most_rows(self) -> int | None:
        """Of a batch that is staged at once; None: as many as there are."""
        ...

    @property
    def most_bytes(self) -> int:
        """The same, for a message takes only so many."""
        ...

    def tag(self, about: Mapping[str, str]) -> None: ...

    def execute(self, statement: str) -> None: ...

    def query(self, statement: str, most: int | None = None) -> Result: ...

    def described(self, query: str) -> tuple[tuple[str, str], ...]:
        """Columns with types as Spark spells them; nothing is run."""
        ...

    def stream(self, query: str, rows: int) -> ArrowStream: ...

    def staged(self, batch: Batch) -> contextlib.AbstractContextManager[str]:
        """Puts rows where the server can read them; gives what a FROM says to read them."""
        ...

    def files(self, query: str) -> list[str] | None:
        """Of which files ``query`` is read, None where the server doesn't tell."""
        ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class ConnectTransport:
    """See :class:`Transport`. Statements of one session may run in several threads."""

    most_rows = None
    most_bytes = 32 * 2**20

    def __init__(
        self,
        url: str,
        place: str,
        settings: Mapping[str, str],
        *,
        parallel: int,
        patience: float,
        secrets: Collection[str] = (),
    ) -> None:
        self.parallel = parallel
        self.is_lost = False
        """The server doesn't know the session any more, or can't be reached."""
        self._place = place
        self._secrets = tuple(secrets)
        self._tags: frozenset[str] = frozenset()
        self._own = threading.local()
        with self._errors():
            self._spark = _connect(url, patience)
        try:
            with self._errors():
                self._configure(settings)
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        from pyspark.errors import PySparkException

        try:
            yield
        except PySparkException as error:
            raised = self._told(error)
            self.is_lost = self.is_lost or is_lost(raised)
            # without the driver's own: its text may show what was sent
            raise raised from None

    def _told(self, error: Any) -> WarehouseError:
        status = _ask(error, "getGrpcStatusCode") or _ask(error, "code")
        return told(
            str(_ask(error, "getMessage") or error),
            str(_ask(error, "getCondition") or ""),
            self._place,
            status=getattr(status, "name", "").replace("UNKNOWN", "").replace("INTERNAL", ""),
            fallback=type(error).__name__,
            secrets=self._secrets,
        )

    def _configure(self, settings: Mapping[str, str]) -> None:
        """All by one message."""
        import pyspark.sql.connect.proto as messages

        pairs = [messages.KeyValue(key=k, value=v) for k, v in settings.items()]
        self._spark.client.config(messages.ConfigRequest.Operation(set=messages.ConfigRequest.Set(pairs=pairs)))

    # -- statements ------------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        self._tags = frozenset(f"{k}={v}".replace(",", " ") for k, v in about.items())

    def _tagged(self) -> None:
        """Tags belong to a thread, in Spark's driver."""
        if getattr(self._own, "tags", frozenset()) != self._tags:
            self._spark.clearTags()
            for tag in sorted(self._tags):
                self._spark.addTag(tag)
            self._own.tags = self._tags

    def _frame(self, statement: str, most: int | None = None) -> Any:
        """Neither run nor looked at yet."""
        from pyspark.sql.connect.dataframe import DataFrame
        from pyspark.sql.connect.plan import SQL

        frame = DataFrame(SQL(statement), self._spark)
        return frame if most is None else frame.limit(most)

    def execute(self, statement: str) -> None:
        with self._errors():
            self._tagged()
            for _ in self._spark.client.to_table_as_iterator(self._plan(self._frame(statement)), {}):
                pass

    def _plan(self, frame: Any) -> Any:
        return frame._plan.to_proto(self._spark.client)  # what frame.toArrow() does, without its casts

    def query(self, statement: str, most: int | None = None) -> Result:
        with self._errors():
            self._tagged()
            table, _, _ = self._spark.client.to_table(self._plan(self._frame(statement, most)), {})
        return Result(tuple(table.column_names), values(table))

    def described(self, query: str) -> tuple[tuple[str, str], ...]:
        with self._errors():
            self._tagged()
            schema = self._frame(query).schema
        if not schema.fields:
            raise StatementFailed("only a query has columns", kind="NotAQuery", hint="write one SELECT")
        return tuple((field.name, field.dataType.simpleString()) for field in schema.fields)

    def stream(self, query: str, rows: int) -> ArrowStream:
        import pyarrow

        mark = f"anabranch-stream-{uuid.uuid4().hex}"
        client = self._spark.client
        with self._errors():
            self._tagged()
            frame = self._frame(query)
            self._spark.addTag(mark)
            try:
                parts = client.to_table_as_iterator(self._plan(frame), {})
                first = next((p for p in parts if isinstance(p, pyarrow.Table)), None)
            finally:
                self._spark.removeTag(mark)
        if first is None:
            raise StatementFailed("only a query has rows", kind="NotAQuery", hint="write one SELECT")

        closes = getattr(parts, "close", lambda: None)

        def batches() -> Iterator[Any]:
            done = False
            try:
                with self._errors():
                    yield from rebatched(first, rows)
                    for part in parts:
                        if isinstance(part, pyarrow.Table):
                            yield from rebatched(part, rows)
                done = True
            finally:
                if not done:  # nobody reads on: the server needn't go on either
                    with contextlib.suppress(Exception):
                        closes()
                        self._spark.interruptTag(mark)

        stream: ArrowStream = pyarrow.RecordBatchReader.from_batches(first.schema, batches())
        return stream

    @contextlib.contextmanager
    def staged(self, batch: Batch) -> Iterator[str]:
        from pyspark.sql.connect.dataframe import DataFrame
        from pyspark.sql.connect.plan import LocalRelation

        # createDataFrame() asks the server for limits that servers of other versions tell otherwise, or not at all
        with self._errors():
            DataFrame(LocalRelation(batch), self._spark).createOrReplaceTempView(_BATCH)
        try:
            yield f"`{_BATCH}`"
        finally:
            with contextlib.suppress(WarehouseError), self._errors():
                self._spark.catalog.dropTempView(_BATCH)

    def files(self, query: str) -> list[str] | None:
        with self._errors():
            return list(self._frame(query).inputFiles())

    # -- ends ------------------------------------------------------------------------------------------------------
    def interrupt(self) -> None:
        with contextlib.suppress(WarehouseError), self._errors():
            self._spark.interruptAll()

    def close(self) -> None:
        if self.is_lost:  # there is nobody to tell that it ends
            self._spark.release_session_on_close = False
        with contextlib.suppress(WarehouseError), self._errors():
            self._spark.stop()


def _ask(error: Any, name: str) -> Any:
    """What a driver's error tells, where it does."""
    method: Callable[[], Any] | None = getattr(error, name, None)
    return method() if callable(method) else None


def _connect(url: str, patience: float) -> SparkSession:
    """A new session: not the program's own one, which somebody else may be using."""
    for harmless in (r"PySpark does not yet fully support pandas", r"\[RETRIES_EXCEEDED\]"):  # which is raised, too
        warnings.filterwarnings("ignore", message=harmless)
    with _as_a_program():
        try:
            from pyspark.logger import PySparkLogger
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession
        except ImportError as error:
            raise WarehouseUnavailable(
                f"Spark can't be reached without its client: {error}", hint="pip install 'anabranch[spark]'"
            ) from error

    # it writes each statement that fails to the standard error stream, with the server's stack
    PySparkLogger.getLogger("SQLQueryContextLogger").disabled = True
    logging.getLogger("grpc").setLevel(logging.ERROR)
    spark = SparkSession(url)
    spark.client.set_retry_policies([DefaultPolicy(**_retries(patience))])
    return spark


def _retries(patience: float) -> dict[str, Any]:
    """As the driver's own, but for about so many seconds."""
    first, longest, factor = 50, 5_000, 3.0
    waits = [first]
    while sum(waits) < patience * 1000:
        waits.append(int(min(waits[-1] * factor, longest)))
    return {
        "max_retries": len(waits),
        "initial_backoff": first,
        "max_backoff": longest,
        "backoff_multiplier": factor,
        "jitter": 0,
        "max_server_retry_delay": int(max(patience, 1) * 1000),
    }


@contextlib.contextmanager
def _as_a_program() -> Iterator[None]:
    """pyspark takes a program without a file (``python -c``, a worker of a test runner) for its own doctests, and ends
    it."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__") or getattr(main, "__spec__", None) is not None:
        yield
        return
    main.__file__ = "<program>"
    try:
        yield
    finally:
        del main.__file__
