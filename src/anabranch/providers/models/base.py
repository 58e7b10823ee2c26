"""What all parts of the provider have: the engine, its sessions, and where things are shown."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import Suffix
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import (
    AnabranchError,
    Where,
)
from anabranch.ports import materialization
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Engine, Relation, Session
from anabranch.ports.materialization import Materializations
from anabranch.providers import python_runs, turns
from anabranch.providers.showing import Showing

MOST_WORKERS = 8
GLANCE = 2.0
"""Seconds that a look (for drift, for what stands in the way) waits for another process."""


class Base:
    """One that works with an engine."""

    name = "models"

    def __init__(
        self,
        engine: Engine,
        *,
        root: Path,
        trunk: EnvironmentName,
        default_schema: str,
        suffix: Suffix = Suffix.SCHEMA,
        workers: int | None = None,
        connections: int = MOST_WORKERS,
        materializations: Materializations = materialization.none,
    ) -> None:
        """``root``: the project's folder, where seeds are read from. ``trunk``: the environment without a suffix.
        ``connections``: so many sessions at once, where views are set."""
        self._materializations = materializations
        self.engine = engine
        self._root = root
        self._trunk = trunk
        self._default_schema = default_schema
        self._suffix = suffix
        self._workers = workers or min(MOST_WORKERS, os.cpu_count() or 1)
        self._showing = Showing(engine, trunk, suffix, self._tell, connections, self._session)
        self._about: Mapping[str, str] = {}
        self._turns = turns.choose(engine)
        self._schemas: set[str] = set()
        self._schemas_lock = threading.Lock()

    @property
    def workers(self) -> int:
        concurrent = self.engine.capabilities.get(Capability.CONCURRENT_STATEMENTS) is Support.FULL
        return self._workers if concurrent else 1

    @property
    def window(self) -> str | None:
        if self.engine.capabilities.get(Capability.TRANSACTIONAL_DDL) is Support.FULL:
            return None
        return f"{self.engine.name} has no transactions over DDL: for a moment, readers may see old and new views mixed"

    def tag(self, about: Mapping[str, str]) -> None:
        self._about = dict(about)

    @contextmanager
    def _session(
        self, asset: AssetName | None = None, *, read_only: bool = False, patience: float | None = None
    ) -> Iterator[Session]:
        """One whose statements say in the engine's log what they are about."""
        with self.engine.session(read_only=read_only, patience=patience) as session:
            about = {**self._about, **({"asset": asset} if asset is not None else {})}
            if about:
                session.tag(about)
            yield session

    def shown_at(self, environment: EnvironmentName, asset: AssetName) -> Relation:
        """Where readers find ``asset`` in ``environment``."""
        return self._showing.at(environment, asset)

    @contextmanager
    def opened(self) -> Iterator[None]:
        with self._session():
            yield

    def _tell(self, error: AnabranchError, snapshot: Snapshot) -> None:
        """Gives the error what it is about."""
        error.asset = error.asset or snapshot.asset
        if error.where is None and snapshot.definition.path:
            error.where = Where(self._root / snapshot.definition.path)

    def interrupt(self) -> None:
        python_runs.interrupt()
        self.engine.interrupt()

    def revision(self) -> str | None:
        return self.engine.revision()

    def close(self) -> None:
        with self._schemas_lock:
            self._schemas.clear()
        self.engine.close()
