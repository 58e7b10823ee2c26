"""What can be wrong with the file."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.stores.programs import finish, made, start

from anabranch.errors import StateTooNew, StateUnavailable
from anabranch.stores.sqlite import SqliteStore
from anabranch.testing.store_suite import named


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def refusal(store: SqliteStore) -> StateUnavailable:
    with store, pytest.raises(StateUnavailable) as caught:
        store.swap({}, {"a": b"2"})
    assert caught.value.hint
    assert store.place in caught.value.message
    return caught.value


def test_locked_for_too_long(path):
    made(path)
    with sqlite3.connect(path, isolation_level=None) as connection, SqliteStore(path, patience=0.05) as store:
        connection.execute("BEGIN IMMEDIATE")
        assert store.read(["a"]) == {"a": b"1"}, "readers go on"
        with pytest.raises(StateUnavailable, match=r"locked by another process for 0\.05 s") as caught:
            store.swap({}, {"a": b"2"})
        assert "fuser" in str(caught.value.hint)
        connection.execute("ROLLBACK")
        assert store.swap({}, {"a": b"2"})
    connection.close()


def as_somebody_else(path: Path, call: str) -> dict[str, str]:
    """What ``call`` on the store raises where permissions hold: root is held by none."""
    program = f"""
    from anabranch.errors import StateUnavailable
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    store = SqliteStore(Path(sys.argv[1]))
    try:
        {call}
    except StateUnavailable as error:
        print(json.dumps({{"message": error.message, "hint": error.hint}}))
    """
    return dict(json.loads(finish(start(program, path))))


@pytest.fixture
def reachable(path):
    """The path, with the folders above it open to everybody."""
    for folder in path.parents:
        if folder.name.startswith("pytest-of-") or not folder.stat().st_mode & 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


def test_a_read_only_file(reachable):
    made(reachable).chmod(0o444)
    reachable.parent.chmod(0o777)
    said = as_somebody_else(reachable, "assert store.read(['a']) == {'a': b'1'}; store.swap({}, {'a': b'2'})")
    assert said["message"] == f"{reachable} is read-only"
    assert f"chmod u+w {reachable}" in said["hint"]


def test_a_read_only_folder(reachable):
    made(reachable).chmod(0o666)
    reachable.parent.chmod(0o555)
    said = as_somebody_else(reachable, "store.swap({}, {'a': b'2'})")
    assert f"files can't be made in {reachable.parent}" in said["message"]
    assert f"chmod u+rwx {reachable.parent}" in said["hint"]


def test_a_file_that_may_not_be_read(reachable):
    made(reachable).chmod(0o000)
    reachable.parent.chmod(0o777)
    said = as_somebody_else(reachable, "store.read(['a'])")
    assert said["message"] == f"{reachable} may not be read"


def test_a_folder_that_may_not_be_made(reachable):
    reachable.parent.chmod(0o555)
    said = as_somebody_else(reachable / "deeper" / "state.db", "store.read(['a'])")
    assert f"the folder {reachable / 'deeper'} can't be (Permission denied)" in said["message"]


def test_a_folder_below_a_file(path):
    path.write_text("")
    assert "can't be made" in refusal(SqliteStore(path / "state.db")).message


def test_a_folder_in_its_place(path):
    path.mkdir()
    assert refusal(SqliteStore(path)).message == f"{path} is a folder"


def test_not_a_database(path):
    path.write_text("state: here\n" * 100)
    assert refusal(SqliteStore(path)).message == f"{path} is not an SQLite database"
    assert path.read_text() == "state: here\n" * 100


def test_an_empty_file_becomes_a_store(path):
    path.touch()
    assert made(path).stat().st_size


def test_the_database_of_something_else(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE cells (name)")
    connection.close()
    before = path.read_bytes()
    assert "of something else" in refusal(SqliteStore(path)).message
    assert path.read_bytes() == before


def test_a_damaged_file(path):
    with SqliteStore(path) as store:
        store.swap({}, {f"cell/{n}": b"x" * 500 for n in range(200)})
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with SqliteStore(path) as store, pytest.raises(StateUnavailable, match="is damaged") as caught:
        store.scan("")
    assert "backup" in str(caught.value.hint)


def test_a_table_that_was_dropped(path):
    with sqlite3.connect(made(path)) as connection:
        connection.execute("DROP TABLE cells")
    connection.close()
    assert "no such table" in refusal(SqliteStore(path)).message


def test_a_full_disk(path, monkeypatch):
    with SqliteStore(made(path)) as store:
        with store._pool.use() as connection:
            connection.sql.execute("PRAGMA max_page_count = 30")
        with pytest.raises(StateUnavailable, match="the disk is full") as caught:
            store.put(named([b"x" * 500_000]))
        assert str(path.parent) in str(caught.value.hint)
        assert store.swap({"a": b"1"}, {"a": b"2"})


def test_a_newer_version(path):
    made(path)
    with SqliteStore(path) as opened_before:
        assert opened_before.read(["a"]) == {"a": b"1"}
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
            connection.execute("UPDATE about SET written_by = '9.9.9'")
        connection.close()
        for store in (opened_before, SqliteStore(path)):
            with store, pytest.raises(StateTooNew, match=r"written by Anabranch 9\.9\.9, in format 99") as caught:
                store.swap({"a": b"1"}, {"a": b"2"})
            assert "install Anabranch 9.9.9 or newer" in str(caught.value.hint)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT value FROM cells").fetchall() == [(b"1",)]
        connection.execute("DROP TABLE about")
    connection.close()
    with SqliteStore(path) as store, pytest.raises(StateTooNew, match="written by a newer Anabranch"):
        store.read(["a"])


def test_a_file_that_disappears_is_not_begun_anew_behind_your_back(path):
    with SqliteStore(made(path)) as store:
        assert store.read(["a"]) == {"a": b"1"}
        for file in path.parent.iterdir():
            file.unlink()
        with pytest.raises(StateUnavailable, match="has disappeared"):
            store.swap({}, {"a": b"2"})
        assert not path.exists()


def test_a_file_put_in_its_place_is_noticed(path):
    backup = made(path.with_name("backup.db"))
    with SqliteStore(path) as store:
        assert store.swap({}, {"a": b"later"})
        backup.replace(path)
        with pytest.raises(StateUnavailable, match="has been replaced"):
            store.swap({}, {"a": b"2"})
