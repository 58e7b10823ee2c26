"""Columns of two relations, compared in DuckDB: their types, their values, their names."""

import pytest
from tests.providers.rowdiffs import Bench, differing, figures

from anabranch.ports.rows import By, ChangedRow, TopValue


def test_columns_on_one_side(bench: Bench) -> None:
    found = bench.diff("SELECT 1 AS id, 1 AS gone, 5 AS n", "SELECT 1 AS id, 5 AS n, 'x' AS fresh", "id", profile=True)
    assert figures(found) == (By.KEY, 0, 0, 0, 1, True)
    told = {c.name: (c.before_type, c.after_type, c.before is None, c.after is None) for c in found.columns}
    assert told == {
        "id": ("INTEGER", "INTEGER", False, False), "n": ("INTEGER", "INTEGER", False, False),
        "fresh": (None, "VARCHAR", True, False), "gone": ("INTEGER", None, False, True),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "as_text", "differs"),
    [
        ("1", "1::BIGINT", False, 0),
        ("1", "1.0::DOUBLE", False, 0),
        ("1.50::DECIMAL(9, 2)", "1.5::DOUBLE", False, 0),
        ("1", "2::BIGINT", False, 1),
        ("1", "'1'", True, 0),
        ("'x'", "1", True, 1),
        ("DATE '2020-01-01'", "TIMESTAMP '2020-01-01 00:00:00'", False, 0),
        ("DATE '2020-01-01'", "TIMESTAMP '2020-01-01 00:00:01'", False, 1),
        ("DATE '2020-01-01'", "'2020-01-01'", True, 0),
        ("TIMESTAMP '2020-01-01'", "TIMESTAMPTZ '2020-01-01'", True, 1),
        ("true", "'true'", True, 0),
        ("{'a': 1}", "{'b': 1}", True, 1),
        ("NULL::INTEGER", "NULL::VARCHAR", True, 0),
        ("[1]", "['1']", True, 0),
    ],
)
def test_a_column_of_another_type(bench: Bench, before: str, after: str, as_text: bool, differs: int) -> None:
    for keys in (("id",), ()):
        found = bench.diff(f"SELECT 1 AS id, {before} AS x", f"SELECT 1 AS id, {after} AS x", *keys, profile=True)
        (column,) = [c for c in found.columns if c.name == "x"]
        assert column.as_text is as_text
        assert found.same is not bool(differs)
        if keys:
            assert column.differing == differs
        else:
            assert (found.by, found.added, found.removed) == (By.ROW, differs, differs)


@pytest.mark.parametrize(
    ("before", "after", "differs"),
    [
        ("'NaN'::DOUBLE", "'NaN'::DOUBLE", 0),
        ("'NaN'::DOUBLE", "1::DOUBLE", 1),
        ("'NaN'::DOUBLE", "NULL::DOUBLE", 1),
        ("'inf'::DOUBLE", "'-inf'::DOUBLE", 1),
        ("0.0::DOUBLE", "-0.0::DOUBLE", 0),
        ("[1, NULL]", "[1, NULL]", 0),
        ("[1, NULL]", "[1, 2]", 1),
        ("[]::INTEGER[]", "NULL::INTEGER[]", 1),
        ("[[1], [2]]", "[[1, 2]]", 1),
        ("{'a': 1, 'b': [2]}", "{'a': 1, 'b': [3]}", 1),
        ("MAP {'a': 1}", "MAP {'a': 2}", 1),
        ("'\\xAA'::BLOB", "'\\xAB'::BLOB", 1),
        ("'\\xAA'::BLOB", "'\\xAA'::BLOB", 0),
        ("INTERVAL 1 MONTH", "INTERVAL 30 DAYS", 1),
        ("[INTERVAL 1 MONTH]", "[INTERVAL 30 DAYS]", 1),
        ("INTERVAL 1 MONTH", "INTERVAL 1 MONTH", 0),
        ("'2020-01-01 00:00:00+00'::TIMESTAMPTZ", "'2020-01-01 01:00:00+00'::TIMESTAMPTZ", 1),
        ("'a'::ENUM ('a', 'b')", "'b'::ENUM ('a', 'b')", 1),
        ("union_value(a := 1)::UNION(a INTEGER, b INTEGER)", "union_value(b := 1)::UNION(a INTEGER, b INTEGER)", 1),
        ("uuid '00000000-0000-0000-0000-000000000001'", "uuid '00000000-0000-0000-0000-000000000002'", 1),
        ("'{}'::JSON", "'[]'::JSON", 1),
        ("''", "NULL::VARCHAR", 1),
    ],
)
def test_values_of_all_sorts(bench: Bench, before: str, after: str, differs: int) -> None:
    for keys in (("id",), ()):
        found = bench.diff(f"SELECT 1 AS id, {before} AS x", f"SELECT 1 AS id, {after} AS x", *keys, profile=True)
        assert found.same is not bool(differs)
        assert (found.changed, found.removed) == ((differs, 0) if keys else (None, differs))
        if keys and differs:
            ((name, was, now),) = found.sample.changed[0].values
            assert name == "x"
            assert str(was) != str(now) or "union" in before, "whose text leaves out which member it is"
            assert isinstance(was, (str, int, type(None)))


def test_a_nested_key(bench: Bench) -> None:
    found = bench.diff("SELECT [1, NULL] AS id, 1 AS n UNION ALL SELECT [], 2", "SELECT [1, NULL] AS id, 3 AS n", "id")
    assert figures(found) == (By.KEY, 0, 1, 1, 1, False)
    assert found.sample.changed == (ChangedRow(("[1, NULL]",), (("n", 1, 3),)),)


def test_tolerance(bench: Bench) -> None:
    one = "SELECT 1 AS id, 1.0::DOUBLE AS x, 1 AS n, 'NaN'::DOUBLE AS nan, 1.0::DOUBLE AS void"
    other = "SELECT 1 AS id, 1.001::DOUBLE AS x, 2 AS n, 1.0::DOUBLE AS nan, NULL::DOUBLE AS void"
    assert differing(bench.diff(one, other, "id")) == {"x": 1, "n": 1, "nan": 1, "void": 1}
    found = bench.diff(one, other, "id", tolerance=0.01)
    assert differing(found) == {"n": 1, "nan": 1, "void": 1}, "only floating-point numbers have one"
    assert {v[0] for v in found.sample.changed[0].values} == {"n", "nan", "void"}
    assert differing(bench.diff(one, other, "id", tolerance=1e-9))["x"] == 1


def test_no_column_in_common(bench: Bench) -> None:
    found = bench.diff("SELECT 1 AS a", "SELECT 1 AS b UNION ALL SELECT 2")
    assert (figures(found), found.rows_before, found.rows_after) == ((By.COUNT, *[None] * 5), 1, 2)
    assert found.notes[-1] == "the two have no column in common, so rows are only counted"


def test_very_wide_tables(bench: Bench) -> None:
    columns = ", ".join(f"range + {i} AS c{i}, (range % 5)::VARCHAR AS t{i}" for i in range(150))
    other = columns.replace("range + 149", "range + 148").replace("(range % 5)::VARCHAR AS t7,", "'x' AS t7,")
    query = "SELECT range AS id, {} FROM range(200)"
    found = bench.diff(query.format(columns), query.format(other), "id", profile=True, sample=2)
    assert len(found.columns) == 301
    assert differing(found) == {"c149": 200, "t7": 200}
    assert all(c.before and c.after and c.before.distinct in (5, 200) for c in found.columns)
    assert [t.before for t in next(c.top for c in found.columns if c.name == "t149")] == [40] * 5
    assert next(c.top for c in found.columns if c.name == "t7")[0] == TopValue("x", 0, 200)
    assert bench.diff(query.format(columns), query.format(columns)).same is True
    found = bench.diff(query.format(columns), query.format(other))
    assert (found.added, found.removed) == (200, 200)


def test_columns_may_be_called_anything(bench: Bench) -> None:
    odd = [
        'quo"te',
        "k0",
        "v0",
        "there",
        "n",
        "b",
        "a",
        "anabranch_there",
        "it's",
        "SELECT",
        "ünï",
        "twice",
        "sides",
        " ",
    ]
    columns = ", ".join(f'range AS "{o.replace(chr(34), chr(34) * 2)}"' for o in odd)
    one = f"SELECT {columns} FROM range(4)"
    other = f"SELECT * REPLACE (7 AS n) FROM ({one}) WHERE k0 > 0"
    for key in odd:
        if key != "n":
            found = bench.diff(one, other, key, profile=True)
            assert figures(found) == (By.KEY, 0, 1, 3, 3, False), key
    assert figures(bench.diff(one, other, profile=True))[1:3] == (3, 4)
    found = bench.diff(one, other, "n")
    assert found.repeated is not None
    assert (found.added, found.removed) == (3, 4)
