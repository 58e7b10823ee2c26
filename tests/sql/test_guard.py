"""What may be run in an environment: queries."""

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sql.test_rewrite import QUERIES
from tests.sql.trees import meaning

from anabranch.errors import AnabranchError, Refused, SqlSyntaxError
from anabranch.sql.guard import require_read_only

NO_QUERIES = """
create table x as select 1
create or replace view x as select 1
create temp macro f(a) as a
drop table x
insert into x values (1)
insert into x from y
update x set a = 1
delete from x
truncate x
merge into x using y on x.a = y.a when matched then delete
alter table x add column a int
copy x to 'x.csv'
copy (select 1) to 'x.csv'
copy x from 'x.csv'
export database 'x'
import database 'x'
attach 'x' as y
detach y
use x
set threads = 1
reset threads
pragma database_list
pragma memory_limit = '1GB'
call pragma_version()
install httpfs
load httpfs
vacuum
checkpoint
force checkpoint
analyze
comment on table x is 'y'
begin
commit
rollback
prepare p as select 1
execute p
deallocate p
explain select 1
explain analyze delete from x
show tables
show all tables
grant select on x to y
with a as (insert into x values (1) returning *) select * from a
with a as (delete from x returning *) from a
with a as (select 1) insert into x from a
with a as (select 1) delete from x
select * into y from x
select nextval('s')
select * from (values (nextval('s')))
from force_checkpoint()
from dbgen(sf = 1)
select write_log('x')
select setseed(0.5)
from postgres_execute('db', 'drop table x')
""".strip().splitlines()


@pytest.mark.parametrize("query", NO_QUERIES)
def test_what_isnt_a_query_is_refused(query: str) -> None:
    with pytest.raises((Refused, SqlSyntaxError)) as caught:
        require_read_only(query)
    assert caught.value.hint


@pytest.mark.parametrize("query", [q for q in QUERIES if meaning(q) is not None])
def test_queries_pass(query: str) -> None:
    require_read_only(query)
    require_read_only(query + " ; -- end")


def test_no_keyword_begins_something_else() -> None:
    """Whatever DuckDB takes for a statement of another kind isn't passed."""
    tried = 0
    for (word,) in duckdb.sql("select distinct keyword_name from duckdb_keywords()").fetchall():
        for query in (word, f"{word} x", f"{word} table x", f"{word} x as select 1", f"{word} 'x'"):
            try:
                (statement,) = duckdb.extract_statements(query)
            except (duckdb.Error, ValueError):
                continue
            if statement.type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
                tried += 1
                with pytest.raises(AnabranchError):
                    require_read_only(query)
    assert tried > 20


FRAGMENTS = [
    "/*",
    "*/",
    "--",
    "\n",
    "'",
    '"',
    "$$",
    "$q$",
    "E'",
    "\\",
    "\\'",
    "a",
    " ",
    "; drop table t;",
    "''",
    '""',
    "1",
    "U&'",
]
FRAGMENTS += [
    "{#",
    "#}",
    "||",
    ",",
    "\r",
    "\u00a0",
    "/",
    "-",
    "$",
    "é",
    "b'1'",
    "/*+",
    "r'",
    "N'",
    "`",
    "'''",
    '"""',
    "\x00",
]


@settings(max_examples=3000, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=10).map("".join))
def test_nothing_is_smuggled_in(body: str) -> None:
    """What passes is one query to DuckDB as well, however strings and comments are nested."""
    try:
        require_read_only(f"select {body} as x")
        statements = duckdb.extract_statements(f"select {body} as x")
    except (AnabranchError, duckdb.Error, ValueError):
        return
    assert [s.type for s in statements] == [duckdb.StatementType.SELECT]


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("", "there is no query here", 'write one: anabranch sql "from schema.name"'),
        (" ; -- nothing", "there is no query here", 'write one: anabranch sql "from schema.name"'),
        ("select 1;\nselect 2", "a second statement begins here (line 2, column 1)", "run one at a time"),
        ("select 1; drop table x", "a second statement begins here (line 1, column 11)", "run one at a time"),
        (
            "  insert into x select 1",
            "INSERT writes rows; only queries are run in an environment (line 1, column 3)",
            "write a SELECT",
        ),
        (
            "show tables",
            "SHOW lists what the warehouse has; only queries are run in an environment (line 1, column 1)",
            "anabranch status lists what the environment has",
        ),
        (
            "explain select 1",
            "EXPLAIN explains a query; only queries are run in an environment (line 1, column 1)",
            "run it on the warehouse itself",
        ),
        (
            "with a as (insert into x select 1) from a",
            "INSERT writes rows; only reading is allowed here (line 1, column 24)",
            "write a SELECT",
        ),
        (
            "select 1,\n nextval('s') as n",
            "nextval() changes something; only reading is allowed here (line 2, column 2)",
            "drop nextval()",
        ),
        (
            "select * into y from x",
            "INTO makes a table; only reading is allowed here (line 1, column 15)",
            "write a SELECT",
        ),
        ("selec 1", "a query can't begin with 'selec' (line 1, column 1)", "did you mean select?"),
        ("x", "a query can't begin with 'x' (line 1, column 1)", "begin a query with SELECT, WITH or FROM"),
    ],
)
def test_what_is_said(query: str, message: str, hint: str) -> None:
    with pytest.raises(AnabranchError) as caught:
        require_read_only(query)
    assert (caught.value.message, caught.value.hint) == (message, hint)
