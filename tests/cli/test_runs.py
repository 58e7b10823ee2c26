"""Data that moves on, as people do it."""

import pytest
from tests.support.visits import visits_project

DAILY = """\
MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01', end '2024-01-10');
SELECT day, count(*) AS visits FROM raw.visits GROUP BY day
"""
MODELS = {
    "models/marts/daily.sql": DAILY,
    "models/marts/total.sql": "SELECT sum(visits) AS visits FROM marts.daily\n",
}


@pytest.fixture
def visits(shop):
    """A project with ten days of visits, applied."""
    visits_project(shop, MODELS, days=10)
    return shop


def rows(shop, table):
    return shop.run_sql(f"SELECT * FROM {table} ORDER BY ALL")


def test_a_preview_is_completed_by_its_promotion(visits, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    assert rows(visits, "marts.total") == [(100,)]
    visits.branch("feature")
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 1 AS")
    assert anabranch("apply", "--start", "2024-01-03", "--end", "2024-01-04").code == 0
    assert [str(r[0]) for r in rows(visits, "marts__feature.daily")] == ["2024-01-03", "2024-01-04"]
    assert rows(visits, "marts__feature.total") == [(22,)]
    assert rows(visits, "marts.total") == [(100,)]
    said = anabranch("promote", "--json", "--yes")
    assert said.code == 0, said.err
    verbs = {d["asset"]: (d["verb"], d["reason"]) for d in said.json["plan"]["decisions"]}
    assert verbs == {"marts.daily": ("refresh", "partial"), "marts.total": ("refresh", "partial")}
    assert len(rows(visits, "marts.daily")) == 10
    assert rows(visits, "marts.total") == [(110,)]
    assert rows(visits, "marts__feature.total") == [(110,)]
    assert anabranch("undo", "prod", "--yes").code == 0
    assert rows(visits, "marts.total") == [(100,)]


def test_a_preview_is_completed_by_a_run(visits, anabranch):
    visits.branch("feature")
    assert anabranch("apply", "--start", "2024-01-03", "--end", "2024-01-04").code == 0
    assert anabranch("run", "feature").code == 0
    assert rows(visits, "marts__feature.total") == [(100,)]
    assert "nothing is due" in anabranch("run", "feature").out


def test_a_restatement_of_some_days(visits, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    visits.run_sql("DELETE FROM raw.visits WHERE day IN (DATE '2024-01-02', DATE '2024-01-05')")
    said = anabranch("run", "prod", "--restate", "marts.daily", "--start", "2024-01-01", "--end", "2024-01-03", "--yes")
    assert said.code == 0
    assert "2024-01-01 to 2024-01-03 (3 days)" in said.err
    assert rows(visits, "marts.total") == [(90,)], "the fifth isn't computed again"
    assert anabranch("undo", "prod", "--yes").code == 0
    assert rows(visits, "marts.total") == [(100,)]
    assert anabranch("log", "prod", "--json").json[1]["refreshed"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "prod", "--restate", "marts.nothing", "--yes"], "prod has no marts.nothing"),
        (["run", "prod", "--start", "2024-01-01"], "--start and --end belong to --restate"),
        (["run", "prod", "--restate", "marts.daily", "--start", "soon"], "--start and --end take dates"),
        (["run", "prod", "--restate", "marts.daily", "--start", "2024-02-01", "--end", "2024-01-01"], "--end 2024-01-01 lies before"),
        (["apply", "--start", "2024-02-01", "--end", "2024-01-01"], "--end 2024-01-01 lies before"),
    ],
)  # fmt: skip
def test_what_a_run_refuses(visits, anabranch, arguments, said):
    assert anabranch("apply", "prod", "--yes").code == 0
    with visits.unchanged():
        told = anabranch(*arguments)
        assert told.code in (1, 2)
        assert said in told.err


def test_a_dry_run_changes_nothing(visits, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    with visits.unchanged():
        said = anabranch("run", "prod", "--ignore-cron", "--dry-run")
        assert said.code == 0
        assert "1 model to refresh" in said.out


def test_a_key_that_is_not_unique(visits, anabranch):
    visits.write(
        "models/marts/latest.sql",
        "MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key day)); SELECT day, id FROM raw.visits\n",
    )
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert "day is not a unique key of marts.latest: 2024-01-01: 10 rows" in said.err
    assert "next: name more columns in unique_key" in said.err


def test_ten_years_are_one_span(visits, anabranch):
    """What is due is found without a look at each day."""
    visits.replace("models/marts/daily.sql", "'2024-01-01', end '2024-01-10'", "'2014-01-01'")
    assert anabranch("apply", "prod", "--yes").code == 0
    (cell,) = [v for k, v in visits.cells("content/").items() if "daily" in k]
    assert len(cell) < 200
    assert rows(visits, "marts.total") == [(100,)]


def test_a_start_that_lies_ahead_is_told(visits, anabranch):
    visits.replace("models/marts/daily.sql", "start '2024-01-01', end '2024-01-10'", "start '2999-01-01'")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0
    assert "note: marts.daily stays empty: its start, 2999-01-01, lies ahead" in said.err
    assert rows(visits, "marts.daily") == []
