"""Spans behave as sets of moments; units cut time without gaps."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.intervals import (
    Span,
    Unit,
    batches,
    common,
    covers,
    due,
    minus,
    moment,
    normal,
    seconds,
    shown,
    union,
)

spans = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)
moments = st.integers(seconds(datetime(1995, 1, 1, tzinfo=UTC)), seconds(datetime(2045, 1, 1, tzinfo=UTC)))


def points(found: Iterable[Span]) -> set[int]:
    return {p for begin, end in found for p in range(begin, end)}


@given(spans)
def test_the_normal_form_is_the_same_set_in_as_few_spans_as_can_be(found: list[Span]) -> None:
    kept = normal(found)
    assert points(kept) == points(found)
    assert all(one[1] < other[0] for one, other in pairwise(kept))
    assert all(begin < end for begin, end in kept)


@given(spans, spans)
def test_spans_are_sets(one: list[Span], other: list[Span]) -> None:
    assert points(union(one, other)) == points(one) | points(other)
    assert points(minus(one, other)) == points(one) - points(other)
    assert points(common(one, other)) == points(one) & points(other)
    for found in (union(one, other), minus(one, other), common(one, other)):
        assert found == normal(found)


@given(spans, st.tuples(st.integers(0, 40), st.integers(0, 40)))
def test_covers(held: list[Span], span: Span) -> None:
    assert covers(held, span) == (points([span]) <= points(held))


@given(moments, st.sampled_from(Unit))
def test_units_cut_time_without_gaps(at: int, unit: Unit) -> None:
    floor, ceil = unit.floor(at), unit.ceil(at)
    assert floor <= at <= ceil
    assert unit.floor(floor) == floor == unit.ceil(floor)
    assert unit.after(floor) > at
    assert unit.after(unit.after(floor), -1) == floor
    assert unit.after(floor, 0) == floor


@given(moments, st.sampled_from(Unit), st.integers(0, 60), st.integers(1, 9) | st.none())
def test_batches_are_the_span_cut_at_borders(at: int, unit: Unit, count: int, size: int | None) -> None:
    begin = unit.floor(at)
    span = (begin, unit.after(begin, count))
    assert unit.number(span) == count
    if not count:
        return
    cut = list(batches([span], unit, size))
    assert normal(cut) == (span,)
    assert cut[0][0] == span[0]
    assert all(one[1] == other[0] for one, other in pairwise(cut))
    assert all(unit.number(c) <= (size or count) for c in cut)
    assert size is None or all(unit.number(c) == size for c in cut[:-1])


def test_what_is_due_looks_back_only_where_it_goes_on() -> None:
    day = 86400
    held = [(0, 10 * day)]
    assert due((0, 10 * day), held, Unit.DAY, 3) == ()
    assert due((0, 12 * day), held, Unit.DAY, 3) == ((7 * day, 12 * day),)
    assert due((8 * day, 12 * day), held, Unit.DAY, 3) == ((8 * day, 12 * day),)
    assert due((0, 12 * day), [(2 * day, 10 * day)], Unit.DAY, 3) == ((0, 2 * day), (7 * day, 12 * day))
    assert due((0, 5 * day), (), Unit.DAY, 3) == ((0, 5 * day),)


@given(spans, st.integers(0, 3))
def test_nothing_is_due_twice(held: list[Span], lookback: int) -> None:
    day = 86400
    days = [(b * day, e * day) for b, e in held]
    wanted = (0, 40 * day)
    found = due(wanted, days, Unit.DAY, lookback)
    assert union(found, common(days, [wanted])) == (wanted,)
    assert due(wanted, union(days, found), Unit.DAY, lookback) == ()


def test_a_leap_year_and_a_month_of_28_days() -> None:
    begin = seconds(datetime(2024, 2, 1, tzinfo=UTC))
    assert moment(Unit.MONTH.after(begin)) == datetime(2024, 3, 1, tzinfo=UTC)
    assert Unit.DAY.number((begin, Unit.MONTH.after(begin))) == 29
    assert moment(Unit.YEAR.after(seconds(datetime(2024, 1, 1, tzinfo=UTC)), -1)) == datetime(2023, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("gap", "unit"),
    [
        (timedelta(days=366), Unit.YEAR),
        (timedelta(days=28), Unit.MONTH),
        (timedelta(days=7), Unit.DAY),
        (timedelta(days=1), Unit.DAY),
        (timedelta(hours=23), Unit.HOUR),
        (timedelta(minutes=45), Unit.HALF_HOUR),
        (timedelta(minutes=15), Unit.QUARTER_HOUR),
        (timedelta(minutes=1), Unit.FIVE_MINUTE),
    ],
)
def test_the_unit_of_a_cadence(gap: timedelta, unit: Unit) -> None:
    assert Unit.of(gap) is unit


def test_spans_as_people_read_them() -> None:
    first = seconds(datetime(2024, 1, 1, tzinfo=UTC))
    assert shown((first, first + 86400)) == "2024-01-01"
    assert shown((first, first + 3 * 86400)) == "2024-01-01 to 2024-01-03"
    assert shown((first, first + 3600)) == "2024-01-01 00:00 to 2024-01-01 01:00"
