"""What a model file may say around its query, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from anabranch.domain.hooks import Statements
from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.model_file import parse_model
from anabranch.sql.parsed import ParsedModel, decode, encode
from anabranch.sql.statements import put_environment

QUERY = "select id from stg.a"


def model(text: str) -> ParsedModel:
    return parse_model(text, Path("m.sql"), dialect="duckdb", default_schema="main", asset="s.m")


def flat(templates: tuple[tuple[str, ...], ...]) -> list[str]:
    """Each with its holes in angle brackets."""
    return ["".join(f"<{p}>" if i % 2 else p for i, p in enumerate(t)) for t in templates]


def test_statements_stand_around_the_query():
    found = model(f"""\
MODEL (name s.m, kind INCREMENTAL_UNMANAGED);

-- first
SET threads = 2;

-- the query's own comment
{QUERY}
;
CREATE INDEX by_id ON @this_model (id);
ANALYZE @this_model;

ON_VIRTUAL_UPDATE_BEGIN;
COMMENT ON VIEW @this_model IS 'not @this_model; but this';
GRANT SELECT ON VIEW @THIS_MODEL TO analyst;
ON_VIRTUAL_UPDATE_END;
""")
    assert found.query == QUERY
    assert flat((found.template,)) == ['select id from <stg.a> AS "a"']
    assert flat(found.statements.before) == ["SET threads = 2"]
    assert flat(found.statements.after) == [
        "CREATE INDEX <@index:by_id> ON <@this_model> (id)",
        "ANALYZE <@this_model>",
    ]
    assert flat(found.statements.shown) == [
        "COMMENT ON VIEW <@this_model> IS 'not @this_model; but this'",
        "GRANT SELECT ON VIEW <@this_model> TO analyst",
    ]
    assert decode(encode(found)) == found


@pytest.mark.parametrize(
    ("statement", "becomes", "reads"),
    [
        ("create temp table t as select a.id from stg.b as a", "create temp table t as select a.id from <stg.b> as a", ["stg.b"]),
        ("create or replace temp view v as from orders", 'create or replace temp view v as from <main.orders> AS "orders"', ["main.orders"]),
        ("create temp macro f(x) as x + 1", "create temp macro f(x) as x + 1", []),
        ("insert into @this_model select * from stg.b", 'insert into <@this_model> select * from <stg.b> AS "b"', ["stg.b"]),
        ("delete from @this_model where id in (select id from stg.b)",
         'delete from <@this_model> where id in (select id from <stg.b> AS "b")', ["stg.b"]),
        ("update @this_model set id = b.id from stg.b as b", "update <@this_model> set id = b.id from <stg.b> as b", ["stg.b"]),
        ("create unique index if not exists i on @this_model(id)", "create unique index if not exists <@index:i> on <@this_model>(id)", []),
        ("alter table @this_model add column x int", "alter table <@this_model> add column x int", []),
        ("comment on column @this_model.id is 'x'", "comment on column <@this_model>.id is 'x'", []),
        ("merge into @this_model as t using stg.b as b on t.id = b.id when matched then delete",
         "merge into <@this_model> as t using <stg.b> as b on t.id = b.id when matched then delete", ["stg.b"]),
        ("truncate @this_model", "truncate <@this_model>", []),
        ("analyze", "analyze", []),
        ("pragma enable_object_cache", "pragma enable_object_cache", []),
        ("load json", "load json", []),
        ("reset threads", "reset threads", []),
    ],
)  # fmt: skip
def test_what_is_allowed(statement, becomes, reads):
    header = "MODEL (kind INCREMENTAL_UNMANAGED);"
    found = model(f"{header} {QUERY}; {statement}")
    assert flat(found.statements.after) == [becomes]
    assert [r.name for r in found.reads] == ["stg.a", *reads]
    before = model(f"{header} {statement}; select 1 as id")
    assert flat(before.statements.before) == [becomes]


@pytest.mark.parametrize(
    "statement",
    [
        "create table x as select 1",
        "create table @this_model as select 1",
        "create view x as select 1",
        "create index i on stg.b (id)",
        "create schema x",
        "create macro f(x) as x",
        "create or replace table x as select 1",
        "insert into stg.b select * from @this_model",
        "insert into log values (1)",
        "update stg.b set id = 1",
        "delete from stg.b",
        "delete from this_model",
        "truncate stg.b",
        "truncate table stg.b",
        "drop table stg.b",
        "drop table @this_model",
        "alter table stg.b add column x int",
        "alter table @this_model rename to x",
        "alter table @this_model set schema x",
        "comment on table stg.b is 'x'",
        "analyze stg.b",
        "attach 'x.db' as x",
        "detach x",
        "copy @this_model to 'x.csv'",
        "copy stg.b from 'x.csv'",
        "export database 'x'",
        "use x",
        "call dbgen(sf = 1)",
        "install json",
        "checkpoint",
        "vacuum",
        "begin",
        "commit",
        "grant select on @this_model to x",
        "execute x",
        "pragma create_fts_index('stg.b', 'id')",
        "create temp table t as select nextval('s')",
        "merge into stg.b using @this_model on true when matched then delete",
        "insert into @this_model select query_table('stg.b')",
        "truncate @this_model, stg.b",
        "insert into @this_model with x as (delete from stg.b returning *) select * from x",
        "create temp table t as with x as (insert into stg.b values (1) returning *) select * from x",
        "shutdown",
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_what_is_refused(statement, before):
    with pytest.raises((ModelError, SqlSyntaxError)) as raised:
        model(f"{statement};\n{QUERY}" if before else f"{QUERY};\n{statement}")
    assert raised.value.hint
    assert raised.value.where is not None


@pytest.mark.parametrize(
    "statement",
    [
        "create temp table t as select 1",
        "insert into @this_model values (1)",
        "grant select on stg.b to x",
        "grant select on @this_model, stg.b to x",
        "grant usage on schema s to x",
        "comment on view stg.b is 'x'",
        "alter view @this_model rename to x",
        "select 1",
        "drop view @this_model",
    ],
)
def test_what_is_refused_when_the_view_is_made(statement):
    with pytest.raises(ModelError, match=r"isn't run when the view is made|other than @this_model|nobody finds it"):
        model(f"{QUERY};\nON_VIRTUAL_UPDATE_BEGIN;\n{statement};\nON_VIRTUAL_UPDATE_END;")


def test_a_temporary_table_is_no_asset():
    found = model("create temp table good as select id from stg.b; select id from good join stg.a using (id)")
    assert [r.name for r in found.reads] == ["stg.a", "stg.b"]
    assert flat((found.template,)) == ['select id from good join <stg.a> AS "a" using (id)']
    assert (
        flat(model("create temp table t as select 1 as id; delete from t; select id from t").statements.before)[1]
        == "delete from t"
    )


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        (f"{QUERY};\non_virtual_update_begin;\ncomment on view @this_model is 'x';", "the block that opens here isn't closed", 2),
        (f"{QUERY};\non_virtual_update_end;", "ON_VIRTUAL_UPDATE_END doesn't fit here", 2),
        (f"{QUERY};\non_virtual_update_begin;\non_virtual_update_begin;", "ON_VIRTUAL_UPDATE_BEGIN doesn't fit here", 3),
        (f"{QUERY};\n\n{QUERY}", "a second statement begins here; a model is one query", 3),
        (f"{QUERY};\nselct 1", "SELCT isn't run around a query", 2),
        ("select 1 as id;\ncreate index i on @this_model (id)", "FULL can't have an index: DuckDB doesn't exchange a table", 2),
        (f"model (kind embedded);\n{QUERY};\nanalyze;", "an embedded model is a part of its readers' queries", 1),
        ("set threads = 1;\nset threads = 2;", "SET changes a setting; a model is one SELECT", 1),
        ("model (kind seed (path 'x.csv'));\nanalyze;", "a seed's rows come from its file, not from a query", 2),
    ],
)  # fmt: skip
def test_mistakes(text, message, place):
    with pytest.raises(ModelError) as raised:
        model(text)
    assert raised.value.message.startswith(message)
    assert raised.value.where is not None
    assert raised.value.where.line == place


def test_a_seed_may_say_what_runs_when_its_view_is_made():
    found = model(
        "model (kind seed (path 'x.csv')); on_virtual_update_begin; comment on view @this_model is 'x'; on_virtual_update_end;"
    )
    assert found.kind is Kind.SEED
    assert flat(found.statements.shown) == ["comment on view <@this_model> is 'x'"]


def test_what_counts_for_the_fingerprint():
    plain = model(QUERY)
    around = model(f"SET threads = 2; {QUERY}; ANALYZE @this_model")
    assert plain.statements == Statements()
    assert around.logic != plain.logic
    assert model(f"set  threads = 2 /* why */;\n{QUERY};\nanalyze @this_model;").logic == around.logic
    assert model(f"SET threads = 2; {QUERY}; ANALYZE").logic != around.logic
    assert model(f"SET threads = 2; ANALYZE @this_model; {QUERY}").logic != around.logic
    temporary = "create temp table t as select 1 from {0}; {1}"
    assert model(temporary.format("stg.b", QUERY)).logic != model(temporary.format("stg.c", QUERY)).logic
    shown = model(f"{QUERY}; ON_VIRTUAL_UPDATE_BEGIN; COMMENT ON VIEW @this_model IS 'a'; ON_VIRTUAL_UPDATE_END;")
    assert shown.logic == plain.logic
    assert shown.properties["on_virtual_update"] == "comment on view @ this_model is 'a'"


def test_the_environment_is_put_in_as_a_text():
    text = "insert into log values (@this_env, '@this_env', @THIS_ENV || x)"
    assert put_environment(text, "duckdb", "prod") == "insert into log values ('prod', '@this_env', 'prod' || x)"
