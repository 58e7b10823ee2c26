"""Calls and definitions as they are written, and what is wrong with them, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.sql.audits.support import AUDITS, FILE, audit, failing

from anabranch.domain.audit import Audit, decode, difference, encode
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.audits.calls import decode_file, encode_file
from anabranch.sql.audits.parse import parse_file
from anabranch.sql.model_file import parse_model
from anabranch.sql.parsed import decode as decode_model
from anabranch.sql.parsed import encode as encode_model

INTEGERS = {"a": "INTEGER", "b": "INTEGER"}


def bound(call: str, defined: str = "") -> Audit:
    found = audit(call, None, defined)
    assert found is not None
    return found


def test_a_definition_says_all_that_it_may() -> None:
    text = """
    AUDIT (name Big, dialect duckdb, defaults (threshold = 10, column = "The Id"), blocking false, owner me);
    -- all that is below
    SELECT * FROM @this_model WHERE @column < @threshold AND 'a@this_model' <> '' -- @nothing
    ;
    AUDIT (name second, skip true);
    FROM @this_model
    """
    first, second = parse_file(text, AUDITS, dialect="duckdb")
    assert (first.name, first.blocking, first.skip) == ("big", False, False)
    assert first.parameters == ("this_model", "column", "threshold")
    assert {n: a.sql() for n, a in first.defaults.items()} == {"threshold": "10", "column": '"The Id"'}
    assert first.start == (4, 5)
    assert (second.name, second.skip) == ("second", True)
    assert decode_file(encode_file([first, second])) == (first, second)


def test_arguments_are_put_in_and_defaults_stand_in() -> None:
    defined = (
        "AUDIT (name big, defaults (threshold = 10, column = a)); SELECT * FROM @this_model WHERE @column > @threshold"
    )
    rows = [(11, 1), (1, 20)]
    assert failing(bound("big", defined), INTEGERS, rows) == [(11, 1)]
    assert failing(bound("big(column := b)", defined), INTEGERS, rows) == [(1, 20)]
    assert failing(bound("big(threshold := 5 + 7)", defined), INTEGERS, rows) == []
    assert bound("big(threshold := 5 + 7)", defined).arguments == "threshold := 5 + 7"


def test_an_expression_stays_one() -> None:
    """``1 OR true`` for a value is one operand, not two."""
    defined = "AUDIT (name x); SELECT * FROM @this_model WHERE a = @v AND b = 1"
    assert failing(bound("x(v := 1 + 1)", defined), INTEGERS, [(2, 1), (2, 2)]) == [(2, 1)]
    assert failing(bound("x(v := a or true)", "AUDIT (name x); SELECT * FROM @this_model WHERE @v AND b = 1"),
                   {"a": "BOOLEAN", "b": "INTEGER"}, [(False, 1), (False, 2)]) == [(False, 1)]  # fmt: skip


def test_lists_and_texts() -> None:
    defined = "AUDIT (name x); SELECT a FROM @this_model WHERE a NOT IN @known OR @text = 'it''s @v'"
    assert failing(bound("x(known := (1, 2), text := 'y')", defined), INTEGERS, [(1, 1), (3, 1)]) == [(3,)]
    assert failing(bound("x(known := [1], text := 'it''s @v')", defined), INTEGERS, [(1, 1)]) == [(1,)]


def test_a_call_goes_before_the_definition_about_blocking() -> None:
    defined = "AUDIT (name x, blocking false); SELECT * FROM @this_model"
    assert not bound("x", defined).blocking
    assert bound("x(blocking := true)", defined).blocking
    assert not bound("not_null(columns := (a), blocking := false)").blocking


def test_one_of_the_projects_own_goes_before_a_built_in() -> None:
    assert failing(bound("not_null", "AUDIT (name not_null); SELECT 1 FROM @this_model"), INTEGERS, [(1, 1)]) == [(1,)]


def test_a_skipped_audit_is_none() -> None:
    assert audit("x", None, "AUDIT (name x, skip true); SELECT * FROM @this_model") is None


def test_what_else_it_reads() -> None:
    defined = "AUDIT (name x); WITH c AS (FROM other) SELECT * FROM @this_model, c, raw.z AS z WHERE t.a = z.a"
    assert bound("x", defined).reads == ("main.other", "raw.z")
    assert bound("relationships(column := a, to := shop.u, field := a)").reads == ("shop.u",)


def test_columns_keep_the_models_name() -> None:
    found = bound("x", "AUDIT (name x); SELECT t.a, shop.t.b FROM @this_model WHERE t.a > 1")
    assert failing(found, INTEGERS, [(2, 3)]) == [(2, 3)]


def test_moments_are_filled() -> None:
    found = bound("x", "AUDIT (name x); SELECT * FROM @this_model WHERE a BETWEEN @start_date AND @end_date")
    assert len(failing(found, {"a": "DATE"}, [("2024-02-29",), ("2024-03-01",), ("2024-03-10",)])) == 2


def test_the_audits_of_a_model_file_come_back_from_the_cache() -> None:
    text = "MODEL (audits [not_null(columns := a), own]); select 1 as a; AUDIT (name own); FROM @this_model;"
    found = parse_model(text, FILE, dialect="duckdb", default_schema="main")
    assert [c.name for c in found.audits] == ["not_null", "own"]
    assert [d.name for d in found.audit_definitions] == ["own"]
    assert decode_model(encode_model(found)) == found


def test_an_audit_is_no_part_of_the_logic() -> None:
    plain = parse_model("select 1 as a", FILE, dialect="duckdb", default_schema="main")
    text = "MODEL (audits (not_null(columns := a))); select 1 as a; AUDIT (name own); FROM @this_model"
    assert parse_model(text, FILE, dialect="duckdb", default_schema="main").logic == plain.logic


def test_an_audit_is_read_back_as_it_was_written() -> None:
    found = bound("relationships(column := a, to := shop.u, field := a)")
    assert decode(encode(found)) == found


def test_differences_are_phrases() -> None:
    one, other = bound("not_null(columns := a)"), bound("not_null(columns := b)")
    second = bound("at_least_one(column := a)")
    assert difference([one], [one]) == ""
    assert difference([], [one]) == "audit not_null is new"
    assert difference([one], [other]) == "audit not_null changed"
    assert difference([one], [second]) == "audit at_least_one is new; audit not_null is gone"
    assert difference([one, second], []) == "audits at_least_one, not_null are gone"


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message", "place", "hint"),
    [
        ("not_nul(columns := (a))", "there is no audit not_nul", "1:29+7", "did you mean not_null?"),
        ("not_null(colums := (a))", "not_null has no argument colums", "1:38+6", "did you mean columns?"),
        ("not_null", "not_null needs columns", "1:29+8", "write not_null(columns := …)"),
        ("accepted_values(column := a)", "accepted_values needs is_in", "1:29+15", "add is_in := …"),
        ("accepted_range(column := a)", "accepted_range needs min_v or max_v", "1:29+14", "add min_v := …"),
        ("not_null(columns := (a, c))", "shop.t has no column c", "1:53+1", "its columns are a, Beta"),
        ("not_null(columns := (bta))", "shop.t has no column bta", "1:50+3", "did you mean beta?"),
        ("at_least_one(column := (a, beta))", "column of at_least_one takes one value, not 2", "1:42+6", None),
        ("not_null(columns := a, blocking := no)", "blocking is true or false, not no", "1:52+8", None),
        ("accepted_range(column := a, min_v := 1, inclusive := 3)", "inclusive is true or false, not 3", "1:69+9", None),
        ("forall(criteria := (a >))", "forall can't be read with these arguments: something is missing after ')'", "1:29+6", None),
        ("relationships(column := a, to := (select 1), field := a)",
         "to takes a model's name, not (select 1)", "1:56+2", None),
    ],
)  # fmt: skip
def test_mistakes_in_calls(call: str, message: str, place: str, hint: str | None) -> None:
    with pytest.raises(ModelError) as caught:
        audit(call, ["a", "Beta"])
    error = caught.value
    assert error.message.startswith(message)
    assert error.where is not None
    assert f"{error.where.line}:{error.where.column}+{error.where.length}" == place
    assert error.where.path == FILE
    assert hint is None or error.hint == hint


@pytest.mark.parametrize(
    ("call", "message", "place"),
    [
        ("not_null(a)", "an argument's name is missing before a", "1:38+1"),
        ("not_null(columns := a, columns := b)", "columns is said twice", "1:52+7"),
        ("not_null forall", "a comma is missing after not_null", "1:38+6"),
        ("'x'", "'x' is no audit's name", "1:29+3"),
    ],
)
def test_mistakes_in_the_form_of_calls(call: str, message: str, place: str) -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        audit(call)
    assert caught.value.message == message
    where = caught.value.where
    assert where is not None
    assert f"{where.line}:{where.column}+{where.length}" == place


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("", "the file holds no audit", "1:1+1"),
        ("select 1", "an audit begins with AUDIT (name …);", "1:1+6"),
        ("AUDIT (name x)", "the audit's header is followed by no query", "1:1+5"),
        ("AUDIT (name x) select 1", "a semicolon is missing after the audit's header", "1:16+6"),
        ("AUDIT (blocking false); select 1", "the audit has no name", "1:1+5"),
        ("AUDIT (name x, nmae y); select 1", "an audit has no property nmae", "1:16+4"),
        ("AUDIT (name x, standalone true); select 1", "audits of no model aren't supported yet", "1:27+4"),
        ("AUDIT (name x, dialect spark); select 1",
         "the audit is written for spark, the warehouse speaks duckdb", "1:24+5"),
        ("AUDIT (name x); from t; AUDIT (name X); from t", "the audit x is defined twice", "1:25+5"),
    ],
)  # fmt: skip
def test_mistakes_in_the_form_of_definitions(text: str, message: str, place: str) -> None:
    with pytest.raises(ModelError) as caught:
        parse_file(text, AUDITS, dialect="duckdb")
    where = caught.value.where
    assert where is not None
    assert (caught.value.message, f"{where.line}:{where.column}+{where.length}") == (message, place)


@pytest.mark.parametrize(
    ("query", "message", "place"),
    [
        ("SELECT * FROM @this_model\n WHERE @v >", "something is missing after '>'", "3:11+1"),
        ("SELECT * FROM @this_model\n WHERE @v > 1 1", "'1' doesn't fit here", "3:15+1"),
        ("SELECT * FROM other", "the audit x doesn't read @this_model", "2:1+1"),
        ("SELECT 1", "the audit x doesn't read @this_model", "2:1+1"),
        ("DELETE FROM @this_model", "DELETE deletes rows; an audit is one SELECT", "2:1+6"),
        ("SELECT * FROM @this_model WHERE\n @each(a)", "the macro @each can't be used in an audit", "3:2+5"),
        ("SELECT * FROM @this_modle", "@this_modle means nothing here", "2:15+11"),
    ],
)
def test_mistakes_in_queries_are_told_where_they_stand(query: str, message: str, place: str) -> None:
    with pytest.raises(ModelError) as caught:
        audit("x(v := 'a longer text')" if "@v" in query else "x", None, f"AUDIT (name x);\n{query}")
    where = caught.value.where
    assert where is not None
    assert caught.value.message.startswith(message)
    assert (where.path, f"{where.line}:{where.column}+{where.length}") == (AUDITS, place)


def test_an_argument_that_is_lacking_is_told_where_the_audit_is_called() -> None:
    with pytest.raises(ModelError) as caught:
        audit("x", None, "AUDIT (name x); SELECT * FROM @this_model WHERE a > @least")
    assert caught.value.message == "x needs least"
    assert caught.value.where is not None
    assert caught.value.where.path == Path("models/shop/t.sql")


def test_an_argument_can_not_end_the_query() -> None:
    with pytest.raises(ModelError):
        audit("x(v := 1; drop table t)", None, "AUDIT (name x); SELECT * FROM @this_model WHERE a > @v")
