import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests.stores.proxy import Break, Proxy, proxy

from anabranch.errors import OutcomeUnknown, StateUnavailable
from anabranch.stores import postgres
from anabranch.stores import postgres_statements as statements
from anabranch.stores.postgres import PostgresStore
from anabranch.testing.store_suite import OpenStore, StoreSuite, in_threads, increment, named

pytestmark = pytest.mark.postgres


class TestPostgresStore(StoreSuite):
    @pytest.fixture
    def open_store(self, postgres_url) -> OpenStore:
        return lambda: PostgresStore(postgres_url)


@pytest.fixture
def administrator(postgres_server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def between(postgres_server) -> Iterator[Proxy]:
    with proxy(postgres_server) as found:
        yield found


@pytest.fixture
def through(between, postgres_url) -> Callable[..., PostgresStore]:
    """Opens the store by way of the proxy."""
    schema = postgres_url.rpartition("=")[2]
    return lambda **more: PostgresStore(between.url, schema=schema, **more)


def terminate_all(administrator) -> int:
    query = """
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE application_name = 'anabranch' AND pid <> pg_backend_pid()
    """
    (count,) = administrator.execute(query).fetchone()
    return int(count)


# --- connections that break


def test_connections_that_broke_while_idle_go_unnoticed(postgres_url, administrator):
    objects = named([b"1"])
    with PostgresStore(postgres_url) as store:
        calls: list[tuple[Callable[[], object], object]] = [
            (lambda: store.swap({}, {"a": b"1"}), True),
            (lambda: store.read(["a"]), {"a": b"1"}),
            (lambda: store.scan(""), {"a": b"1"}),
            (lambda: store.put(objects), None),
            (lambda: store.get(objects.keys()), objects),
            (lambda: store.aged(60), set()),
            (lambda: store.delete(objects.keys(), 60), 0),
            (lambda: store.swap({"a": None}, {"a": b"2"}), False),
            (lambda: store.now() > 0, True),
        ]
        for call, expected in calls:
            in_threads(3, lambda _: store.now())  # several wait in the pool
            assert terminate_all(administrator) >= 1
            assert call() == expected


def test_no_increment_is_lost_while_connections_break(postgres_url, administrator, monkeypatch):
    monkeypatch.setattr(postgres, "PAUSES", (0.001, 0.01, 0.02))
    with PostgresStore(postgres_url) as one, PostgresStore(postgres_url) as other:
        stop = threading.Event()

        def work(n: int) -> int:
            if n == 3:
                killed = 0
                while not stop.wait(0.03):
                    killed += terminate_all(administrator)
                return killed
            wins = 0
            end = time.monotonic() + 1.0
            while time.monotonic() < end:
                with contextlib.suppress(StateUnavailable):  # it was broken too often in a row: nothing was done
                    store = (one, other)[n % 2]
                    old = store.read(["counter"]).get("counter")
                    wins += store.swap({"counter": old}, {"counter": str(int(old or b"0") + 1).encode()}, durable=n > 0)
            return wins

        def until_done(n: int) -> int:
            try:
                return work(n)
            finally:
                if n == 0:
                    stop.set()

        *wins, killed = in_threads(4, until_done)
        assert killed > 10
        assert one.read(["counter"]) == {"counter": str(sum(wins)).encode()}


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("mode", [Break.BEFORE, Break.AFTER, Break.LATE])
def test_a_connection_that_breaks_at_commit(through, between, mode, durable):
    with through() as store:
        assert store.swap({}, {"a": b"1", "gone": b""})
        between.mode = mode
        assert store.swap({"a": b"1"}, {"a": b"2", "gone": None}, durable=durable)
        assert between.broken == 1
        assert store.scan("") == {"a": b"2"}


def test_a_connection_that_breaks_at_commit_while_others_wait(through, between, postgres_url):
    with through() as store, PostgresStore(postgres_url) as other:
        between.mode = Break.LATE
        wins = in_threads(4, lambda n: (other if n else store).swap({"a": None}, {"a": str(n).encode()}))
        assert wins.count(True) == 1
        assert store.read(["a"]) == {"a": str(wins.index(True)).encode()}


@pytest.mark.parametrize("mode", [Break.BEFORE, Break.AFTER])
def test_a_server_that_is_gone_leaves_the_outcome_unknown(through, between, mode):
    with through(patience=0.3) as store:
        assert store.swap({}, {"a": b"1"})
        between.mode, between.gone = mode, True
        with pytest.raises(OutcomeUnknown, match="can't be told whether") as caught:
            store.swap({"a": b"1"}, {"a": b"2"})
        assert not caught.value.unchanged
        assert caught.value.hint
        between.gone = False
        assert store.read(["a"]) == {"a": b"1" if mode is Break.BEFORE else b"2"}


def test_a_commit_that_a_crashed_server_may_have_lost_is_believed_only_if_it_shows(through, between, monkeypatch):
    """The id could have been given to another transaction since."""
    with through(patience=0.3) as store:
        assert store.read(["a"]) == {}
        monkeypatch.setattr(PostgresStore, "_holds", lambda *_: False)
        between.mode = Break.AFTER
        with pytest.raises(OutcomeUnknown):
            store.swap({}, {"a": b"1"}, durable=False)
        between.mode = Break.AFTER
        assert store.swap({}, {"a": b"2"}, durable=True)


def test_an_id_that_the_server_does_not_know_was_not_committed(postgres_url):
    with PostgresStore(postgres_url) as store:
        assert store._fate("999999999999", {}, durable=True) is False


def test_a_server_that_is_not_there(tmp_path):
    with PostgresStore(f"postgresql://me:hidden@/db?host={tmp_path}") as store:
        begin = time.monotonic()
        with pytest.raises(StateUnavailable, match="can't be reached") as caught:
            store.read(["a"])
        assert time.monotonic() - begin < 1, "asking again would be of no use"
        assert store.place in caught.value.message


# --- what a server can be set to


def test_whatever_isolation_is_the_default(postgres_server, postgres_url, administrator):
    administrator.execute("CREATE ROLE strict LOGIN SUPERUSER")
    administrator.execute("ALTER ROLE strict SET default_transaction_isolation = 'serializable'")
    url = postgres_url.replace("//postgres@", "//strict@")
    with PostgresStore(url) as one, PostgresStore(url) as other:
        in_threads(4, lambda n: [increment((one, other)[n % 2], "counter") for _ in range(20)])
        assert one.read(["counter"]) == {"counter": b"80"}


@pytest.mark.parametrize(
    ("default", "durable", "expected"),
    [("on", True, "on"), ("on", False, "off"), ("off", True, "on"), ("off", False, "off"), ("local", True, "local")],
)
def test_only_what_has_to_be_durable_waits_for_the_disk(administrator, default, durable, expected):
    administrator.execute(f"SET synchronous_commit = {default}")
    with administrator.transaction():
        administrator.execute(statements.SETTINGS, ("1s", "1s", durable))
        assert administrator.execute("SHOW synchronous_commit").fetchone() == (expected,)
    assert administrator.execute("SHOW synchronous_commit").fetchone() == (default,)


def test_a_lock_that_is_held_for_too_long(postgres_url, administrator):
    with PostgresStore(postgres_url, patience=0.1) as store:
        assert store.swap({}, {"a": b"1", "b": b"1"})
        number = statements.lock_number(postgres_url.rpartition("=")[2], "a")
        with administrator.transaction():
            administrator.execute("SELECT pg_advisory_xact_lock(%s)", (number,))
            with pytest.raises(StateUnavailable, match="locked by another session"):
                store.swap({"a": b"1"}, {"a": b"2"})
            assert store.swap({"b": b"1"}, {"b": b"2"}), "another cell"
            assert store.read(["a"]) == {"a": b"1"}
        assert store.swap({"a": b"1"}, {"a": b"2"})


def test_a_client_that_stalls_is_not_in_the_way_for_long(postgres_url, administrator, monkeypatch):
    monkeypatch.setattr(postgres, "STALLED", 0.2)
    with PostgresStore(postgres_url) as store, PostgresStore(postgres_url) as stalled:
        assert store.swap({}, {"a": b"1"})
        with stalled._pool.use() as connection:
            stalled._begin(connection, durable=True)
            stalled._lock(connection, {"a"})
            begin = time.monotonic()
            assert store.swap({"a": b"1"}, {"a": b"2"})
            assert time.monotonic() - begin < 5
            connection.close()


def test_a_very_large_swap_keeps_to_one_lock(postgres_url, administrator):
    with PostgresStore(postgres_url) as store, store._pool.use() as connection:
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
        for keys, locks in ((10, 11), (postgres.MANY_KEYS + 1, 1)):
            store._begin(connection, durable=True)
            store._lock(connection, {str(n) for n in range(keys)})
            assert administrator.execute(held, (connection.info.backend_pid,)).fetchone() == (locks,)
            connection.execute("ROLLBACK")


def test_large_and_small_swaps_exclude_each_other(postgres_url):
    keys = [f"k/{n}" for n in range(postgres.MANY_KEYS + 50)]

    def work(n: int) -> None:
        for _ in range(10):
            while True:
                old = store.read(keys if n == 0 else keys[:1])
                new = str(int(old.get(keys[0], b"0")) + 1).encode()
                expect = {key: old.get(key) for key in (keys if n == 0 else keys[:1])}
                if store.swap(expect, dict.fromkeys(expect, new), durable=False):
                    break

    with PostgresStore(postgres_url) as store:
        in_threads(3, work)
        assert store.read(keys[:1]) == {keys[0]: b"30"}


def test_without_pipelines(postgres_url, monkeypatch):
    monkeypatch.setattr(psycopg.Pipeline, "is_supported", lambda: False)
    with PostgresStore(postgres_url) as store:
        store.put(named([b"1"]))
        assert store.swap({"a": None}, {"a": b"1"})
        assert not store.swap({"a": None}, {"a": b"1"})
        assert store.read(["a"]) == {"a": b"1"}


def test_tables_that_were_dropped(postgres_url, administrator):
    with PostgresStore(postgres_url) as store:
        assert store.swap({}, {"a": b"1"})
        schema = postgres_url.rpartition("=")[2]
        administrator.execute(f"DROP TABLE {schema}.cells")
        with pytest.raises(StateUnavailable, match="refused a statement") as caught:
            store.read(["a"])
        assert schema in str(caught.value.hint)


def test_large_objects_go_in_several_statements(postgres_url, monkeypatch):
    monkeypatch.setattr(postgres, "CHUNK", 1000)
    objects = named([bytes([n]) * 400 for n in range(10)] + [b"x" * 5000])
    with PostgresStore(postgres_url) as store:
        store.put(objects)
        assert store.get(objects.keys()) == objects


def test_the_clock_is_the_servers(postgres_url, monkeypatch):
    with PostgresStore(postgres_url) as store:
        right = time.time()
        monkeypatch.setattr(time, "time", lambda: 0.0)
        assert abs(store.now() - right) < 5


def test_states_in_one_database_are_apart(postgres_server):
    with (
        PostgresStore(postgres_server, schema="team_a") as one,
        PostgresStore(f"{postgres_server}&schema=team_b") as two,
    ):
        assert one.swap({"a": None}, {"a": b"1"})
        assert two.swap({"a": None}, {"a": b"2"})
        assert one.read(["a"]) == {"a": b"1"}
        assert one.place.endswith("?schema=team_a")
        assert repr(two).endswith("?schema=team_b')")
