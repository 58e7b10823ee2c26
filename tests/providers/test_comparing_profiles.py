"""Profiles of columns: how many values there are, and which."""

import math

import pytest
from tests.providers.rowdiffs import Bench, values

from anabranch.ports.rows import Profile, TopValue
from anabranch.providers import comparing


def test_a_profile(bench: Bench) -> None:
    found = bench.diff(
        values("n, t, d, l", "1, 'a', DATE '2020-01-01', [1]", "2, NULL, DATE '2020-01-03', [1]", "3, 'b', NULL, [2]"),
        values("n, t, d, l", "1.5, 'a', TIMESTAMPTZ '2020-01-01 00:00:00', NULL", "NULL, NULL, NULL, NULL"),
        profile=True,
    )
    n, t, d, nested = found.columns
    assert n.before == Profile(0, 3, True, 1, 3, 2.0)
    assert n.after is not None
    assert (n.after.nulls, n.after.distinct, float(str(n.after.minimum)), n.after.mean) == (1, 1, 1.5, 1.5)
    assert (t.before, t.after) == (Profile(1, 2, True, "a", "b"), Profile(1, 1, True, "a", "a"))
    assert d.before == Profile(1, 2, True, "2020-01-01", "2020-01-03")
    assert d.after is not None
    assert str(d.after.minimum).startswith("2020-01-01 00:00:00")
    assert (nested.before, nested.after) == (Profile(0, 2, True), Profile(2, 0, True))


def test_what_is_no_number_in_a_profile(bench: Bench) -> None:
    column = bench.diff(*[values("x", "1::DOUBLE", "'NaN'", "'-inf'")] * 2, profile=True).columns[0]
    assert column.after == Profile(0, 3, True, "-inf", "nan", None)


def test_many_values_are_counted_approximately(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "EXACT_CELLS", 1000)
    column = bench.diff(*["SELECT range AS n FROM range(2000)"] * 2, profile=True).columns[0]
    assert column.after is not None
    assert not column.after.is_exact
    assert math.isclose(column.after.distinct, 2000, rel_tol=0.2)


def test_values_of_columns_that_have_few(bench: Bench) -> None:
    one = "SELECT range AS id, ['de', 'fr', NULL][range % 3 + 1] AS c, range % 2 = 0 AS flag FROM range(12)"
    other = "SELECT range AS id, ['de', 'it', NULL][range % 4 + 1] AS c, true AS flag FROM range(12)"
    found = bench.diff(one, other, "id", profile=True)
    tops = {c.name: c.top for c in found.columns}
    assert tops["id"] == ()
    # 'de', 'it', NULL and, the fourth not being there, NULL again
    assert tops["c"] == (TopValue(None, 4, 6), TopValue("de", 4, 3), TopValue("fr", 4, 0), TopValue("it", 0, 3))
    assert tops["flag"] == (TopValue(True, 6, 12), TopValue(False, 6, 0))
    assert all(not c.top for c in bench.diff(one, other, "id").columns), "not asked for"


def test_values_of_a_column_of_another_type_are_listed_once(bench: Bench) -> None:
    query = "SELECT (range % 2){} AS n, (range % 2 = 0){} AS flag FROM range(10)"
    found = bench.diff(query.format("", ""), query.format("::VARCHAR", "::VARCHAR"), profile=True)
    assert [c.top for c in found.columns] == [
        (TopValue("0", 5, 5), TopValue("1", 5, 5)), (TopValue("false", 5, 5), TopValue("true", 5, 5)),
    ]  # fmt: skip
