"""The connector's connection, as it is heard by tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
from databricks.sql import exc

from anabranch.engines.databricks import DatabricksEngine
from anabranch.errors import StatementFailed

SECRET = "dapi0123456789abcdef"
HOST = "dbc-1234.cloud.databricks.com"
Answer = Any
"""A table, or what is raised."""


class FakeCursor:
    """Records statements; answers the first whose beginning is known."""

    def __init__(self, log: list[str], answers: Mapping[str, Answer]) -> None:
        self.log, self.answers = log, answers
        self.rows = pa.table({})
        self.cancelled = False

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *error: object) -> None:
        self.log.append("-- closed") if self.cancelled else None

    def execute(self, statement: str, input_stream: Any = None) -> None:
        self.log.append(statement)
        found = next((a for begin, a in self.answers.items() if begin in statement), pa.table({}))
        if isinstance(found, Exception):
            raise found
        self.rows = found
        if input_stream is not None:
            self.log.append(f"-- with {len(input_stream.read())} bytes")

    @property
    def description(self) -> list[tuple[str]] | None:
        return [(n,) for n in self.rows.column_names] or None

    def fetchall_arrow(self) -> pa.Table:
        found, self.rows = self.rows, self.rows.slice(0, 0)
        return found

    def fetchmany_arrow(self, size: int) -> pa.Table:
        found, self.rows = self.rows.slice(0, size), self.rows.slice(size)
        return found

    def cancel(self) -> None:
        self.cancelled = True


class FakeConnection:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.arguments: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {"current_catalog": pa.table({"c": ["main"]})}
        self.cursors: list[FakeCursor] = []
        self.is_closed = False

    def cursor(self) -> FakeCursor:
        self.cursors.append(FakeCursor(self.log, self.answers))
        return self.cursors[-1]

    def close(self) -> None:
        self.is_closed = True


def opened(**more: Any) -> DatabricksEngine:
    return DatabricksEngine(HOST, http_path="/sql/1.0/warehouses/abc", token=SECRET, **{"catalog": "main", **more})


def said(fake: FakeConnection, call: Callable[[], object]) -> list[str]:
    """The statements of one call."""
    fake.log.clear()
    call()
    return list(fake.log)


class DeltaCursor(FakeCursor):
    """Runs statements on a Spark server, as the connector's cursor would on a warehouse."""

    def __init__(self, session: Any) -> None:
        super().__init__([], {})
        self.session = session

    def execute(self, statement: str, input_stream: Any = None) -> None:
        try:
            self.rows = pa.table(self.session.read_arrow(statement))
        except StatementFailed as error:
            if error.kind != "NotAQuery":
                raise exc.ServerOperationError(error.message) from None
            self.rows = pa.table({})
