"""The whole loop with the state in PostgreSQL: what a team shares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.postgres

CONFIG = """\
project: shop
state: ${STATE}
warehouse: {engine: duckdb, database: shop.duckdb, settings: {threads: 1}}
"""


class Clone:
    """One person's checkout; all share the state and the warehouse."""

    def __init__(self, folder: Path, url: str, who: str) -> None:
        self.folder = folder
        self._environment = {
            **os.environ,
            "STATE": url,
            "GIT_AUTHOR_NAME": who,
            "GIT_CEILING_DIRECTORIES": str(folder.parent),
        }
        folder.mkdir()
        self.write("anabranch.yaml", CONFIG.replace("shop.duckdb", "../shop.duckdb"))
        self.write("models/shop/orders.sql", "select range as id, range * 2 as amount from range(10)")
        self.write("models/shop/total.sql", "select sum(amount) as total from shop.orders")

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")

    def run(self, *arguments: str, code: int = 0) -> str:
        command = [sys.executable, "-m", "anabranch", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def total(self, environment: str) -> int:
        answer = json.loads(self.run("sql", "-e", environment, "select total from shop.total", "--json"))
        return int(answer["rows"][0][0])


@pytest.fixture
def team(postgres_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Clone, Clone]:
    schema = f"state_{abs(hash((request.node.name, os.getpid()))) % 10**8}"
    url = f"{postgres_server}{'&' if '?' in postgres_server else '?'}schema={schema}"
    return Clone(tmp_path / "ada", url, "Ada"), Clone(tmp_path / "grace", url, "Grace")


def test_two_people_share_environments(team: tuple[Clone, Clone]) -> None:
    ada, grace = team
    assert "2 built" in ada.run("apply", "prod", "--yes")
    assert "nothing copied" in grace.run("env", "create", "grace_1")
    assert grace.total("grace_1") == 90

    ada.write("models/shop/total.sql", "select sum(amount) + 1 as total from shop.orders")
    assert "1 built" in ada.run("apply", "ada_1")
    grace.write("models/shop/total.sql", "select sum(amount) + 1 as total from shop.orders -- the same thought")
    assert "0 built" in grace.run("apply", "grace_1")  # Ada's build is Grace's
    assert (ada.total("ada_1"), grace.total("grace_1"), grace.total("prod")) == (91, 91, 90)

    assert "0 rebuilt" in ada.run("promote", "ada_1", "--yes")
    grace.write("models/shop/total.sql", "select sum(amount) + 2 as total from shop.orders")
    grace.run("apply", "grace_1")
    told = grace.run("promote", "grace_1", "--yes", code=3)
    assert "shop.total" in told
    assert "Ada" in told
    assert grace.total("prod") == 91

    assert "0 rebuilt" in grace.run("undo", "prod", "--yes")
    assert ada.total("prod") == 90
    assert "Grace" in ada.run("log", "prod")
    for name in ("ada_1", "grace_1"):
        ada.run("env", "drop", name)
    grace.run("gc")
    assert ada.run("doctor", code=0)


def test_secrets_are_not_told(team: tuple[Clone, Clone], tmp_path: Path) -> None:
    ada, _ = team
    ada.write("anabranch.yaml", CONFIG.replace("${STATE}", "postgresql://ada:hunter2@127.0.0.1:1/none"))
    told = ada.run("status", "prod", code=1)
    assert "hunter2" not in told
    assert "127.0.0.1" in told
