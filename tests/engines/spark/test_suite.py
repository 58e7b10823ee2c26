"""Spark as an engine, over Delta and over Iceberg tables: the suite, against a server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from tests.engines.spark.helping import SLOW

from anabranch.engines.spark import SparkEngine
from anabranch.ports.engine import Session, name
from anabranch.testing.engine_helpers import OpenEngine, at
from anabranch.testing.engine_suite import EngineSuite

pytestmark = pytest.mark.spark


class SparkSuite(EngineSuite):
    slow_query = SLOW
    odd_relation = "order"
    clone_rows = "SELECT id FROM range(200000)"
    clones_replace = False
    pause = 0.02
    pointers = 60
    pointer_seconds = 0.5
    builds = 3  # a table takes a second
    odd_columns: ClassVar[Mapping[str, str]] = {
        "whole": "CAST(1 AS BIGINT)",
        "money": "CAST(1.5 AS DECIMAL(12, 3))",
        "real": "CAST(1.5 AS DOUBLE)",
        "single": "CAST(1.5 AS FLOAT)",
        "words": "CAST('x' AS STRING)",
        "bytes": "X'00FF'",
        "day": "CAST('2020-02-29' AS DATE)",
        "moment": "CAST('2020-02-29 12:00:00' AS TIMESTAMP_NTZ)",
        "moment_tz": "CAST('2020-02-29 12:00:00+01:00' AS TIMESTAMP)",
        "yes": "true",
        "list": "array(1, 2)",
        "struct": "named_struct('a', 1, 'b', array('x'))",
        "map": "map('k', 1.5D)",
    }
    arrow_types: ClassVar[Mapping[str, str]] = {
        "INTEGER": "CAST(2147483647 AS INTEGER)",
        "BIGINT": "CAST(-9223372036854775807 AS BIGINT)",
        "DECIMAL(18, 3)": "CAST(123456789012345.678 AS DECIMAL(18, 3))",
        "DECIMAL(38, 10)": "CAST('1234567890123456789012345678.0123456789' AS DECIMAL(38, 10))",
        "DOUBLE": "CAST(0.1 AS DOUBLE)",
        "FLOAT": "CAST(0.1 AS FLOAT)",
        "BOOLEAN": "true",
        "STRING": "'it\\'s ünïcode'",
        "BINARY": "X'00FF'",
        "DATE": "CAST('0001-01-01' AS DATE)",
        "TIMESTAMP_NTZ": "CAST('2020-02-29 12:34:56.789012' AS TIMESTAMP_NTZ)",
        "TIMESTAMP": "CAST('2020-02-29 12:34:56.789012+02:00' AS TIMESTAMP)",
        "ARRAY<INTEGER>": "array(1, NULL, 3)",
        "STRUCT<a: INTEGER, b: ARRAY<STRING>>": "named_struct('a', 1, 'b', array('x'))",
        "MAP<STRING, INTEGER>": "map('k', 1)",
    }
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values,
        ("CAST('NaN' AS DOUBLE)", "CAST('NaN' AS DOUBLE)"),
        ("array(1, NULL, 2)", "concat(array(1), array(NULL, 2))"),
        ("named_struct('a', 1)", "struct(1 AS a)"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "2"),
        ("CAST(1 AS INTEGER)", "CAST(1 AS BIGINT)"),
        ("CAST(0 AS INTEGER)", "CAST(NULL AS INTEGER)"),
        ("false", "CAST(NULL AS BOOLEAN)"),
        ("true", "CAST(NULL AS BOOLEAN)"),
        ("''", "CAST(NULL AS STRING)"),
        ("''", "' '"),
        ("'1'", "1"),
        ("'a'", "'A'"),
        ("'a'", "'a '"),
        ("CAST(0.0 AS DOUBLE)", "-CAST(0.0 AS DOUBLE)"),
        ("CAST(0.0 AS FLOAT)", "-CAST(0.0 AS FLOAT)"),
        ("CAST(0.0 AS DOUBLE)", "CAST(NULL AS DOUBLE)"),
        ("CAST('NaN' AS DOUBLE)", "CAST(NULL AS DOUBLE)"),
        ("CAST(0.1 AS DOUBLE) + 0.2D", "CAST(0.3 AS DOUBLE)"),
        ("CAST('2020-01-01' AS DATE)", "CAST('2020-01-01' AS TIMESTAMP_NTZ)"),
        ("CAST('2020-01-01' AS TIMESTAMP_NTZ)", "CAST('2020-01-01' AS TIMESTAMP)"),
        ("CAST(1.5 AS DECIMAL(4, 1))", "CAST(1.5 AS DECIMAL(5, 1))"),
        ("X''", "CAST(NULL AS BINARY)"),
        ("X'00'", "X'0000'"),
        ("'a'", "'a\\0'"),
        ("CAST(array() AS ARRAY<INTEGER>)", "CAST(NULL AS ARRAY<INTEGER>)"),
        ("CAST(array(NULL) AS ARRAY<INTEGER>)", "CAST(NULL AS ARRAY<INTEGER>)"),
        ("CAST(array(NULL) AS ARRAY<INTEGER>)", "CAST(array() AS ARRAY<INTEGER>)"),
        ("array(array(1), array(2))", "array(array(1, 2))"),
        ("array(array('a'), array('b'))", "array(array('a', 'b'))"),
        ("array('a, b')", "array('a', 'b')"),
        ("array('NULL')", "CAST(array(NULL) AS ARRAY<STRING>)"),
        ("array('null')", "CAST(array(NULL) AS ARRAY<STRING>)"),
        ("array('')", "CAST(array() AS ARRAY<STRING>)"),
        ("named_struct('a', 1)", "named_struct('b', 1)"),
        ("named_struct('a', CAST(NULL AS INTEGER))", "CAST(NULL AS STRUCT<a: INTEGER>)"),
        ("named_struct('a', CAST(0.0 AS DOUBLE))", "named_struct('a', -CAST(0.0 AS DOUBLE))"),
        ("array('NaN')", "array(CAST('NaN' AS DOUBLE))"),
        (
            "array(CAST('2020-01-01 00:00:00.000001' AS TIMESTAMP))",
            "array(CAST('2020-01-01 00:00:00.000002' AS TIMESTAMP))",
        ),
        ("map('a', 1)", "map('a', 2)"),
        ("map(1, 2, 3, 4)", "map(1, 4, 3, 2)"),
        ("map('a', CAST(NULL AS INTEGER))", "CAST(map() AS MAP<STRING, INTEGER>)"),
    )

    def content(self, session: Session, query: str, columns: tuple[str, ...] = ("x",)) -> str:
        """Of a view: a table takes much longer to make. That both have one hash is another test's. A view's text has
        to fit into the metastore, which is Derby here."""
        if len(query) < 20_000:
            place = at("hashed")
            session.execute(f"CREATE OR REPLACE VIEW {name(session, place)} AS {query}")
        else:
            place = at("hashed_rows")
            session.drop([place])
            session.create_table(place, query)
        return session.content_hash(place, columns)


class TestSparkOverDelta(SparkSuite):
    title = "Spark, Delta"
    keeps_case = False  # Hive's metastore has names in small letters
    odd_columns: ClassVar[Mapping[str, str]] = {
        **SparkSuite.odd_columns,
        "small": "CAST(1 AS SMALLINT)",
        "tiny": "CAST(1 AS TINYINT)",
    }
    arrow_types: ClassVar[Mapping[str, str]] = {
        **SparkSuite.arrow_types,
        "SMALLINT": "CAST(-7 AS SMALLINT)",
        "TINYINT": "CAST(-7 AS TINYINT)",
    }

    @pytest.fixture
    def open_engine(self, spark: str) -> OpenEngine:
        return lambda: SparkEngine(spark, patience=5)


class TestSparkOverIceberg(SparkSuite):
    title = "Spark, Iceberg"

    @pytest.fixture
    def open_engine(self, spark: str) -> OpenEngine:
        return lambda: SparkEngine(spark, table_format="iceberg", catalog="ice", patience=5)
