"""Postgres as an engine: the suite, and what only Postgres has."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar

import pytest

from anabranch.engines.postgres import PostgresEngine
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Engine, Grant, Relation, transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, OpenEngine, at, failure, rows, text
from anabranch.testing.engine_suite import EngineSuite

pytestmark = pytest.mark.postgres


class TestPostgres(EngineSuite):
    title = "Postgres"
    slow_query = "SELECT a, md5((a + b)::text) AS b FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"
    longest_column = 63
    binds_views = True
    readers_wait = True
    clone_rows = "SELECT generate_series(1, 100000) AS id"
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "number": "1e100::numeric",
        "single": "'-Infinity'::real",
        "fixed": "'x'::char(3)",
        "moment_tz": "'2020-02-29 12:00:00+02'::timestamptz",
        "time_of_day": "'12:00:00'::time",
        "time_tz": "'12:00:00+02'::timetz",
        "span": "'1 year 2 days 03:04:05.6'::interval",
        "bytes": "'\\xAA'::bytea",
        "uuid": "'5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5'::uuid",
        "bits": "B'0101'",
        "array": "ARRAY[[1, NULL], [3, 4]]",
        "json": """'{"a": [1, null]}'::json""",
        "jsonb": """'{"a": [1, null]}'::jsonb""",
        "range": "'[1,9)'::int4range",
        "address": "'10.0.0.0/8'::cidr",
        "point": "point(1, -0.0)",
        "words_to_find": "'a fat cat'::tsvector",
        "name": "'x'::name",
        "letter": """'x'::"char\"""",
        "price": "'12.5'::numeric::money",
    }
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values,
        ("'NaN'::float8", "'-NaN'::float8"),
        ("'2020-01-01 00:00+00'::timestamptz", "'2020-01-01 02:00+02'::timestamptz"),
        ("""'{"a": 1, "b": 2}'::jsonb""", """'{"b":2,"a":1}'::jsonb"""),
        ("ARRAY[1, NULL, 2]", "ARRAY[1] || ARRAY[NULL, 2]"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.different_values,
        ("1.5::numeric", "1.50::numeric"),
        ("1.5::numeric(4, 1)", "1.5::numeric(5, 1)"),
        ("'0'::real", "'-0'::real"),
        ("'0.1'::real", "'0.1'::float8"),
        ("'Infinity'::float8", "'-Infinity'::float8"),
        ("'infinity'::date", "'-infinity'::date"),
        ("'2020-01-01 00:00:00.000001'::timestamptz", "'2020-01-01'::timestamptz"),
        ("'2020-01-01 00:00+00'::timestamptz", "'2020-01-01 00:00+01'::timestamptz"),
        ("'12:00+00'::timetz", "'13:00+01'::timetz"),
        ("'1 day'::interval", "'24 hours'::interval"),
        ("'1 year'::interval", "'360 days'::interval"),
        ("''::bytea", "NULL::bytea"),
        ("'\\x00'::bytea", "'\\x0000'::bytea"),
        ("'\\x61'::bytea", "'a'::text"),
        ("'a'::char(3)", "'a'::varchar(3)"),
        ("'a'::varchar(3)", "'a'::varchar(4)"),
        ("""'{"a": 1}'::json""", """'{"a":1}'::json"""),
        ("""'{"a": 1}'::jsonb""", """'{"a": 1.0}'::jsonb"""),
        ("'null'::jsonb", "NULL::jsonb"),
        ("'{}'::json", "'{}'::text"),
        ("'{}'::int[]", "NULL::int[]"),
        ("'{}'::int[]", "'{NULL}'::int[]"),
        ("'{1,2}'::int[]", "'[0:1]={1,2}'::int[]"),
        ("'{{1},{2}}'::int[]", "'{{1,2}}'::int[]"),
        ("ARRAY['a,b']", "ARRAY['a', 'b']"),
        ("ARRAY['NULL']", "ARRAY[NULL]::text[]"),
        ("ARRAY['']", "ARRAY[]::text[]"),
        ("ARRAY[0.0::float8]", "ARRAY[-0.0::float8]"),
        ("ARRAY['1 month'::interval]", "ARRAY['30 days'::interval]"),
        ("'[1,2)'::int4range", "'empty'::int4range"),
        ("point(0, 0)", "point(0, -0.0::float8)"),
        ("B'1'::varbit", "B'01'::varbit"),
        ("'a,b'::text", "'a\\,b'::text"),
        ("'(a)'::text", "'a'::text"),
        ("'\"'::text", "'\\\"'::text"),
        ("'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid", "'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::text"),
    )
    arrow_types: ClassVar[Mapping[str, str]] = {
        **{k: v for k, v in EngineSuite.arrow_types.items() if k != "DOUBLE"},
        "DOUBLE PRECISION": "-0.0::float8",
        "REAL": "0.1::real",
        "NUMERIC": "1234567890123456789012345678901234567890.5::numeric",
        "NUMERIC(38, 10)": "1234567890123456789012345678.0123456789::numeric(38, 10)",
        "NUMERIC(60, 20)": "1234567890123456789012345678901234567890.5::numeric(60, 20)",
        "NUMERIC(3, 0)": "CAST(-999 AS NUMERIC(3, 0))",
        "CHAR(5)": "'ab'::char(5)",
        "VARCHAR(5)": "''::varchar(5)",
        "TEXT": "E'a,\"b\"\\n\\\\N'::text",
        "TIMESTAMP WITH TIME ZONE": "'1900-01-01 12:34:56.789+00:09:21'::timestamptz",
        "TIMESTAMP(3)": "'1970-01-01 00:00:00.001'::timestamp(3)",
        "TIME": "'23:59:59.999999'::time",
        "TIMETZ": "'23:59:59+02'::timetz",
        "UUID": "'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid",
        "BYTEA": "'\\x00ff0a'::bytea",
        "INTEGER[]": "ARRAY[1, NULL, 3]",
        "TEXT[]": "ARRAY['a,b', '', NULL, '\"']",
        "NUMERIC(9, 2)[]": "ARRAY[[1.5], [2]]::numeric(9, 2)[]",
        "JSON": """'{"a":  1}'::json""",
        "JSONB": """'{"a": [1, "é"]}'::jsonb""",
        "INTERVAL": "'1 month -2 days 3 seconds'::interval",
        "INET": "'::1'::inet",
        "INT4RANGE": "'[1,9)'::int4range",
        "OID": "4294967295::oid",
    }

    @pytest.fixture
    def open_engine(self, postgres_url) -> OpenEngine:
        return lambda: PostgresEngine(postgres_url, patience=10)

    def grantees(self, engine: Engine) -> Sequence[str]:
        """A server's roles, which outlive its databases."""
        with engine.session() as session:
            for role in ("analyst", '"Odd ""role"""'):
                there = session.query(f"SELECT 1 FROM pg_roles WHERE quote_ident(rolname) = $${role}$$").rows
                if not there:
                    session.execute(f"CREATE ROLE {role}")
        return ["analyst", 'Odd "role"', "PUBLIC"]


@pytest.fixture
def engine(postgres_url):
    engine = PostgresEngine(postgres_url, patience=10)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    yield engine
    engine.close()


# --- names


@pytest.mark.parametrize("name", ["x" * 64, "é" * 32, "nul\0"])
def test_a_name_that_postgres_would_cut_is_refused(engine, name):
    short = name[: -1 if "x" in name else -2] if "\0" not in name else "nul"
    with engine.session() as session:
        session.create_table(at(short), SMALL)
        session.point({at("p"): at(short)})
        for call in (
            lambda: session.create_table(at(name), SMALL),
            lambda: session.create_schemas([name]),
            lambda: session.create_view(at(name), SMALL),
            lambda: session.create_materialized_view(at(name), SMALL),
            lambda: session.rename(at(short), name),
            lambda: session.swap(at(short), at(name)),
            lambda: session.point({at(name): at(short)}),
            lambda: session.point({at("p"): at(name)}),
            lambda: session.load_arrow(at("made"), [], {name: "integer"}),
            lambda: session.grant(at(name), [Grant("SELECT", "PUBLIC")]),
            lambda: session.count(at(name)),
            lambda: session.query(f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_table(at("made"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_view(at("made"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_view(at("p"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.execute(f"CREATE TABLE suite.made ({session.grammar.identifier(name)} integer)"),
        ):
            error = failure(call)
            assert error.kind in ("NotSupported", "NameTooLong")
            assert "long" in error.message or "character 0" in error.message
        # nothing has such a name: not even what begins alike
        assert session.describe(at(name)) is None
        assert session.columns(at(name)) is None
        assert session.find([name]) == []
        assert session.targets([name]) == {}
        assert session.held([at(name)]) == {}
        assert session.grants([at(name)]) == {}
        assert session.version(at(name)) is None
        session.drop([at(name)])
        session.drop_schemas([name])
        session.point({at(name): None})
        assert {f.relation for f in session.find([SCHEMA])} == {at(short), at("p")}
        assert session.targets([SCHEMA]) == {at("p"): at(short)}


def test_names_of_another_case_are_others(engine):
    with engine.session() as session:
        session.create_schemas(["Suite"])
        session.create_table(Relation("Suite", "T"), SMALL)
        session.create_table(at("t"), "SELECT 7 AS id")
        assert session.describe(at("T")) is None
        assert session.describe(Relation("Suite", "t")) is None
        session.point({at("P"): Relation("Suite", "T"), at("p"): at("t")})
        assert session.targets([SCHEMA]) == {at("P"): Relation("Suite", "T"), at("p"): at("t")}


def test_the_name_of_the_database_may_be_given(engine, postgres_url):
    with engine.session() as session:
        (name,) = session.query("SELECT current_database()").rows[0]
        full = Relation(SCHEMA, "t", name)
        session.create_table(full, SMALL)
        session.point({Relation(SCHEMA, "p", name): full})
        assert session.targets([SCHEMA]) == {at("p"): at("t")}
        found = session.describe(full)
        assert found is not None
        assert found.relation == full
        assert session.columns(full) == session.columns(at("t"))
        assert set(session.held([full])) == {full}
        assert session.grants([full]) == {full: ()}
        session.rename(full, "u")
        assert session.count(Relation(SCHEMA, "u", name)) == 2
        session.drop([Relation(SCHEMA, "p", name)])
        assert session.targets([SCHEMA]) == {}


def test_nothing_reaches_into_another_database(engine):
    elsewhere = Relation(SCHEMA, "t", "elsewhere")
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.point({at("p"): at("t")})
        assert session.describe(elsewhere) is None
        assert session.columns(elsewhere) is None
        assert session.held([elsewhere]) == {}
        assert session.grants([elsewhere]) == {}
        for call in (
            lambda: session.create_table(elsewhere, SMALL),
            lambda: session.create_view(elsewhere, SMALL),
            lambda: session.point({elsewhere: at("t")}),
            lambda: session.point({at("p"): elsewhere}),
            lambda: session.point({elsewhere: None}),
            lambda: session.rename(elsewhere, "u"),
            lambda: session.swap(elsewhere, at("t")),
            lambda: session.drop([elsewhere]),
            lambda: session.count(elsewhere),
            lambda: session.load_arrow(elsewhere, [], {"id": "integer"}),
            lambda: session.grant(elsewhere, [Grant("SELECT", "PUBLIC")]),
            lambda: session.content_hash(elsewhere, ["id"]),
        ):
            error = failure(call)
            assert error.kind == "NotSupported"
            assert "another database" in error.message
        assert session.targets([SCHEMA]) == {at("p"): at("t")}
        assert session.count(at("t")) == 2


def test_the_search_path_is_the_projects_and_changes_no_definition(postgres_url):
    engine = PostgresEngine(postgres_url, settings={"search_path": "mine, public"})
    plain = PostgresEngine(postgres_url)
    with engine.session() as session, plain.session() as other:
        session.create_schemas(["mine"])
        session.execute("CREATE TYPE mine.mood AS ENUM ('sad', 'ok')")
        session.create_table(Relation("mine", "t"), "SELECT 'ok'::mood AS mood")
        session.create_view(Relation("mine", "v"), "SELECT mood FROM t WHERE mood = 'ok'")
        session.point({Relation("mine", "p"): Relation("mine", "t")})
        assert session.query("SELECT * FROM t").rows == [("ok",)]
        assert session.find(["mine"]) == other.find(["mine"])
        assert session.targets(["mine"]) == other.targets(["mine"])
        assert session.columns(Relation("mine", "t")) == (("mood", "mine.mood"),)
        assert session.describe_query("SELECT mood FROM t") == (("mood", "mine.mood"),)
        with transaction(session):
            session.find(["mine"])
            session.create_view(Relation("mine", "v"), "SELECT mood, 1 AS one FROM t")
            session.create_view(Relation("mine", "v"), "SELECT 1 AS one FROM t")
            assert session.query("SELECT one FROM v").rows == [(1,)], "and it stays as it was"
    engine.close()
    plain.close()


# --- catalog


def test_what_there_is_besides_tables(engine):
    with engine.session() as session:
        session.execute("CREATE TABLE suite.parted (id integer) PARTITION BY RANGE (id)")
        session.execute("CREATE TABLE suite.part PARTITION OF suite.parted FOR VALUES FROM (1) TO (9)")
        session.execute("CREATE SEQUENCE suite.s")
        session.execute("CREATE INDEX i ON suite.part (id)")
        session.execute("CREATE TYPE suite.pair AS (a integer, b integer)")
        session.create_materialized_view(at("kept"), "SELECT 1 AS id")
        found = {f.relation.name: f.is_view for f in session.find([SCHEMA])}
        assert found == {"parted": False, "part": False, "kept": True}
        assert session.targets([SCHEMA]) == {at("kept"): None}
        kept = session.describe(at("kept"))
        assert kept is not None
        assert kept.definition
        session.drop([at("parted"), at("kept")])
        assert session.find([SCHEMA]) == []


def test_dropped_columns_are_gone(engine):
    with engine.session() as session:
        session.create_table(at("t"), "SELECT 1 AS a, 2 AS b, 3 AS c")
        session.execute("ALTER TABLE suite.t DROP COLUMN b")
        assert session.columns(at("t")) == (("a", "integer"), ("c", "integer"))
        session.point({at("p"): at("t")})
        assert session.targets([SCHEMA]) == {at("p"): at("t")}
        assert session.content_hash(at("p"), ["a", "c"]) == session.content_hash(at("t"), ["a", "c"])


@pytest.mark.parametrize(
    "content",
    [
        "CREATE SEQUENCE mine.s",
        "CREATE TYPE mine.t AS ENUM ('a')",
        "CREATE FUNCTION mine.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE MATERIALIZED VIEW mine.m AS SELECT 1 AS id",
        "CREATE COLLATION mine.c (locale = 'C')",
        "CREATE TABLE mine.p (id integer) PARTITION BY RANGE (id)",
    ],
)
def test_a_schema_with_something_else_in_it_is_not_empty(engine, content):
    with engine.session() as session:
        session.create_schemas(["mine", "empty"])
        session.execute(content)
        session.begin()
        session.drop_schemas(["mine", "empty"])
        session.commit()
        assert "mine" in session.schemas()
        assert "empty" not in session.schemas()


def test_the_size_of_a_table(engine):
    with engine.session() as session:
        session.create_table(at("t"), "SELECT generate_series(1, 10000) AS id")
        session.point({at("p"): at("t")})
        held = session.held([at("t"), at("p"), at("nothing")])
        assert set(held) == {at("t")}
        assert held[at("t")].total > 100_000
        assert held[at("t")] == Held(held[at("t")].total, held[at("t")].total)
    size = engine.size()
    assert size is not None
    assert size > held[at("t")].total


# --- statements


def test_a_failure_tells_postgres_own_kind_and_hint(engine):
    with engine.session() as session:
        session.create_table(at("small"), SMALL)
        for statement, kind in (
            ("SELECT * FROM nothing", "UndefinedTable"),
            ("SELECT nothing FROM suite.small", "UndefinedColumn"),
            ("SELEC", "SyntaxError"),
            ("SELECT 1; SELECT 2", "SyntaxError"),
            ("SELECT CAST(name AS INTEGER) FROM suite.small", "InvalidTextRepresentation"),
            ("SELECT 1 / 0", "DivisionByZero"),
        ):
            assert failure(partial(session.query, statement)).kind == kind
            assert failure(partial(session.execute, statement)).kind == kind
            if "1 / 0" not in statement and "CAST" not in statement:
                assert failure(partial(session.describe_query, statement)).kind == kind
        assert "small.name" in str(failure(lambda: session.query("SELECT nam FROM suite.small")).hint)
        assert session.describe_query("SELECT 1 / 0 AS x") == (("x", "integer"),), "it isn't run"


def test_the_first_rows_of_what_has_no_cursor(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        assert session.query("EXPLAIN SELECT 1", 1).columns == ("QUERY PLAN",)
        assert session.query("SHOW server_version", 1).rows[0][0]
        assert session.query("INSERT INTO suite.t VALUES (3, 'x'), (4, 'y') RETURNING id", 1).rows == [(3,)]
        assert session.count(at("t")) == 4
        with transaction(session):
            assert len(session.query("SHOW ALL", 2).rows) == 2
            assert len(session.query("SELECT generate_series(1, 9) AS n", 2).rows) == 2
            assert session.query("SELECT 1", 5).rows == [(1,)]
        assert failure(lambda: session.query("SELEC", 1)).kind == "SyntaxError"
        assert failure(lambda: session.query("SELECT 1; DROP TABLE suite.t", 1)).kind == "SyntaxError"
        assert session.count(at("t")) == 4


def test_values_that_python_has_no_date_for(engine):
    with engine.session() as session:
        found = session.query(
            "SELECT 'infinity'::date, '0044-03-15 BC'::date, '294276-12-31'::timestamp, '-infinity'::timestamptz,"
            " '10000-01-01 00:00+00'::timestamptz AT TIME ZONE 'UTC'"
        ).rows[0]
        assert [str(v) for v in found] == [
            "infinity", "0044-03-15 BC", "294276-12-31 00:00:00", "-infinity", "10000-01-01 00:00:00"
        ]  # fmt: skip


def test_what_statements_are_about_is_seen_while_they_run(engine, administrator):
    with engine.session() as session:
        seen = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        session.tag({"environment": "feature", "asset": "*/ /* it's"})
        (told,) = session.query(seen).rows[0]
        assert str(told) == f'/* anabranch {{"environment": "feature", "asset": "\\u002a/ /\\u002a it\'s"}} */ {seen}'
        session.create_table(at("t"), seen)
        assert session.find([SCHEMA])
        session.tag({})
        assert session.query(seen).rows == [(seen,)]


# --- merges


def test_tables_are_joined_by_equality_of_keys(engine):
    """Also where their types differ, and as a whole: Postgres has no FULL JOIN by IS NOT DISTINCT FROM."""
    with engine.session() as session:
        session.create_table(
            at("a"), "SELECT n AS k, n AS a FROM generate_series(1, 1000) AS n UNION ALL SELECT NULL, 0"
        )
        session.create_table(
            at("b"),
            "SELECT n::numeric(9, 2) AS k, -n AS b FROM generate_series(901, 2000) AS n UNION ALL SELECT NULL, 0",
        )
        query = f"SELECT a.a, b.b FROM suite.a FULL JOIN suite.b ON {session.grammar.same.format('a.k', 'b.k')}"
        found = session.query(query).rows
        assert len(found) == 2001
        assert sum(None not in row for row in found) == 101
        assert (0, 0) in found
        plan = "\n".join(str(r[0]) for r in session.query(f"EXPLAIN {query}").rows)
        assert "Hash Full Join" in plan or "Merge Full Join" in plan
        same = session.grammar.same
        for one, other, expected in (
            ("NULL::text", "NULL::text", True),
            ("''", "NULL::text", False),
            ("'a'::varchar(3)", "'a'", True),
            ("'a'", "'A'", False),
            ("1", "1.00::numeric", True),
            ("1::smallint", "1::bigint", True),
            ("0.5::real", "0.5::float8", True),
            ("1.5::numeric", "1.25::numeric", False),
            ("'NaN'::float8", "'NaN'::float8", True),
            ("'2020-01-01'::date", "'2020-01-01'::date", True),
            ("'2020-01-01 00:00+00'::timestamptz", "'2020-01-01 02:00+02'::timestamptz", True),
            ("'2020-01-01 00:00:00.000001'::timestamp", "'2020-01-01'::timestamp", False),
            ("'\\x00'::bytea", "'\\x01'::bytea", False),
            ("'4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'::uuid", "'4AC7A9E9-607C-4C8A-84F3-843F0191E3FD'::uuid", True),
            ("9007199254740993::bigint", "9007199254740992::bigint", False),
            ("true", "NULL::boolean", False),
        ):
            assert session.query(f"SELECT {same.format(one, other)}").rows == [(expected,)], (one, other)


def test_a_merge_by_several_keys_some_of_them_null(engine):
    with engine.session() as session:
        session.execute("CREATE TABLE suite.t (a integer, b text, c text, kept text DEFAULT 'new')")
        session.execute(
            "INSERT INTO suite.t VALUES (1, 'x', 'old', 'k'), (1, NULL, 'old', 'k'), (NULL, 'x', 'old', 'k'),"
            " (NULL, NULL, 'old', 'k'), (2, 'x', 'old', 'k')"
        )
        session.create_view(
            at("r"),
            "SELECT * FROM (VALUES (1::bigint, 'x', 'n1'), (1, NULL, 'n2'), (NULL, 'x', 'n3'), (NULL, NULL, 'n4'),"
            " (3, NULL, 'n5')) AS t (a, b, c)",
        )
        session.merge(at("t"), at("r"), ["a", "b"], ["a", "b", "c"])
        assert rows(session, at("t")) == sorted(
            [(1, "x", "n1", "k"), (1, None, "n2", "k"), (None, "x", "n3", "k"), (None, None, "n4", "k"),
             (2, "x", "old", "k"), (3, None, "n5", "new")],
            key=repr,
        )  # fmt: skip
        session.merge(at("t"), at("r"), ["a", "b"], ["a", "b"])
        assert session.count(at("t")) == 6, "nothing but keys: what is there stays"


def test_a_merge_into_partitions(engine):
    with engine.session() as session:
        session.execute("CREATE TABLE suite.t (id integer, name text) PARTITION BY LIST (id)")
        session.execute("CREATE TABLE suite.t1 PARTITION OF suite.t FOR VALUES IN (1, 3)")
        session.execute("CREATE TABLE suite.t2 PARTITION OF suite.t FOR VALUES IN (2, 4)")
        session.execute("INSERT INTO suite.t VALUES (1, 'a'), (2, 'b')")
        session.create_table(at("r"), "SELECT 1 AS id, 'A' AS name UNION ALL SELECT 4, 'D'")
        session.merge(at("t"), at("r"), ["id"], ["id", "name"])
        assert rows(session, at("t")) == [(1, "A"), (2, "b"), (4, "D")]


def test_a_merge_with_two_rows_of_a_key_is_refused(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.create_table(at("r"), "SELECT 7 AS id, 'x' AS name UNION ALL SELECT 7, 'y'")
        assert failure(lambda: session.merge(at("t"), at("r"), ["id"], ["id", "name"])).kind == "CardinalityViolation"
        assert rows(session, at("t")) == [(1, "one"), (2, "two")]


# --- rights


def test_rights_are_told_and_given(engine, administrator):
    for role in ("reader", '"Odd ""role"""', '"PUBLIC"'):
        administrator.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role}")
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.point({at("p"): at("t"), at("q"): at("t")})
        assert session.grants([at("p"), at("nothing")]) == {at("p"): ()}
        wanted = (
            Grant("INSERT", "reader"),
            Grant("SELECT", '"PUBLIC"'),
            Grant("SELECT", 'Odd "role"'),
            Grant("SELECT", "PUBLIC"),
            Grant("SELECT WITH GRANT OPTION", "reader"),
        )
        session.grant(at("p"), wanted)
        session.grant(at("p"), wanted[:1])
        assert session.grants([at("p"), at("t"), at("q")]) == {at("p"): wanted, at("t"): (), at("q"): ()}
        for wrong in (Grant("SELECT; DROP", "reader"), Grant("ALL", "reader")):
            assert failure(partial(session.grant, at("p"), [wrong])).kind == "NotSupported"
        assert failure(lambda: session.grant(at("p"), [Grant("SELECT", "reader; --")])).kind == "UndefinedObject"
        session.drop([at("p"), at("q")])
    engine.close()
    with PostgresEngine(engine._pool.address.url).session() as session:
        session.execute("DROP OWNED BY reader")


def test_what_is_granted_stays_where_a_view_is_pointed_elsewhere(engine, administrator):
    administrator.execute("DROP ROLE IF EXISTS reader; CREATE ROLE reader")
    with engine.session() as session:
        session.create_table(at("old"), SMALL)
        session.create_table(at("wider"), "SELECT 1 AS id, 'x' AS name, true AS more")
        session.create_table(at("other"), "SELECT 'x' AS name")
        session.point({at("p"): at("old")})
        granted = (Grant("SELECT WITH GRANT OPTION", "reader"), Grant("UPDATE", "reader"))
        session.grant(at("p"), granted)
        for target in ("wider", "other", "old"):
            session.point({at("p"): at(target)})
            assert session.targets([SCHEMA])[at("p")] == at(target)
            assert session.grants([at("p")]) == {at("p"): granted}, target
        session.create_view(at("p"), "SELECT 7 AS seven")
        assert session.grants([at("p")]) == {at("p"): granted}
        session.drop([at("p")])


# --- Arrow


def test_what_arrow_brings_that_postgres_writes_otherwise(engine):
    import datetime
    from decimal import Decimal

    import pyarrow as pa

    columns = {
        "half": (pa.array([1.5, None], pa.float32()), "double precision"),
        "tenth": (pa.array([0.1, float("nan")], pa.float32()), "double precision"),
        "tenth_real": (pa.array([0.1, float("-inf")], pa.float32()), "real"),
        "rounded": (pa.array([2.5, 3.5]), "integer"),
        "rounded_decimal": (pa.array([Decimal("2.5"), None]), "integer"),
        "flag": (pa.array([2, 0]), "boolean"),
        "flag_number": (pa.array([True, False]), "integer"),
        "big": (pa.array([2**64 - 1, 0], pa.uint64()), "numeric"),
        "day": (pa.array(["2020-01-01 23:59", None]).cast(pa.timestamp("us")), "date"),
        "local": (
            pa.array([datetime.datetime(2020, 1, 1, 23, tzinfo=datetime.UTC), None], pa.timestamp("ns", "+02:00")),
            "timestamp",
        ),
        "zoned": (
            pa.array([datetime.datetime(2020, 1, 1, 23, tzinfo=datetime.UTC), None], pa.timestamp("s", "UTC")),
            "timestamptz",
        ),
        "span": (pa.array([datetime.timedelta(days=40000, seconds=-1), None]), "interval"),
        "months": (pa.array([(14, -3, -1_500_000_000), None], pa.month_day_nano_interval()), "interval"),
        "list": (pa.array([["a,b", None, '"', ""], []]), "text[]"),
        "lists": (pa.array([[[1, 2], [3, None]], None]), "integer[]"),
        "struct": (pa.array([{"a": 1, "b": ["é"]}, None]), "jsonb"),
        "category": (pa.array(["x", "y"]).dictionary_encode(), "text"),
        "bytes": (pa.array([b"\x00\xff", b""]), "bytea"),
        "nothing": (pa.array([None, None]), "integer"),
        "empty": (pa.array(["", None]), "text"),
        "large": (pa.array(["\\.", "a\nb"], pa.large_string()), "text"),
        "number_text": (pa.array([1e100, 0.1]), "text"),
        "code": (pa.array(["7", None]), "numeric(9, 2)"),
    }
    table = pa.table({name: values for name, (values, _) in columns.items()})
    with engine.session() as session:
        session.execute("SET TimeZone = 'Europe/Paris'")
        assert session.load_arrow(at("t"), [table], {n: kind for n, (_, kind) in columns.items()}) == 2
        told = ", ".join(f'"{n}"::text' for n in columns)
        found = session.query(f"SELECT {told} FROM suite.t ORDER BY big DESC").rows
        assert dict(zip(columns, found[0], strict=True)) == {
            "half": "1.5", "tenth": "0.10000000149011612", "tenth_real": "0.1", "rounded": "2", "rounded_decimal": "3",
            "flag": "true", "flag_number": "1", "big": "18446744073709551615", "day": "2020-01-01",
            "local": "2020-01-02 00:00:00", "zoned": "2020-01-02 00:00:00+01", "span": "39999 days 23:59:59",
            "months": "1 year 2 mons -3 days -00:00:01.5", "list": '{"a,b",NULL,"\\"",""}', "lists": "{{1,2},{3,NULL}}",
            "struct": '{"a": 1, "b": ["é"]}', "category": "x", "bytes": "\\x00ff", "nothing": None, "empty": "",
            "large": "\\.", "number_text": "1e+100", "code": "7.00",
        }  # fmt: skip
        assert dict(zip(columns, found[1], strict=True)) == {
            **dict.fromkeys(columns), "tenth": "NaN", "tenth_real": "-Infinity", "rounded": "4", "flag": "false",
            "flag_number": "0", "big": "0", "list": "{}", "category": "y", "bytes": "\\x", "large": "a\nb",
            "number_text": "0.1",
        }  # fmt: skip
        assert [f.relation.name for f in session.find([SCHEMA])] == ["t"]


def test_the_types_that_rows_come_with(engine):
    import pyarrow as pa

    with engine.session() as session:
        session.execute("SET TimeZone = 'Asia/Kathmandu'")
        query = (
            "SELECT 1::smallint AS a, 2 AS b, 3::bigint AS c, 1.5::numeric(9, 2) AS d, 1.5::numeric AS e, true AS f,"
            " 'x'::bytea AS g, '2020-01-01'::date AS h, '2020-01-01 00:00+05:45'::timestamptz AS i, '{1}'::int[] AS j,"
            " 'x' AS k, 'x' AS k, '12:00'::time AS l, 1.5::real AS m, '2020-01-01'::timestamp AS n"
        )
        table = pa.table(session.read_arrow(f"{query};"))
        assert table.column_names == list("abcdefghijkklmn")
        assert list(table.schema.types) == [
            pa.int16(), pa.int32(), pa.int64(), pa.decimal128(9, 2), pa.string(), pa.bool_(), pa.binary(), pa.date32(),
            pa.timestamp("us", "UTC"), pa.string(), pa.string(), pa.string(), pa.time64("us"), pa.float32(),
            pa.timestamp("us"),
        ]  # fmt: skip
        assert str(table.column(8)[0]) == "2019-12-31 18:15:00+00:00"
        assert table.column(6).to_pylist() == [b"x"]
        single = pa.table(session.read_arrow("SELECT NULL::text AS x UNION ALL SELECT '' UNION ALL SELECT 'a'"))
        assert single.column(0).to_pylist() == [None, "", "a"]
        for wrong in (
            "SELECT 'infinity'::date AS d",
            "SELECT '10000-01-01'::date AS d",
            "SELECT 'NaN'::numeric(9, 2) AS n",
            "SELECT 1 / (2 - n) AS n FROM generate_series(1, 5) AS n",
        ):
            stream = session.read_arrow(wrong)
            with pytest.raises(StatementFailed):
                stream.read_all()
            assert session.query("SELECT 1").rows == [(1,)]
        for refused in ("SELECT 1) TO '/tmp/x' --", "SELECT 1; SELECT 2", "CREATE TABLE suite.x (id integer)"):
            failure(partial(session.read_arrow, refused))
        assert session.find([SCHEMA]) == []


def test_a_stream_within_a_transaction(engine):
    import pyarrow as pa

    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), "SELECT generate_series(1, 100000) AS id")
        stream = session.read_arrow("SELECT id FROM suite.t", 10)
        reader = stream
        assert reader.read_next_batch().num_rows == 10
        session.create_table(at("u"), SMALL)
        with pytest.raises(StatementFailed, match="used for something else"):
            reader.read_all()
        assert pa.table(session.read_arrow("SELECT id FROM suite.t")).num_rows == 100_000
        session.commit()
        assert session.count(at("t")) == 100_000
        assert session.count(at("u")) == 2


def test_a_hash_is_the_same_in_every_time_zone(postgres_url):
    hashes = set()
    for zone in ("UTC", "Asia/Tokyo"):
        engine = PostgresEngine(postgres_url, settings={"TimeZone": zone, "extra_float_digits": "-15"})
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            if session.columns(at("t")) is None:
                session.create_table(at("t"), "SELECT '2020-01-01 00:00+00'::timestamptz AS x, 0.1::float8 AS y")
            assert session.query("SHOW TimeZone").rows == [(zone,)]
            hashes.add(session.content_hash(at("t"), ["x", "y"]))
        engine.close()
    assert len(hashes) == 1


def test_text_in_queries_is_never_a_placeholder(engine):
    with engine.session() as session:
        assert session.query("SELECT '100%', '%s', '%(x)s', 7 % 4").rows == [("100%", "%s", "%(x)s", 3)]
        session.create_table(at("t%s"), "SELECT '%s' AS x")
        assert text(session, at("t%s"))
        assert rows(session, at("t%s")) == [("%s",)]
