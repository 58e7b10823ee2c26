"""Lineage, as people, machines and Mermaid read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import click

from anabranch.domain.lineage import ROWS, WHOLE, Decides, Lineage, Part, Walk, of_assets, turned, walk
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind

Beside = Callable[[Part], Mapping[Part, Decides]]
_KINDS = {Kind.EXTERNAL: "source"}


@dataclass(frozen=True, slots=True)
class Direction:
    """What is seen upwards or downwards."""

    is_up: bool
    walk: Walk[Part]

    def beside(self, part: Part) -> dict[Part, Decides]:
        """What is next to a part, in order."""
        return {there: how for (here, there), how in self.walk.edges.items() if here == part}


@dataclass(frozen=True, slots=True)
class Seen:
    """What was asked for. ``start.column`` is :data:`WHOLE` where an asset was asked for, not a column."""

    lineage: Lineage
    start: Part
    directions: tuple[Direction, ...]
    by_column: bool


def look(
    lineage: Lineage, asset: AssetName, column: str | None, *, up: bool, down: bool, depth: int | None = None
) -> Seen:
    """The lineage of an asset, or (``column``) of one of its columns."""
    start = Part(asset, WHOLE) if column is None else lineage.part(asset, column)
    found: list[Direction] = []
    if up:
        beside = lineage.upstreams if column is not None else _assets(lineage, down=False)
        found.append(Direction(True, walk(start, beside, depth)))
    if down:
        below = _readers(lineage) if column is not None else _assets(lineage, down=True)
        found.append(Direction(False, walk(start, below, depth)))
    return Seen(lineage, start, tuple(found), column is not None)


def _readers(lineage: Lineage) -> Beside:
    backwards = turned(lineage.parts)
    return lambda part: lineage.readers(part, backwards)


def _assets(lineage: Lineage, *, down: bool) -> Beside:
    edges = of_assets(lineage.reads, down=down)
    return lambda part: {Part(asset, WHOLE): Decides.WHOLE for asset in edges.get(part.asset, ())}


# -- people -----------------------------------------------------------------------------------------------------------


def lines(seen: Seen) -> list[str]:
    """A tree for each direction; what was unfolded before is mentioned with an ellipsis."""
    told: set[AssetName] = set()
    head = [click.style(str(seen.start), bold=True), *_circumstances(seen, seen.start, told)]
    found = ["   ".join(head)]
    for direction in seen.directions:
        title = ("decided by" if seen.by_column else "reads") if direction.is_up else _down(seen)
        if not direction.beside(seen.start):
            found.append(f"{title} {'nothing' if direction.is_up or seen.by_column else 'nobody'}")
            continue
        found.append(title)
        edges: dict[Part, dict[Part, Decides]] = {}
        for (here, there), how in direction.walk.edges.items():
            edges.setdefault(here, {})[there] = how
        found += _tree(seen, edges, seen.start, told, {seen.start})
        if direction.walk.is_cut:
            found.append("there is more beyond --depth")
    return found


def _down(seen: Seen) -> str:
    return "decides" if seen.by_column else "read by"


def _tree(
    seen: Seen, edges: Mapping[Part, Mapping[Part, Decides]], start: Part, told: set[AssetName], unfolded: set[Part]
) -> Iterator[str]:
    stack = [(start, "", iter(_sorted(edges.get(start, {}))))]
    left = {start: len(edges.get(start, {}))}
    while stack:
        here, pad, rest = stack[-1]
        step = next(rest, None)
        if step is None:
            stack.pop()
            continue
        there, how = step
        left[here] -= 1
        is_last = not left[here]
        beyond = edges.get(there, {})
        words = [str(there), *([_mark(how, there)] if seen.by_column else []), *_circumstances(seen, there, told)]
        if there in unfolded and beyond:
            words.append("…")
        yield f"{pad}{'└─' if is_last else '├─'} {'   '.join(w for w in words if w)}"
        if there not in unfolded:
            unfolded.add(there)
            left[there] = len(beyond)
            stack.append((there, f"{pad}{'   ' if is_last else '│  '}", iter(_sorted(beyond))))


def _sorted(beside: Mapping[Part, Decides]) -> list[tuple[Part, Decides]]:
    """What decides values first."""
    return sorted(beside.items(), key=lambda item: (item[1] is Decides.ROWS, item[0]))


def _mark(how: Decides, there: Part) -> str:
    if how is Decides.VALUES:
        return ""
    return click.style("whole" if there.column == WHOLE else how.value, fg="yellow")


def _circumstances(seen: Seen, part: Part, told: set[AssetName]) -> Iterator[str]:
    """What is worth saying of an asset, once."""
    kind = seen.lineage.kinds[part.asset]
    if not seen.by_column or kind in (Kind.EXTERNAL, Kind.SEED, Kind.EMBEDDED):
        yield click.style(_KINDS.get(kind, kind.value), dim=True)
    why = seen.lineage.whole.get(part.asset)
    if why is not None and part.asset not in told:
        yield click.style(f"counts as a whole: {why}", fg="yellow")
    told.add(part.asset)


# -- machines ----------------------------------------------------------------------------------------------------------


def as_dict(seen: Seen) -> dict[str, object]:
    """Nodes and edges. An edge leads from what decides to what is decided."""
    nodes: dict[Part, None] = {}
    edges: dict[tuple[Part, Part], Decides] = {}
    for direction in seen.directions:
        nodes |= dict.fromkeys(direction.walk.distances)
        edges |= _oriented(direction)
    lineage = seen.lineage
    return {
        "asset": seen.start.asset,
        "column": _column(seen.start) if seen.by_column else None,
        "nodes": [
            {
                "id": _id(part),
                "asset": part.asset,
                "column": _column(part),
                "part": "rows" if part.column == ROWS else "whole" if part.column == WHOLE else "column",
                "kind": lineage.kinds[part.asset].value,
                "whole": lineage.whole.get(part.asset),
            }
            for part in sorted(nodes)
        ],
        "edges": [
            {"from": _id(one), "to": _id(other), "decides": how.value} for (one, other), how in sorted(edges.items())
        ],
        "complete": not any(d.walk.is_cut for d in seen.directions),
    }


def _oriented(direction: Direction) -> dict[tuple[Part, Part], Decides]:
    return {((b, a) if direction.is_up else (a, b)): how for (a, b), how in direction.walk.edges.items()}


def _column(part: Part) -> str | None:
    return None if part.column in (ROWS, WHOLE) else part.column


def _id(part: Part) -> str:
    return f"{part} (rows)" if part.column == ROWS else str(part)


# -- Mermaid -----------------------------------------------------------------------------------------------------------


def mermaid(seen: Seen) -> Iterator[str]:
    """``flowchart LR``, from what is read to who reads it. Dotted: it decides only the rows."""
    nodes = sorted({part for d in seen.directions for part in d.walk.distances})
    numbers = {part: f"n{i}" for i, part in enumerate(nodes)}
    yield "flowchart LR"
    for part, number in numbers.items():
        yield f'  {number}["{_escaped(_id(part))}"]'
    edges = {edge: how for d in seen.directions for edge, how in _oriented(d).items()}
    for (one, other), how in sorted(edges.items()):
        arrow = "-. rows .->" if how is Decides.ROWS else "-->"
        yield f"  {numbers[one]} {arrow} {numbers[other]}"
    yield f"  style {numbers[seen.start]} stroke-width:3px"


def _escaped(text: str) -> str:
    """As Mermaid takes it between quotes: whatever isn't plain by its number."""
    return "".join(c if c.isalnum() or c in "._- ()" else f"#{ord(c)};" for c in text)
