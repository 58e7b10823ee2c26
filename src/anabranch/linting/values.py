"""What a rule is, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from anabranch.domain.names import AssetName
from anabranch.errors import Where
from anabranch.ports.loader import Project


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule objects to. Without ``where`` it is told at the place that defines ``asset``. ``rule`` and ``level``
    are filled in by whoever runs the rule."""

    message: str
    asset: AssetName | None = None
    where: Where | None = None
    hint: str | None = None
    rule: str = ""
    level: Level = Level.WARNING


@dataclass(frozen=True, slots=True)
class Rule:
    """``code`` is its name in ``anabranch.yaml``; ``level`` what counts where nothing is said there."""

    code: str
    told: str
    level: Level
    check: Callable[[Project], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the project chose, with places for errors."""

    levels: Mapping[str, tuple[Level, Where]] = field(default_factory=dict)
    ignore: Mapping[AssetName, tuple[Where, Mapping[str, Where]]] = field(default_factory=dict)
    """By asset: where it is named, and the rules that pass it over."""
