"""Merges on Postgres, and rights."""

from functools import partial

import pytest

from anabranch.engines.postgres import PostgresEngine
from anabranch.ports.engine import Grant
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows

pytestmark = pytest.mark.postgres


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
