"""What Snowflake is asked, word by word, where no emulator can be believed: nothing here has met Snowflake.

The texts are held against Snowflake's documentation of CREATE … CLONE, ALTER TABLE and SCHEMA, CREATE VIEW, GRANT, COPY
INTO and INFORMATION_SCHEMA.
"""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.snowflake import Account, column, refused

from anabranch.engines import snowflake_rows as arriving
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Cloning, Held, Past
from anabranch.ports.engine import Found, Grant, Relation
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
    assert account.said() == [text]


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
    assert account.said() == [text]


def test_a_database_is_cloned(account, session):
    session.clone_database("db", "Db Feature")
    session.clone_database("db", "db_feature", Cloning(at=Past(statement="it's"), skips_unretained=True))
    assert account.said() == [
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


# --- queries


def test_the_first_rows_are_asked_for_by_a_limit(account, session):
    account.answer("SELECT", [(1,), (2,)], columns=[column("ID")])
    assert session.query("SELECT id FROM t -- all of it", 1).rows == [(1,)]
    assert account.said() == ["SELECT id FROM t -- all of it\nLIMIT 1"]
    account.answer("SELECT", refused(1003, "syntax error"), [(1,), (2,), (3,)])
    assert session.query("SELECT id FROM t LIMIT 3;", 2).rows == [(1,), (2,)]
    assert account.said() == ["SELECT id FROM t LIMIT 3\nLIMIT 2", "SELECT id FROM t LIMIT 3;"]
    session.query("SHOW TABLES", 5)
    session.query("INSERT INTO t SELECT 1", 5)
    assert account.said() == ["SHOW TABLES", "INSERT INTO t SELECT 1"], "only a query gets one"


def test_a_session_that_reads_has_a_query_compiled_before_it_runs(account):
    with account.engine().session(read_only=True) as session:
        session.query("WITH a AS (SELECT 1) SELECT * FROM a;")
        assert account.said() == [
            "-- describe\nSELECT * FROM (\nWITH a AS (SELECT 1) SELECT * FROM a\n)",
            "WITH a AS (SELECT 1) SELECT * FROM a;",
        ]
        session.query("SHOW TABLES")
        session.query("SELECT '->> INSERT', \"->>\" -- ->>")
        account.said()
        for statement in (
            "INSERT INTO t VALUES (1)",
            "/* SELECT */ DELETE FROM t",
            "SELECT 1 ->> INSERT INTO t SELECT * FROM $1",
            "SHOW TABLES ->> CREATE TABLE t AS SELECT * FROM $1",
            "CALL p()",
            "EXECUTE IMMEDIATE 'DROP TABLE t'",
            "BEGIN; END",
            "",
        ):
            assert failure(partial(session.query, statement)).kind == "NotSupported"
            assert failure(partial(session.execute, statement)).kind == "NotSupported"
            assert failure(partial(session.read_arrow, statement)).kind == "NotSupported"
        for write in (
            lambda: session.point({at("p"): at("t")}),
            lambda: session.clone(at("t"), at("u")),
            lambda: session.swap_schemas("a", "b"),
            lambda: session.load_arrow(at("t"), [], {"id": "INTEGER"}),
            lambda: session.merge(at("t"), at("u"), ["id"], ["id"]),
            lambda: session.rename(at("t"), "u"),
        ):
            assert failure(write).kind == "NotSupported"
        assert account.said() == []


def test_what_goes_into_a_hash_depends_on_the_type(account, session):
    account.answer(
        "-- describe",
        [],
        columns=[
            column("N", "FIXED", precision=10, scale=2),
            column("F", "REAL"),
            column("T", "TEXT", 5),
            column("Z", "TIMESTAMP_TZ", scale=9),
            column("V", "VARIANT"),
            column("G", "GEOGRAPHY"),
            column("B", "BINARY", 8),
        ],
    )
    account.answer("SELECT COUNT", [(2, 10, 20)])
    told = session.content_hash(at("t", "a"), list("nftzvgb"))
    assert len(told) == 64
    values = (
        """"N", "F", IFF("F" = 0, ATAN2("F", -1), NULL), TO_BINARY("T", 'UTF-8'), "Z", TO_CHAR("Z", 'TZH:TZM'),"""
        """ "V", TO_JSON("V"), ST_ASEWKB("G"), "B\""""
    )
    assert account.said() == [
        '-- describe\nSELECT "N", "F", "T", "Z", "V", "G", "B" FROM "DB"."A"."T"',
        (
            f"SELECT COUNT(*), SUM(CAST(HASH({values}) AS NUMBER(38, 0))),"
            f' SUM(CAST(HASH(\'anabranch\', {values}) AS NUMBER(38, 0))) FROM "DB"."A"."T"'
        ),
    ]
    account.answer("-- describe", refused(904, "invalid identifier"))
    failure(lambda: session.content_hash(at("t", "a"), ["nothing"]))


def test_a_relation_is_missing_or_leads_nowhere(account, session):
    for number in (2003, 2043, 2037, 2057):
        account.answer("-- describe", refused(number))
        assert session.columns(at("t")) is None
    account.answer("-- describe", refused(1003))
    failure(lambda: session.columns(at("t")))


def test_rows_are_merged_by_one_statement(account, session):
    session.merge(at("t", "a"), at("n", "b"), ["id", "Part No"], ["id", "Part No", "name"])
    assert account.said() == [
        (
            'MERGE INTO "DB"."A"."T" AS b USING "DB"."B"."N" AS n ON b."ID" IS NOT DISTINCT FROM n."ID"'
            ' AND b."Part No" IS NOT DISTINCT FROM n."Part No" WHEN MATCHED THEN UPDATE SET "NAME" = n."NAME"'
            ' WHEN NOT MATCHED THEN INSERT ("ID", "Part No", "NAME") VALUES (n."ID", n."Part No", n."NAME")'
        )
    ]


# --- rows as Arrow

COLUMNS = {"id": "INTEGER", "Raw": "BINARY", "doc": "VARIANT", "tags": "ARRAY", "at": "TIMESTAMP_TZ"}
READ = (
    """CAST({0} AS INTEGER) AS "ID", CAST(TO_BINARY({1}, 'HEX') AS BINARY) AS "Raw","""
    """ CAST(PARSE_JSON({2}) AS VARIANT) AS "DOC", CAST(PARSE_JSON({3}) AS ARRAY) AS "TAGS","""
    """ CAST({4} AS TIMESTAMP_TZ) AS "AT\""""
)


def table(number: int = 2) -> pa.Table:
    return pa.table(
        {
            "ID": pa.array([1, None] * (number // 2), pa.int32()),
            "raw": pa.array([b"\x00\xff", None] * (number // 2)),
            "doc": pa.array([{"a": "it's \\"}, None] * (number // 2)),
            "tags": pa.array([[1, 2], None] * (number // 2)),
            "at": pa.array([THEN, None] * (number // 2), pa.timestamp("us", "Europe/Berlin")),
        }
    )


def test_few_rows_go_within_the_statement_that_makes_the_table(account, session):
    assert session.load_arrow(at("t", "a"), [table()], COLUMNS) == 2
    row = """'1', '00ff', '{"a": "it\\'s \\\\\\\\"}', '[1, 2]', '2026-02-03 02:05:06.789012+00:00'"""
    assert account.said()[1:] == [
        (
            f'CREATE TABLE "DB"."A"."T" AS SELECT {READ.format(*(f"column{n}" for n in range(1, 6)))}'
            f" FROM VALUES ({row}), (NULL, NULL, NULL, NULL, NULL)"
        )
    ]


def test_many_rows_go_through_files_and_a_table_that_ends_with_the_session(account, session):
    account.answer("SELECT COUNT", [(10000,)])
    assert session.load_arrow(at("t", "a"), [table(10000)], COLUMNS) == 10000
    spare, places = '"ANABRANCH_LOAD_T"', [f'"C{n}"' for n in range(5)]
    assert account.said()[1:] == [
        'USE SCHEMA "DB"."A"',
        f"CREATE OR REPLACE TEMPORARY STAGE {spare}",
        f"PUT 'file:///part_0.parquet' @{spare} AUTO_COMPRESS = FALSE OVERWRITE = TRUE",
        f"CREATE OR REPLACE TEMPORARY TABLE {spare} ({', '.join(f'{p} VARCHAR' for p in places)})",
        (
            f"COPY INTO {spare} FROM (SELECT {', '.join(f'$1:{p}::VARCHAR' for p in places)} FROM @{spare})"
            " FILE_FORMAT = (TYPE = PARQUET NULL_IF = ())"
        ),
        f"SELECT COUNT(*) FROM {spare}",
        f'CREATE TABLE "DB"."A"."T" AS SELECT {READ.format(*places)} FROM {spare}',
        f"DROP TABLE {spare}",
        'USE SCHEMA "PUBLIC"',
    ]
    ((_, file),) = account.uploads
    uploaded = pq.read_table(io.BytesIO(file))
    assert uploaded.schema.names == ["C0", "C1", "C2", "C3", "C4"]
    assert {str(kind) for kind in uploaded.schema.types} == {"string"}
    assert uploaded.slice(0, 2).to_pylist() == [
        {
            "C0": "1",
            "C1": "00ff",
            "C2": '{"a": "it\'s \\\\"}',
            "C3": "[1, 2]",
            "C4": "2026-02-03 02:05:06.789012+00:00",
        },
        dict.fromkeys(uploaded.schema.names),
    ]


def test_rows_that_do_not_arrive_make_no_table(account, session):
    account.answer("SELECT COUNT", [(9999,)])
    assert "9999 arrived" in failure(lambda: session.load_arrow(at("t", "a"), [table(10000)], COLUMNS)).message
    said = account.said()
    assert not [s for s in said if s.startswith("CREATE TABLE")]
    assert said[-1] == 'USE SCHEMA "PUBLIC"'


def test_no_rows_make_an_empty_table(account, session):
    assert session.load_arrow(at("t", "a"), [], {"id": "INTEGER", "Two Words": "VARCHAR(5)"}) == 0
    assert account.said()[1:] == ['CREATE TABLE "DB"."A"."T" ("ID" INTEGER, "Two Words" VARCHAR(5))']


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([0.1, -0.0, float("nan"), float("inf")]), ["0.1", "-0", "nan", "inf"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array(["1.50"]).cast(pa.decimal128(9, 2)), ["1.50"]),
        (pa.array([datetime(1, 1, 1)], pa.timestamp("us")), ["0001-01-01 00:00:00.000000"]),  # noqa: DTZ001
        (pa.array([-719162], pa.int32()).cast(pa.date32()), ["0001-01-01"]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int32())), ['{"k": 1}']),
    ],
    ids=["float", "boolean", "decimal", "timestamp", "date", "dictionary", "map"],
)
def test_values_go_as_texts(values, said):
    assert arriving.values(arriving.texts(pa.table({"X": values}), ["x"])) == [(text,) for text in said]


def test_a_span_of_time_is_refused():
    with pytest.raises(StatementFailed, match="which Snowflake has nothing for"):
        arriving.texts(pa.table({"x": pa.array([None], pa.month_day_nano_interval())}), ["x"])


def test_an_answer_that_is_not_arrow_is_read_by_rows(account, session):
    columns = [column("ID", "FIXED", precision=38), column("N", "TEXT", 3)]
    account.answer("SELECT", [(1, "a"), (2, None), (3, "c")], columns=columns)
    found = session.read_arrow("SELECT * FROM t", 2)
    batches = list(found)
    assert [b.num_rows for b in batches] == [2, 1]
    assert pa.Table.from_batches(batches).to_pylist() == [
        {"id": 1, "n": "a"},
        {"id": 2, "n": None},
        {"id": 3, "n": "c"},
    ]


def test_batches_of_many_widths_are_one_stream(account, session):
    columns = [
        column("ID", "FIXED", precision=38),
        column("M", "FIXED", precision=9, scale=2),
        column("At", "TIMESTAMP_NTZ"),
    ]
    moment = datetime(2020, 2, 29, 12, 34, 56, 789012)  # noqa: DTZ001
    first = pa.table(
        {
            "ID": pa.array([1], pa.int8()),
            "M": pa.array([Decimal("1.50")], pa.decimal128(9, 2)),
            "At": pa.array([moment], pa.timestamp("ns")),
        }
    )
    ancient = moment.replace(year=4)
    second = pa.table(
        {
            "ID": pa.array([Decimal(2**62)], pa.decimal128(38, 0)),
            "M": pa.array([Decimal("2.25")], pa.decimal128(38, 2)),
            "At": pa.array([ancient], pa.timestamp("us")),
        }
    )
    account.answer("SELECT", [first, second], columns=columns)
    found = pa.table(session.read_arrow("SELECT * FROM t"))
    assert found.schema == pa.schema([("id", pa.int64()), ("m", pa.decimal128(9, 2)), ("At", pa.timestamp("us"))])
    assert found.to_pylist() == [
        {"id": 1, "m": Decimal("1.50"), "At": moment},
        {"id": 2**62, "m": Decimal("2.25"), "At": ancient},
    ]


@pytest.mark.parametrize(
    "answer",
    [[(2**70,)], [pa.table({"ID": pa.array([Decimal(2**70)], pa.decimal128(38, 0))})]],
    ids=["rows", "arrow"],
)
def test_a_number_beyond_64_bits_is_not_cut(account, session, answer):
    account.answer("SELECT", answer, columns=[column("ID", "FIXED", precision=38)])
    with pytest.raises(StatementFailed, match=r"(?i)column id can't be read") as caught:
        list(session.read_arrow("SELECT * FROM t"))
    assert "64 bits" in (caught.value.hint or "")
