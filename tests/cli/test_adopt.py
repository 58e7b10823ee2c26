"""anabranch adopt, on DuckDB."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Self

import pytest
from tests.cli.conftest import Anabranch
from tests.support.shop import Shop

from anabranch import bootstrap

REVENUE = "SELECT c.name, sum(o.amount) AS revenue FROM raw.orders AS o JOIN seeds.countries AS c ON c.code = o.country"
LEAGUE = "SELECT country, sum(amount) AS amount FROM raw.orders GROUP BY country"
DAILY = """\
MODEL (name marts.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2020-01-01', end '2020-01-10');
SELECT DATE '2020-01-01' + (id % 5)::INTEGER AS day, count(*) AS n FROM raw.orders GROUP BY day
"""
DAILY_ROWS = (
    "SELECT DATE '2020-01-01' + (id % 5)::INTEGER AS day, count(*) AS n FROM raw.orders WHERE id % 5 < 3 GROUP BY day"
)
VERSIONED = re.compile(r"__[0-9a-f]{12}")


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Besides, tables that another tool made for two of its models."""
    shop.write("models/marts/league.sql", f"MODEL (name marts.league, kind FULL, grain country);\n{LEAGUE}\n")
    shop.write("models/marts/daily.sql", DAILY)
    shop.run_sql(
        "CREATE SCHEMA marts",
        f"CREATE TABLE marts.league AS {LEAGUE}",
        f"CREATE TABLE marts.daily AS {DAILY_ROWS}",
        "CREATE VIEW marts.theirs AS SELECT max(amount) AS most FROM marts.league",
    )
    return shop


def tables(shop: Shop, schema: str = "marts") -> dict[str, str]:
    """What stands in a schema, versions left out."""
    return {VERSIONED.sub("__V", row[2]): row[0] for row in shop.catalog() if row[1] == schema and row[0] != "schema"}


def rows(shop: Shop) -> list[list[tuple]]:
    return [shop.run_sql(f"FROM marts.{name} ORDER BY ALL") for name in ("league", "daily", "theirs")]


@pytest.mark.in_place
def test_the_way_in_and_back(shop: Shop, anabranch: Anabranch):
    before = rows(shop)
    assert anabranch("apply", "prod", "--yes").code == 1
    dry = anabranch("adopt", "marts.*", "--dry-run")
    assert tables(shop) == {"league": "table", "daily": "table", "theirs": "view"}
    assert "adopt    marts.daily    3 rows, holds by day: 2020-01-01 to 2020-01-03" in dry.out
    assert "adopt    marts.league   3 rows" in dry.out
    said = anabranch("adopt", "marts.*", "--yes")
    assert said.code == 0, said.err
    assert shop.plain(said.out).startswith("prod @ <commit>   2 tables adopted, nothing copied")
    assert rows(shop) == before
    assert tables(shop) == {
        "league": "view", "daily": "view", "theirs": "view", "league__V": "table", "daily__V": "table",
    }  # fmt: skip
    assert anabranch("apply", "prod", "--yes").code == 0
    assert rows(shop) == before
    assert anabranch("plan", "prod").out.rstrip().endswith("nothing to do: 8 assets as they should be")
    assert anabranch("doctor").code == 0
    for _ in range(2):
        assert anabranch("undo", "prod", "--yes").code == 0
        assert rows(shop) == before
    assert tables(shop) == {"league": "table", "daily": "table", "theirs": "view"}


def test_a_run_fills_what_an_adopted_table_lacks(shop: Shop, anabranch: Anabranch):
    before = rows(shop)
    anabranch("adopt", "--all", "--yes")
    said = anabranch("run", "prod", "--yes")
    assert "marts.daily   2020-01-04 to 2020-01-10 (7 days)" in said.err
    assert shop.run_sql("SELECT count(*), sum(n) FROM marts.daily") == [(5, 100)]
    assert anabranch("undo", "prod", "--yes").code == 0
    assert rows(shop) == before
    said = anabranch("undo", "prod", "--yes")
    assert "and back: anabranch adopt marts.daily marts.league" in said.out
    assert rows(shop) == before
    assert tables(shop) == {"league": "table", "daily": "table", "theirs": "view"}


def test_a_source_whose_place_a_model_takes(shop: Shop, anabranch: Anabranch):
    """At first the project only read the table; what reads it goes on."""
    league = (shop.root / "models/marts/league.sql").read_text()
    (shop.root / "models/marts/league.sql").unlink()
    (shop.root / "models/marts/daily.sql").unlink()
    shop.replace("anabranch.yaml", "sources:\n", "sources:\n  marts.league: {columns: {country: text}}\n")
    shop.write("models/stg/best.sql", "MODEL (name stg.best, kind VIEW);\nSELECT * FROM marts.league\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    best = shop.run_sql("FROM stg.best ORDER BY ALL")
    shop.replace("anabranch.yaml", "  marts.league: {columns: {country: text}}\n", "")
    shop.write("models/marts/league.sql", league)
    assert anabranch("adopt", "marts.league", "--yes").code == 0
    assert shop.run_sql("FROM stg.best ORDER BY ALL") == best
    assert tables(shop)["league"] == "view"
    assert anabranch("undo", "prod", "--yes").code == 0
    assert tables(shop)["league"] == "table"
    assert shop.run_sql("FROM stg.best ORDER BY ALL") == best
    assert anabranch("adopt", "marts.league", "--yes").code == 0
    assert anabranch("apply", "prod", "--yes").code == 0
    assert shop.run_sql("FROM stg.best ORDER BY ALL") == best


@pytest.mark.in_place
def test_what_nobody_reaches_any_more_is_dropped_and_nothing_else(
    shop: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch
):
    shop.run_sql("CREATE TABLE marts.theirs__0123456789ab AS SELECT 1 AS theirs")
    anabranch("adopt", "marts.*", "--yes")
    shop.write("models/marts/league.sql", "MODEL (name marts.league);\nSELECT 1 AS country\n")
    assert anabranch("apply", "prod", "--yes").code == 0

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=60)

    monkeypatch.setattr(bootstrap, "datetime", Later)
    assert anabranch("gc").code == 0
    assert tables(shop) == {
        "league": "view", "daily": "view", "theirs": "view", "top": "view", "revenue": "view", "daily__V": "table",
        "theirs__V": "table",
    }  # fmt: skip
    assert shop.run_sql("FROM marts.theirs__0123456789ab") == [(1,)]


REFUSED = {
    "a column less": ("ALTER TABLE marts.league DROP COLUMN country", "country isn't there"),
    "a column more": ("ALTER TABLE marts.league ADD COLUMN more INTEGER", "the query doesn't give more"),
    "another type": (
        "ALTER TABLE marts.league ALTER amount TYPE INTEGER",
        "amount is INTEGER, the query gives DECIMAL(38,1)",
    ),
    "a key twice": ("INSERT INTO marts.league VALUES ('de', 1)", "country is not a unique key of marts.league: de: 2 rows"),
    "an index": ("CREATE INDEX fast ON marts.league (country)", "marts.league can't be renamed"),
    "no table": ("DROP TABLE marts.league", "there is no table marts.league to adopt"),
}  # fmt: skip


@pytest.mark.in_place
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(shop: Shop, anabranch: Anabranch, name: str):
    statement, message = REFUSED[name]
    shop.run_sql("DROP VIEW marts.theirs", statement)
    with shop.unchanged():
        said = anabranch("adopt", "marts.league", "--yes")
        assert said.code == 1
        assert message in said.err
        assert said.err.count("next: ") == 1


def test_keys_are_not_looked_at_where_nobody_wants_it(shop: Shop, anabranch: Anabranch):
    shop.run_sql("INSERT INTO marts.league VALUES ('de', 1)")
    assert anabranch("adopt", "marts.league", "--yes", "--no-check").code == 0


def test_a_view_is_no_table(shop: Shop, anabranch: Anabranch):
    shop.run_sql("ALTER TABLE marts.league RENAME TO other", "CREATE VIEW marts.league AS FROM marts.other")
    said = anabranch("adopt", "marts.league", "--yes")
    assert said.code == 1
    assert "marts.league is a view, so there is no table to adopt" in said.err


def test_other_order_of_columns_is_told(shop: Shop, anabranch: Anabranch):
    shop.run_sql("CREATE OR REPLACE TABLE marts.league AS SELECT amount, country FROM marts.league")
    said = anabranch("adopt", "marts.league", "--yes")
    assert said.code == 0
    assert "note: marts.league: the query gives its columns in another order" in said.err


@pytest.mark.in_place
def test_a_name_that_is_taken(shop: Shop, anabranch: Anabranch):
    """By a table of the user's that has the very name which the adopted one would get."""
    dry = anabranch("adopt", "marts.league", "--dry-run", "--json").json
    assert [d["verb"] for d in dry["decisions"]] == ["adopt", "define"]
    anabranch("adopt", "marts.league", "--yes")
    (name,) = [row[2] for row in shop.catalog() if row[0] == "table" and str(row[2]).startswith("league__")]
    anabranch("undo", "prod", "--yes")
    shop.run_sql(f'CREATE TABLE marts."{name}" AS SELECT 1 AS mine')
    said = anabranch("adopt", "marts.league", "--yes")
    assert said.code == 1
    assert f"marts.league can't be renamed to {name}" in said.err
    assert shop.run_sql(f'FROM marts."{name}"') == [(1,)]
    assert tables(shop)["league"] == "table"


def test_a_history(shop: Shop, anabranch: Anabranch):
    query = "SELECT code, name FROM (VALUES ('de', 'Germany'), ('fr', 'France')) AS t (code, name)"
    shop.write(
        "models/marts/names.sql",
        f"MODEL (name marts.names, kind SCD_TYPE_2_BY_COLUMN (unique_key code, columns [name]));\n{query}\n",
    )
    shop.run_sql(
        "CREATE TABLE marts.names AS SELECT code, name, TIMESTAMP '2020-01-01' AS valid_from, NULL::TIMESTAMP AS valid_to"
        f" FROM ({query}) UNION ALL SELECT 'de', 'Deutschland', TIMESTAMP '2019-01-01', TIMESTAMP '2020-01-01'"
    )
    before = shop.run_sql("FROM marts.names ORDER BY ALL")
    assert anabranch("adopt", "marts.names", "--yes").code == 0
    assert anabranch("run", "prod", "--yes", "--ignore-cron").code == 0
    assert shop.run_sql("FROM marts.names ORDER BY ALL") == before


def test_nothing_or_everything_must_be_said(shop: Shop, anabranch: Anabranch):
    assert anabranch("adopt").code == 2
    assert anabranch("adopt", "marts.league", "--all").code == 2
    assert "nobody can be asked" in anabranch("adopt", "marts.league").err
    assert anabranch("adopt", "marts.leage").code == 2


@pytest.mark.parametrize(
    ("kind", "make", "held"),
    [
        ("day, '%Y%m%d'", "SELECT 20200101 + id % 5 AS day, count(*) AS n FROM raw.orders GROUP BY day", True),
        ("day, '%d/%m/%Y'", "SELECT strftime(DATE '2020-01-01' + id::INTEGER % 5, '%d/%m/%Y') AS day, count(*) AS n FROM raw.orders GROUP BY day", True),
        ("day", "SELECT TIMESTAMP '2020-01-01 12:00' + to_days(id::INTEGER % 5) AS day, count(*) AS n FROM raw.orders GROUP BY day", True),
        ("day", "SELECT TIMESTAMPTZ '2020-01-01 12:00:00+00' + to_days(id::INTEGER % 5) AS day, count(*) AS n FROM raw.orders GROUP BY day", True),
        ("day", "SELECT 'day ' || (id % 5) AS day, count(*) AS n FROM raw.orders GROUP BY day", False),
    ],
)  # fmt: skip
def test_times_of_any_type(shop: Shop, anabranch: Anabranch, kind: str, make: str, held: bool):
    head = f"MODEL (name marts.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column ({kind})), start '2020-01-01', end '2020-01-10');"
    shop.write("models/marts/daily.sql", f"{head}\n{make}\n")
    shop.run_sql(f"CREATE OR REPLACE TABLE marts.daily AS {make}")
    said = anabranch("adopt", "marts.daily", "--dry-run")
    if held:
        assert "holds by day: 2020-01-01 to 2020-01-05" in said.out, said.err
    else:
        assert "'day 0' in marts.daily.day (VARCHAR) is no time" in said.err
