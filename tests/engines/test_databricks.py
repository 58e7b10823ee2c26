"""Databricks as an engine: every statement that is its own, as text; and the shared ones on open-source Delta."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar

import pyarrow as pa
import pytest
from databricks import sql
from databricks.sql import exc
from tests.engines.test_spark import SparkSuite

from anabranch.engines.databricks import DatabricksEngine, DatabricksSession
from anabranch.engines.databricks.sql import literals
from anabranch.engines.spark import SparkEngine
from anabranch.errors import ConfigError, StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Found, Grant, Relation
from anabranch.testing.arrow_suite import ArrowSuite
from anabranch.testing.engine_helpers import Matter, OpenEngine, Seen, at, failure
from anabranch.testing.file_suite import FileSuite
from anabranch.testing.hash_suite import HashSuite
from anabranch.testing.session_suite import SessionSuite

SECRET = "dapi0123456789abcdef"
HOST = "dbc-1234.cloud.databricks.com"
Answer = Any
"""A table, or what is raised."""


class FakeCursor:
    """Records statements; answers the first whose beginning is known."""

    def __init__(self, log: list[str], answers: Mapping[str, Answer]) -> None:
        self.log, self.answers = log, answers
        self.rows = pa.table({})
        self.cancelled = False

    def __enter__(self) -> FakeCursor:
        return self

    def __exit__(self, *error: object) -> None:
        self.log.append("-- closed") if self.cancelled else None

    def execute(self, statement: str, input_stream: Any = None) -> None:
        self.log.append(statement)
        found = next((a for begin, a in self.answers.items() if begin in statement), pa.table({}))
        if isinstance(found, Exception):
            raise found
        self.rows = found
        if input_stream is not None:
            self.log.append(f"-- with {len(input_stream.read())} bytes")

    @property
    def description(self) -> list[tuple[str]] | None:
        return [(n,) for n in self.rows.column_names] or None

    def fetchall_arrow(self) -> pa.Table:
        found, self.rows = self.rows, self.rows.slice(0, 0)
        return found

    def fetchmany_arrow(self, size: int) -> pa.Table:
        found, self.rows = self.rows.slice(0, size), self.rows.slice(size)
        return found

    def cancel(self) -> None:
        self.cancelled = True


class FakeConnection:
    def __init__(self) -> None:
        self.log: list[str] = []
        self.arguments: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {"current_catalog": pa.table({"c": ["main"]})}
        self.cursors: list[FakeCursor] = []
        self.is_closed = False

    def cursor(self) -> FakeCursor:
        self.cursors.append(FakeCursor(self.log, self.answers))
        return self.cursors[-1]

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def fake(monkeypatch) -> FakeConnection:
    connection = FakeConnection()

    def connect(**arguments: Any) -> FakeConnection:
        connection.arguments = arguments
        failing = connection.answers.get("connect")
        if isinstance(failing, Exception):
            raise failing
        return connection

    monkeypatch.setattr(sql, "connect", connect)
    return connection


@pytest.fixture
def session(fake) -> Iterator[DatabricksSession]:
    with opened().session() as found:
        yield found


def opened(**more: Any) -> DatabricksEngine:
    return DatabricksEngine(HOST, http_path="/sql/1.0/warehouses/abc", token=SECRET, **{"catalog": "main", **more})


def said(fake: FakeConnection, call: Callable[[], object]) -> list[str]:
    """The statements of one call."""
    fake.log.clear()
    call()
    return list(fake.log)


# --- clones


def test_clones(fake, session):
    source, clone = Relation("raw", "orders"), Relation("raw__feature", "orders")
    told = "`main`.`raw__feature`.`orders`"
    then = datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC)
    for how, expected in (
        (Cloning(), f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"),
        (Cloning(is_deep=True), f"CREATE TABLE {told} DEEP CLONE `main`.`raw`.`orders`"),
        (Cloning(replace=True), f"CREATE OR REPLACE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"),
        (Cloning(at=Past(version=7)), f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` VERSION AS OF 7"),
        (
            Cloning(at=Past(time=then)),
            f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` TIMESTAMP AS OF '2026-03-01 12:30:00.000005'",
        ),
        (
            Cloning(properties={"delta.logRetentionDuration": "7 days", "o'clock": "a\\b"}),
            (
                f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"
                " TBLPROPERTIES ('delta.logRetentionDuration' = '7 days', 'o\\'clock' = 'a\\\\b')"
            ),
        ),
        (
            Cloning(location="s3://lake/it's"),
            f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` LOCATION 's3://lake/it\\'s'",
        ),
        (
            Cloning(replace=True, is_deep=True, at=Past(version=1), properties={"a": "b"}, location="s3://x"),
            (
                f"CREATE OR REPLACE TABLE {told} DEEP CLONE `main`.`raw`.`orders` VERSION AS OF 1"
                " TBLPROPERTIES ('a' = 'b') LOCATION 's3://x'"
            ),
        ),
    ):
        assert said(fake, lambda how=how: session.clone(source, clone, how)) == [expected]  # type: ignore[misc]


def test_a_time_in_another_zone_is_told_in_utc(fake, session):
    then = datetime.fromisoformat("2026-03-01T12:30:00+02:00")
    (statement,) = said(fake, lambda: session.clone(at("t"), at("c"), Cloning(at=Past(time=then))))
    assert statement.endswith("TIMESTAMP AS OF '2026-03-01 10:30:00.000000'")


def test_a_time_after_the_last_version_is_that_version(fake, session):
    fake.answers["TIMESTAMP AS OF"] = exc.ServerOperationError("[DELTA_TIMESTAMP_GREATER_THAN_COMMIT] later than all")
    fake.answers["DESCRIBE HISTORY"] = pa.table({"version": [4], "timestamp": [datetime.fromisoformat("2026-03-01")]})
    past = Cloning(at=Past(time=datetime(2026, 3, 2, tzinfo=UTC)))
    assert said(fake, lambda: session.clone(at("t"), at("c"), past))[1:] == [
        "DESCRIBE HISTORY `main`.`suite`.`t` LIMIT 1",
        "CREATE TABLE `main`.`suite`.`c` SHALLOW CLONE `main`.`suite`.`t` VERSION AS OF 4",
    ]


def test_what_is_not_to_be_had_is_refused_before_anybody_is_asked(fake, session):
    for how in (
        Cloning(keeps_grants=True),
        Cloning(is_snapshot=True),
        Cloning(skips_unretained=True),
        Cloning(at=Past(statement="x")),
        Cloning(at=Past(version=1, before=True)),
    ):
        fake.log.clear()
        assert failure(lambda how=how: session.clone(at("t"), at("c"), how)).kind == "NotSupported"  # type: ignore[misc]
        assert fake.log == []
    for call in (
        lambda: session.clone_schema("a", "b"),
        lambda: session.clone_database("a", "b"),
        lambda: session.swap(at("a"), at("b")),
        lambda: session.swap_schemas("a", "b"),
        lambda: session.create_materialized_view(at("a"), "SELECT 1"),
    ):
        assert failure(call).kind == "NotSupported"
    assert fake.log == []


# --- tables and views


def test_tables_schemas_and_merges(fake, session):
    fake.answers["count(*)"] = pa.table({"n": [3]})
    assert said(fake, lambda: session.create_schemas(["sales__x", "odd`name"])) == [
        "CREATE SCHEMA IF NOT EXISTS `main`.`odd``name`",
        "CREATE SCHEMA IF NOT EXISTS `main`.`sales__x`",
    ]
    assert said(fake, lambda: session.create_table(at("t"), "SELECT 1 AS id")) == [
        "CREATE TABLE `main`.`suite`.`t` USING delta AS SELECT 1 AS id",
        "SELECT count(*) FROM `main`.`suite`.`t`",
    ]
    assert said(fake, lambda: session.rename(at("t"), "u")) == ["ALTER TABLE `main`.`suite`.`t` RENAME TO `suite`.`u`"]
    assert said(fake, lambda: session.merge(at("t"), at("rows"), ["id"], ["id", "name"])) == [
        (
            "MERGE INTO `main`.`suite`.`t` AS b USING `main`.`suite`.`rows` AS n ON b.`id` <=> n.`id`"
            " WHEN MATCHED THEN UPDATE SET `name` = n.`name`"
            " WHEN NOT MATCHED THEN INSERT (`id`, `name`) VALUES (n.`id`, n.`name`)"
        )
    ]


def test_pointers(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table(
        {"table_name": ["q", "t"], "table_type": ["VIEW", "MANAGED"]}
    )
    assert said(fake, lambda: session.point({at("p"): at("t", "data"), at("q"): None, at("gone"): None})) == [
        "SELECT table_name, table_type FROM `main`.`information_schema`.`tables` WHERE table_schema = 'suite'",
        (
            "CREATE OR REPLACE VIEW `main`.`suite`.`p` TBLPROPERTIES ('anabranch.pointer' = 'all columns')"
            " AS SELECT * FROM `main`.`data`.`t`"
        ),
        "DROP VIEW IF EXISTS `main`.`suite`.`q`",
    ]
    failure(lambda: session.point({at("t"): None}))


def test_targets_are_read_at_once(fake, session):
    texts = {
        "p": "SELECT * FROM `main`.`data`.`t`",
        "renamed": "SELECT * FROM `main`.`data`.`t`",
        "lost": "SELECT * FROM `main`.`data`.`nothing`",
        "by_hand": "SELECT id FROM `main`.`data`.`t`",
        "hidden": None,
    }
    fake.answers["information_schema`.`views"] = pa.table(
        {"table_name": list(texts), "view_definition": list(texts.values())}
    )
    fake.answers["`columns` WHERE table_schema = 'suite'"] = pa.table(
        {"t": ["p", "p", "renamed", "renamed", "lost"], "c": ["id", "name", "a", "b", "id"], "k": ["int"] * 5}
    )
    fake.answers["`columns` WHERE table_schema = 'data'"] = pa.table(
        {"t": ["t", "t"], "c": ["id", "name"], "k": ["int", "string"]}
    )
    fake.answers["SHOW TBLPROPERTIES `main`.`suite`.`lost`"] = pa.table(
        {"key": ["anabranch.pointer"], "value": ["all columns"]}
    )
    fake.answers["SHOW TBLPROPERTIES"] = pa.table(
        {"key": ["anabranch.pointer"], "value": ["Table has no such property"]}
    )
    found: dict[Relation, Relation | None] = {}
    statements = said(fake, lambda: found.update(session.targets(["suite"])))
    assert found == {
        at("p"): at("t", "data"),
        at("lost"): at("nothing", "data"),
        **dict.fromkeys(map(at, ("renamed", "by_hand", "hidden"))),
    }
    assert len(statements) == 5, "three in all, and one for each view that is in doubt"


def test_relations_are_found_at_once(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table({"n": ["t", "v"], "k": ["MANAGED", "VIEW"]})
    fake.answers["information_schema`.`views"] = pa.table({"n": ["v"], "d": ["SELECT 1 AS id"]})
    fake.answers["information_schema`.`columns"] = pa.table(
        {"t": ["t", "t", "v"], "c": ["id", "name", "id"], "k": ["bigint", "decimal(12,3)", "int"]}
    )
    expected = [
        Found(at("t"), False, (("id", "bigint"), ("name", "decimal(12,3)"))),
        Found(at("v"), True, (("id", "int"),), "SELECT 1 AS id"),
    ]
    assert session.find(["suite"]) == expected
    assert said(fake, lambda: session.describe(Relation("suite", "T'"))) == [
        f"SELECT {columns} FROM `main`.`information_schema`.`{table}` WHERE table_schema = 'suite'"
        f" AND table_name = 't\\''{order}"
        for table, columns, order in (
            ("tables", "table_name, table_type", ""),
            ("views", "table_name, view_definition", ""),
            ("columns", "table_name, column_name, full_data_type", " ORDER BY table_name, ordinal_position"),
        )
    ]


def test_what_the_metadata_says(fake, session):
    fake.answers["DESCRIBE HISTORY"] = pa.table({"timestamp": [datetime.fromisoformat("2026-03-01")], "version": [4]})
    fake.answers["DESCRIBE DETAIL"] = pa.table({"location": ["s3://x/t"], "sizeInBytes": [1000]})
    assert session.version(at("t")) == "4@2026-03-01T00:00:00"
    held = session.held([at("t")])
    assert held[at("t")].total == 1000
    assert held[at("t")].own is None
    fake.answers["DESCRIBE HISTORY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    assert session.version(at("t")) is None


# --- grants


def test_grants(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table({"n": ["t"], "k": ["MANAGED"]})
    fake.answers["SHOW GRANTS"] = pa.table(
        {
            "Principal": ["analysts", "owner", "analysts", "bot@x.org"],
            "ActionType": ["SELECT", "OWN", "USE SCHEMA", "MODIFY"],
            "ObjectType": ["TABLE", "TABLE", "SCHEMA", "TABLE"],
            "ObjectKey": ["main.suite.t", "main.suite.t", "main.suite", "main.suite.t"],
        }
    )
    assert session.grants([at("t"), at("nothing")]) == {
        at("t"): (Grant("MODIFY", "bot@x.org"), Grant("SELECT", "analysts"))
    }
    assert fake.log[-1] == "SHOW GRANTS ON TABLE `main`.`suite`.`t`"
    wanted = [Grant("SELECT", "analysts"), Grant("APPLY TAG", "o`brien@x.org")]
    assert said(fake, lambda: session.grant(at("t"), wanted)) == [
        "GRANT APPLY TAG ON TABLE `main`.`suite`.`t` TO `o``brien@x.org`",
        "GRANT SELECT ON TABLE `main`.`suite`.`t` TO `analysts`",
    ]
    for right in ("SELECT ON TABLE x TO y; --", "select", ""):
        failure(lambda right=right: session.grant(at("t"), [Grant(right, "x")]))  # type: ignore[misc]


# --- tags, rows, the connection


def test_tags_are_a_comment_that_nothing_ends(fake, session):
    session.tag({"plan": "0123", "asset": "*/ DROP TABLE x; /*+ hint */"})
    (statement,) = said(fake, lambda: session.query("SELECT 1"))
    assert statement == ('/* anabranch {"asset": "* / DROP TABLE x; / *+ hint * /", "plan": "0123"} */ SELECT 1')
    session.tag({})
    assert said(fake, lambda: session.query("SELECT 1")) == ["SELECT 1"]


def test_rows_are_written_into_statements_where_there_is_no_volume(fake, session):
    part = pa.table(
        {
            "id": [1, None],
            "text": ["it's \\", None],
            "d": pa.array([date(2020, 2, 29), None]),
            "at": pa.array([datetime.fromisoformat("2020-02-29T12:00:00.000005"), None]),
            "n": [Decimal("1.50"), None],
            "f": [0.1, float("inf")],
            "b": [b"\x00\xff", None],
            "yes": [True, None],
        }
    )
    assert literals(part) == (
        "(VALUES ('1', 'it\\'s \\\\', '2020-02-29', '2020-02-29 12:00:00.000005', '1.50', '0.1', X'00ff', 'true'),"
        " (NULL, NULL, NULL, NULL, NULL, 'inf', NULL, NULL))"
        " AS anabranch_batch (`id`, `text`, `d`, `at`, `n`, `f`, `b`, `yes`)"
    )
    with pytest.raises(StatementFailed) as caught:
        literals(pa.table({"list": [[1]]}))
    assert "volume" in (caught.value.hint or "")


def test_many_rows_go_in_small_statements_and_then_take_the_name(fake, session):
    fake.answers["DESCRIBE QUERY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    statements = said(fake, lambda: session.load_arrow(at("t"), [pa.table({"id": range(1001)})], {"id": "BIGINT"}))
    assert [s[:60] for s in statements] == [
        "DESCRIBE QUERY SELECT * FROM `main`.`suite`.`t`",
        "SELECT table_name, table_type FROM `main`.`information_schem",
        "CREATE TABLE `main`.`suite`.`anabranch__load_t` USING delta ",
        "INSERT INTO `main`.`suite`.`anabranch__load_t` SELECT CAST(`",
        "INSERT INTO `main`.`suite`.`anabranch__load_t` SELECT CAST(`",
        "ALTER TABLE `main`.`suite`.`anabranch__load_t` RENAME TO `su",
    ]


def test_rows_go_through_a_volume(fake):
    fake.answers["DESCRIBE QUERY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    with opened(volume="/Volumes/main/etl/it's/").session() as session:
        put, content, create, remove = said(
            fake, lambda: session.load_arrow(at("t"), [pa.table({"id": [[1]]})], {"id": "ARRAY<INT>"})
        )[1:]
    file = put.removeprefix("PUT '__input_stream__' INTO '").removesuffix("' OVERWRITE")
    assert file.startswith("/Volumes/main/etl/it\\'s/anabranch-")
    assert file.endswith(".parquet")
    assert content.startswith("-- with ")
    plain = file.replace("\\'", "'")
    assert create == (
        f"CREATE TABLE `main`.`suite`.`t` USING delta AS SELECT CAST(`id` AS ARRAY<INT>) AS `id` FROM parquet.`{plain}`"
    )
    assert remove == f"REMOVE '{file}'"


def test_rows_are_read_in_batches(fake, session):
    fake.answers["SELECT id"] = pa.table({"id": range(10)})
    found = pa.RecordBatchReader.from_stream(session.read_arrow("SELECT id FROM t", 4))
    assert [b.num_rows for b in found] == [4, 4, 2]
    assert session.query("SELECT id FROM t", 3).rows == [(0,), (1,), (2,)]
    assert session.query("SELECT id FROM t", 0).columns == ("id",)


def test_the_connection_is_made_as_it_was_told(fake):
    with opened(settings={"use_cached_result": "false"}, patience=20).session() as session:
        session.query("SELECT 1")
    assert fake.arguments == {
        "server_hostname": HOST,
        "http_path": "/sql/1.0/warehouses/abc",
        "access_token": SECRET,
        "catalog": "main",
        "session_configuration": {"ansi_mode": "true", "timezone": "UTC", "use_cached_result": "false"},
        "user_agent_entry": "anabranch",
        "enable_telemetry": False,
        "_retry_stop_after_attempts_duration": 20,
    }
    assert fake.is_closed
    with DatabricksEngine(HOST, http_path="/x").session() as session:
        assert session.own_catalog == "main", "the connection's own"
    assert "access_token" not in fake.arguments


def test_what_runs_is_cancelled(fake):
    engine = opened()
    with engine.session() as session:
        stream = session.read_arrow("SELECT id FROM t")
        engine.interrupt()
        assert fake.cursors[-1].cancelled
        del stream


def test_a_session_that_reads_wraps_what_it_sends(fake):
    with opened().session(read_only=True) as session:
        assert said(fake, lambda: session.query("SELECT 1;")) == ["SELECT * FROM (\nSELECT 1\n)"]
        assert failure(lambda: session.execute("DELETE FROM t")).kind == "NotSupported"


# --- errors


@pytest.mark.parametrize(
    ("raised", "kind", "words", "hint"),
    [
        (exc.RequestError("denied", {"http-code": 401}), WarehouseUnavailable, "credentials", "token"),
        (exc.RequestError("Invalid access token", {"http-code": 403}), WarehouseUnavailable, "credentials", "token"),
        (exc.OperationalError("token has expired"), WarehouseUnavailable, "credentials", "token"),
        (exc.MaxRetryDurationError("gave up"), WarehouseUnavailable, "reached", "runs"),
        (exc.RequestError("no route"), WarehouseUnavailable, "reached", "runs"),
    ],
)
def test_errors_when_it_is_opened(fake, raised, kind, words, hint):
    raised.message = f"{raised.message} ({SECRET})"
    fake.answers["connect"] = raised
    with pytest.raises(kind) as caught, opened().session():
        pass
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("raised", "kind", "told", "hint"),
    [
        (
            exc.ServerOperationError("[INSUFFICIENT_PERMISSIONS] Insufficient privileges: no CREATE TABLE on suite"),
            StatementFailed, "INSUFFICIENT_PERMISSIONS", "privilege",
        ),
        (exc.ServerOperationError("[QUOTA_EXCEEDED] too many tables"), StatementFailed, "QUOTA_EXCEEDED", "limit"),
        (exc.RequestError("slow down", {"http-code": 429}), StatementFailed, "RESOURCE_EXHAUSTED", "limit"),
        (exc.RequestError("forbidden", {"http-code": 403}), StatementFailed, "PERMISSION_DENIED", "privilege"),
        (exc.RequestError("lost", {"http-code": 502}), WarehouseUnavailable, "", "runs"),
        (exc.ServerOperationError("[PARSE_SYNTAX_ERROR] at or near"), StatementFailed, "PARSE_SYNTAX_ERROR", None),
        (exc.ServerOperationError("something else"), StatementFailed, "ServerOperationError", None),
    ],
)  # fmt: skip
def test_errors_of_statements(fake, session, raised, kind, told, hint):
    raised.message = f"{raised.message} {SECRET}"
    fake.answers["CREATE TABLE"] = raised
    with pytest.raises(WarehouseError) as caught:
        session.create_table(at("t"), "SELECT 1")
    assert type(caught.value) is kind
    assert getattr(caught.value, "kind", "") == told
    assert (caught.value.hint is None) if hint is None else hint in (caught.value.hint or "")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_settings_that_cannot_be(fake):
    many: list[dict[str, Any]] = [{}, {"http_path": "/x", "cluster": "y"}, {"cluster": "y"}]
    for wrong in many:
        with pytest.raises(ConfigError) as caught:
            DatabricksEngine(HOST, **wrong)
        assert "warehouse.settings." in (caught.value.hint or "")
    with pytest.raises(ConfigError) as caught:
        DatabricksEngine(f"token:{SECRET}@host", http_path="/x")
    assert SECRET not in str(caught.value)


def test_a_cluster_is_reached_by_spark_connect(monkeypatch):
    seen: list[Any] = []

    def stop(url: str, *rest: Any, **more: Any) -> None:
        seen.extend([url, more])
        raise WarehouseUnavailable("no network here")

    monkeypatch.setattr("anabranch.engines.databricks.engine.ConnectTransport", stop)
    engine = DatabricksEngine(f"https://{HOST}/", cluster="0123-abc", token="a;b=c", catalog="main")
    assert engine.place == f"databricks://{HOST}/main"
    with pytest.raises(WarehouseUnavailable), engine.session():
        pass
    assert seen[0] == f"sc://{HOST}:443/;use_ssl=true;token=a%3Bb%3Dc;x-databricks-cluster-id=0123-abc"
    assert seen[1]["secrets"] == ["a;b=c", "a%3Bb%3Dc"]


def test_what_is_claimed():
    engine = opened()
    assert engine.clone_rules.depth == 1
    assert engine.capabilities[Capability.CLONE_TABLE] is Support.PARTLY
    assert set(engine.capabilities) == set(Capability)
    assert SECRET not in repr(engine)


# --- on open-source Delta


class DeltaCursor(FakeCursor):
    """Runs statements on a Spark server, as the connector's cursor would on a warehouse."""

    def __init__(self, session: Any) -> None:
        super().__init__([], {})
        self.session = session

    def execute(self, statement: str, input_stream: Any = None) -> None:
        try:
            self.rows = pa.table(self.session.read_arrow(statement))
        except StatementFailed as error:
            if error.kind != "NotAQuery":
                raise exc.ServerOperationError(error.message) from None
            self.rows = pa.table({})


@pytest.mark.spark
class TestDatabricksOverDelta(ArrowSuite, FileSuite, HashSuite):
    """The parts of the suite whose statements differ by the transport: rows that are written into statements, columns
    that are described by a statement. The server is open-source Delta's, not Databricks'."""

    title = "Databricks"
    seen: ClassVar[Mapping[Capability | Matter, Seen]] = {
        **dict.fromkeys(Capability, Seen.GOLDEN),
        Capability.CONCURRENT_STATEMENTS: Seen.NOT,
        Capability.EXACT_HASH: Seen.EMULATED,
    }
    test_it_says_what_it_is = SessionSuite.test_it_says_what_it_is

    arrow_types: ClassVar[Mapping[str, str]] = {
        k: v for k, v in SparkSuite.arrow_types.items() if not k.startswith(("ARRAY", "STRUCT", "MAP"))
    }
    same_values = SparkSuite.same_values
    different_values = SparkSuite.different_values
    odd_relation = SparkSuite.odd_relation
    content = SparkSuite.content

    @pytest.fixture
    def open_engine(self, spark: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenEngine]:
        monkeypatch.setattr("anabranch.engines.databricks.sql._LITERAL_ROWS", 20_000)  # else 600 statements in one test
        with SparkEngine(spark).session() as session:

            class DeltaConnection:
                def cursor(self) -> DeltaCursor:
                    return DeltaCursor(session)

                def close(self) -> None: ...

            monkeypatch.setattr(sql, "connect", lambda **arguments: DeltaConnection())
            yield lambda: DatabricksEngine(HOST, http_path="/x", catalog="spark_catalog")
