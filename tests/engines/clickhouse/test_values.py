"""What is ClickHouse's own: types, what a session that reads may not do, errors."""

import contextlib
import datetime
import ipaddress
import time
import uuid
from decimal import Decimal

import pytest
from tests.engines.clickhouse.houses import NEEDED, embedded
from tests.engines.clickhouse.test_suite import SLOW

from anabranch.engines.clickhouse.arrow import nullable
from anabranch.engines.clickhouse.errors import told
from anabranch.engines.clickhouse.settings import MEANING, SESSION
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable
from anabranch.testing.engine_helpers import at, rows

pytestmark = NEEDED


# --- types and values


def test_values_as_python_has_them(session):
    found = session.query(
        "SELECT toDateTime64('2020-02-29 12:00:00.5', 6), toDateTime64('2020-02-29 12:00:00', 6, 'Asia/Tokyo'),"
        " toDate32('1900-01-01'), CAST('1.50' AS Decimal(9, 2)), toUUID('5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5'),"
        " toIPv4('1.2.3.4'), true, NULL, [1, NULL], map('a', 1), CAST(-1 AS Int256), toDateTime('2020-02-29 12:00:00'),"
        " toDateTime64('2200-02-28 12:00:00', 6), 'ü', now64(6) > '2020-01-01'"
    ).rows[0]
    utc = datetime.UTC
    assert found == (
        datetime.datetime.fromisoformat("2020-02-29 12:00:00.5"),
        datetime.datetime(2020, 2, 29, 3, tzinfo=utc),
        datetime.date(1900, 1, 1),
        Decimal("1.50"),
        uuid.UUID("5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5"),
        ipaddress.IPv4Address("1.2.3.4"),
        True,
        None,
        [1, None],
        {"a": 1},
        -1,
        datetime.datetime.fromisoformat("2020-02-29 12:00"),
        datetime.datetime.fromisoformat("2200-02-28 12:00"),
        "ü",
        True,
    )


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("INTEGER", "Nullable(INTEGER)"),
        ("Int32 NOT NULL", "Int32"),
        ("String null", "Nullable(String)"),
        ("Nullable(String)", "Nullable(String)"),
        ("Array(Int32)", "Array(Int32)"),
        ("map(String, Int32)", "map(String, Int32)"),
        ("LowCardinality(String)", "LowCardinality(Nullable(String))"),
        ("LowCardinality(Nullable(String))", "LowCardinality(Nullable(String))"),
        ("DateTime64(6, 'UTC')", "Nullable(DateTime64(6, 'UTC'))"),
        ("JSON", "JSON"),
    ],
)
def test_a_declared_type_takes_null(kind, made):
    assert nullable(kind) == made


def test_nested_types_go_and_come_back_as_arrow(session):
    import pyarrow

    kinds = {
        "a": "Array(Nullable(Int32))",
        "b": "Array(Array(String))",
        "c": "Tuple(a Int32, b String)",
        "d": "Map(String, Int32)",
        "e": "LowCardinality(Nullable(String))",
        "f": "JSON",
        "g": "Int32",
    }
    session.execute(f"CREATE TABLE suite.t ({', '.join(f'{c} {k}' for c, k in kinds.items())}) ORDER BY tuple()")
    session.execute(
        """INSERT INTO suite.t VALUES ([1, NULL], [['a'], []], (1, 'x'), {'k': 1}, NULL, '{"a": [1]}', 7)"""
    )
    stream = session.read_arrow("SELECT * FROM suite.t")
    assert session.load_arrow(at("again"), [pyarrow.table(stream)], {**kinds, "g": "Int32 NOT NULL"}) == 1
    assert session.columns(at("again")) == session.columns(at("t"))
    assert session.content_hash(at("again"), list(kinds)) == session.content_hash(at("t"), list(kinds))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "one", None], "Int32"),
        (["2020-01-01", "no day", None], "Date32"),
        ([1, 300], "Int8"),
        ([1, -1], "UInt8"),
        ([1.5, None], "Int64"),
        ([None], "Int32 NOT NULL"),
        (["x"], "Enum8('y' = 1)"),
        ([datetime.date(1900, 1, 1)], "Date"),
        ([datetime.datetime.fromisoformat("2200-01-01")], "DateTime"),
        (["abcd"], "FixedString(3)"),
        (["12.5", "x"], "Decimal(9, 2)"),
        ([[1], [300]], "Array(Int8)"),
    ],
)
def test_what_a_type_cannot_hold_is_refused_and_not_changed(session, values, kind):
    import pyarrow

    with pytest.raises(StatementFailed):
        session.load_arrow(at("t"), [pyarrow.table({"x": values})], {"x": kind})
    assert session.describe(at("t")) is None


def test_a_null_keeps_its_place_among_texts_that_are_cast(session):
    import pyarrow

    part = pyarrow.table({"x": ["1", None, "3"], "d": ["2020-01-01", None, "1900-02-03"], "n": pyarrow.nulls(3)})
    kinds = {"x": "Int32", "d": "Date32", "n": "Float64"}
    assert session.load_arrow(at("t"), [part], kinds) == 3
    assert rows(session, at("t")) == sorted(
        [(1, datetime.date(2020, 1, 1), None), (None, None, None), (3, datetime.date(1900, 2, 3), None)], key=repr
    )


def test_null_where_it_cannot_be_is_an_error(session):
    session.execute("CREATE TABLE suite.t (id Int32, day Date) ORDER BY tuple()")
    for values in ("SELECT NULL, today()", "VALUES (NULL, today())", "SELECT CAST(NULL AS Nullable(Int32)), today()"):
        with pytest.raises(StatementFailed):
            session.execute(f"INSERT INTO suite.t {values}")
    assert session.count(at("t")) == 0


def test_columns_of_a_query_stay_as_nullable_as_they_are(session):
    session.create_table(at("t"), "SELECT CAST(1 AS Int32) AS a, CAST(NULL AS Nullable(String)) AS b, [1] AS c")
    assert session.columns(at("t")) == (("a", "Int32"), ("b", "Nullable(String)"), ("c", "Array(UInt8)"))


@pytest.mark.parametrize(
    "query",
    [
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT 1 AS a UNION ALL SELECT 1 AS a EXCEPT SELECT 2 AS a",
        "(SELECT 1 AS a)",
        "SELECT 1 AS a -- the end",
        "SELECT 1 AS a ;\n",
        "/* first */ SELECT a FROM (VALUES (1)) AS v(a) ORDER BY a LIMIT 1 SETTINGS max_threads = 1",
        "SELECT * FROM system.one LEFT JOIN (SELECT 5 AS a) AS r ON dummy = a",
    ],
)
def test_queries_of_all_forms_make_tables_and_views(session, query):
    made = session.create_table(at("t"), query)
    assert made >= 1
    session.create_view(at("v"), query)
    assert rows(session, at("v")) == rows(session, at("t"))
    assert session.columns(at("v")) == session.columns(at("t"))


def test_a_table_without_columns_of_null_only(session):
    """ClickHouse keeps no column of which nothing but NULL is known; the message says so."""
    with pytest.raises(StatementFailed, match=r"Nullable\(Nothing\)"):
        session.create_table(at("t"), "SELECT 1 AS a, NULL AS b")
    assert session.describe(at("t")) is None


def test_a_with_that_is_materialized_is_computed_once(session):
    told = session.grammar.materialized
    query = f"WITH x {told} (SELECT generateUUIDv4() AS a) SELECT (SELECT a FROM x) = (SELECT a FROM x) FROM x"
    assert session.query(query).rows[0][0] in (True, 1)


# --- reading only


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 INTO OUTFILE '{}'",
        "SELECT 1 /* x */ INTO /* y */ outfile '{}'",
        "INSERT INTO FUNCTION file('{}', 'CSV') SELECT 1",
        "insert into table function file('{}', 'CSV') select 1",
        "SELECT 1; SELECT 1 INTO OUTFILE '{}'",
        "EXPLAIN SELECT 1; INSERT INTO FUNCTION file('{}', 'CSV') SELECT 1",
        "-- SELECT\nINSERT INTO FUNCTION file('{}', 'CSV') SELECT 1",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1 = 1",
        "CREATE TEMPORARY TABLE t (id UInt8)",
        "ATTACH TABLE suite.t",
        "WITH 1 AS x INSERT INTO FUNCTION file('{}', 'CSV') SELECT x",
    ],
)
def test_a_session_that_reads_writes_nothing_anywhere(engine, tmp_path, statement):
    with engine.session() as session:
        session.create_schemas(["suite"])
    file = tmp_path / "out.csv"
    with engine.session(read_only=True) as session:
        for call in (session.execute, session.query, session.read_arrow):
            with pytest.raises(StatementFailed):
                call(statement.format(file))
        with contextlib.suppress(StatementFailed):
            session.describe_query(statement.format(file))
    assert not file.exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 'INTO OUTFILE; INSERT INTO' AS a",
        "(SELECT 'it''s; x' AS a)",
        "/* INSERT INTO */ SELECT 1 AS a -- INTO OUTFILE;",
        "WITH x AS (SELECT 1 AS `INSERT INTO`) SELECT * FROM x",
        'SELECT 1 AS ";"',
        "SELECT $$; INSERT INTO$$ AS a",
        "SELECT 'a\\';' AS a;  ",
        "SHOW DATABASES",
        "DESCRIBE (SELECT 1)",
        "EXPLAIN SELECT 1",
        "EXISTS suite.t",
    ],
)
def test_a_session_that_reads_reads_everything(engine, query):
    with engine.session():
        pass
    with engine.session(read_only=True) as session:
        assert len(session.query(query).rows) >= 1


# --- errors


DENIED = "u: Not enough privileges. To execute this query, it's necessary to have the grant SELECT(id) ON s.t."
OFFICIAL = "(version 26.9.2.1 (official build))"


@pytest.mark.parametrize(
    ("code", "text", "kind", "type_", "hint"),
    [
        (497, DENIED, "ACCESS_DENIED", StatementFailed, "GRANT"),
        (201, "Quota for user `u` for 3600s has been exceeded: 4/3.", "QUOTA_EXCEEDED", StatementFailed, "quota"),
        (241, "Query memory limit exceeded.", "MEMORY_LIMIT_EXCEEDED", StatementFailed, "max_memory_usage"),
        (202, "Too many simultaneous queries.", "TOO_MANY_SIMULTANEOUS_QUERIES", WarehouseBusy, "wait"),
        (516, "u: password is incorrect.", "AUTHENTICATION_FAILED", WarehouseUnavailable, "password"),
        (243, "Cannot reserve 1.00 MiB, not enough space.", "NOT_ENOUGH_SPACE", WarehouseUnavailable, "make room"),
        (164, "u: Cannot execute query in readonly mode.", "READONLY", StatementFailed, "profile"),
        (210, "Connection reset by peer (10.0.0.1:9000)", "NETWORK_ERROR", WarehouseUnavailable, "runs"),
    ],
)
def test_an_error_has_its_kind_and_a_next_step(code, text, kind, type_, hint):
    for end in ("", f" {OFFICIAL}"):
        error = told(f"Code: {code}. DB::Exception: {text} ({kind}){end}", "place")
        assert type(error) is type_
        assert hint in str(error.hint)
        assert "version" not in error.message
        assert kind not in error.message
        if isinstance(error, StatementFailed):
            assert error.kind == kind
            assert error.message == text


def test_a_query_that_asks_for_too_much_memory_is_told(folder):
    engine = embedded(folder, settings={"max_memory_usage": "30000000"})
    with engine.session() as session:
        with pytest.raises(StatementFailed) as caught:
            session.query("SELECT groupArray(toString(number)) FROM numbers(10000000)")
        assert caught.value.kind == "MEMORY_LIMIT_EXCEEDED"
        assert "warehouse.settings" in str(caught.value.hint)
    engine.close()


def test_the_settings_are_clickhouses_own(session):
    """Each is one that it knows, and has another value by itself, or had in a version that is served."""
    names = ", ".join(f"'{n}'" for n in SESSION)
    found = dict(session.query(f"SELECT name, value FROM system.settings WHERE name IN ({names})").rows)
    assert set(found) == set(SESSION)
    assert {n: found[n] for n in MEANING} == dict(MEANING)


def test_a_stop_leaves_nothing_behind(engine, session):
    import threading

    outcome = []

    def work():
        with engine.session() as other:
            try:
                other.create_table(at("slow"), SLOW)
            except StatementFailed as error:
                outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.5)
    engine.interrupt()
    thread.join(20)
    assert outcome[0].kind == "QUERY_WAS_CANCELLED"
    assert session.query("SELECT count() FROM system.tables WHERE database = 'suite'").rows == [(0,)]
