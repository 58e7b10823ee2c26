"""docs/json.md has each field that a command answers with, and no other."""

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.pages import ROOT, codes, page, rows, sections

from anabranch.cli import failures
from anabranch.cli.main import cli

MAPS = ("counts", "locations", "inputs")
"""Whose keys are data."""
TESTS = """\
fails: {model: marts.total, inputs: {marts.orders: [{amount: 1}]}, outputs: {query: [{total: 2}]}}
lacks: {model: marts.total, inputs: {marts.orders: [], seeds.orders: []}, outputs: {query: [{sum: 2}]}}
wrong: {model: marts.total, inputs: {marts.orders: [{amuont: 1}]}, outputs: {query: []}}
"""
SECTIONS = sections(page("docs/json.md"))

MODELS = {
    "models/marts/orders.sql": "MODEL (name marts.orders, kind FULL, grain id);\nselect id, 'x' as sort, amount from seeds.orders\n",
    "models/marts/total.sql": "MODEL (name marts.total, kind VIEW);\nselect sum(amount) as total from marts.orders\n",
    "seeds/orders.csv": "id,amount\n1,10\n2,20\n3,30\n",
    "anabranch.yaml": "project: shop\nwarehouse: {database: shop.duckdb}\nsources: {raw.events: {columns: {id: integer}}}\n",
}


def _documented(heading: str) -> set[str]:
    return {field for row in rows(SECTIONS[heading]) if len(row) == 2 for field in codes(row[0])}


def _paths(value: object, at: str = "") -> Iterator[str]:
    """Where something is: ``a.b[].c``."""
    if isinstance(value, dict) and at not in MAPS:
        for key, below in value.items():
            yield from _paths(below, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        if not any(isinstance(v, dict) for v in value):
            yield f"{at}[]" if at else ""
        for below in value:
            if isinstance(below, dict):
                yield from _paths(below, f"{at}[]")
    elif at:
        yield at


class Shop:
    """A small project, and all that commands answered in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.seen: dict[str, set[str]] = {}
        for name, text in MODELS.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, heading: str, *arguments: str, code: int = 0, answers: bool = False) -> object:
        """The answer of a command, which belongs under ``heading``. ``answers``: even where it fails."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert failures.run(cli, ["-C", str(self.root), *arguments, "--json"]) == code, printed.getvalue()
        answer = json.loads(printed.getvalue())
        found = answer
        if code and not answers:
            assert set(answer) == {"error"}
            found = answer["error"]
        elif heading in (CHANGE, "status", "resume") and "plan" in found and isinstance(found["plan"], dict):
            plan = found.pop("plan")
            found["plan"] = None
            self.seen.setdefault("plan", set()).update(_paths(plan))
        self.seen.setdefault(heading, set()).update(_paths(found))
        return answer

    def kill(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / "docs_killed.py"), *arguments],
            cwd=self.root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode < 0, done.stdout + done.stderr


CHANGE = "apply, adopt, clone, promote, undo, restore, env create, env drop"
FULL = MODELS["models/marts/orders.sql"]
AUDIT = "kind FULL, audits (accepted_range_non_blocking(column := amount, max_v := 15))"


def _all_of_it(shop: Shop) -> None:
    import duckdb

    with duckdb.connect(str(shop.root / "shop.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.events AS SELECT 1 AS id")
    orders = "models/marts/orders.sql"
    shop.run("status", "status", "prod")
    shop.run("plan", "plan", "prod")
    shop.run(CHANGE, "apply", "prod", "--yes")
    shop.write(orders, FULL.replace("amount from", "amount * 2 as amount, true as fresh from"))
    shop.run("plan", "plan", "feature")
    shop.run("status", "status", "feature")
    shop.run(CHANGE, "apply", "feature")
    shop.run("diff", "diff", "feature", "--rows")
    shop.run("diff", "diff", "feature", "--select", "marts.orders", "--where", "id > 1", "--tolerance", "0.1")
    shop.run("diff", "diff", "feature", "--select", "marts.orders", "--key", "amount")
    shop.run("diff", "diff", "feature", "--select", "marts.orders", "--key", "sort")
    shop.write(orders, FULL.replace("kind FULL", AUDIT))
    shop.run(CHANGE, "apply", "audited")
    shop.run("audit", "audit", "audited")
    shop.write(orders, FULL.replace("amount from", "amount * 3 as amount from"))
    shop.run(CHANGE, "apply", "other")
    shop.run("dry", "promote", "feature", "--dry-run")
    shop.run(CHANGE, "promote", "feature", "--yes")
    shop.run("Errors", "promote", "other", "--yes", code=3)
    shop.run(CHANGE, "undo", "prod", "--yes")
    log = shop.run("log", "log", "prod")
    assert isinstance(log, list)
    shop.run(CHANGE, "restore", "prod", log[1]["commit"], "--yes")
    shop.run("lineage", "lineage", "marts.total.total")
    shop.run("lint", "lint", "--rule", "missing-owner")
    shop.run(CHANGE, "clone", "raw.events", "-e", "feature")
    shop.run("env list", "env", "list")
    shop.run("env show", "env", "show", "feature")
    shop.run(CHANGE, "env", "create", "what_if")
    shop.run("sql", "sql", "-e", "prod", "select * from marts.orders")
    shop.run("test create", "test", "create", "marts.total", "-e", "prod")
    shop.write("tests/test_a.yaml", TESTS)
    shop.run("test", "test", code=2, answers=True)
    shop.run(CHANGE, "env", "drop", "other")
    shop.run("gc", "gc", "--dry-run")
    shop.run("gc", "gc")
    shop.run("doctor", "doctor")
    shop.write(orders, FULL.replace("amount from", "error('no') as amount from"))
    shop.run("Errors", "apply", "feature", code=1)
    shop.write(orders, FULL.replace("seeds.orders", "seeds.order"))
    shop.run("Errors", "apply", "feature", code=2)
    for command, factor in (("abandon", 5), ("resume", 7)):
        shop.write(orders, FULL.replace("amount from", f"amount * {factor} as amount from"))
        shop.kill("apply", f"x_{command}")
        shop.run("status", "status", f"x_{command}")
        shop.run(command, command)
    with duckdb.connect(str(shop.root / "shop.duckdb")) as connection:
        connection.execute("DROP VIEW marts__feature.total")
    shop.run("status", "status", "feature")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    _all_of_it(shop)
    empty = Shop(tmp_path_factory.mktemp("empty"))
    (empty.root / "anabranch.yaml").unlink()
    empty.run("init", "init")
    return {**shop.seen, **empty.seen}


@pytest.mark.docs
def test_every_field_is_documented(seen: dict[str, set[str]]) -> None:
    wrong = {}
    for heading, actual in seen.items():
        documented = _expected(heading)
        parents = {p[:i] for p in documented for i in range(len(p)) if p[i] in ".["}
        missing = {
            a for a in actual if a not in documented and a.removesuffix("[]") not in parents and a not in parents
        }
        extra = documented - actual - parents - _not_reached(heading)
        if missing or extra:
            wrong[heading] = {"not documented": sorted(missing), "never seen": sorted(extra)}
    assert not wrong, json.dumps(wrong, indent=2)


def _expected(heading: str) -> set[str]:
    match heading:
        case "dry":
            return _documented("plan") | {"applied"}
        case "resume":
            return _documented("resume") | (_documented(CHANGE) - {"applied"})
        case "env show":
            listed = {f.removeprefix("[].") for f in _documented("env list")} - {"assets"}
            return listed | _documented("env show")
        case "Errors":
            conflict = {f"conflicts[].{f}" for f in ("asset", "base", "ours", "theirs", "cause", "upstream", "rows[]")}
            plain = {f for f in _documented("Errors") if "[" not in f} & {
                "type", "message", "asset", "file", "line", "column", "hint", "exit",
            }  # fmt: skip
            return plain | conflict | {f"failures[].{f}" for f in plain}
        case _ if heading == CHANGE:
            return _documented(heading) - {"applied"}
        case _:
            return _documented(heading)


def _not_reached(heading: str) -> set[str]:
    """What only two processes at once can show, and what only the other outcome has."""
    fields = ("plan", "action", "environment", "holder")
    if heading == "status":
        return {f"running[].{f}" for f in fields}
    if heading == "resume":
        return _documented(CHANGE)
    return set()
