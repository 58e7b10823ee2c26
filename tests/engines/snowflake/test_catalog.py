"""What Snowflake's catalog is asked, word by word, and how its answers are read. Nothing here has met Snowflake."""

from __future__ import annotations

from functools import partial

import pytest
from tests.support.snowflake import Account, refused

from anabranch.ports.cloning import Held
from anabranch.ports.engine import Found, Grant, Relation
from anabranch.testing.engine_helpers import at, failure


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def session(account):
    with account.engine().session() as session:
        yield session


def test_relations_of_another_database_are_looked_for_there(account, session):
    account.answer("SELECT table_schema, table_name, .VIEW.", [("S", "T", "BASE TABLE", "")])
    account.answer("SELECT table_schema, table_name, column_name", [("S", "T", "ID", "NUMBER", None, 38, 0, None)])
    there = Relation("s", "T", "Other")
    assert session.describe(there) == Found(there, False, (("id", "NUMBER(38,0)"),))
    session.drop([there, at("t", "s")])
    said = account.said()
    assert [s for s in said if s.startswith("DROP")] == [
        'DROP TABLE IF EXISTS "Other"."S"."T"',
        'DROP TABLE IF EXISTS "DB"."S"."T"',
    ]
    assert [s.count('"Other".information_schema') for s in said if s.startswith("SELECT")] == [2, 1, 2, 0]


def test_relations_of_all_kinds_are_found(account, session):
    account.answer(
        "SELECT table_schema, table_name, .VIEW.",
        [
            ("A", "V", "VIEW", "CREATE VIEW …"),
            ("A", "T", "BASE TABLE", ""),
            ("A", "Mixed Case", "EXTERNAL TABLE", ""),
            ("A", "M", "VIEW", "CREATE MATERIALIZED VIEW …"),
            ("A", "M", "MATERIALIZED VIEW", ""),
        ],
    )
    account.answer(
        "SELECT table_schema, table_name, column_name",
        [
            ("A", "T", "ID", "NUMBER", None, 38, 0, None),
            ("A", "T", "select", "TEXT", 3, None, None, None),
            ("A", "T", 'Quo"te', "TEXT", 16777216, None, None, None),
            ("A", "T", "AT", "TIMESTAMP_NTZ", None, None, None, 6),
            ("A", "V", "F", "FLOAT", None, None, None, None),
            ("A", "gone meanwhile", "F", "FLOAT", None, None, None, None),
        ],
    )
    assert session.find(["a"]) == [
        Found(at("Mixed Case", "a"), False, ()),
        Found(at("m", "a"), True, (), "CREATE MATERIALIZED VIEW …"),
        Found(
            at("t", "a"),
            False,
            (
                ("id", "NUMBER(38,0)"),
                ("select", "VARCHAR(3)"),
                ('Quo"te', "VARCHAR(16777216)"),
                ("at", "TIMESTAMP_NTZ(6)"),
            ),
        ),
        Found(at("v", "a"), True, (("f", "FLOAT"),), "CREATE VIEW …"),
    ]
    assert account.said() == [
        (
            "SELECT table_schema, table_name, 'VIEW', view_definition FROM \"DB\".information_schema.views"
            " WHERE table_schema IN ('A') UNION ALL SELECT table_schema, table_name, table_type, ''"
            " FROM \"DB\".information_schema.tables WHERE table_schema IN ('A') AND table_type <> 'VIEW'"
        ),
        (
            "SELECT table_schema, table_name, column_name, data_type, character_maximum_length, numeric_precision,"
            ' numeric_scale, datetime_precision FROM "DB".information_schema.columns'
            " WHERE table_schema IN ('A') ORDER BY table_schema, table_name, ordinal_position"
        ),
    ]


# --- versions, sizes, rights, tags


def test_the_version_is_that_of_the_last_change_to_rows(account, session):
    account.answer("SELECT SYSTEM", [(1760000000000000001,)], refused(2003, "Object 'T' does not exist"), [(None,)])
    assert session.version(at("it's", "a")) == "1760000000000000001"
    assert session.version(at("t")) is None
    assert session.version(at("t")) is None
    assert account.said()[0] == """SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME('"DB"."A"."it\\'s"')"""


def test_a_clone_owns_what_it_is_billed_for(account, session):
    account.answer(
        "SELECT table_schema, table_name, active_bytes",
        [("A", "ALONE", 100, False, 1), ("A", "CLONED", 200, False, 2), ("A", "CLONE", 5, True, 2)],
    )
    account.answer(
        "SELECT table_schema, table_name, bytes",
        [("A", "ALONE", 100), ("A", "CLONED", 200), ("A", "CLONE", 205), ("A", "UNTOLD", 7), ("A", "OTHER", 1)],
    )
    asked = [at(n, "a") for n in ("alone", "cloned", "clone", "untold", "nothing")]
    assert session.held(asked) == {
        at("alone", "a"): Held(100, 100),
        at("cloned", "a"): Held(200, None),
        at("clone", "a"): Held(205, 5),
        at("untold", "a"): Held(7, None),
    }
    assert account.said() == [
        (
            "SELECT table_schema, table_name, active_bytes, id <> clone_group_id,"
            ' COUNT(*) OVER (PARTITION BY clone_group_id) FROM "DB".information_schema.table_storage_metrics'
            " WHERE table_dropped IS NULL QUALIFY table_schema IN ('A') AND table_catalog = 'DB'"
        ),
        (
            'SELECT table_schema, table_name, bytes FROM "DB".information_schema.tables'
            " WHERE table_schema IN ('A') AND bytes IS NOT NULL"
        ),
    ]


def test_a_role_that_may_not_see_what_is_billed_is_told_all_else(account, session):
    account.answer("SELECT table_schema, table_name, bytes", [("A", "T", 100)])
    account.answer("SELECT table_schema, table_name, active_bytes", refused(2003, "does not exist or not authorized"))
    assert session.held([at("t", "a")]) == {at("t", "a"): Held(100, None)}
    account.answer("SELECT table_schema, table_name, active_bytes", refused(904, "no such column"))
    failure(lambda: session.held([at("t", "a")]))


def test_rights_are_read_for_many_relations_at_once(account, session):
    account.answer("SELECT table_schema, table_name, .VIEW.", [("A", "V", "VIEW", ""), ("A", "T", "BASE TABLE", "")])
    account.answer(
        "SELECT object_schema",
        [
            ("A", "V", "SELECT", "ROLE", "ANALYST"),
            ("A", "V", "REFERENCES", "DATABASE_ROLE", "Reader"),
            ("A", "OTHER", "SELECT", "ROLE", "ANALYST"),
        ],
    )
    assert session.grants([at("v", "a"), at("t", "a"), at("nothing", "a")]) == {
        at("v", "a"): (Grant("REFERENCES", "DATABASE ROLE Reader"), Grant("SELECT", "ROLE analyst")),
        at("t", "a"): (),
    }
    assert account.said()[0] == (
        "SELECT object_schema, object_name, privilege_type, granted_to, grantee"
        " FROM \"DB\".information_schema.object_privileges WHERE object_schema IN ('A') AND object_catalog = 'DB'"
        " AND object_type IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW') AND privilege_type <> 'OWNERSHIP'"
    )


def test_rights_are_granted_by_the_kind_of_relation_and_grantee(account, session):
    account.answer("SELECT table_schema, table_name, .VIEW.", [("A", "V", "VIEW", "")])
    grants = [
        Grant("SELECT", "ROLE analyst"),
        Grant("REFERENCES", "ROLE analyst"),
        Grant("SELECT", 'ROLE Odd "role"; --'),
        Grant("SELECT", "DATABASE ROLE reader"),
        Grant("SELECT", "SHARE partners"),
    ]
    session.grant(at("v", "a"), grants)
    session.grant(at("v", "a"), [])
    assert account.said()[1:] == [
        'GRANT REFERENCES, SELECT ON VIEW "DB"."A"."V" TO ROLE "ANALYST"',
        'GRANT SELECT ON VIEW "DB"."A"."V" TO DATABASE ROLE "READER"',
        'GRANT SELECT ON VIEW "DB"."A"."V" TO ROLE "Odd ""role""; --"',
        'GRANT SELECT ON VIEW "DB"."A"."V" TO SHARE "PARTNERS"',
    ]
    for wrong in (
        Grant("SELECT ON x TO y; --", "ROLE r"),
        Grant("SELECT", "analyst"),
        Grant("SELECT", "APPLICATION a"),
    ):
        assert failure(partial(session.grant, at("v", "a"), [wrong])).kind == "NotSupported"
    assert not [s for s in account.said() if s.startswith("GRANT")]


def test_statements_are_tagged_when_what_they_are_about_changes(account):
    engine = account.engine()
    with engine.session() as session:
        session.tag({"asset": "it's \\ odd"})
        assert account.said() == [], "not before there is something to tag"
        session.query("SELECT 1")
        session.query("SELECT 2")
        session.tag({"asset": "x" * 5000})
        session.query("SELECT 3")
    with engine.session() as session:
        session.query("SELECT 4")
    said = account.said()
    assert [s for s in said if "QUERY_TAG" not in s] == [f"SELECT {n}" for n in (1, 2, 3, 4)]
    tags = [s for s in said if "QUERY_TAG" in s]
    assert tags[0] == """ALTER SESSION SET QUERY_TAG = '{"asset":"it\\'s \\\\\\\\ odd"}'"""
    assert tags[1] == f"""ALTER SESSION SET QUERY_TAG = '{{"asset":"{"x" * 400}"}}'"""
    assert tags[2:] == ["ALTER SESSION UNSET QUERY_TAG"]
