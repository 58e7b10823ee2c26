"""Readers of an environment never see two states of it at once."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import cast

import pytest

from anabranch import bootstrap
from anabranch.app.workspace import Workspace
from anabranch.domain.names import EnvironmentName
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.ports.engine import Session
from anabranch.providers.models import ModelsProvider

pytestmark = pytest.mark.crash

PROD, FEATURE = EnvironmentName("prod"), EnvironmentName("feature")
MODELS = [f"s{n % 3}.m{n}" for n in range(6)]
CHANGES = 100
JOINED = " UNION ALL ".join(f"SELECT version FROM {m}" for m in MODELS)


def write(root: Path, version: int) -> None:
    """A chain of models, tables and views in turn, each with the version."""
    (root / "anabranch.yaml").write_text("project: readers\nwarehouse: {database: readers.duckdb}\n")
    for number, model in enumerate(MODELS):
        file = root / "models" / (model.replace(".", "/") + ".sql")
        file.parent.mkdir(parents=True, exist_ok=True)
        kind = "VIEW" if number % 3 == 2 else "FULL"
        before = f"SELECT {version} AS version FROM {MODELS[number - 1]}" if number else f"SELECT {version} AS version"
        file.write_text(f"MODEL (name {model}, kind {kind});\n{before}\n")


class Reader(threading.Thread):
    """Looks at all models of prod again and again; what it saw, a set of versions a time."""

    def __init__(self, engine: DuckDBEngine, *, one_statement: bool) -> None:
        super().__init__(daemon=True)
        self._engine = engine
        self._one_statement = one_statement
        self.done = threading.Event()
        self.seen: list[frozenset[object]] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with self._engine.session(read_only=True) as session:
                while not self.done.is_set():
                    self.seen.append(self._look(session))
                    time.sleep(0.001)  # the writer is a thread of this process, too
        except BaseException as error:  # noqa: BLE001  # looked at below
            self.error = error

    def _look(self, session: Session) -> frozenset[object]:
        if self._one_statement:
            return frozenset(r[0] for r in session.query(JOINED).rows)
        session.begin()
        found = {r[0] for m in MODELS for r in session.query(f"SELECT version FROM {m}").rows}
        session.rollback()
        return frozenset(found)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """Prod at version 0, and the warehouse held open, so that readers in this process can look all the time."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    root = tmp_path / "project"
    root.mkdir()
    write(root, 0)
    opened = bootstrap.open_workspace(root)
    opened.apply(opened.plan_apply(PROD))
    yield opened
    opened.close()


@pytest.mark.in_place
def test_readers_never_see_two_states_at_once(workspace: Workspace):
    root = workspace.loader.root
    engine = cast(ModelsProvider, workspace.tables).engine
    assert isinstance(engine, DuckDBEngine)
    with engine.session():
        readers = [Reader(engine, one_statement=n % 2 == 0) for n in range(2)]
        for reader in readers:
            reader.start()
        shown = set()
        version = 0
        for change in range(CHANGES):
            if change % 3 == 2:
                workspace.apply(workspace.plan_undo(PROD))
                continue
            version += 1
            write(root, version)
            workspace.apply(workspace.plan_apply(FEATURE))
            workspace.apply(workspace.plan_promote(FEATURE, PROD))
            shown.add(version)
        for reader in readers:
            reader.done.set()
            reader.join(30)
    for reader in readers:
        assert reader.error is None
        mixed = [seen for seen in reader.seen if len(seen) != 1]
        assert not mixed, f"{len(mixed)} of {len(reader.seen)} looks saw {set(mixed[0])} at once"
    looked = sum(len(r.seen) for r in readers)
    versions = {v for r in readers for seen in r.seen for v in seen}
    assert looked > CHANGES, "they hardly looked"
    assert versions <= shown | {0}
    assert len(versions) > 10, "they hardly saw a change"


def test_readers_of_another_process_see_what_was_shown_last(workspace: Workspace, tmp_path):
    """DuckDB lets nobody in while somebody writes; between two commands anybody reads."""
    import duckdb

    root = workspace.loader.root
    for version in range(1, 6):
        write(root, version)
        workspace.apply(workspace.plan_apply(PROD))
        pid = os.fork()
        if pid == 0:
            with duckdb.connect(str(root / "readers.duckdb"), read_only=True) as connection:
                seen = {row[0] for row in connection.execute(JOINED).fetchall()}
            os._exit(0 if seen == {version} else 1)
        assert os.waitpid(pid, 0)[1] == 0
        time.sleep(0.01)
