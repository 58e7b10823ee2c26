"""Data that an environment shares is computed again there, and nowhere else."""

import pytest
from tests.support.visits import visits_project

HEADER = "MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column day), start '2024-01-01', end '2024-01-05');\n"
FILES = {
    "models/marts/daily.sql": f"{HEADER}SELECT day, count(*) AS visits, max(id) AS last FROM raw.visits GROUP BY day\n",
    "models/marts/doubled.sql": f"{HEADER}SELECT day, visits * 2 AS visits FROM marts.daily\n",
    "models/marts/shown.sql": "MODEL (kind VIEW);\nSELECT day, visits FROM marts.doubled\n",
    "models/marts/total.sql": "SELECT sum(visits) AS visits FROM marts.shown\n",
    "models/marts/other.sql": "SELECT count(*) AS n FROM raw.visits\n",
}
SHOWN = ("daily", "doubled", "shown", "total", "other")


@pytest.fixture
def visits(shop, anabranch):
    """Five days of ten visits in prod, and in feature, which shares all of it; then the source loses all but id 0."""
    visits_project(shop, FILES, days=5)
    assert anabranch("apply", "prod", "--yes").code == 0
    shop.branch("feature")
    assert anabranch("env", "create", "feature").code == 0
    shop.run_sql("UPDATE raw.visits SET id = -1 WHERE id > 4", "DELETE FROM raw.visits WHERE id = -1")
    return shop


def shown(shop, suffix=""):
    return {t: shop.run_sql(f"SELECT * FROM marts{suffix}.{t} ORDER BY ALL") for t in SHOWN}


def by_day(shop, table):
    return [(row[0].day, row[1]) for row in shop.run_sql(f"SELECT day, visits FROM {table} ORDER BY ALL")]


def test_some_days_in_one_environment(visits, anabranch):
    before = shown(visits)
    said = anabranch("run", "--restate", "marts.daily", "--start", "2024-01-02", "--end", "2024-01-03", "--json")
    assert said.code == 0, said.err
    assert shown(visits) == before, "prod stays"
    assert by_day(visits, "marts__feature.daily") == [(1, 10), (2, 1), (3, 1), (4, 10), (5, 10)]
    assert by_day(visits, "marts__feature.doubled") == [(1, 20), (2, 2), (3, 2), (4, 20), (5, 20)]
    assert visits.run_sql("SELECT * FROM marts__feature.total") == [(64,)]
    assert visits.run_sql("SELECT * FROM marts__feature.other") == [(50,)], "it reads something else"
    told = {d["asset"]: (d["verb"], d["reason"]) for d in said.json["plan"]["decisions"]}
    assert told == {
        "marts.daily": ("build", "restated"),
        "marts.doubled": ("build", "upstream-changed"),
        "marts.shown": ("build", "upstream-changed"),
        "marts.total": ("build", "upstream-changed"),
    }


def test_it_stays_until_it_is_taken_back_or_promoted(visits, anabranch):
    before = shown(visits)
    assert anabranch("run", "--restate", "marts.daily").code == 0
    mine = shown(visits, "__feature")
    assert by_day(visits, "marts__feature.daily") == [(d, 1) for d in range(1, 6)]
    said = anabranch("apply")
    assert (said.code, "nothing to do" in said.out) == (0, True), "the files say the same as before"
    assert shown(visits, "__feature") == mine
    assert anabranch("undo", "feature").code == 0
    assert shown(visits, "__feature") == before
    assert anabranch("apply").code == 0
    assert shown(visits, "__feature") == before
    assert anabranch("run", "--restate", "marts.daily").code == 0
    said = anabranch("promote", "--yes", "--json")
    assert said.code == 0
    assert said.json["built"] == [], "a promotion computes nothing"
    assert shown(visits) == mine
    assert anabranch("apply", "prod", "--yes").code == 0
    assert shown(visits) == mine, "an apply of the same files keeps it, in prod too"
    assert anabranch("undo", "prod", "--yes").code == 0
    assert shown(visits) == before


def test_what_is_built_over_it_is_not_taken_for_prods(visits, anabranch):
    """Both environments get the same new model; each has its own, of what it reads."""
    assert anabranch("run", "--restate", "marts.daily").code == 0
    visits.write("models/marts/last.sql", "SELECT max(visits) AS most FROM marts.daily\n")
    assert anabranch("apply").code == 0
    assert visits.run_sql("SELECT * FROM marts__feature.last") == [(1,)]
    visits.branch("other")
    assert anabranch("apply").code == 0
    assert visits.run_sql("SELECT * FROM marts__other.last") == [(10,)]


def test_a_change_of_the_definition_ends_it(visits, anabranch):
    assert anabranch("run", "--restate", "marts.daily", "--start", "2024-01-02", "--end", "2024-01-02").code == 0
    visits.replace("models/marts/daily.sql", "count(*) AS", "count(*) + 1 AS")
    assert anabranch("apply").code == 0
    assert by_day(visits, "marts__feature.daily") == [(d, 2) for d in range(1, 6)]


def test_again_and_again(visits, anabranch):
    before = shown(visits)
    for day in ("2024-01-01", "2024-01-02"):
        assert anabranch("run", "--restate", "marts.daily", "--start", day, "--end", day).code == 0
    assert by_day(visits, "marts__feature.daily") == [(1, 1), (2, 1), (3, 10), (4, 10), (5, 10)]
    assert shown(visits) == before
    assert anabranch("gc").code == 0
    assert by_day(visits, "marts__feature.daily") == [(1, 1), (2, 1), (3, 10), (4, 10), (5, 10)]


def test_a_dry_run_changes_nothing(visits, anabranch):
    before = shown(visits, "__feature"), visits.heads()
    said = anabranch("run", "--restate", "marts.daily", "--dry-run")
    assert (said.code, "restated" in said.out) == (0, True)
    assert (shown(visits, "__feature"), visits.heads()) == before


def test_what_must_not_be_computed_again(visits, anabranch):
    visits.replace("models/marts/daily.sql", "time_column day", "time_column day, disable_restatement true")
    assert anabranch("apply", "prod", "--yes").code == 0
    assert anabranch("apply").code == 0
    said = anabranch("run", "--restate", "marts.daily")
    assert (said.code, "marts.daily says disable_restatement" in said.err) == (1, True)
    assert anabranch("run", "--restate", "marts.nothing").code == 2
    assert "has no data of its own" in anabranch("run", "--restate", "marts.shown").err
