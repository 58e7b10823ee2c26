"""Equal hashes mean equal data: a pair for each rule, both ways, and DuckDB as the judge."""

import re
from collections.abc import Callable
from random import Random
from typing import Any

import duckdb
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from sqlglot import TokenType, exp, parse_one
from tests.sql.test_rewrite import QUERIES
from tests.sql.trees import confused, meaning, tree
from tests.sql.warehouse import answer, database, logical

from anabranch.domain.snapshot import Kind
from anabranch.errors import SqlSyntaxError
from anabranch.sql.canonical import logic, words
from anabranch.sql.reads import find_reads
from anabranch.sql.syntax import Statement, parse, single, split, tokenize


def fingerprint(query: str, kind: Kind = Kind.FULL, schema: str = "main") -> str:
    statement = _statement(query)
    return logic(statement, kind, [r.asset(schema) for r in find_reads(statement).reads])


def _statement(query: str) -> Statement:
    source = single(query, "duckdb").source
    return parse(source, split(tokenize(source))[0])


EQUAL = {
    "comments": [
        ("select id from sales.orders", "select /* the /* nested */ key */ id -- of it\nfrom sales.orders -- all"),
        ("select id from sales.orders", "-- first\n\nselect id\n\n\tfrom sales.orders\n;\n"),
    ],
    "white space": [
        ("select id,amount from sales.orders where id=1", "select  id ,\n  amount from sales . orders where id = 1"),
        ("select id from sales.orders group by id order by id", "select id from sales.orders group\n by id order  by id"),
        ("select items[1] as i from sales.orders", "select items [ 1 ] as i from sales.orders"),
    ],
    "case of keywords and functions": [
        ("select sum(amount) as s from sales.orders where id is not null", "SELECT Sum(amount) AS s FROM sales.orders WHERE id IS NOT NULL"),
        ("select cast(id as double) as d, interval 1 day as i from sales.orders", "select CAST(id AS DOUBLE) as d, INTERVAL 1 DAY as i from sales.orders"),
    ],
    "case of what refers": [
        ("select id, o.amount from sales.orders as o where o.id > 1", "select ID, O.AMOUNT from SALES.Orders as O where o.Id > 1"),
        ("with o as (from sales.orders) select id from o", "with O as (from sales.orders) select Id from o"),
        ("select id from sales.orders join sales.items using (id)", "select id from sales.orders join sales.items using (ID)"),
        ("select sum(id) over w as s from sales.orders window w as (order by id)", "select sum(ID) over W as s from sales.orders window w as (order by Id)"),
        ("select * exclude (items) from sales.orders", "select * exclude (ITEMS) from sales.orders"),
        ("select address.city as c from sales.orders", "select ADDRESS.City as c from sales.orders"),
    ],
    "quotes": [
        ("select id, o.amount from sales.orders as o", 'select "id", "o"."amount" from "sales"."orders" as "o"'),
        ("select id as label from sales.orders", 'select id as "label" from sales.orders'),
        ("select jan as year from sales.months order by year", 'select jan as "year" from sales.months order by "year"'),
    ],
    "as": [
        ("select id as pk, amount + 1 as more from sales.orders as o", "select id pk, amount + 1 more from sales.orders o"),
        ("from (select id as x from sales.orders) as t", "from (select id x from sales.orders) t"),
        ("from range(3) as t(i)", "from range(3) t(i)"),
    ],
    "inner and outer": [
        ("select o.id as x from sales.orders o join sales.items i using (id)", "select o.id as x from sales.orders o inner join sales.items i using (id)"),
        ("select o.id as x from sales.orders o left join sales.items i using (id)", "select o.id as x from sales.orders o LEFT OUTER JOIN sales.items i using (id)"),
        ("select i.id as x from sales.orders o full join sales.items i using (id)", "select i.id as x from sales.orders o full outer join sales.items i using (id)"),
    ],
    "asc": [
        ("select id from sales.orders order by id, amount desc limit 3", "select id from sales.orders order by id asc, amount desc limit 3"),
        ("select rank() over (order by id) as r from sales.orders", "select rank() over (order by id ASC) as r from sales.orders"),
        ("select list(id order by id nulls first) as l from sales.orders", "select list(id order by id asc nulls first) as l from sales.orders"),
    ],
    "parentheses": [
        ("select id from sales.orders where id = 1 or amount > 2 and id < 4", "select (id) from sales.orders where ((id = 1) or ((amount > 2) and (id < 4)))"),
        ("select id + amount * 2 as x from sales.orders", "select (id + (amount * 2)) as x from sales.orders"),
        ("select (id + amount) * 2 as x from sales.orders", "select ((id + (amount))) * (2) x from sales.orders"),
    ],
}  # fmt: skip

DIFFERENT = {
    "values": [
        ("select id from sales.orders where id = 1", "select id from sales.orders where id = 2"),
        ("select 1.0 as x", "select 1.00 as x"),
        ("select 'a' as x", "select 'A' as x"),
        ("select 1 as x", "select '1' as x"),
        ("select 1_000", "select 1 _000"),
    ],
    "names of output columns": [
        ("select id as a from sales.orders", "select id as b from sales.orders"),
        ("select id as a from sales.orders", "select id as A from sales.orders"),
        ("select id from sales.orders", "select id as id from sales.orders"),
        ("with t(a) as (select 1) from t", "with t(A) as (select 1) from t"),
        ("select {a: 1} as x", "select {A: 1} as x"),
        ("select struct_pack(a := 1) as x", "select struct_pack(A := 1) as x"),
        ("select id + 1 from sales.orders", "select ID + 1 from sales.orders"),
        ("select orders from sales.orders", "select Orders from sales.orders"),
        ("select address.city from sales.orders", "select address.City from sales.orders"),
        ("select id as a, a from sales.orders", "select id as a, A from sales.orders"),
        ("select rowid from sales.orders", "select ROWID from sales.orders"),
        ("select max(id) from sales.orders", "select max(\"ID\") from sales.orders"),
        ("select list(id order by id) from sales.orders", "select list(id order by id asc) from sales.orders"),
    ],
    "order of output columns": [("select id, amount from sales.orders", "select amount, id from sales.orders")],
    "order of rows": [
        ("select id from sales.orders order by id", "select id from sales.orders order by id desc"),
        ("select id from sales.orders", "select id from sales.orders order by id"),
    ],
    "sources": [
        ("select id from sales.orders", "select id from old.orders"),
        ("select id from sales.orders, old.orders", "select id from old.orders, sales.orders"),
        ("from sales.orders select id", "select id from sales.orders"),
    ],
    "joins": [
        ("from sales.orders o join sales.items i using (id)", "from sales.orders o left join sales.items i using (id)"),
        ("from sales.orders o left join sales.items i using (id)", "from sales.orders o right join sales.items i using (id)"),
        ("from sales.orders o join sales.items i using (id)", "from sales.orders o cross join sales.items i"),
        ("from sales.items natural join sales.prices", "from sales.items \"natural\" join sales.prices using (name)"),
    ],
    "words that are optional only where they are": [
        ("select t.inner as x from t", "select t.outer as x from t"),
        ("select 1 isnull", "select 1 as isnull"),
        ("select a::double precision as x from t", "select a::double as precision from t"),
        ("select interval '1' year", "select interval '1' as year"),
        ("select sum(a) export_state from t", "select sum(a) as export_state from t"),
        ("select t.asc as x from t", "select t.desc as x from t"),
    ],
    "keywords": [
        ("select distinct id from sales.orders", "select id from sales.orders"),
        ("select id from sales.orders union select 1", "select id from sales.orders union all select 1"),
        ("select current_date as x", 'select "current_date" as x from t'),
        ("select default as x from t", 'select "default" as x from t'),
        ("with a as (select 1) from a", "with a as materialized (select 1) from a"),
    ],
    "quotes that matter": [
        ('select id as "a b" from sales.orders', 'select id as "A b" from sales.orders'),
        ("select 'id' as x from sales.orders", 'select "id" as x from sales.orders'),
        ("from 'a.csv'", 'from "a.csv"'),
    ],
    "functions of one meaning": [("select len(customer) as n from sales.orders", "select length(customer) as n from sales.orders")],
    "parentheses that matter": [("select (1 + 2) * 3 as x", "select 1 + 2 * 3 as x"), ("select a in (b) as x from t", "select a in b as x from t")],
    "templates in values": [("select '--' as x", "select '' as x"), ("select '/* a */' as x", "select '/* b */' as x")],
}  # fmt: skip


def _flat(pairs: dict[str, list[tuple[str, str]]]) -> list[object]:
    return [pytest.param(a, b, id=f"{rule}-{i}") for rule, each in pairs.items() for i, (a, b) in enumerate(each)]


@pytest.fixture(scope="module")
def here():
    with database(logical) as connection:
        yield connection


@pytest.mark.parametrize(("one", "other"), _flat(EQUAL))
def test_what_doesnt_count(one: str, other: str, here: duckdb.DuckDBPyConnection) -> None:
    assert meaning(one) == meaning(other) is not None
    assert fingerprint(one) == fingerprint(other)
    assert answer(here, one) == answer(here, other)


@pytest.mark.parametrize(("one", "other"), _flat(DIFFERENT))
def test_what_counts(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_the_kind_the_dialect_the_stamp_and_what_bare_names_mean_count() -> None:
    query = "select id from orders"
    assert fingerprint(query) != fingerprint(query, kind=Kind.VIEW)
    assert fingerprint(query) != fingerprint(query, schema="sales")
    statement = single(query, "duckdb")
    assert logic(statement, Kind.FULL, ["main.orders"]) != logic(statement, Kind.FULL, ["main.orders"], "2024")
    assert logic(statement, Kind.FULL, ["main.orders"]) != logic(single(query, "postgres"), Kind.FULL, ["main.orders"])


def test_odd_white_space_counts_outside_comments() -> None:
    plain = meaning("select a as x from t")
    assert meaning("select a\u00a0as x from t") != plain
    assert meaning("select a /* \u00a0 /* \u2003 */ */ as x -- \u00a0\n from t") == plain


def test_other_dialects_tell_quoted_identifiers_apart() -> None:
    def said(query: str, dialect: str) -> list[str]:
        return words(single(query, dialect))

    assert said('select "id" as x from t', "postgres") == said("select ID as x from t", "postgres")
    assert said('select "ID" as x from t', "postgres") != said("select ID as x from t", "postgres")
    assert said('select "ID" as x from t', "snowflake") == said("select id as x from t", "snowflake")
    assert said('select "id" as x from t', "snowflake") != said("select id as x from t", "snowflake")


GOLDEN = {
    "select id from sales.orders": "9a94309a",
    "with o as (select *, row_number() over (partition by a order by b desc) as n from x.y) select a, count(*) as c from o where n = 1 group by all having c > 2 order by 2": "ae143228",
    "from a.b join a.c using (id) left join a.d on b.id = d.id and (d.x is null or d.y in (1, 2)) select b.id, coalesce(d.x, 0)::int as x, case when c.y between 1 and 2 then 'a' else 'b' end as k": "491b57a1",
    "pivot a.b on x using sum(y) group by z": "4c287cbb",
    "select a->>'$.b' as x, list_transform(l, lambda e: e + 1) as y, {a: 1, 'b': [1, 2]} as z, date_trunc('month', d) as m, extract(year from d) as n from a.b": "fe10497e",
    "select a + 1, max(b) from a.b group by 1": "e8049196",
    "with recursive t as (select 1 as n union all select n + 1 from t where n < 10) from t": "98913a7b",
}


@pytest.mark.parametrize(("query", "expected"), GOLDEN.items())
def test_the_scheme_stays_as_it_is(query: str, expected: str) -> None:
    """Whatever breaks this makes every project build everything: see WORDS."""
    assert fingerprint(query)[:8] == expected


PARSED = [q for q in QUERIES if meaning(q) is not None]

# -- mutations ---------------------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PARSED), st.randoms(use_true_random=False))
def test_formatting_and_comments_dont_count(query: str, random: Random) -> None:
    mutated = _reformat(query, random)
    assert meaning(query) == meaning(mutated), mutated


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PARSED), st.randoms(use_true_random=False))
def test_the_case_of_keywords_and_what_refers_doesnt_count(
    here: duckdb.DuckDBPyConnection, query: str, random: Random
) -> None:
    """In a query whose words don't become names of columns; and where they do, DuckDB agrees."""
    mutated = _recase(query, random)
    if meaning(query) == meaning(_recase(query, _Upper())):
        assert meaning(query) == meaning(mutated)
    if meaning(query) == meaning(mutated):
        assert answer(here, query) == answer(here, mutated)


def test_the_case_of_most_queries_doesnt_count() -> None:
    free = [q for q in PARSED if meaning(q) == meaning(_recase(q, _Upper()))]
    assert len(free) > len(PARSED) * 0.6


FRAGMENTS = [
    "/*",
    "*/",
    "--",
    "'",
    '"',
    "$$",
    "$q$",
    "E'",
    "\\",
    "a",
    ",",
    ";",
    "''",
    '""',
    "1",
    "x'41'",
    "||",
    "+",
    "\\'",
    "*",
    "/",
    "-",
    "$",
    "é",
    "'a'",
    '"b"',
    "b'1'",
    "/*+",
    "//",
    "#",
    "0x1",
    "1e",
    "1_0",
    ".",
    "@",
    "!",
    "?",
    "::",
    "[",
    "]",
    "{",
]
FRAGMENTS += [" ", "\n", "\r", "\t", "\u00a0", "\u2003", "\x0c"]


@settings(max_examples=1500, deadline=None)
@example("$$$$\xa0--")
@example("/*/**/*/a")
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=9).map("".join))
def test_what_is_taken_for_a_comment_is_one(body: str) -> None:
    """Leaving out what stands between the words changes nothing for DuckDB, unless it counts here as well."""
    query = f"select {body} as x from t"
    if tree(query) is None or meaning(query) is None:
        return
    statement = _statement(query)
    bare, end = "", 0
    for token in statement.tokens:
        bare += (" " if token.start > end else "") + query[token.start : token.end + 1]
        end = token.end + 1
    if meaning(bare) == meaning(query):
        assert tree(bare) in (tree(query), None)


TEMPLATES = [
    ["select a {} from t", "select a as {} from t", 'select a "{}" from t', 'select a as "{}" from t'],
    ["select {} as x from t", 'select "{}" as x from t', "select t.{} as x from t", 'select t."{}" as x from t'],
    ["select a from t {} join u on b", "select a from t as {} join u on b", 'select a from t "{}" join u on b'],
    [
        "select interval '1' {} as x",
        "select interval '1' \"{}\" as x",
        "select interval '1' as {}",
        "select interval '1' {}",
    ],
    ["select sum(a) {} from t", "select sum(a) as {} from t", 'select sum(a) "{}" as x from t'],
    ["select a::double {} from t", "select a::double as {} from t"],
    ["select a from t order by b {}", 'select a from t order by b "{}"', "select a from t order by {}"],
    ["select a from t {} b", 'select a from t "{}" b', "select a from t as {} b", "select {} a as x from t"],
]


@pytest.mark.parametrize("templates", TEMPLATES, ids=lambda templates: templates[0])
def test_keywords_are_confused_with_nothing(templates: list[str]) -> None:
    """Whether quoted or behind AS or not, any word of DuckDB's grammar."""
    for (word,) in duckdb.sql("select distinct keyword_name from duckdb_keywords()").fetchall():
        assert confused([t.replace("{}", word) for t in templates]) == []


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PARSED), st.data())
def test_changes_of_the_tree_count(query: str, data: st.DataObject) -> None:
    before = parse_one(query, read="duckdb")
    after = before.copy()
    nodes = [n for n in after.walk() if _MUTATIONS.get(type(n))]
    assume(nodes)
    node = data.draw(st.sampled_from(nodes))
    _MUTATIONS[type(node)](node)
    one, other = before.sql("duckdb"), after.sql("duckdb")
    assume(one != other)
    try:
        single(other, "duckdb")
    except SqlSyntaxError:
        assume(False)
    assert fingerprint(one) != fingerprint(other), other
    assert confused([one, other]) == []


class _Upper(Random):
    def random(self) -> float:
        return 0.0


def _reformat(query: str, random: Random) -> str:
    """Other white space, and comments, between the words."""
    statement = _statement(query)
    fillers = ["\n", "  ", "\t", " /* ; ' */ ", " -- it's \" (\n", " /* a /* b */ c */\n"]
    parts: list[str] = []
    end = 0
    text = statement.source.text
    for token in statement.tokens:
        gap = text[end : token.start]
        touching = not gap and parts and _might_join(parts[-1], text[token.start])
        parts += ["" if touching else random.choice(fillers) if gap or random.random() < 0.3 else ""]
        parts.append(text[token.start : token.end + 1])
        end = token.end + 1
    return random.choice(["", "-- it\n"]) + "".join(parts) + random.choice(["", ";", " ;\n-- end"])


def _might_join(before: str, after: str) -> bool:
    """``1_000``, ``x'00'`` and ``@-`` aren't what they are apart."""
    return bool(re.match(r"[\w$'\"]{2}|[~!@#^&|?]{2}", before[-1] + after))


def _recase(query: str, random: Random) -> str:
    """Another case for all words outside quotes that aren't aliases."""
    statement = _statement(query)
    text = list(query)
    aliases = {
        i.meta.get("start")
        for a in statement.root.find_all(exp.Alias, exp.TableAlias)
        for i in a.find_all(exp.Identifier)
        if i.parent is a
    }
    params = {n.name.lower() for la in statement.root.find_all(exp.Lambda) for n in la.expressions}
    params |= {
        c.expression.name.lower()
        for c in statement.root.find_all(exp.Comprehension)
        if isinstance(c.expression, exp.Identifier)
    }
    for token in statement.tokens:
        raw = query[token.start : token.end + 1]
        if (
            token.token_type in (TokenType.STRING, TokenType.IDENTIFIER, TokenType.HEREDOC_STRING)
            or token.start in aliases
        ):
            continue
        if raw.lower() not in params and random.random() < 0.5:
            text[token.start : token.end + 1] = raw.upper()
    return "".join(text)


def _literal(node: exp.Expr) -> None:
    node.set("this", node.name + "1")


def _swap(node: exp.Expr) -> None:
    left, right = node.this.copy(), node.expression.copy()
    node.set("this", right)
    node.set("expression", left)


def _negate(node: exp.Expr) -> None:
    node.set("this", exp.not_(node.this.copy()))


def _drop_column(node: exp.Expr) -> None:
    if len(node.expressions) > 1:
        node.set("expressions", node.expressions[:-1])


_MUTATIONS: dict[type[exp.Expr], Callable[[Any], object]] = {
    exp.Literal: _literal,
    exp.Add: _swap,
    exp.GT: _swap,
    exp.LT: _swap,
    exp.And: _swap,
    exp.Where: _negate,
    exp.Having: _negate,
    exp.Join: lambda node: node.set("side", "RIGHT" if node.side != "RIGHT" else "FULL"),
    exp.Ordered: lambda node: node.set("desc", not node.args.get("desc")),
    exp.Select: _drop_column,
    exp.Union: lambda node: node.set("distinct", not node.args.get("distinct")),
    exp.Identifier: lambda node: node.set("this", node.name + "_"),
    exp.Column: lambda node: node.replace(exp.func("f", node.copy())),
}
