"""A stand-in for Anabranch that obeys its command line in the crudest way, to try the benchmark's own code with.

A model's version is a hash of its text without comments, whatever it reads: right for the edits that the benchmark makes,
and for nothing else. A file ``lie`` beside the project names a promise to break, so that the tests see
each check catch something.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import duckdb

_STATE = Path(".anabranch/state.json")
_CACHE = Path(".anabranch/cache.db")
Pointers = dict[str, str]


def main(arguments: list[str]) -> int:
    """Do one command in the project of the current folder."""
    lie = Path("../lie").read_text() if Path("../lie").exists() else ""
    if arguments == ["--help"]:
        print("anabranch: help")
        return 0
    if lie == f"exit {arguments[0]}":
        return 3
    _STATE.parent.mkdir(exist_ok=True)
    if lie != "no cache":
        _CACHE.touch()
    state: dict[str, Pointers] = json.loads(_STATE.read_text()) if _STATE.exists() else {}
    with duckdb.connect("bench.duckdb") as warehouse:
        _command(warehouse, state, arguments, lie)
    _STATE.write_text(json.dumps(state))
    if arguments[0] != "plan":
        print("done:", *arguments)
    return 0


def _command(warehouse: duckdb.DuckDBPyConnection, state: dict[str, Pointers], arguments: list[str], lie: str) -> None:
    match arguments:
        case ["status"]:
            pass
        case ["plan", environment, *_]:
            changed = [name for name, at in _wanted().items() if state[environment].get(name) != at]
            if lie == "plan writes":
                warehouse.execute("drop view layer1.m0003")
            if lie == "plan is never empty":
                changed.append("layer0.m0001")
            print(json.dumps({"steps": changed}))
        case ["apply", environment, "--yes"]:
            _build(warehouse, lie)
            _point(warehouse, state, environment, _wanted(), lie)
            if lie == "leaks" and environment == "dev":
                _point(warehouse, state, "prod", _wanted(), "")
        case ["env", "create", environment]:
            _point(warehouse, state, environment, state["prod"], lie)
        case ["promote", environment, "--yes"]:
            state["before"] = state["prod"]
            if lie != "no promote":
                _point(warehouse, state, "prod", state[environment], "")
        case ["undo", "prod", "--yes"]:
            _point(warehouse, state, "prod", state["before"], "")
        case _:
            raise SystemExit(f"unknown command: {arguments}")


def _models() -> dict[str, str]:
    files = sorted(Path("models").glob("*/*.sql"))
    return {f"{file.parent.name}.{file.stem}": file.read_text().partition(";")[2].strip() for file in files}


def _wanted() -> Pointers:
    texts = {name: re.sub(r"--.*\n", "", text) for name, text in _models().items()}
    return {
        name: f"anabranch__{name}__{hashlib.sha256(text.encode()).hexdigest()[:12]}" for name, text in texts.items()
    }


def _build(warehouse: duckdb.DuckDBPyConnection, lie: str) -> None:
    warehouse.execute("create schema if not exists raw")
    warehouse.execute("create table if not exists raw.events as from read_csv('seeds/raw/events.csv')")
    wanted = _wanted()
    for name, text in _models().items():
        table = wanted[name]
        warehouse.execute(f"create schema if not exists {table.partition('.')[0]}")
        query = re.sub(r"layer\d+\.m\d+", lambda found: wanted[found[0]], text)
        warehouse.execute(f"create table if not exists {table} as {query}")
        if lie == "builds on a comment" and "-- Amounts" in text:
            warehouse.execute(f"create table {table}_again as from {table}")
        if lie == "builds readers" and "id < 0" in text:
            warehouse.execute(f"create table {table}_reader as from {table}")


def _point(
    warehouse: duckdb.DuckDBPyConnection,
    state: dict[str, Pointers],
    environment: str,
    pointers: Pointers,
    lie: str,
) -> None:
    state[environment] = pointers
    for name, table in pointers.items():
        schema, _, view = name.partition(".")
        logical = schema if environment == "prod" else f"{schema}__{environment}"
        if lie == "incomplete" and environment == "dev" and name == "layer5.m0011":
            continue
        source = pointers["layer5.m0012"] if lie == "another's rows" and view == "m0011" else table
        warehouse.execute(f"create schema if not exists {logical}")
        warehouse.execute(f"create or replace view {logical}.{view} as from {source}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
