"""anabranch test: the rows that a test gives a model, their types, and the present that it runs in."""

import re

import pytest
from inline_snapshot import snapshot
from tests.cli.unit_testing import of

# --- inputs


def test_missing_columns_are_null_with_the_declared_type(shop, tried):
    query = "select id, typeof(id) as a, typeof(country) as b, typeof(amount) as c, country from raw.orders"
    rows = "[{id: 1, a: INTEGER, b: VARCHAR, c: DOUBLE, country: null}]"
    assert tried(of(query, rows, shop, "    raw.orders: [{id: 1}]\n")).code == 0


def test_types_are_known_through_models(shop, tried):
    query = "select typeof(name) as a, typeof(revenue) as b from marts.revenue"
    assert tried(of(query, "[{a: VARCHAR, b: DOUBLE}]", shop, "    marts.revenue: [{name: x}]\n")).code == 0


def test_types_of_seeds(shop, tried):
    query = "select typeof(name) as a from seeds.countries"
    assert tried(of(query, "[{a: VARCHAR}]", shop, "    seeds.countries: [{code: 12}]\n")).code == 0


def test_types_that_the_test_says(shop, tried):
    query = "select typeof(id) as a, typeof(x) as b, x from raw.orders"
    inputs = "    raw.orders: {columns: {id: smallint, x: 'decimal(9,2)[]'}, rows: [{id: 1, x: [1.5, 2]}]}\n"
    said = tried(of(query, "[{a: SMALLINT, b: 'DECIMAL(9,2)[]', x: [1.5, 2]}]", shop, inputs))
    assert said.code == 0, said.out


def test_types_that_the_values_tell(shop, tried):
    shop.replace("anabranch.yaml", ": {columns: {id: integer, country: text, amount: double}}", ": {}")
    query = "select " + ", ".join(f"typeof({c}) as {c}" for c in "abcdefghi") + " from raw.orders limit 1"
    row = "{a: 1, b: 2.5, c: x, d: true, e: 2022-01-01, f: 2022-01-01 12:00:00, g: null, h: [1], i: {k: 1}}"
    rows = (
        "[{a: BIGINT, b: DOUBLE, c: VARCHAR, d: BOOLEAN, e: DATE, f: TIMESTAMP, g: INTEGER, h: 'BIGINT[]',"
        " i: STRUCT(k BIGINT)}]"
    )
    said = tried(of(query, rows, shop, f"    raw.orders: [{row}, {{b: 1, e: null}}]\n"))
    assert said.code == 0, said.out


def test_what_is_not_given_is_empty_where_its_columns_are_known(shop, tried):
    query = "select count(*) as n, (select count(*) from marts.top) as m, (select count(*) from seeds.countries) as k from raw.orders"
    assert tried(of(query, "[{n: 0, m: 0, k: 0}]", shop)).code == 0


def test_what_is_not_given_and_not_known(shop, tried):
    shop.replace("anabranch.yaml", ": {columns: {id: integer, country: text, amount: double}}", ": {}")
    said = tried(of("select * from stg.orders", "[]", shop))
    assert said.code == 2
    assert shop.plain(said.out) == snapshot("""\
! t   main.m   tests/test_it.yaml:1
    ✗ tests/test_it.yaml:1:1  t gives no rows for stg.orders, which main.m reads and whose columns aren't known
        1 │ t:
          │ ~ add stg.orders to inputs
0 passed, 1 test can't be run, <time>
""")
    said = tried(of("select * from raw.orders", "[]", shop))
    assert "or declare its columns under sources in anabranch.yaml" in said.out


def test_embedded_models_are_inlined_unless_they_are_given(shop, tried):
    query = "select id from core.valid"
    inputs = "    stg.orders: [{id: 1, amount: 5}, {id: 2, amount: -5}]\n"
    assert tried(of(query, "[{id: 1}]", shop, inputs)).code == 0
    assert tried(of(query, "[{id: 7}]", shop, "    core.valid: [{id: 7, amount: -5}]\n")).code == 0


def test_an_embedded_model_itself(shop, tried):
    text = "t: {model: core.valid, inputs: {stg.orders: [{id: 1, amount: 1}]}, outputs: {query: [{id: 1, amount: 1}]}}"
    assert tried(text).code == 0


def test_rows_from_a_query_and_a_file(shop, tried):
    shop.write("tests/fixtures/orders.csv", "id,amount\n1,2.5\n2,\n")
    query = "select o.id, o.amount, c.name from raw.orders as o, seeds.countries as c"
    inputs = "    raw.orders: {path: fixtures/orders.csv}\n    seeds.countries: {query: select 'x' as name}\n"
    rows = "[{id: 1, amount: 2.5, name: x}, {id: 2, name: x}]"
    assert tried(of(query, rows, shop, inputs)).code == 0


def test_what_is_given_but_not_read_is_told(shop, tried):
    said = tried(of("select 1 as x", "[{x: 1}]", shop, "    raw.orders: [{id: 1}]\n"))
    assert (said.code, said.err) == (0, "note: tests/test_it.yaml:1  raw.orders is given, but main.m doesn't read it\n")


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("[{ide: 1}]", "raw.orders has no column ide", "did you mean id?"),
        ("[{zzz: 1}]", "raw.orders has no column zzz", "give its type under columns, or use id, country, amount"),
        ("[{id: x}]", "'x' can't be a value of id, which is INTEGER", "give another type under columns"),
        ("[{id: 2.7}]", "2.7 is no whole number, and the column is INTEGER", "give another type under columns"),
        ("{columns: {d: date}, rows: [{d: 2022-01-01 12:00:00}]}", "2022-01-01 12:00:00 has a time, and the column is DATE", ""),
        ("{columns: {d: 'decimal(4,1)'}, rows: [{d: 1.25}]}", "1.25 has more digits than DECIMAL(4,1) keeps", ""),
        ("{columns: {id: inte}, rows: []}", "raw.orders.id: 'inte' is no type", "write it as in CREATE TABLE"),
        ("{query: select 1 frm x}", "", ""),
        ("{query: from stg.orders}", "the query reads stg.orders, which doesn't exist", "stands alone"),
        ("{query: drop table x}", "DROP drops something; only queries are run in an environment", ""),
        ("{query: select 'x' as id}", "this query can't be run: Conversion Error", "correct it"),
    ],
)  # fmt: skip
def test_mistakes_in_inputs(shop, tried, given, message, hint):
    said = tried(of("select * from raw.orders", "[]", shop, f"    raw.orders: {given}\n"))
    assert said.code == 2
    assert re.search(r"✗ tests/test_it\.yaml:4:\d+  ", said.out)
    assert message in said.out
    assert hint in said.out


def test_values_of_different_types(shop, tried):
    shop.replace("anabranch.yaml", ": {columns: {id: integer, country: text, amount: double}}", ": {}")
    said = tried(of("select * from raw.orders", "[]", shop, "    raw.orders: [{a: 1}, {a: x}]\n"))
    assert said.code == 2
    assert "raw.orders.a: 1 and 'x' are of different types" in said.out


# --- expressions and time


def test_expressions(shop, tried):
    query = (
        "with a as (select id * 2 as id from raw.orders), b as (select id + 1 as id from a) select sum(id) as s from b"
    )
    inputs = "    raw.orders: [{id: 1}, {id: 2}]\n"
    more = "    ctes:\n      a: [{id: 2}, {id: 4}]\n      B: {rows: [{id: 3}, {id: 5}]}\n"
    assert tried(of(query, "[{s: 8}]", shop, inputs, more)).code == 0
    said = tried(of(query, "[{s: 8}]", shop, inputs, more.replace("4", "5")))
    assert said.code == 1
    assert "    expression a: 1 row differs\n" in said.out
    said = tried(of(query, "[{s: 8}]", shop, inputs, "    ctes: {c: []}\n"))
    assert said.code == 2
    assert "the query has no common table expression c" in said.out


def test_the_present(shop, tried):
    query = "select current_date as d, now()::timestamp as n, current_timestamp::date = today() as same"
    rows = "[{d: 2022-01-01, n: 2022-01-01 12:00:00, same: true}]"
    more = "  vars: {start: 2022-01-01, execution_time: 2022-01-01 12:00:00}\n"
    assert tried(of(query, rows, shop, more=more)).code == 0
    assert tried(of(query, rows, shop)).code == 1


def test_the_present_in_an_embedded_model(shop, tried):
    shop.write("models/core/now.sql", "MODEL (kind EMBEDDED); select today() as d")
    more = "  vars: {execution_time: 2022-01-01}\n"
    assert tried(of("select d from core.now", "[{d: 2022-01-01}]", shop, more=more)).code == 0
