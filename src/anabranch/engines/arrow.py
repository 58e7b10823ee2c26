"""Arrow, where it is installed: an extra, and loaded late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from anabranch.errors import StatementFailed, WarehouseUnavailable
from anabranch.ports.engine import ArrowStream

ROWS = 122_880
"""Of a batch where nothing else is said: as many as DuckDB keeps together. Smaller ones are put together until they
have so many, for a statement for each would be slow."""


class Batch(Protocol):
    """A table or a batch of Arrow."""

    @property
    def num_rows(self) -> int: ...

    @property
    def schema(self) -> object: ...


def require_arrow(place: str) -> None:
    """Raises ``WarehouseUnavailable`` where it isn't installed."""
    try:
        import pyarrow  # noqa: F401  # whether it is there
    except ImportError as error:
        raise WarehouseUnavailable(
            f"rows can't be exchanged with {place} without Arrow", hint="pip install 'anabranch[python]'"
        ) from error


def batches(parts: Iterable[ArrowStream]) -> Iterator[Batch]:
    """All rows of ``parts`` in tables of about :data:`ROWS` rows; tables of different schemas are kept apart.

    Raises:
        StatementFailed: something isn't as Arrow has it.
        Exception: what ``parts`` raises passes.
    """
    import pyarrow

    waiting: list[Batch] = []
    number = 0
    for part in parts:
        # a reader of this process is read as it is: through the interface, its errors would lose where they came from
        try:
            reader = (
                part if isinstance(part, pyarrow.RecordBatchReader) else pyarrow.RecordBatchReader.from_stream(part)
            )
        except (pyarrow.ArrowException, TypeError) as error:
            raise StatementFailed(f"rows can't be taken over: {error}", kind=type(error).__name__) from error
        for batch in reader:
            if waiting and (number + batch.num_rows > ROWS or batch.schema != waiting[0].schema):
                yield pyarrow.Table.from_batches(waiting)
                waiting, number = [], 0
            if batch.num_rows:
                waiting.append(batch)
                number += batch.num_rows
    if waiting:
        yield pyarrow.Table.from_batches(waiting)
