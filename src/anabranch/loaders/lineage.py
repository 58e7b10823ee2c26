"""From a project's assembly to its lineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anabranch.domain.lineage import ROWS, WHOLE, Decides, Lineage, Part
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.loaders.assemble import Assembly
from anabranch.sql.columns.edges import Deciding, edges
from anabranch.sql.columns.values import Analysis

_KEYS = ("time_column", "unique_key", "partitioned_by")
"""Properties that name columns which decide the rows of an incremental table."""


def lineage_of(assembly: Assembly, assets: Mapping[AssetName, Snapshot]) -> Lineage:
    """Who reads what, by column. ``assets``: those that ``assembly`` gave."""
    parts: dict[Part, dict[Part, Decides]] = {}
    for asset, snapshot in assets.items():
        parts[Part(asset, ROWS)] = {}
        parts[Part(asset, WHOLE)] = {}
        listing = assembly.listings[asset]
        for name in listing.names if listing is not None else ():
            parts[Part(asset, name)] = {}
        analysis = assembly.analysed.get(asset)
        if analysis is None:
            continue
        if analysis.fallback:
            parts[Part(asset, WHOLE)] = {Part(u, WHOLE): Decides.WHOLE for u in snapshot.upstreams}
        else:
            parts |= _of_model(snapshot, analysis)
    for there in [u for deciding in parts.values() for u in deciding]:
        parts.setdefault(there, {})  # a column of a source that doesn't declare it
    columns: dict[AssetName, list[str]] = {}
    for part in parts:
        if part.column not in (ROWS, WHOLE):
            columns.setdefault(part.asset, []).append(part.column)
    for asset in assets:
        known = [Part(asset, c) for c in columns.get(asset, ())]
        if asset in assembly.unanalysed:
            _add(parts, [Part(asset, ROWS), *known], Part(asset, WHOLE), Decides.WHOLE)
        else:
            parts[Part(asset, WHOLE)] |= dict.fromkeys([Part(asset, ROWS), *known], Decides.WHOLE)
            _add(parts, known, Part(asset, ROWS), Decides.ROWS)
    return Lineage(
        {a: tuple(sorted(s.upstreams)) for a, s in assets.items()},
        {a: s.kind for a, s in assets.items()},
        {a: tuple(names) for a, names in columns.items()},
        parts,
        dict(assembly.unanalysed),
    )


def _of_model(snapshot: Snapshot, analysis: Analysis) -> dict[Part, dict[Part, Decides]]:
    """What decides the columns and the rows of a model, in what it reads."""
    found = edges(analysis)
    rows = _parts(found.rows)
    for column in _decide_rows(snapshot, found.columns):
        rows = {**dict.fromkeys(_parts(found.columns[column]), Decides.ROWS), **rows}
    for upstream in snapshot.upstreams:
        if upstream not in analysis.reads:  # only said to be read
            rows[Part(upstream, WHOLE)] = Decides.WHOLE
    parts = {Part(snapshot.asset, name): _parts(deciding) for name, deciding in found.columns.items()}
    return {Part(snapshot.asset, ROWS): rows, **parts}


def _decide_rows(snapshot: Snapshot, columns: Iterable[str]) -> list[str]:
    """The columns of the query that decide which rows a table that is filled by and by has."""
    if snapshot.kind in HISTORY:
        return list(columns)  # another value is another row
    if snapshot.kind not in INCREMENTAL:
        return []
    named = {n.strip().lower() for k in _KEYS for n in snapshot.properties.get(k, "").split(",")}
    if snapshot.kind is Kind.BY_UNIQUE_KEY:
        named |= set(snapshot.keys)
    return [name for name in columns if name in named]


def _parts(deciding: Deciding) -> dict[Part, Decides]:
    return {Part(AssetName(asset), column): decides for (asset, column), decides in sorted(deciding.items())}


def _add(parts: dict[Part, dict[Part, Decides]], of: Iterable[Part], there: Part, decides: Decides) -> None:
    for part in of:
        parts[part][there] = decides
