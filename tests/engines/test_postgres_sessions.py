"""Sessions on Postgres: connections that break, wait, and run out; servers that refuse; and nothing that tells a secret."""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from tests.stores.proxy import Break, Proxy, proxy

from anabranch.engines.postgres import PostgresEngine, open_engine, wire
from anabranch.engines.postgres import session as sessions
from anabranch.errors import (
    AnabranchError,
    ConfigError,
    OutcomeUnknown,
    StatementFailed,
    WarehouseBusy,
    WarehouseError,
    WarehouseUnavailable,
)
from anabranch.ports.engine import Relation, transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows
from anabranch.testing.store_suite import in_threads

SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"


@pytest.fixture
def quick(monkeypatch) -> None:
    for module in (wire, sessions):
        monkeypatch.setattr(module, "PAUSES", (0.01, 0.02, 0.05))


@pytest.fixture
def engine(postgres_url) -> Iterator[PostgresEngine]:
    engine = PostgresEngine(postgres_url, patience=10)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    yield engine
    engine.close()


@pytest.fixture
def between(postgres_server) -> Iterator[Proxy]:
    with proxy(postgres_server) as found:
        yield found


@pytest.fixture
def through(between, engine, postgres_url) -> Iterator[Callable[..., PostgresEngine]]:
    """Opens the engine by way of the proxy."""
    opened: list[PostgresEngine] = []

    def make(**more: float) -> PostgresEngine:
        name = engine.place.rpartition("/")[2]
        opened.append(PostgresEngine(between.url.replace("/postgres?", f"/{name}?"), **{"patience": 10, **more}))  # type: ignore[arg-type]
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def terminate(administrator: psycopg.Connection, *, running: str = "") -> int:
    """Ends the server's side of all sessions of Anabranch, or of those that run a statement like ``running``."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'anabranch'"
        " AND pid <> pg_backend_pid() AND (%s = '' OR state = 'active' AND query LIKE %s)"
    )
    found = administrator.execute(query, [running, f"%{running}%"]).fetchone()
    return int(found[0]) if found else 0


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(call: Callable[[], object], kind: type[AnabranchError] = WarehouseUnavailable) -> AnabranchError:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.hint
    return caught.value


def use(engine: PostgresEngine, *, read_only: bool = False) -> object:
    with engine.session(read_only=read_only) as session:
        return session.query("SELECT 1").rows[0][0]


def everything_told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(getattr(error, "hint", ""))


# --- connections that break


@pytest.mark.postgres
def test_connections_that_broke_while_they_waited_go_unnoticed(engine, administrator):
    for _ in range(3):
        in_threads(3, lambda _: use(engine))
        assert terminate(administrator) >= 1
        assert use(engine) == 1


@pytest.mark.postgres
def test_what_only_reads_is_asked_again(engine, administrator, quick):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        for ask, expected in (
            (lambda: session.count(at("t")), 2),
            (lambda: len(session.find([SCHEMA])), 1),
            (lambda: session.columns(at("t")), (("id", "integer"), ("name", "text"))),
            (lambda: session.describe_query("SELECT 1 AS x"), (("x", "integer"),)),
            (lambda: session.begin() or session.count(at("t")), 2),
        ):
            assert terminate(administrator) == 1
            assert ask() == expected
        session.rollback()
    with engine.session(read_only=True) as session:
        assert terminate(administrator) >= 1
        assert session.query("SELECT count(*) FROM suite.t").rows == [(2,)]
        assert terminate(administrator) == 1
        assert session.query("SELECT 7", 1).rows == [(7,)]
        failure(lambda: session.execute("DROP TABLE suite.t"))


@pytest.mark.postgres
def test_what_may_have_written_is_not_done_again(engine, administrator, quick):
    with engine.session() as session:
        session.execute("CREATE TABLE suite.t (id integer)")
        assert terminate(administrator) == 1
        error = refused(lambda: session.execute("INSERT INTO suite.t VALUES (1)"))
        assert "connection" in error.message
        assert "was lost" in error.message
        session.execute("INSERT INTO suite.t VALUES (2)")
        assert rows(session, at("t")) == [(2,)], "the session goes on with another connection"


@pytest.mark.postgres
def test_what_happens_as_a_whole_is_done_again(engine, administrator, quick):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        for make in (
            lambda: session.create_table(at("made"), SMALL),
            lambda: session.point({at("p"): at("t")}),
            lambda: session.create_view(at("v"), SMALL),
            lambda: session.rename(at("made"), "renamed"),
        ):
            assert terminate(administrator) == 1
            make()
        assert {f.relation.name for f in session.find([SCHEMA])} == {"t", "renamed", "p", "v"}


@pytest.mark.postgres
def test_a_build_whose_backend_is_killed_is_made_again_or_not_at_all(engine, administrator, quick):
    """The first time in the middle; then it is quick."""
    with engine.session() as session:
        session.execute("CREATE SEQUENCE suite.turns")

        def kill() -> None:
            until(lambda: terminate(administrator, running="suite.turns"))

        killer = threading.Thread(target=kill)
        killer.start()
        count = session.create_table(
            at("made"), "SELECT n, pg_sleep(CASE WHEN n = 1 THEN 3 ELSE 0 END * (2 - nextval('suite.turns')))"
            " IS NULL AS x FROM generate_series(1, 1) AS n"
        )  # fmt: skip
        killer.join()
        assert count == 1
        assert session.count(at("made")) == 1
        assert session.query("SELECT nextval('suite.turns')").rows == [(3,)], "it was begun twice"


@pytest.mark.postgres
def test_a_backend_that_is_killed_takes_its_transaction_with_it(engine, administrator, quick):
    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), SMALL)
        killer = threading.Thread(target=lambda: until(lambda: terminate(administrator, running="generate_series")))
        killer.start()
        refused(lambda: session.create_table(at("slow"), SLOW))
        killer.join()
        for call in (
            lambda: session.create_table(at("u"), SMALL),
            lambda: session.query("SELECT 1"),
            lambda: session.count(at("t")),
            session.commit,
        ):
            assert "the transaction with it" in refused(call).message, "nothing is done outside of it"
            if call == session.commit:
                break
        session.rollback()
        assert session.find([SCHEMA]) == []
        session.create_table(at("t"), SMALL)
        assert session.count(at("t")) == 2


@pytest.mark.postgres
@pytest.mark.parametrize("mode", [Break.BEFORE, Break.AFTER, Break.LATE])
def test_a_connection_that_breaks_at_commit(through, between, mode, quick):
    engine = through()
    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), SMALL)
        between.mode = mode
        if mode is Break.BEFORE:
            assert "was lost" in refused(session.commit).message
            assert session.columns(at("t")) is None
        else:
            session.commit()
            assert session.count(at("t")) == 2
        assert between.broken == 1
        between.mode = mode
        assert session.create_table(at("u"), SMALL) == 2, "by itself, it is made in any case"
        assert between.broken == 2
        assert session.count(at("u")) == 2


@pytest.mark.postgres
@pytest.mark.parametrize("mode", [Break.BEFORE, Break.AFTER])
def test_a_server_that_is_gone_leaves_the_outcome_unknown(through, between, mode, quick):
    engine = through(patience=0.5)
    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), SMALL)
        between.mode, between.gone = mode, True
        with pytest.raises(OutcomeUnknown) as caught:
            session.commit()
    assert caught.value.hint
    assert not caught.value.unchanged


@pytest.mark.postgres
def test_a_transaction_with_a_failure_in_it_keeps_nothing(engine):
    with engine.session() as session:
        session.begin()
        session.create_table(at("t"), SMALL)
        failure(lambda: session.query("SELECT nothing"))
        assert failure(lambda: session.query("SELECT 1")).kind == "InFailedSqlTransaction"
        assert failure(session.commit).kind == "InFailedSqlTransaction"
        assert session.find([SCHEMA]) == []
        session.execute("CREATE TABLE suite.u (id integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        session.begin()
        session.execute("INSERT INTO suite.u VALUES (1), (1)")
        assert failure(session.commit).kind == "UniqueViolation"
        session.commit()
        assert session.count(at("u")) == 0


# --- what statements may do to a session


@pytest.mark.postgres
@pytest.mark.parametrize("read_only", [True, False])
def test_a_statement_neither_begins_nor_ends_a_transaction(engine, read_only):
    with engine.session(read_only=read_only) as session:
        for begin in ("BEGIN", "BEGIN READ WRITE", "START TRANSACTION READ WRITE"):
            assert "transaction of its own" in failure(partial(session.execute, begin)).message
            assert "transaction of its own" in failure(partial(session.query, begin)).message
        for end in ("COMMIT", "ROLLBACK", "ABORT"):
            session.begin()
            assert "transaction of its own" in failure(partial(session.execute, end)).message
            session.rollback()
        assert session.query("SELECT 1").rows == [(1,)]
        session.begin()
        assert failure(session.begin).kind == "ActiveSqlTransaction"


@pytest.mark.postgres
def test_a_reading_session_can_not_be_talked_into_writing(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
    write = "INSERT INTO suite.t VALUES (3, 'x')"
    with engine.session(read_only=True) as session:
        for trick in (
            "SET default_transaction_read_only = off",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET TRANSACTION READ WRITE",
            "SELECT set_config('default_transaction_read_only', 'off', false)",
            "SELECT set_config('transaction_read_only', 'off', false)",
            "RESET ALL",
            "DISCARD ALL",
            f"SET TRANSACTION READ WRITE; {write}",
            f"COMMIT; BEGIN READ WRITE; {write}; COMMIT",
        ):
            for run in (session.execute, session.query, lambda s: session.query(s, 1), session.read_arrow):
                for is_open in (False, True):
                    if is_open:
                        session.begin()
                    with contextlib.suppress(WarehouseError):
                        run(trick)
                    with contextlib.suppress(WarehouseError):
                        run(write)
                    session.rollback()
                    failure(lambda: session.execute(write))
        assert session.count(at("t")) == 2
    with engine.session() as session:
        session.execute(write)
        assert session.count(at("t")) == 3, "and the next session on that connection writes"


@pytest.mark.postgres
def test_nothing_of_a_session_is_left_to_the_next(engine):
    for turn in range(3):
        with engine.session() as session:
            assert session.query("SHOW search_path").rows == [('"$user", public',)]
            assert session.query("SHOW application_name").rows == [("anabranch",)]
            assert failure(lambda: session.query("SELECT * FROM scratch")).kind == "UndefinedTable"
            session.execute("SET search_path = suite")
            session.execute("SET application_name = 'other'")
            session.execute("CREATE TEMPORARY TABLE scratch (id integer)")
            session.execute("PREPARE p AS SELECT 1")
            session.query(f"SELECT pg_advisory_lock({turn})")
        with psycopg.connect(engine._pool.address.url) as other:
            assert other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)


@pytest.mark.postgres
def test_a_copy_by_a_statement_is_refused(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        for statement in ("COPY suite.t TO STDOUT", "COPY suite.t FROM STDIN"):
            for run in (session.execute, session.query):
                with pytest.raises(WarehouseError):
                    run(statement)
                assert session.query("SELECT 1").rows == [(1,)]


# --- several at a time


@pytest.mark.postgres
def test_the_same_schemas_are_made_by_many_at_once(postgres_url):
    engine = PostgresEngine(postgres_url)
    names = [f"s{n}" for n in range(20)]

    def work(thread: int) -> None:
        with engine.session() as session:
            if thread % 2:
                session.create_schemas(names)
            else:
                with transaction(session):
                    session.create_schemas(names)
                    session.create_table(Relation(names[0], f"t{thread}"), SMALL)

    in_threads(8, work)
    with engine.session() as session:
        assert set(names) <= set(session.schemas())
        assert len(session.find(names)) == 4
    engine.close()


@pytest.mark.postgres
def test_a_database_that_many_make_at_once(postgres_url):
    engines = [PostgresEngine(postgres_url) for _ in range(4)]
    assert [e.exists() for e in engines] == [False] * 4
    assert in_threads(4, lambda n: use(engines[n])) == [1] * 4
    assert [e.exists() for e in engines] == [True] * 4
    for engine in engines:
        engine.close()


@pytest.mark.postgres
def test_what_another_session_locks_is_waited_for_and_no_longer_than_that(engine):
    with engine.session() as holder, engine.session(patience=0.3) as session:
        holder.create_table(at("t"), SMALL)
        holder.point({at("p"): at("t")})
        holder.begin()
        holder.execute("LOCK TABLE suite.t")
        began = time.monotonic()
        for call in (
            lambda: session.rename(at("t"), "u"),
            lambda: session.drop([at("p"), at("t")]),
            lambda: session.count(at("t")),
        ):
            error = refused(call, WarehouseBusy)
            assert "locked by another session" in error.message
        assert 0.9 < time.monotonic() - began < 8
        holder.rollback()
        assert session.count(at("t")) == 2
        assert session.targets([SCHEMA]) == {at("p"): at("t")}


@pytest.mark.postgres
def test_of_two_that_wait_for_each_other_one_gives_way(engine):
    with engine.session() as session:
        for name in ("a", "b"):
            session.create_table(at(name), SMALL)
    ready = threading.Barrier(2)

    def work(thread: int) -> str:
        with engine.session() as session:
            session.begin()
            session.execute(f"LOCK TABLE suite.{'ab'[thread]}")
            ready.wait(10)
            try:
                session.execute(f"LOCK TABLE suite.{'ba'[thread]}")
            except WarehouseBusy as error:
                return error.message
            return ""

    told = sorted(in_threads(2, work))
    assert told[0] == ""
    assert "deadlock detected" in told[1]


@pytest.mark.postgres
def test_connections_that_are_all_in_use_here(postgres_url):
    engine = PostgresEngine(postgres_url, connections=2, patience=0.3)
    with engine.session(), engine.session():
        began = time.monotonic()
        assert "all 2 connections" in refused(lambda: use(engine), WarehouseBusy).message
        assert time.monotonic() - began < 5
    assert in_threads(2, lambda _: use(engine)) == [1, 1]
    patient = PostgresEngine(postgres_url, connections=2)
    assert in_threads(8, lambda _: [use(patient) for _ in range(5)]) == [[1] * 5] * 8
    for each in (engine, patient):
        each.close()


@pytest.mark.postgres
def test_connections_that_are_all_in_use_on_the_server(engine, postgres_url, administrator):
    administrator.execute("DROP ROLE IF EXISTS few; CREATE ROLE few LOGIN CONNECTION LIMIT 1")
    few = PostgresEngine(postgres_url.replace("//postgres@", "//few@"), patience=0.5)
    with few.session(read_only=True):
        error = refused(lambda: use(few, read_only=True), WarehouseBusy)
        assert "takes no more connections" in error.message

        def later() -> None:
            time.sleep(0.5)
            terminate(administrator)

        waiting = threading.Thread(target=later)
        patient = PostgresEngine(postgres_url.replace("//postgres@", "//few@"), patience=10)
        waiting.start()
        assert use(patient) == 1, "it waits until there is room"
        waiting.join()
        patient.close()
    few.close()


@pytest.mark.postgres
def test_stopping_reaches_every_thread(engine):
    began = time.monotonic()
    stopped: list[int] = []

    def work(thread: int) -> str:
        if thread == 3:
            while time.monotonic() - began < 20 and len(stopped) < 3:
                time.sleep(0.1)
                engine.interrupt()
            return ""
        try:
            with engine.session(read_only=thread == 2) as session:
                if thread == 0:
                    session.query(SLOW)
                elif thread == 1:
                    session.create_table(at("slow"), SLOW)
                else:
                    session.read_arrow(SLOW).read_all()
        except StatementFailed as error:
            return error.kind
        finally:
            stopped.append(thread)
        return "went on"

    assert in_threads(4, work) == ["QueryCanceled"] * 3 + [""]
    assert use(engine) == 1


@pytest.mark.postgres
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.filterwarnings("ignore:Using fork")  # Polars' own, where another test has imported it
def test_a_child_leaves_its_parents_connections_alone(engine):
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
    child = os.fork()
    if child == 0:  # no assertion may leave the child
        code = 1
        with contextlib.suppress(BaseException):
            with engine.session() as session:
                code = 0 if session.count(at("t")) == 2 else 1
            engine.close()
        os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with engine.session() as session:
        assert session.count(at("t")) == 2


# --- revisions


@pytest.mark.postgres
def test_a_revision_tells_of_every_commit(engine, postgres_url, administrator):
    other = PostgresEngine(postgres_url)
    seen = [engine.revision()]
    with other.session() as session:
        for change in (
            lambda: session.create_table(at("t"), SMALL),
            lambda: session.execute("UPDATE suite.t SET name = 'x' WHERE id = 1"),
            lambda: session.point({at("p"): at("t")}),
            lambda: session.execute("TRUNCATE suite.t"),
        ):
            change()
            seen.append(engine.revision())
        session.begin()
        session.execute("INSERT INTO suite.t VALUES (7, 'y')")
        assert engine.revision() == seen[-1], "nothing of it can be seen"
        administrator.execute("CREATE TABLE IF NOT EXISTS elsewhere (id integer)")  # a later number ends earlier
        administrator.execute("DROP TABLE elsewhere")
        between = engine.revision()
        session.commit()
        seen += [between, engine.revision()]
        session.count(at("t"))
        assert engine.revision() == seen[-1]
    assert None not in seen
    assert len(set(seen)) == len(seen)
    other.close()


@pytest.mark.postgres
def test_a_revision_of_a_server_that_is_not_there(tmp_path):
    assert PostgresEngine(f"postgresql://postgres@/db?host={tmp_path}").revision() is None


# --- who is let in, and how it is told


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


# --- addresses


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
