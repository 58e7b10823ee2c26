"""Whole files: headers, definitions, templates, blueprints; and places in the user's own text."""

from pathlib import Path

import pytest
from tests.sql.macros.expanding import surroundings

from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError
from anabranch.sql.macros.moments import moment_sql, sentinel
from anabranch.sql.macros.scope import Surroundings
from anabranch.sql.macros.stage import ParsedFile, parse_file

JINJA = {"macros/money.jinja": "{% macro cents(c) %}({{ c }} / 100){% endmacro %}\n{% macro twice(c) %}{{ cents(c) }} * 2{% endmacro %}"}  # fmt: skip


def parse(text: str, around: Surroundings | None = None) -> ParsedFile:
    return parse_file(text, Path("models/m.sql"), around or surroundings(jinja=JINJA), "main.m")


def query(text: str) -> str:
    (model,) = parse(text).models
    return model.query


def told(text: str) -> tuple[str, str, str | None]:
    with pytest.raises(ModelError) as caught:
        parse(text)
    where = caught.value.where
    assert where is not None
    return caught.value.message, f"{where.line}:{where.column}+{where.length}", caught.value.hint


def test_a_header_with_macros() -> None:
    (model,) = parse(
        "MODEL (name @{customer}.orders, kind @IF(@size > 3, VIEW, FULL), cron '@daily', description 'of @{customer}');\n"
        "select @this_model as m, @model_kind_name as k from raw.o"
    ).models
    assert (model.name, model.kind, model.properties) == (
        "acme.orders",
        Kind.VIEW,
        {"description": "of acme", "cron": "@daily"},
    )
    assert model.query == "select acme.orders as m, 'VIEW' as k from raw.o"
    assert model.name_at == (1, 13, 18)


def test_definitions() -> None:
    text = "MODEL (name s.m);\n@DEF(n, 2 + 1);\n@DEF(times, x -> x * @n);\n-- why\nselect @times(a + 1) as y, @n as n from raw.o;"
    assert query(text) == "-- why\nselect (a + 1) * (2 + 1) as y, 2 + 1 as n from raw.o"


def test_places_are_those_of_the_file() -> None:
    (model,) = parse(
        "@DEF(n, 1);\nselect @EACH([1, 2, 3], x -> x as c_@x)\n  from raw.orders,\n    raw.@customer"
    ).models
    assert [(r.name, r.line, r.column, r.length) for r in model.reads] == [
        ("raw.orders", 3, 8, 10),
        ("raw.acme", 4, 5, 13),
    ]
    assert told("select @EACH([1, 2], x -> x as c_@x),\n  a frm raw.o")[1] == "2:9+3"
    assert told("select @IF(@on,\n  a b c) from raw.o")[1] == "2:7+1"


def test_moments_are_left_open() -> None:
    assert query("select 1 as x where d between @start_ds and @end_date") == (
        f"select 1 as x where d between {moment_sql('start_ds')} and {moment_sql('end_date')}"
    )
    assert query("select '@{start_ds}/x' as x") == f"select '{sentinel('start_ds')}/x' as x"
    assert query("select '{{ start_ds }}' as x, {{ end_epoch }} as y") == (
        f"select '{sentinel('start_ds')}' as x, {moment_sql('end_epoch')} as y"
    )


def test_statements_for_other_stages() -> None:
    (model,) = parse("select 1 as x;\n@IF(@runtime_stage = 'creating', create index i on m (x));").models
    assert model.query == "select 1 as x"
    assert model.notes == ("a statement besides the query is for another stage, and isn't run",)


# -- Jinja ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("select {{ var('size') }} as x, {{ var('none', 3) }} as y", "select 4 as x, 3 as y"),
        ("JINJA_QUERY_BEGIN;\nselect '{{ this_env }}' as x\nJINJA_END;", "select 'dev' as x"),
        ("select {% for i in [1, 2] %}{{ i }} as c{{ i }}{{ ', ' if not loop.last }}{% endfor %}", "select 1 as c1, 2 as c2"),
        ("select {{ twice('a') }} as x", "select (a / 100) * 2 as x"),
        ("select {% if this_env == 'prod' %}1{% else %}2{% endif %} as x, @size as y", "select 2 as x, 4 as y"),
        ("select 1 as x -- {{ nobody }}", "select 1 as x"),
        ("select {#- a note -#} 1 as x", "select1 as x"),
        ("select {% set x %}abc{% endset %}{{ x | length }} as n from raw.o", "select 3 as n from raw.o"),
    ],
)  # fmt: skip
def test_templates(text: str, expanded: str) -> None:
    if "{#-" in text:
        with pytest.raises(ModelError):  # as the template says, there is no space left
            query(text)
    else:
        assert query(text) == expanded


def test_places_in_templates() -> None:
    text = "select\n  {%- for i in [1, 2] %}\n  {{ i }} as c{{ i }},\n  {%- endfor %}\n  3 as z\nfrom raw.orders"
    (model,) = parse(text).models
    assert model.query == "select\n  1 as c1,\n  2 as c2,\n  3 as z\nfrom raw.orders"
    assert [(r.line, r.column, r.length) for r in model.reads] == [(6, 6, 10)]


@pytest.mark.parametrize(
    ("text", "message", "where"),
    [
        ("select\n  {{ nobody }}", "the template fails: 'nobody' is undefined", "2:3+12"),
        ("select\n {{ 1 / 0 }}", "the template fails: ZeroDivisionError: division by zero", "2:2+11"),
        (
            "select 1 {% if start_ds > 'x' %}{% endif %}",
            "start_ds isn't known before the build: it can be put into the query, and nothing else",
            "1:1+43",
        ),
        ("select {{ start_ds }} as x", "a moment of the interval stands outside quotes", "1:8+14"),
        (
            "select {{ cents(start_ds | upper) }} as x",
            "a moment of the interval was cut or changed; it isn't known before the build",
            "1:8+29",
        ),
        ("JINJA_QUERY_BEGIN; select 1", "the block that opens here isn't closed", "1:1+18"),
        ("JINJA_STATEMENT_BEGIN; x JINJA_END;", "statements besides the query aren't supported yet", "1:1+22"),
        ("select {{ ''.__class__.__mro__ }}", "the template fails: access to attribute '__class__' of 'str' object is unsafe.", "1:1+33"),
    ],
)  # fmt: skip
def test_mistakes_in_templates(text: str, message: str, where: str) -> None:
    assert told(text)[:2] == (message, where)


def test_a_template_in_a_string_is_text_and_told() -> None:
    (model,) = parse("select '{{ x }}' as x").models
    assert model.query == "select '{{ x }}' as x"
    assert model.notes == ("{{ … }} inside a string is text: a template begins with JINJA_QUERY_BEGIN",)


# -- blueprints -------------------------------------------------------------------------------------------------------

BLUEPRINTS = (
    "MODEL (name @customer.orders, kind FULL,\n"
    "  blueprints ((customer := a, region := 'x'), (customer := b, region := 'y')), owner o);\n"
    "select @region as r, @{region}_id as i, @BLUEPRINT_VAR('no', 1) as n from @customer.raw"
)


def test_blueprints() -> None:
    first, second = parse(BLUEPRINTS).models
    assert (first.name, second.name) == ("a.orders", "b.orders")
    assert first.query == "select 'x' as r, x_id as i, 1 as n from a.raw"
    assert second.query == "select 'y' as r, y_id as i, 1 as n from b.raw"
    assert second.properties == {"owner": "o"}


def test_blueprints_from_a_macro() -> None:
    text = "MODEL (name s.@{x}, blueprints @EACH(@names, n -> (x := @n)));\nselect @x as x"
    assert [(m.name, m.query) for m in parse(text).models] == [
        ("s.a", "select 'a' as x"),
        ("s.b", "select 'b' as x"),
    ]


def test_mistakes_in_blueprints() -> None:
    form = "write blueprints ((customer := a, region := 'x'), (customer := b, region := 'y'))"
    assert told("MODEL (name s.x, blueprints (3)); select 1 as x") == (
        "a blueprint's variable can't be read",
        "1:30+1",
        form,
    )
    assert told("MODEL (name s.x, blueprints ((3))); select 1 as x")[:2] == (
        "a blueprint's variable can't be read",
        "1:31+1",
    )
    assert told(BLUEPRINTS.replace("@region as r", "@regoin as r")) == (
        "there is no variable @regoin (in the blueprint customer := a, region := 'x')",
        "3:8+7",
        "did you mean @region?",
    )


@pytest.mark.parametrize("text", ["select '@{size}\x02'", "select @size as \x03"])
def test_control_characters_are_refused(text: str) -> None:
    assert told(text)[0].startswith("there is a control character")


def test_a_note_where_the_environments_name_is_used() -> None:
    found = parse("select @this_env as e")
    assert found.models[0].notes == ("depends on the environment through @this_env",)
    assert found.uses == {("env", "this_env")}


def test_audits_keep_their_own_names() -> None:
    """What stands in an audit is for the audit: its arguments, and the rows that it looks at."""
    (model,) = parse(
        "MODEL (name s.m, audits (low(least := @size), not_null(columns := (@customer))));\n"
        "SET x = '@{customer}';\n"
        "select @size as n, '@this_model' as me from raw.@customer;\n"
        "AUDIT (name low, defaults (least = 1), blocking false);\n"
        "SELECT n FROM @this_model WHERE n < @least AND n > @size;\n"
        "ANALYZE @this_model;\n"
        "ON_VIRTUAL_UPDATE_BEGIN; COMMENT ON VIEW @this_model IS '@{customer}'; ON_VIRTUAL_UPDATE_END;\n"
        "audit (name high); SELECT n FROM @this_model WHERE n > 9"
    ).models
    assert model.query == "select 4 as n, '@this_model' as me from raw.acme"
    assert [(c.name, c.at) for c in model.audits] == [("low", (1, 26, 3)), ("not_null", (1, 47, 8))]
    low, high = model.audit_definitions
    assert (low.name, low.blocking, high.name, high.blocking) == ("low", False, "high", True)
    assert low.pieces == ("SELECT n FROM ", "this_model", " WHERE n < ", "least", " AND n > ", "size", "")
    assert low.start == (5, 1)
    assert low.at == (4, 13, 3)
    assert len(model.statements.before) == len(model.statements.after) == len(model.statements.shown) == 1


def test_macros_before_an_audit_still_work_after_it() -> None:
    (model,) = parse(
        "@DEF(n, 7); select @n as x from raw.o; AUDIT (name a); SELECT x FROM @this_model; ANALYZE @this_model"
    ).models
    assert model.query == "select 7 as x from raw.o"
    assert [d.name for d in model.audit_definitions] == ["a"]
