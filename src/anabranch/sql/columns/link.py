"""From what a query is made of to fingerprints: fills an analysis with those of its upstreams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Protocol

from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Input, Published
from anabranch.sql.columns.values import COLUMNS, ORDER, Analysis


class Upstream(Protocol):
    """What a reader may depend on. Snapshots are that."""

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the whole."""
        ...

    @property
    def published(self) -> Published:
        """Of the rows and columns."""
        ...


@dataclass(frozen=True, slots=True)
class Linked:
    """What a model is. ``fingerprint`` decides its table."""

    fingerprint: Fingerprint
    published: Published
    inputs: Mapping[AssetName, Input]


def link(
    analysis: Analysis,
    upstreams: Mapping[AssetName, Upstream],
    salt: Sequence[object],
    *,
    stamp: str = "",
    whole: bool = False,
) -> Linked:
    """Fingerprints of an analysis without a fallback.

    Args:
        analysis: of the model's query.
        upstreams: all that the model reads. What isn't in its query (it is only said to be read) counts as a whole.
        salt: what else decides the data: the engine, the kind.
        stamp: a mark that the model carries so that it, and all that reads it, is built again.
        whole: it isn't a table of its own, but goes on reading what its upstreams hold: a view, an embedded model.
            Then its own fingerprint covers all of them, but what its readers see doesn't.
    """
    columns: dict[AssetName, list[str]] = {u: [] for u in upstreams}
    slots: list[str] = []
    for slot in analysis.slots:
        upstream = upstreams[AssetName(slot.asset)]
        if slot.column is None:
            slots.append(upstream.published.rows)
        else:
            columns[AssetName(slot.asset)].append(slot.column)
            slots.append(upstream.published.column(slot.column))
    entire = {u for u in upstreams if whole or u not in analysis.reads}
    inputs = {u: Input.of(k.fingerprint, k.published, columns[u], u in entire) for u, k in upstreams.items()}
    values: list[str] = []
    for node in analysis.nodes:
        refs = [values[r] if r >= 0 else slots[-1 - r] for r in node.refs]
        values.append(_combined(node.does, *refs))

    def value(ref: int) -> str:
        return values[ref] if ref >= 0 else slots[-1 - ref]

    rows, layout = value(analysis.rows), None if analysis.layout is None else value(analysis.layout)
    said: list[object] = [
        COLUMNS,
        list(salt),
        stamp,
        rows,
        layout,
        [[o.spelling, value(o.ref)] for o in analysis.outputs],
    ]
    # Rows count even where nothing of them reaches the result: the statement still names the table.
    said.append([[u, k.fingerprint if u in entire else k.published.rows] for u, k in sorted(upstreams.items())])
    fingerprint = Fingerprint(digest(canonical(said)))
    published = {
        o.name: Fingerprint(_combined(value(o.ref), o.name, fingerprint) if o.is_unstable else value(o.ref))
        for o in analysis.outputs
    }
    if layout is not None:
        published[ORDER] = Fingerprint(layout)
    if analysis.has_unstable_rows:
        rows = _combined(rows, fingerprint)
    if stamp:
        rows = _combined(rows, stamp)
    return Linked(fingerprint, Published(Fingerprint(rows), published), inputs)


def _combined(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=20).hexdigest()
