"""Parentheses are dropped only where DuckDB groups in the same way without them.

The judge is DuckDB's own parse tree: queries that are the same here must be the same there.
"""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sql.trees import confused, meaning, tree

BINARY = [
    "or",
    "and",
    "=",
    "<>",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "//",
    "%",
    "||",
    "^",
    "**",
    "&",
    "|",
    "<<",
    "->",
    "->>",
    "like",
    "~",
    "~~",
    "^@",
    "@>",
    "&&",
    "glob",
]
BINARY += ["is distinct from", "not like", "similar to", "collate", "at time zone", "not in", "!~~"]
UNARY = ["not ", "- ", "~ ", "@ ", "+ "]
POSTFIX = [
    " is null",
    " isnull",
    " is not true",
    "::int",
    ".f",
    "[1]",
    " in (1, 2)",
    " not between 1 and 2",
    " !",
    " collate nocase",
]
PLACES = ["select {} as x from t", "select a from t where {} order by a"]

REDUNDANT = [
    ("((a)) + b", "a + b"),
    ("a + (b * c)", "a + b * c"),
    ("(a + b) - c", "a + b - c"),
    ("(a = 1) and (b = 2)", "a = 1 and b = 2"),
    ("(a and b) or c", "a and b or c"),
    ("(a or b) or c", "a or b or c"),
    ("not (a = 1)", "not a = 1"),
    ("not ((a is null))", "not a is null"),
    ("(a is null) or (b in (1))", "a is null or b in (1)"),
    ("(a between 1 and 2) and (b like 'x')", "a between 1 and 2 and b like 'x'"),
    ("sum((a)) + (-b)", "sum(a) + -b"),
    ("(a::int) + (b[1].c)", "a::int + b[1].c"),
    ("((a or b)) and c", "(a or b) and c"),
    ("case when (a) then (b + 1) else (c) end", "case when a then b + 1 else c end"),
    ("coalesce((a || b), (c -> 'd'))", "coalesce(a || b, c -> 'd')"),
    ("list_transform(l, x -> x + (1))", "list_transform(l, x -> x + 1)"),
    ("(a) is null and (b)::int in (1)", "a is null and b::int in (1)"),
    ("x between (a) and (b)", "x between a and b"),
    ("(sum(a) over (partition by (b) order by (c) desc))", "sum(a) over (partition by b order by c desc)"),
    ("count(distinct (a))", "count(distinct a)"),
    ("a = ((select 1))", "a = (select 1)"),
]
NEEDED = [
    ("(a + b) * c", "a + b * c"),
    ("((a + b)) * c", "a + b * c"),
    ("a - (b - c)", "a - b - c"),
    ("a / (b / c)", "a / b / c"),
    ("(a or b) and c", "a or b and c"),
    ("not (a and b)", "not a and b"),
    ("-(a + b)", "-a + b"),
    ("x between a and (b or c)", "x between a and b or c"),
    ("x between a and (b = c)", "x between a and b = c"),
    ("(a -> 'b') = c", "a -> 'b' = c"),
    ("(a || b) + c", "a || b + c"),
    ("(a).b", "a.b"),
    ("(a + b)::int", "a + b::int"),
    ("(-1)::int", "-1::int"),
    ("a in ((b, c))", "a in (b, c)"),
    ("(a, b)", "a, b"),
    ("f((a, b))", "f(a, b)"),
    ("a = (select 1)", "a = select 1"),
    ("x -> (x = 1)", "(x -> x) = 1"),
]


@pytest.mark.parametrize(("much", "little"), REDUNDANT)
def test_redundant(much: str, little: str) -> None:
    much, little = (f"select {e} as x from t" for e in (much, little))
    assert meaning(much) == meaning(little) is not None
    assert tree(much) == tree(little) is not None


@pytest.mark.parametrize(("much", "little"), NEEDED)
def test_needed(much: str, little: str) -> None:
    much, little = (f"select {e} as x from t" for e in (much, little))
    assert meaning(much) != meaning(little)
    assert tree(much) != tree(little)


@pytest.mark.parametrize(
    ("much", "little"),
    [
        ("select a from t where (a = 1) group by (a) having (count(*) > 1) order by (a) desc limit 3", None),
        ("select distinct (a), (b) from t join u on (t.a = u.a) left join v on (t.b = v.b) where b", None),
        ("select a from t qualify (row_number() over () = 1)", None),
        ("select a as x from t group by grouping sets ((a), (b))", None),
    ],
)
def test_redundant_in_clauses(much: str, little: str | None) -> None:
    little = much.replace("count(*)", "count*").replace("over ()", "over_").replace("row_number()", "row_number_")
    little = little.replace("sets (", "sets<").replace("(", "").replace(")", "").replace("sets<", "sets (")
    little = little.replace("count*", "count(*)").replace("over_", "over ()").replace("row_number_", "row_number()")
    little += ")" if "sets" in little else ""
    assert meaning(much) == meaning(little) is not None


def test_where_a_pair_belongs_to_something_it_stays() -> None:
    for one, other in [
        ("select distinct on (a) a, b from t", "select distinct on a a, b from t"),
        ("values (1), (2)", "values (1, 2)"),
        ("from t, (u join v on u.a = v.a) where true", "from t, u join v on u.a = v.a where true"),
        ("select a from t where a in (select b from u)", "select a from t where a in ((select b from u), 1)"),
        (
            "select a from t union (select a from u except select a from v)",
            "select a from t union select a from u except select a from v",
        ),
        ("select a from t group by grouping sets ((a, b))", "select a from t group by grouping sets (a, b)"),
    ]:
        assert meaning(one) != meaning(other), one


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("first", BINARY)
def test_each_two_operators(first: str, place: str) -> None:
    for second in BINARY:
        texts = [
            f"a {first} b {second} c",
            f"(a {first} b) {second} c",
            f"a {first} (b {second} c)",
            f"((a {first} (b))) {second} (c)",
            f"((a) {first} (b {second} (c)))",
        ]
        assert confused([place.format(t) for t in texts]) == []


@pytest.mark.parametrize("place", PLACES)
def test_each_operator_beside_what_stands_before_or_behind(place: str) -> None:
    for before, operator in product(UNARY, BINARY):
        texts = [f"{before}a {operator} b", f"({before}a) {operator} b", f"{before}(a {operator} b)"]
        texts += [f"{before}(a) {operator} b", f"a {operator} {before}b", f"a {operator} ({before}b)"]
        assert confused([place.format(t) for t in texts]) == []
    for behind, operator in product(POSTFIX, BINARY):
        texts = [f"a {operator} b{behind}", f"a {operator} (b{behind})", f"(a {operator} b){behind}"]
        texts += [f"a {operator} (b){behind}", f"a{behind} {operator} b", f"(a{behind}) {operator} b"]
        assert confused([place.format(t) for t in texts]) == []
    for before, behind in product(UNARY, POSTFIX):
        texts = [f"{before}a{behind}", f"({before}a){behind}", f"{before}(a{behind})", f"{before}(a){behind}"]
        assert confused([place.format(t) for t in texts]) == []


@pytest.mark.parametrize("operator", BINARY)
def test_each_operator_inside_constructs(operator: str) -> None:
    groups = [
        ["x between a and b {} c", "(x between a and b) {} c", "x between a and (b {} c)", "x between a {} c and b"],
        ["x between a {} c and b", "x between (a {} c) and b", "(c {} x) between a and b", "c {} x between a and b"],
        ["x -> a {} b", "x -> (a {} b)", "(x -> a) {} b", "f(x -> a {} b)", "f(x -> (a {} b))", "f((x -> a) {} b)"],
        ["case when a {0} b then c {0} a else b end", "case when (a {0} b) then (c {0} a) else (b) end"],
        ["case a {0} b when c {0} a then b end", "case (a {0} b) when (c {0} a) then b end"],
        ["a[b {} c]", "a[(b {} c)]", "[a {} b]", "[(a {} b)]"],
        ["sum(a {} b) filter (where (c))", "sum((a {} b)) filter (where c)"],
        ["cast(a {} b as int)", "cast((a {} b) as int)", "cast((a) {} (b) as int)"],
    ]
    for group in groups:
        assert confused([PLACES[0].format(text.format(operator)) for text in group]) == []


ATOMS = st.sampled_from(["a", "b.c", "1", "'s'", "f(a)", "null", "l[1]", "count(*)", "(select 1)", "d.e::int"])


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(BINARY), inner).map(" ".join),
        st.tuples(st.sampled_from(UNARY), inner).map("".join),
        st.tuples(inner, st.sampled_from(POSTFIX)).map("".join),
        st.tuples(inner, inner, inner).map(lambda t: f"{t[0]} between {t[1]} and {t[2]}"),
        st.tuples(inner, inner).map(lambda t: f"case when {t[0]} then {t[1]} end"),
        inner.map(lambda t: f"({t})"),
        inner.map(lambda t: f"f({t}, a)"),
    )


@settings(max_examples=200, deadline=None)
@given(st.recursive(ATOMS, _extend, max_leaves=8), st.data())
def test_any_expression(text: str, data: st.DataObject) -> None:
    """Drops any parentheses from an expression: it's the same only where DuckDB says so."""
    pairs = _pairs(text)
    drop = data.draw(st.sets(st.sampled_from(pairs), max_size=4) if pairs else st.just(set()))
    gone = {i for pair in drop for i in pair}
    less = "".join(" " if i in gone else c for i, c in enumerate(text))
    for place in (*PLACES, "select f({}, b) as x from t group by {}"):
        assert confused([place.replace("{}", t) for t in (text, less, f"({text})")]) == []


def _pairs(text: str) -> list[tuple[int, int]]:
    stack: list[int] = []
    pairs: list[tuple[int, int]] = []
    for i, c in enumerate(text):
        if c == "(":
            stack.append(i)
        elif c == ")":
            pairs.append((stack.pop(), i))
    return pairs
