"""What stands in a warehouse and in a state after a crash, read from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
from tests.support.plain import IS_PLAIN

from anabranch import bootstrap
from anabranch.domain import commit as commits
from anabranch.domain.ids import CommitId, ObjectId
from anabranch.providers.generations import fresh, is_beside
from anabranch.providers.standing import relation
from anabranch.stores.sqlite import SqliteStore

DATABASE = "shop.duckdb"
ADOPTED = "__c?[0-9a-f]{12}$"
"""How an adopted table's name ends, and that of a clone where it isn't shown."""
HIDDEN = f"{ADOPTED}|__b[0-9a-f]{{12}}$|__(anabranch_)?[gu][0-9]+$"
"""The same, that of what a clone began as, and that of what is beside a location."""


def catalog(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    if not (folder / DATABASE).exists():
        return []
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def physical(folder: Path) -> list[str]:
    found = catalog(
        folder,
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name LIKE 'anabranch!_!_%' ESCAPE '!'"
        f" OR regexp_matches(table_name, '{ADOPTED}')"
        " UNION SELECT schema_name || '.' || view_name FROM duckdb_views()"
        " WHERE schema_name LIKE 'anabranch!_!_%' ESCAPE '!'"
        f" OR regexp_matches(view_name, '{ADOPTED}') ORDER BY 1",
    )
    return [str(row[0]) for row in found if not (IS_PLAIN and is_beside(str(row[0])))]


def beside(folder: Path) -> list[str]:
    """Tables that stand beside locations."""
    found = catalog(folder, "SELECT schema_name || '.' || table_name FROM duckdb_tables() ORDER BY 1")
    return [str(row[0]) for row in found if is_beside(str(row[0]))]


def stem(location: str) -> str:
    """What the names of all tables beside a location begin with."""
    return fresh(relation(location), 0).name.removesuffix("__g0").join((location.rpartition(".")[0] + ".", ""))


def seen(folder: Path) -> dict[str, dict[str, Any]]:
    """Of each environment, what its readers see: the tree that is recorded with the data, and every view with its
    definition and its rows."""
    if not (folder / DATABASE).exists():
        return {}
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        found: dict[str, dict[str, Any]] = {}
        views = connection.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
            f" AND schema_name NOT LIKE 'anabranch%' AND NOT regexp_matches(view_name, '{ADOPTED}')"
            " UNION ALL SELECT schema_name, table_name, 'a table' FROM duckdb_tables()"
            " WHERE (schema_name IN ('marts', 'raw') OR schema_name LIKE 'raw!_!_%' ESCAPE '!')"
            f" AND NOT regexp_matches(table_name, '{HIDDEN}') ORDER BY ALL"
        ).fetchall()
        for schema, view, text in views:
            name = schema.partition("__")[2] or "prod"
            try:
                rows = connection.execute(f'SELECT * FROM "{schema}"."{view}" ORDER BY ALL').fetchall()
            except duckdb.Error as error:
                rows = [(type(error).__name__,)]
            found.setdefault(name, {})[f"{schema}.{view}"] = [text, [list(map(str, row)) for row in rows]]
        for shown in found.values():
            shown["tree"] = None
        if connection.execute("FROM duckdb_tables() WHERE table_name = 'environments'").fetchall():
            order = "number" if IS_PLAIN else "1"  # the last one counts
            recorded = f"SELECT environment, tree_id FROM anabranch.environments ORDER BY {order}"
            for name, tree in connection.execute(recorded).fetchall():
                if tree is not None:
                    found.setdefault(name, {})["tree"] = tree
                elif set(found.get(name, ())) == {"tree"}:
                    del found[name]
        return found


def refs(folder: Path) -> dict[str, str]:
    """Of each environment, the tree of its head."""
    if not (folder / ".anabranch" / "state.db").exists():
        return {}
    with SqliteStore(folder / ".anabranch" / "state.db") as store:
        heads = {k.removeprefix("ref/"): CommitId(json.loads(v)["head"]) for k, v in store.scan("ref/").items()}
        read = store.get([ObjectId(h) for h in heads.values()])
        return {name: commits.decode(read[head]).tree for name, head in heads.items()}


def cells(folder: Path) -> dict[str, bytes]:
    if not (folder / ".anabranch" / "state.db").exists():
        return {}
    with SqliteStore(folder / ".anabranch" / "state.db") as store:
        return store.scan("")


def reachable(folder: Path) -> list[str]:
    """The locations that the heads of all environments reach."""
    w = bootstrap.open_workspace(folder)
    try:
        found = {s.location for name in w.state.environments() for s in w.assets(name).values() if s.is_physical}
        return sorted(found)
    finally:
        w.close()
