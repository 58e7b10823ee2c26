"""ClickHouse as an engine, embedded: the suite."""

import re
from collections.abc import Mapping
from typing import ClassVar

import pytest
from tests.engines.clickhouse.houses import NEEDED, embedded, emptied

from anabranch.testing.engine_helpers import OpenEngine
from anabranch.testing.engine_suite import EngineSuite
from anabranch.testing.session_suite import SessionSuite
from anabranch.testing.transaction_suite import TransactionSuite

pytestmark = NEEDED

SLOW = (
    "SELECT a.number AS a, cityHash64(a.number + b.number) AS b"
    " FROM numbers(1000000) AS a CROSS JOIN numbers(1000000) AS b"
)


class ClickHouseSuite(EngineSuite):
    slow_query = SLOW
    renamed = "SELECT id, name"  # ClickHouse refuses to rename what a star stands for
    pointers = 1000
    pointer_seconds = 0.05  # on a machine that does much else
    clone_rows = "SELECT number AS id FROM numbers(1000000)"
    arrow_types: ClassVar[Mapping[str, str]] = {
        **{t: v for t, v in EngineSuite.arrow_types.items() if t != "DATE"},
        "Date": "toDate('2020-02-29')",
        "Date32": "toDate32('0001-01-01')",
        "DateTime64(6)": "toDateTime64('2020-02-29 12:34:56.789012', 6)",
        "DateTime64(9, 'UTC')": "toDateTime64('2020-02-29 12:34:56.789012345', 9, 'UTC')",
        "DateTime('Asia/Tokyo')": "toDateTime('2020-02-29 12:34:56', 'Asia/Tokyo')",
        "UInt64": "18446744073709551615",
        "Int128": "CAST('-170141183460469231731687303715884105727' AS Int128)",
        "UInt256": "CAST('115792089237316195423570985008687907853269984665640564039457584007913129639935' AS UInt256)",
        "Decimal(76, 10)": "CAST('1234567890123456789012345678.0123456789' AS Decimal(76, 10))",
        "Float32": "CAST(-0.0 AS Float32)",
        "UUID": "toUUID('4ac7a9e9-607c-4c8a-84f3-843f0191e3fd')",
        "IPv4": "toIPv4('1.2.3.4')",
        "IPv6": "toIPv6('2001:db8::1')",
        "FixedString(3)": "CAST('abc' AS FixedString(3))",
        "Enum8('x' = 1, 'it\\'s' = 2)": "CAST('it\\'s' AS Enum8('x' = 1, 'it\\'s' = 2))",
        "Time": "CAST('12:34:56' AS Time)",
        "Time64(6)": "CAST('23:59:59.999999' AS Time64(6))",
    }
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "huge": "CAST('170141183460469231731687303715884105727' AS Int128)",
        "unsigned": "CAST(255 AS UInt8)",
        "list": "[1, 2]",
        "tuple": "CAST((1, 'x') AS Tuple(a Int32, `B c` String))",
        "pairs": "map('k', 1.5)",
        "enum": "CAST('x' AS Enum8('x' = 1, 'y z' = 2, 'it\\'s' = 3))",
        "moment_tz": "toDateTime64('2020-02-29 12:00:00', 6, 'UTC')",
        "moment_tokyo": "toDateTime('2020-02-29 12:00:00', 'Asia/Tokyo')",
        "moment_ns": "toDateTime64('2020-02-29 12:00:00.123456789', 9)",
        "long_ago": "toDate32('1900-01-01')",
        "uuid": "toUUID('5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5')",
        "address": "toIPv6('::1')",
        "fixed": "CAST('abc' AS FixedString(3))",
        "few": "CAST('x' AS LowCardinality(Nullable(String)))",
        "variant": "CAST('x' AS Variant(Int32, String))",
        "dynamic": "CAST(5 AS Dynamic)",
        "document": """CAST('{"a": {"b": 1}}' AS JSON)""",
    }
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values[1:],  # 1 + 1 is of another type than 2
        ("toUInt16(1 + 1)", "toUInt16(2)"),
        ("[1, NULL, 2]", "arrayConcat([1], [NULL, 2])"),
        ("CAST('NaN' AS Float64)", "CAST('NaN' AS Float64)"),
        ("map('a', 1)", "CAST(([('a', 1)]) AS Map(String, UInt8))"),
        ("CAST('a' AS Enum8('a' = 1))", "CAST(1 AS Enum8('a' = 1))"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *(
            (one, re.sub(r"CAST\(NULL AS ([A-Z ]+)\)", r"CAST(NULL AS Nullable(\1))", other))
            for one, other in EngineSuite.different_values
            if "WITH TIME ZONE" not in other
        ),
        ("toDateTime64('2020-01-01', 6)", "toDateTime64('2020-01-01', 6, 'UTC')"),
        ("toDateTime64('2020-01-01', 6)", "toDateTime64('2020-01-01', 9)"),
        ("CAST([] AS Array(Int32))", "CAST([NULL] AS Array(Nullable(Int32)))"),
        ("CAST([NULL] AS Array(Nullable(Int32)))", "CAST([0] AS Array(Nullable(Int32)))"),
        ("[[1], [2]]", "[[1, 2]]"),
        ("[[1, 2], [3]]", "[[1], [2, 3]]"),
        ("[['a'], ['b']]", "[['a', 'b']]"),
        ("['a, b']", "['a', 'b']"),
        ("['']", "CAST([] AS Array(String))"),
        ("(1, 'x')", "('1', 'x')"),
        ("map('a', 1)", "map('a', 2)"),
        ("map(1, 2, 3, 4)", "map(1, 4, 3, 2)"),
        ("CAST(0.0 AS Float32)", "CAST(-0.0 AS Float32)"),
        ("'a'", "'a\\0'"),
        ("CAST('a' AS FixedString(2))", "CAST('a' AS String)"),
        ("toUInt8(1)", "toInt8(1)"),
        ("CAST(1 AS Bool)", "CAST(1 AS UInt8)"),
        ("CAST('a' AS Enum8('a' = 1, 'b' = 2))", "CAST('b' AS Enum8('a' = 1, 'b' = 2))"),
        ("CAST(1 AS Dynamic)", "CAST('1' AS Dynamic)"),
        ("CAST('1' AS Variant(Array(UInt8), String))", "CAST([49] AS Variant(Array(UInt8), String))"),
        ("""CAST('{"a": 1}' AS JSON)""", """CAST('{"a": "1"}' AS JSON)"""),
        ("CAST(1.5 AS Decimal(4, 1))", "CAST(1.5 AS Decimal(5, 1))"),
    )


class TestEmbedded(ClickHouseSuite):
    title = "ClickHouse, embedded"

    @pytest.fixture
    def open_engine(self, folder) -> OpenEngine:
        emptied(embedded(folder))
        return lambda: embedded(folder, patience=5)


class TestEmbeddedAndClosed(SessionSuite, TransactionSuite):
    """In a folder that is closed whenever nobody uses it, as commands do."""

    slow_query = SLOW

    @pytest.fixture
    def open_engine(self, tmp_path) -> OpenEngine:
        return lambda: embedded(tmp_path / "warehouse", patience=5)
