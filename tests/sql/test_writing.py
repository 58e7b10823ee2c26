"""Times as literals of a column's type."""

from datetime import UTC, datetime, timedelta

import pytest

from anabranch.ports.grammar import STANDARD
from anabranch.sql.writing import Writing

WRITING = Writing(STANDARD)
DAY = int(datetime(2026, 10, 5, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("kind", "time_format", "told"),
    [
        ("VARCHAR", None, "'2026-10-05'"),
        ("VARCHAR", "%Y%m%d", "'20261005'"),
        ("VARCHAR", "%Y-%m-%d %H:%M:%S", "'2026-10-05 00:00:00'"),
        ("BIGINT", None, "20261005"),
        ("INTEGER", "%Y%m%d%H", "2026100500"),
    ],
)
def test_a_format_that_sorts(kind: str, time_format: str | None, told: str):
    assert WRITING.moment(DAY, kind, time_format) == told


@pytest.mark.parametrize("time_format", ["%d.%m.%Y", "%m/%d/%Y", "%d%m%Y", "%y-%m-%d", "%Y-%b-%d", "%Y %d %m"])
@pytest.mark.parametrize("kind", ["VARCHAR", "BIGINT"])
def test_a_format_that_does_not_sort_as_times_do(kind: str, time_format: str):
    """Rows would be compared as texts, and lost."""
    with pytest.raises(ValueError, match=r"sorts before|is no number"):
        WRITING.moment(DAY, kind, time_format)


@pytest.mark.parametrize("time_format", ["%Y", "%Y-%m"])
def test_a_format_that_is_coarser_than_the_span(time_format: str):
    with pytest.raises(ValueError, match="can't tell 2026-10-05 00:00 from"):
        WRITING.in_spans("ds", "VARCHAR", ((DAY, DAY + 86400),), time_format)


def test_hours_in_days():
    with pytest.raises(ValueError, match="can't tell 2026-10-05 01:00 from 2026-10-05 00:00"):
        WRITING.in_spans("ds", "VARCHAR", ((DAY, DAY + 3600),), None)


@pytest.mark.parametrize("time_format", ["%Q", "day %Y-%m-%d %"])
def test_no_format(time_format: str):
    with pytest.raises(ValueError, match="none that a time can be read by"):
        WRITING.moment(DAY, "VARCHAR", time_format)


def test_years_by_the_year():
    year = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    after = year + int(timedelta(days=365).total_seconds())
    assert WRITING.in_spans("ds", "VARCHAR", ((year, after),), "%Y") == """(("ds" >= '2026' AND "ds" < '2027'))"""
