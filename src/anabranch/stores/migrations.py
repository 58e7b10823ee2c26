"""How a store's own tables come to be, and how they change from one version of Anabranch to the next.

A schema version is a number; a migration is the step to it from the one before. Steps only go forward, and once
released are never edited. All that are due run in one transaction and under one lock, so that of two processes that
begin at once one migrates and the other finds it done; a crash in between leaves the version that was there. A store
that is up to date is only read.

The steps' SQL is each adapter's own, as is how it locks; this is the order in which things happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from anabranch import __version__
from anabranch.errors import StateTooNew, StateUnavailable


@dataclass(frozen=True, slots=True)
class Migration:
    """The step to version ``to`` from the one before."""

    to: int
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a store says of itself: its schema version, and which version of Anabranch gave it that."""

    version: int
    written_by: str


class Tables(Protocol):
    """One connection to a store, as migrating sees it."""

    @property
    def place(self) -> str:
        """Where, for people."""
        ...

    def stamp(self) -> Stamp | None:
        """What the store says of itself; None where there is no store yet. Only reads."""
        ...

    def exclusive(self) -> AbstractContextManager[None]:
        """One transaction that no other process migrates or publishes in; it is rolled back on an exception."""
        ...

    def run(self, statement: str) -> None:
        """Executes one of a migration's statements."""
        ...

    def mark(self, stamp: Stamp) -> None:
        """Writes what :meth:`stamp` will read."""
        ...


def newest(migrations: Sequence[Migration]) -> int:
    """The version that ``migrations`` lead to."""
    return migrations[-1].to


def migrate(tables: Tables, migrations: Sequence[Migration]) -> None:
    """Makes the tables what the last of ``migrations`` says, whatever version they are at.

    Raises:
        StateTooNew: a newer version of Anabranch has been here.
        StateUnavailable: it is so old that the steps from it are no longer known.
    """
    if not _due(tables, migrations):
        return
    with tables.exclusive():
        for step in _due(tables, migrations):  # asked again: somebody may have been faster
            for statement in step.statements:
                tables.run(statement)
            tables.mark(Stamp(step.to, __version__))


def too_new(place: str, found: Stamp, known: int) -> StateTooNew:
    """The error for a store that a newer version has written."""
    by = f"Anabranch {found.written_by}" if found.written_by else "a newer Anabranch"
    return StateTooNew(
        f"{place} was written by {by}, in format {found.version}; this is Anabranch {__version__}, which knows "
        f"format {known} and older",
        hint=f"install {by} or newer: what it has written can't be read by older ones",
    )


def _due(tables: Tables, migrations: Sequence[Migration]) -> Sequence[Migration]:
    found = tables.stamp() or Stamp(0, "")
    if found.version > newest(migrations):
        raise too_new(tables.place, found, newest(migrations))
    if found.version and found.version < migrations[0].to - 1:
        raise StateUnavailable(
            f"{tables.place} is in format {found.version}, written by Anabranch {found.written_by}, which this version "
            f"no longer reads",
            hint="open it once with an older Anabranch, which brings it forward, then with this one",
        )
    return [step for step in migrations if step.to > found.version]
