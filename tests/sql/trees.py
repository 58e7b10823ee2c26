"""DuckDB's own opinion of what a query means: its parse tree."""

import json
import re
from functools import cache

import duckdb

from anabranch.errors import SqlSyntaxError
from anabranch.sql.canonical import words
from anabranch.sql.syntax import single


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def tree(query: str) -> str | None:
    """What DuckDB parses ``query`` to, without positions; None where it doesn't parse."""
    row = _connection().execute("select json_serialize_sql($1)", [query]).fetchone()
    assert row is not None
    if not row[0] or json.loads(row[0]).get("error"):
        return None
    return re.sub(r'"query_location":\d+', "", row[0])


def meaning(query: str) -> tuple[str, ...] | None:
    """The words of ``query`` that count here; None where it doesn't parse."""
    try:
        return tuple(words(single(query, "duckdb")))
    except SqlSyntaxError:
        return None


def confused(queries: list[str]) -> list[list[str]]:
    """Those of ``queries`` that are the same here, and not to DuckDB."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for query in queries:
        said, understood = meaning(query), tree(query)
        if said is not None and understood is not None:
            found.setdefault(said, {}).setdefault(understood, query)
    return [list(group.values()) for group in found.values() if len(group) > 1]
