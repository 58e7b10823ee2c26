import signal
import sqlite3
import textwrap
import time
from pathlib import Path

import pytest
from tests.stores.programs import finish, made, start

from anabranch.stores.sqlite import SqliteStore
from anabranch.testing.store_suite import OpenStore, StoreSuite, in_threads, named


class TestSqliteStore(StoreSuite):
    @pytest.fixture
    def open_store(self, tmp_path) -> OpenStore:
        return lambda: SqliteStore(tmp_path / "made" / "here" / "state.db")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def statements(monkeypatch) -> list[str]:
    """What SQLite is given to execute, from now on."""
    connect = sqlite3.connect
    seen: list[str] = []

    def traced(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(seen.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return seen


# --- cost


def test_opening_and_reading_is_cheap(path):
    made(path)
    best = 1.0
    for _ in range(5):
        begin = time.process_time()
        with SqliteStore(path) as store:
            store.read(["a"])
        best = min(best, time.process_time() - begin)
    assert best < 0.005


def test_two_thousand_journal_lines_are_cheap(path):
    with SqliteStore(path) as store:
        store.swap({}, {"open/plan": b"0"})
        begin = time.process_time()
        for n in range(2000):
            write = {"open/plan": str(n + 1).encode(), f"open/plan/{n}": b"begin"}
            assert store.swap({"open/plan": str(n).encode()}, write, durable=False)
        assert time.process_time() - begin < 0.4


def test_scans_and_reads_use_the_index(path, statements):
    with SqliteStore(made(path)) as store:
        del statements[:]
        store.scan("open/")
        store.read(["a", "b"])
        store.get(named([b"object"]).keys())
        queries = [s for s in statements if s.startswith("SELECT") and "about" not in s]
    with sqlite3.connect(path) as connection:
        plans = [str(connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()) for query in queries]
    connection.close()
    assert "SEARCH cells USING PRIMARY KEY (key>? AND key<?)" in plans[0]
    assert "SEARCH c USING PRIMARY KEY (key=?)" in plans[1]
    assert "SEARCH o USING INDEX" in plans[2]
    assert len(plans) == 3


def test_threads_that_came_and_went_leave_few_connections(path):
    with SqliteStore(path) as store:
        for _ in range(5):
            in_threads(6, lambda n: store.swap({}, {str(n): b""}, durable=False))
        descriptors = [fd.resolve() for fd in Path("/dev/fd").iterdir()]
        assert 0 < descriptors.count(path) <= 6


# --- durability


def test_only_what_has_to_be_durable_waits_for_the_disk(path, statements):
    def level() -> str:
        last: str = [s for s in statements if s.startswith("PRAGMA synchronous")][-1]
        return last.rpartition(" ")[2]

    with SqliteStore(path) as store:
        assert store.swap({}, {"a": b"1"})
        assert level() == "FULL"
        del statements[:]
        assert store.swap({"a": b"1"}, {"a": b"2"})
        assert not any(s.startswith("PRAGMA synchronous") for s in statements), "it is remembered"
        assert store.swap({}, {"a": b"1"}, durable=False)
        assert level() == "NORMAL"
        store.put(named([b"1"]))
        assert store.swap({}, {"a": b"1"})
        assert level() == "FULL"


@pytest.mark.parametrize("write", [{}, {"a": b"1"}, {"nothing": None}])
def test_a_durable_swap_that_changes_nothing_still_carries_what_came_before(path, write):
    made(path)
    log = path.with_name("state.db-wal")
    with SqliteStore(path) as store:
        assert store.swap({}, {"b": b"1"}, durable=False)
        before = log.stat().st_size
        assert store.swap({"a": b"1"}, write)
        assert log.stat().st_size > before, "there is something to commit"


def test_using_it_read_only_writes_nothing(path, statements):
    made(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    del statements[:]
    with SqliteStore(path) as store:
        store.read(["a"])
        store.scan("")
        store.get(named([b"object"]).keys())
        store.aged(0)
        store.now()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert {s.split()[0] for s in statements} <= {"SELECT", "PRAGMA", "BEGIN", "ROLLBACK"}
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.crash
def test_killed_at_any_moment_it_is_whole(path):
    program = """
    with SqliteStore(Path(sys.argv[1])) as store:
        n = int(store.read(["a"]).get("a", b"0"))
        while True:
            old = str(n).encode() if n else None
            n += 1
            new = str(n).encode()
            assert store.swap({"a": old, "b": old}, {"a": new, "b": new, f"line/{n}": new * 300}, durable=n % 3 == 0)
            print(n, flush=True)
    """
    told = 0
    for turn in range(6):
        process = start(program, path)
        assert process.stdout
        for _ in range(1 + turn * 40):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        told = max([told, *map(int, process.stdout.read().split())])
        process.stdout.close()
        process.wait(60)
        with SqliteStore(path) as store:
            cells = store.scan("")
        assert cells["a"] == cells["b"]
        assert told <= int(cells["a"]) <= told + 1
        assert len(cells) == int(cells["a"]) + 2
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        connection.close()


def test_what_fails_half_way_is_taken_back(path):
    class Broken(dict):
        def items(self):
            yield "x", b"1"
            raise KeyboardInterrupt

    with SqliteStore(made(path)) as store:
        with pytest.raises(KeyboardInterrupt):
            store.put(Broken())
        assert store.swap({"a": b"1"}, {"a": b"2"})
        assert store.aged(-60) == named([b"object"]).keys()


# --- processes


def test_two_processes_lose_no_increment(path):
    program = """
    import time
    from anabranch.testing.store_suite import increment
    ready, other = map(Path, sys.argv[2:])
    ready.touch()
    while not other.exists():
        time.sleep(0.001)
    with SqliteStore(Path(sys.argv[1])) as store:
        print(sum(increment(store, "counter") for _ in range(500)))
    """
    a, b = path.with_name("a"), path.with_name("b")
    processes = [start(program, path, a, b), start(program, path, b, a)]  # on a file that neither finds
    tries = [int(finish(process)) for process in processes]
    with SqliteStore(path) as store:
        assert store.read(["counter"]) == {"counter": b"1000"}
    assert sum(tries) >= 1000


def test_a_forked_child_opens_its_own(path):
    program = """
    import threading
    from anabranch.testing.store_suite import increment
    store = SqliteStore(Path(sys.argv[1]))
    store.swap({}, {"counter": b"0"})
    stop = threading.Event()
    def work():
        while not stop.is_set():
            increment(store, "threads")
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    children = []
    for _ in range(4):
        child = os.fork()
        if not child:
            for _ in range(50):
                increment(store, "counter")
            store.close()
            os._exit(0)
        children.append(child)
        increment(store, "counter")
    stop.set()
    for thread in threads:
        thread.join()
    store.close()  # the log goes with its last user, and the children may still be at it
    print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    """
    assert finish(start("import warnings; warnings.simplefilter('ignore')\n" + textwrap.dedent(program), path)) == (
        "[0, 0, 0, 0]\n"
    )
    with SqliteStore(path) as store:
        assert store.read(["counter"]) == {"counter": b"204"}


def test_the_clock_is_handed_in(path):
    now = [100.0]
    objects = named([b"1"])
    with SqliteStore(path, clock=lambda: now[0]) as store:
        store.put(objects)
        now[0] = 110
        assert store.now() == 110
        assert store.aged(10) == set(), "more than ten seconds"
        assert store.aged(9.9) == objects.keys()


def test_names(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with SqliteStore(Path("state.db")) as store:
        assert store.place == "state.db"
        assert repr(store) == "SqliteStore('state.db')"
        monkeypatch.chdir("/")
        assert store.swap({}, {"a": b"1"})
    assert path.exists()
