"""The computation that an analysis describes, while it is put together: each step once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anabranch.domain.ids import digest
from anabranch.sql.columns.values import Node, Slot


@dataclass(frozen=True, slots=True)
class Ref:
    """A slot or a node. ``meaning`` is a hash of what it stands for, whatever its place in the graph."""

    meaning: str
    place: int
    """As in :class:`~anabranch.sql.columns.values.Node`."""


ROWS = frozenset(
    {
        *("one row", "join", "where", "group", "having", "qualify", "distinct", "distinct on", "order", "limit"),
        *("union", "intersect", "except"),
    }
)
"""What a step is called that makes rows, and not a value."""
IN_ORDER = "in order"
"""A step that makes of its first term what that is."""
_LENGTH = 32
"""Hex digits of a step's name."""
Term = Ref | str | int | bool | None | tuple["Term", ...]
"""An expression or a part of one: tuples begin with what they are."""


def text_of(term: Term) -> str:
    """One text for each meaning: what terms are sorted and compared by."""
    return json.dumps(_plain(term), ensure_ascii=False)


def _plain(term: Term) -> object:
    if isinstance(term, Ref):
        return ["@", term.meaning]
    return [_plain(t) for t in term] if isinstance(term, tuple) else term


def in_order(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Sorted, for what has no order."""
    return tuple(sorted(terms, key=text_of))


class Graph:
    """Makes slots and nodes. Equal ones are made once."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.nodes: list[Node] = []
        self.of_rows: set[int] = set()
        """The places of what stands for rows."""
        self._known: dict[str, Ref] = {}

    def slot(self, asset: str, column: str | None) -> Ref:
        """A column of an upstream; its rows where ``column`` is None."""
        meaning = json.dumps([asset, column], ensure_ascii=False)
        if meaning not in self._known:
            self.slots.append(Slot(asset, column))
            self._known[meaning] = Ref(meaning, -len(self.slots))
            if column is None:
                self.of_rows.add(-len(self.slots))
        return self._known[meaning]

    def node(self, *term: Term) -> Ref:
        """A step; its term begins with what it is."""
        meaning = digest(text_of(term).encode())
        if meaning not in self._known:
            refs: list[int] = []
            text = json.dumps(_numbered(term, refs), ensure_ascii=False, separators=(",", ":"))
            self.nodes.append(Node(digest(text.encode())[:_LENGTH], tuple(refs)))
            self._known[meaning] = Ref(meaning, len(self.nodes) - 1)
            if term[0] in ROWS or (term[0] == IN_ORDER and refs[0] in self.of_rows):
                self.of_rows.add(len(self.nodes) - 1)
        return self._known[meaning]

    def pruned(self, roots: Sequence[Ref]) -> tuple[tuple[Slot, ...], tuple[Node, ...], dict[int, int]]:
        """The slots and nodes that ``roots`` need, and the new place of each old one."""
        needed: set[int] = set()
        stack = [r.place for r in roots]
        while stack:
            place = stack.pop()
            if place not in needed:
                needed.add(place)
                stack.extend(self.nodes[place].refs if place >= 0 else ())
        slots = sorted((p for p in needed if p < 0), key=lambda p: _slot_key(self.slots[-1 - p]))
        places = {old: -1 - i for i, old in enumerate(slots)}
        nodes = [p for p in sorted(needed) if p >= 0]
        places |= {old: i for i, old in enumerate(nodes)}
        moved = tuple(Node(n.does, tuple(places[r] for r in n.refs)) for n in (self.nodes[p] for p in nodes))
        return tuple(self.slots[-1 - p] for p in slots), moved, places


def _slot_key(slot: Slot) -> tuple[str, str]:
    return slot.asset, "" if slot.column is None else f" {slot.column}"


def _numbered(term: Term, refs: list[int]) -> object:
    if isinstance(term, Ref):
        refs.append(term.place)
        return {}
    return [_numbered(t, refs) for t in term] if isinstance(term, tuple) else term
