"""The daily loop, on each engine that can be had."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from tests.support import fakesnow, local_bigquery, postgres, spark
from tests.support.loop import EngineLoop


class TestDuckDB(EngineLoop):
    @pytest.fixture
    def warehouse(self) -> Mapping[str, object]:
        return {"engine": "duckdb"}


class TestEmbeddedClickHouse(EngineLoop):
    pytestmark = pytest.mark.clickhouse
    copies = True

    @pytest.fixture
    def warehouse(self) -> Mapping[str, object]:
        return {"engine": "clickhouse"}


class TestPostgres(EngineLoop):
    pytestmark = pytest.mark.postgres

    @pytest.fixture
    def warehouse(self) -> Iterator[Mapping[str, object]]:
        with postgres.server() as url:
            yield {"engine": "postgres", "database": url}


FEW = (0.8,)
"""Kills where each command takes many seconds, for a table takes one or more to make; 0.5, 0.7 and 0.9 were fine, too."""


@pytest.mark.long
class TestSparkOverDelta(EngineLoop):
    pytestmark = pytest.mark.spark
    kills = FEW
    replaces = False
    takes_long = True  # besides Iceberg

    @pytest.fixture
    def warehouse(self, spark_server: str) -> Iterator[Mapping[str, object]]:
        with spark.emptied(spark_server) as address:
            yield {"engine": "spark", "database": address}


@pytest.mark.long
class TestSparkOverIceberg(EngineLoop):
    pytestmark = pytest.mark.spark
    kills = FEW
    replaces = False

    @pytest.fixture
    def warehouse(self, spark_server: str) -> Iterator[Mapping[str, object]]:
        with spark.emptied(spark_server) as address:
            settings = {"table_format": "iceberg", "catalog": "ice"}
            yield {"engine": "spark", "database": address, "settings": settings}


@pytest.mark.long
class TestBigQuery(EngineLoop):
    """On an emulator, through the real client."""

    pytestmark = pytest.mark.bigquery
    kills = (0.9,)  # an emulated command takes half a minute

    @pytest.fixture
    def warehouse(self) -> Iterator[Mapping[str, object]]:
        try:
            with local_bigquery.server() as address:
                yield {"engine": "bigquery", "database": "loop", "settings": {"endpoint": address}}
        except local_bigquery.Missing as missing:
            pytest.skip(str(missing))


@pytest.mark.long
class TestSnowflake(EngineLoop):
    """On an emulator, through the real client."""

    pytestmark = pytest.mark.snowflake
    lacks = "the emulator makes no clone in a table's place: see the texts of statements"
    suffix = "table"  # an environment's schemas begin as clones of others, which the emulator has none of

    @pytest.fixture
    def warehouse(self) -> Iterator[Mapping[str, object]]:
        try:
            with fakesnow.server() as settings:
                # the emulator stumbles over MERGE where no schema is in use, and the driver repeats for ever what it
                # stumbles over
                yield {
                    "engine": "snowflake",
                    "database": "snowflake://anybody@emulated/loop/public?network_timeout=60",
                    "settings": settings,
                }
        except fakesnow.Missing as missing:
            pytest.skip(str(missing))
