"""anabranch test: what passes, what fails and how that is told; and tests that are made from an environment's rows."""

import re
from xml.etree import ElementTree

import pytest
from inline_snapshot import snapshot

TOP = """\
test_top:
  model: marts.top
  inputs:
    marts.revenue:
      - {name: Germany, revenue: 40}
      - {name: France, revenue: 2.5}
  outputs:
    query:
      - {name: Germany}
"""


@pytest.fixture
def tried(shop, anabranch):
    """A test's file is written, and all tests are run."""

    def call(text: str, *arguments: str):
        shop.write("tests/test_it.yaml", text)
        return anabranch("test", *arguments)

    return call


def of(query: str, rows: str, shop, inputs: str = "", more: str = "") -> str:
    """A test of a model that is this query."""
    shop.write("models/m.sql", query)
    given = f"  inputs:\n{inputs}" if inputs else ""
    return f"t:\n  model: m\n{given}  outputs:\n    query: {rows}\n{more}"


# --- what passes


def test_green(shop, tried, anabranch):
    said = tried(TOP)
    assert shop.plain(said.out) == snapshot("1 passed, <time>\n")
    assert (said.code, said.err) == (0, "")
    assert not (shop.root / ".anabranch" / "state.db").exists(), "neither state nor warehouse is opened"
    verbose = tried(TOP, "-v")
    assert shop.plain(verbose.out) == snapshot("✓ test_top   marts.top   tests/test_it.yaml:1\n1 passed, <time>\n")


def test_the_warehouse_is_left_alone(shop, tried):
    shop.database.unlink()
    assert tried(TOP).code == 0
    assert not shop.database.exists()


def test_no_tests_at_all(shop, anabranch):
    for _ in range(2):
        said = anabranch("test")
        assert (said.code, said.out) == (0, "there are no tests yet\nnext: anabranch test create MODEL\n")
        shop.write("tests/test_empty.yaml", "")


def test_a_model_that_reads_nothing(shop, tried):
    assert tried(of("select 1 as x", "[{x: 1}]", shop)).code == 0
    assert tried(of("select 1 as x", "[{x: 2}]", shop)).code == 1


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("from (values (2), (1), (1)) as t(x) order by x", "[{x: 2}, {x: 1}, {x: 1}]"),
        ("select null as x", "[{x: null}]"),
        ("select null as x", "[{}]"),
        ("select 0.1::double + 0.2 as x", "[{x: 0.3}]"),
        ("select 'nan'::double as x, 'inf'::double as y", "[{x: .nan, y: .inf}]"),
        ("select 1.50::decimal(10, 2) as x", "[{x: 1.5}]"),
        ("select 1.50::decimal(10, 2) as x", "[{x: '1.50'}]"),
        ("select date '2022-01-01' as x", "[{x: 2022-01-01}]"),
        ("select date '2022-01-01' as x", "[{x: '2022-01-01'}]"),
        ("select timestamp '2022-01-01' as x", "[{x: 2022-01-01}]"),
        ("select timestamp '2022-01-01 12:00' as x", "[{x: 2022-01-01 12:00:00}]"),
        ("select timestamptz '2022-01-01 12:00:00+02' as x", "[{x: 2022-01-01 10:00:00Z}]"),
        ("select '2022-01-01' as x", "[{x: 2022-01-01}]"),
        ("select interval 1 day as x, time '12:30' as y", "[{x: 1 days, y: '12:30'}]"),
        ("select uuid '6b29fc40-ca47-1067-b31d-00dd010662da' as x", "[{x: 6B29FC40-CA47-1067-B31D-00DD010662DA}]"),
        ("select [1, 2] as x, {'a': 0.5, 'b': 'c'} as y", "[{x: [1, 2], y: {a: 0.5, b: c}}]"),
        ("select map {'a': 1} as x", "[{x: {a: 1}}]"),
        ("select 170141183460469231731687303715884105727::hugeint as x", "[{x: 170141183460469231731687303715884105727}]"),
        ("select 1 as x, 2 as y", "{partial: true, rows: [{y: 2}]}"),
        ("select 1 as x where false", "[]"),
        ("select 'a' as x union all select 'b'", "{query: \"select 'b' as x union all select 'a'\"}"),
        ("select 2.5 as x", "{format: csv, rows: \"x\\n2.50\"}"),
        ("select 2.555::decimal(10,2) as x", "{columns: {x: 'decimal(10,2)'}, rows: [{x: 2.5551}]}"),
        ("select 1 as X", "[{x: 1}]"),
    ],
)  # fmt: skip
def test_equal(shop, tried, query, rows):
    said = tried(of(query, rows, shop))
    assert said.code == 0, said.out


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("select 1 as x union all select 1", "[{x: 1}]"),
        ("select 1 as x", "[{x: 1}, {x: 1}]"),
        ("select 0 as x", "[{x: null}]"),
        ("select '' as x", "[{x: null}]"),
        ("select '1' as x", "[{x: 1}]"),
        ("select 1 as x", "[{x: true}]"),
        ("select 3 as x", "[{x: 2.7}]"),
        ("select 1.51::decimal(10, 2) as x", "[{x: 1.511}]"),
        ("select 0.301::double as x", "[{x: 0.3}]"),
        ("select date '2022-01-01' as x", "[{x: 2022-01-01 12:00:00}]"),
        ("select timestamptz '2022-01-01 12:00:00+02' as x", "[{x: 2022-01-01 12:00:00Z}]"),
        ("select [1, 2] as x", "[{x: [2, 1]}]"),
        ("select 1 as x, 2 as y", "[{x: 1}]"),
        ("select 1 as x", "[]"),
        ("select 1 as x where false", "[{x: 1}]"),
        ("select time '12:30' as x", "[{x: soon}]"),
        ("select 'a' as x", "{query: select 'b' as x}"),
    ],
)
def test_not_equal(shop, tried, query, rows):
    said = tried(of(query, rows, shop))
    assert said.code == 1, said


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


# --- what fails, and how it is told


def test_rows_that_differ(shop, tried):
    query = "from (values (1, 'a', 1.5), (2, 'b', 2.5), (4, 'd', 4.5)) as t(id, name, price)"
    rows = "[{id: 1, name: a, price: 1.5}, {id: 2, name: x, price: 2.5}, {id: 3, name: c, price: 9}]"
    shop.write("models/m.sql", f"MODEL (name main.m, grain id); {query}")
    said = tried(f"t:\n  model: m\n  description: What it is about.\n  outputs: {{query: {rows}}}\n")
    assert said.code == 1
    assert shop.plain(said.out) == snapshot("""\
✗ t   main.m   tests/test_it.yaml:1
    What it is about.
    the query: 1 row differs, 1 missing, 1 unexpected
                   id   name   price
      expected     2    x      2.5
      got          2    b *    2.5
      missing      3    c      9
      unexpected   4    d      4.5
0 passed, 1 failed, <time>
""")


def test_long_differences_are_cut(shop, tried):
    text = of("select range as x from range(30)", "[]", shop)
    said = tried(text)
    assert said.out.count("unexpected ") == 10
    assert "      and 20 more rows\n" in said.out
    assert tried(text, "--verbose").out.count("unexpected ") == 30


def test_values_that_only_differ_in_type(shop, tried):
    assert "1 (str, not int) *" in tried(of("select '1' as x", "[{x: 1}]", shop)).out


def test_columns_that_are_not_expected_or_not_there(shop, tried):
    said = tried(of("select 1 as x, 2 as y", "[{x: 1}]", shop))
    assert "no expected row names y, so NULL is expected there; partial: true leaves it aside" in said.out
    said = tried(of("select 1 as x, 2 as y", "[{x: 1, z: 2}]", shop))
    assert said.code == 1
    assert "the query gives no column z; it gives x, y" in said.out


def test_a_query_that_fails(shop, tried):
    said = tried(of("select error('no luck') as x", "[]", shop))
    assert said.code == 1
    assert "no luck" in said.out
    said = tried(of("select nme from raw.orders", "[]", shop))
    assert said.code == 1
    assert "nme" in said.out


def test_a_mistake_in_a_file(shop, tried):
    said = tried(TOP.replace("marts.top", "marts.tpo"))
    assert (said.code, said.out) == (2, "")
    assert shop.plain(said.err) == snapshot("""\
✗ tests/test_it.yaml:2:10  it tests marts.tpo, which doesn't exist
    2 │   model: marts.tpo
      │          ~~~~~~~~~ did you mean marts.top?
Nothing was changed.
""")


def test_columns_of_a_source_are_in_the_order_of_its_declaration(shop, tried):
    query = "select * from raw.orders union all select 9, 'x', 2.5"
    assert tried(of(query, "[{id: 9, country: x, amount: 2.5}]", shop)).code == 0


def test_a_test_that_fails_leaves_the_others_alone(shop, tried, anabranch):
    shop.write("tests/test_b.yaml", TOP.replace("test_top", "test_other"))
    said = tried(TOP.replace("- {name: Germany}", "- {name: France}"))
    assert said.code == 1
    assert "1 passed, 1 failed" in said.out


# --- which


@pytest.fixture
def several(shop):
    bad = TOP.replace("- {name: Germany}", "- {name: France}")
    shop.write("tests/test_a.yaml", TOP + TOP.replace("test_top", "test_again"))
    shop.write("tests/deep/test_b.yaml", bad.replace("test_top", "test_bad"))
    return shop


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["test_bad", "test_top", "test_again"]),
        (["tests/test_a.yaml"], ["test_top", "test_again"]),
        (["./tests/test_a.yaml::test_again"], ["test_again"]),
        (["test_a.yaml::test_*"], ["test_top", "test_again"]),
        (["tests/deep"], ["test_bad"]),
        (["tests/deep/"], ["test_bad"]),
        (["test_bad", "test_again"], ["test_bad", "test_again"]),
        (["marts.*"], ["test_bad", "test_top", "test_again"]),
        (["Marts.top", "-k", "AGAIN"], ["test_again"]),
        (["-k", "test_[bt]*"], ["test_bad", "test_top"]),
    ],
)
def test_selection(several, anabranch, arguments, names):
    found = anabranch("test", *arguments, "--json").json
    assert [t["test"].rpartition("::")[2] for t in found["tests"]] == names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["test_agian"], "there is no test test_agian\n  next: did you mean test_again?"),
        (["tests/test_a.yaml::nothing"], "there is no test tests/test_a.yaml::nothing"),
        (["-k", "zzz"], "no test has 'zzz' in its name"),
    ],
)
def test_what_selects_nothing(several, anabranch, arguments, message):
    said = anabranch("test", *arguments)
    assert said.code == 2
    assert message in said.err


def test_a_broken_file_does_not_matter_to_others(several, anabranch):
    several.write("tests/test_broken.yaml", "t: [")
    assert anabranch("test").code == 2
    assert anabranch("test", "tests/test_a.yaml::test_top").code == 0


def test_the_first_failure_can_be_the_last(several, anabranch):
    found = anabranch("test", "-x", "--json").json
    assert [t["verdict"] for t in found["tests"]] == ["failed"]


# --- machines


def test_json(several, anabranch):
    said = anabranch("test", "--json")
    assert said.code == 1
    found = said.json
    assert (found["passed"], found["failed"], found["mistakes"]) == (2, 1, 0)
    bad = found["tests"][0]
    assert (bad["test"], bad["line"], bad["verdict"]) == ("tests/deep/test_b.yaml::test_bad", 1, "failed")
    assert bad["mismatches"] == [
        {
            "of": "query",
            "columns": ["name"],
            "lacking": [],
            "rows": [{"expected": ["France"], "got": ["Germany"], "differs": ["name"]}],
        }
    ]


def test_junit(several, anabranch):
    several.write("models/m.sql", "select error(chr(7)) as x")
    several.write(
        "tests/test_z.yaml",
        "t: {model: m, outputs: {query: []}}\nu: {model: m, inputs: {raw.orders: [{z: 1}]}, outputs: {query: []}}",
    )
    anabranch("test", "--junit", "out/junit.xml")
    top = ElementTree.parse(several.root / "out/junit.xml").getroot()
    assert (top.get("tests"), top.get("failures"), top.get("errors")) == ("5", "3", "0")
    assert [s.get("name") for s in top] == ["tests/deep/test_b.yaml", "tests/test_a.yaml", "tests/test_z.yaml"]
    (case,) = top[0]
    assert (case.get("classname"), case.get("name"), case.get("line")) == ("marts.top", "test_bad", "1")
    assert case[0].tag == "failure"
    assert case[0].get("message") == "the query: 1 row differs"
    assert "Germany *" in (case[0].text or "")
    assert top[2][0][0].tag == "error"


# --- making one


@pytest.fixture
def raw(shop, anabranch):
    """prod is there, and a table with values of all kinds in it."""
    shop.replace("anabranch.yaml", "sources:", "sources:\n  raw.things: {}")
    shop.run_sql(
        "CREATE TABLE raw.things AS SELECT 1 AS i, 2::smallint AS s, 1.50::decimal(9, 2) AS d, 0.1::double AS f,"
        " date '2022-01-01' AS day, timestamp '2022-01-01 12:00:00.25' AS at, timestamptz '2022-01-01 12:00:00+02' AS tz,"
        " time '12:30' AS t, interval 36 hours AS v, 'no' AS word, '007' AS agent, 'a: \"b\"\n#' AS odd, '' AS empty,"
        " NULL::varchar AS nothing, true AS b, [1, 2] AS l, {'k': 'v', 'n': 1.5} AS st, '\\x00\\xAB'::blob AS bl,"
        " '6b29fc40-ca47-1067-b31d-00dd010662da'::uuid AS u, 'inf'::double AS inf, 1e20::hugeint AS huge,"
        " map {'a': 1} AS m, 'x'::enum('x', 'y') AS e, '{\"a\": 1}'::json AS j"
    )
    shop.write("models/copy.sql", "select * from raw.things")
    assert anabranch("apply", "prod", "--yes").code == 0
    return shop


def test_values_of_all_kinds_come_back(raw, anabranch):
    said = anabranch("test", "create", "copy")
    assert said.code == 0, said.err
    assert said.out == (
        "tests/test_copy.yaml: main.copy gives 1 row over 1 row of raw.things\n"
        "next: read it, then anabranch test tests/test_copy.yaml\n"
    )
    text = (raw.root / "tests/test_copy.yaml").read_text()
    for line in ('word: "no"', 'agent: "007"', "d: 1.50", "day: 2022-01-01", "nothing: null", 'odd: "a: \\"b\\"\\n#"'):
        assert line in text
    assert anabranch("test").code == 0
    for old, new in (('agent: "007"', 'agent: "7"'), ("d: 1.50", "d: 1.51"), ("nothing: null", 'nothing: ""')):
        head, _, tail = text.rpartition(old)  # in what is expected, which stands last
        raw.write("tests/test_copy.yaml", head + new + tail)
        assert anabranch("test").code == 1, new


def test_making_one(applied, anabranch):
    said = anabranch(
        "test", "create", "marts.revenue",
        "--query", "stg.orders", "select * from stg.orders where id in (1, 2, 8) order by id",
        "-q", "seeds.countries", "from seeds.countries order by code",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert (applied.root / "tests/test_revenue.yaml").read_text() == snapshot("""\
test_revenue:
  model: marts.revenue
  inputs:
    seeds.countries:
      rows:
        - {code: de, name: Germany}
        - {code: fr, name: France}
        - {code: it, name: Italy}
    stg.orders:
      columns: {id: BIGINT, amount: "DECIMAL(21,1)"}
      rows:
        - {id: 1, country: fr, amount: 0.0}
        - {id: 2, country: it, amount: 1.0}
        - {id: 8, country: it, amount: 0.0}
  outputs:
    query:
      rows:
        - {name: Italy, revenue: 1.0}
""")
    assert anabranch("test").code == 0


def test_it_never_overwrites(applied, anabranch):
    applied.write("tests/test_top.yaml", "# mine\n")
    said = anabranch("test", "create", "marts.top")
    assert (said.code, said.err) == (
        1, "✗ tests/test_top.yaml exists\n  next: add --overwrite, or name another file: --path FILE\n",
    )  # fmt: skip
    assert (applied.root / "tests/test_top.yaml").read_text() == "# mine\n"
    assert anabranch("test", "create", "marts.top", "--overwrite").code == 0
    assert anabranch("test", "create", "marts.top", "--path", "tests/x/test_more.yml", "-n", "more").code == 0
    found = anabranch("test", "--json").json
    assert [t["test"] for t in found["tests"]] == ["tests/test_top.yaml::test_top", "tests/x/test_more.yml::more"]
    assert found["passed"] == 2


@pytest.mark.parametrize("path", ["more.yaml", "test_x.sql", "../../test_x.yaml"])
def test_it_writes_nothing_that_is_no_test(applied, anabranch, path):
    said = anabranch("test", "create", "marts.top", "--path", path)
    assert said.code == 1
    assert "would not be found as a test" in said.err
    assert not list(applied.root.rglob(path.rpartition("/")[2]))


def test_expressions_and_the_present(applied, anabranch):
    applied.write(
        "models/m.sql",
        "with a as (select id, current_date as d from raw.orders) select count(*) as n, max(d) as d from a",
    )
    said = anabranch("test", "create", "m", "--ctes", "-q", "raw.orders", "from raw.orders where id < 2")
    assert said.code == 0, said.err
    text = (applied.root / "tests/test_m.yaml").read_text()
    assert re.search(r"vars:\n    execution_time: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n\Z", text)
    assert "    ctes:\n      a:\n        rows:\n" in text
    applied.write("tests/test_m.yaml", re.sub(r"execution_time: \d{4}", "execution_time: 1999", text))
    assert anabranch("test").code == 1, "the moment counts"
    applied.write("tests/test_m.yaml", text)
    assert anabranch("test").code == 0


def test_in_an_environment(applied, anabranch):
    applied.branch("feature")
    applied.replace("models/marts/revenue.sql", "sum(v.amount)", "sum(v.amount) * 100")
    assert anabranch("apply").code == 0
    rows = "from marts.revenue where name = 'Italy'"
    found = []
    for arguments in ([], ["-e", "prod"]):
        said = anabranch(
            "test", "create", "marts.top", "-q", "marts.revenue", rows, "--overwrite", "--json", *arguments
        )
        assert said.code == 0
        found.append((said.json["environment"], (applied.root / "tests/test_top.yaml").read_text()))
    assert [e for e, _ in found] == ["feature", "prod"]
    assert found[0][1] != found[1][1]
    applied.branch("unborn")
    said = anabranch("test", "create", "marts.top", "--overwrite", "--json")
    assert said.json["environment"] == "prod"
    assert said.json["inputs"] == {"marts.revenue": 3}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["marts.tpo"], 2, "there is no marts.tpo\n  next: did you mean marts.top?"),
        (["raw.orders"], 1, "raw.orders is no model"),
        (["marts.top", "-q", "raw.orders", "from raw.orders"], 2, "marts.top doesn't read raw.orders\n  next: it reads marts.revenue"),
        (["marts.top", "-q", "marts.revenue", "drop table x"], 1, "DROP drops something"),
        (["marts.top", "-q", "marts.revenue", "from nowhere"], 2, "the query reads main.nowhere, which doesn't exist"),
        (["marts.top", "-e", "nowhere"], 2, "there is no environment nowhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_made(applied, anabranch, arguments, code, message):
    with applied.unchanged():
        said = anabranch("test", "create", *arguments)
    assert said.code == code
    assert message in said.err
    assert not (applied.root / "tests").exists()


def test_what_is_random_is_not_written(applied, anabranch):
    applied.write("models/m.sql", "select random() as x from raw.orders")
    said = anabranch("test", "create", "m")
    assert said.code == 1
    assert "main.m gives other rows each time it is run over the same ones" in said.err
    assert not (applied.root / "tests").exists()


def test_a_model_that_gives_nothing_is_told(applied, anabranch):
    said = anabranch("test", "create", "marts.revenue", "-q", "stg.orders", "from stg.orders where amount < 0")
    assert said.code == 0
    assert "it gives none; choose rows that go together" in said.err
    assert anabranch("test").code == 0


def test_create_has_help(anabranch, home):
    said = anabranch("test", "create", "--help")
    assert "Usage: anabranch test create" in said.out
    assert "create  Make a test of a model" in anabranch("test", "--help").out
