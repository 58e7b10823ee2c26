"""What a project's files can't say by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.domain.ids import canonical
from anabranch.domain.names import AssetName
from anabranch.errors import Where
from anabranch.ports import materialization
from anabranch.ports.materialization import Materializations
from anabranch.sql.macros.values import Value


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A table that Anabranch doesn't build. ``where`` it is declared is for errors."""

    columns: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    key: tuple[str, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class SeedSettings:
    """Types of a seed's columns, for some or all of them, and its key."""

    columns: Mapping[str, str] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class NativeSettings:
    """``provider``: who builds the models; ``salt``: what else decides their data, such as the engine's name."""

    provider: str = "models"
    dialect: str = "duckdb"
    default_schema: str = "main"
    sources: Mapping[AssetName, SourceSettings] = field(default_factory=dict)
    seeds: Mapping[AssetName, SeedSettings] = field(default_factory=dict)
    salt: str = ""
    variables: Mapping[str, Value] = field(default_factory=dict)
    """For macros; names in lower case."""
    overrides: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    """Other values of ``variables`` in some environments, by the environment's name."""
    materializations: Materializations = materialization.none
    """Of models of kind CUSTOM."""

    def variables_in(self, environment: str) -> dict[str, Value]:
        """The variables as they are in an environment."""
        return {**self.variables, **self.overrides.get(environment, {})}

    @property
    def overridden(self) -> frozenset[str]:
        """Variables that aren't the same in all environments."""
        return frozenset(name for each in self.overrides.values() for name in each)

    def said(self) -> bytes:
        """All that snapshots depend on, macros' variables aside."""
        sources = {name: (dict(s.columns), s.description, s.key) for name, s in self.sources.items()}
        seeds = {name: (dict(s.columns), s.key) for name, s in self.seeds.items()}
        return canonical([self.provider, self.dialect, self.default_schema, sources, seeds, self.salt])
