"""Clones of sources as assets: what a provider says of what they cost, and how they get into their sources."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from anabranch.domain.content import Content
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.ports.provider import Built, Provider, Staged


@dataclass(frozen=True, slots=True)
class Weight:
    """What a clone of a table costs. ``why``: a phrase that says why its rows have to be copied; empty: they needn't.
    ``rows``, ``size``: so many, and their bytes, where they are known."""

    why: str = ""
    rows: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Merging:
    """What merging a clone into its source comes to. ``keys``: rows are told apart by these columns, and so many are
    written; without: the clone takes the source's place as a whole."""

    keys: tuple[str, ...] = ()
    changed: int = 0
    added: int = 0
    removed: int = 0
    conflicts: int = 0
    """Rows that were written to on both sides, and not alike."""
    samples: tuple[str, ...] = ()
    """The keys of some of these."""
    size: int | None = None
    """Bytes that have to be copied; 0: none. None: it isn't known how many."""
    why: str = ""
    """Why the clone can't be merged at all."""
    hint: str = ""


class Clones(Provider, Protocol):
    """A provider whose environments can have clones of sources, which people write to. One is built at its location; it
    is shown by getting its place, where it is a table as any other, and what is at its location then leads there."""

    def copies_clone(self, depth: int) -> bool:
        """Whether rows have to be copied for a clone that is the last of ``depth`` clones of one another."""
        ...

    def clone_location(self, environment: EnvironmentName, asset: AssetName, identifier: str) -> str:
        """Where a clone of ``asset`` is built."""
        ...

    def weigh(self, source: Snapshot, *, past: bool = False, is_copy: bool = False) -> Weight:
        """What its clone costs; ``past``: as it was earlier; ``is_copy``: by :meth:`copies_clone`.

        Raises:
            Refused: it can't be cloned as it was earlier.
        """
        ...

    def tokens(self, clones: Collection[Snapshot]) -> dict[str, str]:
        """By location, what is another text whenever the clone holds something else. Those that are gone are left
        out."""
        ...

    def own_bytes(self, clones: Collection[Snapshot]) -> dict[str, int]:
        """By location, the bytes that clones share with no other table, of those of which it is known."""
        ...

    def weigh_merge(self, clone: Snapshot, made: Built) -> Merging:
        """What it comes to, if the clone is merged into its source now. ``made``: what was found of the clone when it
        was made."""
        ...

    def stage_merge(self, source: Snapshot, clone: Snapshot, made: Built, content: Content, now: int) -> Staged:
        """Computes the generation of the source after ``content`` that has what was written to the clone, unseen.
        ``now``: in seconds since 1970.

        Raises:
            Refused: it can't be merged by now, as :meth:`weigh_merge` says.
        """
        ...

    def check_return(self, source: Snapshot, content: Content, to: int) -> None:
        """Raises ``Refused`` where an earlier generation of a source can't be brought back without a loss of what was
        written to it since."""
        ...
