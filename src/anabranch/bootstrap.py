"""The composition root: from a folder to a workspace. The only place that knows which adapter is which.

Engines of third parties are found by entry points (group ``anabranch.engines``): a callable that takes the warehouse's
settings and the project's folder and returns an :class:`anabranch.ports.engine.Engine`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.app import events
from anabranch.app.state import State
from anabranch.app.workspace import Here, Rules, Workspace
from anabranch.config import git, settings
from anabranch.config.settings import FOLDER, Settings, Warehouse
from anabranch.domain.names import EnvironmentName
from anabranch.errors import ConfigError
from anabranch.providers.models import ModelsProvider

if TYPE_CHECKING:
    from anabranch.domain.snapshot import Snapshot
    from anabranch.ports.engine import Engine
    from anabranch.ports.loader import Loader
    from anabranch.ports.store import Store

DEFAULT_BRANCHES = ("main", "master")


def open_workspace(
    start: Path, *, listen: events.Listener = events.silent, on_wait: Callable[[str], None] = lambda holder: None
) -> Workspace:
    """The workspace of the project that ``start`` lies in. Nothing is opened before it is needed, the store aside.

    Raises:
        ConfigError: there is no project file, or it can't be read as it stands.
        StateError: the store can't be opened.
    """
    root = settings.find_root(start)
    found = settings.load(root)
    checkout = git.checkout(root)
    engine = open_engine(found.warehouse, root, on_wait)
    provider = ModelsProvider(
        engine,
        root=root,
        trunk=found.trunk,
        default_schema=found.warehouse.schema,
        suffix=found.suffix,
        workers=found.warehouse.workers,
    )
    return Workspace(
        state=State(open_store(found)),
        providers={provider.name: provider},
        tables=provider,
        loader=open_loader(found, engine, provider.name),
        rules=Rules(found.trunk, _branches(found), found.ttl, found.retention, found.protected),
        here=Here(
            author=git.author(checkout.folder if checkout else None),
            branch=checkout.branch if checkout else None,
            in_git=checkout is not None,
        ),
        now=lambda: datetime.now(UTC),
        explain=_explain,
        listen=listen,
    )


def open_store(found: Settings) -> Store:
    """By the form of ``state:``, a database's URL or a path."""
    if found.state.startswith(("postgresql://", "postgres://")):
        from anabranch.stores.postgres import PostgresStore

        return PostgresStore(found.state)
    from anabranch.stores.sqlite import SqliteStore

    return SqliteStore(found.root / found.state)


def open_engine(warehouse: Warehouse, root: Path, on_wait: Callable[[str], None]) -> Engine:
    """By name: one of ours, or a third party's."""
    if warehouse.engine == "duckdb":
        from anabranch.engines.duckdb import DuckDBEngine

        path = root / Path(warehouse.database).expanduser()
        patience = warehouse.patience.total_seconds()
        return DuckDBEngine(path, settings=warehouse.settings, patience=patience, on_wait=on_wait)
    from importlib.metadata import entry_points

    for entry in entry_points(group="anabranch.engines", name=warehouse.engine):
        make: Callable[[Warehouse, Path], Engine] = entry.load()
        return make(warehouse, root)
    raise ConfigError(f"there is no engine {warehouse.engine!r}", where=warehouse.where, hint="known here: duckdb")


def open_loader(found: Settings, engine: Engine, provider: str) -> Loader:
    """The native loader, with its cache beside the state."""
    from anabranch.loaders.cache import ParseCache
    from anabranch.loaders.native import NativeLoader, NativeSettings, SeedSettings, SourceSettings

    native = NativeSettings(
        provider=provider,
        dialect=engine.dialect,
        default_schema=found.warehouse.schema,
        sources={n: SourceSettings(s.columns, s.description, s.where) for n, s in found.sources.items()},
        seeds={n: SeedSettings(s.columns, s.key, s.where) for n, s in found.seeds.items()},
        salt=engine.name,
        variables=found.variables,
        overrides={str(name): values for name, values in found.overrides.items()},
    )
    return NativeLoader(found.root, native, ParseCache(found.root / FOLDER / "cache.db"))


def _branches(found: Settings) -> dict[str, EnvironmentName]:
    return {**dict.fromkeys(DEFAULT_BRANCHES, found.trunk), **found.branches}


def _explain(before: Snapshot, after: Snapshot) -> str:
    from anabranch.sql.explain import what_changed  # needs the parser

    if before.kind != after.kind:
        return f"kind changed from {before.kind.value} to {after.kind.value}"
    if not before.definition.dialect or not after.definition.dialect:
        return "content changed"
    return what_changed(before.definition.text, after.definition.text, after.definition.dialect)
