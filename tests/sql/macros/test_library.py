"""The macros that write SQL: what they write, and what DuckDB makes of it."""

import datetime

import pytest
from tests.sql.macros.expanding import answer, expand

from anabranch.errors import ModelError
from anabranch.sql.macros.scope import ColumnsUnknown


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("@STAR(raw.orders)", '"orders"."id", "orders"."amount", "orders"."day"'),
        ("@STAR(raw.orders, o, [id, 'day'])", '"o"."amount"'),
        ("@STAR(raw.orders, exclude := [id, DAY], prefix := 'o_')", '"orders"."amount" AS "o_amount"'),
        ("@STAR(bare, quote_identifiers := false, suffix := '_y')", "bare.x AS x_y"),
        ("@SAFE_DIV(a + 1, b)", "(a + 1) / NULLIF(b, 0)"),
        ("@SAFE_DIV(a, b) * 2", "(a / NULLIF(b, 0)) * 2"),
        ("@SAFE_ADD(a, b)", "CASE WHEN a IS NULL AND b IS NULL THEN NULL ELSE COALESCE(a, 0) + COALESCE(b, 0) END"),
        ("@SAFE_SUB(a, b)", "CASE WHEN a IS NULL AND b IS NULL THEN NULL ELSE COALESCE(a, 0) - COALESCE(b, 0) END"),
        ("@UNION('distinct', raw.orders, raw.old)", 'SELECT "id", "day" FROM raw.orders UNION SELECT "id", "day" FROM raw.old'),
        ("@UNION(FALSE, 'all', raw.orders, raw.old)", 'SELECT "id", "day" FROM raw.orders'),
        ("@PIVOT(s, ['a'], agg := 'MAX', prefix := 'p_')", "MAX(CASE WHEN s = 'a' THEN 1 ELSE 0 END) AS \"p_a\""),
    ],
)  # fmt: skip
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text) == expanded


def test_star() -> None:
    assert answer("select @STAR(raw.orders, exclude := [day]) from raw.orders order by id limit 1") == [(1, 10)]


def test_union() -> None:
    assert len(answer("@UNION('all', raw.orders, raw.old)")) == 4
    assert answer("select min(id), max(id) from (@UNION('all', raw.orders, raw.old))") == [(1, 9)]


def test_safe_arithmetic() -> None:
    query = "select @SAFE_ADD({0}), @SAFE_SUB({0}), @SAFE_DIV({0})"
    assert answer(query.format("8, 2")) == [(10, 6, 4)]
    assert answer(query.format("8, NULL")) == [(8, 8, None)]
    assert answer(query.format("8, 0")) == [(8, 8, None)]
    assert answer(query.format("NULL, NULL")) == [(None, None, None)]


def test_surrogate_key() -> None:
    """The hash of the texts with a bar between, as SQLMesh makes it."""
    (row,) = answer("select @GENERATE_SURROGATE_KEY(1, 'x', NULL), md5('1|x|_sqlmesh_surrogate_key_null_')")
    assert row[0] == row[1]
    (row,) = answer("select @GENERATE_SURROGATE_KEY(1, hash_function := 'SHA256'), sha256('1')")
    assert row[0] == row[1]


def test_pivot() -> None:
    query = "select @PIVOT(id, [1, 3, 5], agg := 'SUM', then_value := amount) from raw.orders"
    assert answer(query) == [(10, 30, 0)]


def test_deduplicate() -> None:
    query = "select id from (@DEDUPLICATE(raw.orders, [day], ['id DESC'])) order by id"
    assert answer(query) == [(1,), (3,)]


def test_date_spine() -> None:
    days = answer("from (@DATE_SPINE('day', '2024-02-28', '2024-03-01')) order by date_day")
    assert days == [(datetime.date(2024, 2, 28),), (datetime.date(2024, 2, 29),), (datetime.date(2024, 3, 1),)]
    quarters = answer("select date_quarter from (@DATE_SPINE('quarter', '2024-01-01', '2024-07-01')) order by 1")
    assert quarters == [(datetime.date(2024, m, 1),) for m in (1, 4, 7)]


def test_haversine_distance() -> None:
    """From Paris to London it is about 344 km."""
    ((kilometres, miles),) = answer(
        "select @HAVERSINE_DISTANCE(48.857, 2.352, 51.507, -0.128, 'km'), @HAVERSINE_DISTANCE(48.857, 2.352, 51.507, -0.128)"
    )
    assert float(str(kilometres)) == pytest.approx(344, abs=2)
    assert float(str(miles)) == pytest.approx(214, abs=2)


def test_columns_that_arent_known() -> None:
    with pytest.raises(ColumnsUnknown) as caught:
        expand("select @STAR(raw.unknown)")
    assert caught.value.message == "@STAR needs the columns of raw.unknown, which aren't known"
    assert caught.value.relation == "raw.unknown"
    assert caught.value.where is not None
    assert caught.value.where.column == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@STAR(raw.orders, exclude := [nope])", "raw.orders has no column nope"),
        ("@STAR(raw.orders, exclude := [id, amount, day])", "@STAR leaves out all columns of raw.orders"),
        ("@STAR(raw.orders, excluded := [id])", "@STAR has no parameter excluded, or has it twice"),
        ("@UNION('all', raw.orders, bare)", "raw.orders, bare have no column in common"),
        ("@UNION('all')", "@UNION needs tables"),
        ("@PIVOT(x, [1], cmp := 'is; drop')", "@PIVOT can't compare by is; drop"),
        ("@PIVOT(x, [])", "@PIVOT needs values"),
        ("@DATE_SPINE('hour', a, b)", "@DATE_SPINE has no steps of a hour"),
        ("@SAFE_DIV(1)", "@SAFE_DIV takes two numbers"),
        ("@HAVERSINE_DISTANCE(1, 2, 3, 4, 'nm')", "@HAVERSINE_DISTANCE has no unit nm"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(ModelError) as caught:
        expand(text)
    assert caught.value.message == message
