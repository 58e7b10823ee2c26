"""Variables, conditions, lists and clauses; what is left alone; what is said where one is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sql.macros.expanding import answer, expand, expander, surroundings

from anabranch.errors import ModelError
from anabranch.sql.macros.scope import Scope
from anabranch.sql.macros.text import Mapped


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        # variables
        ("select @customer", "select 'acme'"),
        ("select @CUSTOMER", "select 'acme'"),
        ("select @size + 1, @rate, @on, @nothing", "select 4 + 1, 0.5, TRUE, NULL"),
        ("x in @names", "x in ('a', 'b')"),
        ("select @quote", "select 'it''s'"),
        ("select '@{quote} @customer'", "select 'it''s @customer'"),
        ("select e'\\n@{quote}'", "select e'\\nit''s'"),
        ("select @{customer}_orders", "select acme_orders"),
        ("select @{customer}_@{size}", "select acme_4"),
        ("select top_@size", "select top_4"),
        ("select @{place}", 'select "north america"'),
        ("select @{place}_x", 'select "north america_x"'),
        ('select "q @{customer} @size me@home"', 'select "q acme 4 me@home"'),
        ("from @customer.orders, raw.@customer", "from acme.orders, raw.acme"),
        ("from @table", "from shop.orders"),
        ("from @{table}", "from shop.orders"),
        ("select 1 as @customer", "select 1 as acme"),
        ("limit @{size}", "limit 4"),
        ("select @'@customer is @{size}, @nobody'", "select 'acme is 4, @nobody'"),
        ("select @this_env, @gateway, @runtime_stage", "select 'dev', 'duckdb', 'evaluating'"),
        ("select @VAR('size'), @VAR('none', 7), @VAR('none')", "select 4, 7, NULL"),
        # left alone
        ("select @ x, @(x), @-5, a @> b, a <@ b", "select @ x, @(x), @-5, a @> b, a <@ b"),
        ("select 1 -- @nobody\n/* @nobody /* @x */ @y */", "select 1 -- @nobody\n/* @nobody /* @x */ @y */"),
        ("select '@nobody', '@daily', $$@nobody @{nobody}$$", "select '@nobody', '@daily', $$@nobody @{nobody}$$"),
        # decisions
        ("@IF(@size > 3, a, b)", "a"),
        ("@if(@size > 9, a, b)", "b"),
        ("select a, @IF(FALSE, b), c", "select a,  c"),
        ("select a, @IF(FALSE, b) from t", "select a\n from t"),
        ("select @IF(FALSE, a), b", "select  b"),
        ("f(a, @IF(FALSE, b))", "f(a\n)"),
        ("select x @IF(FALSE, + 1), y", "select x , y"),
        ("where a = 1 @IF(TRUE, and b = 2) and c", "where a = 1 and b = 2 and c"),
        ("where a and @IF(TRUE, b or c)", "where a and (b or c)"),
        ("@IF(TRUE, a + 1) * 2", "(a + 1) * 2"),
        ("select * @IF(TRUE, exclude (a) replace (1 as b))", "select * exclude (a) replace (1 as b)"),
        ("@IF(@customer IN ('acme', 'x') AND NOT @size = 5, 'y')", "'y'"),
        ("@IF('b' IN @names, 'y', 'n')", "'y'"),
        ("@EVAL(@size * 2 + 1), @EVAL(7 / 2), @EVAL(@customer || '!')", "9, 3.5, 'acme!'"),
        ("@AND(a = 1, @IF(FALSE, b), NULL, c or d)", "((a = 1) AND (c or d))"),
        ("@AND(NULL)", "TRUE"),
        ("@OR(a, NULL)", "a"),
        # lists
        ("@EACH([1, 2], x -> a = x as is_@x)", "a = 1 as is_1, a = 2 as is_2"),
        ("@EACH(['a', 'b'], x -> @{x}.id as @{x}_id)", "a.id as a_id, b.id as b_id"),
        ("@EACH(@names, x -> sum(t.x) + x.x + x)", "sum(t.x) + x.x + 'a', sum(t.x) + x.x + 'b'"),
        ("@EACH([a + 1], x -> x * 2)", "(a + 1) * 2"),
        ("@EACH(a, b, x -> max(x))", "max(a), max(b)"),
        ("@EACH([(a, 1), (b, 2)], (x, y) -> x as c_@y)", "a as c_1, b as c_2"),
        ("@EACH(['a'], x -> @EACH([1, 2], y -> @{x}@{y}))", "a1, a2"),
        ("select 1, @EACH([], x -> x), 2", "select 1,  2"),
        ("@EACH(@FILTER([1, 2, 3], x -> x > 1), y -> y * 10)", "2 * 10, 3 * 10"),
        ("@EACH([a, b, c], x -> @IF('@{x}' <> 'b', x))", "a, c"),
        ("@REDUCE([a, b, c], (x, y) -> x + y)", "(a + b) + c"),
        ("@SQL('@{customer} + 1'), @SQL(@customer)", "acme + 1, acme"),
        # clauses
        ("from t @WHERE(TRUE) x group by 1", "from t WHERE x group by 1"),
        ("from t @WHERE(FALSE) x = (select 1 where y) group by 1", "from t group by 1"),
        ("from t left outer @JOIN(FALSE) u on left(a, 1) = b left join v", "from t left join v"),
        ("from t left @JOIN(TRUE) u using (a) @WHERE(FALSE) a", "from t left JOIN u using (a) "),
        ("@WITH(FALSE) a as (select 1), b as (select 2) select 3", "select 3"),
        ("@GROUP_BY(TRUE) a @HAVING(FALSE) b @ORDER_BY(TRUE) c @LIMIT(FALSE) 3", "GROUP BY a ORDER BY c "),
        ("(select 1 @ORDER_BY(FALSE) a, b) union select 2", "(select 1 ) union select 2"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text) == expanded


@pytest.mark.parametrize(
    ("text", "message", "where", "hint"),
    [
        ("select @custmer", "there is no variable @custmer", "1:8+8", "did you mean @customer?"),
        (
            "select\n @zzzz",
            "there is no variable @zzzz",
            "2:2+5",
            "set it under variables: in anabranch.yaml; for the operator, write abs(zzzz)",
        ),
        ("select '@{zzzz}'", "there is no variable @zzzz", "1:8+9", None),
        ("select @if", "there is no variable @if", "1:8+3", "a macro is called with parentheses: @if(…)"),
        ("select @eech([1], x -> x)", "there is no macro @eech", "1:8+18", "did you mean @each?"),
        (
            "select @zzzz(1)",
            "there is no macro @zzzz",
            "1:8+8",
            "define it in macros/; for the operator, write abs(zzzz(…))",
        ),
        (
            "@RESOLVE_TEMPLATE('x')",
            "SQLMesh's macro @RESOLVE_TEMPLATE isn't supported yet",
            "1:1+22",
            "write plain SQL",
        ),
        ("@IF(a > 1, b)", "'a' isn't known before the query runs", "1:5+5", None),
        (
            "@IF(@start_ds > '2024', b)",
            "@start_ds isn't known before the build, so nothing can be decided by it",
            "1:5+18",
            None,
        ),
        (
            "@IF(@customer = 1, b)",
            "'acme' and 1 can't be compared: one is a text, the other a number",
            "1:5+13",
            None,
        ),
        ("@IF('x', b)", "'x' is neither true nor false", "1:5+3", "write a condition"),
        ("@IF(TRUE)", "@IF can't be called with these arguments", "1:1+9", "write @IF(condition, then, else)"),
        ("@IF(TRUE,, 1)", "an argument of @IF is missing", "1:1+13", None),
        ("@IF(TRUE, 1", "the parenthesis of @IF isn't closed", "1:1+3", "close it with )"),
        ("@EVAL(1 / 0)", "this divides by zero", "1:7+5", None),
        ("@EACH([1], 2)", "a function is missing here", "1:1+13", "write it as x -> expression"),
        ("@EACH([(1, 2)], (a, b, c) -> a)", "the function takes 3 arguments, not 2", "1:1+31", None),
        ("@OR(NULL)", "nothing is left of @OR", "1:1+9", "give it a condition that always stays"),
        ("@WHERE() x", "@WHERE takes one condition", "1:1+8", "write @WHERE(condition) …"),
        ("a <@size", "<@ before size is an operator", "1:3+6", "put a space between: < @size"),
        (
            "select x_@{start_ds}",
            "@start_ds isn't known before the build, and can't be part of a name",
            "1:10+11",
            "write @start_ds, or '@{start_ds}' in a string",
        ),
        (
            "select 1;\n@DEF(a, 1)",
            "@DEF is a statement of its own",
            "2:1+10",
            "write @DEF(name, value); before the query",
        ),
        ("@SQL('select @zzzz')", "there is no variable @zzzz", "1:1+20", None),
    ],
)
def test_mistakes(text: str, message: str, where: str, hint: str | None) -> None:
    with pytest.raises(ModelError) as caught:
        expand(text)
    error = caught.value
    assert error.message == message
    assert error.where is not None
    assert f"{error.where.line}:{error.where.column}+{error.where.length}" == where
    if hint is not None:
        assert error.hint == hint


def test_endless_expansion_is_an_error() -> None:
    around = surroundings(loop="@SQL(@loop)")
    with pytest.raises(ModelError, match="nested deeper than 50"):
        expand("select @SQL(@loop)", around)


def test_an_expansion_that_grows_without_end_is_an_error() -> None:
    text = "1"
    for name in "abcdefgh":
        text = f"@EACH([{', '.join('1' * 10)}], {name} -> {text} + @{name})"
    with pytest.raises(ModelError, match="takes more than 20,000 expansions"):
        expand(text)


def test_what_was_used_is_told() -> None:
    found = expander("@IF(@size > 9, @customer, @this_env) @STAR(raw.orders) @start_ds")
    found.expand(Mapped.whole(found.source.text), Scope())
    assert found.used == {("var", "size"), ("env", "this_env"), ("columns", "raw.orders")}


def test_on_duckdb() -> None:
    """A query that uses most of it, and what it answers."""
    found = answer(
        """
        @WITH(@on) big as (select * from raw.orders where amount > @size)
        select day, @EACH([10, 30], x -> count(*) filter (amount = x) as n_@x), @IF(@size > 9, 1 as no)
        from @IF(@on, big, raw.orders)
        @WHERE(@on) @AND(amount > @EVAL(@size * 2), @IF(FALSE, 1 = 2))
        group by all
        @ORDER_BY(TRUE) day
        """
    )
    assert [row[1:] for row in found] == [(1, 0), (0, 1)]


@given(st.text(alphabet="ab1@'\"{}()[],.-/*$ \n;", max_size=40))
def test_any_text_is_expanded_or_refused_at_a_place_in_it(text: str) -> None:
    place = None
    try:
        made = expander(text).expand(Mapped.whole(text), Scope())
    except ModelError as error:
        place = error.where
    if place is not None:
        assert 1 <= (place.line or 0) <= text.count("\n") + 1
    else:
        assert made.text == "".join(p.text for p in made.pieces)
        for piece in made.pieces:
            assert not piece.exact or text[piece.start : piece.end] == piece.text


@given(st.text(alphabet="ab1 '\"()[],.-/*$\n;", max_size=60))
def test_text_without_macros_stays_as_it_is(text: str) -> None:
    assert expand(text) == text
