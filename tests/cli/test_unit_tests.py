"""anabranch test: what passes, what fails, how that is told, and which tests are run."""

from xml.etree import ElementTree

import pytest
from inline_snapshot import snapshot
from tests.cli.unit_testing import TOP, of

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
