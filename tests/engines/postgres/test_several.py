"""Several sessions on Postgres at once: those that make the same, wait for each other, or are too many."""

import threading
import time

import pytest
from tests.engines.postgres.helping import refused, terminate, use

from anabranch.engines.postgres import PostgresEngine
from anabranch.errors import (
    WarehouseBusy,
)
from anabranch.ports.engine import Relation, transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at
from anabranch.testing.store_suite import in_threads


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
