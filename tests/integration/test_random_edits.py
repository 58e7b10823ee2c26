"""Random edits, each applied to an environment, beside a full rebuild of everything in another database.

ANABRANCH_EDITS=100 makes a hundred of them instead of a dozen.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest
from tests.sql.columns.graphs import DATA, SOURCES, Generator, Models
from tests.sql.columns.test_fuzz import made_of, texts

from anabranch import bootstrap
from anabranch.app.apply import Applied
from anabranch.domain.names import EnvironmentName
from anabranch.errors import BuildFailed

EDITS = int(os.environ.get("ANABRANCH_EDITS", "12"))
ENVIRONMENTS = (EnvironmentName("prod"), EnvironmentName("feature"))


def write(folder: Path, queries: dict[str, str]) -> None:
    for path in (folder / "models").rglob("*.sql"):
        path.unlink()
    for name, query in queries.items():
        schema, table = name.split(".")
        (folder / "models" / schema).mkdir(parents=True, exist_ok=True)
        (folder / "models" / schema / f"{table}.sql").write_text(query + "\n")


def apply(folder: Path, environment: EnvironmentName) -> Applied | None:
    w = bootstrap.open_workspace(folder)
    try:
        plan = w.plan_apply(environment)
        return None if plan.is_empty else w.apply(plan)
    finally:
        w.close()


def rebuilt(queries: dict[str, str]) -> dict[str, Counter[Any]]:
    """Every model's rows, all computed anew."""
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA raw")
        for name, query in DATA.items():
            connection.execute(f"CREATE TABLE {name} AS {query}")
        connection.execute("CREATE SCHEMA m")
        for name, query in queries.items():
            connection.execute(f"CREATE TABLE {name} AS {query}")
        return {name: Counter(connection.execute(f"SELECT * FROM {name}").fetchall()) for name in queries}


def shown(folder: Path, environment: EnvironmentName, names: set[str]) -> dict[str, Counter[Any]]:
    with duckdb.connect(str(folder / "w.duckdb"), read_only=True) as connection:
        suffix = "" if environment == "prod" else f"__{environment}"
        return {n: Counter(connection.execute(f"SELECT * FROM m{suffix}.{n.split('.')[1]}").fetchall()) for n in names}


def stable(queries: dict[str, str]) -> set[str]:
    """Models whose rows are decided by their queries, as are those of all that they read."""
    made = made_of(queries)
    found: set[str] = set()
    for name in queries:
        analysis = made.analyses[name]
        own = not analysis.fallback and not analysis.has_unstable_rows
        own = own and not any(o.is_unstable for o in analysis.outputs)
        if own and all(u in SOURCES or u in found for u in made.linked[name].inputs):
            found.add(name)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sources = "\n".join(
        f"  {name}: {{columns: {{{', '.join(f'{c}: any' for c in columns)}}}}}" for name, columns in SOURCES.items()
    )
    (tmp_path / "anabranch.yaml").write_text(
        f"project: edits\nwarehouse: {{database: w.duckdb}}\nsources:\n{sources}\n"
    )
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        connection.execute("CREATE SCHEMA raw")
        for name, query in DATA.items():
            connection.execute(f"CREATE TABLE {name} AS {query}")
    return tmp_path


def test_what_is_shown_is_what_a_full_rebuild_gives(folder: Path) -> None:
    random = Random(20)
    generator = Generator(random)
    models: Models = generator.project(6)
    made_before: set[str] = set()
    state: dict[EnvironmentName, dict[str, str]] = {}
    built = spared = compared = 0
    for _ in range(EDITS):
        environment = random.choice(ENVIRONMENTS) if state else ENVIRONMENTS[0]
        edited = generator.mutated(models)
        queries = texts(edited, random)
        try:
            wanted = rebuilt(queries)
        except duckdb.Error:  # types that don't go together
            continue
        write(folder, queries)
        fingerprints = {n: str(linked.fingerprint) for n, linked in made_of(queries).linked.items()}
        needed = {n for n, f in fingerprints.items() if f not in made_before}
        try:
            applied = apply(folder, environment)
        except BuildFailed as failure:
            pytest.fail(f"{failure.message}: {[e.message for _, e in failure.failures]}\n{queries}")
        done = set(applied.report.built) if applied else set()
        assert done <= needed, f"{done - needed} were built without need"
        made_before |= set(fingerprints.values())
        built, spared = built + len(done), spared + len(queries) - len(done)
        models, state[environment] = edited, queries
        for each, last in state.items():
            names = stable(last)
            expected = wanted if last is queries else rebuilt(last)
            assert shown(folder, each, names) == {n: expected[n] for n in names}, (each, last)
            compared += len(names)
    assert built
    assert spared > built, "most of what was there could stay"
    assert compared > EDITS
