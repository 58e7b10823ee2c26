from __future__ import annotations

import pytest

from anabranch.engines.spark import SparkEngine


@pytest.fixture(params=["delta", "iceberg"])
def engine(request, spark) -> SparkEngine:
    return SparkEngine(spark, table_format=request.param, catalog="ice" if request.param == "iceberg" else None)
