"""Clones on an engine that has them, and time travel: DuckDB, that copies behind the scenes, and keeps one moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from tests.cli.conftest import Anabranch
from tests.support.shop import Shop

from anabranch import bootstrap
from anabranch.engines.duckdb import DuckDBEngine, DuckDBSession
from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import PLAIN, Cloning
from anabranch.ports.engine import Relation

THEN = datetime(2026, 1, 1, tzinfo=UTC)


class CloningSession(DuckDBSession):
    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        if how.at is not None and how.at.time != THEN:
            raise StatementFailed(f"{source} isn't kept back to {how.at.time}")
        there = source if how.at is None else Relation("kept", source.name)
        self.create_table(clone, f"SELECT * FROM {self._quote(there)}")


class CloningDuckDB(DuckDBEngine):
    capabilities: Mapping[Capability, Support] = {
        **DuckDBEngine.capabilities,
        Capability.CLONE_TABLE: Support.FULL,
        Capability.TIME_TRAVEL: Support.FULL,
    }
    session_type = CloningSession


@pytest.fixture
def feature(applied: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(bootstrap, "open_engine", lambda *_: CloningDuckDB(applied.database))
    applied.run_sql("CREATE SCHEMA kept", "CREATE TABLE kept.orders AS FROM raw.orders WHERE id < 10")
    assert anabranch("env", "create", "feature").code == 0
    return applied


@pytest.mark.in_place
def test_nothing_is_copied(feature: Shop, anabranch: Anabranch):
    said = anabranch("clone", "raw.orders", "-e", "feature")
    assert "clone   raw.orders   zero-copy" in said.err
    assert "1 table cloned, nothing copied" in said.out
    (told,) = anabranch("status", "feature", "--json").json["clones"]
    assert (told["copied"], told["past"], told["written"]) == (False, None, False)


@pytest.mark.in_place
def test_a_clone_of_the_past_has_readers_of_its_own(feature: Shop, anabranch: Anabranch):
    said = anabranch("clone", "raw.orders", "-e", "feature", "--at", "2026-01-01")
    assert said.code == 0, said.err
    assert feature.run_sql("SELECT count(*) FROM raw__feature.orders") == [(10,)]
    assert feature.run_sql("SELECT count(*) FROM stg__feature.orders") == [(10,)]
    assert feature.run_sql("SELECT count(*) FROM stg.orders") == [(100,)]
    assert anabranch("plan", "feature", "--json").json["empty"]
    (told,) = anabranch("status", "feature", "--json").json["clones"]
    assert (told["past"], told["written"]) == (THEN.isoformat(), False)
    refused = anabranch("promote", "feature", "--yes")
    assert refused.code == 1
    assert "is pinned to the past" in refused.err


@pytest.mark.in_place
def test_an_environment_of_the_past(feature: Shop, anabranch: Anabranch):
    feature.replace("anabranch.yaml", "amount: double}}", "amount: double}, branch: clone}")
    said = anabranch("env", "create", "then", "--at", "2026-01-01")
    assert said.code == 0, said.err
    assert feature.run_sql("SELECT count(*) FROM stg__then.orders") == [(10,)]
    assert anabranch("plan", "then", "--json").json["empty"]
    with feature.unchanged():
        lost = anabranch("env", "create", "before", "--at", "2025-01-01")
        assert lost.code == 1
        assert "isn't kept back to" in lost.err
