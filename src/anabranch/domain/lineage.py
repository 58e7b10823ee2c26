"""What decides what: assets and their columns, upwards to what they read and downwards to who reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from anabranch.domain.graph import reversed_edges
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind

ROWS = ""
"""Stands where a column's name does, for which rows there are."""
WHOLE = "*"
"""Stands where a column's name does, for all columns and the rows: what a model depends on that counts as a whole."""


class Decides(StrEnum):
    """What one part decides of another."""

    VALUES = "values"
    ROWS = "rows"
    """Only which rows there are: a filter, a join, a grouping."""
    WHOLE = "whole"
    """Something; what can't be told."""


class Part(NamedTuple):
    """A column of an asset, its rows (:data:`ROWS`) or all of it (:data:`WHOLE`)."""

    asset: AssetName
    column: str

    def __str__(self) -> str:
        return self.asset if self.column in (ROWS, WHOLE) else f"{self.asset}.{self.column}"


Parts = Mapping[Part, Mapping[Part, Decides]]
"""For each part those beside it in one direction. Every part is a key."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who reads what in a project or an environment."""

    reads: Mapping[AssetName, Collection[AssetName]]
    """Every asset is a key."""
    kinds: Mapping[AssetName, Kind]
    columns: Mapping[AssetName, tuple[str, ...]] = field(default_factory=dict)
    """Of each asset whose columns are known, in lower case; of a source those that are declared or read."""
    parts: Parts = field(default_factory=dict)
    """What decides each part: parts of upstreams and of the asset itself."""
    whole: Mapping[AssetName, str] = field(default_factory=dict)
    """Models whose columns can't be told apart, and why."""

    def part(self, asset: AssetName, column: str) -> Part:
        """A column, where it can be told from others; else all of the asset."""
        found = Part(asset, column)
        return found if found in self.parts else Part(asset, WHOLE)

    def upstreams(self, part: Part) -> dict[Part, Decides]:
        """The parts of other assets that decide ``part`` at first hand, its rows included."""
        if part.column == WHOLE:
            return {Part(asset, WHOLE): Decides.WHOLE for asset in sorted(self.reads[part.asset])}
        found: dict[Part, Decides] = {}
        self._collect(self.parts, part, found, None, lambda there: True)
        return _without_implied(found)

    def readers(self, part: Part, turned: Parts) -> dict[Part, Decides]:
        """The parts of other assets that ``part`` decides at first hand. ``turned``: :attr:`parts`, turned.

        What decides the rows of a reader is told as that, and not as deciding each of its columns.
        """
        found: dict[Part, Decides] = {}
        # Who reads a column, reads rows too: so of the rows nothing is lost where columns are passed over.
        self._collect(turned, part, found, None, lambda there: there.column in (ROWS, WHOLE))
        rows = {p.asset for p in found if p.column == ROWS}
        return {
            p: d for p, d in sorted(found.items()) if p.column == ROWS or d is not Decides.ROWS or p.asset not in rows
        }

    def _collect(
        self, edges: Parts, part: Part, found: dict[Part, Decides], outer: Decides | None, enter: Callable[[Part], bool]
    ) -> None:
        """Neighbours in other assets; those within the asset are gone through."""
        stack, seen = [(part, outer)], {part}
        while stack:
            here, coming = stack.pop()
            for there, decides in edges.get(here, {}).items():
                how = _weaker(coming, decides)
                if there.asset != part.asset:
                    found[there] = _stronger(found.get(there), how)
                elif there not in seen and enter(there):
                    seen.add(there)
                    stack.append((there, how))


def _weaker(outer: Decides | None, inner: Decides) -> Decides:
    """What is decided through something that decides ``outer`` only."""
    if outer in (None, Decides.VALUES) or inner is Decides.WHOLE:
        return inner
    return outer


def _stronger(one: Decides | None, other: Decides) -> Decides:
    if one is None:
        return other
    return min(one, other, key=[Decides.VALUES, Decides.WHOLE, Decides.ROWS].index)


def _without_implied(found: Mapping[Part, Decides]) -> dict[Part, Decides]:
    """Without the rows of what a column is read of, for these decide the column too."""
    named = {p.asset for p in found if p.column != ROWS}
    return {p: d for p, d in sorted(found.items()) if p.column != ROWS or p.asset not in named}


Node = TypeVar("Node", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Walk(Generic[Node]):
    """What is reached from a start. ``distances`` are in edges; ``edges`` are those gone along, each with what the
    neighbours said of it."""

    distances: Mapping[Node, int]
    edges: Mapping[tuple[Node, Node], Decides]
    is_cut: bool
    """There is more, beyond the depth."""


def walk(start: Node, neighbours: Callable[[Node], Mapping[Node, Decides]], depth: int | None = None) -> Walk[Node]:
    """All within ``depth`` edges of ``start`` (None: however far), the nearest first."""
    distances: dict[Node, int] = {start: 0}
    edges: dict[tuple[Node, Node], Decides] = {}
    queue, is_cut = [start], False
    for here in queue:
        beside = neighbours(here)
        if depth is not None and distances[here] >= depth:
            is_cut = is_cut or any(there not in distances for there in beside)
            continue
        for there, decides in beside.items():
            edges[here, there] = decides
            if there not in distances:
                distances[there] = distances[here] + 1
                queue.append(there)
    return Walk(distances, edges, is_cut)


def turned(parts: Parts) -> dict[Part, dict[Part, Decides]]:
    """The same edges, backwards."""
    found: dict[Part, dict[Part, Decides]] = {part: {} for part in parts}
    for part, deciding in parts.items():
        for there, decides in deciding.items():
            found.setdefault(there, {})[part] = decides
    return found


def of_assets(
    reads: Mapping[AssetName, Iterable[AssetName]], *, down: bool = False
) -> dict[AssetName, list[AssetName]]:
    """Who is beside whom: what each asset reads, or (``down``) who reads it; sorted."""
    listed = {asset: sorted(upstreams) for asset, upstreams in reads.items()}
    return reversed_edges(listed) if down else listed
