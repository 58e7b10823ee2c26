"""Rows of two relations, compared in DuckDB."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.providers.rowdiffs import AFTER, BEFORE, Bench, compare, differing, figures, values

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import ModelError, Refused, SqlSyntaxError
from anabranch.ports.rows import By, ChangedRow, Profile, RepeatedKey, RowOptions, Sample
from anabranch.providers import comparing

# --- by key


def test_by_key(bench: Bench) -> None:
    found = bench.diff(
        values("id, name, n", "1, 'a', 1", "2, 'b', 2", "3, 'c', 3", "4, NULL, 4"),
        values("id, name, n", "2, 'b', 2", "3, 'x', 30", "4, 'd', 4", "5, 'e', 5", "6, 'f', 6"),
        "id",
    )
    assert figures(found) == (By.KEY, 2, 1, 2, 3, False)
    assert (found.rows_before, found.rows_after, found.keys, found.notes) == (4, 5, ("id",), ())
    assert differing(found) == {"name": 2, "n": 1}
    rates = {c.name: found.match_rate(c) for c in found.columns}
    assert rates == {"id": None, "name": pytest.approx(1 / 3), "n": pytest.approx(2 / 3)}
    assert found.sample == Sample(
        ("id", "name", "n"), ((5, "e", 5), (6, "f", 6)),
        ("id", "name", "n"), ((1, "a", 1),),
        (ChangedRow((3,), (("name", "c", "x"), ("n", 3, 30))), ChangedRow((4,), (("name", None, "d"),))),
    )  # fmt: skip


def test_the_same_rows_in_another_order(bench: Bench) -> None:
    query = "SELECT range AS id, range * 2 AS n FROM range(1000)"
    found = bench.diff(query, f"{query} ORDER BY hash(range)", "id")
    assert figures(found) == (By.KEY, 0, 0, 0, 1000, True)
    assert found.sample == Sample()
    assert all(c.differing == 0 for c in found.columns if not c.is_key)


def test_keys_with_nulls(bench: Bench) -> None:
    found = bench.diff(
        values("a, b, n", "1, NULL, 1", "1, 2, 2", "NULL, NULL, 3"),
        values("a, b, n", "1, NULL, 9", "1, 2, 2", "NULL, 1, 3"),
        "a",
        "b",
        profile=True,
    )
    assert figures(found) == (By.KEY, 1, 1, 1, 2, False)
    assert found.repeated is None
    assert found.sample.changed == (ChangedRow((1, None), (("n", 1, 9),)),)
    assert found.sample.removed == ((None, None, 3),)
    nulls = {c.name: (c.before.nulls, c.after.nulls) for c in found.columns if c.before and c.after}
    assert nulls == {"a": (1, 1), "b": (2, 1), "n": (0, 0)}


def test_repeated_keys(bench: Bench) -> None:
    found = bench.diff(
        values("id, n", "1, 1", "2, 1", "2, 2", "2, 2", "3, 3", "NULL, 1", "NULL, 1", "7, 7", "7, 7", "8, 8"),
        values("id, n", "1, 9", "2, 2", "2, 5", "3, 3", "3, 4", "NULL, 1", "NULL, 1", "9, 9", "9, 9", "8, 8"),
        "id",
    )
    # 1 changed; 2: {1,2,2} -> {2,5}: one changed, one gone; 3: {3} -> {3,4}: one more; 7: two gone; 9: two more
    assert figures(found) == (By.KEY, 3, 3, 2, 2, False)
    assert found.repeated is not None
    told = found.repeated
    assert (told.keys_before, told.rows_before, told.keys_after, told.rows_after) == (3, 7, 4, 8)
    assert told.examples == (
        RepeatedKey((2,), 3, 2), RepeatedKey((3,), 1, 2), RepeatedKey((7,), 2, 0), RepeatedKey((9,), 0, 2),
        RepeatedKey((None,), 2, 2),
    )  # fmt: skip
    assert differing(found) == {"n": 1}, "only rows that have a partner are compared column by column"
    assert found.sample.changed == (ChangedRow((1,), (("n", 1, 9),)),)
    assert "key (id) isn't unique" in found.notes[0]


def test_a_key_that_tells_next_to_nothing_apart_is_no_cross_join(bench: Bench) -> None:
    query = "SELECT range % 3 AS id, range AS n FROM range(60000)"
    found = bench.diff(query, query.replace("range AS n", "CASE WHEN range = 7 THEN -1 ELSE range END AS n"), "id")
    assert figures(found) == (By.KEY, 0, 0, 1, 0, False)


def test_only_repeated_keys_and_no_values(bench: Bench) -> None:
    found = bench.diff(values("id", "1", "1", "2"), values("id", "1", "2", "2", "2"), "id")
    assert figures(found) == (By.KEY, 2, 1, 0, 0, False)


def test_a_key_that_is_not_on_both_sides(bench: Bench) -> None:
    found = bench.diff("SELECT 1 AS id, 2 AS n", "SELECT 1 AS ident, 2 AS n", "id")
    assert found.by is By.ROW
    assert found.notes == ("key column id isn't on both sides, so rows are compared as wholes",)
    assert found.same is True, "as far as the columns go that both have"


def test_a_key_in_another_case(bench: Bench) -> None:
    assert bench.diff("SELECT 1 AS Id, 2 AS n", "SELECT 1 AS Id, 3 AS n", "ID", "id").keys == ("Id",)


def test_keys_of_different_types(bench: Bench) -> None:
    one, other = values("id, n", "1, 1", "2, 2"), values("id, n", "'1', 1", "'3', 3")
    assert figures(bench.diff(one, other, "id")) == (By.KEY, 1, 1, 0, 1, False)
    assert figures(bench.diff(one, "SELECT id::BIGINT AS id, n FROM (" + one + ")", "id"))[1:] == (0, 0, 0, 2, True)


def test_only_the_key_in_common(bench: Bench) -> None:
    found = bench.diff("SELECT 1 AS id, 2 AS a", "SELECT 1 AS id, 2 AS b", "id")
    assert figures(found) == (By.KEY, 0, 0, 0, 1, True)


def test_no_rows(bench: Bench) -> None:
    nothing = "SELECT 1 AS id, 'a' AS x, 1.5::DOUBLE AS d WHERE false"
    some = nothing.replace(" WHERE false", "")
    for keys in ((), ("id",)):
        assert bench.diff(nothing, nothing, *keys, profile=True).same is True
        found = bench.diff(nothing, some, *keys, profile=True)
        assert (found.added, found.removed, found.same) == (1, 0, False)
        assert found.sample.added == ((1, "a", 1.5),)
        assert [c.before for c in found.columns] == [Profile(0, 0, True)] * 3
        assert found.match_rate(found.columns[1]) is None
        assert (bench.diff(some, nothing, *keys).removed, bench.diff(some, nothing, *keys).added) == (1, 0)


# --- as wholes


def test_without_a_key(bench: Bench) -> None:
    one = values("a, b", "1, 'x'", "1, 'x'", "2, NULL", "3, 'z'")
    found = bench.diff(one, values("a, b", "3, 'z'", "1, 'x'", "2, NULL", "2, NULL", "4, 'w'"))
    assert figures(found) == (By.ROW, 2, 1, None, None, False)
    assert found.sample == Sample(("a", "b"), ((2, None), (4, "w")), ("a", "b"), ((1, "x"),))
    assert found.notes == ("no key is declared (grain) or named (--key), so rows are compared as wholes",)
    same = bench.diff(one, values("a, b", "3, 'z'", "1, 'x'", "2, NULL", "1, 'x'"))
    assert figures(same) == (By.ROW, 0, 0, None, None, True)


def test_two_equal_rows_do_not_cancel(bench: Bench) -> None:
    found = bench.diff(values("a", "1", "1", "2"), values("a", "2", "3", "3"))
    assert figures(found) == (By.ROW, 2, 2, None, None, False)
    assert found.sample.added == ((3,), (3,)), "as often as it is there"


def test_rows_that_hash_apart_and_are_equal_all_the_same(bench: Bench) -> None:
    found = bench.diff("SELECT 0.0::DOUBLE AS x", "SELECT -0.0::DOUBLE AS x")
    assert figures(found) == (By.ROW, 0, 0, None, None, True)


def test_too_many_rows_to_compare_as_wholes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "WHOLE_ROWS", 5)
    three, other = "SELECT range AS n FROM range(3)", "SELECT range + 1 AS n FROM range(3)"
    assert figures(bench.diff(three, f"{three} ORDER BY n DESC")) == (By.ROW, 0, 0, None, None, True)
    found = bench.diff(three, other)
    assert figures(found) == (By.COUNT, None, None, None, None, False)
    assert "6 rows are too many" in found.notes[-1]
    assert bench.diff(three, other, where="n >= 0").same is None, "nothing is known of what wasn't looked at"


# --- options


def test_a_condition(bench: Bench) -> None:
    one, other = (f"SELECT range AS id, range % {n} AS n FROM range(10)" for n in (3, 4))
    found = bench.diff(one, other, "id", where="id < 4 -- only these", profile=True)
    assert (found.rows_before, found.rows_after, found.common, found.changed) == (4, 4, 4, 1)
    assert found.sample.changed == (ChangedRow((3,), (("n", 0, 3),)),)
    assert [c.after.maximum for c in found.columns if c.after] == [3, 3]
    found = bench.diff(one, other, where="id < 4")
    assert figures(found) == (By.ROW, 1, 1, None, None, False)
    assert bench.diff(one, other, "id", where="n > 0 or true").common == 10, "what it says stays together"
    assert bench.diff(one, other, "n", where="id in (3, 9, 6)").removed == 3, "0, 0, 0 are 3, 2, 1"


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("id = (SELECT 1)", Refused), ("id = 1; DROP TABLE before", Refused), ("true) OR (true", SqlSyntaxError),
        ("nextval('s') = 1", Refused), ("nothing = 1", ModelError), ("count(*) > 1", ModelError), ("v0 = 1", ModelError),
        ("id =", SqlSyntaxError), (" ", Refused),
    ],
)  # fmt: skip
def test_what_is_no_condition(bench: Bench, where: str, kind: type[Exception]) -> None:
    with pytest.raises(kind) as raised:
        bench.diff("SELECT 1 AS id", "SELECT 1 AS id", "id", where=where)
    assert raised.type is kind


def test_no_sample(bench: Bench) -> None:
    for keys in ((), ("id",)):
        found = bench.diff("SELECT 1 AS id, 2 AS n", "SELECT 1 AS id, 3 AS n UNION ALL SELECT 2, 2", *keys, sample=0)
        assert found.sample == Sample()
        assert found.same is False


def test_long_and_binary_values_are_cut(bench: Bench) -> None:
    one = "SELECT 1 AS id, repeat('a', 1000000) AS t, repeat('\\xAA', 100000)::BLOB AS b, range(100000) AS l"
    other = "SELECT 1 AS id, repeat('a', 1000001) AS t, 'ab\\x00'::BLOB AS b, [1] AS l UNION ALL SELECT 2, 'b', 'c', []"
    found = bench.diff(one, other, "id", profile=True)
    told = {name: (was, now) for name, was, now in found.sample.changed[0].values}
    assert told["t"] == ("a" * 200 + "…",) * 2
    assert told["b"] == ("\\xAA" * 50 + "…", "ab\\x00")
    assert len(str(told["l"][0])) == 201
    assert told["l"][1] == "[1]"
    text = next(c for c in found.columns if c.name == "t")
    assert text.before is not None
    assert (text.before.minimum, text.before.maximum) == ("a" * 200 + "…",) * 2
    found = bench.diff(one, other)
    assert max(len(str(v)) for row in found.sample.removed for v in row) == 201


# --- against a reference in Python


CELL = st.one_of(st.none(), st.integers(0, 2))
TABLE = st.lists(st.tuples(CELL, CELL, CELL), max_size=8)


def _reference(before: list, after: list) -> tuple[int, int, int]:
    """Added, removed, changed by the first column: of each key, whole rows that one side has more."""
    added = removed = changed = 0
    for key in {r[0] for r in [*before, *after]}:
        was, now = (Counter(r for r in side if r[0] == key) for side in (before, after))
        gone, new = (was - now).total(), (now - was).total()
        added, removed, changed = added + max(0, new - gone), removed + max(0, gone - new), changed + min(gone, new)
    return added, removed, changed


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLE, TABLE)
def test_it_counts_as_a_simple_program_does(bench: Bench, before: list, after: list) -> None:
    def query(rows: list) -> str:
        cells = [", ".join("NULL" if v is None else str(v) for v in row) for row in rows]
        typed = "SELECT k::INTEGER AS k, x::INTEGER AS x, y::INTEGER AS y FROM "
        return f"{typed}({values('k, x, y', *cells, 'NULL, NULL, NULL')}) LIMIT {len(rows)}"

    found = bench.diff(query(before), query(after), "k")
    assert (found.added, found.removed, found.changed) == _reference(before, after)
    assert (found.added or 0) - (found.removed or 0) == len(after) - len(before)
    whole = bench.diff(query(before), query(after))
    was, now = Counter(before), Counter(after)
    assert (whole.added, whole.removed) == ((now - was).total(), (was - now).total())
    assert whole.same is found.same is (was == now)


def test_a_warehouse_that_is_only_read(tmp_path: Path) -> None:
    engine = DuckDBEngine(tmp_path / "w.duckdb")
    with engine.session() as session:
        session.create_table(BEFORE, "SELECT 1 AS id, 1 AS n UNION ALL SELECT 1, 2")
        session.create_table(AFTER, "SELECT 1 AS id, 3 AS n")
        with engine.session(read_only=True) as guarded:
            for keys in ((), ("id",)):
                answer = compare(guarded, RowOptions(keys=keys, profile=True))
                assert (answer.added, answer.removed) == ((0, 1) if keys else (1, 2))
    engine.close()
