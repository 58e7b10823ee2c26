"""What a location holds: its generations, which of them is current, and how to get from one to another.

A fingerprint says *what* a table is, a generation *as of when*. Generations are numbered, from 0 for the first build.
Each later one was made from its parent by one write; what the write replaced is kept beside the table until retention
ends, so that the way back is open. Generations form a tree: after a return to an earlier one, the next grows from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from anabranch.domain.ids import canonical
from anabranch.domain.intervals import Span, Spans, covers, minus, union


class Write(StrEnum):
    """How a generation came from its parent."""

    REPLACE = "replace"
    """Another table took its place."""
    SPANS = "spans"
    """The rows of some spans of time were replaced."""
    KEYS = "keys"
    """The rows of some keys (or partitions) were replaced, and rows of new ones added."""
    APPEND = "append"
    """Rows were added."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One state of a location's data. ``parent`` is None for the first build."""

    parent: int | None
    write: Write
    held: Spans
    """The spans of time that its rows cover; empty for models without intervals."""
    at: float
    """When it was computed, in seconds since 1970."""
    area: Spans = ()
    """Of a write by spans: what it replaced."""
    rows: int | None = None
    until: float | None = None
    """When another one took its place; None for the current one."""
    keys: tuple[str, ...] = ()
    """Of a write by keys to a table that Anabranch doesn't build: its key then."""
    token: str = ""
    """Of such a table that took another's place: tells what it held when it was made."""
    depth: int = 0
    """Of such a table: how many clones of one another it is."""


@dataclass(frozen=True, slots=True)
class Content:
    """All that is known of a location's data. ``complete``: a first build in several steps was finished."""

    current: int = 0
    top: int = 0
    """The highest number ever given."""
    generations: Mapping[int, Generation] = field(default_factory=dict)
    partial: bool = False
    """Built for a part of its time only, as a preview."""
    pending: Spans = ()
    """What a first build in several steps hasn't filled yet."""

    @property
    def now(self) -> Generation:
        return self.generations[self.current]

    def lacks(self, wanted: Span) -> bool:
        """Whether some of ``wanted`` isn't held."""
        return not covers(self.now.held, wanted)

    def grown(self, made: Generation, *, partial: bool) -> Content:
        """With ``made`` as the newest generation, and current."""
        number = self.top + 1
        before = replace(self.now, until=made.at)
        return Content(number, number, {**self.generations, self.current: before, number: made}, partial)

    def numbered(self, number: int) -> Content:
        """A first build, as the generation of that number."""
        return replace(self, current=number, top=number, generations={number: self.now})

    def moved(self, to: int, at: float) -> Content:
        """With another of its generations current. Raises ``KeyError`` where that one isn't kept."""
        left = replace(self.now, until=at)
        there = replace(self.generations[to], until=None)
        return replace(self, current=to, generations={**self.generations, self.current: left, to: there})

    def way(self, to: int, start: int | None = None) -> list[tuple[int, bool]]:
        """The writes that lead from the current generation (or ``start``) to ``to``, by number; True: the write is made
        again, False: it is taken back. Raises ``KeyError`` where some of the way isn't kept."""
        begin = self.current if start is None else start
        up, down = list(self._line(begin)), list(self._line(to))
        common = set(up) & set(down)
        if not common:
            raise KeyError(to)
        back = [(n, False) for n in up if n not in common]
        forth = [(n, True) for n in down if n not in common]
        return back + forth[::-1]

    def _line(self, number: int) -> Iterator[int]:
        """``number`` and those that it came from."""
        at: int | None = number
        while at is not None and at in self.generations:
            yield at
            at = self.generations[at].parent

    def retained(self, since: float) -> tuple[Content, tuple[int, ...]]:
        """Without what nobody has seen since ``since``, and the numbers of the writes whose rests may go."""
        wanted = [n for n, g in self.generations.items() if n == self.current or g.until is None or g.until >= since]
        edges: set[int] = set()
        reached: set[int] = {self.current}
        for number in wanted:
            try:
                way = self.way(number)
            except KeyError:
                continue
            edges |= {n for n, _ in way}
            reached.add(number)
            for n, _ in way:
                parent = self.generations[n].parent
                reached |= {n} if parent is None else {n, parent}
        gone = tuple(sorted(n for n, g in self.generations.items() if g.parent is not None and n not in edges))
        kept = {n: self._cut(n, edges) for n in sorted(reached)}
        return replace(self, generations=kept), gone

    def _cut(self, number: int, edges: set[int]) -> Generation:
        found = self.generations[number]
        return found if found.parent is None or number in edges else replace(found, parent=None)

    def encode(self) -> str:
        """As recorded, in the store and beside the data."""
        made = {str(n): _said(g) for n, g in self.generations.items()}
        return canonical([self.current, self.top, made, self.partial, self.pending]).decode()

    @staticmethod
    def decode(text: str | bytes) -> Content:
        """The inverse of :meth:`encode`."""
        current, top, made, partial, pending = json.loads(text)
        return Content(
            current,
            top,
            {
                int(n): Generation(parent, Write(write), _spans(held), at, _spans(area), rows, until, *_own(more))
                for n, (parent, write, held, at, area, rows, until, *more) in made.items()
            },
            partial,
            _spans(pending),
        )


def first(held: Spans, at: float, *, partial: bool = False, pending: Spans = ()) -> Content:
    """After a first build, or a part of it."""
    return Content(0, 0, {0: Generation(None, Write.REPLACE, held, at)}, partial, pending)


def after(before: Content, write: Write, area: Spans, at: float, rows: int | None = None) -> Generation:
    """The generation that a write makes of the current one; ``area`` is held from then on."""
    held = union(before.now.held, area)
    return Generation(before.current, write, held, at, area if write is Write.SPANS else (), rows)


def without(before: Content, area: Spans) -> Spans:
    """What is held but for ``area``."""
    return minus(before.now.held, area)


def _said(made: Generation) -> list[object]:
    own = [made.keys, made.token, made.depth]
    return [made.parent, made.write, made.held, made.at, made.area, made.rows, made.until, *(own if any(own) else ())]


def _own(more: list[Any]) -> tuple[Any, ...]:
    return (tuple(more[0]), more[1], more[2]) if more else ()


def _spans(raw: list[list[int]]) -> Spans:
    return tuple((b, e) for b, e in raw)
