"""Clones of tables in Spark: what they cost, what parts them from their sources, and what breaks them."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from anabranch.engines.spark import SparkEngine, SparkSession
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows

pytestmark = pytest.mark.spark

MANY = 10_000_000
MEGABYTE = 2**20


@pytest.fixture
def delta(spark):
    return SparkEngine(spark)


@pytest.fixture
def iceberg(spark):
    return SparkEngine(spark, table_format="iceberg", catalog="ice")


def location(session: SparkSession, table: Relation) -> Path:
    """Of its files."""
    found = session.query(f"DESCRIBE TABLE EXTENDED {session.named(table)}").rows
    return Path(urlsplit(next(str(r[1]) for r in found if r[0] == "Location")).path)


def size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def made(session: SparkSession) -> None:
    session.create_schemas([SCHEMA, "env"])
    session.create_table(at("source"), SMALL)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_clone_of_ten_million_rows_takes_no_room(request, kind):
    engine = request.getfixturevalue(kind)
    columns = ["id", "name"]
    with engine.session() as session:
        session.create_schemas([SCHEMA, "env"])
        session.execute(
            f"CREATE TABLE {session.named(at('source'))} USING {kind}"
            f" AS SELECT id, CAST(id * 7919 % 1000003 AS STRING) AS name FROM range({MANY})"
        )
        session.create_table(at("small"), SMALL)
        session.clone(at("small"), at("first", "env"))  # a server loads its code with its first clone
        clone = at("clone", "env")
        began = time.perf_counter()
        session.clone(at("source"), clone)
        seconds = time.perf_counter() - began
        before = session.content_hash(at("source"), columns)
        assert session.content_hash(clone, columns) == before
        folder, source = location(session, clone), location(session, at("source"))
        assert folder != source
        assert size(source) > 20 * MEGABYTE
        assert size(folder) < MEGABYTE, "rows were copied"
        print(f"\n{kind}: {size(source):,} bytes cloned in {seconds:.2f} s, as {size(folder):,} bytes")
        held = session.held([at("source"), clone])
        assert held[clone].total == held[at("source")].total > 20 * MEGABYTE
        assert held[clone].own == 0
        assert held[at("source")].own is None, "nobody knows who else reads its files"
        files = sorted(source.rglob("*"))
        session.execute(f"INSERT INTO {session.named(clone)} VALUES (-1, 'mine')")
        session.execute(f"DELETE FROM {session.named(clone)} WHERE id = 7")
        assert sorted(source.rglob("*")) == files, "the clone writes to its own folder"
        assert session.content_hash(at("source"), columns) == before
        assert session.count(clone) == MANY
        mine = session.content_hash(clone, columns)
        session.execute(f"INSERT INTO {session.named(at('source'))} VALUES (-2, 'theirs')")
        assert session.content_hash(clone, columns) == mine
        own = session.held([clone])[clone].own
        assert own is not None
        assert 0 < own <= size(folder)


def test_a_clone_of_a_version_or_of_seconds_ago(delta, iceberg):
    for engine in (delta, iceberg):
        with engine.session() as session:
            made(session)
            if engine is delta:
                version = 0
            else:
                found = session.query("SELECT snapshot_id FROM ice.suite.source.snapshots").rows
                version = int(str(found[0][0]))
            time.sleep(3)
            began = time.monotonic()
            session.execute(f"INSERT INTO {session.named(at('source'))} VALUES (3, 'three')")
            now = datetime.now(UTC)
            for name in ("number", "seconds", "now"):
                # a second or two before the row was added
                earlier = Past(seconds=math.ceil(time.monotonic() - began) + 1)
                past = {"number": Past(version=version), "seconds": earlier, "now": Past(time=now)}[name]
                session.clone(at("source"), at(name, "env"), Cloning(at=past, properties={"made.by": "it's me"}))
                assert len(rows(session, at(name, "env"))) == (3 if name == "now" else 2), name
                told = session.query(f"SHOW TBLPROPERTIES {session.named(at(name, 'env'))}").rows
                assert ("made.by", "it's me") in [tuple(r) for r in told]
            for past in (Past(version=0, before=True), Past(statement="0"), Past(time=datetime.now(UTC), before=True)):
                error = failure(partial(session.clone, at("source"), at("no", "env"), Cloning(at=past)))
                assert error.kind == "NotSupported"
            failure(lambda: session.clone(at("source"), at("no", "env"), Cloning(at=Past(version=7))))
            assert {f.relation.name for f in session.find(["env"])} == {"number", "seconds", "now"}


def test_a_clone_goes_where_it_is_told_to(delta, iceberg, tmp_path):
    for number, engine in enumerate((delta, iceberg)):
        with engine.session() as session:
            made(session)
            folder = tmp_path / f"it's here {number}"
            session.clone(at("source"), at("clone", "env"), Cloning(location=str(folder)))
            session.execute(f"INSERT INTO {session.named(at('clone', 'env'))} VALUES (3, 'three')")
            assert list(folder.rglob("*.parquet"))
            assert len(rows(session, at("clone", "env"))) == 3
            assert len(rows(session, at("source"))) == 2
            session.drop([at("clone", "env")])  # while its folder is there: the server outlives this test


def test_what_spark_cannot_clone_is_refused(delta, iceberg):
    for engine in (delta, iceberg):
        with engine.session() as session:
            made(session)
            for how in (Cloning(is_deep=True), Cloning(replace=True), Cloning(is_snapshot=True)):
                error = failure(partial(session.clone, at("source"), at("clone", "env"), how))
                assert error.kind == "NotSupported"
            assert session.find(["env"]) == []


def test_a_clone_dropped_leaves_its_source_whole(delta, iceberg):
    for engine in (delta, iceberg):
        with engine.session() as session:
            made(session)
            session.clone(at("source"), at("one", "env"))
            session.clone(at("one", "env"), at("two", "env"))
            session.execute(f"INSERT INTO {session.named(at('one', 'env'))} VALUES (3, 'three')")
            session.drop([at("one", "env")])
            assert len(rows(session, at("source"))) == 2
            assert len(rows(session, at("two", "env"))) == 2


def test_a_dropped_table_of_iceberg_leaves_no_files(iceberg):
    with iceberg.session() as session:
        made(session)
        folder = location(session, at("source"))
        told = session.query(f"SELECT file_path FROM {session.named(at('source'))}.files").rows
        files = [Path(urlsplit(str(row[0])).path) for row in told]
        assert files
        assert all(file.exists() and folder in file.parents for file in files)
        session.drop([at("source")])
        assert not any(file.exists() for file in files)


def test_a_renamed_source_breaks_its_clones_where_folders_have_names(delta):
    """Told in the docstring of the format: what is seen here is Hive's way."""
    with delta.session() as session:
        made(session)
        session.clone(at("source"), at("clone", "env"))
        session.rename(at("source"), "moved")
        assert rows(session, at("moved")) == [(1, "one"), (2, "two")]
        failure(lambda: rows(session, at("clone", "env")))
        session.rename(at("moved"), "source")
        assert rows(session, at("clone", "env")) == [(1, "one"), (2, "two")]


def test_a_renamed_source_leaves_its_clones_whole_in_iceberg(iceberg):
    with iceberg.session() as session:
        made(session)
        session.clone(at("source"), at("clone", "env"))
        session.rename(at("source"), "moved")
        assert rows(session, at("clone", "env")) == rows(session, at("moved")) == [(1, "one"), (2, "two")]


class Killed(BaseException):
    """What a process that is killed doesn't do any more."""


def test_an_iceberg_clone_that_is_killed_at_any_statement_can_be_made_again(iceberg, monkeypatch):
    with iceberg.session() as session:
        made(session)
    done = SparkSession.execute
    for last in range(5):
        left = [last]

        def execute(self: SparkSession, statement: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            done(self, statement)

        monkeypatch.setattr(SparkSession, "execute", execute)
        try:
            with iceberg.session() as session, pytest.raises(Killed):
                session.clone(at("source"), at("clone", "env"))
        finally:
            monkeypatch.setattr(SparkSession, "execute", done)
        with iceberg.session() as session:
            assert session.columns(at("clone", "env")) is None, "half a clone has another name"
            session.clone(at("source"), at("clone", "env"))
            session.execute(f"INSERT INTO {session.named(at('clone', 'env'))} VALUES (3, 'three')")
            assert [f.relation for f in session.find(["env"])] == [at("clone", "env")]
            assert len(rows(session, at("clone", "env"))) == 3
            assert len(rows(session, at("source"))) == 2
            session.drop([at("clone", "env")])


def test_a_clone_of_what_is_no_table_of_the_format_is_refused(delta, iceberg):
    for engine in (delta, iceberg):
        with engine.session() as session:
            made(session)
            session.create_view(at("view"), "SELECT 1 AS id")
            with pytest.raises(StatementFailed):
                session.clone(at("view"), at("clone", "env"))
            assert session.columns(at("clone", "env")) is None
            assert session.version(at("view")) is None
            assert session.held([at("view")]) == {}
