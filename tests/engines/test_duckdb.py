import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import duckdb
import pytest

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError, WarehouseUnavailable
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SMALL, OpenEngine, at, rows
from anabranch.testing.engine_suite import EngineSuite

SLOW = "SELECT a.range AS a, hash(a.range + b.range) AS b FROM range(1000000) AS a, range(1000000) AS b"
NOBODY = 65534
BEGIN = """
import csv, json, os, resource, signal, socket, sys, time
from pathlib import Path
import duckdb
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import WarehouseError
from anabranch.ports.engine import Relation, transaction

def said(call):
    try:
        call()
    except WarehouseError as error:
        print(json.dumps({"type": type(error).__name__, "message": error.message, "hint": error.hint}))
    else:
        print(json.dumps({}))

def become_somebody_else():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

path = Path(sys.argv[1])
engine = DuckDBEngine(path, patience=5)
"""


class TestDuckDB(EngineSuite):
    arrow_types: ClassVar[Mapping[str, str]] = {
        **EngineSuite.arrow_types,
        "UBIGINT": "CAST(18446744073709551615 AS UBIGINT)",
        "DECIMAL(38, 10)": "CAST('1234567890123456789012345678.0123456789' AS DECIMAL(38, 10))",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ '2020-02-29 12:34:56.789+02'",
        "TIMESTAMP_NS": "TIMESTAMP_NS '2020-02-29 12:34:56.789012345'",
        "TIME": "TIME '23:59:59.999999'",
        "UUID": "UUID '4ac7a9e9-607c-4c8a-84f3-843f0191e3fd'",
        "BLOB": r"'\x00\xFF'::BLOB",
        "INTEGER[]": "[1, NULL, 3]",
        "VARCHAR[][]": "[['a'], []]",
        "STRUCT(a INTEGER, b VARCHAR[])": "{'a': 1, 'b': ['x']}",
        "MAP(VARCHAR, INTEGER)": "MAP {'k': 1}",
        "ENUM('x', 'y')": "'y'::ENUM('x', 'y')",
        "INTERVAL": "INTERVAL '1 month 2 days 3 seconds'",
    }
    slow_query = SLOW
    same_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.same_values,
        ("[1, NULL, 2]", "list_concat([1], [NULL, 2])"),
        ("'NaN'::DOUBLE", "'NaN'::DOUBLE"),
        ("{'a': 1}", "struct_pack(a := 1)"),
        ("'a'::ENUM ('a', 'b')", "'a'::ENUM ('a', 'b')"),
    )
    different_values: ClassVar[tuple[tuple[str, str], ...]] = (
        *EngineSuite.different_values,
        ("[]::INTEGER[]", "NULL::INTEGER[]"),
        ("[NULL]::INTEGER[]", "NULL::INTEGER[]"),
        ("[NULL]::INTEGER[]", "[]::INTEGER[]"),
        ("[[1], [2]]", "[[1, 2]]"),
        ("[['a'], ['b']]", "[['a', 'b']]"),
        ("['a, b']", "['a', 'b']"),
        ("['NULL']", "[NULL]::VARCHAR[]"),
        ("['']", "[]::VARCHAR[]"),
        ("{'a': 1}", "{'b': 1}"),
        ("{'a': NULL::INTEGER}", "NULL::STRUCT(a INTEGER)"),
        ("{'a': 'x, ''b'': y'}", "{'a': 'x'}"),
        ("{'a': 0.0::DOUBLE}", "{'a': -0.0::DOUBLE}"),
        ("[INTERVAL 1 MONTH]", "[INTERVAL 30 DAYS]"),
        ("INTERVAL 1 DAY", "INTERVAL 24 HOURS"),
        ("MAP {'a': 1}", "MAP {'a': 2}"),
        ("MAP {1: 2, 3: 4}", "MAP {1: 4, 3: 2}"),
        ("union_value(a := 1)::UNION(a INTEGER, b INTEGER)", "union_value(b := 1)::UNION(a INTEGER, b INTEGER)"),
        ("[[1, 2], [3]]", "[[1], [2, 3]]"),
        ("0.0::FLOAT", "-0.0::FLOAT"),
        ("'a'", "'a' || chr(0)"),
        ("''::BLOB", "NULL::BLOB"),
        ("'1'::BIT", "'01'::BIT"),
        ("1.5::DECIMAL(4, 1)", "1.5::DECIMAL(5, 1)"),
        ("1::HUGEINT", "1::UHUGEINT"),
        ("'2020-01-01'::TIMESTAMP", "'2020-01-01'::TIMESTAMP_NS"),
        ("'{}'::JSON", "'{}'::VARCHAR"),
    )
    odd_columns: ClassVar[Mapping[str, str]] = {
        **EngineSuite.odd_columns,
        "huge": "170141183460469231731687303715884105727::HUGEINT",
        "unsigned": "1::UTINYINT",
        "list": "[1, 2]",
        "array": "[1, 2]::INTEGER[2]",
        "struct": "{'a': 1, 'B c': [{'d': DATE '2020-01-01'}]}",
        "map": "MAP {'k': 1.5}",
        "enum": "'x'::ENUM ('x', 'y z', 'it''s')",
        "moment_tz": "TIMESTAMPTZ '2020-02-29 12:00:00+00'",
        "moments_tz": "[TIMESTAMPTZ '2020-02-29 12:00:00+00']",
        "moment_ns": "'2020-02-29 12:00:00.123456789'::TIMESTAMP_NS",
        "time_tz": "TIMETZ '12:00:00+02'",
        "span": "INTERVAL 3 MONTH",
        "blob": "'\\xAA'::BLOB",
        "uuid": "'5fd0dfd2-4c2b-4ea1-a5e4-dbb1b1c9a1d5'::UUID",
        "bits": "'0101'::BIT",
        "union": "union_value(number := 1)",
    }

    @pytest.fixture
    def open_engine(self, tmp_path) -> OpenEngine:
        return lambda: DuckDBEngine(tmp_path / "warehouse.duckdb", patience=5)


class TestDuckDBNamedAsItsSchema(TestDuckDB):
    """In suite.duckdb a schema "suite" is ambiguous."""

    @pytest.fixture
    def open_engine(self, tmp_path) -> OpenEngine:
        return lambda: DuckDBEngine(tmp_path / "suite.duckdb", patience=5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def reachable(path: Path) -> Path:
    """The path, with the folders above it open to everybody."""
    for folder in path.parents:
        if folder.name.startswith("pytest-of-") or not folder.stat().st_mode & 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


def made(path: Path) -> Path:
    engine = DuckDBEngine(path)
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_table(at("small"), SMALL)
    engine.close()
    return path


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, str]:
    """What the program said last."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return dict(json.loads(output.splitlines()[-1]))


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process holds the database: its number."""
    process = start("with engine.session():\n    print(flush=True)\n    time.sleep(60)", path)
    assert process.stdout
    assert process.stdout.readline() == "\n"
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def refused(call: Callable[[], object]) -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        call()
    assert caught.value.hint
    return caught.value


def use(engine: DuckDBEngine, *, read_only: bool = False) -> int:
    with engine.session(read_only=read_only) as session:
        return session.count(at("small"))


# --- where it is


@pytest.mark.parametrize("read_only", [True, False])
def test_a_folder_that_is_missing(tmp_path, read_only):
    path = tmp_path / "nowhere" / "x.duckdb"
    error = refused(lambda: use(DuckDBEngine(path), read_only=read_only))
    assert isinstance(error, WarehouseUnavailable)
    assert error.message == f"{path} doesn't exist"
    assert error.hint == "check warehouse.database in anabranch.yaml"
    assert not path.parent.exists()


def test_reading_a_file_that_is_missing_does_not_make_it(path):
    engine = DuckDBEngine(path)
    assert not engine.exists()
    assert engine.size() == 0
    error = refused(lambda: use(engine, read_only=True))
    assert error.message == f"{path} doesn't exist"
    assert not path.exists()


@pytest.mark.parametrize("content", [b"", b"id,name\n" * 1000, b"\0" * 8192], ids=["empty", "text", "zeros"])
@pytest.mark.parametrize("name", ["x.duckdb", "blocks and locks, PID 12.duckdb"])
def test_not_a_database(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    began = time.monotonic()
    for read_only in (True, False):
        error = refused(partial(use, DuckDBEngine(path), read_only=read_only))
        assert isinstance(error, WarehouseUnavailable)
        assert error.message == f"{path} is not a DuckDB database"
    assert time.monotonic() - began < 5, "nothing to wait for"
    assert path.read_bytes() == content


def test_a_folder_in_its_place(path):
    path.mkdir()
    assert "can't be opened" in refused(lambda: use(DuckDBEngine(path))).message


@pytest.mark.parametrize("setting", [{"threads": "many"}, {"no_such_setting": "1"}, {"memory_limit": "a lot"}])
def test_settings_that_duckdb_refuses(path, setting):
    error = refused(lambda: use(DuckDBEngine(path, settings=setting)))
    assert isinstance(error, WarehouseUnavailable)
    assert "can't be opened" in error.message
    assert error.hint == "check warehouse in anabranch.yaml"


def test_settings_are_set(path):
    engine = DuckDBEngine(made(path), settings={"threads": "1", "memory_limit": "100MB"})
    with engine.session() as session:
        assert session.query("SELECT current_setting('threads')").rows == [(1,)]
    engine.close()


def test_size_counts_the_log_too(path):
    engine = DuckDBEngine(made(path))
    before = engine.size()
    assert before == path.stat().st_size
    with engine.session() as session:
        session.create_table(at("more"), "SELECT range AS id FROM range(1000)")
        log = path.with_name(path.name + ".wal")
        assert engine.size() == path.stat().st_size + log.stat().st_size
        assert log.stat().st_size
    engine.close()


# --- held by others


def test_another_process_holds_it(path):
    told: list[str] = []
    with held(made(path)) as number:
        engine = DuckDBEngine(path, patience=0.6, on_wait=told.append)
        for read_only in (True, False):
            began = time.monotonic()
            error = refused(partial(use, engine, read_only=read_only))
            assert isinstance(error, WarehouseBusy)
            assert error.message.startswith(f"{path} is held by process {number} (")
            assert "python" in error.message
            assert error.hint
            assert "wait until it is done" in error.hint
            assert 0.5 < time.monotonic() - began < 3
        assert len(told) == 2, "once for each time that it waits"
        assert told[0].startswith(f"process {number} (")
    assert use(engine) == 2
    assert len(told) == 2
    engine.close()


def test_a_session_can_have_less_patience_than_the_engine(path):
    with held(made(path)):
        engine = DuckDBEngine(path, patience=60)
        began = time.monotonic()
        with pytest.raises(WarehouseBusy), engine.session(patience=0.1):
            pass
        assert time.monotonic() - began < 2


def test_it_is_used_as_soon_as_the_other_is_done(path):
    told: list[str] = []
    process = start("with engine.session():\n    print(flush=True)\n    time.sleep(0.5)", made(path))
    assert process.stdout
    process.stdout.readline()
    engine = DuckDBEngine(path, patience=30, on_wait=told.append)
    assert use(engine) == 2
    assert len(told) == 1
    engine.close()
    process.communicate()


def test_a_process_that_was_killed_holds_nothing(path):
    with held(made(path)):
        pass
    assert use(DuckDBEngine(path, patience=0)) == 2


def test_readers_share_it(path):
    made(path)
    process = start("with engine.session(read_only=True):\n    print(flush=True)\n    time.sleep(30)", path)
    assert process.stdout
    process.stdout.readline()
    engine = DuckDBEngine(path, patience=0.1)
    assert use(engine, read_only=True) == 2
    engine.close()
    assert isinstance(refused(lambda: use(engine)), WarehouseBusy)
    process.kill()
    process.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_process_of_somebody_else_holds_it(reachable):
    made(reachable).chmod(0o666)
    reachable.parent.chmod(0o777)
    with held(reachable) as number:
        program = "engine = DuckDBEngine(path, patience=0.1)\nbecome_somebody_else()\nsaid(engine.session().__enter__)"
        answer = finish(start(program, reachable))
        assert answer["type"] == "WarehouseBusy"
        assert answer["message"].startswith(f"{reachable} is held by process {number}")


def test_stopping_ends_the_waiting_for_another_process(path):
    with held(made(path)):
        engine = DuckDBEngine(path, patience=60)
        outcome: list[BaseException] = []

        def work() -> None:
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


def test_a_stop_reaches_all_though_one_session_ends_just_then(path):
    """It is told to those that were open when it began; one of them may be gone by the time that it is its turn."""
    engine = DuckDBEngine(made(path))
    with engine.session() as gone, engine.session() as slow:
        gone._cursor.close()
        outcome: list[WarehouseError | None] = []

        def work() -> None:
            try:
                slow.query("SELECT max(hash(a.range + b.range)) FROM range(1000000) AS a, range(1000000) AS b")
            except WarehouseError as error:
                outcome.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        for _ in range(100):
            engine.interrupt()
            thread.join(0.1)
            if not thread.is_alive():
                break
        assert isinstance(outcome[0], StatementFailed)
    engine.close()


def test_one_thread_cannot_read_and_write_at_once(path):
    engine = DuckDBEngine(made(path), patience=60)
    began = time.monotonic()
    with engine.session(read_only=True), pytest.raises(WarehouseBusy, match="is being read by this process"):
        use(engine)
    assert time.monotonic() - began < 2, "waiting for oneself would take forever"
    assert use(engine) == 2
    engine.close()


# --- permissions


def test_a_read_only_file_can_be_read(reachable):
    made(reachable).chmod(0o444)
    program = """
    become_somebody_else()
    with engine.session(read_only=True) as session:
        assert session.count(Relation("suite", "small")) == 2
    engine.close()
    said(engine.session().__enter__)
    """
    said = finish(start(program, reachable))
    assert said == {
        "type": "WarehouseUnavailable",
        "message": f"{reachable} is read-only",
        "hint": "make it writable for this user (chmod u+w)",
    }


def test_a_file_that_may_not_be_read(reachable):
    made(reachable).chmod(0o000)
    for read_only in (True, False):
        said = finish(
            start(f"become_somebody_else()\nsaid(engine.session(read_only={read_only}).__enter__)", reachable)
        )
        assert said["type"] == "WarehouseUnavailable"
        assert said["message"] == f"{reachable} may not be read"
        assert "chmod u+rw" in said["hint"]


def test_a_folder_that_may_not_be_written(reachable):
    made(reachable).chmod(0o666)
    reachable.parent.chmod(0o555)
    before = reachable.read_bytes()
    program = """
    become_somebody_else()
    with engine.session(read_only=True) as session:
        assert session.count(Relation("suite", "small")) == 2
    engine.close()
    def write():
        with engine.session() as session:
            session.create_table(Relation("suite", "more"), "SELECT 1 AS id")
    said(write)
    """
    said = finish(start(program, reachable))
    assert said == {
        "type": "WarehouseUnavailable",
        "message": f"{reachable} lies in a folder that can't be written",
        "hint": "DuckDB keeps its log beside the database",
    }
    assert reachable.read_bytes() == before
    assert use(DuckDBEngine(reachable)) == 2


def test_a_new_file_in_a_folder_that_may_not_be_written(reachable):
    reachable.parent.chmod(0o555)
    said = finish(start("become_somebody_else()\nsaid(engine.session().__enter__)", reachable))
    assert said["message"] == f"{reachable} lies in a folder that can't be written"


# --- a full disk

FILL = """
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    def build():
        with engine.session() as session:
            limit = max(path.stat().st_size, 1) + int(sys.argv[2])
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            with transaction(session):
                session.drop([Relation("suite", "big")])
                session.create_table(Relation("suite", "big"), "SELECT range AS id, hash(range) AS h FROM range(3000000)")
    said(build)
    def again():
        with engine.session() as session:
            session.create_table(Relation("suite", "tiny"), "SELECT range AS id, hash(range) AS h FROM range(3000000)")
    said(again)
    engine.close()
    print(json.dumps({}))
"""


@pytest.mark.parametrize("room", [0, 100, 5_000, 300_000, 2_000_000, 9_000_000])
def test_a_file_that_may_grow_no_more(path, room):
    made(path)
    process = start(FILL, path, room)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    first, second, _ = (json.loads(line) for line in output.splitlines())
    for said in (first, second):
        assert said["type"] == "WarehouseUnavailable", said
        assert str(path) in said["message"]
        assert said["hint"]
    assert f"no space left for {path}" in first["message"]
    _is_whole(path)


def _is_whole(path: Path) -> None:
    engine = DuckDBEngine(path, patience=0)
    with engine.session() as session:
        assert {f.relation.name for f in session.find(["suite"])} == {"small"}
        assert rows(session, at("small")) == [(1, "one"), (2, "two")]
        session.create_table(at("more"), "SELECT range AS id FROM range(100000)")
    engine.close()
    with engine.session(read_only=True) as session:
        assert session.count(at("more")) == 100_000
    engine.close()


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk can't be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk(small_disk):
    path = made(small_disk / "warehouse.duckdb")
    engine = DuckDBEngine(path)
    with pytest.raises(WarehouseUnavailable, match="no space left") as caught, engine.session() as session:
        session.create_table(at("big"), "SELECT range AS id, hash(range) AS h FROM range(3000000)")
    assert caught.value.hint
    engine.close()
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)  # room was made
    _is_whole(path)


# --- revisions


def test_a_revision_is_none_right_after_a_write(path, monkeypatch):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
    engine.close()
    written = path.stat().st_mtime
    monkeypatch.setattr("anabranch.engines.duckdb.time.time", lambda: written + 0.01)
    assert engine.revision() is None
    monkeypatch.setattr("anabranch.engines.duckdb.time.time", lambda: written + 0.1)
    assert engine.revision() is not None


def test_a_revision_of_nothing(path):
    engine = DuckDBEngine(path)
    before = engine.revision()
    assert before is not None
    made(path)
    time.sleep(0.1)
    assert engine.revision() not in (None, before)


@pytest.fixture
def quick(tmp_path) -> Iterator[Path]:
    """A path where writing is quickest."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else tmp_path))
    yield folder / "warehouse.duckdb"
    shutil.rmtree(folder)


def test_revisions_are_never_equal_across_a_change(quick):
    engine = DuckDBEngine(made(quick))
    chance = random.Random(1)
    seen: dict[str, int] = {}
    written = 0

    def look() -> None:
        token = engine.revision()
        if token is not None:
            assert seen.setdefault(token, written) == written

    with engine.session() as session:
        session.execute("CREATE TABLE suite.counter (n INTEGER)")
        session.execute("INSERT INTO suite.counter VALUES (0)")
    deadline = time.monotonic() + 4
    while written < 5000 and time.monotonic() < deadline:
        with engine.session() as session:
            for _ in range(chance.choice((1, 1, 50))):
                session.execute("UPDATE suite.counter SET n = n + 1")
                written += 1
                look()
            if chance.random() < 0.2:
                session.execute("CHECKPOINT")
                look()
        if chance.random() < 0.2:
            engine.close()  # the file's size is as before, often
            look()
        if chance.random() < 0.3:
            time.sleep(chance.choice((0.001, 0.028, 0.032, 0.06)))
            look()
            look()
    assert written > 300
    assert len(seen) > 10
    engine.close()


# --- names


def test_a_schema_of_another_spelling_is_the_same(path):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.execute('CREATE SCHEMA "Sales"')
        session.execute('CREATE TABLE "Sales"."Orders" AS SELECT 1 AS id')
        session.execute('CREATE VIEW "Sales"."Own" AS SELECT 1 AS id')
        session.create_schemas(["sales"])
        session.point({Relation("sales", "p"): at("small")})
        found = session.find(["sales"])
        assert {f.relation for f in found} == {Relation("sales", n) for n in ("Orders", "Own", "p")}
        assert session.targets(["sales"]) == {Relation("sales", "p"): at("small"), Relation("sales", "Own"): None}
        for name, is_view in (("orders", False), ("own", True)):
            there = session.describe(Relation("sales", name))
            assert there is not None
            assert there.is_view is is_view
            assert bool(there.definition) is is_view
        session.drop_schemas(["sales", "Sales"])
        assert "Sales" in session.schemas()
    engine.close()


@pytest.mark.parametrize(
    "content",
    [
        "CREATE SEQUENCE mine.s",
        "CREATE TYPE mine.t AS ENUM ('a')",
        "CREATE MACRO mine.m(x) AS x + 1",
        "CREATE MACRO mine.m(x) AS TABLE SELECT x",
    ],
)
def test_a_schema_with_something_else_in_it_is_not_empty(path, content):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.create_schemas(["mine", "empty"])
        session.execute(content)
        session.begin()
        session.drop_schemas(["mine", "empty"])
        session.commit()
        assert "mine" in session.schemas()
        assert "empty" not in session.schemas()
    engine.close()


def test_a_pointer_into_another_database(path, tmp_path):
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 5 AS id")
    connection.close()
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.execute(f"ATTACH '{other}' AS other (READ_ONLY)")
        there = Relation("main", "t", "other")
        session.point({at("p"): there})
        assert session.targets(["suite"]) == {at("p"): there}
        assert rows(session, at("p")) == [(5,)]
        found = session.describe(there)
        assert found is not None
        assert found.columns == (("id", "INTEGER"),)
        session.execute("DETACH other")
    engine.close()


def test_everything_in_main(path):
    engine = DuckDBEngine(path)
    with engine.session() as session:
        session.create_table(Relation("main", "t"), SMALL)
        session.point({Relation("main", "p"): Relation("main", "t")})
        assert session.targets(["main"]) == {Relation("main", "p"): Relation("main", "t")}
        session.drop_schemas(["main"])
        assert "main" in session.schemas()
    engine.close()


def test_a_failure_tells_duckdbs_own_kind(path):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        for statement, kind in (
            ("SELECT * FROM nothing", "CatalogException"),
            ("SELECT nothing FROM suite.small", "BinderException"),
            ("SELECT", "ParserException"),
            ("SELECT CAST(name AS INTEGER) FROM suite.small", "ConversionException"),
        ):
            with pytest.raises(StatementFailed) as caught:
                session.query(statement)
            assert caught.value.kind == kind
    engine.close()
