"""Workspaces: how they are reached, and what is told where they refuse."""

from __future__ import annotations

import traceback
from typing import Any

import pytest
from databricks.sql import exc
from tests.engines.databricks.fake import HOST, SECRET, opened, said

from anabranch.engines.databricks import DatabricksEngine
from anabranch.errors import ConfigError, StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Support
from anabranch.testing.engine_helpers import at, failure


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
