"""What is ClickHouse's own: clones that share files, views in others' sessions, types, and what a session that reads may
not do."""

import contextlib
import datetime
import ipaddress
import time
import uuid
from decimal import Decimal

import chdb
import pyarrow
import pytest
from tests.engines.clickhouses import embedded, stored
from tests.engines.test_clickhouse import SLOW

from anabranch.engines.clickhouse_arrow import nullable
from anabranch.engines.clickhouse_errors import told
from anabranch.engines.clickhouse_settings import MEANING, SESSION
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable
from anabranch.ports.cloning import Cloning
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SMALL, at, rows

pytestmark = pytest.mark.clickhouse


@pytest.fixture
def engine(tmp_path):
    engine = embedded(tmp_path / "warehouse")
    yield engine
    engine.close()


@pytest.fixture
def session(engine):
    with engine.session() as session:
        session.create_schemas(["suite", "other"])
        yield session


# --- clones


def test_a_clone_of_ten_million_rows_takes_next_to_no_place(engine, session, tmp_path):
    def content(table):
        return session.query(f"SELECT count(), sum(cityHash64(id, name)) FROM {table}").rows[0]

    session.create_table(
        at("source"), "SELECT cityHash64(number) AS id, toString(number % 100) AS name FROM numbers(10000000)"
    )
    session.execute("OPTIMIZE TABLE suite.source FINAL")  # else ClickHouse is at it, and its files are counted
    before = stored(tmp_path)
    session.clone(at("source"), at("clone", "other"))
    assert stored(tmp_path) - before < 1_000_000
    held = session.held([at("source"), at("clone", "other")])
    assert held[at("clone", "other")].total == held[at("source")].total > 50_000_000
    own = held[at("clone", "other")].own
    assert own is not None
    assert own < 100_000
    source = content("suite.source")
    assert source[0] == 10_000_000
    assert content("other.clone") == source
    session.execute("INSERT INTO other.clone VALUES (1, 'mine')")
    session.execute("ALTER TABLE other.clone DELETE WHERE name = '7'")
    assert content("suite.source") == source, "a write to the clone"
    mine = content("other.clone")
    assert mine[0] == 9_900_001
    session.execute("INSERT INTO suite.source VALUES (1, 'theirs')")
    session.execute("ALTER TABLE suite.source DROP COLUMN name")
    assert content("other.clone") == mine, "a write to the source"
    session.drop([at("source")])
    assert content("other.clone") == mine, "the source is gone"


def test_a_clone_keeps_how_its_source_is_kept(session):
    session.execute(
        "CREATE TABLE suite.source (day Date, id UInt64, n UInt8 DEFAULT 5, INDEX i id TYPE minmax)"
        " ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(day) ORDER BY id COMMENT 'mine'"
    )
    session.execute("INSERT INTO suite.source SELECT toDate('2020-01-01') + number * 10, number, 1 FROM numbers(20)")
    session.clone(at("source"), at("clone"))
    made = [
        str(session.query(f"SHOW CREATE TABLE suite.{name}").rows[0][0]).replace(name, "")
        for name in ("source", "clone")
    ]
    assert made[0] == made[1]
    assert rows(session, at("clone")) == rows(session, at("source"))


def test_a_deep_clone_shares_nothing(session):
    session.create_table(at("source"), "SELECT number AS id FROM numbers(100000)")
    session.clone(at("source"), at("deep"), Cloning(is_deep=True))
    held = session.held([at("source"), at("deep")])
    for each in held.values():
        assert each.own is not None
        assert each.own > each.total / 2
    assert session.count(at("deep")) == 100000


def test_what_has_no_parts_is_not_cloned(session):
    session.execute("CREATE TABLE suite.log (id UInt8) ENGINE = Log")
    session.create_view(at("view"), SMALL)
    for name in ("log", "view", "nothing"):
        with pytest.raises(StatementFailed):
            session.clone(at(name), at("clone"))
        assert session.describe(at("clone")) is None


def test_a_clone_takes_the_place_of_a_view_of_another_shape(session):
    session.create_table(at("source"), SMALL)
    session.create_view(at("there"), "SELECT 7 AS number")
    session.clone(at("source"), at("there"), Cloning(replace=True))
    assert rows(session, at("there")) == [(1, "one"), (2, "two")]
    assert {f.relation.name for f in session.find(["suite"])} == {"source", "there"}


def test_tables_of_two_schemas_are_swapped(session):
    session.create_table(at("t"), SMALL)
    session.create_table(at("t", "other"), "SELECT 7 AS number")
    session.swap(at("t"), at("t", "other"))
    assert rows(session, at("t")) == [(7,)]


# --- versions


def test_a_merge_of_parts_is_no_other_version(session):
    session.create_table(at("t"), SMALL)
    seen = {session.version(at("t"))}
    for number in range(3, 8):
        session.execute(f"INSERT INTO suite.t VALUES ({number}, 'x')")
        seen.add(session.version(at("t")))
    assert len(seen) == 6
    last = session.version(at("t"))
    session.execute("OPTIMIZE TABLE suite.t FINAL")
    assert session.version(at("t")) == last
    for change in (
        "ALTER TABLE suite.t UPDATE name = 'y' WHERE id = 7",
        "DELETE FROM suite.t WHERE id = 7",
        "ALTER TABLE suite.t ADD COLUMN more UInt8 DEFAULT 1",
        "ALTER TABLE suite.t MODIFY COLUMN more UInt8 DEFAULT 2",
        "ALTER TABLE suite.t DROP COLUMN more",
        "ALTER TABLE suite.t DELETE WHERE id = 6",
        "TRUNCATE TABLE suite.t",
        "INSERT INTO suite.t VALUES (1, 'one')",
    ):
        session.execute(change)
        assert session.version(at("t")) not in {None, last}, change
        last = session.version(at("t"))
    session.rename(at("t"), "renamed")
    assert session.version(at("renamed")) == last
    session.create_table(at("t"), SMALL)
    assert session.version(at("t")) != last


def test_a_merge_that_may_drop_rows_is_another_version(session):
    session.execute("CREATE TABLE suite.t (id UInt8, n UInt8) ENGINE = SummingMergeTree ORDER BY id")
    for number in (1, 2):
        session.execute(f"INSERT INTO suite.t VALUES (1, {number})")
    before = session.version(at("t"))
    session.execute("OPTIMIZE TABLE suite.t FINAL")
    assert rows(session, at("t")) == [(1, 3)]
    assert session.version(at("t")) not in (None, before)


def test_what_has_no_parts_has_no_version(session):
    session.execute("CREATE TABLE suite.log (id UInt8) ENGINE = Log")
    session.create_view(at("view"), SMALL)
    assert session.version(at("log")) is None
    assert session.version(at("view")) is None


# --- views


def test_a_view_means_the_same_in_sessions_with_other_settings(engine, session, tmp_path):
    session.create_table(at("t"), "SELECT 1 AS a, 'x' AS b")
    queries = {
        "joined": (
            "SELECT l.a, r.c FROM suite.t AS l LEFT JOIN (SELECT 2 AS a, 5 AS c) AS r ON l.a = r.a",
            [(1, None)],
        ),
        "empty": ("SELECT sum(a) AS s, max(b) AS m FROM suite.t WHERE a > 7", [(None, None)]),
        "named": ("SELECT a + 1 AS a FROM suite.t WHERE a = 1", [(2,)]),
        "united": ("SELECT a FROM suite.t UNION SELECT a FROM suite.t", [(1,)]),
        "total": (
            "SELECT b, count() AS n FROM suite.t GROUP BY b WITH ROLLUP ORDER BY n, b NULLS LAST",
            [("x", 1), (None, 1)],
        ),
        "nested": ("WITH w AS (SELECT max(a) AS m FROM suite.t WHERE a > 7) SELECT m FROM w; ", [(None,)]),
    }
    for name, (query, _) in queries.items():
        session.create_view(at(name), query)
    session.point({at("pointer"): at("joined")})
    plain = chdb.connect(str((tmp_path / "warehouse").resolve()))
    for name, (_, expected) in {**queries, "pointer": queries["joined"]}.items():
        assert session.query(f"SELECT * FROM suite.{name}").rows == expected
        answer = plain.query(f"SELECT * FROM suite.{name}", "ArrowStream").bytes()
        found = [tuple(r.values()) for r in pyarrow.ipc.open_stream(answer).read_all().to_pylist()]
        assert found == expected, name
    plain.close()


def test_settings_of_a_project_go_into_its_views(tmp_path):
    engine = embedded(tmp_path / "warehouse", settings={"join_use_nulls": "0"})
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_view(
            at("v"), "SELECT l.a, r.c FROM (SELECT 1 AS a) AS l LEFT JOIN (SELECT 2 AS a, 5 AS c) AS r ON l.a = r.a"
        )
        assert rows(session, at("v")) == [(1, 0)]
    engine.close()


def test_a_table_is_never_replaced_by_a_view(session):
    """CREATE OR REPLACE VIEW does."""
    session.execute(
        "CREATE MATERIALIZED VIEW suite.m ENGINE = MergeTree ORDER BY tuple() AS SELECT 1 AS id FROM system.one"
    )
    session.create_table(at("t"), SMALL)
    for name in ("m", "t"):
        for change in (
            lambda name=name: session.create_view(at(name), SMALL),
            lambda name=name: session.point({at("before"): at("t"), at(name): at("t")}),
            lambda name=name: session.point({at("before"): at("t"), at(name): None}),
        ):
            with pytest.raises(StatementFailed, match="is a table"):
                change()
    assert {f.relation.name for f in session.find(["suite"])} == {"m", "t"}, "and nothing was done before"
    session.drop([at("m")])
    assert [f.relation.name for f in session.find(["suite"])] == ["t"]


def test_a_pointer_shows_the_columns_that_its_target_had(session):
    session.create_table(at("t"), SMALL)
    session.point({at("p"): at("t")})
    session.execute("ALTER TABLE suite.t ADD COLUMN more UInt8")
    assert rows(session, at("p")) == [(1, "one"), (2, "two")]
    session.point({at("p"): at("t")})
    assert rows(session, at("p")) == [(1, "one", 0), (2, "two", 0)]


def test_a_view_that_leads_nowhere_has_no_columns_to_ask_for(session):
    session.create_table(at("t", "other"), SMALL)
    session.point({at("p"): at("t", "other")})
    session.create_view(at("v"), "SELECT id FROM suite.p")
    session.drop([at("t", "other")])
    assert session.columns(at("p")) is None
    assert session.columns(at("v")) is None
    found = session.describe(at("p"))
    assert found is not None
    assert [n for n, _ in found.columns] == ["id", "name"]


# --- schemas and names


def test_a_schema_with_anything_in_it_stays(session):
    session.create_schemas(["with_dictionary", "with_materialized"])
    session.create_table(at("t"), SMALL)
    session.execute(
        "CREATE DICTIONARY with_dictionary.d (id UInt64, name String) PRIMARY KEY id"
        " SOURCE(CLICKHOUSE(DB 'suite' TABLE 't')) LAYOUT(FLAT()) LIFETIME(0)"
    )
    session.execute(
        "CREATE MATERIALIZED VIEW with_materialized.m ENGINE = MergeTree ORDER BY tuple() AS SELECT id FROM suite.t"
    )
    session.drop_schemas(["with_dictionary", "with_materialized", "suite", "other", "default", "system"])
    assert session.schemas() == ["default", "suite", "with_dictionary", "with_materialized"]
    session.drop([Relation("with_dictionary", "d"), Relation("with_materialized", "m")])
    session.drop_schemas(["with_dictionary", "with_materialized"])
    assert session.schemas() == ["default", "suite"]


def test_a_schema_in_which_a_table_is_made_just_then_stays(session, monkeypatch):
    kinds = session.kinds
    monkeypatch.setattr(
        session, "kinds", lambda schemas: {r: k for r, k in kinds(schemas).items() if r.schema != "suite"}
    )
    session.execute("CREATE TABLE suite.t AS SELECT 1 AS id")
    session.drop_schemas(["suite"])
    assert session.count(at("t")) == 1
    assert session.schemas() == ["default", "other", "suite"]


@pytest.mark.parametrize("name", ["x" * 127, "a-" * 20, "x" * 60 + "ü"])
def test_long_names(session, name):
    """A schema's name is part of a file's name too."""
    schema = "s" * 63
    session.create_schemas([schema])
    table, view = Relation(schema, name), Relation(schema, name[:-1] + "v")
    session.create_table(table, SMALL)
    session.point({view: table})
    session.clone(table, table, Cloning(replace=True))
    assert session.targets([schema]) == {view: table}
    session.drop([table, view])
    assert session.find([schema]) == []


def test_names_that_differ_by_case_are_different(session):
    session.create_table(at("t"), SMALL)
    session.create_table(at("T"), "SELECT 1 AS a, 2 AS A")
    assert rows(session, at("T")) == [(1, 2)]
    assert session.content_hash(at("T"), ["a"]) != session.content_hash(at("T"), ["A"])


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
    with pytest.raises(StatementFailed):
        session.load_arrow(at("t"), [pyarrow.table({"x": values})], {"x": kind})
    assert session.describe(at("t")) is None


def test_a_null_keeps_its_place_among_texts_that_are_cast(session):
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


def test_a_query_that_asks_for_too_much_memory_is_told(tmp_path):
    engine = embedded(tmp_path / "warehouse", settings={"max_memory_usage": "30000000"})
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
