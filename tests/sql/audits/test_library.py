"""Each built-in audit on DuckDB: rows that pass, rows that fail, NULLs, no rows, odd names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from tests.sql.audits.support import audit, failing

from anabranch.sql.audits.library import BUILT_IN

THERE = 'CREATE TABLE there AS SELECT * FROM (VALUES (1), (2), (NULL)) AS v("key")'
UUID = "0a1b2c3d-0123-4567-89ab-0123456789ab"


@dataclass(frozen=True)
class Case:
    """``{a}`` and ``{b}`` in the call are the table's two columns. ``wrong``: how many rows a failing table returns.
    ``null``: whether a row of NULLs fails; ``empty``: whether a table without rows does."""

    name: str
    arguments: str
    kind: str
    good: Sequence[object]
    bad: Sequence[object]
    wrong: int = 1
    null: bool = False
    empty: bool = False
    kind_b: str = "INTEGER"


CASES = [
    Case("not_null", "columns := ({a})", "INTEGER", [1, 2], [1, None, None], 2, null=True),
    Case("not_null", "columns := {a}", "INTEGER", [1], [None], 1, null=True),
    Case("not_null", "columns := [{a}, {b}]", "INTEGER", [(1, 1)], [(1, None), (None, 1), (1, 1)], 2, null=True),
    Case("not_null", "columns := ({a}), condition := {b} > 1", "INTEGER", [(None, 1), (1, 2)], [(None, 2)], 1),
    Case("unique_values", "columns := ({a})", "INTEGER", [1, 2, None], [1, 1, 2, 2, 3], 2),
    Case("unique_values", "columns := ({a}, {b})", "INTEGER", [(1, 2), (2, 1)], [(1, 1), (2, 1), (1, 3)], 2),
    Case("unique_combination_of_columns", "columns := ({a}, {b})", "INTEGER", [(1, 1), (1, 2)], [(1, 1), (1, 1)]),
    Case("accepted_values", "column := {a}, is_in := ('x', 'y''s')", "VARCHAR", ["x", "y's"], ["x", "z"]),
    Case("not_accepted_values", "column := {a}, is_in := ('x')", "VARCHAR", ["y"], ["y", "x", "x"], 2),
    Case("forall", "criteria := ({a} > 0, {a} < 10)", "INTEGER", [1, 9], [0, 5, 10], 2),
    Case("forall", "criteria := ({a} > 0 OR {b} = 1)", "INTEGER", [(0, 1)], [(0, 2)]),
    Case("accepted_range", "column := {a}, min_v := 1, max_v := 3", "INTEGER", [1, 3], [0, 2, 4], 2),
    Case("accepted_range", "column := {a}, min_v := 1, max_v := 3, inclusive := false", "INTEGER", [2], [1, 2, 3], 2),
    Case("accepted_range", "column := {a}, max_v := -1", "INTEGER", [-1], [0]),
    Case("column_values_between", "column := {a}, min_v := 1, max_v := 3", "INTEGER", [1, 3], [0, 4], 2),
    Case("number_of_rows", "threshold := 2", "INTEGER", [1, 2, 3], [1, 2], null=True, empty=True),
    Case("row_count_between", "min_v := 2, max_v := 3", "INTEGER", [1, 2, 3], [1, 2, 3, 4], null=True, empty=True),
    Case("not_null_proportion", "column := {a}, threshold := 0.5", "INTEGER", [1, None], [1, None, None], null=True),
    Case("not_constant", "column := {a}", "INTEGER", [1, 2], [1, 1], null=True),
    Case("at_least_one", "column := {a}", "INTEGER", [None, 1], [None, None], null=True),
    Case("sequential_values", "column := {a}", "INTEGER", [3, 1, 2, None], [1, 2, 4]),
    Case("sequential_values", "column := {a}, interval := 10", "INTEGER", [10, 20], [10, 15]),
    Case("not_empty_string", "column := {a}", "VARCHAR", ["x", " "], ["", "x"]),
    Case("mutually_exclusive_ranges", "lower_bound_column := {a}, upper_bound_column := {b}", "INTEGER",
         [(1, 3), (3, 5)], [(1, 10), (2, 3), (4, 5)], 2),
    Case("mutually_exclusive_ranges", "lower_bound_column := {a}, upper_bound_column := {b}", "INTEGER",
         [(3, 3)], [(5, 4)]),
    Case("relationships", "column := {a}, to := main.there, field := key", "INTEGER", [1, 2, None], [1, 3]),
    Case("string_length_between", "column := {a}, min_v := 1, max_v := 2", "VARCHAR", ["a", "bb"], ["", "ccc"], 2),
    Case("string_length_equal", "column := {a}, v := 2", "VARCHAR", ["bb"], ["bb", "c"]),
    Case("valid_uuid", "column := {a}", "VARCHAR", [UUID, UUID.upper()], [UUID[1:], UUID + "0", "x"], 3),
    Case("valid_uuid", "column := {a}", "UUID", [UUID], []),
    Case("valid_email", "column := {a}", "VARCHAR", ["a.b+c@x-y.co.uk", "o'neil@example.org"],
         ["a@b", "a b@c.de", "@c.de", "a@c..de", "a@-c.de"], 5),
    Case("valid_url", "column := {a}", "VARCHAR", ["https://example.org/a?b=c#d", "http://x:80", "ftp://a.b"],
         ["example.org", "https://", "http://a b.de", "https://a..b"], 4),
    Case("valid_http_method", "column := {a}", "VARCHAR", ["GET", "PATCH"], ["get", "FETCH"], 2),
    Case("match_regex_pattern_list", "column := {a}, patterns := ('^\\d.*', '!$')", "VARCHAR", ["1x", "x!"], ["x"]),
    Case("not_match_regex_pattern_list", "column := {a}, patterns := ('^\\d', '!$')", "VARCHAR", ["x"], ["1", "x!"], 2),
    Case("match_like_pattern_list", "column := {a}, patterns := ('a%', '%z')", "VARCHAR", ["ab", "yz"], ["zy"]),
    Case("not_match_like_pattern_list", "column := {a}, patterns := ('a%', '%z')", "VARCHAR", ["zy"], ["ab", "yz"], 2),
    Case("mean_in_range", "column := {a}, min_v := 2, max_v := 3", "INTEGER", [1, 3], [1, 1]),
    Case("stddev_in_range", "column := {a}, min_v := 1, max_v := 2", "INTEGER", [1, 2, 3], [1, 9]),
    Case("min_in_range", "column := {a}, min_v := 2", "INTEGER", [2, 9], [1, 9]),
    Case("max_in_range", "column := {a}, max_v := 9, inclusive := false", "INTEGER", [2, 8], [1, 9]),
    Case("sum_in_range", "column := {a}, min_v := 3, max_v := 3", "INTEGER", [1, 2], [1, 1]),
    Case("z_score", "column := {a}, threshold := 2", "INTEGER", [1, 2, 3], [0] * 20 + [100]),
    Case("z_score", "column := {a}, threshold := 2", "INTEGER", [1, 1], []),
    Case("kl_divergence", "column := {a}, target_column := {b}, threshold := 0.1", "INTEGER",
         [(1, 2), (2, 1)], [(1, 1), (1, 2)]),
    Case("kl_divergence", "column := {a}, target_column := {b}, threshold := 0.1", "INTEGER", [(1, 1)], [(1, 2)]),
    # two by two cells of 10, 0, 0, 10: the statistic is the number of rows, 20
    Case("chi_square", "column := {a}, column2 := {b}, critical_value := 19.9", "INTEGER",
         [(1, 1), (1, 2), (2, 1), (2, 2)], [(1, 1)] * 10 + [(2, 2)] * 10),
    Case("chi_square", "column := {a}, column2 := {b}, critical_value := 20.1", "INTEGER",
         [(1, 1)] * 10 + [(2, 2)] * 10, []),
    Case("freshness", "column := {a}, max_age := '1 day'", "TIMESTAMP", ["2024-03-09 12:00"],
         ["2024-03-09 11:00"], null=True, empty=True),
    Case("freshness", "column := {a}, max_age := INTERVAL 2 HOUR", "TIMESTAMP", ["2024-03-10 10:00"],
         ["2024-03-10 09:00", "2024-03-01"], null=True, empty=True),
]  # fmt: skip
IDS = [f"{n}-{c.name}" for n, c in enumerate(CASES)]
NAMES = {"plain": ("a", "b"), "odd": ('odd "Name', "select"), "own": ("value", "rows"), "column": ("column", "t")}


def run(case: Case, rows: Sequence[object], names: tuple[str, str] = ("a", "b"), suffix: str = "") -> list[tuple]:
    first, second = ('"' + n.replace('"', '""') + '"' for n in names)
    call = f"{case.name}{suffix}({case.arguments.format(a=first, b=second)})"
    found = audit(call, names)
    assert found is not None
    table = [row if isinstance(row, tuple) else (row, None) for row in rows]
    kinds = {names[0]: case.kind, names[1]: case.kind_b}
    return failing(found, kinds, table, THERE)


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_good_rows_pass_and_bad_rows_fail(case: Case, names: tuple[str, str]) -> None:
    assert run(case, case.good, names) == []
    if case.bad:
        assert len(run(case, case.bad, names)) == case.wrong


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_nulls_and_no_rows(case: Case) -> None:
    assert bool(run(case, [(None, None)])) is case.null
    assert bool(run(case, [])) is case.empty


def test_each_built_in_is_tried() -> None:
    assert {c.name for c in CASES} == set(BUILT_IN)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_each_has_a_variant_that_only_warns(name: str) -> None:
    case = next(c for c in CASES if c.name == name)
    call = f"{name}_non_blocking({case.arguments.format(a='a', b='b')})"
    warning, blocking = audit(call), audit(call.replace("_non_blocking", "", 1))
    assert warning is not None
    assert blocking is not None
    assert (warning.blocking, blocking.blocking) == (False, True)
    assert warning.query == blocking.query
    assert warning.key != blocking.key


def test_what_is_shown_tells_what_is_wrong() -> None:
    def shown(call: str, rows: Sequence[tuple]) -> list[tuple]:
        found = audit(call)
        assert found is not None
        return failing(found, {"a": "INTEGER", "b": "INTEGER"}, rows)

    assert shown("unique_values(columns := (a))", [(1, 0), (1, 0), (2, 0)]) == [("a", "1", 2)]
    assert shown("unique_combination_of_columns(columns := (a, b))", [(1, 2), (1, 2)]) == [(1, 2, 2)]
    assert shown("sequential_values(column := a)", [(1, 0), (4, 0)]) == [(1, 4)]
    assert shown("mutually_exclusive_ranges(lower_bound_column := a, upper_bound_column := b)", [(1, 9), (2, 3)]) == [
        (2, 3, 9)
    ]
    assert shown("number_of_rows(threshold := 5)", [(1, 1)]) == [(1,)]
    assert shown("not_null_proportion(column := a, threshold := 0.9)", [(1, 1), (None, 1)]) == [(0.5,)]


def test_a_column_of_the_other_table_is_not_taken_for_one_of_this() -> None:
    """Unqualified, ``field`` would be this table's where the other has none of the name: everything would pass."""
    import duckdb

    found = audit("relationships(column := a, to := main.there, field := a)")
    assert found is not None
    with pytest.raises(duckdb.BinderException):
        failing(found, {"a": "INTEGER", "b": "INTEGER"}, [(7, 1)], THERE)


def test_a_condition_may_name_the_model() -> None:
    found = audit("not_null(columns := (a), condition := t.b > 1)")
    assert found is not None
    assert failing(found, {"a": "INTEGER", "b": "INTEGER"}, [(None, 1), (None, 2)]) == [(None, 2)]
