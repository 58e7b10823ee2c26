"""Addresses and settings of Postgres."""

import sys
import traceback
from functools import partial

import psycopg
import pytest
from tests.engines.postgres.helping import refused, use

from anabranch.engines.postgres import PostgresEngine, open_engine
from anabranch.errors import (
    ConfigError,
)


@pytest.mark.postgres
def test_settings_are_the_servers(postgres_url):
    engine = open_engine(postgres_url, {"work_mem": "5MB", "app.user": "me"}, connections=3, patience=7)
    with engine.session() as session:
        assert session.query("SHOW work_mem").rows == [("5MB",)]
        assert session.query("SELECT current_setting('app.user')").rows == [("me",)]
        assert session.query("SHOW lock_timeout").rows == [("7s",)]
    with engine.session(patience=1.5) as session:
        assert session.query("SHOW lock_timeout").rows == [("1500ms",)]
        assert session.query("SHOW work_mem").rows == [("5MB",)]
    engine.close()
    for wrong in ({"work_mem": "lots"}, {"nothing_like_it": "1"}, {"role": "nobody_at_all"}):
        error = refused(partial(use, PostgresEngine(postgres_url, settings=wrong)))
        assert "refuses a setting" in error.message
        assert "warehouse.settings" in str(error.hint)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://me:hidden@host:5432/db", "postgresql://me@host:5432/db"),
        ("postgres://host/db?password=hidden&sslmode=require", "postgresql://host/db"),
        ("postgresql:///db?host=/tmp&sslpassword=hidden", "postgresql:///tmp/db"),
        ("postgresql://one:5432,two:5433/d%20b", "postgresql://one:5432,two:5433/d b"),
        ("postgresql://[::1]:5432/?dbname=db", "postgresql://[::1]:5432/db"),
        ("postgresql://", "postgresql:///"),
    ],
)
def test_a_place_has_no_secret(url, place):
    engine = PostgresEngine(url)
    assert engine.place == place
    assert "hidden" not in repr(engine)
    assert psycopg.conninfo.conninfo_to_dict(engine._pool.address.url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "warehouse.duckdb",
        "mysql://host/db",
        "host=host password=SECRET",
        "postgresql://me:SE#CRET@host/db",
        "postgresql://me:SE/CRET@host/db",
        "postgresql://me:SE?CRET@host/db",
        "postgresql://me:1?SE=CRET@host/db",
        "postgresql://me:SE@CRET@host/db",
        "postgresql://me:SE[CRET@host/db",
        "postgresql://me:SECRET@host:port/db",
        "postgresql://me:SECRET@host/db?nonsense",
        "postgresql://me:SECRET@host/db?nonsense=1",
        "postgresql://me:SE%zzCRET@host/db",
    ],
)
def test_an_address_that_cannot_be_read_is_not_repeated(url):
    with pytest.raises(ConfigError) as caught:
        use(PostgresEngine(url))
    assert caught.value.hint
    for secret in ("SE", "CRET"):
        assert secret not in caught.value.message
        assert secret not in "".join(traceback.format_exception(caught.value))


def test_the_driver_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    engine = open_engine("postgresql://host/db", {})
    for call in (partial(use, engine), engine.exists):
        error = refused(call)
        assert error.hint == "pip install 'anabranch[postgres]'"
    assert engine.revision() is None


def test_importing_the_engine_costs_nothing():
    import subprocess

    program = (
        "import sys; from anabranch.engines.postgres import open_engine; open_engine('postgresql://host/db', {});"
        " sys.exit(any(m in sys.modules for m in ('psycopg', 'pyarrow', 'duckdb')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
