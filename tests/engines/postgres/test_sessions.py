"""Sessions on Postgres: transactions, what reading ones refuse, and what is left of one."""

import contextlib
import os
import time
from functools import partial

import psycopg
import pytest
from tests.engines.postgres.helping import SLOW, use

from anabranch.engines.postgres import PostgresEngine
from anabranch.errors import (
    StatementFailed,
    WarehouseError,
)
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure
from anabranch.testing.store_suite import in_threads


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
