"""Servers of Postgres that refuse, and what is told of it: which right is missing, and no secret."""

from functools import partial

import pytest
from tests.engines.postgres.helping import everything_told, refused, terminate, use

from anabranch.engines.postgres import PostgresEngine
from anabranch.errors import (
    StatementFailed,
    WarehouseBusy,
    WarehouseError,
    WarehouseUnavailable,
)
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure


@pytest.mark.postgres
def test_a_wrong_password(postgres_url, administrator):
    administrator.execute("DROP ROLE IF EXISTS secretive; CREATE ROLE secretive LOGIN PASSWORD 'right'")
    for password in (":so-Wrong%21", ""):
        engine = PostgresEngine(postgres_url.replace("//postgres@", f"//secretive{password}@"))
        for call in (partial(use, engine), engine.exists, engine.size):
            error = refused(call)
            assert "lets nobody in by that user and password" in error.message
            assert "PGPASSWORD" in str(error.hint)
            assert "so-Wrong" not in everything_told(error)
        assert engine.revision() is None
        for shown in (repr(engine), engine.place, repr(engine._pool.address)):
            assert "so-Wrong" not in shown
            assert "secretive@" in shown


@pytest.mark.postgres
def test_a_role_that_may_not_connect(engine, postgres_url, administrator):
    administrator.execute("DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN")
    name = engine.place.rpartition("/")[2]
    administrator.execute(f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    modest = PostgresEngine(postgres_url.replace("//postgres@", "//modest@"))
    for call in (partial(use, modest), modest.exists):
        error = refused(call)
        assert "may not be used by this role" in error.message
        assert "GRANT CONNECT" in str(error.hint)


@pytest.mark.postgres
def test_no_secret_is_told(engine, postgres_url, monkeypatch, administrator):
    administrator.execute("DROP ROLE IF EXISTS secretive; CREATE ROLE secretive LOGIN PASSWORD 'hid/den1'")
    monkeypatch.setenv("PGPASSWORD", "from-the-environment")
    given = postgres_url.replace("//postgres@", "//secretive:hid%2Fden1@")
    secret = PostgresEngine(given, settings={"lock_timeout": "1"}, patience=0.3, connections=1)
    told = [repr(secret), secret.place]
    with secret.session(read_only=True) as session:
        told += [repr(session), repr(session._link)]
        for call in (
            lambda: session.query("SELECT * FROM nothing"),
            lambda: session.execute("COPY x TO STDOUT"),
            lambda: use(secret),
            lambda: session.create_schemas([str(terminate(administrator))]),
        ):
            with pytest.raises(WarehouseError) as caught:
                call()
            told.append(everything_told(caught.value))
    secret.close()
    for text in told:
        for spelling in ("hid/den1", "hid%2Fden1", "from-the-environment"):
            assert spelling not in text


@pytest.mark.postgres
def test_a_database_that_is_not_there(postgres_url, administrator):
    engine = PostgresEngine(postgres_url)
    assert not engine.exists()
    assert engine.size() is None
    assert engine.revision() is None
    assert "doesn't exist" in refused(lambda: use(engine, read_only=True)).message
    administrator.execute("DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN")
    modest = PostgresEngine(postgres_url.replace("//postgres@", "//modest@"))
    error = refused(lambda: use(modest))
    assert "can't be made by this role" in error.message
    assert "permission denied to create database" in error.message
    assert not engine.exists()
    administrator.execute("ALTER ROLE modest CREATEDB")
    assert use(modest) == 1
    assert engine.exists()
    for each in (engine, modest):
        each.close()


@pytest.mark.postgres
def test_a_server_that_is_not_there(tmp_path):
    for host in (f"/db?host={tmp_path}", "127.0.0.1:1/db", "nowhere.invalid/db"):
        engine = PostgresEngine(f"postgresql://me:hidden@{host}")
        for call in (partial(use, engine), engine.exists):
            error = refused(call)
            assert "can't be reached" in error.message
            assert "hidden" not in everything_told(error)


@pytest.mark.postgres
def test_a_role_with_few_rights_is_told_what_it_lacks(engine, postgres_url, administrator):
    administrator.execute("DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN")
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.point({at("p"): at("t")})
    modest = PostgresEngine(postgres_url.replace("//postgres@", "//modest@"))
    with modest.session() as session:
        assert modest.revision() == engine.revision()
        session.create_schemas([SCHEMA])
        session.drop_schemas([SCHEMA, "public"])
        assert len(session.find([SCHEMA])) == 2
        for call, what in (
            (lambda: session.create_schemas(["mine"]), "database"),
            (lambda: session.create_table(at("u"), SMALL), "schema suite"),
            (lambda: session.count(at("t")), "schema suite"),
            (lambda: session.rename(at("t"), "u"), "schema suite"),
            (lambda: session.execute("CREATE ROLE other"), "create role"),
        ):
            error = failure(call)
            assert error.kind == "InsufficientPrivilege"
            assert what in error.message
            assert "GRANT" in str(error.hint)
        assert failure(lambda: session.point({at("p"): None})).kind == "InsufficientPrivilege"
    modest.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("state", "kind", "told"),
    [
        ("53100", WarehouseUnavailable, "no space left"),
        ("53200", StatementFailed, "boom"),
        ("53300", WarehouseBusy, "boom"),
        ("55P03", WarehouseBusy, "locked"),
        ("40001", WarehouseBusy, "boom"),
        ("25006", StatementFailed, "boom"),
    ],
)
def test_an_error_of_the_server_is_told_with_what_to_do(engine, state, kind, told):
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'boom' USING ERRCODE = '{state}'; END $$"
    with engine.session() as session:
        assert told in refused(lambda: session.execute(statement), kind).message
        assert session.query("SELECT 1").rows == [(1,)]


@pytest.mark.postgres
def test_too_many_locks_are_told_as_such(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.begin()
        with pytest.raises(StatementFailed) as caught:
            session.execute(
                "DO $$ BEGIN FOR n IN 1..200000 LOOP EXECUTE format('CREATE TEMP VIEW %I AS SELECT 1 AS x', n);"
                " END LOOP; END $$"
            )
        assert caught.value.kind == "OutOfMemory"
        assert "max_locks_per_transaction" in str(caught.value.hint)
