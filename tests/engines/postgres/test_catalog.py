"""What Postgres has besides tables, and tells of them."""

from functools import partial

import pytest

from anabranch.ports.cloning import Held
from anabranch.ports.engine import transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure

pytestmark = pytest.mark.postgres


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
