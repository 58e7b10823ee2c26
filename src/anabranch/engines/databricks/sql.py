"""A Databricks SQL warehouse, reached by HTTP with the package databricks-sql-connector.

Rows come as Arrow, large answers from the cloud's storage beside the connection. They go through a volume where one is
given: as one Parquet file for each batch, read and removed again. Without one they are written into the statement, in
small batches: right for seeds, slow for more.
"""

from __future__ import annotations

import contextlib
import io
import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from anabranch.engines.arrow import ROWS, Batch
from anabranch.engines.spark.arrow import rebatched, values
from anabranch.engines.spark.errors import is_lost, told
from anabranch.engines.spark.grammar import SPARK
from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.engine import ArrowStream, Result

_LITERAL_ROWS, _LITERAL_BYTES = 500, 2**20
"""Of a batch that is written into a statement."""
_FILE_BYTES = 2**28


class WarehouseTransport:
    """See :class:`anabranch.engines.spark.connect.Transport`. A connection runs one statement at a time."""

    parallel = 1

    def __init__(
        self, place: str, arguments: Mapping[str, Any], *, volume: str | None = None, secrets: Collection[str] = ()
    ) -> None:
        """``arguments``: of ``databricks.sql.connect``. ``volume``: a folder below ``/Volumes``."""
        self.is_lost = False
        self.most_rows = None if volume else _LITERAL_ROWS
        self.most_bytes = _FILE_BYTES if volume else _LITERAL_BYTES
        self._place = place
        self._volume = volume
        self._secrets = tuple(secrets)
        self._about = ""
        self._running: set[Any] = set()
        try:
            from databricks import sql
        except ImportError as error:
            raise WarehouseUnavailable(
                f"Databricks can't be reached without its connector: {error}",
                hint="pip install 'anabranch[databricks]'",
            ) from error
        with self._errors(opens=True):
            self._connection = sql.connect(**arguments)

    @contextlib.contextmanager
    def _errors(self, *, opens: bool = False) -> Iterator[None]:
        from databricks.sql import exc

        try:
            yield
        except exc.Error as error:
            raised = told(
                str(error.message or ""),
                "",
                self._place,
                status=_status(error, opens=opens),
                fallback=type(error).__name__,
                secrets=self._secrets,
            )
            self.is_lost = self.is_lost or is_lost(raised)
            raise raised from None  # without the driver's own, which shows the request

    # -- statements ------------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        """In a comment, which the warehouse's history of queries shows."""
        told = json.dumps(dict(sorted(about.items()))).replace("*/", "* /").replace("/*", "/ *")
        self._about = f"/* anabranch {told} */ " if about else ""

    @contextlib.contextmanager
    def _cursor(self, statement: str, **more: Any) -> Iterator[Any]:
        """One that has run ``statement``."""
        with self._errors(), self._connection.cursor() as cursor:
            self._running.add(cursor)
            try:
                cursor.execute(self._about + statement, **more)
                yield cursor
            finally:
                self._running.discard(cursor)

    def execute(self, statement: str) -> None:
        with self._cursor(statement):
            pass

    def query(self, statement: str, most: int | None = None) -> Result:
        with self._cursor(statement) as cursor:
            names = tuple(str(d[0]) for d in cursor.description or ())
            if not names or most == 0:
                return Result(names, [])
            return Result(names, values(cursor.fetchall_arrow() if most is None else cursor.fetchmany_arrow(most)))

    def described(self, query: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(r[0]), str(r[1])) for r in self.query(f"DESCRIBE QUERY {query}").rows)

    def stream(self, query: str, rows: int) -> ArrowStream:
        import pyarrow

        open_cursor = self._cursor(query)
        cursor = open_cursor.__enter__()
        try:
            first = cursor.fetchmany_arrow(rows or ROWS)
        except BaseException:
            open_cursor.__exit__(None, None, None)
            raise

        def batches() -> Iterator[Any]:
            with contextlib.ExitStack() as ends:
                ends.push(open_cursor)
                part = first
                while part.num_rows:
                    yield from rebatched(part, rows)
                    part = cursor.fetchmany_arrow(rows or ROWS)

        stream: ArrowStream = pyarrow.RecordBatchReader.from_batches(first.schema, batches())
        return stream

    @contextlib.contextmanager
    def staged(self, batch: Batch) -> Iterator[str]:
        if self._volume is None:
            yield literals(batch)
            return
        import pyarrow.parquet

        file = f"{self._volume.rstrip('/')}/anabranch-{uuid.uuid4().hex}.parquet"
        content = io.BytesIO()
        pyarrow.parquet.write_table(batch, content)
        content.seek(0)
        with self._cursor(f"PUT '__input_stream__' INTO {SPARK.literal(file)} OVERWRITE", input_stream=content):
            pass
        try:
            yield f"parquet.{SPARK.identifier(file)}"
        finally:
            with contextlib.suppress(WarehouseError):
                self.execute(f"REMOVE {SPARK.literal(file)}")

    def files(self, query: str) -> list[str] | None:
        return None

    # -- ends ------------------------------------------------------------------------------------------------------
    def interrupt(self) -> None:
        for cursor in list(self._running):
            with contextlib.suppress(WarehouseError), self._errors():
                cursor.cancel()

    def close(self) -> None:
        with contextlib.suppress(WarehouseError), self._errors():
            self._connection.close()


def _status(error: Any, *, opens: bool) -> str:
    """What the connection says, in gRPC's words; nothing where the statement is at fault."""
    from databricks.sql import exc

    code = (getattr(error, "context", None) or {}).get("http-code")
    if code == 401 or (code == 403 and opens):
        return "UNAUTHENTICATED"
    if code == 403:
        return "PERMISSION_DENIED"
    if code == 429:
        return "RESOURCE_EXHAUSTED"
    text = str(getattr(error, "message", "") or "")
    if opens and ("token" in text.lower() and ("expired" in text.lower() or "invalid" in text.lower())):
        return "UNAUTHENTICATED"
    if isinstance(error, exc.RequestError) or opens:
        return "UNAVAILABLE"
    return ""


def literals(batch: Batch) -> str:
    """Rows as a statement's FROM says them: each value as a text, which the types of the table's columns are made of.

    Raises:
        StatementFailed: a column's values can't be written so.
    """
    import pyarrow
    from pyarrow import types

    table: Any = batch
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if types.is_nested(field.type):
            raise StatementFailed(
                f"rows of {field.name} ({field.type}) can't be written into a statement",
                kind="NotSupported",
                hint="name a volume (warehouse.settings.volume: /Volumes/…) for rows to go through",
            )
        if types.is_binary(field.type):
            columns.append(["NULL" if v is None else f"X'{v.hex()}'" for v in column.to_pylist()])
        else:
            texts = column.cast(pyarrow.string()).to_pylist()
            columns.append(["NULL" if v is None else SPARK.literal(v) for v in texts])
    rows = ", ".join(f"({', '.join(row)})" for row in zip(*columns, strict=True))
    return f"(VALUES {rows}) AS anabranch_batch ({SPARK.columns(table.column_names)})"
