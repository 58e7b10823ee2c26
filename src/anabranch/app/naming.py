"""Which environment is meant, by name or by the git branch that is checked out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from anabranch.app.state import State
from anabranch.domain.names import AssetName, EnvironmentName, environment_for_branch, environment_name
from anabranch.errors import InvalidName, ProjectError


@dataclass(frozen=True, slots=True)
class Here:
    """Where and by whom a command is called. ``branch`` is None outside git or on a detached HEAD."""

    author: str
    branch: str | None = None
    in_git: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """The project's rules for environments."""

    trunk: EnvironmentName
    branches: Mapping[str, EnvironmentName] = field(default_factory=dict)
    ttl: timedelta | None = None
    retention: timedelta = timedelta(days=30)
    protected: Collection[EnvironmentName] = ()
    """Besides the trunk: they change only when the user says so, never expire and are never dropped."""
    cloned: Collection[AssetName] = ()
    """Sources of which every environment but the trunk gets a clone."""

    def protects(self, name: EnvironmentName) -> bool:
        """The trunk, or one that the project names."""
        return name == self.trunk or name in self.protected


class Naming:
    """Finds environments' names."""

    def __init__(self, state: State, rules: Rules, here: Here) -> None:
        self._state = state
        self._rules = rules
        self._here = here

    def resolve(self, text: str | None) -> EnvironmentName:
        """The environment that ``text`` means: an environment's name, a git branch, or (None) the branch checked out.

        Raises:
            ProjectError: none was named, and no branch is checked out.
            InvalidName: it can be neither.
        """
        if text is not None:
            try:
                name = environment_name(text)
            except InvalidName:
                return self.for_branch(text)
            return self._rules.branches.get(text, name)
        if self._here.branch is not None:
            return self.for_branch(self._here.branch)
        what = "no branch is checked out (detached HEAD)" if self._here.in_git else "this is not a git checkout"
        raise ProjectError(f"which environment? {what}", hint="name it: anabranch COMMAND ENV")

    def for_branch(self, branch: str) -> EnvironmentName:
        """The environment of a git branch."""
        if branch in self._rules.branches:
            return self._rules.branches[branch]

        def is_free(name: EnvironmentName) -> bool:
            if name == self._rules.trunk or name in self._rules.branches.values():
                return False
            there = self._state.environment(name)
            return there is None or there.branch in (None, branch)

        return environment_for_branch(branch, is_free)

    def branch_of(self, name: EnvironmentName) -> str | None:
        """The branch checked out, where it is that of ``name``."""
        branch = self._here.branch
        return branch if branch is not None and self.for_branch(branch) == name else None
