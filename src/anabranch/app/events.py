"""What happens while a plan is applied, for whoever shows progress."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anabranch.domain.audit import Finding
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.errors import AnabranchError
from anabranch.ports.provider import Built


@dataclass(frozen=True, slots=True)
class BuildBegan:
    asset: AssetName


@dataclass(frozen=True, slots=True)
class BuildEnded:
    """``reused``: somebody else had built it in the meantime."""

    asset: AssetName
    built: Built
    reused: bool


@dataclass(frozen=True, slots=True)
class BuildKept:
    """It keeps its data: what it reads was rebuilt, and holds what it held before."""

    asset: AssetName


@dataclass(frozen=True, slots=True)
class BuildBroke:
    asset: AssetName
    error: AnabranchError


@dataclass(frozen=True, slots=True)
class BuildSkipped:
    """Not begun, for what it reads failed."""

    asset: AssetName
    because: AssetName


@dataclass(frozen=True, slots=True)
class Audited:
    """The audits of an asset were run; what each of them found."""

    asset: AssetName
    findings: tuple[Finding, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody else is at it."""

    what: str
    holder: str


@dataclass(frozen=True, slots=True)
class Pointed:
    """The environment shows its new state (or nothing any more: ``gone``). ``seconds`` from the first statement to the
    commit."""

    environment: EnvironmentName
    moved: int
    seconds: float
    gone: bool = False


@dataclass(frozen=True, slots=True)
class HooksRan:
    """Statements of ``before_all`` or ``after_all`` (``what``) were run."""

    what: str
    number: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Healed:
    """An interrupted plan was ended. ``forward``: its environment now shows what it had published."""

    environment: EnvironmentName
    action: str
    forward: bool


Event = (
    BuildBegan | BuildEnded | BuildKept | BuildBroke | BuildSkipped | Audited | Waiting | Pointed | HooksRan | Healed
)
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listens to nothing."""
