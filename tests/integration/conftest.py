from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.postgres import server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A real server from a wheel, for this worker."""
    with server() as url:
        yield url
