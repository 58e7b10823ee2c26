"""The moments of an interval: left open at expansion, filled at the build."""

from datetime import UTC, datetime, timedelta, timezone

import duckdb
import pytest

from anabranch.sql.canonical import words
from anabranch.sql.macros.moments import (
    MARK,
    MOMENTS,
    fill_moments,
    has_moments,
    moment_sql,
    sentinel,
    show_moments,
    strays,
    uses_interval,
)
from anabranch.sql.syntax import single

START = datetime(2024, 2, 28, tzinfo=UTC)
END = datetime(2024, 3, 1, tzinfo=UTC)
EXECUTION = datetime(2024, 3, 2, 9, 30, 0, 5, tzinfo=UTC)


def filled(name: str) -> object:
    query = f"SELECT {moment_sql(name)} AS x"
    row = duckdb.sql(fill_moments(query, START, END, EXECUTION)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("start_ds", "2024-02-28"),
        ("start_date", datetime(2024, 2, 28).date()),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("start_ts", "2024-02-28 00:00:00.000000"),
        ("start_tstz", "2024-02-28 00:00:00.000000+00:00"),
        ("start_dt", datetime(2024, 2, 28)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("start_dtntz", datetime(2024, 2, 28)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("start_epoch", 1709078400),
        ("start_millis", 1709078400000),
        ("start_hour", 0),
        ("end_ds", "2024-02-29"),
        ("end_date", datetime(2024, 2, 29).date()),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("end_ts", "2024-02-29 23:59:59.999999"),
        ("end_tstz", "2024-02-29 23:59:59.999999+00:00"),
        ("end_dt", datetime(2024, 2, 29, 23, 59, 59, 999999)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("end_dtntz", datetime(2024, 2, 29, 23, 59, 59, 999999)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("end_epoch", 1709251199),
        ("end_millis", 1709251199999),
        ("end_hour", 23),
        ("execution_ds", "2024-03-02"),
        ("execution_date", datetime(2024, 3, 2).date()),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("execution_ts", "2024-03-02 09:30:00.000005"),
        ("execution_tstz", "2024-03-02 09:30:00.000005+00:00"),
        ("execution_dt", datetime(2024, 3, 2, 9, 30, 0, 5)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("execution_dtntz", datetime(2024, 3, 2, 9, 30, 0, 5)),  # noqa: DTZ001  # a TIMESTAMP has no zone
        ("execution_epoch", 1709371800),
        ("execution_millis", 1709371800000),
        ("execution_hour", 9),
    ],
)
def test_values_and_types(name: str, value: object) -> None:
    assert filled(name) == value
    assert name in MOMENTS


def test_every_variable_has_a_value() -> None:
    for name in MOMENTS:
        assert MARK not in fill_moments(moment_sql(name), START, END, EXECUTION)
        assert strays(moment_sql(name)) is None


def test_before_1970_is_rounded_down() -> None:
    start, end = datetime(1969, 12, 31, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    text = f"{sentinel('end_epoch')} {sentinel('end_millis')} {sentinel('end_hour')}"
    assert fill_moments(text, start, end, EXECUTION) == "-1 -501 23"


def test_other_zones_are_taken_to_utc() -> None:
    east = timezone(timedelta(hours=5))
    assert fill_moments(sentinel("start_ts"), datetime(2024, 1, 1, tzinfo=east), END, EXECUTION) == (
        "2023-12-31 19:00:00.000000"
    )


def test_inside_a_longer_string() -> None:
    text = f"SELECT 'from {sentinel('start_ds')} to {sentinel('end_ds')}'"
    assert fill_moments(text, START, END, EXECUTION) == "SELECT 'from 2024-02-28 to 2024-02-29'"


def test_what_depends_on_what() -> None:
    assert uses_interval(f"where day >= {moment_sql('start_date')}")
    assert uses_interval(moment_sql("end_hour"))
    assert not uses_interval(moment_sql("execution_ds"))
    assert has_moments(moment_sql("execution_ds"))
    assert not has_moments("SELECT '@start_ds', 'start_ds'")
    assert not uses_interval("SELECT '@start_ds', 'start_ds'")


def test_text_without_moments_is_the_same_text() -> None:
    text = "SELECT '@start_ds' AS x"
    assert fill_moments(text, START, END, EXECUTION) is text
    assert show_moments(text) is text


def test_shown_to_people() -> None:
    assert show_moments(f"x = {moment_sql('start_dt')}") == "x = CAST('@start_ts' AS TIMESTAMP)"


def test_strays() -> None:
    assert strays("select 1") is None
    assert strays(f"'{sentinel('start_ds')}'{MARK}") == len(f"'{sentinel('start_ds')}'")
    assert strays(f"'{MARK}start_dds{MARK}'") == 1


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (START, START),
        (END, START),
        (START.replace(tzinfo=None), END),
        (START, END.replace(tzinfo=None)),
    ],
)
def test_intervals_that_are_none(start: datetime, end: datetime) -> None:
    with pytest.raises(ValueError, match="interval"):
        fill_moments(moment_sql("start_ds"), start, end, EXECUTION)


def test_another_moment_is_another_query() -> None:
    query = f"SELECT day FROM t WHERE day >= {moment_sql('start_date')}"
    assert words(single(query, "duckdb")) != words(single(query.replace("start_", "end_"), "duckdb"))
