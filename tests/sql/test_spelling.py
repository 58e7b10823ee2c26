"""Definitions as DuckDB tells them to who made a view, and to who opens the file later."""

from pathlib import Path

import duckdb
import pytest

from anabranch.sql.spelling import same_definition

TOLD = "SELECT sql FROM duckdb_views() WHERE view_name = 'v'"


def told_twice(path: Path, query: str) -> tuple[str, str]:
    with duckdb.connect(str(path)) as made:
        made.execute(f"CREATE VIEW v AS {query}")
        [(one,)] = made.execute(TOLD).fetchall()
    with duckdb.connect(str(path)) as opened:
        [(other,)] = opened.execute(TOLD).fetchall()
    return one, other


@pytest.mark.parametrize(
    "query",
    [
        "SELECT now()::date AS c, '1'::decimal AS d, '1'::numeric(5) AS e, 'x'::varchar(10) AS f",
        "SELECT NULL::timestamptz AS c, NULL::uuid AS d, NULL::struct(a date, b decimal(4, 1)) AS e, NULL::date[] AS f",
        "SELECT list_transform([1], lambda x: x + 1) AS c, list_reduce([1, 2], lambda x, y: x + y) AS d",
        """SELECT 'a "b" varchar(3)' AS c, date '2020-01-01' AS "My Day", 'it''s'::blob AS d""",
    ],
)
def test_another_spelling_is_the_same_view(tmp_path: Path, query: str):
    one, other = told_twice(tmp_path / "w.duckdb", query)
    assert same_definition(one, other)


def test_the_spelling_does_change(tmp_path: Path):
    """If it no longer does, in all versions, then nothing of this is needed."""
    one, other = told_twice(tmp_path / "w.duckdb", "SELECT '1'::decimal AS c")
    assert one != other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t", "SELECT b FROM t"),
        ("SELECT 'a' AS c", "SELECT 'A' AS c"),
        ("SELECT 'a b' AS c", "SELECT 'a  b' AS c"),
        ("SELECT 'x' AS c", "SELECT x AS c"),
        ("SELECT CAST(a AS DATE) AS c", "SELECT CAST(a AS TIMESTAMP) AS c"),
        ("SELECT a[1] AS c", "SELECT a[2] AS c"),
        ("SELECT a FROM t WHERE (a > 1)", "SELECT a FROM t WHERE (a >= 1)"),
        ("", "SELECT 1 AS c"),
    ],
)
def test_another_view_is_another(one: str, other: str):
    assert not same_definition(one, other)
