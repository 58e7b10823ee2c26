"""How rows get into a new table of Snowflake: few within one statement, many through files. Either way the table is
made by one CREATE TABLE … AS, wholly or not at all, and nothing else outlives the session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from anabranch.domain.names import OWN_PREFIX, shorten
from anabranch.engines.arrow import Batch, batches
from anabranch.engines.snowflake.link import Link
from anabranch.engines.snowflake.rows import is_small, parquet, position, texts, values
from anabranch.engines.snowflake.types import cast
from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream
from anabranch.ports.grammar import Grammar


class Loading:
    """The way into one table."""

    def __init__(self, link: Link, grammar: Grammar, table: str, schema: str, name: str) -> None:
        """``table`` and its ``schema``, quoted; ``name``: its own, as it is."""
        self._link = link
        self._grammar = grammar
        self._table = table
        self._schema = schema
        self._spare = grammar.identifier(shorten(f"{OWN_PREFIX}_load_{name}"))
        """A stage and a table of the session's own; no other session sees them."""

    def load(self, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        """See :meth:`anabranch.ports.engine.Session.load_arrow`."""
        coming = (texts(batch, columns) for batch in batches(parts))
        begun = [batch for batch in (next(coming, None),) if batch is not None]
        if not begun:
            declared = ", ".join(f"{self._grammar.identifier(name)} {kind}" for name, kind in columns.items())
            self._link.run(f"CREATE TABLE {self._table} ({declared})")
            return 0
        if is_small(begun[0]):
            begun.extend(batch for batch in (next(coming, None),) if batch is not None)
            if len(begun) == 1:
                return self._load_within(begun[0], columns)
        return self._load_staged(chain(begun, coming), columns)

    def _load_within(self, batch: Batch, columns: Mapping[str, str]) -> int:
        rows = ", ".join(f"({', '.join(self._text(v) for v in row)})" for row in values(batch))
        self._make([f"column{n}" for n in range(1, len(columns) + 1)], columns, f"VALUES {rows}")
        return batch.num_rows

    def _text(self, value: str | None) -> str:
        return "NULL" if value is None else self._grammar.literal(value)

    def _load_staged(self, coming: Iterator[Batch], columns: Mapping[str, str]) -> int:
        self._link.run(f"USE SCHEMA {self._schema}")  # where a session's own are made and found
        try:
            return self._load_files(coming, columns)
        finally:
            self._link.go_home()

    def _load_files(self, coming: Iterator[Batch], columns: Mapping[str, str]) -> int:
        run, spare = self._link.run, self._spare
        run(f"CREATE OR REPLACE TEMPORARY STAGE {spare}")
        rows = 0
        for number, batch in enumerate(coming):
            put = f"PUT 'file:///part_{number}.parquet' @{spare} AUTO_COMPRESS = FALSE OVERWRITE = TRUE"
            self._link.upload(put, parquet(batch))
            rows += batch.num_rows
        places = [self._grammar.identifier(position(n)) for n in range(len(columns))]
        run(f"CREATE OR REPLACE TEMPORARY TABLE {spare} ({', '.join(f'{p} VARCHAR' for p in places)})")
        read = ", ".join(f"$1:{p}::VARCHAR" for p in places)
        run(f"COPY INTO {spare} FROM (SELECT {read} FROM @{spare}) FILE_FORMAT = (TYPE = PARQUET NULL_IF = ())")
        arrived = int(str(self._link.ask(f"SELECT COUNT(*) FROM {spare}")[0][0]))
        if arrived != rows:
            raise StatementFailed(f"of {rows} rows, {arrived} arrived", kind="RowsLost")
        self._make(places, columns, spare)
        run(f"DROP TABLE {spare}")
        return rows

    def _make(self, places: list[str], columns: Mapping[str, str], source: str) -> None:
        """``places``: where in ``source`` each of ``columns`` is, as a text."""
        read = ", ".join(
            f"{cast(place, kind)} AS {self._grammar.identifier(name)}"
            for place, (name, kind) in zip(places, columns.items(), strict=True)
        )
        self._link.run(f"CREATE TABLE {self._table} AS SELECT {read} FROM {source}")
