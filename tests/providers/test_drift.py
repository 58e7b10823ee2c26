"""What was done by hand to tables and views is found."""

from __future__ import annotations

import pytest
from tests.providers.models_rig import PROD, ModelsRig, refused

from anabranch.domain.names import EnvironmentName
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import WarehouseUnavailable
from anabranch.ports.provider import Expectation, Fault
from anabranch.testing.provider_helpers import FEATURE, A, B, build, show, state


def expectation(models: ModelsRig, environment: EnvironmentName, *snapshots: Snapshot) -> Expectation:
    provider = models.open()
    built = dict(zip([s.location for s in snapshots if s.is_physical], build(provider, *snapshots), strict=True))
    show(provider, environment, state(1), {s.asset: (None, s) for s in snapshots})
    return Expectation(environment, state(1), {s.asset: s for s in snapshots}, built)


@pytest.mark.parametrize("environment", [PROD, FEATURE])
@pytest.mark.parametrize(
    ("by_hand", "fault", "detail"),
    [
        ("DROP VIEW {shown}", Fault.UNPOINTED, "view {shown} is gone"),
        ("CREATE OR REPLACE VIEW {shown} AS SELECT 1 AS id", Fault.REPOINTED, "view {shown} was replaced"),
        (
            "CREATE OR REPLACE VIEW {shown} AS SELECT * FROM {physical} LIMIT 1",
            Fault.REPOINTED,
            "view {shown} was replaced",
        ),
        ("DROP TABLE {physical}", Fault.MISSING, "{physical} is gone"),
        (
            "ALTER TABLE {physical} ADD COLUMN more INTEGER",
            Fault.ALTERED,
            "{physical} was altered: column more is INTEGER, was not there",
        ),
        (
            "ALTER TABLE {physical} DROP COLUMN two",
            Fault.ALTERED,
            "{physical} was altered: column two is gone, was INTEGER",
        ),
        (
            "ALTER TABLE {physical} ALTER COLUMN two TYPE VARCHAR",
            Fault.ALTERED,
            "{physical} was altered: column two is VARCHAR, was INTEGER",
        ),
        (
            "CREATE OR REPLACE TABLE {physical} AS SELECT 2 AS two, 1 AS one",
            Fault.ALTERED,
            "{physical} was altered: its columns have another order",
        ),
    ],
)
def test_each_kind_of_drift(models, environment, by_hand, fault, detail):
    a = models.model(A, "SELECT 1 AS one, 2 AS two")
    b = models.model(B, "SELECT 3 AS three")
    expected = expectation(models, environment, a, b)
    assert models.open().observe(expected) == []
    names = {"shown": str(models.place(environment, A)), "physical": a.location}
    models.run(by_hand.format(**names))
    (drift,) = models.open().observe(expected)
    assert (drift.fault, drift.asset, drift.detail) == (fault, A, detail.format(**names))
    assert drift.is_physical is (fault in (Fault.MISSING, Fault.ALTERED))


def test_a_physical_view_that_was_replaced(models):
    a = models.model(A, "SELECT 1 AS one")
    view = models.model(B, "SELECT one FROM sales.a", a, kind=Kind.VIEW)
    expected = expectation(models, FEATURE, a, view)
    assert models.open().observe(expected) == []
    models.run(f"CREATE OR REPLACE VIEW {view.location} AS SELECT 2 AS one")
    (drift,) = models.open().observe(expected)
    assert (drift.fault, drift.asset) == (Fault.ALTERED, B)
    assert drift.detail == f"{view.location} was altered: its definition is another"


def test_an_environment_that_shows_another_state(models):
    expected = expectation(models, FEATURE, models.snapshot(A, 1))
    provider = models.open()
    show(provider, FEATURE, state(2), {})
    (drift,) = provider.observe(expected)
    assert (drift.fault, drift.asset) == (Fault.BEHIND, None)
    assert drift.detail == f"readers see @ {state(2).commit[:7]}, not @ {state(1).commit[:7]}"
    models.run("DROP TABLE anabranch.environments")
    (drift,) = provider.observe(expected)
    assert drift.detail == f"readers see nothing, not @ {state(1).commit[:7]}"


def test_a_warehouse_that_is_gone(models):
    expected = expectation(models, FEATURE, models.snapshot(A, 1))
    provider = models.open()
    provider.close()
    for file in models.root.glob("warehouse.duckdb*"):
        file.unlink()
    error = refused(provider.observe, expected)
    assert isinstance(error, WarehouseUnavailable)
    assert error.message == f"{models.engine.place} doesn't exist, but feature is in it"
    assert error.hint == "check warehouse.database in anabranch.yaml, or put the file back"
    assert provider.locations() == set()
