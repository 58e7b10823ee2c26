import pytest

from anabranch.sql.explain import what_changed

BASE = """with h as (select a, sum(x) as s from t where a > 1 group by a)
select h.a, s, s + 1 as u from h join k using (a) where s > 2 order by s"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("s + 1 as u", "s + 1 as u, s * 2 as late_share", "column late_share is new"),
        (", s + 1 as u", "", "column u is gone"),
        ("s + 1", "s + 2", "column u changed"),
        ("h.a, s, s + 1 as u", "h.a + 1 as a, s * 2 as s, s + 1 as u", "columns a, s changed"),
        ("h.a, s,", "s, h.a,", "the order of columns changed"),
        ("s + 1 as u", "s + 1 as v", "column v is new; column u is gone"),
        ("s + 1 as u", "1 as b, 2 as c, 3 as d, 4 as e, 5 as u", "columns b, c, d and 1 more are new; column u changed"),
        ("where s > 2", "where s > 3", "filter changed"),
        ("where s > 2", "", "filter changed"),
        ("order by s", "qualify true order by s", "filter changed"),
        ("join k", "left join k", "join changed"),
        ("where a > 1 ", "", "filter changed in h"),
        ("group by a", "group by all", "grouping changed in h"),
        ("sum(x) as s", "sum(x) as s, max(x) as m", "column m is new in h"),
        ("from h", "from (select * from h) as h", "source changed"),
        ("select h.a", "select distinct h.a", "distinct changed"),
        ("order by s", "order by s desc limit 3", "order changed; limit changed"),
        ("with h as", "with g as (select 1), h as", "g is new"),
        ("where s > 2 order by s", "where s > 3 order by u limit 1", "filter changed; order changed; limit changed"),
        ("s + 1 as u from h join k using (a) where s > 2 order by s", "s as u from h where s > 3 order by u",
         "column u changed; join changed; filter changed; and 1 more"),
        ("join k", "INNER JOIN k", "wording changed"),
        ("order by s", "order by (s) asc -- up", "wording changed"),
        ("select h.a", "select h.a union select h.a", "code changed"),
        ("order by s", "order by", "code changed"),
    ],
)  # fmt: skip
def test_what_changed(old: str, new: str, expected: str) -> None:
    assert old in BASE
    assert what_changed(BASE, BASE.replace(old, new), "duckdb") == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("from t", "from u", "source changed"),
        ("from t", "from t select a", "the selected columns changed"),
        ("from (from t where a) as q", "from (from t where b) as q", "filter changed in q"),
        (
            "select a from t union all select b from u",
            "select a from t union all select c from u",
            "column c is new; column b is gone",
        ),
        ("select a from t union all select b from u", "select a from t union select b from u", "code changed"),
        ("values (1)", "values (2)", "code changed"),
        ("values (1)", "select 2", "code changed"),
        ("pivot t on a using sum(b)", "pivot t on a using max(b)", "code changed"),
        ("nonsense here now", "select 1", "code changed"),
        ("select max(a) from t", "select min(a) from t", "column 1 changed"),
    ],
)
def test_other_forms(before: str, after: str, expected: str) -> None:
    assert what_changed(before, after, "duckdb") == expected


def test_an_endless_query_is_no_problem() -> None:
    long = "select " + " + ".join(["a"] * 3000) + " as x from t"
    assert what_changed(long, long + " where a", "duckdb") in ("filter changed", "code changed")
