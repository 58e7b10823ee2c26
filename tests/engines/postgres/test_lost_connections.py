"""Connections to Postgres that break: what is done again, and what is not."""

import threading

import pytest
from tests.engines.postgres.helping import SLOW, refused, terminate, until, use
from tests.stores.proxy import Break

from anabranch.errors import (
    OutcomeUnknown,
)
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows
from anabranch.testing.store_suite import in_threads


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
