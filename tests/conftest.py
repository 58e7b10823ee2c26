from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from tests.support.plain import IS_PLAIN, open_plain_engine

from anabranch import bootstrap

pytest.register_assert_rewrite("anabranch.testing")

# how long an example takes depends on what else the machine does; what decides whether a change lands looks at the same
# examples each time, everybody else at others
settings.register_profile(
    "anabranch",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("ANABRANCH_TEST_SAME")),
)
settings.load_profile("anabranch")


@pytest.fixture(autouse=IS_PLAIN)
def plain_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every project's warehouse is one without transactions."""
    monkeypatch.setattr(bootstrap, "open_engine", open_plain_engine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # one server of Spark's serves the machine, a test at a time: one worker goes through them, while others do the rest
    items.sort(key=lambda item: item.get_closest_marker("spark") is None)
    reason = "says how things are in a warehouse with transactions; `make test` runs it"
    for item in items:
        if IS_PLAIN and item.get_closest_marker("in_place") is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
