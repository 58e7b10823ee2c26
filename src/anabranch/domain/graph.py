"""The graph of what reads what."""

from __future__ import annotations

import graphlib
from collections.abc import Collection, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=str)


class Cycle(Exception):
    """``path`` begins and ends with the same name; each reads the next."""

    def __init__(self, path: list[str]) -> None:
        super().__init__(" → ".join(path))
        self.path = path


def order(reads: Mapping[Name, Collection[Name]]) -> list[Name]:
    """All names, each after what it reads.

    Raises:
        Cycle: there is no such order.
    """
    sorter = graphlib.TopologicalSorter({name: sorted(reads[name]) for name in sorted(reads)})
    try:
        return list(sorter.static_order())
    except graphlib.CycleError as error:
        path: list[str] = list(reversed(error.args[1]))
        start = path.index(min(path[:-1]))
        turned = path[start:-1] + path[:start]
        raise Cycle([*turned, turned[0]]) from None


def reversed_edges(reads: Mapping[Name, Collection[Name]]) -> dict[Name, list[Name]]:
    """Who reads each name."""
    readers: dict[Name, list[Name]] = {name: [] for name in reads}
    for name in sorted(reads):
        for upstream in reads[name]:
            readers.setdefault(upstream, []).append(name)
    return readers


def reach(edges: Mapping[Name, Collection[Name]], starts: Collection[Name]) -> set[Name]:
    """``starts`` and all that is reached from them."""
    seen: set[Name] = set()
    stack = list(starts)
    while stack:
        name = stack.pop()
        if name not in seen:
            seen.add(name)
            stack.extend(edges.get(name, ()))
    return seen
