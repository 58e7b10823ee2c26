"""What anabranch.yaml can say. Only ``project`` is required."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from anabranch.config.reader import Value, read
from anabranch.domain.hooks import Hook, Hooks
from anabranch.domain.names import AssetName, EnvironmentName, asset_name, environment_name, nearest
from anabranch.domain.places import Suffix
from anabranch.errors import ConfigError, InvalidName, Where
from anabranch.sql.macros.moments import MOMENTS
from anabranch.sql.macros.scope import RUNTIME
from anabranch.sql.macros.values import Value as Plain

FILE = "anabranch.yaml"
FOLDER = ".anabranch"
DEFAULT_SCHEMA = "main"
TRUNK = EnvironmentName("prod")
_VARIABLE = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Source:
    """A table that Anabranch doesn't build."""

    columns: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    where: Where | None = None
    is_cloned: bool = False
    """Every environment but the trunk gets a clone of it."""
    key: tuple[str, ...] = ()
    """The columns that tell its rows apart."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What a seed's file can't say."""

    columns: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Warehouse:
    """Where models are built. ``settings``: the engine's own."""

    engine: str = "duckdb"
    database: str = ""
    """A path, or an address: as the engine has it. Nothing: where the engine keeps it by itself."""
    schema: str = DEFAULT_SCHEMA
    workers: int | None = None
    connections: int = 8
    """So many statements run at the same time at most, where an engine's transactions don't forbid it."""
    patience: timedelta = timedelta(minutes=5)
    settings: Mapping[str, str] = field(default_factory=dict)
    where: Where | None = None


LEVELS = ("error", "warning", "off")


@dataclass(frozen=True, slots=True)
class Told:
    """A word of the file, and where it stands."""

    text: str
    where: Where


@dataclass(frozen=True, slots=True)
class Lint:
    """What ``anabranch lint`` looks for. Which rules there are isn't known here."""

    rules: Mapping[str, tuple[Told, Told]] = field(default_factory=dict)
    """By the rule's code: the code, and one of :data:`LEVELS`."""
    ignore: Mapping[AssetName, tuple[Told, tuple[Told, ...]]] = field(default_factory=dict)
    """The asset, and the rules that don't look at it."""
    edges: tuple[str, ...] = ()
    """Schemas, and tags as ``tag:NAME``, whose models are read from outside."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file. ``root`` is the folder it stands in; relative paths are relative to it."""

    root: Path
    project: str
    state: str = f"{FOLDER}/state.db"
    trunk: EnvironmentName = TRUNK
    branches: Mapping[str, EnvironmentName] = field(default_factory=dict)
    ttl: timedelta | None = None
    protected: frozenset[EnvironmentName] = frozenset()
    suffix: Suffix = Suffix.SCHEMA
    retention: timedelta = timedelta(days=30)
    warehouse: Warehouse = field(default_factory=Warehouse)
    sources: Mapping[AssetName, Source] = field(default_factory=dict)
    seeds: Mapping[AssetName, Seed] = field(default_factory=dict)
    variables: Mapping[str, Plain] = field(default_factory=dict)
    """For macros; names in lower case."""
    overrides: Mapping[EnvironmentName, Mapping[str, Plain]] = field(default_factory=dict)
    """Other values of variables, in some environments."""
    hooks: Hooks = field(default_factory=Hooks)
    lint: Lint = field(default_factory=Lint)


def find_root(start: Path) -> Path:
    """The nearest folder from ``start`` upwards that has a project file. Raises ``ConfigError``."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    raise ConfigError(f"there is no {FILE} here or above {start}", hint="make one: anabranch init")


def load(root: Path) -> Settings:
    """Reads ``root/anabranch.yaml``. Raises ``ConfigError`` that names file, line and what to do."""
    file = root / FILE
    top = read(file).section(
        {
            "project",
            "state",
            "environments",
            "retention",
            "warehouse",
            "sources",
            "seeds",
            "variables",
            "before_all",
            "after_all",
            "lint",
        },
    )
    if "project" not in top:
        raise ConfigError(f"{FILE} doesn't name the project", where=Where(file, 1), hint="add: project: NAME")
    found = Settings(root=root, project=top["project"].text())
    if "state" in top:
        found = replace(found, state=top["state"].text())
    if "variables" in top:
        found = replace(found, variables=_variables(top["variables"]))
    if "environments" in top:
        found = _environments(found, top["environments"])
    if "lint" in top:
        found = replace(found, lint=_lint(top["lint"]))
    if "retention" in top:
        found = replace(found, retention=top["retention"].span())
    return replace(
        found,
        warehouse=_warehouse(top["warehouse"]) if "warehouse" in top else Warehouse(),
        sources=dict(_source(k, v) for _, k, v in top["sources"].items()) if "sources" in top else {},
        seeds=dict(_seed(k, v) for _, k, v in top["seeds"].items()) if "seeds" in top else {},
        hooks=Hooks(_hooks(top.get("before_all")), _hooks(top.get("after_all"))),
    )


def _hooks(value: Value | None) -> tuple[Hook, ...]:
    """Statements, one after another."""
    if value is None:
        return ()
    return tuple(Hook(each.text(), each.where, each.hidden()) for each in value.members())


def _environments(settings: Settings, value: Value) -> Settings:
    found = value.section({"trunk", "branches", "protected", "ttl", "suffix", "variables"})
    branches = (
        {name: _environment(target) for name, _, target in found["branches"].items()} if "branches" in found else {}
    )
    overrides: dict[EnvironmentName, Mapping[str, Plain]] = {}
    for name, key, target in found["variables"].items() if "variables" in found else ():
        overrides[_environment(key, name)] = _variables(target, settings.variables)
    return replace(
        settings,
        overrides=overrides,
        trunk=_environment(found["trunk"]) if "trunk" in found else settings.trunk,
        branches=branches,
        ttl=found["ttl"].span() if "ttl" in found else None,
        protected=frozenset(_environments_named(found["protected"])) if "protected" in found else frozenset(),
        suffix=Suffix(found["suffix"].choice([s.value for s in Suffix])) if "suffix" in found else settings.suffix,
    )


def _warehouse(value: Value) -> Warehouse:
    found = value.section({"engine", "database", "schema", "workers", "connections", "patience", "settings"})
    default = Warehouse()
    return Warehouse(
        engine=found["engine"].text() if "engine" in found else default.engine,
        database=found["database"].text() if "database" in found else default.database,
        schema=_schema(found["schema"]) if "schema" in found else default.schema,
        workers=found["workers"].integer() if "workers" in found else None,
        connections=found["connections"].integer() if "connections" in found else default.connections,
        patience=found["patience"].span() if "patience" in found else default.patience,
        settings={k: v.text() for k, _, v in found["settings"].items()} if "settings" in found else {},
        where=value.where,
    )


def _lint(value: Value) -> Lint:
    found = value.section({"rules", "ignore", "edges"})
    rules: dict[str, tuple[Told, Told]] = {}
    for name, key, level in found["rules"].items() if "rules" in found else ():
        rules[name] = (Told(name, key.where), Told(level.choice(LEVELS), level.where))
    ignore: dict[AssetName, tuple[Told, tuple[Told, ...]]] = {}
    for name, key, codes in found["ignore"].items() if "ignore" in found else ():
        ignore[_asset(key)] = (Told(name, key.where), tuple(Told(c, codes.where) for c in codes.texts()))
    edges = tuple(e.lower() for e in found["edges"].texts()) if "edges" in found else ()
    return Lint(rules, ignore, edges)


def _variables(value: Value, known: Mapping[str, Plain] | None = None) -> dict[str, Plain]:
    """Variables of macros. ``known``: only these may be set."""
    found: dict[str, Plain] = {}
    for name, key, target in value.items():
        if not _VARIABLE.match(name):
            key.fail(f"{name} can't be a variable's name", "use letters, digits and underscores")
        lower = name.lower()
        if lower in MOMENTS or lower in RUNTIME:
            key.fail(f"@{lower} is a variable that every model has", "choose another name")
        if lower in found:
            key.fail(f"{name} is there twice: case doesn't matter", "keep one of them")
        if known is not None and lower not in known:
            near = nearest(lower, sorted(known))
            hint = f"did you mean {near}?" if near else f"give {name} a value under variables: first"
            key.fail(f"there is no variable {name}", hint)
        found[lower] = target.plain()
    return found


def _source(key: Value, value: Value) -> tuple[AssetName, Source]:
    found = value.section({"columns", "description", "branch", "key"})
    columns = _columns(found["columns"]) if "columns" in found else {}
    description = found["description"].text() if "description" in found else ""
    is_cloned = "branch" in found and found["branch"].choice(("view", "clone")) == "clone"
    told_apart = tuple(k.lower() for k in found["key"].texts()) if "key" in found else ()
    return _asset(key), Source(columns, description, key.where, is_cloned, told_apart)


def _seed(key: Value, value: Value) -> tuple[AssetName, Seed]:
    found = value.section({"columns", "key"})
    columns = _columns(found["columns"]) if "columns" in found else {}
    return _asset(key), Seed(columns, found["key"].texts() if "key" in found else (), key.where)


def _columns(value: Value) -> dict[str, str]:
    return {name: kind.text() for name, _, kind in value.items()}


def _asset(key: Value) -> AssetName:
    try:
        name = asset_name(key.text())
    except InvalidName as error:
        key.fail(error.message, error.hint)
    if "." not in name:
        key.fail(f"{name} has no schema", "write it as schema.name")
    return name


def _schema(value: Value) -> str:
    try:
        asset_name(f"{value.text()}.x")
    except InvalidName as error:
        value.fail(error.message, error.hint)
    return value.text().lower()


def _environment(value: Value, text: str | None = None) -> EnvironmentName:
    try:
        return environment_name(value.text() if text is None else text)
    except InvalidName as error:
        value.fail(error.message, error.hint)


def _environments_named(value: Value) -> list[EnvironmentName]:
    return [_environment(value, text) for text in value.texts()]
