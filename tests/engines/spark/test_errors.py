"""What needs no server: addresses, errors and texts."""

from __future__ import annotations

import socket
import time
import traceback

import pytest
from tests.engines.spark.helping import SECRET
from tests.support import spark as support

from anabranch.engines.spark import SparkEngine
from anabranch.engines.spark.catalog import pointed
from anabranch.engines.spark.errors import is_conflict, is_outpaced, told
from anabranch.engines.spark.grammar import SPARK
from anabranch.errors import ConfigError, StatementFailed, WarehouseUnavailable
from anabranch.ports.engine import Relation


@pytest.mark.parametrize(
    "url", ["localhost:15002", "http://host:1", "sc://", f"sc://host:1;token={SECRET}", "sc://h/x"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError) as caught:
        SparkEngine(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_unknown_table_format_is_refused():
    with pytest.raises(ConfigError):
        SparkEngine("sc://host", table_format="hudi")


def test_an_engine_is_made_without_the_driver_and_tells_no_secret():
    engine = SparkEngine(f"sc://host:443/;use_ssl=true;token={SECRET};x-own-header={SECRET}2", catalog="main")
    assert engine.place == "sc://host:443/main"
    assert SECRET not in repr(engine)
    assert engine.exists()
    assert engine.revision() is None
    assert SparkEngine("sc://host").place == "sc://host:15002"


def test_nobody_there_is_told_soon_and_without_the_token():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    engine = SparkEngine(f"sc://127.0.0.1:{port}/;token={SECRET}", patience=1)
    began = time.monotonic()
    with pytest.raises(WarehouseUnavailable) as caught, engine.session():
        pass
    assert time.monotonic() - began < 20
    assert f"127.0.0.1:{port}" in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("text", "kind", "status", "expected", "hint"),
    [
        ("[PARSE_SYNTAX_ERROR] Syntax error\n\nJVM stacktrace:\nat x", "", "", "PARSE_SYNTAX_ERROR", None),
        ("(org.apache.iceberg.exceptions.NoSuchTableException) No table", "", "", "NoSuchTableException", None),
        ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges", "", "", "INSUFFICIENT_PERMISSIONS", "privilege"),
        ("no", "", "PERMISSION_DENIED", "PERMISSION_DENIED", "privilege"),
        ("too much", "", "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "limit"),
        ("[QUOTA_EXCEEDED.TABLES] Too many tables", "", "", "QUOTA_EXCEEDED.TABLES", "limit"),
        ("something", "", "", "Fallback", None),
    ],
)
def test_errors_of_statements(text, kind, status, expected, hint):
    error = told(text, kind, "sc://host", status=status, fallback="Fallback")
    assert isinstance(error, StatementFailed)
    assert error.kind == expected
    assert "JVM" not in error.message
    assert (hint is None and error.hint is None) or (hint or "") in (error.hint or "")


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        (f"Token {SECRET} has expired", "UNAUTHENTICATED", "credentials"),
        ('of RPC that\n\tdetails = "Connection refused"\n', "UNAVAILABLE", "reached: Connection refused"),
        ("[INVALID_HANDLE.SESSION_CHANGED] The handle is invalid", "", "lost"),
        ("[NO_ACTIVE_SESSION] No active Spark session found.", "", "lost"),
        ("java.io.IOException: No space left on device", "", "no space left"),
    ],
)
def test_errors_of_the_connection(text, status, expected):
    error = told(text, "", "sc://host", status=status, secrets=[SECRET])
    assert isinstance(error, WarehouseUnavailable)
    assert expected in error.message
    assert error.hint
    assert SECRET not in error.message


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("DELTA_CONCURRENT_APPEND.WITHOUT_HINT", "", True),
        ("DELTA_METADATA_CHANGED", "", True),
        ("CommitFailedException", "", True),
        ("ValidationException", "Found conflicting files that can contain records", True),
        ("ValidationException", "Cannot delete", False),
        ("CommitStateUnknownException", "Found conflicting files", False),
        ("TABLE_OR_VIEW_NOT_FOUND", "", False),
    ],
)
def test_only_what_was_not_committed_is_run_again(kind, message, expected):
    assert is_conflict(StatementFailed(message, kind=kind)) is expected
    assert not is_conflict(WarehouseUnavailable(message))


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (
            "NotFoundException",
            "Failed to open input stream for file: /w/s/v/metadata/00000-9a4a.gz.metadata.json",
            True,
        ),
        ("NotFoundException", "Failed to open input stream for file: /w/s/t/data/00000-0-9a4a.parquet", False),
        ("TABLE_OR_VIEW_NOT_FOUND", "v.metadata.json", False),
    ],
)
def test_what_was_dropped_while_it_was_looked_up_is_looked_up_again(kind, message, expected):
    assert is_outpaced(StatementFailed(message, kind=kind)) is expected
    assert not is_outpaced(WarehouseUnavailable(message))


def test_what_a_pointer_is():
    assert pointed("SELECT * FROM `c`.`s`.`t`") == Relation("s", "t", "c")
    assert pointed("SELECT * FROM `c`.`s``s`.`t``\n`") == Relation("s`s", "t`\n", "c")
    for other in (
        "SELECT * FROM `s`.`t`",
        "SELECT * FROM `c`.`s`.`t` ",
        "SELECT * FROM c.s.t",
        "select * FROM `c`.`s`.`t`",
    ):
        assert pointed(other) is None


def test_the_grammar_doubles_what_is_special():
    assert SPARK.identifier("a`b\\") == "`a``b\\`"
    assert SPARK.literal('it\'s \\ "x"') == "'it\\'s \\\\ \"x\"'"


def test_jars_are_named_once():
    assert len({jar.rpartition(":")[0] for jar in support.JARS}) == len(support.JARS)
