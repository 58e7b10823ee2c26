"""What tests of Postgres have in common."""

import time
import traceback
from collections.abc import Callable

import psycopg
import pytest

from anabranch.engines.postgres import PostgresEngine, PostgresSession
from anabranch.errors import (
    AnabranchError,
    WarehouseUnavailable,
)
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import at, rows

SLOW = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b"


def terminate(administrator: psycopg.Connection, *, running: str = "") -> int:
    """Ends the server's side of all sessions of Anabranch in the newest database, or of those that run a statement like
    ``running``. Some of an earlier test may still be ending in its own."""
    query = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'anabranch'"
        " AND datname = (SELECT datname FROM pg_database ORDER BY oid DESC LIMIT 1)"
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


def data(name: str) -> Relation:
    return Relation("data", name)


def mine(name: str) -> Relation:
    return Relation("mine", name)


def generations(session: PostgresSession) -> None:
    """A table and what is to take its place, read by views of all kinds."""
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("t__g1"), "SELECT 2 AS id, 'new' AS name")
    session.create_table(data("other"), "SELECT 2 AS id, 'x' AS more")
    session.point({at("p"): data("t"), at("q"): data("t")})
    session.create_view(mine("direct"), "SELECT name FROM data.t")
    session.create_view(mine("by_pointer"), "SELECT name FROM suite.p")
    session.create_view(mine("over"), "SELECT name AS told FROM mine.direct")
    session.create_view(mine("joined"), "SELECT t.name, o.more FROM data.t LEFT JOIN data.other AS o USING (id)")
    session.create_view(mine("whole"), "SELECT t FROM data.t")
    session.create_materialized_view(mine("kept"), "SELECT name FROM data.t")
    session.create_view(mine("over_kept"), "SELECT name FROM mine.kept")


def shown(session: PostgresSession) -> list[object]:
    names = ("direct", "by_pointer", "over", "kept", "over_kept")
    return [*(rows(session, at(n))[0][1] for n in ("p", "q")), *(rows(session, mine(n))[0][0] for n in names)]


def exchange(session: PostgresSession) -> None:
    """As a publication does it."""
    session.rename(data("t"), "t__u1")
    session.rename(data("t__g1"), "t")
