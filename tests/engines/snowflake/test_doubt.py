"""What becomes of statements in Snowflake when the connection is lost, and of many sessions at a time: over a connection of
the tests' own. Nothing here has met Snowflake.
"""

from __future__ import annotations

import threading

import pytest
from snowflake.connector import errors
from tests.support.snowflake import Account, lost, refused

from anabranch.engines.snowflake.link import Link
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseUnavailable
from anabranch.testing.engine_helpers import at, failure

HISTORY = "db.history"


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def link(account) -> Link:
    return Link(account.connect, "snowflake://acme/db", HISTORY, sleep=lambda seconds: None)


# --- statements that are run again, and statements in doubt


def test_a_statement_that_was_refused_because_many_wait_is_run_again(account, link):
    account.answer("UPDATE", refused(625, "number of waiters"), refused(625, "number of waiters"), [])
    link.run("UPDATE t SET x = 1")
    assert account.said() == ["UPDATE t SET x = 1"] * 3
    account.answer("UPDATE", refused(625, "number of waiters"))
    with pytest.raises(StatementFailed) as caught:
        link.run("UPDATE t SET x = 1")
    assert caught.value.kind == "000625"
    assert len(account.said()) == 6


@pytest.mark.parametrize(
    "error",
    [
        errors.ProgrammingError(msg="Session no longer exists. New login required.", errno=390111),
        errors.DatabaseError(msg="Connection is closed", errno=250002),
        errors.ProgrammingError(msg="Authentication token has expired.", errno=390114),
    ],
    ids=lambda error: str(error.errno),
)
def test_a_session_that_is_over_is_begun_anew(account, link, error):
    link.tag({"plan": "1"})
    link.run("SELECT 0")
    account.answer("INSERT", error, [])
    link.run("INSERT INTO t SELECT 1")
    assert account.said()[2:] == ["INSERT INTO t SELECT 1"] * 2
    assert len(account.logins) == 2
    assert account.closed == 1
    link.run("SELECT 1")
    assert account.said()[0].startswith("ALTER SESSION SET QUERY_TAG"), "the new session isn't tagged yet"


def test_what_only_reads_is_run_again_when_the_connection_is_lost(account, link):
    account.answer("SELECT", lost(), [(7,)])
    assert link.ask("SELECT 7") == [(7,)]
    assert len(account.logins) == 2
    account.answer("SELECT", lost())
    with pytest.raises(WarehouseUnavailable, match="was lost"):
        link.ask("SELECT 7")
    assert len(account.logins) == 3, "once"


CTAS = "CREATE TABLE t AS SELECT 1"
LOOK = (
    "SELECT query_id, query_text FROM TABLE(db.history(SESSION_ID => 1001, RESULT_LIMIT => 1)) ORDER BY start_time DESC"
)


def test_a_statement_in_doubt_is_looked_for_and_waited_for(account, link):
    link.run("SELECT 0")
    account.answer("CREATE", lost())
    account.answer("SELECT query_id", [("statement-1", "SELECT 0")], [], [("its-own", f" {CTAS} ")])
    account.statuses = ["RUNNING", "NO_DATA", "RUNNING", "SUCCESS"]
    assert link.run(CTAS) is None, "it was carried out, and its answer is lost"
    assert account.said() == ["SELECT 0", CTAS, LOOK, LOOK, LOOK], "never repeated"
    assert account.asked == ["its-own"] * 4
    assert link.is_dirty


def test_a_statement_in_doubt_that_failed_says_why(account, link):
    account.answer("CREATE", lost())
    account.answer("SELECT query_id", [("its-own", CTAS)])
    account.statuses = ["RUNNING", refused(100038, "Numeric value 'x' is not recognized")]
    with pytest.raises(StatementFailed, match="Numeric value 'x'") as caught:
        link.run(CTAS)
    assert caught.value.kind == "100038"


@pytest.mark.parametrize(
    ("history", "statuses", "message"),
    [
        ([()], [], "hasn't reached Snowflake"),
        ([[("of-another", "SELECT 2")]], [], "isn't known"),
        ([refused(2003, "no such function")], [], r"isn't known \(no such function\)"),
        ([[("its-own", CTAS)]], ["NO_DATA"] * 50, "nothing is known of it any more"),
    ],
    ids=["absent", "another", "no-history", "no-news"],
)
def test_a_statement_that_stays_in_doubt(account, link, history, statuses, message):
    account.answer("CREATE", lost())
    account.answer("SELECT query_id", *history)
    account.statuses = statuses
    with pytest.raises(WarehouseUnavailable, match=message) as caught:
        link.run(CTAS)
    assert caught.value.hint
    assert account.said().count(CTAS) == 1


def test_nothing_is_known_while_there_is_no_connection(account, link):
    account.answer("CREATE", lost())
    account.refusals = [errors.OperationalError(msg="no route", errno=250001)]
    engine = account.engine()
    account.refusals = []
    with engine.session() as session:
        account.refusals = [errors.OperationalError(msg="no route", errno=250001)]
        with pytest.raises(WarehouseUnavailable, match="no route") as caught:
            session.execute(CTAS)
    assert not caught.value.unchanged


# --- sessions and threads


def test_a_connection_is_kept_for_the_next_session(account):
    engine = account.engine()
    for _ in range(3):
        with engine.session() as session:
            session.query("SELECT 1")
    assert len(account.logins) == 1
    engine.close()
    engine.close()
    assert account.closed == 1
    with engine.session():
        assert len(account.logins) == 2


@pytest.mark.parametrize("statement", ["BEGIN", "use role x", "SET a = 1", "CREATE TEMPORARY TABLE t (id INTEGER)"])
def test_a_session_that_was_changed_is_not_kept(account, statement):
    engine = account.engine()
    with engine.session() as session:
        session.execute(statement)
    assert account.closed == 1
    with engine.session():
        assert len(account.logins) == 2


def test_no_more_connections_than_are_allowed(account):
    engine = account.engine(connections=2, patience=0.05)
    with engine.session(), engine.session():
        with pytest.raises(WarehouseBusy) as caught, engine.session():
            pass
        assert "connections" in (caught.value.hint or "")
    with engine.session(), engine.session(patience=0):
        pass


def test_many_pointers_are_set_over_several_connections(account):
    used: set[int] = set()
    gate = threading.Barrier(4, timeout=20)

    def during(statement: str) -> None:
        if statement.startswith("CREATE") and threading.get_ident() not in used:
            used.add(threading.get_ident())
            gate.wait()  # four at the same time

    account.during = during
    with account.engine(connections=4).session() as session:
        session.tag({"plan": "1"})
        session.point({at(f"p{n}"): at("t") for n in range(200)})
        said = account.said()
        assert len({s for s in said if s.startswith("CREATE")}) == 200
        assert len([s for s in said if "QUERY_TAG" in s]) == 4, "each connection says what it is about"
        assert len(account.logins) == 4
        session.point({at(f"p{n}"): at("t") for n in range(10)})
        assert len(account.logins) == 4


def test_a_pointer_that_fails_stops_the_others(account):
    account.answer('CREATE OR REPLACE VIEW "DB"."SUITE"."P5" ', refused(2003, "Object 'T' does not exist"))
    with account.engine(connections=3).session() as session:
        assert failure(lambda: session.point({at(f"p{n}"): at("t") for n in range(1000)})).kind == "002003"
        assert len(account.said()) < 900
        session.query("SELECT 1")


def test_what_runs_is_stopped_over_another_connection(account):
    engine = account.engine()
    engine.interrupt()
    began, stopped = threading.Event(), threading.Event()

    def during(statement: str) -> None:
        if statement.startswith("CREATE"):
            began.set()
            assert stopped.wait(20)
            raise errors.ProgrammingError(msg="SQL execution canceled", errno=604, sqlstate="57014")
        if "CANCEL_ALL_QUERIES" in statement:
            stopped.set()

    account.during = during
    outcome: list[Exception] = []

    def work() -> None:
        try:
            with engine.session() as session:
                session.create_table(at("slow"), "SELECT 1")
        except StatementFailed as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert began.wait(20)
    engine.interrupt()
    thread.join(20)
    assert [e.kind for e in outcome if isinstance(e, StatementFailed)] == ["000604"]
    assert [s for s in account.said() if "CANCEL" in s] == ["SELECT SYSTEM$CANCEL_ALL_QUERIES(1001)"]
    with engine.session() as session:
        engine.interrupt()
        session.query("SELECT 1")
    assert not [s for s in account.said() if "CANCEL" in s], "stopping nothing stops nothing"
