"""Rows of Postgres as Arrow, and back. They travel as CSV, by COPY: Postgres writes and reads it, and so does Arrow,
without a value of Python in between.

What Arrow has no exact type for comes as the text that Postgres writes: ``numeric`` without a precision, ``interval``,
``uuid``, ``jsonb``, arrays, enums. The same texts go back into columns of these types. A date that Arrow can't hold
(``infinity``, years before 1 or after 9999) is an error.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from anabranch.engines.arrow import ROWS, batches, require_arrow
from anabranch.engines.postgres.catalog import GRAMMAR, columns
from anabranch.engines.postgres.copying import copy_in, copy_out
from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.values import Written, arrow_type, as_csv, finished, is_direct, read_as, written
from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream, Relation


def read(link: Link, query: str, rows: int) -> ArrowStream:
    """See :meth:`anabranch.ports.engine.Session.read_arrow`."""
    require_arrow(link.address.place)
    import pyarrow

    described = link.described(query)
    if not described:
        raise StatementFailed("only one query with columns can be read, nothing else", hint="write one SELECT")
    places = [f"c{i}" for i in range(len(described))]
    values = [read_as(place, oid) for place, (_, oid, _) in zip(places, described, strict=True)]
    # one column more: a row of a single NULL would be an empty line
    inner = f"{query.rstrip().rstrip(';')}\n"
    copied = f"COPY (SELECT {', '.join(values)}, 0 FROM ({inner}) AS q ({', '.join(places)})) TO STDOUT (FORMAT csv)"
    kinds = [arrow_type(oid, modifier) for _, oid, modifier in described]
    schema = pyarrow.schema([(name, kind) for (name, *_), kind in zip(described, kinds, strict=True)])
    parts = copy_out(link, copied, rows or ROWS)

    def parsed() -> Iterator[Any]:
        try:
            for part in parts:
                yield from _parsed(part, schema)
        finally:
            parts.close()

    found: ArrowStream = pyarrow.RecordBatchReader.from_batches(schema, parsed())
    return found


def _parsed(data: bytes, schema: Any) -> Iterator[Any]:
    """The rows of some lines of CSV, in one batch."""
    import pyarrow
    from pyarrow import csv

    names = [f"c{i}" for i in range(len(schema) + 1)]
    plain = [as_csv(field.type) for field in schema]
    try:
        table = csv.read_csv(
            pyarrow.BufferReader(data),
            read_options=csv.ReadOptions(column_names=names, use_threads=False, block_size=max(len(data) + 1, 1 << 16)),
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(names, [*plain, pyarrow.int8()], strict=True)),
                include_columns=names[:-1],
                null_values=[""],
                true_values=["t"],
                false_values=["f"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
        values = [finished(column, field.type) for column, field in zip(table.columns, schema, strict=True)]
        whole = pyarrow.Table.from_arrays(values, schema=schema).combine_chunks()
    except pyarrow.ArrowException as error:
        raise StatementFailed(
            f"a value can't be had as Arrow: {error}", kind=type(error).__name__, hint="cast it to a text in the query"
        ) from error
    yield from whole.to_batches()


def load(link: Link, table: Relation, parts: Iterable[ArrowStream], declared: Mapping[str, str]) -> int:
    """See :meth:`anabranch.ports.engine.Session.load_arrow`; within a transaction.

    What Postgres reads from a text as a cast would have it goes straight into the table; the rest goes by a temporary
    table with the types that it has, from where it is cast.
    """
    require_arrow(link.address.place)
    place = GRAMMAR.name(table.schema, table.name)
    link.execute(f"CREATE TABLE {place} ({', '.join(f'{GRAMMAR.identifier(c)} {k}' for c, k in declared.items())})")
    types = dict(columns(link, table) or ())
    staged: dict[tuple[str, ...], str] = {}
    rows = 0
    for batch in batches(parts):
        taken = [written(_column(batch, c), types[c]) for c in declared]
        if all(is_direct(column, types[c]) for column, c in zip(taken, declared, strict=True)):
            _copy(link, place, declared, taken)
        else:
            natural = tuple(column.natural for column in taken)
            if natural not in staged:
                staged[natural] = GRAMMAR.identifier(f"anabranch_staged_{len(staged)}")
                told = ", ".join(f"{GRAMMAR.identifier(c)} {k}" for c, k in zip(declared, natural, strict=True))
                link.script([f"CREATE TEMPORARY TABLE {staged[natural]} ({told}) ON COMMIT DROP"])
            _copy(link, f"pg_temp.{staged[natural]}", declared, taken)
            cast = ", ".join(f"CAST({GRAMMAR.identifier(c)} AS {k})" for c, k in types.items())
            link.script(
                [
                    f"INSERT INTO {place} SELECT {cast} FROM pg_temp.{staged[natural]}",
                    f"TRUNCATE pg_temp.{staged[natural]}",
                ]
            )
        rows += batch.num_rows
    link.script([f"DROP TABLE pg_temp.{table}" for table in staged.values()])
    return rows


def _column(batch: Any, wanted: str) -> Any:
    """By its name, without regard to case where there is no other way."""
    names: list[str] = batch.schema.names
    found = [i for i, n in enumerate(names) if n == wanted] or [
        i for i, n in enumerate(names) if n.lower() == wanted.lower()
    ]
    if not found:
        raise StatementFailed(f"the rows have no column {wanted}", kind="UndefinedColumn", hint=f"they have {names}")
    return batch.column(found[0])


def _copy(link: Link, place: str, names: Iterable[str], columns: Sequence[Written]) -> None:
    import pyarrow
    from pyarrow import csv

    data = io.BytesIO()
    try:
        table = pyarrow.table([c.values for c in columns], [f"c{i}" for i in range(len(columns))])
        csv.write_csv(table, data, csv.WriteOptions(include_header=False, quoting_style="needed"))
    except pyarrow.ArrowException as error:
        raise StatementFailed(f"rows can't be taken over: {error}", kind=type(error).__name__) from error
    copy_in(link, f"COPY {place} ({GRAMMAR.columns(names)}) FROM STDIN (FORMAT csv)", data.getvalue())
