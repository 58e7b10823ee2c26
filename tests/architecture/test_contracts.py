"""The contracts hold, and each of them bites.

A contract that nothing can break guards nothing: a copy of the tree gets one wrong import for each, and the linter has
to name it. A contract added to pyproject.toml without a wrong import here fails `test_every_contract_is_tried`.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["id"]: contract for contract in CONFIG["contracts"]}
LINT = "import sys; from importlinter.cli import lint_imports_command as main; sys.exit(main())"

# contract -> (module that imports, what it must not import)
WRONG = {
    "pure": [("domain", "sqlite3"), ("domain", "time"), ("errors", "yaml")],
    "engines": [
        ("engines.duckdb", "anabranch.engines.postgres.session"),
        ("engines.spark", "anabranch.engines.databricks"),
    ],
    "sqlglot": [("engines", "sqlglot"), ("loaders", "sqlglot.optimizer"), ("app", "sqlglot")],
    "google": [("stores", "google.cloud"), ("app", "google.auth"), ("engines.duckdb", "google.auth")],
    "jinja": [("loaders", "jinja2"), ("app", "jinja2.sandbox"), ("config", "jinja2")],
    "duckdb": [("stores", "duckdb"), ("app", "duckdb"), ("engines.postgres", "duckdb")],
    "sqlite": [("engines", "sqlite3"), ("loaders", "sqlite3"), ("app", "sqlite3")],
    "psycopg": [("providers", "psycopg"), ("app", "psycopg"), ("engines", "psycopg")],
    "snowflake": [("providers", "snowflake.connector"), ("engines.bigquery", "snowflake.connector.errors")],
    "spark": [("providers", "pyspark.sql"), ("engines.spark", "databricks.sql")],
    "terminal": [("app", "rich"), ("bootstrap", "click"), ("config", "click")],
}


class Tree:
    """A copy of the source tree, to break at will."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.package = root / "src" / "anabranch"
        shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", root)

    def plant(self, layer: str, imported: str) -> str:
        """Make ``layer``, written or not, import ``imported``; the name of the module that does."""
        folder = self.package.joinpath(*layer.split("."))
        module = folder / "_planted.py" if folder.is_dir() else folder.with_suffix(".py")
        if folder.is_dir():
            (folder / "__init__.py").touch()
        with module.open("a") as file:
            file.write(f"\nimport {imported}\n")
        return ".".join(module.relative_to(self.package.parent).with_suffix("").parts)

    def lint(self) -> tuple[int, str]:
        """Exit code and output of the linter."""
        done = subprocess.run(
            [sys.executable, "-c", LINT, "--config", "pyproject.toml", "--no-cache", "--no-logo"],
            cwd=self.root,
            env=os.environ | {"PYTHONPATH": str(self.root / "src"), "COLUMNS": "400", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def verdicts(self) -> tuple[dict[str, str], str]:
        """Contract id -> KEPT or BROKEN, and the whole output."""
        code, output = self.lint()
        found = {
            key: verdict.group(1)
            for key, contract in CONTRACTS.items()
            if (verdict := re.search(rf"^{re.escape(contract['name'])} (KEPT|BROKEN)", output, re.MULTILINE))
        }
        assert set(found) == set(CONTRACTS), output
        assert code == ("BROKEN" in found.values()), output
        return found, output


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def layers() -> list[list[str]]:
    return [re.findall(r"\w+", layer) for layer in CONTRACTS["layers"]["layers"]]


def wrong_pairs() -> Iterator[tuple[str, str]]:
    """Each layer importing the one above it, and each sibling importing the next."""
    rows = layers()
    for above, below in pairwise(rows):
        yield from ((low, high) for low in below for high in above)
    for row in rows:
        yield from ((a, b) for a in row for b in row if a != b)


def test_the_tree_is_clean(tree: Tree) -> None:
    found, output = tree.verdicts()
    assert set(found.values()) == {"KEPT"}, output


def test_every_contract_is_tried() -> None:
    assert set(CONTRACTS) == {"layers", *WRONG}


@pytest.mark.parametrize(
    ("contract", "layer", "imported"),
    [
        pytest.param(contract, layer, imported, id=f"{contract}: {layer} imports {imported}")
        for contract, imports in WRONG.items()
        for layer, imported in imports
    ],
)
def test_a_wrong_import_is_caught(tree: Tree, contract: str, layer: str, imported: str) -> None:
    module = tree.plant(layer, imported)
    found, output = tree.verdicts()
    assert found[contract] == "BROKEN", output
    named = imported if imported.startswith("anabranch.") else imported.partition(".")[0]
    assert f"{module} -> {named} (" in output


def test_every_layer_is_held(tree: Tree) -> None:
    modules = {(low, high): (tree.plant(low, f"anabranch.{high}"), f"anabranch.{high}") for low, high in wrong_pairs()}
    found, output = tree.verdicts()
    assert found["layers"] == "BROKEN", output
    missed = [pair for pair, (low, high) in modules.items() if f"- {low} -> {high} (" not in output]
    assert not missed, output


def test_a_module_outside_the_layers_is_caught(tree: Tree) -> None:
    tree.plant("utils", "re")
    found, output = tree.verdicts()
    assert found["layers"] == "BROKEN"
    assert "utils" in output
