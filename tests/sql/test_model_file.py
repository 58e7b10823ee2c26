"""Model files: what they say, and what is said where one is wrong."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from tests.sql.test_rewrite import QUERIES
from tests.sql.trees import meaning
from tests.sql.warehouse import database, logical

from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql import parsed
from anabranch.sql.model_file import parse_model
from anabranch.sql.outputs import output_names
from anabranch.sql.parsed import ParsedModel, Read, SeedFile
from anabranch.sql.syntax import single
from anabranch.sql.version import parser_version


def parse(text: str) -> ParsedModel:
    found = parse_model(text, Path("models/m.sql"), dialect="duckdb", default_schema="main", asset="main.m")
    assert parsed.decode(parsed.encode(found)) == found
    return found


def test_a_whole_header() -> None:
    model = parse(
        """
-- who bought what
MODEL (
  name Sales.Orders, -- in lower case from here on
  kind FULL,
  description 'It''s all orders, one row each',
  owner data_team,
  grain (id, line),
  tags (core, 'daily load'),
  cron '@daily',
  audits (unique_values(columns := (id)), not_null(columns := (id, line))),
  physical_properties (fillfactor = 70),
  column_descriptions (id = 'The key'),
  stamp 'v2',
);

/* the query */
SELECT id, line AS "Line", 1 + 1 AS two
FROM raw.orders, customers;
"""
    )
    assert model.name == "sales.orders"
    assert model.name_at == (4, 8, 12)
    assert model.kind is Kind.FULL
    assert model.properties == {
        "description": "It's all orders, one row each",
        "owner": "data_team",
        "key": "id,line",
        "tags": "core,daily load",
        "cron": "@daily",
        "stamp": "v2",
    }
    assert model.query == '/* the query */\nSELECT id, line AS "Line", 1 + 1 AS two\nFROM raw.orders, customers'
    assert model.reads == (Read("raw.orders", 19, 6, 10), Read("main.customers", 19, 18, 9, bare=True))
    assert model.columns == ("id", "Line", "two")
    assert model.notes == ()
    assert [(c.name, c.text()) for c in model.audits] == [
        ("unique_values", "columns := (id)"),
        ("not_null", "columns := (id, line)"),
    ]
    assert model.enabled
    assert model.seed is None


def test_no_header() -> None:
    model = parse("select * from raw.orders")
    assert (model.name, model.kind, model.properties, model.columns) == (None, Kind.FULL, {}, None)
    assert model.query == "select * from raw.orders"


@pytest.mark.parametrize(
    "header", ["MODEL ();", "model();", "MODEL (kind FULL,);", "Model (name = main.m);", "MODEL (grain ());"]
)
def test_almost_no_header(header: str) -> None:
    assert parse(f"{header} select 1 as x").kind is Kind.FULL


@pytest.mark.parametrize(
    ("said", "kind"),
    [("FULL", Kind.FULL), ("view", Kind.VIEW), ("EMBEDDED", Kind.EMBEDDED), ("VIEW (materialized false)", Kind.VIEW)],
)
def test_kinds(said: str, kind: Kind) -> None:
    model = parse(f"MODEL (kind {said}); select 1 as x")
    assert model.kind is kind
    assert model.notes == ()
    assert model.logic != parse(f"MODEL (kind {'VIEW' if kind is Kind.FULL else 'FULL'}); select 1 as x").logic


def test_a_seed() -> None:
    model = parse(
        "MODEL (name s.x, kind SEED (path '../seeds/x.csv', batch_size 10), columns (Id INT, price DECIMAL(10, 2)), grain id);"
    )
    assert model.kind is Kind.SEED
    assert model.seed == SeedFile("../seeds/x.csv", {"id": "INT", "price": "DECIMAL(10, 2)"}, 1, 34, 16)
    assert (model.query, model.reads, model.notes) == ("", (), ())
    assert model.properties == {"key": "id"}


@pytest.mark.parametrize(
    ("said", "properties"),
    [
        ("grain id", {"key": "id"}),
        ("grain Id", {"key": "id"}),
        ('grain ("id", t.line)', {"key": "id,line"}),
        ("grain [a, b]", {"key": "a,b"}),
        ("grains (a, b)", {"key": "a"}),
        ("grains ((a, b), c)", {"key": "a,b"}),
        ("tags x", {"tags": "x"}),
        ("tags [x, y]", {"tags": "x,y"}),
        ("owner 'a b'", {"owner": "a b"}),
        ("dialect duckdb", {}),
    ],
)
def test_properties(said: str, properties: dict[str, str]) -> None:
    model = parse(f"MODEL ({said}); select 1 as x")
    assert model.properties == properties
    assert model.logic == parse("select 1 as x").logic


def test_a_grain_of_expressions_is_no_key() -> None:
    model = parse("MODEL (grain (id, date_trunc('day', t))); select 1 as x")
    assert model.properties == {}
    assert model.notes == ("a grain that isn't made of columns is no key",)


def test_a_stamp_counts() -> None:
    assert parse("MODEL (stamp 'a'); select 1 as x").logic != parse("MODEL (stamp 'b'); select 1 as x").logic


def test_disabled() -> None:
    assert not parse("MODEL (enabled false); select 1 as x").enabled


def test_what_it_depends_on_is_read() -> None:
    model = parse("MODEL (depends_on (a.b, c)); select 1 as x from d.e")
    assert [r.name for r in model.reads] == ["d.e", "a.b", "main.c"]
    assert model.reads[1] == Read("a.b", 1, 20, 3)


def test_names_without_schema_stand_in_the_default_one() -> None:
    assert parse("MODEL (name orders); select 1 as x").name == "main.orders"


def test_places_are_those_of_the_file() -> None:
    model = parse("MODEL (name a.b);\r\n\r\nselect 'é😀' as x,\r\n  1 as y\r\nfrom\r\n\ta.c")
    assert model.reads == (Read("a.c", 6, 2, 3),)


@pytest.mark.parametrize(
    ("text", "message", "where", "hint"),
    [
        ("", "the file holds no query", "1:1+1", "write one SELECT, or delete the file"),
        (" -- later\n;", "the file holds no query", "1:1+1", "write one SELECT, or delete the file"),
        ("MODEL (name a.b);", "the header is followed by no query", "1:1+1", "write one SELECT, or delete the file"),
        ("select 1; select 2", "a second statement begins here; a model is one query", "1:11+6", "make it a model of its own"),
        ("create table x as\nselect 1", "CREATE creates something; a model is one SELECT", "1:1+6", "write only the SELECT: Anabranch makes the table"),
        ("insert into x select 1", "INSERT writes rows; a model is one SELECT", "1:1+6", "write only the SELECT: Anabranch makes the table"),
        ("describe x", "a model can't begin with 'describe'", "1:1+8", "begin a model with SELECT, WITH or FROM"),
        ("with a as (delete from x returning *) from a", "DELETE deletes rows; only reading is allowed here", "1:24+1", "write a SELECT"),
        ("selct 1", "a model can't begin with 'selct'", "1:1+5", "did you mean select?"),
        ("select a\nfrm t", "'t' doesn't fit here", "2:5+1", "did you mean from?"),
        ("select (a from t", ") is missing before 'from'", "1:11+4", None),
        ("select a from", "the name of a table is missing after 'from'", "1:10+4", None),
        ("select 'a from t", "the quote that opens here isn't closed", "1:8+1", "close it with '"),
        ("select a /* from t", "the comment that opens here isn't closed", "1:10+2", "close it with */"),
        ("select {{ ref('x') }}", "templates aren't supported", "1:8+2", "write plain SQL; what differs between environments is done by Anabranch"),
        ("select 'a\0b' as x", "there is a NUL character here", "1:10+1", "delete it"),
        ("select 1 {# no #}", "templates aren't supported", "1:10+2", "write plain SQL; what differs between environments is done by Anabranch"),
        ("{% if x %} select 1", "templates aren't supported", "1:1+2", "write plain SQL; what differs between environments is done by Anabranch"),
        ("select '\x02start_ds\x02' as x", "there is a control character (0x02) here", "1:9+1", "delete it"),
        ("select a from query_table('x')", "query_table() names what it reads in a text, which can't be followed", "1:15+11", "name the table after FROM"),
        ("select " + "(" * 500 + "1" + ")" * 500, "the query is nested too deeply", "1:408+1", None),
        ("MODEL (name a.b, select 1", "the header that opens here isn't closed", "1:1+7", "close it with );"),
        ("MODEL (name a.b)\nselect 1", "a semicolon is missing after the header", "1:16+1", "end it with );"),
        ("MODEL (name);\nselect 1", "name has no value", "1:8+4", None),
        ("MODEL (name a.b,\n  ownr x);\nselect 1", "a model has no property ownr", "2:3+4", "did you mean owner?"),
        ("MODEL (zzz x); select 1", "a model has no property zzz", "1:8+3", "known are name, kind, description, owner, grain, grains, tags, dialect, enabled, depends_on, stamp, cron, start, end, interval_unit, partitioned_by, audits, signals and those of SQLMesh"),
        ("MODEL (name a.b, name c.d); select 1", "name is said twice", "1:18+4", None),
        ("MODEL (name a b); select 1", "name takes a name, not a b", "1:13+3", None),
        ("MODEL (name @x.y); select 1", "name takes a name, not @x.y", "1:13+4", None),
        ("MODEL ('x' y); select 1", "'x' doesn't fit here", "1:8+3", None),
        ("MODEL (enabled maybe); select 1", "enabled is true or false, not maybe", "1:16+5", None),
        ("MODEL (kind FUL); select 1", "there is no kind FUL", "1:13+3", "did you mean FULL?"),
        ("MODEL (kind X); select 1", "there is no kind X", "1:13+1", "kinds are FULL, VIEW, SEED, EMBEDDED, INCREMENTAL_BY_TIME_RANGE, INCREMENTAL_BY_UNIQUE_KEY, INCREMENTAL_BY_PARTITION, INCREMENTAL_UNMANAGED, SCD_TYPE_2, SCD_TYPE_2_BY_TIME, SCD_TYPE_2_BY_COLUMN, CUSTOM"),
        ("MODEL (name a.b, kind EXTERNAL); select 1", "an EXTERNAL model isn't a file here", "1:23+8", "declare the table under sources: in anabranch.yaml, and delete the file"),
        (
            "MODEL (\n  name a.b,\n  kind MANAGED\n);\nselect 1",
            "kind MANAGED isn't supported yet",
            "3:8+7",
            "FULL builds the same rows",
        ),
        ("MODEL (kind SCD_TYPE_2_BY_COLUMN (unique_key id)); select 1", "SCD_TYPE_2_BY_COLUMN needs columns", "1:13+36", "write kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns *)"),
        ("MODEL (kind SCD_TYPE_2); select 1", "SCD_TYPE_2 needs a unique_key", "1:13+10", "write kind SCD_TYPE_2 (unique_key id)"),
        ("MODEL (kind INCREMENTAL_BY_TIME_RANGE, start '2024-01-01'); select 1", "INCREMENTAL_BY_TIME_RANGE needs a time_column", "1:13+25", "write kind INCREMENTAL_BY_TIME_RANGE (time_column ds)"),
        ("MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column ds)); select 1", "INCREMENTAL_BY_TIME_RANGE needs a start", "1:1+1", "say from which day on it has rows: start '2024-01-01'"),
        ("MODEL (kind INCREMENTAL_BY_PARTITION); select 1", "INCREMENTAL_BY_PARTITION needs partitioned_by", "1:1+1", "name the columns whose values tell partitions apart"),
        ("MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, uniqe x)); select 1", "INCREMENTAL_BY_UNIQUE_KEY has no setting uniqe", "1:55+5", "did you mean unique_key?"),
        ("MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, lookback x)); select 1", "lookback is a whole number, 0 or more, not x", "1:64+1", "write a number"),
        ("MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key id, batch_size 0)); select 1", "batch_size is a whole number, 1 or more, not 0", "1:66+1", "write a number"),
        ("MODEL (cron '0 0 30 2 *'); select 1", "cron '0 0 30 2 *' can't be used: it never fires", "1:13+12", "write it as '0 7 * * *' or '@daily'"),
        ("MODEL (cron '0 0 32 1 *'); select 1", "cron '0 0 32 1 *' can't be used: bad day-of-month", "1:13+12", "write it as '0 7 * * *' or '@daily'"),
        ("MODEL (cron '* *'); select 1", "cron '* *' can't be used: wrong number of fields", "1:13+5", "write it as '0 7 * * *' or '@daily'"),
        ("MODEL (interval_unit dya); select 1", "there is no interval_unit dya", "1:22+3", "did you mean day?"),
        ("MODEL (start soon); select 1", "start 'soon' is not a date", "1:14+4", "write a date: '2024-01-01'"),
        ("MODEL (dialect snowflake); select 1", "the model is written for snowflake, the warehouse speaks duckdb", "1:16+9", "write it for duckdb, and drop dialect"),
        ("MODEL (blueprints ((a := 1))); select 1", "blueprints aren't supported", "1:8+10", "write one file a model"),
        ("MODEL (kind SEED); ", "a SEED needs the path of its file", "1:13+4", "write kind SEED (path '../seeds/name.csv')"),
        ("MODEL (kind SEED (path 'x.csv', csv_settings (delimiter = '|')));", "csv_settings isn't supported yet", "1:33+12", "save the file with commas, double quotes and a line of names"),
        ("MODEL (kind SEED (path 'x.csv'));\nselect 1", "a seed's rows come from its file, not from a query", "2:1+6", "drop the query, or the kind"),
        ("MODEL (columns (id)); select 1", "columns takes names with types", "1:17+2", "write columns (id INT, name TEXT)"),
        ("AUDIT (name x); select 1", "this is an audit, not a model", "1:1+5", "move the file into audits/"),
        ("JINJA_QUERY_BEGIN; select 1", "JINJA_QUERY_BEGIN isn't run around a query", "1:1+17", "write only to @this_model, or to something TEMP; what concerns all of the warehouse belongs into before_all"),
    ],
)  # fmt: skip
def test_mistakes(text: str, message: str, where: str, hint: str | None) -> None:
    with pytest.raises(ModelError) as caught:
        parse(text)
    error = caught.value
    assert error.message == message
    assert error.hint == hint
    assert error.where is not None
    assert f"{error.where.line}:{error.where.column}+{error.where.length}" == where
    assert error.where.path == Path("models/m.sql")
    assert error.asset in ("main.m", "a.b")


def test_errors_of_syntax_are_told_apart() -> None:
    with pytest.raises(SqlSyntaxError):
        parse("select from")
    with pytest.raises(ModelError) as caught:
        parse("MODEL (kind MANAGED); select 1")
    assert not isinstance(caught.value, SqlSyntaxError)


def test_an_error_names_the_asset_of_the_header() -> None:
    with pytest.raises(SqlSyntaxError) as caught:
        parse("MODEL (name sales.x); select from")
    assert caught.value.asset == "sales.x"


@pytest.mark.parametrize(
    "query", [q for q in QUERIES if meaning(q) is not None and not q.startswith(("describe", "summarize"))]
)
def test_output_names_are_duckdbs(query: str) -> None:
    names = output_names(single(query, "duckdb").root)
    parse(query)
    if names is not None:
        with database(logical) as connection:
            found = [d[0] for d in connection.execute(query).description or ()]
        assert [n.lower() for n in names] == [f.lower() for f in found]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("select a, b.c, d + 1 as e, 'x' f from t", ("a", "c", "e", "f")),
        ("with x as (select 1 as q) select q as r from x order by 1", ("r",)),
        ("(select a from t) union all select b from u", ("a",)),
        ("select a from t union all by name select b from u", None),
        ("select * from t", None),
        ("select t.* from t", None),
        ("from t", None),
        ("select a + 1 from t", None),
        ("select a, A from t", None),
        ("select unnest(s) as x from t", None),
        ("select columns('x') as y from t", None),
        ("values (1)", None),
        ("pivot t on a using sum(b)", None),
        ("select x: a from t", ("x",)),
    ],
)
def test_output_names(query: str, names: tuple[str, ...] | None) -> None:
    assert parse(query).columns == names


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1,2]", "null", '["a"]', '[null,"full",{},"",""]'])
def test_damaged_values_are_told(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parsed.decode(text)


def test_the_version_is_told_without_sqlglot() -> None:
    code = "import sys; from anabranch.sql import parsed, version; print(version.parser_version()); print('sqlglot' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert said == [parser_version(), "False"]
    from sqlglot._version import __version__

    assert parser_version().endswith(f"/{__version__}")


def test_the_examples_parse() -> None:
    for file in sorted((Path(__file__).parents[2] / "examples" / "flights" / "models").rglob("*.sql")):
        model = parse(file.read_text(encoding="utf-8"))
        assert duckdb.extract_statements(model.query)
