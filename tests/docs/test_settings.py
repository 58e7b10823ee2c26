"""docs/configuration.md has each setting, with its default, and no other; YAML examples are valid."""

import ast
import os
import re
from pathlib import Path

import pytest
from tests.docs.pages import PAGES, ROOT, Block, blocks, codes, page, rows, sections

from anabranch.config import settings
from anabranch.config.reader import span
from anabranch.config.settings import Settings, Warehouse

CONFIGURATION = page("docs/configuration.md")
PREFIXES = {
    "load": "",
    "_environments": "environments.",
    "_warehouse": "warehouse.",
    "_source": "sources.NAME.",
    "_seed": "seeds.NAME.",
    "_lint": "lint.",
}
GROUPS = {"environments", "warehouse", "sources", "seeds", "lint"}


def _known() -> set[str]:
    """The keys that anabranch.config accepts, from its source."""
    found = set()
    tree = ast.parse(Path(settings.__file__).read_text(encoding="utf-8"))
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "section":
                (keys,) = call.args
                assert isinstance(keys, ast.Set), f"{function.name} calls section() in a way that isn't read here"
                found |= {PREFIXES[function.name] + str(ast.literal_eval(key)) for key in keys.elts}
    return found - GROUPS


def _documented() -> dict[str, str]:
    """Setting and default."""
    table = [row for lines in sections(CONFIGURATION).values() for row in rows(lines) if len(row) == 3]
    return {codes(row[0])[0]: row[1] for row in table}


def test_every_setting_is_documented() -> None:
    assert _known() == set(_documented())


def test_defaults_are_as_documented() -> None:
    plain = Settings(root=Path(), project="x")
    warehouse = Warehouse()
    actual = {
        "state": plain.state,
        "environments.trunk": plain.trunk,
        "environments.suffix": plain.suffix.value,
        "warehouse.engine": warehouse.engine,
        "warehouse.schema": warehouse.schema,
    }
    documented = _documented()
    assert {name: codes(documented[name])[0] for name in actual} == actual
    spans = {"retention": plain.retention, "warehouse.patience": warehouse.patience}
    assert {name: span(codes(documented[name])[0]) for name in spans} == spans
    assert plain.ttl is None
    assert warehouse.database == "", "each engine has a default of its own, or none"
    assert codes(documented["warehouse.database"]) == ["warehouse.duckdb"]
    assert documented["environments.ttl"] == "none"


def _yaml_blocks() -> list[tuple[Path, Block]]:
    return [(p, b) for p in PAGES for b in blocks(p, "yaml") if "not a project file" not in b.before]


@pytest.mark.parametrize(
    ("path", "block"),
    [pytest.param(p, b, id=f"{p.relative_to(ROOT).as_posix()}:{b.line}") for p, b in _yaml_blocks()],
)
def test_yaml_examples_are_valid(path: Path, block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"\$\{(\w+)\}", block.text):
        monkeypatch.setitem(os.environ, name, "x")
    whole = re.search(r"^project:", block.text, re.MULTILINE)
    text = block.text if whole else f"project: example\n{block.text}"
    (tmp_path / settings.FILE).write_text(text, encoding="utf-8")
    assert settings.load(tmp_path).project
