"""The project file: what it can say, and what it says back when it is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from anabranch.config.settings import FILE, find_root, load
from anabranch.domain.names import AssetName
from anabranch.domain.places import Suffix
from anabranch.errors import ConfigError

FULL = """\
project: flights
state: postgresql://${DB_USER}:${DB_PASSWORD:-nothing}@localhost/state
environments: {trunk: live, branches: {main: live, release/1: live}, protected: [qa], ttl: 14d, suffix: table}
retention: 2w
warehouse: {engine: duckdb, database: f.duckdb, schema: Core, workers: 3, patience: 5s, settings: {threads: 2}}
sources:
  Raw.Flights: {columns: {carrier: text}, description: all of them}
seeds:
  seeds.season: {columns: {month: integer}, key: month}
"""


def write(folder: Path, text: str) -> Path:
    (folder / FILE).write_text(text, encoding="utf-8")
    return folder


def failing(folder: Path, text: str) -> tuple[str, str | None, str]:
    """``(message, hint, where)`` of what reading ``text`` says."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text))
    where = str(caught.value.where).removeprefix(f"{folder}/")
    return caught.value.message, caught.value.hint, where


def test_all_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_USER", "ada")
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    found = load(write(tmp_path, FULL))
    assert found.project == "flights"
    assert found.state == "postgresql://ada:nothing@localhost/state"
    assert found.protected == {"qa"}
    assert (found.trunk, found.branches) == ("live", {"main": "live", "release/1": "live"})
    assert (found.ttl, found.retention, found.suffix) == (timedelta(days=14), timedelta(weeks=2), Suffix.TABLE)
    assert (found.warehouse.database, found.warehouse.schema, found.warehouse.workers) == ("f.duckdb", "core", 3)
    assert found.warehouse.settings == {"threads": "2"}
    assert found.sources[AssetName("raw.flights")].columns == {"carrier": "text"}
    assert found.seeds[AssetName("seeds.season")].key == ("month",)


def test_only_the_project_is_required(tmp_path: Path) -> None:
    found = load(write(tmp_path, "project: p\n"))
    assert (found.trunk, found.state, found.warehouse.engine) == ("prod", ".anabranch/state.db", "duckdb")


@pytest.mark.parametrize(
    ("text", "message", "hint", "where"),
    [
        ("", "anabranch.yaml is empty", "begin with: project: NAME", FILE),
        ("state: x\n", "anabranch.yaml doesn't name the project", "add: project: NAME", f"{FILE}:1"),
        ("project: p\nwarehose: {}\n", "warehose is not a setting", "did you mean warehouse?", f"{FILE}:2:1"),
        ("project: p\nproject: q\n", "project is there twice", "keep one of them", f"{FILE}:2:1"),
        ("- a\n", "the file must be a mapping of keys to values", None, f"{FILE}:1:1"),
        (
            "project: p\nwarehouse:\n  databse: x\n",
            "warehouse.databse is not a setting",
            "did you mean database?",
            f"{FILE}:3:3",
        ),
        (
            "project: p\nenvironments: {ttl: soon}\n",
            "environments.ttl: 'soon' is not a length of time",
            "write it as 14d, 12h, 30m or 2w",
            f"{FILE}:2:21",
        ),
        (
            "project: p\nenvironments: {trunk: Prod-1}\n",
            "'Prod-1' is not an environment's name",
            "use lower-case letters, digits and single underscores, and begin with a letter",
            f"{FILE}:2:23",
        ),
        (
            "project: p\nsources:\n  raw: {}\n",
            "raw has no schema",
            "write it as schema.name",
            f"{FILE}:3:3",
        ),
        (
            "project: p\nwarehouse: {workers: none}\n",
            "warehouse.workers must be a whole number above zero, not 'none'",
            None,
            f"{FILE}:2:22",
        ),
        (
            "project: ${NO_SUCH_VARIABLE}\n",
            "project needs the variable NO_SUCH_VARIABLE, which isn't set",
            "export NO_SUCH_VARIABLE=…",
            f"{FILE}:1:10",
        ),
        ("project: [p]\n", "project must be a single value", None, f"{FILE}:1:10"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, message: str, hint: str | None, where: str) -> None:
    assert failing(tmp_path, text) == (message, hint, where)


def test_not_yaml(tmp_path: Path) -> None:
    message, hint, where = failing(tmp_path, "project: p\nwarehouse: {engine: duckdb\n")
    assert message.startswith("anabranch.yaml is not YAML: ")
    assert (hint, where.startswith(f"{FILE}:3")) == ("check indents, colons and quotes", True)


def test_not_utf_8(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"project: \xff\n")
    with pytest.raises(ConfigError, match=r"anabranch\.yaml can't be read: it is not UTF-8"):
        load(tmp_path)


def test_the_nearest_project_file_counts(tmp_path: Path) -> None:
    write(tmp_path, "project: p\n")
    inner = tmp_path / "models" / "marts"
    inner.mkdir(parents=True)
    assert find_root(inner) == tmp_path


def test_no_project_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_root(tmp_path)
    assert caught.value.hint == "make one: anabranch init"


def test_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGION", "north")
    found = load(
        write(
            tmp_path,
            "project: x\n"
            "variables: {Size: 4, rate: 0.5, on: true, 'no': null, text: '4', names: [a, 1], region: '${REGION}', day: 2024-01-01}\n"
            "environments: {variables: {dev: {size: 1}}}\n",
        )
    )
    assert found.variables == {
        "size": 4,
        "rate": 0.5,
        "on": True,
        "no": None,
        "text": "4",
        "names": ["a", 1],
        "region": "north",
        "day": "2024-01-01",
    }
    assert found.overrides == {"dev": {"size": 1}}


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        ("variables:\n  a-b: 1\n", "a-b can't be a variable's name", 3, "use letters, digits and underscores"),
        ("variables: {start_ds: 1}\n", "@start_ds is a variable that every model has", 2, "choose another name"),
        ("variables: {a: 1, A: 2}\n", "A is there twice: case doesn't matter", 2, "keep one of them"),
        (
            "variables: {a: {b: 1}}\n",
            "variables.a must be a single value or a list",
            2,
            "give each of its values a name of its own",
        ),
        ("variables: {a: .inf}\n", "variables.a must be a finite number, not .inf", 2, None),
        (
            "variables: {size: 1}\nenvironments: {variables: {dev: {sise: 1}}}\n",
            "there is no variable sise",
            3,
            "did you mean size?",
        ),
    ],
)
def test_variables_that_are_wrong(tmp_path: Path, text: str, message: str, line: int, hint: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, f"project: x\n{text}"))
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.where is not None
    assert caught.value.where.line == line
