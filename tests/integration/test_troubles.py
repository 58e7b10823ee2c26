"""A warehouse that goes away in the middle of a command, that lets nobody in, or not this one: what the command says, what
is left, and that no secret is told or kept."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from tests.stores.proxy import Proxy, proxy
from tests.support import clickhouse

from anabranch.cli.failures import run
from anabranch.cli.main import cli

if TYPE_CHECKING:
    import psycopg

PASSWORD = "so:hid/den%21"
MODELS = {
    "orders": "MODEL (name shop.orders);\nSELECT id FROM raw.orders\n",
    "slow": "MODEL (name shop.slow);\nSELECT id, CAST(pg_sleep(0.7) AS TEXT) AS nothing FROM shop.orders\n",
    "total": "MODEL (name shop.total);\nSELECT CAST(sum(id) AS BIGINT) AS total FROM shop.slow\n",
}


class Project:
    """One whose warehouse's address is in the environment. Whatever is said is searched for secrets, and so is whatever
    is kept."""

    def __init__(
        self,
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        root.mkdir()
        monkeypatch.chdir(root)
        monkeypatch.setenv("HOME", str(root))
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
        caplog.set_level(logging.DEBUG)
        self.root, self.secrets = root, [PASSWORD, quote(PASSWORD, safe="")]
        self._monkeypatch, self._capsys, self._caplog = monkeypatch, capsys, caplog

    def write(self, engine: str, models: dict[str, str], **more: object) -> None:
        said = {
            "project": "shop",
            "warehouse": {"engine": engine, "database": "${WAREHOUSE}", "patience": "2s", **more},
            "sources": {"raw.orders": {}} if models is MODELS else {},
        }
        (self.root / "anabranch.yaml").write_text(json.dumps(said))
        (self.root / "models").mkdir()
        for name, text in models.items():
            (self.root / f"models/{name}.sql").write_text(text)

    def at(self, address: str) -> None:
        self._monkeypatch.setenv("WAREHOUSE", address)

    def call(self, *arguments: str, code: int = 0) -> str:
        self._capsys.readouterr()
        found = run(cli, arguments)
        told = "\n".join(self._capsys.readouterr())
        assert found == code, told
        self.check(told)
        return told

    def check(self, told: str) -> None:
        for secret in self.secrets:
            assert secret not in told
            assert secret not in self._caplog.text
            for path in self.root.rglob("*"):
                if path.is_file():
                    assert secret.encode() not in path.read_bytes(), path


@pytest.fixture
def project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Project:
    return Project(tmp_path / "shop", monkeypatch, capsys, caplog)


# --- Postgres


@pytest.fixture
def administrator(postgres_server: str) -> Iterator[psycopg.Connection]:
    """Of a database with orders, which the role ``secretive`` may read, and make schemas in."""
    import psycopg

    with psycopg.connect(postgres_server, autocommit=True) as server:
        server.execute("DROP DATABASE IF EXISTS troubles WITH (FORCE)")
        server.execute("DROP ROLE IF EXISTS secretive")
        server.execute("CREATE ROLE secretive LOGIN PASSWORD " + f"'{PASSWORD}'")
        server.execute("CREATE DATABASE troubles")
        with psycopg.connect(postgres_server.replace("/postgres?", "/troubles?"), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA raw; CREATE TABLE raw.orders AS SELECT 1 AS id UNION ALL SELECT 2")
            connection.execute("GRANT CREATE ON DATABASE troubles TO secretive; GRANT USAGE ON SCHEMA raw TO secretive")
            connection.execute("GRANT SELECT ON raw.orders TO secretive")
            yield connection
        server.execute("DROP DATABASE troubles WITH (FORCE)")
        server.execute("DROP ROLE secretive")


def address(url: str, password: str = PASSWORD) -> str:
    """Of the database, by a server's."""
    given = url.replace("/postgres?", "/troubles?")
    return given.replace("//postgres@", f"//secretive:{quote(password, safe='')}@")


@contextmanager
def away_while(statement: str, between: Proxy, administrator: psycopg.Connection) -> Iterator[None]:
    """The server goes away as soon as ``statement`` runs, and takes nobody until the end."""
    seen = threading.Event()

    def go() -> None:
        deadline = time.monotonic() + 60
        mine = "FROM pg_stat_activity WHERE usename = 'secretive'"
        running = f"SELECT count(*) {mine} AND state = 'active' AND query LIKE '%{statement}%'"
        while time.monotonic() < deadline:
            found = administrator.execute(running).fetchone()
            if found and found[0]:
                between.gone = True
                administrator.execute(f"SELECT pg_terminate_backend(pid) {mine}")
                seen.set()
                return
            time.sleep(0.02)

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield
    finally:
        thread.join(60)
        between.gone = False
    assert seen.is_set(), "it never ran"


def shown(administrator: psycopg.Connection, view: str) -> object:
    (found,) = administrator.execute(f"SELECT * FROM {view}").fetchone() or (None,)
    return found


@pytest.mark.postgres
def test_a_server_that_goes_away_in_the_middle_of_apply(
    project: Project, postgres_server: str, administrator: psycopg.Connection
) -> None:
    project.write("postgres", MODELS)
    with proxy(postgres_server) as between:
        project.at(address(between.url))
        with away_while("pg_sleep", between, administrator):
            told = project.call("apply", "prod", "--yes", code=1)
        assert "shop.slow" in told
        assert "lost" in told or "can't be reached" in told
        assert "next: " in told
        assert "run the command again" in told
        between.gone = True
        told = project.call("status", "prod", "--json", code=1)
        assert "can't be reached" in told or "unknown" in told
        between.gone = False
        # nothing is shown yet, and what was built is used
        there = administrator.execute("SELECT count(*) FROM pg_views WHERE schemaname = 'shop'").fetchone()
        assert there == (0,)
        again = project.call("apply", "prod", "--yes")
        assert not [line for line in again.splitlines() if "✓ shop.orders" in line], "built once"
        assert [line for line in again.splitlines() if "✓ shop.slow" in line]
        assert shown(administrator, "shop.total") == 3
        status = json.loads(project.call("status", "prod", "--json"))
        assert (status["drift"], status["interrupted"]) == ([], [])
        project.call("apply", "prod", "--yes")


@pytest.mark.postgres
def test_a_wrong_password(project: Project, postgres_server: str, administrator: psycopg.Connection) -> None:
    project.write("postgres", MODELS)
    wrong = "wr:ong/one"
    project.secrets += [wrong, quote(wrong, safe="")]
    project.at(address(postgres_server, wrong))
    for arguments in (["apply", "prod", "--yes"], ["plan", "prod", "--json"], ["doctor"]):
        told = project.call(*arguments, code=1)
        assert "troubles" in told, "where"
        assert "lets nobody in by that user and password" in told, "what"
        assert "PGPASSWORD" in told, "and what next"
    project.at(address(postgres_server))
    project.call("apply", "prod", "--yes")
    assert shown(administrator, "shop.total") == 3


@pytest.mark.postgres
def test_a_privilege_that_is_missing(project: Project, postgres_server: str, administrator: psycopg.Connection) -> None:
    project.write("postgres", MODELS)
    project.at(address(postgres_server))
    administrator.execute("REVOKE SELECT ON raw.orders FROM secretive")
    told = project.call("apply", "prod", "--yes", code=1)
    assert "models/orders.sql" in told, "where"
    assert "permission denied for table orders" in told, "what"
    assert "GRANT" in told, "and what next"
    administrator.execute("GRANT SELECT ON raw.orders TO secretive")
    administrator.execute("REVOKE CREATE ON DATABASE troubles FROM secretive")
    told = project.call("apply", "feature", "--yes", code=1)
    assert "permission denied for database troubles" in told
    assert "GRANT" in told
    administrator.execute("GRANT CREATE ON DATABASE troubles TO secretive")
    project.call("apply", "prod", "--yes")
    assert shown(administrator, "shop.total") == 3


# --- ClickHouse


@pytest.mark.clickhouse
def test_a_wrong_password_of_clickhouse(project: Project) -> None:
    pytest.importorskip("chdb")
    right = clickhouse.PASSWORD
    project.secrets = [right, quote(right, safe=""), "wr%3Aong", "wr:ong"]
    project.write("clickhouse", {"orders": "MODEL (name shop.orders);\nSELECT 1 AS id\n"})
    with clickhouse.server() as url:
        for password, code in (("wr%3Aong", 1), (quote(right, safe=""), 0), ("wr%3Aong", 1)):
            project.at(url.replace("//", f"//{clickhouse.USER}:{password}@"))
            told = project.call("apply", "prod", "--yes", code=code)
            assert code == 0 or ("doesn't let this user in" in told and "check user and password" in told)
    project.at(url.replace("//", f"//{clickhouse.USER}:{quote(right, safe='')}@"))
    told = project.call("status", "prod", "--json", code=1)
    assert "can't be reached" in told


# --- services out of reach


def test_a_key_of_bigquery_that_serves_nothing(project: Project) -> None:
    pytest.importorskip("google.cloud.bigquery")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    told_key = key.decode()
    project.secrets = [told_key.splitlines()[1], "hidden-id"]
    place = project.root.parent / "key.json"
    said = {
        "type": "service_account",
        "client_email": "bot@shop.test",
        "private_key_id": "hidden-id",
        "private_key": told_key,
        "token_uri": "http://127.0.0.1:9/token",
    }
    project.write("bigquery", MODELS, settings={"credentials": str(place)})
    project.at("shop")
    for content, what in ((json.dumps(said), "out of reach"), (json.dumps(said)[:-9], "no key file that can be read")):
        place.write_text(content)
        for arguments in (["apply", "prod", "--yes"], ["plan", "prod", "--json"]):
            told = project.call(*arguments, code=1)
            assert what in told
            assert "next: " in told or "hint" in told


@pytest.mark.parametrize(
    ("more", "what"),
    [("", "can't be reached"), ("&private_key=pri.vate.key&authenticator=SNOWFLAKE_JWT", "private key")],
)
def test_secrets_of_snowflake_where_nobody_answers(project: Project, more: str, what: str) -> None:
    pytest.importorskip("snowflake.connector")
    project.write("snowflake", MODELS, settings={"host": "127.0.0.1", "protocol": "http"})
    project.at(f"snowflake://me:{quote(PASSWORD, safe='')}@shop/db?port=9&login_timeout=2{more}")
    project.secrets.append("pri.vate.key")
    for arguments in (["apply", "prod", "--yes"], ["plan", "prod", "--json"]):
        told = project.call(*arguments, code=1)
        assert "snowflake://shop/db" in told
        assert what in told
        assert "check the account's name" in told
