"""For a project's own Python: models in ``models/*.py``, signals in ``signals/*.py``.

::

    from anabranch import model

    @model("marts.scored", columns={"id": "bigint", "score": "double"}, depends_on=["stg.orders"])
    def execute(context, start, end, execution_time, **kwargs):
        return context.table("stg.orders")

Decorators only mark: what they say is read from the file's text, and nothing is imported before a model is built.
Nothing heavy may be imported here, for ``import anabranch`` comes by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

__all__ = ["Batch", "Context", "Table", "model", "signal"]

Function = TypeVar("Function", bound=Callable[..., object])
Batch = Sequence[tuple[datetime, datetime]]
"""Intervals, each from its start (included) to its end (excluded), in UTC."""
SIGNAL = "__anabranch_signal__"
"""The attribute that tells a signal's name."""


class Table(Protocol):
    """What ``context.table`` gives: rows that are read when they are asked for. An Arrow table's attributes are its own
    too (``orders["id"]``, ``orders.num_rows``), and reading one of them reads all rows."""

    @property
    def name(self) -> str:
        """The asset's."""
        ...

    def arrow(self) -> Any:
        """All rows, as a ``pyarrow.Table``."""
        ...

    def reader(self, rows: int = 0) -> Any:
        """A ``pyarrow.RecordBatchReader``, batch by batch of about so many ``rows``, never all in memory."""
        ...

    def pandas(self) -> Any:
        """All rows, as a pandas data frame."""
        ...

    def polars(self) -> Any:
        """All rows, as a Polars data frame."""
        ...

    def ibis(self) -> Any:
        """A table expression. What is made of it and returned is computed by the warehouse: no row leaves it."""
        ...

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


class Context(Protocol):
    """What a model's function is given first."""

    def table(self, name: str, columns: Sequence[str] | None = None) -> Table:
        """An asset that the model reads, all of it or some columns."""
        ...

    def resolve_table(self, name: str) -> str:
        """What stands for the asset in a text for :meth:`fetchdf`."""
        ...

    def fetchdf(self, query: str) -> Any:
        """A query's answer, as a pandas data frame."""
        ...


def model(name: str | None = None, **settings: object) -> Callable[[Function], Function]:
    """Marks a function as a model called ``name`` (else as its file is). ``settings`` are ``columns`` and the
    properties of a model's header."""

    def mark(function: Function) -> Function:
        return function

    return mark


def signal(name: str | None = None) -> Callable[[Function], Function]:
    """Marks a function as a signal, called ``name`` or like the function. It is given a :data:`Batch` of intervals that
    are due, then what the model's header says; and returns True, False, or those that are ready."""

    def mark(function: Function) -> Function:
        setattr(function, SIGNAL, (name or str(getattr(function, "__name__", ""))).lower())
        return function

    return mark
