"""The cache: it only makes things faster, whatever becomes of its file."""

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from tests.loaders.projects import loader

from anabranch.loaders.cache import DAY, KEPT_FOR, TOUCHED_AFTER, VERSION, ParseCache
from anabranch.loaders.files import Known, Stamp

FILES = {"models/a.sql": "select 1 as x", "models/b.sql": "from a", "seeds/s.csv": "x\n1\n"}
KNOWN = {"models/a.sql": Known(Stamp(1, 2, 3, 4), "hash", 5)}
ROOT = Path("/somewhere/project")


def count(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    found = connection.execute(f"select count(*) from {table}").fetchone()[0]
    connection.close()
    return int(found)


def test_it_keeps_what_it_learns(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "cache.db"
    cache = ParseCache(path)
    assert cache.files(ROOT) == {}
    cache.learn(ROOT, KNOWN, [], {"k": "v", "l": "w"})
    for each in (cache, ParseCache(path)):
        assert each.files(ROOT) == KNOWN
        assert each.files(Path("/somewhere")) == {f"project/{p}": k for p, k in KNOWN.items()}
        assert each.files(Path("/somewhere/proj")) == {}
        assert each.parsed({"k", "x"}) == {"k": "v"}
    cache.learn(ROOT, {}, ["models/a.sql"], {})
    assert cache.files(ROOT) == {}
    assert cache.parsed({"l"}) == {"l": "w"}


def test_it_takes_any_number_of_keys(tmp_path: Path) -> None:
    cache = ParseCache(tmp_path / "c.db")
    values = {str(i): str(i) for i in range(3000)}
    cache.learn(ROOT, {}, [], values)
    assert cache.parsed(values.keys()) == values


def test_without_a_file_nothing_is_kept() -> None:
    cache = ParseCache(None)
    cache.learn(ROOT, KNOWN, [], {"k": "v"})
    assert cache.files(ROOT) == {}
    assert cache.parsed({"k"}) == {}


def damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("this is no database, and long enough to tell\n" * 100)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif how == "overwritten":
        data = bytearray(path.read_bytes())
        data[2000:9000] = b"\xa5" * 7000
        path.write_bytes(bytes(data))
    else:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.executescript(how)
        connection.close()


DAMAGES = [
    "gone", "empty", "text", "cut", "overwritten", "PRAGMA user_version = 99", "DROP TABLE parsed", "DROP TABLE file",
    "UPDATE parsed SET value = '[]'", "UPDATE parsed SET value = '{nonsense'", "UPDATE parsed SET value = x'ff'",
]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_made_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "cache.db"
    before = loader(tmp_path, FILES, cache=path).load()
    damage(path, how)
    assert loader(tmp_path, cache=path).load() == before
    assert loader(tmp_path, cache=path).load() == before
    assert loader(tmp_path, cache=path).digest() == before.digest
    assert count(path, "parsed") >= 2
    assert count(path, "file") == 3


@pytest.mark.parametrize("how", ["gone", "text", "empty"])
def test_it_may_be_damaged_while_it_is_open(tmp_path: Path, how: str) -> None:
    path = tmp_path / "cache.db"
    project = loader(tmp_path, FILES, cache=path)
    before = project.load()
    damage(path, how)
    assert project.load() == before
    changed = loader(tmp_path, {"models/a.sql": "select 2 as x"}, cache=path)
    assert changed.load().digest != before.digest
    assert project.load() == changed.load()


def test_a_place_that_cant_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "cache.db", tmp_path):
        project = loader(tmp_path / "p", FILES, cache=path)
        assert len(project.load().assets) == 3
        assert project.digest() == project.load().digest


def test_a_file_that_cant_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache.db"
    before = loader(tmp_path, FILES, cache=path).load()
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda p, **k: real(f"file:{p}?mode=ro", uri=True, **k))
    cache = ParseCache(path)
    assert len(cache.files(tmp_path)) == 3
    assert loader(tmp_path, {"models/c.sql": "select 3 as x"}, cache=path).load().digest != before.digest
    monkeypatch.undo()
    assert count(path, "file") == 3


def test_a_file_that_another_holds_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anabranch.loaders.cache.PATIENCE", 0.01)
    path = tmp_path / "cache.db"
    ParseCache(path).files(ROOT)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    project = loader(tmp_path, FILES, cache=path)
    assert len(project.load().assets) == 3
    other.execute("ROLLBACK")
    other.close()
    assert count(path, "parsed") == 0
    project.digest()
    assert count(path, "file") == 3


def test_what_nobody_uses_is_dropped_and_what_is_used_stays(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    day = 1000
    cache = ParseCache(path, lambda: day * DAY)
    cache.learn(ROOT, {}, [], {"used": "a", "idle": "b"})
    for _ in range(10):
        day += 10
        assert cache.parsed({"used"}) == {"used": "a"}
    assert count(path, "parsed") == 2
    cache.learn(ROOT, {}, [], {"new": "c"})
    assert cache.parsed({"used", "idle", "new"}) == {"used": "a", "new": "c"}
    assert KEPT_FOR > 2 * TOUCHED_AFTER


def test_a_command_that_learns_nothing_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    later = [0]

    def now() -> int:
        import time

        return time.time_ns() + later[0]

    loader(tmp_path, FILES, cache=path, now=now).load()
    later[0] = 3_000_000_000
    loader(tmp_path, FILES, cache=path, now=now).load()
    before = path.read_bytes()
    loader(tmp_path, cache=path, now=now).load()
    loader(tmp_path, cache=path, now=now).digest()
    assert path.read_bytes() == before


def _load(root: str, number: int) -> str:
    path = Path(root)
    for i in range(5):
        fresh = path / f"fresh_{number}"
        fresh.write_text(f"select {number + i} as x")
        fresh.rename(path / "models" / f"own_{number}.sql")  # in one step: the others are reading
        loader(path, cache=path / "cache.db").load()
    return loader(path, cache=path / "cache.db").load().digest


def test_processes_share_it(tmp_path: Path) -> None:
    files = {f"models/m{i}.sql": f"select {i} as x" for i in range(50)}
    loader(tmp_path, files)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        pool.starmap(_load, [(str(tmp_path), i) for i in range(4)])
    final = loader(tmp_path, cache=tmp_path / "cache.db").load()
    assert final == loader(tmp_path).load()
    assert len(final.assets) == 54
    connection = sqlite3.connect(tmp_path / "cache.db")
    assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
    assert connection.execute("pragma user_version").fetchone() == (VERSION,)
    connection.close()


def test_other_settings_have_other_entries(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    one = loader(
        tmp_path,
        {"models/s/a.sql": "from b", "models/s/b.sql": "select 1 as x", "models/t/b.sql": "select 2 as x"},
        cache=path,
        default_schema="s",
    ).load()
    other = loader(tmp_path, cache=path, default_schema="t").load()
    assert {u for s in one.assets.values() for u in s.upstreams} == {"s.b"}
    assert {u for s in other.assets.values() for u in s.upstreams} == {"t.b"}


def test_another_version_of_the_parser_parses_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache.db"
    before = loader(tmp_path, FILES, cache=path).load()
    monkeypatch.setattr("anabranch.loaders.native.parser_version", lambda: "another")
    after = loader(tmp_path, cache=path).load()
    assert after.assets == before.assets
    assert after.digest != before.digest
    assert count(path, "parsed") == 2 * 5  # two models, their analyses, and the columns of a seed


def test_two_projects_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.db"
    one = loader(tmp_path / "one", FILES, cache=path).load()
    other = loader(tmp_path / "other", {**FILES, "models/a.sql": "select 2 as x"}, cache=path).load()
    assert loader(tmp_path / "one", cache=path).load() == one
    assert loader(tmp_path / "other", cache=path).load() == other
