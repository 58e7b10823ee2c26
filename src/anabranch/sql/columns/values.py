"""What an analysis says, as plain values that a cache can keep. Nothing here loads sqlglot."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

COLUMNS = 1
"""The number of the rules in this package. Raise it when they change."""
ORDER = ""
"""Stands where a column's name does, for the order in which a model writes its rows."""


class Unhandled(Exception):
    """A query holds what the rules don't cover. Never leaves this package: the whole query counts then."""


class Misnamed(Unhandled):
    """A column that certainly isn't there, or (``is_ambiguous``) that several relations have. ``candidates``: names of
    columns that are there; or the ways to name it that aren't ambiguous."""

    def __init__(self, message: str, name: str, candidates: Iterable[str], *, is_ambiguous: bool = False) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(dict.fromkeys(candidates))
        self.is_ambiguous = is_ambiguous


@dataclass(frozen=True, slots=True)
class Listing:
    """The columns of something that a query reads, as far as they are known, in lower case."""

    names: tuple[str, ...] = ()
    is_closed: bool = False
    """There are no others, and they stand in this order."""
    is_source: bool = False
    """What it has besides can be told by its name alone."""


class Slot(NamedTuple):
    """A column of an upstream, or its rows (``column`` is None)."""

    asset: str
    column: str | None


class Node(NamedTuple):
    """A step of the computation. ``does`` is a hash of what is done; ``refs`` are what it is done to, in the order of
    that: ``n`` is the node of that index, ``-1 - n`` the slot of index n."""

    does: str
    refs: tuple[int, ...]


class Output(NamedTuple):
    """A column that a query puts out. ``ref`` as in :class:`Node`."""

    name: str
    """In the form in which it is compared."""
    spelling: str
    ref: int
    is_unstable: bool


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a query's rows and columns are made of; or, where ``fallback`` says why, just what is known besides."""

    fallback: str = ""
    logic: str = ""
    """A hash of all that follows, the same for the same meaning."""
    slots: tuple[Slot, ...] = ()
    nodes: tuple[Node, ...] = ()
    """Each refers to earlier ones only."""
    rows: int = 0
    outputs: tuple[Output, ...] = ()
    layout: int | None = None
    """By what the rows are sorted when they are written."""
    has_unstable_rows: bool = False
    is_closed: bool = True
    """There are no other columns, and they stand in this order."""
    reads: tuple[str, ...] = ()
    """The assets that the query names."""
    volatile: tuple[str, ...] = ()
    """Functions that it calls and that give something else each time."""
    row_nodes: tuple[int, ...] = ()
    """The nodes that stand for rows; the others stand for values. For lineage alone: no hash depends on it."""

    @property
    def listing(self) -> Listing | None:
        """What readers can know of the columns; None after a fallback."""
        return None if self.fallback else Listing(tuple(o.name for o in self.outputs), self.is_closed)


def encode(analysis: Analysis) -> str:
    """As the cache keeps it."""
    a = analysis
    said = [
        a.fallback,
        a.logic,
        a.slots,
        a.nodes,
        a.rows,
        a.outputs,
        a.layout,
        a.has_unstable_rows,
        a.is_closed,
        a.reads,
        a.volatile,
        a.row_nodes,
    ]
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Analysis:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: not what :func:`encode` writes.
    """
    try:
        fallback, logic, slots, nodes, rows, outputs, layout, unstable, closed, reads, volatile, of_rows = json.loads(
            text
        )
        return Analysis(
            fallback,
            logic,
            tuple([Slot(*s) for s in slots]),
            tuple([Node(does, tuple(refs)) for does, refs in nodes]),
            rows,
            tuple([Output(*o) for o in outputs]),
            layout,
            unstable,
            closed,
            tuple(reads),
            tuple(volatile),
            tuple(of_rows),
        )
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"not an analysis: {error}") from error
