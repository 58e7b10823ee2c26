import pytest
from tests.support.site import Site


@pytest.fixture
def site() -> Site:
    """A world and a store, with nothing in them."""
    return Site()
