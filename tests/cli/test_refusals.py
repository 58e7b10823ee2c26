"""What can't go well is refused with its place, before anything is built."""

import pytest

QUERY = "select id, country, '2024-01-01' as ds, amount from raw.orders\n"


@pytest.fixture
def refused(applied, anabranch):
    """The first line of what is said of a model with this header."""

    def call(header: str, query: str = QUERY) -> str:
        applied.write("models/marts/bad.sql", f"MODEL ({header});\n{query}")
        with applied.unchanged():
            said = anabranch("apply", "prod", "--yes")
        assert said.code == 2, said.out
        assert said.out == "", "nothing was planned"
        assert "Nothing was changed." in said.err
        return str(applied.plain(said.err))

    return call


@pytest.mark.parametrize(
    ("header", "told", "hint"),
    [
        (
            "kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01'",
            "1:52  marts.bad has no column day, which time_column names",
            "its columns are id, country, ds, amount",
        ),
        (
            "kind INCREMENTAL_BY_UNIQUE_KEY (unique_key (id, contry))",
            "1:56  marts.bad has no column contry",
            "country?",
        ),
        ("kind INCREMENTAL_BY_PARTITION, partitioned_by (cuntry)", "1:55  marts.bad has no column cuntry", "country?"),
        (
            "kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns (amuont))",
            "1:59  marts.bad has no column amuont",
            "amount?",
        ),
        (
            "kind SCD_TYPE_2_BY_TIME (unique_key id)",
            "1:13  marts.bad has no column updated_at, which its kind without an updated_at_name names",
            "its columns are",
        ),
        ("kind INCREMENTAL_BY_UNIQUE_KEY (unique_key ())", "1:51  unique_key names no column", "name a column"),
        ("kind INCREMENTAL_BY_PARTITION, partitioned_by ()", "1:54  partitioned_by names no column", "name a column"),
        (
            "kind INCREMENTAL_BY_TIME_RANGE (time_column ds), start '2024-03-01', end '2024-01-01'",
            "1:81  end 2024-01-01 lies before start 2024-03-01",
            "nothing would ever be due",
        ),
    ],
)
def test_a_header_that_its_query_does_not_fit(refused, header: str, told: str, hint: str):
    said = refused(header)
    assert f"✗ models/marts/bad.sql:{told}" in said
    assert hint in said


@pytest.mark.parametrize(
    "query",
    [
        "select * from raw.orders\n",
        "select amount as ID from raw.orders group by all\n",
        "select id, count(*) from raw.orders group by id\n",
    ],
)
def test_columns_that_are_not_known_or_spelled_otherwise_are_no_mistake(applied, anabranch, query: str):
    applied.write("models/marts/good.sql", f"MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id));\n{query}")
    said = anabranch("plan", "prod")
    assert said.code == 0, said.err


@pytest.mark.parametrize("time_format", ["%d.%m.%Y", "%Y", "%Q"])
def test_a_format_by_which_rows_would_be_lost(applied, anabranch, time_format: str):
    applied.write(
        "models/marts/daily.sql",
        f"MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column (ds, '{time_format}')), start '2024-01-30');\n"
        "select '31.01.2024' as ds\n",
    )
    heads = applied.heads()
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert applied.heads() == heads
    assert "marts.daily can't be filled by ds: " in said.err
    assert f"its format '{time_format}'" in said.err


ADDED = "MODEL (kind INCREMENTAL_UNMANAGED);\nselect sum(amount) as amount from marts.orders\n"
ORDERS = (
    "MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column day{}), start '2024-01-01', end '2024-01-03');\n"
    "select date '2024-01-02' as day, amount from raw.orders\n"
)


@pytest.fixture
def added(applied, anabranch):
    applied.write("models/marts/orders.sql", ORDERS.format(""))
    applied.write("models/marts/added.sql", ADDED)
    assert anabranch("apply", "prod", "--yes").code == 0
    return applied


def test_rows_that_were_added_are_not_added_twice(added, anabranch):
    before = added.run_sql("select * from marts.added")
    with added.unchanged():
        said = anabranch("run", "prod", "--restate", "marts.added", "--yes")
    assert said.code == 1
    assert "marts.added only ever gets more rows" in said.err
    said = anabranch("run", "prod", "--restate", "marts.orders", "--yes")
    assert said.code == 0
    assert "not computed again, though they read what is: marts.added" in said.err
    assert added.run_sql("select * from marts.added") == before


def test_a_model_that_must_not_be_restated(added, anabranch):
    added.write("models/marts/orders.sql", ORDERS.format(", disable_restatement true"))
    assert anabranch("apply", "prod", "--yes").code == 0
    with added.unchanged():
        said = anabranch("run", "prod", "--restate", "marts.orders", "--yes")
    assert said.code == 1
    assert "marts.orders says disable_restatement" in said.err


def test_a_restatement_of_days_that_nothing_is_held_of(added, anabranch):
    with added.unchanged():
        said = anabranch("run", "prod", "--restate", "marts.orders", "--start", "2030-01-01", "--yes")
    assert said.code == 1
    assert "marts.orders holds nothing of the days" in said.err
    assert "it holds 2024-01-01 to 2024-01-03" in said.err


def test_a_source_has_no_data_of_its_own(added, anabranch):
    said = anabranch("run", "prod", "--restate", "raw.orders", "--yes")
    assert said.code == 1
    assert "raw.orders is a source: it has no data of its own" in said.err


PYTHON = """\
from anabranch import model


@model("marts.made", columns={{"id": "int"}})
def execute(context, **kwargs):
    return context.fetchdf({!r})
"""


def test_a_python_model_writes_no_files(applied, anabranch, tmp_path):
    applied.write("models/marts/made.py", PYTHON.format(f"COPY (SELECT 1 AS id) TO '{tmp_path / 'out.csv'}'"))
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert "models/marts/made.py:6  only one query can be read" in said.err
    assert not (tmp_path / "out.csv").exists()
    applied.write("models/marts/made.py", PYTHON.format("FROM (VALUES (7)) AS t(id);"))
    assert anabranch("apply", "prod", "--yes").code == 0
    assert applied.run_sql("SELECT * FROM marts.made") == [(7,)]


def test_two_functions_of_one_name(applied, anabranch):
    one = PYTHON.format("SELECT 1 AS id")
    applied.write("models/marts/made.py", one + one.partition("\n")[2])
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 2
    assert "marts.made is defined twice in models/marts/made.py" in said.err


@pytest.mark.parametrize("body", ["    sys.exit(0)", "    return 'x'\n\nsys.exit(0)"])
def test_a_macro_that_ends_the_process(applied, anabranch, body: str):
    applied.write("models/marts/a.sql", "SELECT @r() AS x\n")
    applied.write(
        "macros/r.py", f"import sys\nfrom anabranch.macros import macro\n\n\n@macro()\ndef r(evaluator):\n{body}\n"
    )
    said = anabranch("plan", "prod")
    assert said.code == 2
    assert "SystemExit" in said.err
    assert "macros/r.py" in said.err


def test_a_restatement_of_what_is_not_selected(added, anabranch):
    with added.unchanged():
        said = anabranch("run", "prod", "--restate", "marts.orders", "--select", "marts.top", "--yes")
    assert said.code == 1
    assert "marts.orders is to be restated, and isn't selected" in said.err


@pytest.mark.parametrize(("name", "key"), [("valid_from", "valid_from"), ("Valid_To", "valid_to")])
def test_a_history_whose_query_gives_what_the_history_adds(refused, name: str, key: str):
    kind = "kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns (country))"
    said = refused(kind, f"select id, country, now() as {name} from raw.orders\n")
    assert f"1:13  marts.bad gives a column {key}, and its history adds one of that name" in said
    assert f"say {key}_name in the kind" in said


def test_a_history_that_calls_its_columns_otherwise(applied, anabranch):
    applied.write(
        "models/marts/names.sql",
        "MODEL (kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns (country), valid_from_name begins));\n"
        "select id, country, 7 as valid_from from raw.orders\n",
    )
    assert anabranch("apply", "prod", "--yes").code == 0
    assert applied.run_sql("SELECT DISTINCT valid_from FROM marts.names") == [(7,)]


def test_the_same_of_columns_that_are_known_only_when_it_is_built(applied, anabranch):
    applied.run_sql("ALTER TABLE raw.orders ADD COLUMN valid_to INTEGER DEFAULT 7")
    applied.write(
        "models/marts/names.sql",
        "MODEL (kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns (country)));\nselect * from raw.orders\n",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert "the query gives a column valid_to, and its history adds one of that name" in said.err
