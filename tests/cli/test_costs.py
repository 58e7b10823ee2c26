"""What environments share and what they hold alone, in bytes; and what statements are about."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from tests.cli.conftest import Anabranch
from tests.support.shop import Shop

from anabranch.engines.duckdb.session import DuckDBSession

BLOCK = 262_144
"""Of a DuckDB file: the least that a table takes there."""


def cost(anabranch: Anabranch, *command: str) -> dict[str, int]:
    found: dict[str, int] = anabranch(*command, "--json").json["cost"]
    return found


def test_what_is_shared_and_what_is_not(applied: Shop, anabranch: Anabranch):
    prod = cost(anabranch, "status", "prod")
    assert prod == {"shared": BLOCK, "alone": 3 * BLOCK, "copied": 4 * BLOCK, "unknown": 0}, "a source and three tables"
    assert anabranch("env", "create", "feature").code == 0
    everything = {"shared": 4 * BLOCK, "alone": 0, "copied": 4 * BLOCK, "unknown": 0}
    assert cost(anabranch, "status", "feature") == everything
    applied.replace("models/marts/revenue.sql", "AS revenue", "AS revenue, 1 AS more")
    assert cost(anabranch, "plan", "feature") == everything, "as it is, before anything is built"
    assert cost(anabranch, "plan", "other") == everything, "as it begins"
    assert anabranch("apply", "feature").code == 0
    own = {"shared": 3 * BLOCK, "alone": BLOCK, "copied": 4 * BLOCK, "unknown": 0}
    assert cost(anabranch, "status", "feature") == own
    assert "shares 786.4 kB, holds 262.1 kB alone (a copy: 1.0 MB)" in anabranch("status", "feature").out
    assert anabranch("promote", "feature", "--yes").code == 0
    assert cost(anabranch, "status", "feature") == everything
    assert anabranch("undo", "prod", "--yes").code == 0
    assert cost(anabranch, "status", "feature") == own


def test_a_clone_and_what_people_write_count(applied: Shop, anabranch: Anabranch):
    assert anabranch("env", "create", "feature").code == 0
    assert anabranch("clone", "raw.orders", "-e", "feature").code == 0
    assert cost(anabranch, "status", "feature") == {
        "shared": 3 * BLOCK, "alone": BLOCK, "copied": 4 * BLOCK, "unknown": 0,
    }  # fmt: skip
    applied.run_sql("INSERT INTO raw__feature.orders SELECT range, repeat('x' || range, 9), 1.5 FROM range(200000)")
    found = cost(anabranch, "status", "feature")
    assert found["shared"] == 3 * BLOCK
    assert found["alone"] > 4 * BLOCK
    assert cost(anabranch, "status", "prod")["shared"] == BLOCK


def test_a_refreshed_table_is_measured_again(applied: Shop, anabranch: Anabranch):
    applied.write("models/marts/total.sql", "SELECT id, repeat('x' || id, 9) AS text FROM raw.orders\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    before = cost(anabranch, "status", "prod")["alone"]
    applied.run_sql("INSERT INTO raw.orders SELECT range, 'de', 1.5 FROM range(1000, 200000)")
    assert anabranch("run", "prod", "--ignore-cron", "--yes").code == 0
    assert cost(anabranch, "status", "prod")["alone"] > before + BLOCK


def test_statements_say_what_they_are_about(shop: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch):
    told: list[Mapping[str, str]] = []
    monkeypatch.setattr(DuckDBSession, "tag", lambda session, about: told.append(about), raising=False)
    plan = anabranch("apply", "prod", "--yes", "--json").json["plan"]["plan"]
    about = {"environment": "prod", "plan": plan}
    assert about in told
    for asset in ("seeds.countries", "stg.orders", "marts.revenue", "marts.top"):
        assert {**about, "asset": asset} in told
    told.clear()
    assert anabranch("sql", "-e", "prod", "select 1").code == 0
    assert told == []
