"""How tables are cloned, and what clones weigh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Past:
    """A moment in the past of a table, said in one way. ``before``: just before it, not at it."""

    time: datetime | None = None
    seconds: int | None = None
    """So many ago."""
    statement: str | None = None
    """The id of a statement that was run then."""
    version: int | None = None
    before: bool = False


@dataclass(frozen=True, slots=True)
class Cloning:
    """How a clone is made. An engine refuses what it can't do, and never passes it over."""

    at: Past | None = None
    """The source as it was then; None: as it is."""
    replace: bool = False
    """What stands there goes, in the same step."""
    is_deep: bool = False
    """Rows are copied after all: the clone needs nothing of its source any more."""
    keeps_grants: bool = False
    skips_unretained: bool = False
    """Of a schema or database: tables that aren't kept back to ``at`` are left out, instead of failing."""
    is_snapshot: bool = False
    """It can't be written to."""
    properties: Mapping[str, str] = field(default_factory=dict)
    location: str | None = None
    """Where its files go."""


@dataclass(frozen=True, slots=True)
class CloneRules:
    """What holds of an engine's clones."""

    depth: int | None = None
    """How many may be made of one another; None: any number."""
    outlive_source: bool = True
    """A clone stays whole when its source is dropped."""
    keep_grants: bool = False
    """One that takes a table's place keeps what is granted on that, where it is told to."""


@dataclass(frozen=True, slots=True)
class Held:
    """The bytes of a table. ``own``: of those, the ones that it shares with no other; None where it can't be told."""

    total: int
    own: int | None = None


USUAL = CloneRules()
PLAIN = Cloning()
