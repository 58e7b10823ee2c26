"""BigQuery as an engine: the suite, on an emulator under the real driver. What the emulator can't be believed on is in
``test_bigquery_sql.py``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import ClassVar

import pytest
from tests.support import local_bigquery

from anabranch.engines.bigquery import BigQueryEngine
from anabranch.ports.capabilities import Capability
from anabranch.testing.engine_helpers import OpenEngine, Seen
from anabranch.testing.engine_suite import EngineSuite

pytestmark = pytest.mark.bigquery

NUMBERS = count()
Open = Callable[[], BigQueryEngine]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    try:
        with local_bigquery.server() as found:
            yield found
    except local_bigquery.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def open_bigquery(address) -> Open:
    project = f"test-{next(NUMBERS)}"
    return lambda: BigQueryEngine(project, endpoint=address, patience=20, connections=4)


class TestBigQuery(EngineSuite):
    title = "BigQuery"
    seen: ClassVar[Mapping[Capability, Seen]] = {
        Capability.CONCURRENT_STATEMENTS: Seen.EMULATED,
        Capability.CLONE_TABLE: Seen.EMULATED,  # their options and depth: SQL checked only
        Capability.TIME_TRAVEL: Seen.EMULATED,
        Capability.MATERIALIZED_VIEWS: Seen.EMULATED,
        Capability.MERGE: Seen.EMULATED,
        Capability.GRANTS: Seen.GOLDEN,
        Capability.EXACT_HASH: Seen.EMULATED,
    }
    slow_query = (
        "SELECT a, FARM_FINGERPRINT(CAST(a + b AS STRING)) AS b FROM UNNEST(GENERATE_ARRAY(1, 1000000)) AS a"
        " CROSS JOIN UNNEST(GENERATE_ARRAY(1, 1000000)) AS b"
    )
    odd_column = "it's -- #1"
    odd_relation = "a -- b"
    pointers = 30
    pointer_seconds = 2.0
    builds = 3
    pause = 0.05
    odd_columns: ClassVar[Mapping[str, str]] = {
        "whole": "CAST(1 AS INT64)",
        "money": "CAST(1.5 AS NUMERIC)",
        "much_money": "CAST('1.5' AS BIGNUMERIC)",
        "real": "CAST(1.5 AS FLOAT64)",
        "words": "'x'",
        "raw": "b'x'",
        "day": "DATE '2020-02-29'",
        "clock": "TIME '12:00:00'",
        "moment": "DATETIME '2020-02-29 12:00:00'",
        "zoned": "TIMESTAMP '2020-02-29 12:00:00+00:00'",
        "yes": "true",
        "several": "[1, 2]",
        "parts": "STRUCT(1 AS a, [STRUCT('x' AS b)] AS c)",
        "document": "JSON '{\"a\": 1}'",
    }
    arrow_types: ClassVar[Mapping[str, str]] = {
        "INT64": "-9223372036854775807",
        "NUMERIC": "CAST('12345678901234567890.123456789' AS NUMERIC)",
        "FLOAT64": "CAST(0.1 AS FLOAT64)",
        "BOOL": "true",
        "STRING": "'it\\'s ünïcode'",
        "BYTES": "b'\\x00\\xff'",
        "DATE": "DATE '0001-01-01'",
        "TIME": "TIME '23:59:59.999999'",
        "DATETIME": "DATETIME '2020-02-29 12:34:56.789012'",
        "TIMESTAMP": "TIMESTAMP '2020-02-29 12:34:56.789012+02:00'",
    }
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1 + 1", "2"),
        ("CAST('1.50' AS NUMERIC)", "CAST('1.5' AS NUMERIC)"),
        ("CAST('NaN' AS FLOAT64)", "CAST('NaN' AS FLOAT64)"),
        ("[1, 2]", "ARRAY_CONCAT([1], [2])"),
        ("STRUCT(CAST(0.5 AS FLOAT64) AS a)", "STRUCT(CAST(0.25 AS FLOAT64) * 2 AS a)"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        ("1", "2"),
        ("1", "CAST(1 AS NUMERIC)"),
        ("CAST(1 AS NUMERIC)", "CAST(1 AS BIGNUMERIC)"),
        ("0", "CAST(NULL AS INT64)"),
        ("false", "CAST(NULL AS BOOL)"),
        ("''", "CAST(NULL AS STRING)"),
        ("'null'", "CAST(NULL AS STRING)"),
        ("''", "' '"),
        ("'1'", "1"),
        ("'a'", "'A'"),
        ("'a'", "b'a'"),
        ("CAST(0.0 AS FLOAT64)", "-CAST(0.0 AS FLOAT64)"),
        ("CAST(0.0 AS FLOAT64)", "CAST(NULL AS FLOAT64)"),
        ("CAST('NaN' AS FLOAT64)", "CAST(NULL AS FLOAT64)"),
        ("CAST('inf' AS FLOAT64)", "CAST('-inf' AS FLOAT64)"),
        ("CAST(0.1 AS FLOAT64) + CAST(0.2 AS FLOAT64)", "CAST(0.3 AS FLOAT64)"),
        ("DATE '2020-01-01'", "DATETIME '2020-01-01 00:00:00'"),
        ("DATETIME '2020-01-01 00:00:00'", "TIMESTAMP '2020-01-01 00:00:00+00:00'"),
        ("[1, 2]", "[2, 1]"),
        ("['a, b']", "['a', 'b']"),
        ("[CAST(0.0 AS FLOAT64)]", "[-CAST(0.0 AS FLOAT64)]"),
        ("STRUCT(CAST(0.0 AS FLOAT64) AS a)", "STRUCT(-CAST(0.0 AS FLOAT64) AS a)"),
        ("[STRUCT([CAST(0.0 AS FLOAT64)] AS a)]", "[STRUCT([-CAST(0.0 AS FLOAT64)] AS a)]"),
        ("STRUCT(1 AS a)", "STRUCT(1 AS b)"),
        ("STRUCT(CAST(NULL AS FLOAT64) AS a)", "CAST(NULL AS STRUCT<a FLOAT64>)"),
    )

    def numbered(self, numbers: Sequence[str]) -> str:
        return f"SELECT x, CONCAT('n', CAST(x AS STRING)) AS y FROM UNNEST([{', '.join(numbers)}]) AS x"

    @pytest.mark.skip(
        reason="the emulator has no time of change, nor the number of rows after a DELETE: see the SQL's tests"
    )
    def test_the_version_of_a_table_tells_whether_it_changed(self, open_engine: OpenEngine) -> None: ...

    @pytest.mark.skip(reason="the emulator forgets a view that leads nowhere")
    def test_a_view_stays_when_its_table_is_dropped(self, open_engine: OpenEngine) -> None: ...

    @pytest.mark.skip(reason="the emulator forgets a view that leads nowhere")
    def test_describe_and_find_agree_on_a_view_that_leads_nowhere(self, open_engine: OpenEngine) -> None: ...

    @pytest.fixture
    def open_engine(self, open_bigquery: Open) -> OpenEngine:
        return open_bigquery
