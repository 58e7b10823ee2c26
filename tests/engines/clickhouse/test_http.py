"""ClickHouse as an engine, by HTTP: the suite, over the real client, and what can go wrong on the way."""

import threading
import time
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

import pytest
from tests.engines.clickhouse.houses import NEEDED, QUICK, emptied
from tests.engines.clickhouse.test_suite import SLOW, ClickHouseSuite
from tests.support.clickhouse import PASSWORD, USER, server

from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError, WarehouseUnavailable
from anabranch.ports.capabilities import Capability
from anabranch.ports.engine import Grant, Result
from anabranch.testing.engine_helpers import SMALL, Matter, OpenEngine, Seen, at, text

pytestmark = NEEDED


@pytest.fixture(scope="module")
def running():
    with server() as url:
        yield url


@pytest.fixture
def url(running):
    """A server without relations, with a user and a password."""
    emptied(ClickHouseEngine.server(running))
    scheme, _, place = running.partition("://")
    return f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@{place}/"


class TestServer(ClickHouseSuite):
    title = "ClickHouse, by HTTP"
    # chdb has no users: their statements are ClickHouse's own by what they are refused for, see below
    seen: ClassVar[Mapping[Capability | Matter, Seen]] = {Capability.GRANTS: Seen.GOLDEN}
    pointers = 200
    pointer_seconds = 0.2  # a request each, to a server in Python

    @pytest.fixture
    def open_engine(self, url) -> OpenEngine:
        return lambda: ClickHouseEngine.server(url, patience=5, settings=QUICK)


def secretless(error, url):
    for told in (error.message, error.hint or "", repr(error), str(error), repr(error.__cause__)):
        assert PASSWORD not in told
        assert quote(PASSWORD, safe="") not in told
    return True


def test_what_an_engine_shows_of_itself_has_no_secret(url, running):
    engine = ClickHouseEngine.server(url)
    assert engine.place == running
    assert PASSWORD not in repr(engine)
    assert PASSWORD not in repr(vars(engine))
    with engine.session():
        pass
    engine.close()


def test_a_wrong_password_is_told(url):
    engine = ClickHouseEngine.server(url.replace("secretive:", "secretive:not"))
    with pytest.raises(WarehouseUnavailable, match="doesn't let this user in") as caught, engine.session():
        pass
    assert "check user and password" in str(caught.value.hint)
    assert secretless(caught.value, url)


def test_a_server_that_is_not_there_is_told(url):
    engine = ClickHouseEngine.server(f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:9/")
    with (
        pytest.raises(WarehouseUnavailable, match=r"127\.0\.0\.1:9 can't be reached: .*refused") as caught,
        engine.session(),
    ):
        pass
    assert secretless(caught.value, url)


@pytest.mark.parametrize(
    "wrong", ["ftp://u:secret@host/", "http://u:secret@:80/", "http://u:secret@host:port/", "nothing"]
)
def test_an_address_that_cannot_be_read_is_refused_and_not_repeated(wrong):
    with pytest.raises(WarehouseUnavailable, match="can't be read") as caught:
        ClickHouseEngine.server(wrong)
    assert "secret" not in f"{caught.value.message} {caught.value.hint} {caught.value!r}"


def test_an_option_that_is_not_known_is_refused():
    with pytest.raises(WarehouseUnavailable, match="verifi"):
        ClickHouseEngine.server("https://host/?verifi=false")


def test_a_server_that_is_too_old_is_refused():
    with server("version=25.8.3.1") as url:
        engine = ClickHouseEngine.server(url)
        with pytest.raises(WarehouseUnavailable, match=r"is ClickHouse 25\.8\.3\.1") as caught, engine.session():
            pass
        assert "26.3" in str(caught.value.hint)


def test_a_server_that_goes_away_is_told():
    outcome: list[WarehouseError] = []
    with server() as url:
        engine = ClickHouseEngine.server(url)

        def work():
            try:
                with engine.session() as session:
                    session.query(f"SELECT count() FROM ({SLOW})")
            except WarehouseError as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(1)
    thread.join(30)
    assert isinstance(outcome[0], WarehouseUnavailable), outcome
    assert "can't be reached" in outcome[0].message


def test_an_error_amid_an_answer_is_told_as_it_is(url):
    engine = ClickHouseEngine.server(url)
    with engine.session() as session:
        for _ in range(2):
            with pytest.raises(StatementFailed, match="throwIf") as caught:
                session.query("SELECT throwIf(number = 900000) FROM numbers(1000000)")
            assert caught.value.kind == "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"
            assert "version" not in caught.value.message
            assert "http:" not in caught.value.message
            import pyarrow

            query = "SELECT throwIf(number = 900000) AS x FROM numbers(1000000)"
            with pytest.raises(pyarrow.ArrowException, match="throwIf"):  # which tells what was raised below it
                pyarrow.table(session.read_arrow(query))
            with pytest.raises(StatementFailed, match="throwIf") as caught:
                list(session._transport.arrow(query)[1])
            assert caught.value.kind == "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"
            assert session.query("SELECT 1 AS a").rows == [(1,)]
    engine.close()


def test_there_are_no_more_sessions_than_connections(url):
    engine = ClickHouseEngine.server(url, connections=1, patience=0.2)
    with engine.session(), pytest.raises(WarehouseBusy, match="in use"), engine.session():
        pass
    with engine.session() as session:
        assert session.query("SELECT 1").rows == [(1,)]
    engine.close()


def test_the_settings_of_a_project_reach_the_server(url):
    engine = ClickHouseEngine.server(url, settings={"max_block_size": "7", "join_use_nulls": "0"})
    with engine.session() as session:
        assert session.query("SELECT getSetting('max_block_size'), getSetting('join_use_nulls')").rows == [(7, False)]
        session.tag({"asset": "it's \\"})
        assert session.query("SELECT JSONExtractString(getSetting('log_comment'), 'asset')").rows == [("it's \\",)]
    engine.close()
    engine = ClickHouseEngine.server(url, settings={"no_such_setting": "1"})
    with engine.session() as session, pytest.raises(StatementFailed, match="no_such_setting"):
        session.query("SELECT 1")
    engine.close()


def test_the_answer_to_a_renaming_is_lost(url):
    """It was done all the same: the table is there, and nothing is left."""
    engine = ClickHouseEngine.server(url)
    with engine.session() as session:
        session.create_schemas(["suite"])
        run = session._transport.run

        def lose(statement):
            run(statement)
            if statement.startswith("RENAME TABLE"):
                raise WarehouseUnavailable("lost")

        session._transport.run = lose  # type: ignore[method-assign]
        assert session.create_table(at("small"), SMALL) == 2
        assert session.query("SELECT count() FROM system.tables WHERE database = 'suite'").rows == [(1,)]
    engine.close()


def test_rights_are_told_of_whole_relations_that_are_there(url, monkeypatch):
    """What a server answers is written here by the reference; that the query is one is seen by the test below."""
    engine = ClickHouseEngine.server(url)
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_table(at("small"), SMALL)
        session.point({at("p"): at("small")})
        asked, query = [], session.query

        def answered(statement, most=None):
            if "system.grants" not in statement:
                return query(statement, most)
            asked.append(statement)
            columns = ("database", "table", "access_type", "user_name", "role_name")
            return Result(
                columns,
                [
                    ("suite", "p", "SELECT", None, "analyst"),
                    ("suite", "p", "INSERT", "anna", None),
                    ("suite", "gone", "SELECT", "anna", None),  # rights belong to names, also those of nothing
                ],
            )

        monkeypatch.setattr(session, "query", answered)
        assert session.grants([at("p"), at("small"), at("gone")]) == {
            at("p"): (Grant("INSERT", "anna"), Grant("SELECT", "analyst")),
            at("small"): (),
        }
        (statement,) = asked
        assert "column IS NULL" in statement, "rights on single columns are none on the whole"
        assert "NOT is_partial_revoke" in statement
    engine.close()


def test_rights_are_read_and_written_as_clickhouse_has_them(url):
    """No role can be made here; that the statement is ClickHouse's own is seen by what it is refused for."""
    engine = ClickHouseEngine.server(url)
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_table(at("small"), SMALL)
        with pytest.raises(StatementFailed) as caught:
            session.grant(at("small"), [Grant("SELECT", "no`such role")])
        assert caught.value.kind == "UNKNOWN_ROLE"
        with pytest.raises(StatementFailed, match="is not a right"):
            session.grant(at("small"), [Grant("SELECT ON *.* TO x; --", "role")])
        with pytest.raises(StatementFailed) as caught:
            session.grants([at("small")])
        assert caught.value.kind == "ACCESS_DENIED"
        assert "GRANT" in str(caught.value.hint)
        assert text(session, at("small")) == "`suite`.`small`"
    engine.close()
