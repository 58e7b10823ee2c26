"""What Snowflake is asked, word by word, where no emulator can be believed: nothing here has met Snowflake.

The texts are held against Snowflake's documentation of CREATE … CLONE, ALTER TABLE and SCHEMA, CREATE VIEW, GRANT, COPY
INTO and INFORMATION_SCHEMA.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from tests.support.snowflake import Account, column

from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import at, failure

THEN = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=2)))
CONTENTS = (
    *("OBJECTS", "STAGES", "SEQUENCES", "FILE FORMATS", "USER FUNCTIONS", "PROCEDURES"),
    *("STREAMS", "TASKS", "PIPES"),
)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def session(account):
    with account.engine().session() as session:
        yield session


# --- clones and swaps


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (Cloning(), 'CREATE TABLE "DB"."B"."T" CLONE "DB"."A"."T"'),
        (Cloning(replace=True), 'CREATE OR REPLACE TABLE "DB"."B"."T" CLONE "DB"."A"."T"'),
        (
            Cloning(at=Past(time=THEN)),
            (
                'CREATE TABLE "DB"."B"."T" CLONE "DB"."A"."T"'
                " AT (TIMESTAMP => '2026-02-03 02:05:06.789012 +00:00'::TIMESTAMP_TZ)"
            ),
        ),
        (
            Cloning(at=Past(time=THEN.astimezone(UTC).replace(tzinfo=None), before=True)),
            (
                'CREATE TABLE "DB"."B"."T" CLONE "DB"."A"."T"'
                " BEFORE (TIMESTAMP => '2026-02-03 02:05:06.789012 +00:00'::TIMESTAMP_TZ)"
            ),
        ),
        (Cloning(at=Past(seconds=90)), 'CREATE TABLE "DB"."B"."T" CLONE "DB"."A"."T" AT (OFFSET => -90)'),
        (
            Cloning(at=Past(statement="8e5d0ca9-005e-44e6-b858-a8f5b37c5726", before=True)),
            (
                'CREATE TABLE "DB"."B"."T" CLONE "DB"."A"."T"'
                " BEFORE (STATEMENT => '8e5d0ca9-005e-44e6-b858-a8f5b37c5726')"
            ),
        ),
        (
            Cloning(at=Past(seconds=1), replace=True, keeps_grants=True),
            'CREATE OR REPLACE TABLE "DB"."B"."T" CLONE "DB"."A"."T" AT (OFFSET => -1) COPY GRANTS',
        ),
    ],
    ids=["plain", "replace", "at-a-time", "before-a-time", "seconds", "before-a-statement", "grants"],
)
def test_a_table_is_cloned(account, session, how, text):
    session.clone(at("t", "a"), at("t", "b"), how)
    asked = "SELECT is_transient FROM \"DB\".information_schema.tables WHERE table_schema = 'A' AND table_name = 'T'"
    assert account.said() == [asked, text]


@pytest.mark.parametrize(
    ("how", "text"),
    [
        (Cloning(), 'CREATE SCHEMA "DB"."MARTS__FEATURE" CLONE "DB"."MARTS"'),
        (
            Cloning(at=Past(seconds=60), replace=True, skips_unretained=True),
            (
                'CREATE OR REPLACE SCHEMA "DB"."MARTS__FEATURE" CLONE "DB"."MARTS" AT (OFFSET => -60)'
                " IGNORE TABLES WITH INSUFFICIENT DATA RETENTION"
            ),
        ),
    ],
    ids=["plain", "past"],
)
def test_a_schema_is_cloned(account, session, how, text):
    session.clone_schema("marts", "marts__feature", how)
    asked = "SELECT is_transient FROM \"DB\".information_schema.schemata WHERE schema_name = 'MARTS'"
    assert account.said() == [asked, text]


def test_a_clone_of_what_is_transient_is_transient(account, session):
    account.answer("SELECT is_transient", [("YES",)])
    session.clone(Relation("A", "T", "Other"), at("u", "a"), Cloning(replace=True))
    session.clone_schema("a", "b")
    session.clone_database("Other", "c")
    assert account.said() == [
        "SELECT is_transient FROM \"Other\".information_schema.tables WHERE table_schema = 'A' AND table_name = 'T'",
        'CREATE OR REPLACE TRANSIENT TABLE "DB"."A"."U" CLONE "Other"."A"."T"',
        "SELECT is_transient FROM \"DB\".information_schema.schemata WHERE schema_name = 'A'",
        'CREATE TRANSIENT SCHEMA "DB"."B" CLONE "DB"."A"',
        "SELECT is_transient FROM \"Other\".information_schema.databases WHERE database_name = 'Other'",
        'CREATE TRANSIENT DATABASE "C" CLONE "Other"',
    ]


def test_a_database_is_cloned(account, session):
    session.clone_database("db", "Db Feature")
    session.clone_database("db", "db_feature", Cloning(at=Past(statement="it's"), skips_unretained=True))
    assert account.said()[1::2] == [
        'CREATE DATABASE "Db Feature" CLONE "DB"',
        (
            """CREATE DATABASE "DB_FEATURE" CLONE "DB" AT (STATEMENT => 'it\\'s')"""
            " IGNORE TABLES WITH INSUFFICIENT DATA RETENTION"
        ),
    ]


@pytest.mark.parametrize(
    "how",
    [
        Cloning(at=Past(version=3)),
        Cloning(is_deep=True),
        Cloning(is_snapshot=True),
        Cloning(location="s3://bucket/"),
        Cloning(properties={"a": "b"}),
    ],
    ids=["version", "deep", "snapshot", "location", "properties"],
)
def test_what_snowflake_has_not_is_refused_before_it_is_asked(account, session, how):
    for call in (
        lambda: session.clone(at("t"), at("u"), how),
        lambda: session.clone_schema("a", "b", how),
        lambda: session.clone_database("a", "b", how),
        lambda: session.clone(at("t"), at("u"), Cloning(skips_unretained=True)),
        lambda: session.clone_schema("a", "b", Cloning(keeps_grants=True)),
    ):
        assert failure(call).kind == "NotSupported"
    assert account.said() == []


def test_tables_and_schemas_are_swapped(account, session):
    session.swap(at("orders", "a"), at("orders__new", "b"))
    session.swap_schemas("marts", "Marts New")
    assert account.said() == [
        'ALTER TABLE "DB"."A"."ORDERS" SWAP WITH "DB"."B"."ORDERS__NEW"',
        'ALTER SCHEMA "DB"."MARTS" SWAP WITH "DB"."Marts New"',
    ]


def test_a_renamed_table_stays_in_its_schema(account, session):
    session.rename(at("t", "a"), "Mixed")
    session.rename(Relation("a", "t", "other"), "u")
    assert account.said() == [
        'ALTER TABLE "DB"."A"."T" RENAME TO "DB"."A"."Mixed"',
        'ALTER TABLE "OTHER"."A"."T" RENAME TO "OTHER"."A"."U"',
    ]


# --- views


def test_a_pointer_names_its_target_in_full_and_keeps_its_grants(account, session):
    account.answer("SELECT table_schema, table_name, .VIEW.", [("MARTS", "GONE", "VIEW", "")])
    session.point(
        {
            at("p", "marts"): at("t", "data"),
            at("q", "marts"): Relation("s", "T x", "other"),
            at("gone", "marts"): None,
            at("never", "marts"): None,
        }
    )
    assert account.said()[1:] == [
        'CREATE OR REPLACE VIEW "DB"."MARTS"."P" COPY GRANTS AS SELECT * FROM "DB"."DATA"."T"',
        'CREATE OR REPLACE VIEW "DB"."MARTS"."Q" COPY GRANTS AS SELECT * FROM "OTHER"."S"."T x"',
        'DROP VIEW IF EXISTS "DB"."MARTS"."GONE"',
    ]


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (
            'CREATE OR REPLACE VIEW "DB"."MARTS"."P" COPY GRANTS AS SELECT * FROM "DB"."DATA"."T"',
            Relation("data", "t"),
        ),
        # as a clone of a schema or a renamed view tells it: with the name that it had
        ('create or replace view "DB"."ELSEWHERE"."Q" as SELECT * FROM "DB"."Data"."T";', Relation("Data", "t")),
        ('SELECT * FROM "DB"."DATA"."a""b; --"', Relation("data", 'a"b; --')),
        ("CREATE VIEW marts.p AS\nselect *\nfrom data.t", Relation("data", "t")),
        ('CREATE VIEW P AS SELECT * FROM "OTHER"."DATA"."T"', Relation("data", "t", "OTHER")),
        ('CREATE VIEW P AS SELECT * FROM "T"', None),
        ('CREATE VIEW P (A, B) AS SELECT * FROM "DB"."DATA"."T"', None),
        ('CREATE SECURE VIEW P AS SELECT * FROM "DB"."DATA"."T"', None),
        ('CREATE VIEW P AS SELECT * FROM "DB"."DATA"."T" WHERE 1 = 1', None),
        ('CREATE VIEW P AS SELECT * FROM "DB"."DATA"."T" AT (OFFSET => -60)', None),
        ('CREATE VIEW P AS SELECT * EXCLUDE ID FROM "DB"."DATA"."T"', None),
        ("", None),
        (None, None),
    ],
)
def test_a_pointer_is_told_by_its_text(account, session, text, target):
    account.answer("SELECT table_schema, table_name, view_definition", [("MARTS", "P", text)])
    expected = target if target is None or target.catalog is None else Relation(target.schema, target.name, "other")
    assert session.targets(["marts"]) == {at("p", "marts"): expected}
    assert account.said() == [
        (
            'SELECT table_schema, table_name, view_definition FROM "DB".information_schema.views'
            " WHERE table_schema IN ('MARTS')"
        )
    ]


def test_a_materialized_view_is_made_found_and_dropped(account, session):
    account.answer("SELECT table_schema, table_name, .VIEW.", [("A", "M", "MATERIALIZED VIEW", "")])
    session.create_materialized_view(at("m", "a"), "SELECT 1 AS id")
    session.drop([at("m", "a"), at("n", "a")])
    assert [s for s in account.said() if not s.startswith("SELECT table_schema")] == [
        'CREATE MATERIALIZED VIEW "DB"."A"."M" AS SELECT 1 AS id',
        'DROP MATERIALIZED VIEW IF EXISTS "DB"."A"."M"',
    ]


# --- schemas


def test_a_schema_with_anything_in_it_is_left(account, session):
    schemas = [("A",), ("B",), ("INFORMATION_SCHEMA",)]
    account.answer("SELECT schema_name", schemas)
    account.answer('SHOW TASKS IN SCHEMA "DB"."A"', [("t", "A")], columns=[column("name"), column("schema_name")])
    account.answer("SHOW PROCEDURES", [("built_in", "")], columns=[column("name"), column("schema_name")])
    session.drop_schemas(["a", "b", "never_was"])
    assert account.said() == [
        'SELECT schema_name FROM "DB".information_schema.schemata',
        *(f'SHOW {kind} IN SCHEMA "DB"."A"' for kind in CONTENTS[:-1]),
        *(f'SHOW {kind} IN SCHEMA "DB"."B"' for kind in CONTENTS),
        'DROP SCHEMA IF EXISTS "DB"."B"',
    ]


def test_names_of_one_part_are_found_where_they_were_before_a_schema_was_made(account, session):
    session.create_schemas(["a"])
    assert account.said() == [
        'SELECT schema_name FROM "DB".information_schema.schemata',
        'CREATE SCHEMA IF NOT EXISTS "DB"."A"',
        'USE SCHEMA "PUBLIC"',
    ]


# --- names


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("orders", "ORDERS"),
        ("select", "SELECT"),
        ("Mixed Case", "Mixed Case"),
        ("ünïcode", "ünïcode"),
        ("w" * 63, "W" * 63),
        ("x" * 128, "X" * 128),
        ("y" * 255, "Y" * 255),
        ("1st", "1st"),
        ("a$b", "a$b"),
        ('quo"te', 'quo""te'),
    ],
    ids=lambda value: value[:12],
)
def test_a_plain_name_is_one_in_capitals_and_comes_back_as_it_was(account, session, name, stored):
    account.answer("SELECT count", [(1,)])
    session.create_table(at(name, name), "SELECT 1")
    assert account.said()[0] == f'CREATE TABLE "DB"."{stored}"."{stored}" AS SELECT 1'
    kept = stored.replace('""', '"')
    account.answer(
        "SELECT table_schema, table_name, view_definition", [(kept, kept, f'SELECT * FROM "DB"."A"."{stored}"')]
    )
    assert session.targets([name]) == {at(name, name): at(name, "a")}
    account.answer("SELECT 1", [(1,)], columns=[column(kept)])
    assert session.query("SELECT 1").columns == (name,)


def test_a_name_that_is_too_long_is_refused(account, session):
    long = "x" * 256
    for call in (
        lambda: session.create_table(at(long, "a"), "SELECT 1"),
        lambda: session.create_table(at("t", long), "SELECT 1"),
        lambda: session.rename(at("t"), long),
        lambda: session.point({at(long): at("t")}),
        lambda: session.clone_schema("a", long),
        lambda: session.clone_database("a", long),
    ):
        error = failure(call)
        assert error.kind == "NotSupported"
        assert "256 characters" in error.message
    assert account.said() == []
