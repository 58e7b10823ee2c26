"""Ibis expressions over what a model's function reads: the warehouse computes them, and no row leaves it before."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from anabranch.errors import ModelError
from anabranch.ports.engine import Session

OpenSession = Callable[[], AbstractContextManager[Session]]
_NAME = "anabranch_source_"


class Expressions:
    """Those of one run of a function. ``stack`` keeps the sessions that answers are read from."""

    def __init__(self, dialect: str, reading: OpenSession, stack: ExitStack) -> None:
        self._dialect = dialect
        self._reading = reading
        self._stack = stack
        self._queries: dict[str, str] = {}

    def table(self, query: str) -> Any:
        """The rows of ``query`` as an ``ibis.Table`` that isn't bound to any backend. Its name stands for the query."""
        import ibis

        with self._reading() as session:
            stream: Any = session.read_arrow(f"SELECT * FROM ({query}\n) AS anabranch_rows LIMIT 0")
            schema = ibis.Schema.from_pyarrow(stream.schema)
        name = f"{_NAME}{len(self._queries)}"
        self._queries[name] = query
        return ibis.table(schema, name=name)

    def compute(self, value: object) -> object:
        """Has the warehouse compute an expression over such tables; gives anything else back as it is.

        Raises:
            ModelError: the expression also holds rows of its own.
        """
        expression: Any = value
        if not self._queries or type(value).__module__.partition(".")[0] != "ibis":
            return value
        import ibis
        from ibis.expr import operations

        if not any(t.name in self._queries for t in expression.op().find(operations.UnboundTable)):
            return value
        if expression.op().find(operations.InMemoryTable):
            raise ModelError(
                "an expression over the warehouse's tables can't hold rows of memory too",
                hint="put these rows in a seed, or read the tables with .arrow()",
            )
        text = str(ibis.to_sql(value, dialect=self._dialect))
        session = self._stack.enter_context(self._reading())
        quote = session.grammar.quote  # around names as they are: so Ibis writes them
        sources = ", ".join(f"{quote}{name}{quote} AS ({query}\n)" for name, query in self._queries.items())
        return session.read_arrow(f"WITH {sources} SELECT * FROM ({text}\n) AS anabranch_rows")
