"""anabranch test create: tests that are made from an environment's rows."""

import re

import pytest
from inline_snapshot import snapshot


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
