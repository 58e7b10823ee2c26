"""Everything that Anabranch raises on purpose, as one tree.

::

    AnabranchError
    ├── ProjectError            what the user wrote, or how the command was called
    │   ├── ConfigError         anabranch.yaml
    │   ├── InvalidName         a name from outside that can't become an identifier
    │   ├── ModelError          a model, seed or source that can't be read
    │   │   ├── SqlSyntaxError
    │   │   ├── UnknownUpstream
    │   │   ├── DuplicateAsset
    │   │   └── DependencyCycle
    │   ├── UnitTestError       a unit test that can't be read, or can't be run as it stands
    │   ├── SelectionError      a selector that can't be read, or that names what isn't there
    │   └── NotFound            an environment, commit or asset that isn't there
    ├── Refused                 correct, but not allowed as things stand (protected, exists, busy)
    ├── MovedOn                 somebody else was faster
    │   ├── StalePlan           what the plan read has changed
    │   └── MergeConflict       both sides changed the same asset
    ├── StateError              the store of trees, refs and journals
    │   ├── StateTooNew
    │   └── StateUnavailable
    ├── WarehouseError          an engine
    │   ├── WarehouseBusy       another process holds it
    │   ├── WarehouseUnavailable
    │   └── StatementFailed
    ├── BuildFailed             one or more assets could not be built
    ├── AuditFailed             an asset was built, and its rows fail an audit
    ├── HookFailed              a statement of before_all or after_all
    └── OutcomeUnknown          a step may or may not have been carried out

Each says what happened, to which asset, where in the file, and what to do next. Only the command line maps them to
exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.domain.audit import Finding
    from anabranch.domain.merge import Conflict


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file: 1-based line and column, and how many characters to underline."""

    path: Path
    line: int | None = None
    column: int | None = None
    length: int = 1

    def __str__(self) -> str:
        parts = [str(self.path), *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(parts)


class AnabranchError(Exception):
    """The root. ``message`` says what happened; ``hint`` says what to do next, ready to be typed where it is a
    command."""

    def __init__(
        self,
        message: str,
        *,
        asset: str | None = None,
        where: Where | None = None,
        hint: str | None = None,
        unchanged: bool = True,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.asset = asset
        self.where = where
        self.hint = hint
        self.unchanged = unchanged
        """Whether everything is as it was before the command; told to the user."""


class ProjectError(AnabranchError):
    """What the user wrote, or how the command was called."""


class ConfigError(ProjectError):
    """The project file can't be read as it stands."""


class InvalidName(ProjectError):
    """A name from outside that can't become an identifier."""


class ModelError(ProjectError):
    """A model, seed or source that can't be read."""


class SqlSyntaxError(ModelError):
    """SQL that doesn't parse."""


class UnknownUpstream(ModelError):
    """A model reads something that is neither a model, a seed nor a declared source."""


class DuplicateAsset(ModelError):
    """Two files define one asset, or two assets want one identifier."""


class DependencyCycle(ModelError):
    """Models that read each other."""


class UnitTestError(ProjectError):
    """A unit test that can't be read, or can't be run as it stands."""


class SelectionError(ProjectError):
    """A selector that can't be read, or that names what isn't there. The message shows it, with the place marked."""


class NotFound(ProjectError):
    """An environment, commit or asset that isn't there."""


class Refused(AnabranchError):
    """Understood, but not allowed as things stand."""


class MovedOn(AnabranchError):
    """Somebody else was faster: what this command was based on has changed."""


class StalePlan(MovedOn):
    """What the plan read has changed since."""


class MergeConflict(MovedOn):
    """Both sides changed the same assets."""

    def __init__(self, message: str, conflicts: Sequence[Conflict], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.conflicts = tuple(conflicts)


class StateError(AnabranchError):
    """The store of trees, refs and journals."""


class StateTooNew(StateError):
    """The store was written by a newer version of Anabranch."""


class StateUnavailable(StateError):
    """The store can't be reached, read or written."""


class WarehouseError(AnabranchError):
    """An engine refused or failed."""


class WarehouseBusy(WarehouseError):
    """Another process holds the warehouse."""


class WarehouseUnavailable(WarehouseError):
    """The warehouse is missing, read-only, of another format, or out of reach."""


class StatementFailed(WarehouseError):
    """A statement was refused by the engine. ``kind``: the engine's own name for what went wrong."""

    def __init__(self, message: str, *, kind: str = "", asset: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, asset=asset, hint=hint)
        self.kind = kind


class BuildFailed(AnabranchError):
    """One or more assets could not be built; the environment was not changed."""

    def __init__(
        self, message: str, failures: Sequence[tuple[str, AnabranchError]], *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.failures = tuple(failures)


class AuditFailed(AnabranchError):
    """An asset was built, but its rows fail an audit; nothing points at them."""

    def __init__(
        self,
        message: str,
        findings: Sequence[Finding],
        *,
        asset: str | None = None,
        where: Where | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, asset=asset, where=where, hint=hint)
        self.findings = tuple(findings)


class HookFailed(AnabranchError):
    """A statement of before_all or after_all was refused."""


class OutcomeUnknown(AnabranchError):
    """A step may or may not have been carried out, and the provider can't tell."""
