"""From the warehouse's settings to its engine. Drivers are imported when an engine is opened, and no earlier.

Engines of third parties are found by entry points (group ``anabranch.engines``): a callable that takes the warehouse's
settings and the project's folder and returns an :class:`anabranch.ports.engine.Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.config.settings import Warehouse
from anabranch.errors import ConfigError

if TYPE_CHECKING:
    from anabranch.ports.engine import Engine

OnWait = Callable[[str], None]
"""Told, once, who holds a warehouse that has to be waited for."""
Open = Callable[[Warehouse, Path, OnWait], "Engine"]


def _duckdb(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.duckdb import DuckDBEngine

    path = root / Path(warehouse.database or "warehouse.duckdb").expanduser()
    patience = warehouse.patience.total_seconds()
    return DuckDBEngine(path, settings=warehouse.settings, patience=patience, on_wait=on_wait)


def _clickhouse(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.clickhouse import ClickHouseEngine

    place, patience = warehouse.database or "warehouse.chdb", warehouse.patience.total_seconds()
    if place.startswith(("http://", "https://")):
        return ClickHouseEngine.server(
            place, settings=warehouse.settings, connections=warehouse.connections, patience=patience
        )
    path = root / Path(place).expanduser()
    return ClickHouseEngine.embedded(path, settings=warehouse.settings, patience=patience, on_wait=on_wait)


def _postgres(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines import postgres

    return postgres.open_engine(
        _said(warehouse, "postgresql://user:${PASSWORD}@host/database"),
        warehouse.settings,
        warehouse.connections,
        warehouse.patience.total_seconds(),
    )


def _bigquery(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.bigquery import BigQueryEngine

    said = dict(warehouse.settings)
    location, key, endpoint = said.pop("location", "US"), said.pop("credentials", None), said.pop("endpoint", None)
    return BigQueryEngine(
        _said(warehouse, "my-project"),
        location=location,
        settings=said,
        credentials=root / Path(key).expanduser() if key else None,
        endpoint=endpoint,
        connections=warehouse.connections,
        patience=warehouse.patience.total_seconds(),
    )


def _snowflake(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.snowflake import SnowflakeEngine

    return SnowflakeEngine(
        _said(warehouse, "snowflake://user@account/database?warehouse=WH&role=ROLE"),
        settings=warehouse.settings,
        connections=warehouse.connections,
        patience=warehouse.patience.total_seconds(),
    )


def _spark(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.spark import SparkEngine

    said = dict(warehouse.settings)
    table_format, catalog = said.pop("table_format", "delta"), said.pop("catalog", None)
    return SparkEngine(
        _said(warehouse, "sc://host:15002/;token=${TOKEN}"),
        table_format=table_format,
        catalog=catalog,
        settings=said,
        connections=warehouse.connections,
        patience=warehouse.patience.total_seconds(),
    )


def _databricks(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    from anabranch.engines.databricks import DatabricksEngine

    said = dict(warehouse.settings)
    own = {key: said.pop(key, None) for key in ("http_path", "cluster", "token", "catalog", "volume")}
    return DatabricksEngine(
        _said(warehouse, "my-workspace.cloud.databricks.com"),
        **own,
        settings=said,
        connections=warehouse.connections,
        patience=warehouse.patience.total_seconds(),
    )


ENGINES: Mapping[str, Open] = {
    "duckdb": _duckdb,
    "clickhouse": _clickhouse,
    "postgres": _postgres,
    "bigquery": _bigquery,
    "snowflake": _snowflake,
    "spark": _spark,
    "databricks": _databricks,
}


def open_engine(warehouse: Warehouse, root: Path, on_wait: OnWait) -> Engine:
    """By name: one of ours, or a third party's.

    Raises:
        ConfigError: there is no engine of that name, or its settings don't say where the warehouse is.
    """
    if warehouse.engine in ENGINES:
        try:
            return ENGINES[warehouse.engine](warehouse, root, on_wait)
        except ConfigError as error:
            error.where = error.where or warehouse.where
            raise
    from importlib.metadata import entry_points

    for entry in entry_points(group="anabranch.engines", name=warehouse.engine):
        make: Callable[[Warehouse, Path], Engine] = entry.load()
        return make(warehouse, root)
    raise ConfigError(
        f"there is no engine {warehouse.engine!r}", where=warehouse.where, hint=f"known here: {', '.join(ENGINES)}"
    )


def _said(warehouse: Warehouse, example: str) -> str:
    """Where the warehouse is. Raises ``ConfigError`` where nobody said it."""
    if not warehouse.database:
        raise ConfigError(
            f"{warehouse.engine} needs to know where the warehouse is",
            where=warehouse.where,
            hint=f"under warehouse: database: {example}",
        )
    return warehouse.database
