"""A database's revision: equal ones mean that nothing was written."""

import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.duckdb.warehouses import made

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.testing.engine_helpers import SMALL, at


def test_a_revision_is_none_right_after_a_write(path, monkeypatch):
    engine = DuckDBEngine(made(path))
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
    engine.close()
    written = path.stat().st_mtime
    monkeypatch.setattr("anabranch.engines.duckdb.engine.time.time", lambda: written + 0.01)
    assert engine.revision() is None
    monkeypatch.setattr("anabranch.engines.duckdb.engine.time.time", lambda: written + 0.1)
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
