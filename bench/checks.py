"""Looks into the warehouse whether a step made what it promises. A figure without that is not a figure.

Every check compares content: the rows of each model, as a hash, with what plain DuckDB makes of the same SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
from generate import SEED_NAME, Edit, Project, query, seed_csv

_LOGICAL = re.compile(r"layer\d+(__dev)?")
_ENVIRONMENT = "__dev"


class CheckError(Exception):
    """A step did not make what it promises."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a relation holds: its columns' names and an order-free hash of its rows."""

    columns: tuple[str, ...]
    rows: int
    hash: int


@dataclass(frozen=True, slots=True)
class Reference:
    """What each model must hold, unedited and edited."""

    models: Mapping[str, Content]
    leaf: str
    edited_leaf: Content
    root: str
    edited_root: Content

    def with_leaf(self) -> dict[str, Content]:
        """All models, the leaf edited."""
        return {**self.models, self.leaf: self.edited_leaf}

    def with_both(self) -> dict[str, Content]:
        """All models, the leaf edited and the root with its new column."""
        return {**self.with_leaf(), self.root: self.edited_root}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The relations in a warehouse at one moment, by (schema, name): a view's SQL, or nothing for a table."""

    relations: Mapping[tuple[str, str], str]

    def logical(self, environment: bool | None = None) -> dict[tuple[str, str], str]:
        """What people name: prod's relations, the environment's, or both."""
        return {
            key: sql
            for key, sql in self.relations.items()
            if (found := _LOGICAL.fullmatch(key[0])) and environment in (None, found[1] is not None)
        }

    def tables(self, schemas: re.Pattern[str]) -> set[tuple[str, str]]:
        """The tables in the schemas that match."""
        return {key for key, sql in self.relations.items() if not sql and schemas.fullmatch(key[0])}


def snapshot(database: Path) -> Snapshot:
    """Read what relations there are."""
    if not database.exists():
        return Snapshot({})
    with duckdb.connect(str(database), read_only=True) as warehouse:
        tables = warehouse.execute("select schema_name, table_name, '' from duckdb_tables()").fetchall()
        views = warehouse.execute(
            "select schema_name, view_name, sql from duckdb_views() where not internal"
        ).fetchall()
    return Snapshot({(schema, name): sql for schema, name, sql in [*tables, *views]})


def reference(project: Project) -> Reference:
    """Run the project's SQL in memory, with nothing but DuckDB."""
    with duckdb.connect() as warehouse:
        _seed(warehouse, project)
        for schema in sorted({model.schema for model in project.models}):
            warehouse.execute(f'create schema "{schema}"')
        models: dict[str, Content] = {}
        for model in project.models:
            warehouse.execute(f"create table {model.name} as {query(model, str)}")
            models[model.name] = _content(warehouse, model.name)
        edited = {
            edit: _content(warehouse, f"({query(project.edited(edit), str, edit)})")
            for edit in (Edit.LEAF_EXPRESSION, Edit.ROOT_COLUMN)
        }
    return Reference(
        models, project.leaf.name, edited[Edit.LEAF_EXPRESSION], project.root.name, edited[Edit.ROOT_COLUMN]
    )


def _seed(warehouse: duckdb.DuckDBPyConnection, project: Project) -> None:
    header, *rows = [line.split(",") for line in seed_csv(project.seed).splitlines()]
    schema = SEED_NAME.partition(".")[0]
    warehouse.execute(f"create schema {schema}")
    types = {"id": "bigint", "amount": "bigint", "quantity": "bigint", "event_day": "date"}
    columns = ", ".join(f"{name} {types.get(name, 'varchar')}" for name in header)
    warehouse.execute(f"create table {SEED_NAME} ({columns})")
    warehouse.executemany(f"insert into {SEED_NAME} values ({', '.join('?' * len(header))})", rows)


def _content(warehouse: duckdb.DuckDBPyConnection, relation: str) -> Content:
    columns = tuple(name for name, *_ in warehouse.execute(f"select * from {relation} limit 0").description or ())
    listed = ", ".join(f'"{name}"' for name in columns)
    found = warehouse.execute(f"select count(*), sum(hash({listed})) from {relation}").fetchone()
    if found is None or not found[0]:
        raise CheckError(f"{relation} is empty")
    return Content(columns, found[0], int(found[1]))


def holds(database: Path, expected: Mapping[str, Content], environment: bool) -> None:
    """Every model, read by its name in prod or in the environment, holds what it must; there are no others."""
    suffix = _ENVIRONMENT if environment else ""
    names = {name: "{}{}.{}".format(*_split(name, suffix)) for name in expected}
    present = {f"{schema}.{table}" for schema, table in snapshot(database).logical(environment)}
    if present != set(names.values()):
        missing, other = set(names.values()) - present, present - set(names.values())
        raise CheckError(f"{len(missing)} models missing {_few(missing)}, {len(other)} unexpected {_few(other)}")
    with duckdb.connect(str(database), read_only=True) as warehouse:
        for name, content in expected.items():
            if (found := _content(warehouse, names[name])) != content:
                raise CheckError(f"{names[name]} holds {found}, expected {content}")


def _split(name: str, suffix: str) -> tuple[str, str, str]:
    schema, _, table = name.partition(".")
    return schema, suffix, table


def _few(names: set[str]) -> str:
    return f"({', '.join(sorted(names)[:3])} …)" if names else ""
