"""Statements around a model's query, on DuckDB, through the commands that people type."""

from __future__ import annotations

import json

import pytest

REVENUE = "models/marts/revenue.sql"
HEADER = "MODEL (name marts.revenue, kind FULL, grain name);\n"
END = "GROUP BY c.name\n"
COMMENTED = "ON_VIRTUAL_UPDATE_BEGIN;\nCOMMENT ON VIEW @this_model IS '{0}';\nON_VIRTUAL_UPDATE_END;\n"


def comments(shop) -> dict[str, str]:
    found = shop.run_sql(
        "SELECT schema_name || '.' || view_name, comment FROM duckdb_views() WHERE comment IS NOT NULL"
    )
    return dict(found)


def indexes(shop) -> list[tuple[str, str]]:
    return list(shop.run_sql("SELECT index_name, table_name FROM duckdb_indexes() ORDER BY index_name"))


@pytest.fixture
def stated(shop, anabranch):
    """marts.revenue with statements of every sort, applied."""
    shop.replace(
        REVENUE,
        HEADER,
        HEADER + "SET threads = 1;\nCREATE TEMP TABLE rate AS SELECT 2.0 AS rate FROM raw.orders LIMIT 1;\n",
    )
    shop.replace(REVENUE, "sum(v.amount)", "sum(v.amount) * (SELECT rate FROM rate)")
    shop.replace(
        REVENUE,
        END,
        f"{END};\nANALYZE @this_model;\n"
        "INSERT INTO @this_model SELECT 'nobody', count(*) FROM stg.orders WHERE amount IS NULL;\n"
        f"{COMMENTED.format('first')}",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    return shop


def test_they_run_around_the_build(stated, anabranch):
    rows = stated.run_sql("SELECT name, revenue FROM marts.revenue ORDER BY name")
    expected = stated.run_sql(
        "SELECT ['Germany', 'France', 'Italy'][id % 3 + 1] AS name, 2 * sum(amount) FROM raw.orders WHERE amount > 0"
        " GROUP BY name ORDER BY name"
    )
    assert rows == [*expected, ("nobody", 0)]
    assert comments(stated) == {"marts.revenue": "first"}
    assert stated.run_sql("SELECT * FROM duckdb_tables() WHERE table_name = 'rate'") == []
    assert anabranch("plan", "prod").out.endswith("as they should be\n"), "no drift, and nothing to do"


def test_what_runs_when_the_view_is_made_builds_nothing(stated, anabranch):
    stated.replace(REVENUE, "'first'", "'second'")
    plan = json.loads(anabranch("plan", "prod", "--json").out)
    assert [(d["asset"], d["verb"], d["because"]) for d in plan["decisions"]] == [
        ("marts.revenue", "describe", "on_virtual_update changed")
    ]
    assert anabranch("apply", "prod", "--yes").code == 0
    assert comments(stated) == {"marts.revenue": "second"}
    assert anabranch("undo", "prod", "--yes").code == 0
    assert comments(stated) == {"marts.revenue": "first"}


def test_every_environment_has_its_own(stated, anabranch):
    stated.branch("feature")
    stated.replace(REVENUE, "SELECT 2.0", "SELECT 3.0")
    said = anabranch("apply")
    assert said.code == 0, said.err
    assert comments(stated) == {"marts.revenue": "first", "marts__feature.revenue": "first"}
    assert anabranch("promote", "--yes").code == 0
    assert comments(stated) == {"marts.revenue": "first", "marts__feature.revenue": "first"}


def test_a_refresh_carries_them_along(stated, anabranch):
    stated.run_sql("UPDATE raw.orders SET amount = amount * 10")
    before = stated.run_sql("SELECT sum(revenue) FROM marts.revenue")
    said = anabranch("run", "prod", "--ignore-cron", "--yes")
    assert said.code == 0, said.err
    after = stated.run_sql("SELECT sum(revenue) FROM marts.revenue")
    assert after == [(before[0][0] * 10,)]
    assert stated.run_sql("SELECT count(*) FROM marts.revenue WHERE name = 'nobody'") == [(1,)]
    assert comments(stated) == {"marts.revenue": "first"}
    assert anabranch("undo", "prod", "--yes").code == 0
    assert stated.run_sql("SELECT sum(revenue) FROM marts.revenue") == before
    assert anabranch("plan", "prod").out.endswith("as they should be\n")


def test_a_view_whose_columns_change_keeps_its_comment(shop, anabranch):
    shop.replace(REVENUE, END, f"{END};\n{COMMENTED.format('kept')}")
    shop.write(
        "models/marts/wide.sql", f"MODEL (name marts.wide);\nSELECT * FROM raw.orders;\n{COMMENTED.format('wide')}"
    )
    assert anabranch("apply", "prod", "--yes").code == 0
    shop.run_sql("ALTER TABLE raw.orders ADD COLUMN extra INTEGER")
    assert anabranch("run", "prod", "--ignore-cron", "--select", "marts.wide", "--yes").code == 0
    assert "extra" in [c[0] for c in shop.run_sql("DESCRIBE marts.wide")]
    assert comments(shop) == {"marts.revenue": "kept", "marts.wide": "wide"}


def test_a_statement_that_fails_leaves_nothing(applied, anabranch):
    before = applied.run_sql("FROM marts.revenue ORDER BY name")
    tables = applied.run_sql("SELECT count(*) FROM duckdb_tables()")
    applied.replace(REVENUE, END, f"{END};\nUPDATE @this_model SET revenue = 'not a number';\n")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert "could not be built; prod is as it was" in said.err
    assert applied.run_sql("SELECT count(*) FROM duckdb_tables()") == tables
    applied.replace(REVENUE, "UPDATE @this_model SET revenue = 'not a number';\n", COMMENTED.replace("IS", "IST"))
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert "marts.revenue" in said.err or "revenue.sql" in said.err
    assert applied.run_sql("FROM marts.revenue ORDER BY name") == before
    assert comments(applied) == {}


@pytest.mark.in_place
def test_an_incremental_model(shop, anabranch):
    shop.write(
        "models/marts/days.sql",
        "MODEL (name marts.days, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id));\n"
        "SELECT id, amount, false AS seen FROM raw.orders;\n"
        "UPDATE @this_model SET seen = true;\nCREATE INDEX days_id ON @this_model (id);",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert shop.run_sql("SELECT count(*), bool_and(seen) FROM marts.days") == [(100, True)]
    ((index, table),) = indexes(shop)
    assert index.startswith("days_id__")
    shop.run_sql("UPDATE raw.orders SET amount = 5")
    said = anabranch("run", "prod", "--restate", "marts.days", "--yes")
    assert said.code == 0, said.err
    assert shop.run_sql("SELECT count(*), bool_and(seen), sum(amount) FROM marts.days") == [(100, True, 500)]
    assert indexes(shop) == [(index, table)]
    shop.replace("models/marts/days.sql", "SELECT id,", "SELECT id + 0 AS id,")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert len({name for name, _ in indexes(shop)}) == 2, "two versions, two indexes"
    assert anabranch("undo", "prod", "--yes").code == 0
    assert shop.run_sql("SELECT count(*) FROM marts.days WHERE seen") == [(100,)]


def test_a_column_of_the_view_gets_a_comment(shop, anabranch):
    shop.write(
        "models/marts/noted.sql",
        "SELECT 1 AS amount;\nON_VIRTUAL_UPDATE_BEGIN;\nCOMMENT ON COLUMN @this_model.amount IS 'In euros';\n"
        "ON_VIRTUAL_UPDATE_END;\n",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    found = shop.run_sql("SELECT comment FROM duckdb_columns() WHERE schema_name = 'marts' AND table_name = 'noted'")
    assert found == [("In euros",)]


def test_the_models_own_table_with_a_column(shop, anabranch):
    shop.write(
        "models/marts/noted.sql",
        "SELECT 1 AS amount;\nUPDATE @this_model SET amount = 2 WHERE @this_model.amount = 1;\n",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert shop.run_sql("SELECT amount FROM marts.noted") == [(2,)]
