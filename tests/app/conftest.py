import pytest
from tests.app.daily import MODELS
from tests.support.site import PROD, Process, Site


@pytest.fixture
def site() -> Site:
    """A world and a store, with nothing in them."""
    return Site()


@pytest.fixture
def ann(site: Site) -> Process:
    """She has applied prod."""
    process = site.process(MODELS)
    process.apply(PROD)
    return process
