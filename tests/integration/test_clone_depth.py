"""Engines that make only so many clones of one another: one more is a copy, and the plan says so. Seen on ClickHouse,
which has no such limit, with one set."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.support.loop import ORDERS, LoopProject

from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.ports.cloning import CloneRules
from anabranch.ports.engine import Engine
from anabranch.testing.engine_helpers import at

pytestmark = pytest.mark.clickhouse
ROW = [(1000, "de", 5.0, date(2020, 1, 1))]


class TestDepth(LoopProject):
    @pytest.fixture
    def warehouse(self) -> dict[str, object]:
        return {"engine": "clickhouse"}

    @pytest.fixture
    def feature(
        self, project: Path, engine: Engine, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> dict[str, str]:
        """An environment with a clone that was written to; what the plan said of it."""
        monkeypatch.setattr(ClickHouseEngine, "clone_rules", CloneRules(depth=1))
        said = json.loads((project / "anabranch.yaml").read_text())
        (project / "anabranch.yaml").write_text(json.dumps({**said, "sources": {"raw.orders": {}}}))
        self.load(engine, at("orders", "raw"), ORDERS)
        call("apply", "prod", "--yes")
        call("env", "create", "feature")
        told = decision(call("clone", "raw.orders", "-e", "feature", "--yes", "--json"))
        self.change(engine, "raw__feature.orders", None, ROW)
        call("apply", "feature", "--yes")
        return told

    def test_a_clone_of_a_clone_is_a_copy(
        self, feature: dict[str, str], engine: Engine, call: Callable[..., Any]
    ) -> None:
        assert (feature["verb"], feature["because"]) == ("clone", "zero-copy")
        told = decision(call("env", "create", "child", "--from", "feature", "--json"))
        assert told["verb"] == "copy"
        assert told["because"].endswith("41 rows (clickhouse makes no more clones of clones)")
        assert self.read(engine, "raw__child.orders") == sorted([*ORDERS, *ROW], key=repr)

    def test_what_takes_the_place_of_the_source_is_a_copy(
        self, feature: dict[str, str], engine: Engine, call: Callable[..., Any]
    ) -> None:
        told = decision(call("promote", "feature", "--yes", "--json"))
        assert told["because"].startswith("the clone takes its place")
        assert told["because"].endswith("B copied")
        assert self.read(engine, "raw.orders") == sorted([*ORDERS, *ROW], key=repr)
        call("env", "create", "next")
        told = decision(call("clone", "raw.orders", "-e", "next", "--yes", "--json"))
        assert told["verb"] == "copy", "the source is a clone of those rows by now"


def decision(said: dict[str, Any]) -> dict[str, str]:
    plan = said["plan"]
    found: dict[str, dict[str, str]] = {d["asset"]: d for d in plan["decisions"]}
    return found["raw.orders"]
