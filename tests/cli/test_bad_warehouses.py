"""A warehouse or a state that is missing, held, read-only, full or of another version."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from inline_snapshot import snapshot
from tests.support.shop import with_room, without_privileges


@contextmanager
def held(path) -> Iterator[int]:
    program = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


@pytest.fixture
def change(applied):
    """Prod isn't what the files say."""
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    return applied


# --- missing


def test_a_warehouse_that_was_deleted(applied, anabranch):
    applied.database.unlink()
    refs = applied.cells("ref/")
    for arguments in (["apply", "prod", "--yes"], ["plan", "prod"], ["status", "prod"]):
        said = anabranch(*arguments)
        assert said.code == 1
        assert applied.plain(said.err) == snapshot("""\
✗ <root>/shop.duckdb doesn't exist, but prod is in it
  next: check warehouse.database in anabranch.yaml, or put the file back
""")
    assert anabranch("sql", "-e", "prod", "from marts.top").code == 1
    assert anabranch("doctor").code == 1
    assert not applied.database.exists()
    assert applied.cells("ref/") == refs


def test_a_source_in_a_warehouse_that_was_never_there(shop, anabranch):
    shop.database.unlink()
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert shop.plain(said.err) == snapshot("""\
✗ <root>/shop.duckdb doesn't exist, and raw.orders should be in it
  next: check warehouse.database in anabranch.yaml
""")
    assert not shop.database.exists()
    assert not shop.cells("ref/")


def test_a_folder_that_is_missing(shop, anabranch):
    shop.replace("anabranch.yaml", "database: shop.duckdb", "database: nowhere/shop.duckdb")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert shop.plain(said.err) == snapshot("""\
✗ <root>/nowhere/shop.duckdb doesn't exist, and raw.orders should be in it
  next: check warehouse.database in anabranch.yaml
""")


def test_a_warehouse_that_is_something_else(shop, anabranch):
    shop.database.write_text("id,name\n" * 1000)
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert shop.plain(said.err) == snapshot("""\
✗ <root>/shop.duckdb is not a DuckDB database
  next: check warehouse.database in anabranch.yaml
""")


# --- held by another process


@pytest.mark.in_place
def test_a_warehouse_that_another_process_holds(change, anabranch):
    change.replace("anabranch.yaml", "patience: 5s", "patience: 1s")
    refs = change.cells("ref/")
    with held(change.database) as number:
        said = anabranch("apply", "prod", "--yes")
        assert said.code == 1
        assert f"process {number} " in said.err
        assert change.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
waiting: the warehouse is held by process <number>
✗ <root>/shop.duckdb is held by process <number>
  next: close that process, or wait until it is done, and run the command again
""")
        said = anabranch("apply", "prod", "--yes", "--json")
        assert said.code == 1
        assert said.json["error"]["type"] == "WarehouseBusy"
        said = anabranch("status", "prod")
        assert said.code == 0, "what the files say needs no warehouse"
        assert change.plain(said.out) == snapshot("""\
prod @ <commit>   by Ada, made just now
  1 asset to apply: 1 to build, 5 reused
    marts.top (changed)
  next: anabranch apply prod
""")
        assert anabranch("plan", "prod").code == 0
        assert anabranch("log", "prod").code == 0
        assert anabranch("env").code == 0
    assert change.cells("ref/") == refs
    assert not change.cells("open/")
    assert anabranch("apply", "prod", "--yes").code == 0


# --- permissions


def test_a_read_only_file(change):
    change.database.chmod(0o444)
    assert change.call("plan", "prod", before=without_privileges).code == 0
    with change.unchanged():
        said = change.call("apply", "prod", "--yes", before=without_privileges)
        assert said.code == 1
        assert change.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
✗ <root>/shop.duckdb is read-only
  next: make it writable for this user (chmod u+w)
""")


def test_a_read_only_folder(change):
    change.replace("anabranch.yaml", "database: shop.duckdb", "database: data/shop.duckdb")
    (change.root / "data").mkdir()
    change.database = change.database.rename(change.root / "data" / "shop.duckdb")
    (change.root / "data").chmod(0o555)
    with change.unchanged():
        said = change.call("apply", "prod", "--yes", before=without_privileges)
        assert said.code == 1
        assert change.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
  ✗ marts.top
✗ marts.top could not be built; prod is as it was
  ✗ models/marts/top.sql  <root>/data/shop.duckdb lies in a folder that can't be written
    next: DuckDB keeps its log beside the database
  next: mend it and run the command again: what was built is reused
""")


def test_a_state_that_may_not_be_written(change):
    (change.root / ".anabranch/state.db").chmod(0o444)
    with change.unchanged():
        said = change.call("apply", "prod", "--yes", before=without_privileges)
        assert said.code == 1
        assert change.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
✗ <root>/.anabranch/state.db is read-only
  next: have it made writable (chmod u+w <root>/.anabranch/state.db), or name another file under `state` in anabranch.yaml
""")
        assert change.call("log", "prod", before=without_privileges).code == 0, "reading goes on"


def test_a_cache_that_may_not_be_written(change):
    """It only saves time."""
    (change.root / ".anabranch" / "cache.db").chmod(0o444)
    said = change.call("plan", "prod", "--json", before=without_privileges)
    assert said.code == 0, said
    assert said.json["counts"]["build"] == 1
    assert change.call("apply", "prod", "--yes", before=without_privileges).code == 0


def test_a_damaged_cache(change, anabranch):
    (change.root / ".anabranch" / "cache.db").write_bytes(b"nonsense" * 1000)
    assert anabranch("apply", "prod", "--yes").code == 0


# --- a full disk

BIG = "SELECT range AS id, hash(range) AS h FROM range(3000000)\n"


@pytest.mark.parametrize("room", [0, 100_000, 1_000_000, 4_000_000, 20_000_000])
def test_a_full_disk(applied, anabranch, room):
    applied.write("models/marts/big.sql", BIG)
    refs, catalog = applied.cells("ref/"), applied.catalog()
    said = applied.call("apply", "prod", "--yes", before=with_room(applied.database.stat().st_size + room))
    assert said.code == 1
    assert "no space left for <root>/shop.duckdb" in applied.plain(said.err)
    assert "make room (anabranch gc drops what nobody reads), then run it again" in said.err
    assert applied.cells("ref/") == refs
    assert applied.catalog() == catalog
    assert not applied.cells("open/")
    assert applied.run_sql("SELECT count(*) FROM marts.top") == [(1,)]
    assert anabranch("apply", "prod", "--yes").code == 0, "once there is room"
    assert applied.run_sql("SELECT count(*) FROM marts.big") == [(3_000_000,)]


def test_a_full_disk_as_it_is_told(applied):
    applied.write("models/marts/big.sql", BIG)
    said = applied.call("apply", "prod", "--yes", before=with_room(applied.database.stat().st_size + 1_000_000))
    assert applied.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.big   new
  reuse   6 assets as they are

  1 to build, 6 reused
  ✗ marts.big
✗ marts.big could not be built; prod is as it was
  ✗ models/marts/big.sql  no space left for <root>/shop.duckdb: IO Error: Could not write file "<root>/shop.duckdb": File too large
    next: make room (anabranch gc drops what nobody reads), then run it again
  next: mend it and run the command again: what was built is reused
""")


def test_a_full_disk_under_the_state(applied, anabranch):
    """The warehouse has room, the state has none."""
    applied.write("models/marts/more.sql", "SELECT 1 AS one\n")
    applied.write("models/marts/again.sql", f"SELECT '{'x' * 300_000}' AS long\n")
    refs, catalog = applied.cells("ref/"), applied.catalog()
    applied.run_sql("CHECKPOINT")
    size = (applied.root / ".anabranch" / "state.db").stat().st_size
    said = applied.call("apply", "prod", "--yes", before=with_room(size + 50_000))
    assert said.code == 1
    assert "Traceback" not in said.err
    assert applied.cells("ref/") == refs
    assert [row for row in applied.catalog() if not str(row[1]).startswith("anabranch__")] == [
        row for row in catalog if not str(row[1]).startswith("anabranch__")
    ]
    assert anabranch("apply", "prod", "--yes").code == 0


# --- the state


def test_a_state_of_a_newer_version(applied, anabranch):
    state = applied.root / ".anabranch" / "state.db"
    with sqlite3.connect(state) as connection:
        connection.execute("PRAGMA user_version = 99")
        connection.execute("UPDATE about SET written_by = '9.9.9'")
    connection.close()
    catalog, before = applied.catalog(), state.read_bytes()
    for arguments in (["apply", "prod", "--yes"], ["status", "prod"], ["gc"], ["env"], ["undo"]):
        said = anabranch(*arguments)
        assert said.code == 1
        assert applied.plain(said.err) == snapshot("""\
✗ <root>/.anabranch/state.db was written by Anabranch 9.9.9, in format 99; this is Anabranch 0.1.0, which knows format 1 and older
  next: install Anabranch 9.9.9 or newer: what it has written can't be read by older ones
""")
    assert applied.catalog() == catalog
    assert state.read_bytes() == before


def test_a_state_that_is_something_else(applied, anabranch):
    (applied.root / ".anabranch" / "state.db").write_text("hello\n" * 1000)
    said = anabranch("status", "prod")
    assert said.code == 1
    assert applied.plain(said.err) == snapshot("""\
✗ <root>/.anabranch/state.db is not an SQLite database
  next: move that file away if it isn't needed, or name another file under `state` in anabranch.yaml
""")


def test_a_state_that_was_lost(applied, anabranch):
    """The warehouse is as it was: prod is made known again, and nobody sees a difference."""
    before = applied.run_sql("SELECT * FROM marts.revenue ORDER BY ALL")
    for file in (applied.root / ".anabranch").iterdir():
        file.unlink()
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert applied.run_sql("SELECT * FROM marts.revenue ORDER BY ALL") == before
    assert anabranch("doctor").code == 0
