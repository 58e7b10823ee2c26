"""Databricks as an engine: the parts of the suite that differ by the transport, on open-source Delta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest
from databricks import sql
from tests.engines.databricks.fake import HOST, DeltaCursor
from tests.engines.spark.test_suite import SparkSuite

from anabranch.engines.databricks import DatabricksEngine
from anabranch.engines.spark import SparkEngine
from anabranch.ports.capabilities import Capability
from anabranch.testing.arrow_suite import ArrowSuite
from anabranch.testing.engine_helpers import Matter, OpenEngine, Seen
from anabranch.testing.file_suite import FileSuite
from anabranch.testing.hash_suite import HashSuite
from anabranch.testing.session_suite import SessionSuite


@pytest.mark.spark
class TestDatabricksOverDelta(ArrowSuite, FileSuite, HashSuite):
    """The parts of the suite whose statements differ by the transport: rows that are written into statements, columns
    that are described by a statement. The server is open-source Delta's, not Databricks'."""

    title = "Databricks"
    seen: ClassVar[Mapping[Capability | Matter, Seen]] = {
        **dict.fromkeys(Capability, Seen.GOLDEN),
        Capability.CONCURRENT_STATEMENTS: Seen.NOT,
        Capability.EXACT_HASH: Seen.EMULATED,
    }
    test_it_says_what_it_is = SessionSuite.test_it_says_what_it_is

    arrow_types: ClassVar[Mapping[str, str]] = {
        k: v for k, v in SparkSuite.arrow_types.items() if not k.startswith(("ARRAY", "STRUCT", "MAP"))
    }
    same_values = SparkSuite.same_values
    different_values = SparkSuite.different_values[:4]  # Spark's suite goes through all: the query is the same
    odd_relation = SparkSuite.odd_relation
    content = SparkSuite.content

    @pytest.fixture
    def open_engine(self, spark: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenEngine]:
        monkeypatch.setattr("anabranch.engines.databricks.sql._LITERAL_ROWS", 20_000)  # else 600 statements in one test
        with SparkEngine(spark).session() as session:

            class DeltaConnection:
                def cursor(self) -> DeltaCursor:
                    return DeltaCursor(session)

                def close(self) -> None: ...

            monkeypatch.setattr(sql, "connect", lambda **arguments: DeltaConnection())
            yield lambda: DatabricksEngine(HOST, http_path="/x", catalog="spark_catalog")
