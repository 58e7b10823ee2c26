"""What has no rule makes a model count as a whole; and names that could mean two things do."""

from __future__ import annotations

import itertools
import re

import duckdb
import pytest
from sqlglot import exp
from tests.sql.trees import tree

from anabranch.domain.names import AssetName
from anabranch.errors import AnabranchError
from anabranch.sql.columns import functions
from anabranch.sql.columns.analysis import analyse
from anabranch.sql.columns.operators import agrees
from anabranch.sql.columns.values import Analysis, Listing
from anabranch.sql.syntax import single

LISTINGS = {
    AssetName("s.t"): Listing(("a", "b", "c"), is_closed=True),
    AssetName("s.u"): Listing(("a", "v"), is_closed=True),
    AssetName("s.open"): Listing(is_source=True),
    AssetName("s.more"): Listing(is_source=True),
    AssetName("s.said"): Listing(("a", "b"), is_source=True),
    AssetName("s.unknown"): None,
}


def analysed(query: str, dialect: str = "duckdb") -> Analysis:
    return analyse(single(query, dialect), "main", LISTINGS)


REFUSED = {
    # what has no rule
    "with recursive q as (select 1 as a union all select a + 1 from q where a < 5) select a from q": "WITH RECURSIVE",
    "select * from (pivot s.t on a using sum(b))": "PIVOT",
    "select list_transform([a], x -> x + 1) as n from s.t": "list_transform()",
    "select a from s.t, unnest([1]) as n(x)": "UNNEST in FROM",
    "select unnest([a]) as n from s.t": "unnest()",
    "select i.range as n from range(3) as i": "a table function",
    "select a from s.t tablesample 10%": "TABLE with sample",
    "select a[1:2] as n from s.t": "",
    "select a from s.t natural join s.u": "JOIN with method",
    "select t.b from s.t positional join s.u": "JOIN with",
    "select a from s.t asof join s.u using (a)": "JOIN with method",
    "select a, sum(b) as n from s.t group by rollup (a)": "ROLLUP",
    "select my_macro(a) as n from s.t": "my_macro()",
    "select columns('a') from s.t": "a column without a name",
    "select a + 1 from s.t": "a column without a name",
    "select a, b as a from s.t": "two columns of one name",
    "select a from s.t limit 1 + 1": "LIMIT of something else than a number",
    "select a from read_csv('x.csv')": "what lies outside the project",
    "select a collate nocase as n from s.t": "'nocase', which isn't understood there",
    "select a::my_enum as n from s.t": "'my_enum', which isn't understood there",
    "select rowid from s.t": "rowid",
    "select struct_pack(a, b) as n from s.t": "struct_pack()",
    "select row(a, b) as n from s.t": "row()",
    "select alias(a) as n from s.t": "alias()",
    "select a, (select sum(t.b)) as n from s.t": "an aggregate over columns of a query outside",
    "select t as n from s.t": "t, which is the name of a relation",
    "select t.a.b as n from s.t": "t.a.b, which may be a field of t",
    "select a.x as n from s.t": "a.x, which may be a field of a",
    "select x.nope from s.t as x": "x.nope, which isn't among the columns",
    "select nope from s.t": "nope, which is no column of what is read",
    "select a from s.t join s.u on t.a = u.a": "a, which several relations have",
    "select x.a from s.t as x join s.u as x on true": "two relations of one name",
    # names that the engine may understand in another way
    "select d.z from s.t, (select t.a + 1 as z) as d": "t.a, which may be a field of t",
    "select d.z from s.t, (select a + 1 as z) as d": "a, which may belong to a query outside",
    "select (with q as (select t.a as z) select z from q) as n from s.t": "t.a, which may be a field of t",
    # columns that aren't known
    "select * from s.open": "a star over columns that aren't known",
    "select * from s.unknown": "a star over columns that aren't known",
    "select x from s.open join s.more on open.k = more.k": "x without the relation it belongs to, where not all columns are known",
    "select open.x from s.open where exists (select 1 from s.more where z = 1)": "z without the relation",
    "select t.a from s.t where exists (select 1 from s.open where b = 1)": "b without the relation",
    "select * from s.said union all select a, b from s.t": "UNION of columns that aren't all known",
    "select * from (select * from s.said) as d order by 1 limit 2": "the number of a column where not all are known",
    "select d.c from (select * from s.said) as d": "d.c, which isn't among the columns",
    "select x.p from (select * from s.said) as x(p, q)": "names for columns that aren't all known",
    # what the parser takes for something else
    "select date_trunc(c, a) as n from s.t": "'c', which isn't understood there",
    "select last_day(a, b) as n from s.t": "'b', which isn't understood there",
    "select a -> 'x' as n from s.t": "'x', which the parser takes for something else",
    "select e'a\\tb' as n from s.t": "a string of an unusual form",
    "select a[-1] as n from s.t": "'1', which the parser takes for something else",
}


@pytest.mark.parametrize("query", REFUSED)
def test_what_counts_as_a_whole(query: str) -> None:
    found = analysed(query)
    assert found.fallback.startswith(REFUSED[query])
    assert found.listing is None


@pytest.mark.parametrize(
    "query",
    [
        "select x, y + 1 as n from s.open where z > 1 order by w",
        "select open.x, more.y from s.open join s.more on open.k = more.k",
        "select x from s.open where exists (select 1 from s.t where t.a = open.x)",
        "select t.a from s.t where exists (select 1 from s.open where z = t.a)",
        "select open.x from s.open where exists (select 1 from s.t where z = 1)",
        "select d.x, t.a from s.t join (select x from s.open) as d on d.x = t.a",
        "with q as (select x from s.open) select x from q",
        "select k, open.x, more.y from s.open join s.more using (k)",
        "select * from s.said",
        "select said.c from s.said",
        "select u.x from s.unknown as u",
        "select a, b as k, k + 1 as n from s.t where k > 1",
    ],
)
def test_what_can_be_told(query: str) -> None:
    assert analysed(query).fallback == ""


def test_another_dialect_counts_as_a_whole() -> None:
    assert analysed("select a from s.t", "postgres").fallback == "queries of postgres"


def test_a_star_over_what_is_only_declared_leaves_the_rest_open() -> None:
    found = analysed("select *, a + 1 as n from s.said").listing
    assert found == Listing(("a", "b", "n"), is_closed=False)


# -- the tree says what the text says ----------------------------------------------------------------------------------

BINARY = ["or", "and", "=", "<>", "<", ">=", "+", "-", "*", "/", "//", "%", "||", "like", "is distinct from"]
AROUND = [
    "not {}",
    "- {}",
    "{} is null",
    "{} is not null",
    "{} in (1, 2)",
    "{} not in (1)",
    "{} between 1 and 2",
    "{}::int",
]


def grouped() -> list[str]:
    """Expressions of two operators, with parentheses here and there and without."""
    found = []
    for one, other in itertools.product(BINARY, BINARY):
        found += [
            f"a {one} b {other} c",
            f"(a {one} b) {other} c",
            f"a {one} (b {other} c)",
            f"(a) {one} (b {other} (c))",
        ]
    for around, one in itertools.product(AROUND, BINARY):
        found += [around.format(f"a {one} b"), around.format(f"(a {one} b)")]
        found += [f"{around.format('a')} {one} b", f"({around.format('a')}) {one} b"]
        found += [f"a {one} {around.format('b')}", f"a {one} ({around.format('b')})"]
    for one, other in itertools.product(AROUND, AROUND):
        found += [one.format(other.format("a")), one.format(f"({other.format('a')})")]
    return found


def test_what_groups_alike_here_groups_alike_in_the_engine() -> None:
    """Equal hashes, equal parse trees. Texts here never differ in the order of operands, so trees aren't just similar."""
    found: dict[str, dict[str, str]] = {}
    for expression in grouped():
        query = f"select {expression} as n from s.t"
        there = tree(query)
        if there is None:
            continue
        try:
            here = analysed(query)
        except AnabranchError:
            continue
        if not here.fallback:
            found.setdefault(here.logic, {}).setdefault(there, expression)
    assert len(found) > 900
    assert [list(group.values()) for group in found.values() if len(group) > 1] == []


A, B, C = (exp.column(name) for name in "abc")


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (exp.Sub(this=exp.Sub(this=A, expression=B), expression=C), True),
        (exp.Sub(this=A, expression=exp.Sub(this=B, expression=C)), False),
        (exp.Sub(this=A, expression=exp.Paren(this=exp.Sub(this=B, expression=C))), True),
        (exp.Mul(this=exp.Add(this=A, expression=B), expression=C), False),
        (exp.EQ(this=A, expression=exp.Is(this=B, expression=exp.Null())), False),
        (exp.Is(this=exp.EQ(this=A, expression=B), expression=exp.Null()), False),
        (exp.Is(this=exp.Paren(this=exp.EQ(this=A, expression=B)), expression=exp.Null()), True),
        (exp.Is(this=exp.Add(this=A, expression=B), expression=exp.Null()), True),
        (exp.EQ(this=exp.EQ(this=A, expression=B), expression=C), False),
        (exp.Not(this=exp.EQ(this=A, expression=B)), True),
        (exp.EQ(this=exp.Not(this=A), expression=B), False),
        (exp.DPipe(this=A, expression=B), False),
        (exp.And(this=exp.EQ(this=A, expression=exp.DPipe(this=B, expression=C)), expression=C), False),
    ],
)
def test_a_tree_is_believed_only_where_all_agree_how_it_is_grouped(node: exp.Expr, expected: bool) -> None:
    """Parsers change; a tree of a shape that no text without parentheses may give isn't believed."""
    assert agrees(node) == expected


ALL = functions.SCALAR | functions.ANY_AGGREGATES | functions.RANKS | functions.ORDERED_WINDOWS


def test_no_argument_of_a_function_is_lost() -> None:
    """A column that stands in a call has to count, and its place has to."""
    connection = duckdb.connect()
    known = {name for (name,) in connection.execute("select distinct function_name from duckdb_functions()").fetchall()}
    seen = 0
    for name, count in itertools.product(sorted(ALL & known), range(1, 4)):
        hashes = []
        for columns in itertools.permutations("abc", count):
            try:
                found = analysed(f"select {name}({', '.join(columns)}) as n from s.t")
            except AnabranchError:
                continue
            if not found.fallback:
                assert {s.column for s in found.slots} >= set(columns), name
                hashes.append(found.logic)
        assert len(set(hashes)) == len(hashes), name
        seen += len(hashes)
    assert seen > 500


def test_each_type_is_its_own() -> None:
    """Types that are one here are one in the engine."""
    names = [
        "bigint",
        "int8",
        "long",
        "boolean",
        "bool",
        "logical",
        "date",
        "decimal",
        "numeric",
        "decimal(10,2)",
        "double",
        "float8",
        "real",
        "float",
        "float4",
        "integer",
        "int",
        "int4",
        "signed",
        "smallint",
        "int2",
        "short",
        "tinyint",
        "int1",
        "hugeint",
        "int128",
        "uhugeint",
        "ubigint",
        "uinteger",
        "usmallint",
        "utinyint",
        "text",
        "varchar",
        "string",
        "char",
        "bpchar",
        "varchar(10)",
        "timestamp",
        "datetime",
        "timestamp_us",
        "timestamp_s",
        "timestamp_ms",
        "timestamp_ns",
        "timestamptz",
        "time",
        "timetz",
        "uuid",
        "json",
        "blob",
        "bytea",
        "binary",
        "varbinary",
        "bit",
        "interval",
        "int[]",
        "int[3]",
        "int[][]",
        "text[]",
    ]
    connection = duckdb.connect()
    found: dict[str, set[str]] = {}
    for name in names:
        here = analysed(f"select a::{name} as n from s.t")
        there = connection.execute(f"select typeof(null::{name})").fetchone()
        assert there is not None
        if not here.fallback:
            found.setdefault(here.logic, set()).add(there[0])
    assert len(found) > 20
    assert [types for types in found.values() if len(types) > 1] == []


def test_functions_are_what_the_engine_says_they_are() -> None:
    rows = duckdb.connect().execute("select function_name, function_type, stability from duckdb_functions()").fetchall()
    for name, kind, stability in rows:
        if not re.fullmatch("[a-z_0-9]+", name):
            continue
        if name in functions.SCALAR:
            assert kind in ("scalar", "macro", "table") or name in ("first", "last"), name
            assert stability in (None, "CONSISTENT") or kind != "scalar", name
        if name in functions.ANY_AGGREGATES and kind == "scalar":
            assert name in ("list",), name
