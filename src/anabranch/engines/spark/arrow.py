"""Rows of Spark as Arrow has them, and the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from anabranch.engines.arrow import ROWS, Batch
from anabranch.ports.engine import Row


def rebatched(table: Any, rows: int) -> Iterator[Any]:
    """The batches of a table, none longer than ``rows``, where that is more than 0."""
    yield from table.to_batches(max_chunksize=rows or ROWS)


def values(table: Any) -> Sequence[Row]:
    """Python's values; an interval of months is their number."""
    import pyarrow

    columns = []
    for column in table.columns:
        if str(column.type) == "month_interval":  # which Arrow has no value of Python's for
            months = [c.view(pyarrow.int32()) for c in column.chunks]
            columns.append(pyarrow.chunked_array(months, pyarrow.int32()).to_pylist())
        else:
            columns.append(column.to_pylist())
    return list(zip(*columns, strict=True)) if columns else []


def sliced(batch: Batch, most_rows: int | None, most_bytes: int) -> Iterator[Batch]:
    """The same rows in parts, none of more rows or of about more bytes."""
    table: Any = batch
    fitting = max(1, table.num_rows * most_bytes // max(1, table.nbytes))
    most = fitting if most_rows is None else min(fitting, most_rows)
    for first in range(0, table.num_rows, most):
        yield table.slice(first, most)


def plain(batch: Batch) -> Batch:
    """The same rows, in types that Spark has: numbers without a sign become wider ones, times of day texts."""
    import pyarrow

    table: Any = batch
    if not isinstance(table, pyarrow.Table):
        table = pyarrow.Table.from_batches([table])
    for index, field in enumerate(table.schema):
        kind = _known(field.type)
        if kind != field.type:
            column = table.column(index)
            if pyarrow.types.is_timestamp(kind):  # what Spark has no room for is cut off, not refused
                column = pyarrow.chunked_array([c.cast(kind, safe=False) for c in column.chunks], kind)
            else:
                column = column.cast(kind)
            table = table.set_column(index, field.with_type(kind), column)
    result: Batch = table
    return result


def _known(kind: Any) -> Any:
    """The type that Spark takes instead of ``kind``."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(kind):
        return _known(kind.value_type)
    wider = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20)}
    if kind in wider:
        return wider[kind]
    if types.is_float16(kind):
        return pa.float32()
    if types.is_time(kind):
        return pa.string()
    if types.is_date64(kind):
        return pa.date32()
    if types.is_timestamp(kind) and kind.unit != "us":
        return pa.timestamp("us", kind.tz)
    if types.is_large_string(kind) or str(kind) == "string_view":
        return pa.string()
    if types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or str(kind) == "binary_view":
        return pa.binary()
    return kind
