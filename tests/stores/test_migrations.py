"""From one schema version to the next, in both databases."""

import sqlite3
from collections.abc import Callable

import pytest

from anabranch import __version__
from anabranch.errors import StateTooNew, StateUnavailable
from anabranch.ports.store import Store
from anabranch.stores import postgres, postgres_tables, sqlite, sqlite_tables
from anabranch.stores.migrations import Migration
from anabranch.testing.store_suite import in_threads, named

Open = Callable[..., Store]
Execute = Callable[[str], list]

# The next version's step, as it could be: a new column filled from what is there, and a table.
SECOND = {
    "sqlite": (
        "ALTER TABLE objects ADD COLUMN size INTEGER NOT NULL DEFAULT 0",
        "UPDATE objects SET size = length(body)",
        "CREATE TABLE migrated (times INTEGER)",
        "INSERT INTO migrated VALUES (1)",
    ),
    "postgres": (
        "ALTER TABLE {schema}.objects ADD COLUMN size integer NOT NULL DEFAULT 0",
        "UPDATE {schema}.objects SET size = length(body)",
        "CREATE TABLE {schema}.migrated (times integer)",
        "INSERT INTO {schema}.migrated VALUES (1)",
    ),
}
THIRD = {
    "sqlite": ("UPDATE migrated SET times = times + 1",),
    "postgres": ("UPDATE {schema}.migrated SET times = times + 1",),
}
FIRST = {"sqlite": sqlite_tables.MIGRATIONS[:1], "postgres": postgres_tables.MIGRATIONS[:1]}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def kind(request) -> str:
    return str(request.param)


@pytest.fixture
def place(kind, tmp_path, request):
    return tmp_path / "state.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def open_at(kind, place) -> Open:
    """Opens the store with these steps: no argument, as of version 1; else with what comes after."""
    store = sqlite.SqliteStore if kind == "sqlite" else postgres.PostgresStore
    return lambda *more: store(place, migrations=(*FIRST[kind], *more))


@pytest.fixture
def execute(kind, place) -> Execute:
    """Runs a statement past the store; ``{schema}.`` is left out where there are none."""
    if kind == "sqlite":

        def on_sqlite(statement):
            with sqlite3.connect(place) as connection:
                rows = connection.execute(statement.replace("{schema}.", "")).fetchall()
            connection.close()
            return rows

        return on_sqlite

    def on_postgres(statement):
        import psycopg

        url, _, schema = place.rpartition("&schema=")
        with psycopg.connect(url) as connection:
            cursor = connection.execute(statement.replace("{schema}", schema).encode())
            return cursor.fetchall() if cursor.description else []

    return on_postgres


def version(kind, execute):
    if kind == "sqlite":
        return execute("PRAGMA user_version")[0][0], execute("SELECT written_by FROM about")[0][0]
    return execute("SELECT version, written_by FROM {schema}.about")[0]


def test_a_new_store_is_made_at_the_newest_version(kind, open_at, execute):
    with open_at(Migration(2, SECOND[kind])) as store:
        assert store.swap({}, {"a": b"1"})
    assert version(kind, execute) == (2, __version__)
    assert execute("SELECT times FROM {schema}.migrated") == [(1,)]


def test_what_is_there_is_brought_forward(kind, open_at, execute):
    objects = named([b"three", b"fourteen"])
    with open_at() as before:
        before.put(objects)
        assert before.swap({}, {"a": b"1"})
    assert version(kind, execute) == (1, __version__)
    with open_at(Migration(2, SECOND[kind])) as after:
        assert after.get(objects.keys()) == objects
        assert after.read(["a"]) == {"a": b"1"}
        assert after.swap({"a": b"1"}, {"a": b"2"})
    assert version(kind, execute) == (2, __version__)
    assert sorted(execute("SELECT size FROM {schema}.objects")) == [(5,), (8,)]


def test_several_steps_at_once(kind, open_at, execute):
    with open_at() as before:
        assert before.swap({}, {"a": b"1"})
    with open_at(Migration(2, SECOND[kind]), Migration(3, THIRD[kind])) as after:
        assert after.read(["a"]) == {"a": b"1"}
    assert version(kind, execute)[0] == 3
    assert execute("SELECT times FROM {schema}.migrated") == [(2,)]


def test_many_begin_at_once_and_one_migrates(kind, open_at, execute):
    with open_at() as before:
        assert before.swap({}, {"a": b"1"})
    stores = [open_at(Migration(2, SECOND[kind])) for _ in range(6)]
    assert in_threads(6, lambda n: stores[n].read(["a"])) == [{"a": b"1"}] * 6
    for store in stores:
        store.close()
    assert execute("SELECT times FROM {schema}.migrated") == [(1,)]


def test_a_step_that_fails_leaves_everything_as_it_was(kind, open_at, execute):
    with open_at() as before:
        assert before.swap({}, {"a": b"1"})
    with open_at(Migration(2, (*SECOND[kind], "CREATE TABLE no sense"))) as broken, pytest.raises(StateUnavailable):
        broken.read(["a"])
    assert version(kind, execute)[0] == 1
    with open_at() as store:
        assert store.swap({"a": b"1"}, {"a": b"2"})
    with open_at(Migration(2, SECOND[kind])) as after:
        assert after.read(["a"]) == {"a": b"2"}


def test_an_older_version_is_refused(kind, open_at, execute):
    with open_at(Migration(2, SECOND[kind])) as newer:
        assert newer.swap({}, {"a": b"1"})
    with open_at() as older:
        for call in (lambda: older.read(["a"]), lambda: older.put({}), lambda: older.swap({}, {"a": b"2"})):
            with pytest.raises(StateTooNew, match="in format 2") as caught:
                call()
            assert __version__ in caught.value.message
            assert caught.value.hint


def test_an_older_version_that_has_it_open_can_no_longer_publish(kind, open_at):
    with open_at() as older:
        assert older.swap({}, {"a": b"1"})
        with open_at(Migration(2, SECOND[kind])) as newer:
            assert newer.swap({"a": b"1"}, {"a": b"2"})
            with pytest.raises(StateTooNew, match="in format 2"):
                older.swap({"a": b"2"}, {"a": b"3"})
            assert newer.read(["a"]) == {"a": b"2"}


def test_one_too_old_to_be_brought_forward(kind, place, open_at):
    with open_at() as old:
        assert old.swap({}, {"a": b"1"})
    store = sqlite.SqliteStore if kind == "sqlite" else postgres.PostgresStore
    with store(place, migrations=(Migration(3, ()),)) as much_newer, pytest.raises(StateUnavailable) as caught:
        much_newer.read(["a"])
    assert "in format 1" in caught.value.message
    assert "older Anabranch" in str(caught.value.hint)


@pytest.mark.parametrize("steps", [sqlite_tables.MIGRATIONS, postgres_tables.MIGRATIONS])
def test_steps_are_numbered_one_by_one(steps):
    assert [step.to for step in steps] == list(range(1, len(steps) + 1))
