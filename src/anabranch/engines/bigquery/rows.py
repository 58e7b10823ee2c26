"""Rows that come from BigQuery and go to it as Arrow. They go as files of Parquet, which a load job takes wholly or not
at all; where their types aren't the table's, by way of a spare table, from which BigQuery casts them."""

from __future__ import annotations

import contextlib
import re
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anabranch.engines.arrow import batches
from anabranch.engines.bigquery.errors import errors, failed
from anabranch.engines.bigquery.jobs import REQUEST, Jobs
from anabranch.engines.bigquery.sql import GRAMMAR, unparametrized
from anabranch.errors import WarehouseError
from anabranch.ports.engine import ArrowStream

if TYPE_CHECKING:
    from google.cloud.bigquery import TableReference
    from google.cloud.bigquery.job import LoadJob
    from google.cloud.bigquery.table import RowIterator

_KEPT = timedelta(days=1)
"""After which BigQuery drops a spare table that was left behind."""
_ALIASES = {
    **dict.fromkeys(("INT", "SMALLINT", "INTEGER", "BIGINT", "TINYINT", "BYTEINT"), "INT64"),
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PARSED = {"JSON": "PARSE_JSON({})", "GEOGRAPHY": "ST_GEOGFROM({})"}
"""Types that a text isn't cast to."""


def spare_name() -> str:
    return f"anabranch__load_{uuid.uuid4().hex}"


def stream(found: RowIterator, place: str) -> ArrowStream:
    """The rows of an answer, page by page."""
    import pyarrow

    pages = _pages(found, place)
    first = next(pages, None)
    if first is None:
        first = pyarrow.RecordBatch.from_pylist([], found.to_arrow(create_bqstorage_client=False).schema)

    def all_pages() -> Iterator[Any]:
        yield first
        yield from pages

    reader: ArrowStream = pyarrow.RecordBatchReader.from_batches(first.schema, all_pages())
    return reader


def _pages(found: RowIterator, place: str) -> Iterator[Any]:
    with errors(place):
        yield from found.to_arrow_iterable()


class Loading:
    """Makes tables from Arrow."""

    def __init__(self, jobs: Jobs, place: str, location: str, labels: Mapping[str, str]) -> None:
        self._jobs = jobs
        self._client = jobs.client
        self._place = place
        self._location = location
        self._labels = dict(labels)

    def load(
        self, table: TableReference, spare: TableReference, columns: Mapping[str, str], parts: Iterable[ArrowStream]
    ) -> int:
        """Makes ``table``, which isn't there, with ``columns``. ``spare``: begins the names of tables that are made
        meanwhile. Says how many rows it has."""
        with tempfile.TemporaryDirectory(prefix="anabranch-") as folder:
            files, rows = _written(Path(folder), columns, parts)
            fields = _fields(columns)
            if not files:
                self._jobs.run(f"CREATE TABLE {_name(table)} ({_declared(columns)})", self._labels)
            elif len(files) == 1 and files[0].names == list(columns) and files[0].types == [t for _, _, t in fields]:
                schema = [(name, kind) for name, kind, _ in fields]
                self._send(files[0].path, table, {"write_disposition": "WRITE_EMPTY"}, schema)
            else:
                self._cast(table, spare, columns, files)
        return rows

    def _cast(
        self, table: TableReference, spare: TableReference, columns: Mapping[str, str], files: list[_File]
    ) -> None:
        from google.cloud.bigquery import Table, TableReference

        places = [
            TableReference.from_api_repr({**spare.to_api_repr(), "tableId": f"{spare.table_id}_{n}"})
            for n in range(len(files))
        ]
        try:
            queries = []
            for place, file in zip(places, files, strict=True):
                made = Table(place)
                made.expires = datetime.now(UTC) + _KEPT
                with errors(self._place):
                    self._client.create_table(made, exists_ok=True, retry=self._jobs.retry, timeout=REQUEST)
                self._send(file.path, place, {"write_disposition": "WRITE_TRUNCATE"})
                queries.append(f"SELECT {_selected(columns, file)} FROM {_name(place)}")
            # lengths and precisions are a column's, and none of a cast's
            declared = f" ({_declared(columns)})" if any("(" in kind for kind in columns.values()) else ""
            statement = f"CREATE TABLE {_name(table)}{declared} AS {' UNION ALL '.join(queries)}"
            self._jobs.run(statement, self._labels)
        finally:
            for place in places:  # what can't be dropped now expires
                with contextlib.suppress(WarehouseError), errors(self._place):
                    self._client.delete_table(place, not_found_ok=True, retry=self._jobs.retry, timeout=REQUEST)

    def _send(
        self, path: Path, table: TableReference, how: Mapping[str, str], schema: list[tuple[str, str]] | None = None
    ) -> None:
        from google.cloud.bigquery import LoadJobConfig, ParquetOptions, SchemaField

        config = LoadJobConfig(source_format="PARQUET", labels=self._labels, **how)
        config.decimal_target_types = ["NUMERIC", "BIGNUMERIC"]
        config.parquet_options = ParquetOptions()
        config.parquet_options.enable_list_inference = True
        if schema:
            config.schema = [SchemaField(name, kind) for name, kind in schema]

        def begin(job_id: str) -> LoadJob:
            with path.open("rb") as file:
                return self._client.load_table_from_file(
                    file, table, job_config=config, job_id=job_id, location=self._location, timeout=REQUEST
                )

        self._jobs.load(begin)


@dataclass(slots=True)
class _File:
    """Rows of one schema."""

    path: Path
    names: list[str]
    types: list[Any]
    writer: Any


def _written(folder: Path, columns: Mapping[str, str], parts: Iterable[ArrowStream]) -> tuple[list[_File], int]:
    """The rows as files, one for each schema that they come in. A load may change names that aren't plain."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetWriter

    is_plain = all(_PLAIN.match(name) for name in columns)
    names = list(columns) if is_plain else [f"c{number}" for number in range(len(columns))]
    files: dict[Any, _File] = {}
    rows = 0
    try:
        for batch in batches(parts):
            try:
                table = _chosen(batch, columns, names)
                if table.schema not in files:
                    path = folder / f"{len(files)}.parquet"
                    writer = ParquetWriter(path, table.schema, coerce_timestamps="us", allow_truncated_timestamps=True)
                    files[table.schema] = _File(path, names, list(table.schema.types), writer)
                files[table.schema].writer.write_table(table)
            except ArrowException as error:
                raise failed(type(error).__name__, f"rows can't be written as Parquet: {error}") from error
            rows += batch.num_rows
    finally:
        for file in files.values():
            file.writer.close()
    return list(files.values()), rows


def _chosen(batch: Any, columns: Mapping[str, str], names: list[str]) -> Any:
    """The columns that are wanted, found without regard to case, of types that Parquet and BigQuery both have."""
    import pyarrow

    there = {str(name).lower(): number for number, name in reversed(list(enumerate(batch.schema.names)))}
    chosen = []
    for name in columns:
        if name.lower() not in there:
            raise failed("invalid", f"the rows have no column {name}")
        column = batch.column(there[name.lower()])
        chosen.append(column.cast(_plain(column.type)))
    return pyarrow.table(chosen, names=names)


def _plain(type_: Any) -> Any:
    """The type among those that are written alike which holds all values of ``type_``."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_dictionary(type_):
        return _plain(type_.value_type)
    if types.is_null(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return pa.string()
    if types.is_large_binary(type_) or types.is_binary_view(type_) or types.is_fixed_size_binary(type_):
        return pa.binary()
    if types.is_uint64(type_):
        return pa.decimal128(20, 0)
    if types.is_integer(type_):
        return pa.int64()
    if types.is_floating(type_):
        return pa.float64()
    if types.is_timestamp(type_):
        return pa.timestamp("us", "UTC" if type_.tz else None)
    if types.is_time(type_):
        return pa.time64("us")
    return pa.date32() if types.is_date(type_) else type_


def _fields(columns: Mapping[str, str]) -> list[tuple[str, str, Any]]:
    """Of each column its name, its type, and the type of Arrow that BigQuery takes for it as it is, else None."""
    import pyarrow as pa

    known = {
        "INT64": pa.int64(),
        "FLOAT64": pa.float64(),
        "BOOL": pa.bool_(),
        "STRING": pa.string(),
        "BYTES": pa.binary(),
        "DATE": pa.date32(),
        "DATETIME": pa.timestamp("us"),
        "TIMESTAMP": pa.timestamp("us", "UTC"),
    }
    kinds = {name: _spelled(kind) for name, kind in columns.items()}
    return [(name, kind, known.get(kind)) for name, kind in kinds.items()]


def _spelled(kind: str) -> str:
    upper = kind.strip().upper()
    return _ALIASES.get(upper, upper)


def _declared(columns: Mapping[str, str]) -> str:
    return ", ".join(f"{GRAMMAR.identifier(name)} {kind}" for name, kind in columns.items())


def _selected(columns: Mapping[str, str], file: _File) -> str:
    from pyarrow import types

    told = []
    for (name, kind), there, type_ in zip(columns.items(), file.names, file.types, strict=True):
        column = GRAMMAR.identifier(there)
        parsed = _PARSED.get(_spelled(kind)) if types.is_string(type_) else None
        value = parsed.format(column) if parsed else f"CAST({column} AS {unparametrized(kind)})"
        told.append(f"{value} AS {GRAMMAR.identifier(name)}")
    return ", ".join(told)


def _name(table: TableReference) -> str:
    return GRAMMAR.name(table.project, table.dataset_id, table.table_id)
