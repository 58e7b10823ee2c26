"""The composition root: from a folder to a workspace. The only place that knows which adapter is which.

Engines of third parties are found by entry points (group ``anabranch.engines``): a callable that takes the warehouse's
settings and the project's folder and returns an :class:`anabranch.ports.engine.Engine`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from anabranch.app import events
from anabranch.app.naming import Here, Rules
from anabranch.app.state import State
from anabranch.app.workspace import Workspace
from anabranch.bootstrap.engines import open_engine
from anabranch.config import git, settings
from anabranch.config.settings import FOLDER, Settings
from anabranch.domain.names import EnvironmentName
from anabranch.domain.snapshot import PYTHON, Function
from anabranch.providers.models import ModelsProvider

if TYPE_CHECKING:
    from anabranch.domain.names import AssetName
    from anabranch.domain.snapshot import Snapshot
    from anabranch.domain.unit_test import UnitTest
    from anabranch.linting.values import Choice, Finding, Rule
    from anabranch.ports.engine import Engine
    from anabranch.ports.loader import Loader
    from anabranch.ports.materialization import Materialization
    from anabranch.ports.signals import Signals
    from anabranch.ports.store import Store
    from anabranch.ports.unit_tests import Bench

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
        connections=found.warehouse.connections,
        materializations=open_materialization,
    )
    return Workspace(
        state=State(open_store(found)),
        providers={provider.name: provider},
        tables=provider,
        loader=open_loader(found, engine, provider.name),
        rules=Rules(found.trunk, _branches(found), found.ttl, found.retention, found.protected, _cloned(found)),
        here=Here(
            author=git.author(checkout.folder if checkout else None),
            branch=checkout.branch if checkout else None,
            in_git=checkout is not None,
        ),
        now=lambda: datetime.now(UTC),
        explain=_explain,
        listen=listen,
        changed=partial(git.changed_since, root),
        hooks=found.hooks,
        signals=open_signals(root),
    )


def open_files(start: Path) -> tuple[Settings, Loader]:
    """The files of the project that ``start`` lies in. Neither its state nor its warehouse is opened.

    Raises:
        ConfigError: there is no project file, or it can't be read as it stands.
    """
    found = settings.load(settings.find_root(start))
    engine = open_engine(found.warehouse, found.root, lambda holder: None)
    return found, open_loader(found, engine, ModelsProvider.name)


@dataclass(frozen=True, slots=True)
class Linter:
    """The rules of a project, and its files."""

    root: Path
    loader: Loader
    rules: Sequence[Rule]
    choice: Choice

    def run(self, only: Collection[str] = ()) -> list[Finding]:
        """What the rules find; ``only``: these rules, also where they are off. Raises ``ModelError``, ``ConfigError``,
        ``NotFound``."""
        from anabranch.linting.run import lint

        return lint(self.loader.examine(), self.rules, self.choice, only)


def open_linter(start: Path) -> Linter:
    """The rules for the project that ``start`` lies in: ours, and those that entry points of the group
    ``anabranch.lint`` name. Neither its state nor its warehouse is opened. Raises ``ConfigError``."""
    from importlib.metadata import entry_points

    from anabranch.linting.rules import builtin
    from anabranch.linting.values import Choice, Level, Rule

    found, loader = open_files(start)
    rules = builtin(found.lint.edges)
    for entry in sorted(entry_points(group="anabranch.lint"), key=lambda e: e.name):
        check = entry.load()
        summary = (check.__doc__ or "").strip().partition("\n")[0]
        rules.append(Rule(entry.name, summary, Level.WARNING, check))
    choice = Choice(
        {code: (Level(level.text), told.where) for code, (told, level) in found.lint.rules.items()},
        {a: (told.where, {c.text: c.where for c in codes}) for a, (told, codes) in found.lint.ignore.items()},
    )
    return Linter(found.root, loader, rules, choice)


def open_store(found: Settings) -> Store:
    """By the form of ``state:``, a database's URL or a path."""
    if found.state.startswith(("postgresql://", "postgres://")):
        from anabranch.stores.postgres import PostgresStore

        return PostgresStore(found.state)
    from anabranch.stores.sqlite import SqliteStore

    return SqliteStore(found.root / found.state)


@cache
def open_materialization(name: str) -> Materialization | None:
    """A third party's, by the name of its entry point; None where there is none."""
    from importlib.metadata import entry_points

    from anabranch.ports.materialization import GROUP

    for entry in entry_points(group=GROUP, name=name):
        found: Materialization = entry.load()
        return found
    return None


def open_signals(root: Path) -> Signals:
    """The project's own; nothing is read before one is asked."""
    from anabranch.loaders.signal_files import SignalFiles

    return SignalFiles(root)


def open_loader(found: Settings, engine: Engine, provider: str) -> Loader:
    """The native loader, with its cache beside the state."""
    from anabranch.loaders.cache import ParseCache
    from anabranch.loaders.native import NativeLoader, NativeSettings, SeedSettings, SourceSettings

    native = NativeSettings(
        provider=provider,
        dialect=engine.dialect,
        default_schema=found.warehouse.schema,
        sources={n: SourceSettings(s.columns, s.description, s.key, s.where) for n, s in found.sources.items()},
        seeds={n: SeedSettings(s.columns, s.key, s.where) for n, s in found.seeds.items()},
        salt=engine.name,
        variables=found.variables,
        materializations=open_materialization,
        overrides={str(name): values for name, values in found.overrides.items()},
    )
    return NativeLoader(found.root, native, ParseCache(found.root / FOLDER / "cache.db"))


def _cloned(found: Settings) -> frozenset[AssetName]:
    return frozenset(name for name, source in found.sources.items() if source.is_cloned)


def _branches(found: Settings) -> dict[str, EnvironmentName]:
    return {**dict.fromkeys(DEFAULT_BRANCHES, found.trunk), **found.branches}


def _explain(before: Snapshot, after: Snapshot) -> str:
    from anabranch.sql.explain import what_changed  # needs the parser

    if before.kind != after.kind:
        return f"kind changed from {before.kind.value} to {after.kind.value}"
    if PYTHON in (before.definition.dialect, after.definition.dialect):
        return _python_changed(before, after)
    if not before.definition.dialect or not after.definition.dialect:
        return "content changed"
    return what_changed(before.definition.text, after.definition.text, after.definition.dialect)


def _python_changed(before: Snapshot, after: Snapshot) -> str:
    if before.definition.dialect != after.definition.dialect:
        return "rewritten in Python" if after.definition.dialect == PYTHON else "rewritten in SQL"
    old, new = (Function.decode(s.definition.text) for s in (before, after))
    if old.columns != new.columns:
        return "its columns changed"
    if set(old.reads) != set(new.reads):
        return "reads others"
    return "its code changed" if old.modules != new.modules else "its settings changed"


@dataclass(frozen=True, slots=True)
class UnitTests:
    """What the unit tests of a project need. ``files``: relative to ``root``."""

    root: Path
    files: tuple[str, ...]
    assets: Mapping[AssetName, Snapshot]
    bench: Bench
    default_schema: str
    dialect: str

    def load(self, files: Collection[str] | None = None) -> list[UnitTest]:
        """The tests in ``files`` (by default all). Raises ``UnitTestError`` and ``ModelError``."""
        from anabranch.loaders.unit_tests import load_tests

        return load_tests(self.root, self.files if files is None else files, self.assets, self.default_schema)

    def parse(self, path: str, text: str) -> list[UnitTest]:
        """The tests of a file that needn't be there. Raises ``UnitTestError``."""
        from anabranch.loaders.problems import Problems
        from anabranch.loaders.unit_tests import parse_tests

        problems = Problems(self.root)
        found = parse_tests(self.root, path, text, self.assets, self.default_schema, problems)
        problems.stop()
        return found


@contextmanager
def open_unit_tests(start: Path, workspace: Workspace | None = None) -> Iterator[UnitTests]:
    """The unit tests of the project that ``start`` lies in. Neither its state nor its warehouse is opened.

    Raises:
        ProjectError: the project can't be read.
    """
    from anabranch.engines.duckdb import DuckDBEngine
    from anabranch.loaders.unit_tests import find_test_files
    from anabranch.providers.bench import MemoryBench

    root = settings.find_root(start)
    found = settings.load(root)
    engine = open_engine(found.warehouse, root, lambda holder: None)
    loader = workspace.loader if workspace is not None else open_loader(found, engine, ModelsProvider.name)
    assets = loader.load().assets
    own = dict(found.warehouse.settings) if found.warehouse.engine == "duckdb" else {}
    zone = next((own.pop(k) for k in list(own) if k.lower() == "timezone"), "UTC")
    memory = DuckDBEngine(Path(":memory:"), settings={**own, "threads": "1"})
    schema = found.warehouse.schema
    bench = MemoryBench(memory, root=root, assets=assets, default_schema=schema, dialect=engine.dialect, time_zone=zone)
    try:
        yield UnitTests(root, tuple(find_test_files(root)), assets, bench, schema, engine.dialect)
    finally:
        bench.close()
