"""What a session asks of the way to ClickHouse: a connection within this process, or HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from anabranch.ports.engine import Row

Answer = tuple[tuple[str, ...], Iterator[Sequence[Row]]]
"""A query's columns, and its rows in blocks; no columns where ClickHouse named none, for there were no rows."""


class Transport(Protocol):
    """One way for one session. All methods raise ``WarehouseError``; a stream that is open ends with the next call."""

    def set(self, settings: Mapping[str, str]) -> None:
        """Has the following statements run under these settings too."""
        ...

    def run(self, statement: str) -> None:
        """Runs one statement that gives no rows, or whose rows don't matter."""
        ...

    def rows(self, statement: str) -> Answer: ...

    def arrow(self, query: str) -> tuple[Any, Iterator[Any]]:
        """A query's schema and batches, as pyarrow has them."""
        ...

    def insert(self, into: str, values: str, structure: str, data: bytes) -> None:
        """Runs ``INSERT INTO {into} SELECT {values}`` over ``data``, a stream of Arrow with this ``structure``."""
        ...

    def end(self) -> None:
        """Ends the stream that is open, if one is."""
        ...

    def close(self) -> None: ...
