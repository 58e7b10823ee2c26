"""Expands a text as a model's, with a few variables around."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from anabranch.sql.macros.expand import Expander
from anabranch.sql.macros.scope import PythonMacro, Scope, Surroundings
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Value
from anabranch.sql.syntax import Source

VARIABLES: Mapping[str, Value] = {
    "customer": "acme",
    "place": "north america",
    "table": "shop.orders",
    "size": 4,
    "rate": 0.5,
    "on": True,
    "nothing": None,
    "names": ["a", "b"],
    "quote": "it's",
}
COLUMNS = {"raw.orders": ("id", "amount", "day"), "raw.old": ("day", "Id", "note"), "main.bare": ("x",)}


def surroundings(
    python: Mapping[str, PythonMacro] | None = None,
    jinja: Mapping[str, str] | None = None,
    columns: Callable[[str], Sequence[str] | None] = COLUMNS.get,
    **variables: Value,
) -> Surroundings:
    return Surroundings(
        variables={**VARIABLES, **variables},
        environment="dev",
        python=python or {},
        jinja=jinja or {},
        columns=columns,
    )


def expander(text: str, around: Surroundings | None = None) -> Expander:
    return Expander(Source(text, "duckdb", Path("models/m.sql"), "main.m"), around or surroundings())


def expand(text: str, around: Surroundings | None = None) -> str:
    return expander(text, around).expand(Mapped.whole(text), Scope()).text


def rows(query: str) -> list[tuple[object, ...]]:
    """What DuckDB answers, over two small tables."""
    connection = duckdb.connect()
    try:
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.orders as select * from (values (1, 10, date '2024-01-01'), (2, null, date '2024-01-02'),"
            " (3, 30, date '2024-01-02')) as t(id, amount, day)"
        )
        connection.execute("create table raw.old as select date '2023-12-31' as day, 9 as id, 'n' as note")
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def answer(text: str) -> list[tuple[object, ...]]:
    """What a query with macros answers."""
    return rows(expand(text))
