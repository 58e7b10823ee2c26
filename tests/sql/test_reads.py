"""Which tables a query reads; DuckDB's own answer is the judge where it gives one."""

import re

import duckdb
import pytest
from tests.sql.test_rewrite import QUERIES
from tests.sql.trees import meaning

from anabranch.errors import ModelError
from anabranch.sql.reads import READS_CATALOG_NOTE, READS_FILES_NOTE, find_reads
from anabranch.sql.syntax import single


def reads(query: str) -> list[str]:
    return [".".join(r.parts) for r in find_reads(single(query, "duckdb")).reads]


def notes(query: str) -> tuple[str, ...]:
    return find_reads(single(query, "duckdb")).notes


@pytest.mark.parametrize("query", [q for q in QUERIES if meaning(q) is not None])
def test_duckdb_reads_the_same(query: str) -> None:
    try:
        found = duckdb.get_table_names(query, qualified=True)
    except duckdb.Error:
        pytest.skip("DuckDB can't tell without the tables")
    names = {re.sub(r" (as|tablesample) .*", "", name.replace('"', "").lower()) for name in found}
    assert names == set(reads(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("from a.b", ["a.b"]),
        ("from b", ["b"]),
        ("from c.a.b", ["c.a.b"]),
        ('from "A"."b B"', ["a.b b"]),
        ("from a.b, a.b as c", ["a.b", "a.b"]),
        ("with b as (from b) from b", ["b"]),
        ("with b as (from a.b) from b", ["a.b"]),
        ("with b as (select 1) from a.b", ["a.b"]),
        ("with B as (select 1) from b", []),
        ("with a as (from b), b as (select 1) from a", ["b"]),
        ("with a as (select 1), b as (from a) from a, b", []),
        ("with a as (select 1) select * from (with a as (from a), c as (from b) from a, c)", ["b"]),
        ("select * from (with a as (select 1) from a), a", ["a"]),
        ("select (with a as (select 1) select * from a), x from a", ["a"]),
        ("with recursive a as (from a) from a", ["a"]),
        ("with recursive a as (from b union all from a) from a", ["b"]),
        ("with recursive a as (from a union all from a) from a", ["a"]),
        ("with recursive a as (from b union all from a union all from a) from a", ["b", "a"]),
        ("with recursive a as ((from b) union (from a where x in (from a))) from a", ["b"]),
        ("with recursive a as (with b as (from c) from b union all from a, b) from a", ["c"]),
        ("with recursive a as (from b union from a, recurring.a) from a", ["b"]),
        ("from recurring.a", ["recurring.a"]),
        ("with recursive a as (from b except from a) from a", ["b", "a"]),
        ("from a pivot (sum(x) for y in (1)) join b on true", ["a", "b"]),
        ("pivot a on x using sum(y)", ["a"]),
        ("pivot (from a) on x using sum(y)", ["a"]),
        ("select * from a where x in (from b) and exists (from c) and y = any(from d)", ["a", "b", "c", "d"]),
        ("select a.b.c, d.e.f from a.b", ["a.b"]),
        ("from a, lateral (from b where b.x = a.x), unnest(a.l) as u", ["a", "b"]),
        ("from (a join b on true) join (c left join d using (x)) using (x)", ["a", "b", "c", "d"]),
        ("describe a", ["a"]),
        ("values ((select max(x) from a))", ["a"]),
        ("from range(3), generate_series(1, 2), unnest([1]), f(x)", []),
        ("from a order by (select max(x) from b) limit (select count(*) from c)", ["a", "b", "c"]),
        ("select list(x order by (select 1 from b)) filter (where x in (from c)) from a", ["b", "c", "a"]),
        ("select sum(x) over (partition by (select 1 from b)) from a", ["b", "a"]),
        ("select case when exists (from b) then 1 end from a", ["b", "a"]),
        ("select [x for x in (select list(y) from b)] from a", ["b", "a"]),
    ],
)
def test_scopes(query: str, expected: list[str]) -> None:
    assert reads(query) == expected


def test_where_a_name_stands() -> None:
    query = 'with é as (select 1)\nselect * from\n  sales . "Orders" o'
    (found,) = find_reads(single(query, "duckdb")).reads
    assert query[found.start : found.end] == 'sales . "Orders"'
    assert found.asset("main") == "sales.orders"


@pytest.mark.parametrize(
    "query",
    [
        "from 'a.parquet'",
        'from "data/a.csv"',
        'from "a.csv.gz"',
        "from read_csv('a.csv')",
        "from read_parquet(['a', 'b'])",
        "from glob('*')",
        "select (select count(*) from 'https://example.com/a.json')",
    ],
)
def test_files_are_noted(query: str) -> None:
    assert reads(query) == []
    assert notes(query) == (READS_FILES_NOTE,)


def test_the_catalog_is_noted() -> None:
    query = "from information_schema.tables, pg_catalog.pg_class, x.information_schema.columns"
    assert reads(query) == []
    assert notes(query) == (READS_CATALOG_NOTE,)
    assert notes("select 'a.csv' as glob, a glob 'x' as y from t") == ()


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("from a.b.c.d", "a.b.c.d has 4 parts (line 1, column 6)", "write schema.name or catalog.schema.name"),
        (
            "from a.b at (version => 3)",
            "a.b is read as of another time (line 1, column 6)",
            "drop AT (…): each environment has its own versions of a table",
        ),
        (
            "select 1\nfrom query_table('a.b')",
            "query_table() names what it reads in a text, which can't be followed (line 2, column 6)",
            "name the table after FROM",
        ),
    ],
)
def test_what_cant_be_followed(query: str, message: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        reads(query)
    assert (caught.value.message, caught.value.hint) == (message, hint)
