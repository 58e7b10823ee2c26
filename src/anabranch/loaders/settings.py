"""What a project's files can't say by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.domain.ids import canonical
from anabranch.domain.names import AssetName
from anabranch.errors import Where


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """A table that Anabranch doesn't build. ``where`` it is declared is for errors."""

    columns: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
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

    def said(self) -> bytes:
        """All that snapshots depend on."""
        sources = {name: (dict(s.columns), s.description) for name, s in self.sources.items()}
        seeds = {name: (dict(s.columns), s.key) for name, s in self.seeds.items()}
        return canonical([self.provider, self.dialect, self.default_schema, sources, seeds, self.salt])
