"""The present, in a query, is the moment that was given; nothing else in it changes."""

from datetime import UTC, date, datetime, time, timedelta

import duckdb
import pytest

from anabranch.sql.moments import frozen, tells_present
from anabranch.sql.syntax import single

MOMENT = datetime(2022, 1, 1, 12, 30)  # noqa: DTZ001  # in UTC
WITH_ZONE = MOMENT.replace(tzinfo=UTC)


def answer(query: str) -> tuple[list[str], list[tuple]]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        names = [str(row[0]) for row in connection.execute(f"DESCRIBE {query}").fetchall()]
        return names, connection.execute(query).fetchall()


def run(query: str) -> tuple[list[str], list[tuple]]:
    return answer(frozen(single(query, "duckdb"), MOMENT))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("now()::timestamp", MOMENT),
        ("NOW ( )::timestamp", MOMENT),
        ("current_timestamp::timestamp", MOMENT),
        ("get_current_timestamp()::timestamp", MOMENT),
        ("transaction_timestamp()::timestamp", MOMENT),
        ("localtimestamp", MOMENT),
        ("current_localtimestamp()", MOMENT),
        ("current_date", date(2022, 1, 1)),
        ("current_date()", date(2022, 1, 1)),
        ("today()", date(2022, 1, 1)),
        ("localtime", time(12, 30)),
        ("current_localtime()", time(12, 30)),
        ("current_time::time", time(12, 30)),
        ("get_current_time()::time", time(12, 30)),
        ("age(timestamp '2021-12-31')", timedelta(days=1)),
        ("age(timestamp '2021-12-31', timestamp '2021-12-30')", timedelta(days=1)),
        ("current_date - interval 1 day", datetime(2021, 12, 31)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("date_trunc('month', now())::date", date(2022, 1, 1)),
        ("'now()'", "now()"),
    ],
)
def test_the_present(expression, value):
    assert run(f"select {expression} as x")[1] == [(value,)]


@pytest.mark.parametrize(
    "expression",
    ["now()", "current_timestamp", "current_date", "today()", "localtime", "current_time", "localtimestamp"],
)
def test_types_stay(expression):
    query = f"select typeof({expression})"
    assert run(query)[1] == answer(query)[1]


def test_names_of_columns_stay():
    query = "select year(now()), current_date, today() as day, 1 as x"
    assert run(query)[0] == ["year(now())", "current_date", "day", "x"]


@pytest.mark.parametrize(
    "query",
    [
        "select t.today, t.now from (select 1 as today, 2 as now) as t",
        "select today, now from (select 1 as today, 2 as now)",
        "select t.current_date from (select 5 as current_date) as t",
        'select "current_date" from (select 5 as "current_date")',
        "select 'current_date', 1 as x -- now()",
    ],
)
def test_what_only_looks_like_it_stays(query):
    statement = single(query, "duckdb")
    assert not tells_present(statement)
    assert answer(frozen(statement, MOMENT)) == answer(query)


def test_in_every_part_of_a_query():
    query = (
        "with a as (select now()::date as d) select d, (select current_date) as e from a"
        " where d = current_date order by abs(d - today())"
    )
    assert run(query)[1] == [(date(2022, 1, 1), date(2022, 1, 1))]
