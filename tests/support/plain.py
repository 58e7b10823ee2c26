"""DuckDB as an engine without transactions: every statement commits by itself, and may be the last one. It stands for
the warehouses in which that is so."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

from anabranch.bootstrap import engines
from anabranch.config.settings import Warehouse
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.engines.duckdb.session import DuckDBSession
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import PLAIN, Cloning
from anabranch.ports.engine import ArrowStream, Engine, Relation, Result, quoted


class PlainSession(DuckDBSession):
    """One whose ``begin`` and ``commit`` mean nothing; each statement takes ``PlainDuckDB.delay`` seconds."""

    transacts = False
    engine: PlainDuckDB

    def begin(self) -> None:
        self._end_stream()

    def commit(self) -> None:
        return None

    def rollback(self) -> None:
        return None

    def execute(self, statement: str) -> None:
        with self.engine.counted():
            super().execute(statement)

    def query(self, statement: str, most: int | None = None) -> Result:
        with self.engine.counted():
            return super().query(statement, most)

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        DuckDBSession.begin(self)
        try:
            rows = super().load_arrow(table, parts, columns)
        except BaseException:
            DuckDBSession.rollback(self)
            raise
        DuckDBSession.commit(self)
        return rows

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        for view, target in pointers.items():  # a statement each, as it is elsewhere
            super().point({view: target})

    def drop(self, relations: Collection[Relation]) -> None:
        for relation in sorted(relations):
            super().drop([relation])


class CloningSession(PlainSession):
    """One that clones a schema of views, which counts as one statement."""

    def clone_schema(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        with self.engine.counted():
            self._cursor.execute(f"CREATE SCHEMA {quoted([clone])}")
            for view, target in self.targets([source]).items():
                assert target is not None
                copy = quoted([clone, view.name])
                self._cursor.execute(f"CREATE VIEW {copy} AS SELECT * FROM {self.named(target)}")


class PlainDuckDB(DuckDBEngine):
    """``statements``: how many were run; ``most``: how many at the same time."""

    capabilities: Mapping[Capability, Support] = {
        **DuckDBEngine.capabilities,
        Capability.TRANSACTIONAL_DDL: Support.NEVER,
        Capability.SWAP_TABLES: Support.NEVER,
    }
    session_type = PlainSession

    def __init__(self, path: Path, *, delay: float = 0.0, patience: float = 60.0) -> None:
        super().__init__(path, patience=patience)
        self.delay = delay
        self.statements = self.most = self._running = 0
        self._counting = threading.Lock()

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        with self._counting:
            self.statements += 1
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            if self.delay:
                time.sleep(self.delay)
            yield
        finally:
            with self._counting:
                self._running -= 1

    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[DuckDBSession]:
        with super().session(read_only=read_only, patience=patience) as found:
            assert isinstance(found, PlainSession)
            found.engine = self
            yield found


class CloningDuckDB(PlainDuckDB):
    """One that clones schemas: for Snowflake."""

    capabilities: Mapping[Capability, Support] = {**PlainDuckDB.capabilities, Capability.CLONE_SCHEMA: Support.FULL}
    session_type = CloningSession


IS_PLAIN = os.environ.get("ANABRANCH_TEST_ENGINE") == "plain"
"""Whether projects get such a warehouse in this run of the tests: ``make test-plain``."""
_REAL = engines.open_engine


def open_plain_engine(warehouse: Warehouse, root: Path, on_wait: Callable[[str], None]) -> Engine:
    """Stands for :func:`anabranch.bootstrap.open_engine`."""
    if warehouse.engine != "duckdb":
        return _REAL(warehouse, root, on_wait)
    return PlainDuckDB(root / (warehouse.database or "warehouse.duckdb"), patience=warehouse.patience.total_seconds())
