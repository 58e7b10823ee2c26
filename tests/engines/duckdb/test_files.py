"""A database file of DuckDB: where it is, who may use it, and a disk that is full."""

import json
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.engines.duckdb.warehouses import finish, made, refused, start, use

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import WarehouseUnavailable
from anabranch.testing.engine_helpers import at, rows

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
