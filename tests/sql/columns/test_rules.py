"""Each rule, with queries that it makes one and queries that it tells apart. Both are run on DuckDB: what is one here gives
the same data there; what is told apart gives other data, wherever it can."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import duckdb
import pytest
from tests.sql.columns.linking import make, source

from anabranch.domain.snapshot import Published
from anabranch.sql.columns.values import Listing

TABLES = {
    "s.t": """select * from (values (1, 10, 'p', 1), (2, 20, 'q', 1), (2, 21, null, 2), (null, 30, 'p', 2), (2, 20, 'q', 1))
        as t(a, b, c, g)""",
    "s.u": "select * from (values (1, 7, 'p'), (2, 8, 'q'), (2, 9, 'q'), (4, null, null)) as u(a, v, c)",
    "s.open": "select * from (values (1, 5), (2, 6), (2, 6)) as o(a, x)",
}
COLUMNS = {"s.t": "abcg", "s.u": "avc", "s.open": "ax"}
UPSTREAMS = {n: source(n, {} if n == "s.open" else dict.fromkeys(c, "")) for n, c in COLUMNS.items()}
LISTINGS = {
    "s.t": Listing(tuple("abcg"), is_closed=True),
    "s.u": Listing(tuple("avc"), is_closed=True),
    "s.open": Listing(is_source=True),
}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("create schema s")
    for name, query in TABLES.items():
        connection.execute(f"create table {name} as {query}")
    yield connection
    connection.close()


def published(query: str) -> tuple[str, Published]:
    """The fingerprint of the whole, and what readers see."""
    made = make({"m.q": query}, UPSTREAMS, LISTINGS).linked["m.q"]
    return made.fingerprint, made.published


def data(connection: duckdb.DuckDBPyConnection, query: str) -> Counter[str]:
    return Counter(map(repr, connection.execute(query).fetchall()))


SAME = [
    # wording
    ("select a, b from s.t", "SELECT t.A, t.\"B\" as b FROM s.t -- both"),
    ("select x.a from s.t as x", "select y.a from s.t y"),
    ("select x.a from s.t as x where x.b > 10", 'select "T".a from "s"."t" as "T" where (10 < "T".b)'),
    ("select a as n from s.t where (a = 1 and b = 10) and c = 'p'", "select a as n from s.t where c = 'p' and 10 = b and 1 = a"),
    ("select a as n from s.t where a = 1 or b = 20 or g = 2", "select a as n from s.t where g = 2 or (b = 20 or a = 1)"),
    ("select a + b * g as n from s.t", "select (a + (b * g)) as n from s.t"),
    ("select a::varchar as n from s.t", "select cast(a as text) as n from s.t"),
    ("select a as n from s.t where a in (1, 2)", "select a as n from s.t where a in (2, 1)"),
    ("select a as n from s.t where not a is null", "select a as n from s.t where a is not null"),
    # common table expressions and subqueries
    ("with q as (select a from s.t) select a from q", "select a from s.t"),
    ("with q as (select a, b as z from s.t where b > 1) select a from q", "select d.a from (select * from s.t) as d where d.b > 1"),
    ("with q as (select a from s.t), r as (select a from s.u) select q.a from q join r on q.a = r.a",
     "with two as (select a from s.u), one as (select a from s.t) select one.a from one join two on two.a = one.a"),
    ("with q as (select a from s.t), nobody as (select 1 as x from s.t) select a from q", "select a from s.t"),
    ("with q(n) as (select a from s.t) select n from q", "select a as n from s.t"),
    ("with q as (with r as (select a from s.t) select a from r) select a from q", "select a from s.t"),
    # stars
    ("select * from s.t", "select a, b, c, g from s.t"),
    ("select * exclude (c, g) from s.t", "select a, b from s.t"),
    ("select * replace (b + 1 as b) from s.t", "select a, b + 1 as b, c, g from s.t"),
    ("select t.*, u.v from s.t as t join s.u as u on t.a = u.a", "select t.a, t.b, t.c, t.g, u.v from s.t as t inner join s.u as u on u.a = t.a"),
    # joins
    ("select t.a, v from s.t left join s.u on t.a = u.a", "select t.a, u.v from s.t left outer join s.u on u.a = t.a"),
    ("select t.b, v from s.t, s.u", "select t.b, u.v from s.t cross join s.u"),
    ("select t.b, v from s.t join s.u on true", "select t.b, u.v from s.t cross join s.u"),
    # grouping
    ("select a, sum(b) as n from s.t group by a", "select a, sum(b) as n from s.t group by 1"),
    ("select a, sum(b) as n from s.t group by a", "select a, sum(b) as n from s.t group by all"),
    ("select a, g, sum(b) as n from s.t group by a, g", "select t.a, g, sum(b) as n from s.t group by g, a"),
    ("select a + 1 as k, sum(b) as n from s.t group by a + 1", "select a + 1 as k, sum(b) as n from s.t group by k"),
    ("select a as k, sum(b) as n from s.t group by a having n > 20", "select a as k, sum(b) as n from s.t group by a having sum(b) > 20"),
    # windows
    ("select a, sum(b) over (partition by a, g) as n from s.t", "select a, sum(b) over w as n from s.t window w as (partition by g, a)"),
    # order that is seen by nobody
    ("select a from (select a, b from s.t) as d", "select a from (select a, c from s.t) as d"),
    # the columns of an undeclared source
    ("select x from s.open where a > 1", "select o.x from s.open as o where 1 < o.a"),
    ("with q as (select * from s.t) select a from q where exists (select 1 from s.u where u.a = q.a)",
     "select a from s.t where exists (select u.v, 2 from s.u where t.a = u.a)"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one(warehouse: duckdb.DuckDBPyConnection, one: str, other: str) -> None:
    assert published(one) == published(other)
    assert data(warehouse, one) == data(warehouse, other)


ROWS = "rows"
NONE: frozenset[str] = frozenset()
DIFFERENT: list[tuple[str, str, str]] = [
    # What differs: the rows, or columns by name. All that isn't named is the same.
    ("n", "select a, b + 1 as n from s.t", "select a, b + 2 as n from s.t"),
    ("n", "select a, b as n from s.t", "select a, g as n from s.t"),
    ("n", "select a, b - g as n from s.t", "select a, g - b as n from s.t"),
    ("n", "select a, b - (g - a) as n from s.t", "select a, b - g - a as n from s.t"),
    ("n", "select b, a < g as n from s.t", "select b, a <= g as n from s.t"),
    ("n", "select a, b < g as n from s.t", "select a, g < b as n from s.t"),
    ("n", "select a, '1' as n from s.t", "select a, 1 as n from s.t"),
    ("n", "select a, 1.0 as n from s.t", "select a, 1.00 as n from s.t"),
    ("n", "select a, cast(b as varchar) as n from s.t", "select a, cast(b as double) as n from s.t"),
    ("n", "select a, {'x': b} as n from s.t", "select a, {'X': b} as n from s.t"),
    ("n", "select a, (b || g) || a as n from s.t", "select a, b || (g || a) as n from s.t"),
    ("n", "select a, [b, g][1] as n from s.t", "select a, [b, g][2] as n from s.t"),
    ("n", "select a, c like 'p' as n from s.t", "select a, c not like 'p' as n from s.t"),
    ("n", "select a, (a = 1) is null as n from s.t", "select a, a = (1 is null) as n from s.t"),
    ("n", "select a, a = b is null as n from s.t", "select a, a = (b is null) as n from s.t"),
    # rows
    (ROWS, "select a from s.t", "select a from s.t where b > 20"),
    (ROWS, "select a from s.t where b > 20", "select a from s.t where b > 10"),
    (ROWS, "select t.a from s.t join s.u on t.a = u.a", "select t.a from s.t left join s.u on t.a = u.a"),
    (ROWS, "select t.a from s.t join s.u on t.a = u.a", "select t.a from s.t join s.u on t.c = u.c"),
    (ROWS, "select t.a from s.t semi join s.u on t.a = u.a", "select t.a from s.t anti join s.u on t.a = u.a"),
    (ROWS, "select a from s.t where a in (select a from s.u)", "select a from s.t where a in (select a from s.u where v > 8)"),
    (ROWS, "select a from s.t where a in (select a from s.u)", "select a from s.t where a in (select v from s.u)"),
    (ROWS, "select a from s.t where exists (select 1 from s.u where u.a = t.a)",
     "select a from s.t where exists (select 1 from s.u where u.a = t.g)"),
    (ROWS, "select a from s.t where not exists (select 1 from s.u where u.a = t.a)",
     "select a from s.t where exists (select 1 from s.u where u.a = t.a)"),
    (ROWS + " a", "select a from s.t union all select a from s.u", "select a from s.u union all select a from s.t"),
    (ROWS, "select a from s.t union all select a from s.u", "select a from s.t union select a from s.u"),
    (ROWS, "select a from s.t except select a from s.u", "select a from s.t except all select a from s.u"),
    (ROWS, "select a from s.t group by a having count(*) > 1", "select a from s.t group by a"),
    (ROWS, "select a from s.t group by a having sum(b) > 30", "select a from s.t group by a having sum(b) > 10"),
    # A set operation that drops rows compares all columns.
    (ROWS + " b", "select a, b from s.t union select a, v as b from s.u", "select a, b from s.t union select a, a as b from s.u"),
    (ROWS + " b", "select a, g as b from s.t except select a, 1 as b from s.u", "select a, g as b from s.t except select a, 2 as b from s.u"),
    ("b", "select a, b from s.t union all select a, v as b from s.u", "select a, b from s.t union all select a, a as b from s.u"),
    # what ranges over rows
    ("n " + ROWS, "select a, count(*) as n from s.t group by a", "select a, count(*) as n from s.t where b > 20 group by a"),
    ("n " + ROWS, "select count(*) as n from s.t", "select count(*) as n from s.u"),
    ("n " + ROWS, "select a, count(*) as n from s.t group by a", "select a, count(*) as n from s.t group by a, g"),
    ("n", "select a, count(*) as n from s.t group by a", "select a, count(b) filter (where b > 20) as n from s.t group by a"),
    ("n", "select a, count(*) filter (where b > 20) as n from s.t group by a",
     "select a, count(*) filter (where b > 10) as n from s.t group by a"),
    ("n", "select a, count(c) as n from s.t group by a", "select a, count(distinct c) as n from s.t group by a"),
    ("n " + ROWS, "select b, sum(b) over () as n from s.t", "select b, sum(b) over () as n from s.t where b > 20"),
    ("n", "select b, sum(b) over (partition by a) as n from s.t", "select b, sum(b) over (partition by g) as n from s.t"),
    ("n", "select b, sum(b) over (order by b) as n from s.t", "select b, sum(b) over (order by b desc) as n from s.t"),
    ("n", "select b, sum(g) over (order by b) as n from s.t",
     "select b, sum(g) over (order by b range between 1 preceding and current row) as n from s.t"),
    (ROWS, "select a from s.t qualify count(*) over (partition by a) > 1", "select a from s.t"),
    ("n " + ROWS, "select a, count(*) over () as n from s.t qualify n > 0",
     "with q as (select a from s.t qualify count(*) over (partition by a) > 1) select a, count(*) over () as n from q"),
    # rows that depend on the selected columns
    (ROWS, "select distinct a from s.t", "select distinct a, b from s.t"),
    (ROWS, "select distinct a from s.t", "select a from s.t"),
    (ROWS, "select a from s.t", "select a, count(*) as n from s.t group by all"),
    (ROWS + " x", "select max(1) as x from s.t where false", "select 1 as x from s.t where false"),
    # a query outside
    ("n", "select a, (select max(v) from s.u where u.a = t.a) as n from s.t", "select a, (select max(v) from s.u where u.a = t.g) as n from s.t"),
    ("n", "select a, (select max(v) from s.u where u.a = t.a) as n from s.t", "select a, (select max(v) from s.u where u.a = u.a) as n from s.t"),
    ("n", "select a, (select max(v) from s.u) as n from s.t", "select a, (select max(v) from s.u where v < 9) as n from s.t"),
    ("n", "select a, case when a = 2 then 'x' when b = 20 then 'y' end as n from s.t",
     "select a, case when b = 20 then 'y' when a = 2 then 'x' end as n from s.t"),
    ("n", "select x.b, (select count(*) from s.t as y where y.a = x.g) as n from s.t as x",
     "select x.b, (select count(*) from s.t as y where y.a = y.g) as n from s.t as x"),
    # which of two
    ("n", "select x.a, y.b as n from s.t as x join s.t as y on x.a = y.g", "select x.a, x.b as n from s.t as x join s.t as y on x.a = y.g"),
    ("n", "select t.b, u.c as n from s.t left join s.u on t.a = u.a", "select t.b, t.c as n from s.t left join s.u on t.a = u.a"),
    ("n", "select b as n from s.t left join s.u using (a)", "select t.a as n from s.t left join s.u using (a)"),
    ("a " + ROWS, "select a from s.t left join s.u using (a)", "select a from s.t full join s.u using (a)"),
    ("n", "select d.a, d.x as n from (values (1, 2)) as d(a, x)", "select d.a, d.x as n from (values (1, 3)) as d(a, x)"),
    # an alias that hides a column, and one that doesn't
    ("n", "select -a as b, b + 1 as n from s.t", "select -a as z, z + 1 as n from s.t"),
    (ROWS + " n", "select least(a, 1) as a, count(*) as n from s.t group by a", "select least(a, 1) as a, count(*) as n from s.t group by 1"),
    ("x", "select x from s.open", "select a as x from s.open"),
]  # fmt: skip
SAME_DATA = {
    # Told apart although the data is the same with these tables, or always.
    ("select a from s.t union all select a from s.u", "select a from s.u union all select a from s.t"),
    ("select a, (b || g) || a as n from s.t", "select a, b || (g || a) as n from s.t"),
}


@pytest.mark.parametrize(("what", "one", "other"), DIFFERENT)
def test_other(warehouse: duckdb.DuckDBPyConnection, what: str, one: str, other: str) -> None:
    (whole, before), (other_whole, after) = published(one), published(other)
    assert whole != other_whole
    assert before.columns is not None
    assert after.columns is not None
    shared = set(before.columns) & set(after.columns)
    differing = {c for c in shared if before.columns[c] != after.columns[c]} | (
        {ROWS} if before.rows != after.rows else set()
    )
    assert differing == set(what.split())
    assert (data(warehouse, one) != data(warehouse, other)) == ((one, other) not in SAME_DATA)
