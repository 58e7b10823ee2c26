"""One expression of a WITH; other dialects."""

import duckdb
import pytest

from anabranch.errors import UnitTestError
from anabranch.sql.unit_query import asks_for_present, cte_names, data_type, in_duckdb, unit_template

QUERY = """
with recursive
  a (x) as not materialized (select 1 union all select x + 1 from a where x < 3),
  "B b" as (with a as (select 10 as x) select x, ')' as y from a),
  c as materialized (select count(*) as n from a)
select * from c, "B b"
"""


def rows(query: str, cte: str | None = None, dialect: str = "duckdb") -> list[tuple]:
    (text,) = unit_template(query, dialect, "main", cte=cte)
    with duckdb.connect(":memory:") as connection:
        return connection.execute(text).fetchall()


def test_each_expression():
    assert cte_names(QUERY, "duckdb") == ["a", "B b", "c"]
    assert rows(QUERY, "a") == [(1,), (2,), (3,)]
    assert rows(QUERY, "b b") == [(10, ")")]
    assert rows(QUERY, "C") == [(3,)]
    assert rows(QUERY) == [(3, 10, ")")]


def test_holes_of_an_expression_are_its_own():
    query = "with a as (select * from raw.x), b as (select * from raw.y) select * from a, b"
    assert unit_template(query, "duckdb", "main", cte="a")[1::2] == ("raw.x",)
    assert unit_template(query, "duckdb", "main", cte="b")[1::2] == ("raw.x", "raw.y")


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("with valid as (select 1) select * from valid", "did you mean valid?"),
        ("with abc as (select 1) select * from abc", "it has: abc"),
        ("select 1", "it begins with no WITH"),
        ("select * from (with vald as (select 1) select * from vald)", "it begins with no WITH"),
    ],
)
def test_an_expression_that_is_not_there(query, hint):
    with pytest.raises(UnitTestError, match="no common table expression vald") as caught:
        unit_template(query, "duckdb", "main", cte="vald")
    assert caught.value.hint == hint


def test_another_dialect():
    query = "select iff(1 > 0, 'a', 'b') as x, dateadd(day, 1, '2022-01-01'::date) as d"
    assert [(r[0], str(r[1])[:10]) for r in rows(query, dialect="snowflake")] == [("a", "2022-01-02")]
    assert in_duckdb("select  1 -- as it is", "duckdb") == "select  1 -- as it is"


def test_what_duckdb_cannot_do():
    with pytest.raises(UnitTestError, match="can't be run in DuckDB, where tests run") as caught:
        in_duckdb("select xmlelement(name foo, 'x') as x, * from t for xml path", "tsql")
    assert caught.value.hint is not None
    assert "tsql" in caught.value.hint


def test_asking_for_the_present():
    assert asks_for_present("select getdate() as x", "tsql")
    assert not asks_for_present("select 1 as now", "duckdb")


def test_types():
    assert data_type("number(10, 2)", "snowflake") == "DECIMAL(10, 2)"
    for wrong in ("foo", "int; drop table x", "", "int)"):
        with pytest.raises(ValueError, match="is no type"):
            data_type(wrong, "duckdb")
