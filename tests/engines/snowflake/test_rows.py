"""Queries, hashes and rows as Arrow in Snowflake: what is asked, word by word. Nothing here has met Snowflake."""

from __future__ import annotations

import io
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.support.snowflake import Account, column, refused

from anabranch.engines.snowflake import rows as arriving
from anabranch.errors import StatementFailed
from anabranch.testing.engine_helpers import at, failure

THEN = datetime(2026, 2, 3, 4, 5, 6, 789012, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def session(account):
    with account.engine().session() as session:
        yield session


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
