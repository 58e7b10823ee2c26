"""Changes that leave the rows that are there."""

import pytest
from tests.support.visits import visits_project

DAILY = """\
MODEL (
  kind INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true),
  start '2024-01-01', end '2024-01-05'
);
SELECT day, count(*) AS visits FROM raw.visits GROUP BY day
"""
MODELS = {
    "models/marts/daily.sql": DAILY,
    "models/marts/total.sql": "SELECT sum(visits) AS visits FROM marts.daily\n",
}


@pytest.fixture
def visits(shop, anabranch):
    """Five days of visits, ten each, in prod; then two days more are due."""
    visits_project(shop, MODELS, days=7)
    assert anabranch("apply", "prod", "--yes").code == 0
    shop.branch("feature")
    shop.replace("models/marts/daily.sql", "end '2024-01-05'", "end '2024-01-07'")
    return shop


def rows(shop, table):
    return shop.run_sql(f"SELECT * FROM {table} ORDER BY ALL")


def days(shop, table):
    return [(str(row[0])[-2:], *row[1:]) for row in rows(shop, table)]


def test_rows_that_are_there_stay_and_new_ones_are_of_the_new_code(visits, anabranch):
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 100 AS")
    said = anabranch("apply", "--json")
    assert said.code == 0, said.err
    [told] = [d for d in said.json["plan"]["decisions"] if d["asset"] == "marts.daily"]
    assert (told["verb"], told["because"]) == ("build", "code changed; forward only: keeps its rows")
    new = [("01", 10), ("02", 10), ("03", 10), ("04", 10), ("05", 10), ("06", 110), ("07", 110)]
    assert days(visits, "marts__feature.daily") == new
    assert rows(visits, "marts__feature.total") == [(270,)]
    assert days(visits, "marts.daily") == new[:5], "prod stays"
    assert anabranch("promote", "--yes").code == 0
    assert days(visits, "marts.daily") == new
    assert anabranch("undo", "prod", "--yes").code == 0
    assert days(visits, "marts.daily") == new[:5]


def test_columns_come_and_go(visits, anabranch):
    visits.replace("models/marts/daily.sql", "SELECT day, count(*) AS visits", "SELECT sum(amount) AS sales, day")
    visits.replace("models/marts/total.sql", "sum(visits) AS visits", "sum(sales) AS visits")
    assert anabranch("apply").code == 0
    said = days_last(visits)
    assert said == [(None, "01"), (None, "02"), (None, "03"), (None, "04"), (None, "05"), (10, "06"), (10, "07")]


def days_last(shop):
    found = shop.run_sql("SELECT sales, day FROM marts__feature.daily ORDER BY day")
    return [(row[0], str(row[1])[-2:]) for row in found]


def test_what_was_tried_on_the_branch_does_not_stay(visits, anabranch):
    """Else the rows of a draft would get into prod."""
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 1000 AS")
    assert anabranch("apply").code == 0
    visits.replace("models/marts/daily.sql", "count(*) + 1000 AS", "count(*) + 100 AS")
    assert anabranch("apply").code == 0
    assert days(visits, "marts__feature.daily")[4:] == [("05", 10), ("06", 110), ("07", 110)]


def test_a_restatement_computes_what_is_kept_with_the_new_code(visits, anabranch):
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 100 AS")
    assert anabranch("apply").code == 0
    said = anabranch("run", "--restate", "marts.daily", "--start", "2024-01-02", "--end", "2024-01-02")
    assert said.code == 0, said.err
    assert days(visits, "marts__feature.daily")[:3] == [("01", 10), ("02", 110), ("03", 10)]


def test_a_preview_computes_nothing_that_is_kept(visits, anabranch):
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 100 AS")
    assert anabranch("apply", "--start", "2024-01-05", "--end", "2024-01-06").code == 0
    assert days(visits, "marts__feature.daily")[3:] == [("04", 10), ("05", 10), ("06", 110), ("07", 110)]


def test_without_it_all_is_computed(visits, anabranch):
    visits.replace("models/marts/daily.sql", ", forward_only true", "")
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 100 AS")
    assert anabranch("apply").code == 0
    assert days(visits, "marts__feature.daily")[0] == ("01", 110)


def test_rows_that_do_not_fit(visits, anabranch):
    visits.run_sql("UPDATE raw.visits SET amount = NULL")
    visits.replace("models/marts/daily.sql", "count(*) AS visits", "day AS visits")
    visits.replace("models/marts/daily.sql", "GROUP BY day", "GROUP BY 1")
    visits.replace("models/marts/total.sql", "sum(visits)", "max(visits)")
    said = anabranch("apply")
    assert said.code == 1
    assert "marts.daily is forward only, and the rows that it keeps don't fit" in said.err
    assert "next: give the column another name" in said.err
    assert len(rows(visits, "marts.daily")) == 5
    assert visits.run_sql("SELECT count(*) FROM duckdb_views() WHERE schema_name = 'marts__feature'") == [(0,)]


def test_by_key(visits, anabranch):
    visits.write(
        "models/marts/last.sql",
        "MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, forward_only true));\n"
        "SELECT id % 7 AS id, 'old' AS code FROM raw.visits GROUP BY 1\n",
    )
    assert anabranch("apply").code == 0
    assert anabranch("promote", "--yes").code == 0
    visits.branch("other")
    visits.replace("models/marts/last.sql", "'old'", "'new'")
    assert anabranch("apply").code == 0
    assert {r[1] for r in rows(visits, "marts__other.last")} == {"old"}
    assert anabranch("run", "other", "--restate", "marts.last").code == 0
    assert {r[1] for r in rows(visits, "marts__other.last")} == {"new"}
    assert {r[1] for r in rows(visits, "marts.last")} == {"old"}


def test_a_change_upstream_leaves_the_rows_too(visits, anabranch):
    visits.write("models/stg/visits.sql", "MODEL (kind VIEW);\nSELECT id, day FROM raw.visits\n")
    visits.replace("models/marts/daily.sql", "FROM raw.visits", "FROM stg.visits")
    assert anabranch("apply").code == 0
    assert anabranch("promote", "--yes").code == 0
    visits.branch("other")
    visits.replace("models/stg/visits.sql", "FROM raw.visits", "FROM raw.visits WHERE id < 7")
    assert anabranch("apply").code == 0
    assert days(visits, "marts__other.daily") == days(visits, "marts.daily")
