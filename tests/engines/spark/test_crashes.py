"""What a client or a server that is killed leaves behind, for the next session."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import spark as support

from anabranch.engines.spark import SparkEngine
from anabranch.errors import AnabranchError, StatementFailed, WarehouseUnavailable
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure, rows

pytestmark = [pytest.mark.spark, pytest.mark.crash]

LONG = "SELECT id, repeat('x', 20) AS x FROM range(0, 10000000, 1, 2) WHERE xxhash64(id, 'some salt', id) <> 0"
SLOW = (
    "SELECT a.id AS a, b.id AS b FROM range(0, 1000000, 1, 1) AS a CROSS JOIN range(0, 1000000, 1, 1) AS b"
    " WHERE xxhash64(a.id, b.id) % 64 = 0"
)
"""One task, so that two such statements leave room for a third; a few MB a second, so that no disk fills."""
CLIENT = """
import sys
from anabranch.engines.spark import SparkEngine
from anabranch.ports.engine import Relation
url, table_format, catalog, query = sys.argv[1:]
with SparkEngine(url, table_format=table_format, catalog=catalog).session() as session:
    session.count(Relation("suite", "small"))
    print("makes it", flush=True)
    session.create_table(Relation("suite", "made"), query)
"""


def until(said: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.2)


@pytest.mark.parametrize(("kind", "catalog"), [("delta", "spark_catalog"), ("iceberg", "ice")])
def test_a_statement_whose_client_is_killed_goes_on_at_the_server(spark, kind, catalog, tmp_path):
    """Nobody sees a part of the table; it appears when it is whole. Who makes it meanwhile is told by the engine."""
    engine = SparkEngine(spark, table_format=kind, catalog=catalog)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("small"), SMALL)
        program = tmp_path / "client.py"
        program.write_text(CLIENT)
        client = subprocess.Popen(
            [sys.executable, program, spark, kind, catalog, LONG],
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert client.stdout
        assert client.stdout.readline() == "makes it\n"
        time.sleep(1)
        client.kill()
        client.wait()
        client.stdout.close()
        assert session.columns(at("made")) is None, "the query is too quick for this test"
        assert [f.relation for f in session.find([SCHEMA])] == [at("small")]
        until(lambda: session.columns(at("made")) is not None)
        assert session.count(at("made")) == 10_000_000
        failure(lambda: session.create_table(at("made"), SMALL))
        session.drop([at("made")])
        assert session.create_table(at("made"), SMALL) == 2


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_two_that_make_one_table_make_it_once(spark, kind):
    engine = SparkEngine(spark, table_format=kind, catalog="ice" if kind == "iceberg" else None)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    ended: list[int | str] = []

    def work(number: int) -> None:
        with engine.session() as session:
            try:
                session.create_table(at("made"), f"SELECT {number} AS who, id FROM range(300000)")
                ended.append(number)
            except StatementFailed as failed:
                ended.append(failed.kind)

    threads = [threading.Thread(target=work, args=[n]) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [e for e in ended if isinstance(e, int)]
    with engine.session() as session:
        assert session.count(at("made")) == 300_000
        assert session.query(f"SELECT DISTINCT who FROM {session.named(at('made'))}").rows == [(winner,)]


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_table_whose_making_was_stopped_can_be_made_again(spark, kind):
    engine = SparkEngine(spark, table_format=kind, catalog="ice" if kind == "iceberg" else None)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        failed: list[StatementFailed] = []
        thread = threading.Thread(target=lambda: failed.append(failure(lambda: session.create_table(at("made"), SLOW))))
        thread.start()
        time.sleep(3)
        engine.interrupt()
        thread.join(60)
        assert failed[0].kind == "OPERATION_CANCELED"
        assert session.find([SCHEMA]) == []
        assert session.create_table(at("made"), SMALL) == 2
        assert rows(session, at("made")) == [(1, "one"), (2, "two")]


def test_a_server_that_is_killed_leaves_whole_tables_alone(tmp_path):
    """In the middle of a table, of each format: no table is there, and it can be made."""
    lacking = support.missing()
    if lacking:
        pytest.skip(lacking)
    kinds = {"delta": "spark_catalog", "iceberg": "ice"}
    with support.own_server(tmp_path) as url:
        engines = [SparkEngine(url, table_format=k, catalog=c, patience=2) for k, c in kinds.items()]
        raised: list[AnabranchError] = []

        def work(engine: SparkEngine) -> None:
            with engine.session() as session:
                try:
                    session.create_table(at("made"), SLOW)
                except AnabranchError as error:
                    raised.append(error)

        for engine in engines:
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at("small"), SMALL)
                session.point({at("view"): at("small")})
        threads = [threading.Thread(target=work, args=[e]) for e in engines]
        for thread in threads:
            thread.start()
        until(lambda: all(_files(tmp_path, k) for k in kinds))
        with engines[0].session() as idle:
            idle.count(at("small"))
            os.killpg(os.getpgid(_server(tmp_path)), signal.SIGKILL)
            for thread in threads:
                thread.join(60)
            assert [type(e) for e in raised] == [WarehouseUnavailable] * 2
            assert all(e.hint for e in raised)
            with pytest.raises(WarehouseUnavailable):
                idle.count(at("small"))
    with support.own_server(tmp_path) as url:
        for kind, catalog in kinds.items():
            engine = SparkEngine(url, table_format=kind, catalog=catalog)
            with engine.session() as session:
                assert {f.relation for f in session.find([SCHEMA])} == {at("small"), at("view")}
                assert rows(session, at("view")) == [(1, "one"), (2, "two")]
                assert session.targets([SCHEMA]) == {at("view"): at("small")}
                assert session.columns(at("made")) is None
                assert session.create_table(at("made"), SMALL) == 2
                assert rows(session, Relation(SCHEMA, "made")) == [(1, "one"), (2, "two")]


def _files(folder: Path, kind: str) -> list[Path]:
    """What has been written of the table."""
    place = folder / ("warehouse/suite.db/made" if kind == "delta" else "iceberg/suite/made")
    return [Path(base, name) for base, _, files in os.walk(place) for name in files if name.endswith(".parquet")]


def _server(folder: Path) -> int:
    found = subprocess.run(["pgrep", "-f", f"derby.system.home={folder}"], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])
