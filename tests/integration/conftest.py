from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support import spark
from tests.support.postgres import server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real server from a wheel, for this worker."""
    with server() as url:
        yield url


@pytest.fixture(scope="session")
def spark_server() -> Iterator[str]:
    """The address of the machine's server, which all workers share."""
    lacking = spark.missing()
    if lacking:
        pytest.skip(lacking)
    with spark.server() as address:
        yield address
