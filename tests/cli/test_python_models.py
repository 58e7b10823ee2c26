"""Models in Python, as people use them."""

import threading

import pytest

HEADER = "from anabranch import model\n\n"
SCORED = """\
from anabranch import model
from lib.rates import rate


@model("marts.scored", columns={"country": "text", "score": "double"}, description="Scores")
def execute(context, start, end, execution_time, **kwargs):
    orders = context.table("core.valid").arrow()
    print("not seen")
    countries = sorted(set(orders["country"].to_pylist()))
    import pyarrow

    return pyarrow.table({"country": countries, "score": [rate(c) for c in countries]})
"""
RATES = "BASE = 2\n\n\ndef rate(country):\n    return BASE * len(country)\n\n\ndef other():\n    return 1\n"


@pytest.fixture
def scored(shop):
    """A project with a model in Python over an embedded one, over a view."""
    shop.write("models/marts/scored.py", SCORED)
    shop.write("lib/rates.py", RATES)
    shop.write("models/marts/best.sql", "SELECT max(score) AS best FROM marts.scored\n")
    return shop


@pytest.fixture
def write(shop):
    """Writes ``models/marts/made.py``: a function's body, and what its decorator says."""

    def call(body, said='columns={"id": "int", "name": "text"}', name="marts.made"):
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        shop.write(
            "models/marts/made.py", f'{HEADER}@model("{name}", {said})\ndef execute(context, start, end, **k):\n{lines}'
        )

    return call


def built(anabranch, *arguments):
    said = anabranch("apply", *arguments, "--yes", "--json")
    assert said.code == 0, said.err
    return said.json["built"] if said.json.get("applied", True) else []


def failed(anabranch, text):
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert text in said.err, said.err
    return said.err


def test_it_is_built_and_read_like_any_other(scored, anabranch):
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert "not seen" not in said.out + said.err
    assert scored.run_sql("SELECT * FROM marts.scored ORDER BY ALL") == [("de", 4.0), ("fr", 4.0), ("it", 4.0)]
    assert scored.run_sql("SELECT * FROM marts.best") == [(4.0,)]
    types = scored.run_sql(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = 'scored'"
    )
    assert types == [("country", "VARCHAR"), ("score", "DOUBLE")]
    assert anabranch("status", "prod").code == 0


def test_a_changed_helper_builds_it_again_and_a_comment_does_not(scored, anabranch):
    assert "marts.scored" in built(anabranch, "prod")
    scored.replace("lib/rates.py", "    return BASE", "    # doubled\n    return BASE")
    scored.replace("lib/rates.py", "return 1", "return 2")
    scored.replace("models/marts/scored.py", '    print("not seen")', '    """Told."""\n    print("not seen")')
    scored.replace("models/marts/scored.py", '    """Told."""\n', "")
    assert built(anabranch, "prod") == []
    scored.replace("lib/rates.py", "BASE = 2", "BASE = 3")
    assert built(anabranch, "prod") == ["marts.best", "marts.scored"]
    assert scored.run_sql("SELECT * FROM marts.best") == [(6.0,)]


def test_a_run_computes_with_the_code_that_was_applied(scored, anabranch):
    assert built(anabranch, "prod")
    scored.replace("lib/rates.py", "BASE = 2", "BASE = 3")
    (scored.root / "models/marts/scored.py").unlink()
    scored.run_sql("INSERT INTO raw.orders VALUES (1000, 'france', 1)")
    assert anabranch("run", "prod", "--ignore-cron", "--select", "marts.scored", "--yes").code == 0
    assert scored.run_sql("SELECT max(score) FROM marts.scored") == [(12.0,)]


def test_an_environment_has_its_own(scored, anabranch):
    assert built(anabranch, "prod")
    scored.branch("feature")
    scored.replace("lib/rates.py", "BASE = 2", "BASE = 5")
    assert built(anabranch) == ["marts.best", "marts.scored"]
    assert scored.run_sql("SELECT best FROM marts__feature.best UNION ALL SELECT best FROM marts.best ORDER BY 1") == [
        (4.0,),
        (10.0,),
    ]
    plan = anabranch("plan", "feature")
    assert plan.code == 0, plan.err


def test_the_plan_says_what_changed(scored, anabranch):
    assert built(anabranch, "prod")
    scored.replace("lib/rates.py", "BASE = 2", "BASE = 3")
    said = anabranch("plan", "prod", "--explain")
    assert "changed: its code changed" in said.out
    scored.replace("models/marts/scored.py", '"score": "double"', '"score": "float"')
    scored.replace("lib/rates.py", "BASE = 3", "BASE = 2")
    assert "changed: its columns changed" in anabranch("plan", "prod", "--explain").out


@pytest.mark.parametrize(
    "body",
    [
        "import ibis\nreturn ibis.memtable({'id': [1, 2], 'name': ['a', None]})",
        "import pandas\nreturn pandas.DataFrame({'name': ['a', None], 'id': [1, 2]}, index=[7, 9])",
        "import polars\nreturn polars.DataFrame({'id': [1, 2], 'name': ['a', None]})",
        "import polars\nreturn polars.LazyFrame({'id': [1, 2], 'name': ['a', None]})",
        "import pyarrow as pa\nreturn pa.table({'ID': ['1', '2'], 'name': ['a', None]}).to_reader()",
        "import pyarrow as pa\nreturn pa.RecordBatch.from_pydict({'id': [1, 2], 'name': ['a', None]})",
        "import pyarrow as pa, pandas as pd\nyield pa.table({'id': [1], 'name': ['a']})\nyield pd.DataFrame({'name': [None], 'id': [2.0]})",
        "import duckdb\nreturn duckdb.sql(\"select 1 as id, 'a' as name union all select 2, null\")",
        "class Ibis:\n    def to_pyarrow(self):\n        import pyarrow as pa\n        return pa.table({'id': [1, 2], 'name': ['a', None]})\nreturn Ibis()",
    ],
    ids=["ibis", "pandas", "polars", "lazy", "reader", "batch", "generator", "relation", "to_pyarrow"],
)  # fmt: skip
def test_what_a_function_may_return(shop, anabranch, write, body):
    write(body)
    assert "marts.made" in built(anabranch, "prod")
    assert shop.run_sql("SELECT id, name FROM marts.made ORDER BY id") == [(1, "a"), (2, None)]


@pytest.mark.parametrize(
    "body",
    [
        "yield from ()",
        "import pyarrow as pa\nreturn pa.table({'id': [], 'name': []})",
        "import pandas\nreturn pandas.DataFrame({'id': [], 'name': []})",
    ],
)
def test_nothing_is_an_empty_table(shop, anabranch, write, body):
    write(body)
    assert built(anabranch, "prod")
    assert shop.run_sql("SELECT count(*) FROM marts.made") == [(0,)]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("import pyarrow as pa\nreturn pa.table({'id': [1]})", "lack name"),
        ("import pyarrow as pa\nreturn pa.table({'id': [1], 'name': ['a'], 'extra': [1]})", "have extra, which isn't declared"),
        ("import pyarrow as pa\nreturn pa.table({'id': [1], 'nmae': ['a']})", "is nmae meant to be name?"),
        ("import pyarrow as pa\nreturn pa.table({'id': ['one'], 'name': ['a']})", "Could not convert string 'one' to INT32"),
        ("return None", "the function returned nothing, not rows"),
        ("return [1]", "the function returned a list, not rows"),
        ("return context.table('core.valid').nothing", "AttributeError"),
        ("context.table('stg.' + 'orders')", "marts.made reads stg.orders, which it doesn't declare"),
        ("import nowhere_at_all", "install nowhere_at_all where Anabranch runs"),
        ("raise SystemExit(3)", "SystemExit: 3"),
    ],
)  # fmt: skip
def test_what_is_told_of_a_failure(shop, anabranch, write, body, told):
    write(body)
    failed(anabranch, told)
    assert shop.run_sql("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE 'marts.made%'") == [(0,)]


@pytest.mark.parametrize(
    "statement",
    ["print('on the way')\nraise ValueError('odd')", "yield from ()\nprint('on the way')\nraise ValueError('odd')"],
)
def test_an_exception_is_told_with_its_line(shop, anabranch, write, statement):
    write(statement)
    err = failed(anabranch, "ValueError: odd")
    number = 4 + statement.count("\n") + 1
    assert f"models/marts/made.py:{number}" in err
    assert "it printed: on the way" in err


def test_an_exception_in_a_helper_is_told_there(scored, anabranch):
    scored.replace("lib/rates.py", "return BASE * len(country)", "return BASE / 0")
    assert "lib/rates.py:5" in failed(anabranch, "ZeroDivisionError: division by zero")


def test_an_interrupt_passes(shop, anabranch, write):
    write("raise KeyboardInterrupt")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 130, said.err
    assert threading.active_count() < 20


DAILY = """\
from datetime import timedelta

import pyarrow

from anabranch import model


@model(
    "marts.daily",
    kind=dict(name="INCREMENTAL_BY_TIME_RANGE", time_column="day", batch_size=1, lookback=0),
    columns={"day": "date", "until": "timestamp", "factor": "int"},
    start="2024-01-01",
    end="2024-01-04",
)
def execute(context, start, end, execution_time, **kwargs):
    for at in (start - timedelta(days=1), start):
        yield pyarrow.table({"day": [at.date()], "until": [end.replace(tzinfo=None)], "factor": [1]})
"""


def test_incremental_by_day(shop, anabranch):
    shop.write("models/marts/daily.py", DAILY)
    assert built(anabranch, "prod")
    rows = shop.run_sql("SELECT day::text, until::text, factor FROM marts.daily ORDER BY day")
    assert rows == [(f"2024-01-0{d}", f"2024-01-0{d} 23:59:59.999999", 1) for d in range(1, 5)]
    shop.replace("models/marts/daily.py", "2024-01-04", "2024-01-06")
    assert anabranch("apply", "prod", "--yes").code == 0
    assert anabranch("run", "prod", "--yes").code == 0
    assert shop.run_sql("SELECT count(*), min(day)::text, max(day)::text FROM marts.daily") == [
        (6, "2024-01-01", "2024-01-06")
    ]
    said = anabranch("run", "prod", "--restate", "marts.daily", "--start", "2024-01-02", "--end", "2024-01-03", "--yes")
    assert said.code == 0, said.err
    assert shop.run_sql("SELECT count(*) FROM marts.daily") == [(6,)]
    assert shop.run_sql("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '%\\_\\_u0' ESCAPE '\\'") == []


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ('dict(name="INCREMENTAL_BY_UNIQUE_KEY", unique_key=["id"])', [(1,), (2,)]),
        ('dict(name="INCREMENTAL_BY_PARTITION"), partitioned_by=["id"]', [(1,), (2,)]),
        ('"incremental_unmanaged"', [(1,), (2,), (1,), (2,)]),
        ('dict(name="SCD_TYPE_2_BY_COLUMN", unique_key=["id"], columns=["name"])', [(1,), (2,)]),
    ],
)
def test_other_kinds(shop, anabranch, write, kind, rows):
    body = "import pyarrow as pa\nreturn pa.table({'id': [1, 2], 'name': ['a', 'b']})"
    write(body, f'columns={{"id": "int", "name": "text"}}, start="2024-01-01", kind={kind}')
    assert built(anabranch, "prod")
    assert shop.run_sql("SELECT id FROM marts.made ORDER BY id") == [(1,), (2,)]
    said = anabranch("run", "prod", "--ignore-cron", "--yes")
    assert said.code == 0, said.err


def test_rows_may_be_read_as_a_stream(shop, anabranch, write):
    shop.run_sql(
        "CREATE OR REPLACE TABLE raw.orders AS SELECT range::INTEGER AS id, 'x' AS country, 1.0 AS amount FROM range(300000)"
    )
    write(
        "reader = context.table('stg.orders', columns=['id', 'country']).reader(1000)\nfor batch in reader:\n    yield batch.rename_columns(['id', 'name'])"
    )
    assert built(anabranch, "prod")
    assert shop.run_sql("SELECT count(*), sum(id) FROM marts.made") == [(300000, 299999 * 150000)]


def test_two_streams_at_once(shop, anabranch, write):
    write(
        "import pyarrow as pa\n"
        "one, two = (context.table('raw.orders').reader(10) for _ in range(2))\n"
        "for a, b in zip(one, two):\n"
        "    assert a.equals(b)\n"
        "    yield pa.table({'id': a['id'], 'name': b['country']})"
    )
    assert built(anabranch, "prod")
    assert shop.run_sql("SELECT count(*) FROM marts.made") == [(100,)]


def test_queries_as_sqlmesh_has_them(shop, anabranch, write):
    write(
        "orders = context.resolve_table('core.valid')\nreturn context.fetchdf(f'SELECT id, country AS name FROM {orders} AS o WHERE id < 3')"
    )
    assert built(anabranch, "prod")
    assert shop.run_sql("SELECT * FROM marts.made ORDER BY id") == [(2, "it")]


def test_a_query_only_reads(shop, anabranch, write):
    write("context.fetchdf('DROP TABLE raw.orders')\nyield from ()")
    failed(anabranch, "only one query can be read")
    assert shop.run_sql("SELECT count(*) FROM raw.orders") == [(100,)]


TEST = """\
test_scored:
  model: marts.scored
  inputs: {core.valid: {rows: [{id: 1, country: at, amount: 1}]}}
  outputs: {query: {rows: [{country: at, score: 4}]}}
test_best:
  model: marts.best
  inputs: {marts.scored: {rows: [{country: at, score: 4}]}}
  outputs: {query: {rows: [{best: 4}]}}
"""


def test_unit_tests_run_it(scored, anabranch):
    scored.write("tests/test_scored.yaml", TEST)
    said = anabranch("test")
    assert said.code == 0, said.out + said.err
    scored.replace("lib/rates.py", "BASE = 2", "BASE = 3")
    assert anabranch("test").code == 1
    scored.replace(
        "tests/test_scored.yaml",
        "outputs: {query: {rows: [{country: at, score: 4}]}}",
        "outputs: {ctes: {x: {rows: []}}}",
    )
    said = anabranch("test")
    assert "marts.scored is a model in Python: it has no expressions" in said.out + said.err


def test_a_unit_test_is_made_of_one(scored, anabranch):
    assert built(anabranch, "prod")
    said = anabranch("test", "create", "marts.scored", "-q", "core.valid", "from core.valid where id < 5")
    assert said.code == 0, said.err
    assert anabranch("test").code == 0
