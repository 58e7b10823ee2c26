"""Logging in to Snowflake, and what becomes of statements when something is wrong: over a connection of the tests' own.

The numbers of errors are Snowflake's. Nothing here has met it.
"""

from __future__ import annotations

import subprocess
import sys

import pyarrow as pa
import pytest
from snowflake.connector import errors
from tests.support.snowflake import URL, Account, refused

from anabranch.engines.snowflake import SnowflakeEngine
from anabranch.engines.snowflake.link import Link
from anabranch.engines.snowflake.settings import SESSION
from anabranch.errors import ConfigError, WarehouseUnavailable
from anabranch.testing.engine_helpers import at, failure

SECRET = "s3cret-Wort"
HISTORY = "db.history"


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def link(account) -> Link:
    return Link(account.connect, "snowflake://acme/db", HISTORY, [SECRET], sleep=lambda seconds: None)


# --- settings


def test_a_url_and_settings_become_what_the_driver_takes(account):
    engine = SnowflakeEngine(
        f"snowflake://ann%40acme.com:{SECRET}%2F@acme-prod/Db%20One/Work?warehouse=WH&role=LOADER&client_prefetch_threads=8"
        "&validate_default_parameters=true",
        settings={
            "role": "OWNER",
            "private_key_file": "~/key.p8",
            "session_parameters": {"WEEK_START": 1, "TIMEZONE": "x"},
        },
        connect=account.connect,
    )
    with engine.session():
        pass
    (arguments,) = account.logins
    assert arguments == {
        "account": "acme-prod",
        "user": "ann@acme.com",
        "password": f"{SECRET}/",
        "database": "Db One",
        "schema": "Work",
        "warehouse": "WH",
        "role": "OWNER",
        "client_prefetch_threads": 8,
        "validate_default_parameters": True,
        "private_key_file": "~/key.p8",
        "session_parameters": {"WEEK_START": 1, **SESSION},
        "autocommit": True,
        "paramstyle": "qmark",
        "arrow_number_to_decimal": True,
        "application": "Anabranch",
        "login_timeout": 60,
    }
    assert SESSION["TIMEZONE"] == "UTC"


def test_a_named_connection_needs_no_account(account):
    engine = account.engine("", settings={"connection_name": "prod", "database": "db"})
    assert engine.place == "snowflake://prod/db"
    with engine.session():
        assert account.logins[0]["connection_name"] == "prod"
        assert "account" not in account.logins[0]


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("", {}),
        ("snowflake://ann@acme-prod", {}),
        ("", {"database": "db"}),
        ("postgres://acme/db", {}),
        ("snowflake:db", {}),
        ("snowflake://[", {}),
    ],
)
def test_what_is_missing_is_said(url, settings):
    with pytest.raises(ConfigError) as caught:
        SnowflakeEngine(url, settings=settings)
    assert "snowflake://user@account/database" in (caught.value.hint or "")


def test_no_secret_is_shown(account):
    engine = account.engine(
        f"snowflake://ann:{SECRET}@acme-prod/db",
        settings={"token": f"token-{SECRET}", "private_key_file_pwd": f"pwd-{SECRET}", "proxy_password": f"{SECRET}x"},
    )
    shown = [engine.place, repr(engine), repr(engine._account), str(vars(engine))]
    echo = f"login of ann with {SECRET}, token-{SECRET}, pwd-{SECRET} and {SECRET}x at https://acme/{SECRET}?a=b failed"
    for error in (
        errors.DatabaseError(msg=echo, errno=250001),
        errors.DatabaseError(msg=f"Incorrect username or password was specified. {echo}", errno=390100),
    ):
        account.refusals = [error]
        with pytest.raises(WarehouseUnavailable) as caught, engine.session():
            pass
        shown += [str(caught.value), str(caught.value.hint), repr(caught.value)]
    with engine.session() as session:
        account.answer("SELECT", refused(904, echo))
        told = failure(lambda: session.query("SELECT 1"))
        account.answer("INSERT", errors.OperationalError(msg=echo, errno=250003))
        account.refusals = [errors.DatabaseError(msg=echo, errno=250001)]
        with pytest.raises(WarehouseUnavailable) as caught:
            session.execute("INSERT INTO t SELECT 1")
        shown += [str(told), repr(told), str(told.hint), str(caught.value)]
    assert not [text for text in shown if SECRET in text or "https:" in text]
    assert "***" in str(told)


# --- what the driver raises


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            errors.DatabaseError(msg="Incorrect username or password was specified.", errno=390100),
            "rejects",
            "password",
        ),
        (errors.DatabaseError(msg="JWT token is invalid. [x]", errno=390144), "rejects the login", "key"),
        (errors.DatabaseError(msg="JWT token has expired.", errno=394301), "rejects the login", "key"),
        (errors.DatabaseError(msg="Authentication token has expired.", errno=390114), "expired", "log in again"),
        (errors.DatabaseError(msg="Invalid OAuth access token.", errno=390303), "expired", "log in again"),
        (errors.DatabaseError(msg="Role 'X' … is not granted to this user.", errno=390189), "Role 'X'", "GRANT ROLE"),
        (errors.DatabaseError(msg="IP 1.2.3.4 is not allowed", errno=390422), "1.2.3.4", "network policy"),
        (errors.HttpError(msg="404 Not Found: post acme", errno=290404), "404", "organization-account"),
        (errors.OperationalError(msg="Could not connect to backend", errno=250001), "can't be reached", "network"),
    ],
    ids=lambda value: str(getattr(value, "errno", ""))[:6] or None,
)
def test_why_there_is_no_session(account, error, message, hint):
    account.refusals = [error]
    with pytest.raises(WarehouseUnavailable) as caught, account.engine().session():
        pass
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert "snowflake://acme-prod/db" in caught.value.message
    with account.engine().session() as session:
        session.query("SELECT 1")


def test_a_database_that_is_not_there(account):
    account.database = None
    engine = account.engine()
    assert not engine.exists()
    with pytest.raises(WarehouseUnavailable, match="no such database") as caught, engine.session():
        pass
    assert "GRANT USAGE" in (caught.value.hint or "")
    assert account.closed == 2
    account.database = "DB"
    assert engine.exists()


@pytest.mark.parametrize(
    ("number", "kind", "hint"),
    [
        (3001, "003001", "GRANT"),
        (2003, "002003", "SHOW GRANTS"),
        (1003, "001003", ""),
        (630, "000630", "STATEMENT_TIMEOUT_IN_SECONDS"),
        (604, "000604", ""),
    ],
)
def test_what_a_statement_failed_with(account, number, kind, hint):
    with account.engine().session() as session:
        account.answer(
            "CREATE", refused(number, f"{number:06d} (42000): 01b2c3d4-0000-0000-0000-000000000000: Sorry,\n no")
        )
        error = failure(lambda: session.execute("CREATE TABLE t (id INTEGER)"))
    assert error.message == "Sorry,\nno"
    assert error.kind == kind
    assert hint in (error.hint or "")


def test_a_file_that_cannot_be_uploaded_is_no_lost_connection(account):
    account.answer("PUT", errors.OperationalError(msg="Failed to upload", errno=253003))
    with account.engine().session() as session:
        many = pa.table({"id": range(10_000)})
        error = failure(lambda: session.load_arrow(at("t"), [many], {"id": "INTEGER"}))
    assert error.kind == "253003"
    assert "network" in (error.hint or "")
    assert len(account.logins) == 1


@pytest.mark.parametrize(("number", "hint"), [(606, "warehouse"), (90073, "quota")])
def test_a_warehouse_that_does_not_work(account, number, hint):
    with account.engine().session() as session:
        account.answer("SELECT", refused(number, "Warehouse 'WH' can't"))
        with pytest.raises(WarehouseUnavailable, match="Warehouse 'WH'") as caught:
            session.query("SELECT 1")
    assert hint in (caught.value.hint or "")


# --- without what it needs


def test_without_the_driver_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "snowflake.connector", None)
    with pytest.raises(WarehouseUnavailable) as caught, SnowflakeEngine(URL).session():
        pass
    assert caught.value.hint == "pip install 'anabranch[snowflake]'"


def test_nothing_heavy_is_imported_before_there_is_a_session():
    program = (
        "import sys\n"
        "from anabranch.engines.snowflake import SnowflakeEngine\n"
        f"SnowflakeEngine({URL!r})\n"
        "assert not {'snowflake', 'pyarrow', 'pandas', 'duckdb', 'sqlglot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
