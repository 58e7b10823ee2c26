"""A folder of ClickHouse that another process, another engine or another thread uses; and processes that are killed."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent, indent

import pytest
from tests.engines.clickhouse.houses import NEEDED, embedded, finish, made, start

from anabranch.errors import WarehouseBusy, WarehouseError, WarehouseUnavailable
from anabranch.testing.engine_helpers import SMALL, at, text

pytestmark = NEEDED

HOLD = """
with engine.session():
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "warehouse"


@pytest.fixture
def held(path):
    """Another process holds the folder: its number."""
    process = start(HOLD, made(path))
    assert process.stdout
    yield int(process.stdout.readline())
    process.kill()
    process.communicate()


def use(engine, *, read_only=False):
    with engine.session(read_only=read_only) as session:
        return session.count(at("small"))


# --- processes


def test_another_process_holds_it(path, held, capfd):
    told: list[str] = []
    engine = embedded(path, patience=0.6, on_wait=told.append)
    for read_only in (True, False):
        began = time.monotonic()
        with pytest.raises(WarehouseBusy) as caught:
            use(engine, read_only=read_only)
        assert 0.5 < time.monotonic() - began < 5
        assert caught.value.message.startswith(f"{path} is held by process {held} (")
        assert "wait until it is done" in str(caught.value.hint)
    assert len(told) == 2, "once for each time that it waits"
    os.kill(held, signal.SIGKILL)
    assert use(embedded(path, patience=5)) == 2, "who was killed holds nothing"
    engine.close()
    assert capfd.readouterr().err == "", "ClickHouse itself says nothing to the terminal"


def test_processes_take_turns(path):
    made(path)
    program = """
    for number in range(5):
        with engine.session() as session:
            session.create_table(Relation("suite", f"t{sys.argv[2]}_{number}"), "SELECT 1 AS id")
        engine.close()
    print("done")
    """
    processes = [start(program, path, name) for name in "abc"]
    assert [finish(p) for p in processes] == ["done\n"] * 3
    engine = embedded(path)
    with engine.session() as session:
        assert len(session.find(["suite"])) == 16
    engine.close()


def test_stopping_ends_the_waiting_for_another_process(path, held):
    engine = embedded(path, patience=60)
    outcome = []

    def work():
        try:
            use(engine)
        except WarehouseError as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    engine.interrupt()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert isinstance(outcome[0], WarehouseBusy)


def test_a_child_that_was_forked_is_refused(path):
    program = """
    for is_open in (True, False):
        with engine.session() as session:
            child = os.fork() if is_open else None
        if not is_open:
            engine.close()
            child = os.fork()
        if not child:
            signal.alarm(20)
            try:
                with engine.session():
                    print("opened", flush=True)
            except WarehouseError as error:
                print(error.message, flush=True)
            os._exit(0)  # as multiprocessing ends a child; chdb itself would wait for its threads at any other end
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with engine.session() as session:
        print(session.count(Relation("suite", "small")))
    """
    first, second, third = finish(start(program, made(path))).splitlines()
    assert "forked" in first
    assert "forked" in second
    assert third == "2", "the parent goes on"


# --- engines of one process


def test_two_engines_of_one_process_share_a_folder(path):
    one, other = (embedded(made(path) if n == 0 else path) for n in range(2))
    with one.session() as writer, other.session(read_only=True) as reader:
        writer.create_table(at("more"), SMALL)
        assert reader.count(at("more")) == 2
    one.close()
    assert use(other) == 2
    other.close()


def test_another_folder_is_opened_when_nobody_is_in_the_first(path, tmp_path):
    one = embedded(made(path))
    other = embedded(made(tmp_path / "other"), patience=0.2)
    assert [use(one), use(other), use(one)] == [2, 2, 2]
    with one.session():
        began = time.monotonic()
        with pytest.raises(WarehouseBusy, match="is in use by this process"):
            use(other)
        assert time.monotonic() - began < 2, "waiting for oneself would take forever"
        with (
            ThreadPoolExecutor(1) as threads,
            pytest.raises(WarehouseBusy, match="is held by this process, which uses"),
        ):
            threads.submit(use, other).result(20)
    one.close()
    other.close()


def test_what_somebody_else_opened_with_chdb_is_told(path, tmp_path, capfd):
    import chdb

    foreign = chdb.connect(str(tmp_path / "foreign"))
    engine = embedded(path)
    with pytest.raises(WarehouseBusy, match=r"has ClickHouse open at .*foreign"):
        use(engine)
    foreign.close()
    use(embedded(made(path)))
    engine.close()


# --- what can't be opened


def test_what_is_no_folder_of_clickhouse_is_told_and_left_as_it_is(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("mine")
    for name, said in (
        ("file", "is a file"),
        ("mine", "holds other files"),
        ("no/folder", "doesn't exist"),
        ("why?", "question mark"),
    ):
        with pytest.raises(WarehouseUnavailable, match=said) as caught:
            use(embedded(tmp_path / name))
        assert caught.value.hint
    with pytest.raises(WarehouseUnavailable, match="doesn't exist"):
        use(embedded(tmp_path / "nothing"), read_only=True)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "letter", "mine"]


@pytest.mark.parametrize("name", ["with space", "per%cent", "ünï", "it's", "a&b=c", "100%25", "a#b"])
def test_odd_folder_names(tmp_path, name):
    made(tmp_path / name)
    assert (tmp_path / name / "metadata").is_dir()
    assert [p.name for p in tmp_path.iterdir()] == [name]
    engine = embedded(tmp_path / name)
    assert use(engine) == 2
    engine.close()


@pytest.mark.parametrize(
    "settings", [{"no_such_setting": "1"}, {"session_timezone": "Asia/Tokyo"}, {"max_threads": "many"}]
)
def test_a_setting_that_cannot_be_is_refused(path, settings):
    engine = embedded(path, settings=settings)
    with pytest.raises(WarehouseError) as caught, engine.session():
        pass
    assert next(iter(settings)) in caught.value.message or "many" in caught.value.message
    engine.close()
    assert use(embedded(made(path), settings={"max_threads": "1"})) == 2


# --- killed

WORK = {
    "create": 'session.create_table(Relation("suite", "new"), "SELECT number AS id, cityHash64(number) AS h FROM numbers(3000000)")',
    "clone": 'session.clone(Relation("suite", "big"), Relation("suite", "new"))',
    "replace": """
        from anabranch.ports.cloning import Cloning
        session.clone(Relation("suite", "big"), Relation("suite", "old"), Cloning(replace=True))""",
    "load": """
        import pyarrow
        part = pyarrow.table({"id": range(100000)})
        session.load_arrow(Relation("suite", "new"), [part] * 10, {"id": "Int64"})""",
    "point": 'session.point({Relation("suite", f"v{n}"): Relation("suite", "big") for n in range(100)})',
    "swap": 'for _ in range(100): session.swap(Relation("suite", "big"), Relation("suite", "old"))',
    "schemas": """
        for _ in range(20):
            session.create_schemas(["more"])
            session.drop_schemas(["more", "suite"])""",
    "drop": 'session.drop([Relation("suite", "big"), Relation("suite", "old")])',
}
WHOLE = {"create": {3000000}, "clone": {1000000}, "replace": {2, 1000000}, "load": {1000000}}


@pytest.mark.crash
@pytest.mark.parametrize("work", WORK)
def test_a_process_killed_at_any_moment_leaves_tables_whole_or_not_there(path, work):
    engine = embedded(path, patience=20)
    chance = random.Random(work)
    longest = 0.3
    killed = 0
    for _ in range(6):
        with engine.session() as session:
            session.create_schemas(["suite"])
            session.drop([f.relation for f in session.find(["suite"])])
            session.create_table(at("big"), "SELECT number AS id FROM numbers(1000000)")
            session.create_table(at("old"), SMALL)
        engine.close()
        work_of_it = indent(dedent(WORK[work]), "    ")
        process = start(f"with engine.session() as session:\n    print(flush=True)\n{work_of_it}", path)
        assert process.stdout
        process.stdout.readline()
        time.sleep(chance.random() * longest)
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.communicate()
        with engine.session() as session:
            found = {f.relation.name: f for f in session.find(["suite"])}
            tables = [name for name, f in found.items() if not f.is_view]
            assert set(tables) <= {"big", "old", "new"}, "what wasn't ended is seen by nobody"
            sizes = {name: session.count(at(name)) for name in tables}
            if work in ("create", "clone", "load"):
                assert sizes.get("new", min(WHOLE[work])) in WHOLE[work]
            if work == "replace":
                assert sizes["old"] in WHOLE[work]
            if work == "swap":
                assert sorted(sizes.values()) == [2, 1000000]
            if work not in ("drop", "swap"):
                assert sizes["big"] == 1000000
            for target in session.targets(["suite"]).values():
                assert target == at("big")
            left = session.query(
                "SELECT count() FROM system.tables WHERE name LIKE 'anabranch\\\\_\\\\_spare%' OR name LIKE '\\\\_tmp%'"
            )
            assert left.rows == [(0,)], "and gone when the folder is opened again"
            assert set(session.schemas()) <= {"default", "suite", "more"}
            assert session.query("SELECT count() FROM system.databases WHERE name LIKE 'anabranch%'").rows == [(0,)]
        engine.close()
        longest = longest if killed else longest / 2
    assert killed, "nobody was killed while at work"


def test_rows_that_a_thread_reads_stay_while_another_drops_the_table(path):
    import pyarrow

    engine = embedded(path)
    with engine.session() as writer, engine.session(read_only=True) as reader:
        writer.create_schemas(["suite"])
        writer.create_table(at("big"), "SELECT number AS id FROM numbers(1000000)")
        stream = reader.read_arrow(f"SELECT * FROM {text(reader, at('big'))}", 1000)
        writer.drop([at("big")])
        assert pyarrow.table(stream).num_rows == 1000000
        assert writer.find(["suite"]) == []
    engine.close()


def test_what_is_dropped_takes_no_place(path):
    from tests.engines.clickhouse.houses import stored

    engine = embedded(path)
    with engine.session() as session:
        session.create_schemas(["suite"])
        before = stored(path)
        session.create_table(at("big"), "SELECT cityHash64(number) AS id FROM numbers(1000000)")
        assert stored(path) - before > 4_000_000
        session.drop([at("big")])
        deadline = time.monotonic() + 10
        while stored(path) - before > 100_000 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert stored(path) - before < 100_000
    engine.close()


def test_the_session_goes_on_after_an_error_amid_an_answer(path):
    """ClickHouse's package would give what had been written by then with the next answer."""
    engine = embedded(path)
    with engine.session() as session:
        for _ in range(3):
            with pytest.raises(WarehouseError, match="throwIf"):
                session.query("SELECT throwIf(number = 900000) FROM numbers(1000000)")
            with pytest.raises(WarehouseError):
                session.execute("SELECT throwIf(number = 900000) FROM numbers(1000000)")
            assert session.query("SELECT 1 AS a").rows == [(1,)]
        with pytest.raises(WarehouseError) as caught:
            session.query("SELECT throwIf(1, '\\xe9')")
        assert caught.value.message, "though it isn't UTF-8"
    engine.close()
