"""Rows between ClickHouse and Arrow, of pyarrow. Types that have no counterpart there go as texts, and come back by a
cast."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anabranch.engines.arrow import ROWS
from anabranch.errors import StatementFailed
from anabranch.ports.grammar import Grammar

_WRAPPED = re.compile(r"(?:Nullable|LowCardinality)\((.*)\)\Z", re.DOTALL)
_FOREIGN = re.compile(r"U?Int(128|256)\Z|Enum|IPv[46]\Z|Time\Z|Interval")
_SECONDS = re.compile(r"DateTime(?:\((.*)\))?\Z")
_ZONELESS = re.compile(r"DateTime(?:64\(\d+\))?\Z")
_WHOLE = re.compile(
    r"(Nullable|Array|Map|Tuple|Nested|Variant|Dynamic|JSON|Object|(Simple)?AggregateFunction|Point|Ring|(Multi)?Polygon"
    r"|(Multi)?LineString|Geometry)\b",
    re.IGNORECASE,
)
"""Types that can't stand within ``Nullable``."""
_THIN = re.compile(r"LowCardinality\((?!\s*Nullable\b)(.*)\)\Z", re.IGNORECASE | re.DOTALL)
_CONSTRAINT = re.compile(r"\s+(NOT\s+)?NULL\Z", re.IGNORECASE)


def bare(kind: str) -> str:
    """A type without what says that it takes NULL, or how it is stored."""
    match = _WRAPPED.match(kind)
    return bare(match.group(1)) if match else kind


def nullable(kind: str) -> str:
    """A type as a project writes it, so that it takes NULL as standard SQL has it: unless it says ``NOT NULL``."""
    constraint = _CONSTRAINT.search(kind)
    plain = kind[: constraint.start()] if constraint else kind
    if (constraint and constraint.group(1)) or _WHOLE.match(plain):
        return plain
    thin = _THIN.match(plain)
    if thin:
        return f"LowCardinality(Nullable({thin.group(1)}))"
    return plain if plain.lower().startswith("lowcardinality") else f"Nullable({plain})"


def readable(query: str, columns: Sequence[tuple[str, str]], grammar: Grammar) -> str:
    """``query``, with what Arrow lacks as texts, and with all dates with times as such: a ``DateTime`` would be a
    number."""
    told = []
    for name, kind in columns:
        column, plain = grammar.identifier(name), bare(kind)
        seconds = _SECONDS.match(plain)
        if seconds:
            zone = f", {seconds.group(1)}" if seconds.group(1) else ""
            told.append(f"CAST({column} AS {_like(kind, f'DateTime64(0{zone})')}) AS {column}")
        elif _FOREIGN.match(plain):
            told.append(f"CAST({column} AS {_like(kind, 'String')}) AS {column}")
        else:
            told.append(column)
    if all(t == grammar.identifier(name) for t, (name, _) in zip(told, columns, strict=True)):
        return query
    return f"SELECT {', '.join(told)} FROM (\n{query}\n)"


def _like(kind: str, other: str) -> str:
    return f"Nullable({other})" if "Nullable(" in kind else other


def cast(column: str, said: str, kind: str, grammar: Grammar) -> str:
    """``column``, which is of the type ``said``, as a value of ``kind``. What can't be told exactly is an error. A text
    that may be NULL is looked at first: of one that can't be read ClickHouse would make NULL."""
    whole = bare(kind)
    if "Nullable(" in said and kind != whole and bare(said).startswith(("String", "FixedString")):
        told = f"accurateCast(assumeNotNull({column}), {grammar.literal(whole)})"
        return f"if(isNull({column}), NULL, {told})"
    return f"accurateCast({column}, {grammar.literal(kind)})"


def reader(
    schema: Any,
    found: Iterator[Any],
    columns: Sequence[tuple[str, str]],
    rows: int,
) -> Any:
    """Batches of about so many ``rows``. Dates with times that have no time zone get none: ClickHouse says UTC."""
    import pyarrow

    zoneless = {i for i, (_, kind) in enumerate(columns) if _ZONELESS.match(bare(kind))}
    fields = [
        pyarrow.field(f.name, pyarrow.timestamp(f.type.unit), f.nullable)
        if i in zoneless and pyarrow.types.is_timestamp(f.type)
        else f
        for i, f in enumerate(schema)
    ]
    wanted = pyarrow.schema(fields)

    def sized() -> Iterator[Any]:
        for batch in found:
            told = batch if wanted == batch.schema else batch.cast(wanted)
            for first in range(0, told.num_rows, rows or ROWS):
                yield told.slice(first, rows or ROWS)

    return pyarrow.RecordBatchReader.from_batches(wanted, sized())


def packed(table: Any) -> bytes:
    """``table`` as a stream of bytes."""
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def picked(table: Any, columns: Mapping[str, str]) -> Any:
    """The ``columns`` of ``table`` by these names, found without regard to case. One of which nothing but NULL is known
    is one of texts, for ClickHouse reads no other.

    Raises:
        StatementFailed: one isn't there.
    """
    names: dict[str, int] = {}
    for number, name in enumerate(table.column_names):
        names.setdefault(name.lower(), number)
    missing = [c for c in columns if c.lower() not in names]
    if missing:
        raise StatementFailed(
            f"the rows have no column {missing[0]}, but {', '.join(table.column_names)}", kind="NO_SUCH_COLUMN_IN_TABLE"
        )
    import pyarrow

    told = table.select([names[c.lower()] for c in columns]).rename_columns(list(columns))
    fields = [pyarrow.field(f.name, pyarrow.string()) if pyarrow.types.is_null(f.type) else f for f in told.schema]
    return told.cast(pyarrow.schema(fields))


def in_text(data: bytes) -> str:
    """Bytes as a text in SQL."""
    return "'" + "".join(f"\\x{byte:02x}" for byte in data) + "'"
