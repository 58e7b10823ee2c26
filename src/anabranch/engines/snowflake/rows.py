"""Rows that go to Snowflake and come from it as Arrow.

They go as texts, in files of Parquet or within a statement, and are cast where they arrive: what a text means is said
the same way everywhere, while a typed file's timestamps, decimals and NULLs depend on settings of whoever reads it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from anabranch.engines.arrow import ROWS, Batch
from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream

if TYPE_CHECKING:
    from anabranch.engines.snowflake.link import Cursor, Link

SMALL = 4_000
"""So many values go within a statement, as long as it isn't longer than :data:`SHORT`."""
SHORT = 200_000


def position(number: int) -> str:
    """The name of a column on its way."""
    return f"C{number}"


def texts(batch: Batch, columns: Iterable[str]) -> Batch:
    """``columns`` of ``batch``, found without regard to case, as texts, named by :func:`position`.

    Raises:
        StatementFailed: one is missing, or of a type that Snowflake has nothing for.
    """
    import pyarrow as pa

    table: Any = batch
    there = {name.lower(): number for number, name in reversed(list(enumerate(table.column_names)))}
    found = []
    for name in columns:
        if name.lower() not in there:
            raise StatementFailed(
                f"there is no column {name}", kind="MissingColumn", hint=f"there are {', '.join(table.column_names)}"
            )
        found.append(_text(table.column(there[name.lower()]), name))
    return pa.table(found, names=[position(n) for n in range(len(found))])  # type: ignore[no-any-return]


def _text(column: Any, name: str) -> Any:
    """All values of a column as texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    kind = column.type
    if types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return pa.chunked_array([pa.array([None if v is None else v.hex() for v in column.to_pylist()], pa.string())])
    if types.is_nested(kind):
        plain = dict if types.is_map(kind) else lambda value: value
        found = [
            None if v is None else json.dumps(plain(v), default=str, ensure_ascii=False) for v in column.to_pylist()
        ]
        return pa.chunked_array([pa.array(found, pa.string())])
    if types.is_timestamp(kind) and kind.tz is not None:
        moments = column.cast(pa.timestamp(kind.unit, "UTC")).cast(pa.timestamp(kind.unit))
        return pc.binary_join_element_wise(moments.cast(pa.string()), "+00:00", "")
    try:
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise StatementFailed(
            f"column {name} is of the type {kind}, which Snowflake has nothing for", kind=type(error).__name__
        ) from error


def parquet(batch: Batch) -> io.BytesIO:
    """A file of it."""
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(batch, file, compression="snappy")
    file.seek(0)
    return file


def values(batch: Batch) -> list[tuple[str | None, ...]]:
    """All rows of what :func:`texts` gave."""
    table: Any = batch
    return list(zip(*(c.to_pylist() for c in table.columns), strict=True))


def is_small(batch: Batch) -> bool:
    """Whether it goes within a statement."""
    table: Any = batch
    return bool(table.num_rows * table.num_columns <= SMALL and table.nbytes <= SHORT)


def stream(link: Link, cursor: Cursor, columns: Sequence[tuple[str, str]], rows: int = 0) -> ArrowStream:
    """An answer, batch by batch; ``columns`` are its names as Anabranch says them, and its types."""
    import pyarrow as pa

    most = rows or ROWS
    tables = _tables(link, cursor, most)
    first = next(tables, None)
    kinds = _kinds(columns, first)
    schema = pa.schema([pa.field(name, kind) for (name, _), kind in zip(columns, kinds, strict=True)])

    def batches() -> Iterator[Any]:
        nonlocal first
        while (table := first if first is not None else next(tables, None)) is not None:
            first = None
            for batch in _conformed(table, schema).to_batches(max_chunksize=most):
                if batch.num_rows:
                    yield batch

    return pa.RecordBatchReader.from_batches(schema, batches())  # type: ignore[no-any-return]


def _tables(link: Link, cursor: Cursor, most: int) -> Iterator[Any]:
    """As the driver gives them: as Arrow, or as rows where the answer isn't."""
    import pyarrow as pa
    from snowflake.connector.errors import NotSupportedError

    try:
        with link.errors():
            yield from cursor.fetch_arrow_batches()
    except StatementFailed as failure:
        if not isinstance(failure.__cause__, NotSupportedError):
            raise
        names = [c.name for c in cursor.description or ()]
        while True:
            with link.errors():
                found = cursor.fetchmany(most)
            if not found:
                break
            yield pa.table([_array(n, c) for n, c in zip(names, zip(*found, strict=True), strict=True)], names=names)


def _array(name: str, values: Sequence[object]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError) as error:
        raise _unreadable(name, error, is_number=isinstance(error, OverflowError)) from error


def _unreadable(name: str, error: Exception, *, is_number: bool) -> StatementFailed:
    hint = "a number is beyond 64 bits: cast the column to a text, or to DOUBLE" if is_number else None
    return StatementFailed(f"column {name} can't be read: {error}", kind=type(error).__name__, hint=hint)


def _kinds(columns: Sequence[tuple[str, str]], first: Any) -> list[Any]:
    """The types that all batches have: a NUMBER of Snowflake comes in as many bits as a batch happens to need."""
    import pyarrow as pa

    scalars = {
        "FLOAT": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIME": pa.time64("us"),
        "TIMESTAMP": pa.timestamp("us"),
        "TIMESTAMP_NTZ": pa.timestamp("us"),
        "TIMESTAMP_LTZ": pa.timestamp("us", "UTC"),
        "TIMESTAMP_TZ": pa.timestamp("us", "UTC"),
        "BINARY": pa.binary(),
    }
    nested = frozenset({"ARRAY", "OBJECT", "MAP", "VECTOR"})
    found = []
    for number, (_, spelled) in enumerate(columns):
        name, _, rest = spelled.partition("(")
        if name == "NUMBER":
            precision, scale = (int(n) for n in rest.rstrip(")").split(","))
            found.append(pa.decimal128(precision, scale) if scale else pa.int64())
        elif name in nested and first is not None:
            found.append(first.schema.field(number).type)
        else:
            found.append(scalars.get(name, pa.string()))
    return found


def _conformed(table: Any, schema: Any) -> Any:
    """``table`` in the types of ``schema``. Raises ``StatementFailed`` where a number doesn't fit."""
    import pyarrow as pa

    columns = []
    for column, field in zip(table.columns, schema, strict=True):
        try:
            # what is finer than a microsecond is cut off, as in Python
            columns.append(column.cast(field.type, safe=not pa.types.is_temporal(field.type)))
        except pa.ArrowException as error:
            raise _unreadable(field.name, error, is_number=pa.types.is_integer(field.type)) from error
    return pa.Table.from_arrays(columns, schema=schema)
