"""Which columns of what a query reads decide its columns and its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anabranch.domain.lineage import ROWS, Decides
from anabranch.sql.columns.values import ORDER, Analysis, Slot

Deciding = Mapping[tuple[str, str], Decides]
"""By asset and column (:data:`~anabranch.domain.lineage.ROWS`: its rows), what each decides."""


@dataclass(frozen=True, slots=True)
class Edges:
    """What decides each column beside the rows, and what decides the rows."""

    columns: Mapping[str, Deciding]
    rows: Deciding


def edges(analysis: Analysis) -> Edges:
    """Of an analysis without a fallback. What an outcome depends on only through the order in which upstreams happen
    to write their rows is left out."""
    columns = {o.name: _deciding(analysis, o.ref, in_rows=False) for o in analysis.outputs}
    return Edges(columns, _deciding(analysis, analysis.rows, in_rows=True))


def _deciding(analysis: Analysis, root: int, *, in_rows: bool) -> Deciding:
    of_rows = frozenset(analysis.row_nodes)
    found: dict[tuple[str, str], Decides] = {}
    start = (root, in_rows or root in of_rows)
    stack, seen = [start], {start}
    while stack:
        ref, within = stack.pop()
        if ref < 0:
            _add(found, analysis.slots[-1 - ref], within)
            continue
        for inner in analysis.nodes[ref].refs:
            step = (inner, within or inner in of_rows)
            if step not in seen:
                seen.add(step)
                stack.append(step)
    return found


def _add(found: dict[tuple[str, str], Decides], slot: Slot, in_rows: bool) -> None:
    if slot.column is None:
        found[slot.asset, ROWS] = Decides.ROWS
    elif slot.column != ORDER and (not in_rows or (slot.asset, slot.column) not in found):
        found[slot.asset, slot.column] = Decides.ROWS if in_rows else Decides.VALUES
