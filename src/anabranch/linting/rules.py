"""Anabranch's own rules: pure functions over a project."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from anabranch.domain.graph import reach, reversed_edges
from anabranch.domain.ids import canonical
from anabranch.domain.names import AssetName
from anabranch.domain.remarks import Remark, Sort
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.linting.values import Finding, Level, Rule
from anabranch.ports.loader import Project

_TAG = "tag:"


def builtin(edges: Collection[str] = ()) -> list[Rule]:
    """All of them. ``edges``: schemas, and tags as ``tag:NAME``, whose models are read from outside."""
    return [
        Rule("unknown-column", "a column that what is read doesn't have", Level.ERROR, unknown_column),
        Rule("ambiguous-column", "a column that several relations have", Level.ERROR, ambiguous_column),
        Rule("no-star", "* over a source, or in a model that nobody reads", Level.WARNING, no_star),
        Rule("duplicated-logic", "two models that give the same", Level.WARNING, duplicated_logic),
        Rule("unstable-result", "a query that may give other rows each time", Level.WARNING, unstable_result),
        Rule("unused-model", "a model that nobody reads, in no edge", Level.OFF, unused_model(edges)),
        Rule("missing-description", "a model without a description", Level.OFF, missing_description),
        Rule("missing-owner", "a model without an owner", Level.OFF, missing_owner),
        Rule("missing-key", "a model whose rows nothing tells apart", Level.OFF, missing_key),
        Rule("counts-as-whole", "a model whose columns can't be told apart", Level.OFF, counts_as_whole),
    ]


def models(project: Project) -> Iterator[tuple[AssetName, Snapshot]]:
    """The models that are queries."""
    return ((a, s) for a, s in project.assets.items() if s.kind not in (Kind.SEED, Kind.EXTERNAL))


def unknown_column(project: Project) -> Iterator[Finding]:
    """A column that what is read doesn't have, where all of its columns are known."""
    return _remarked(project, Sort.UNKNOWN_COLUMN)


def ambiguous_column(project: Project) -> Iterator[Finding]:
    """A column without its relation, which several have."""
    return _remarked(project, Sort.AMBIGUOUS_COLUMN)


def unstable_result(project: Project) -> Iterator[Finding]:
    """``random()``, a limit without an order, and the like."""
    return _remarked(project, Sort.UNSTABLE)


def no_star(project: Project) -> Iterator[Finding]:
    """``*`` over a source; in a model that nobody reads, over anything."""
    readers = _readers(project)

    def is_edge(asset: AssetName, remark: Remark) -> bool:
        of_source = any(project.assets[u].kind is Kind.EXTERNAL for u in remark.assets)
        return of_source or not readers[asset]

    return _remarked(project, Sort.STAR, is_edge)


def missing_owner(project: Project) -> Iterator[Finding]:
    """A model without an owner."""
    return _missing(project, "owner", "say owner NAME in its header")


def missing_description(project: Project) -> Iterator[Finding]:
    """A model without a description."""
    return _missing(project, "description", "say description '…' in its header")


def missing_key(project: Project) -> Iterator[Finding]:
    """A model of which nothing says what tells its rows apart. Embedded ones have no rows of their own."""
    for asset, snapshot in models(project):
        if snapshot.kind is not Kind.EMBEDDED and not snapshot.keys and not snapshot.properties.get("unique_key"):
            hint = "say grain (COLUMN, …) in its header; diff compares by it"
            yield Finding(f"{asset} doesn't say what tells its rows apart", asset, hint=hint)


def unused_model(edges: Collection[str]) -> Callable[[Project], Iterable[Finding]]:
    """The rule that finds models that nobody reads, and that are in none of ``edges``."""

    def check(project: Project) -> Iterator[Finding]:
        readers = _readers(project)
        for asset, snapshot in models(project):
            tags = {f"{_TAG}{t.strip().lower()}" for t in snapshot.properties.get("tags", "").split(",")}
            if not readers[asset] and asset.rpartition(".")[0] not in edges and not tags & set(edges):
                hint = "delete it; or name its schema or a tag of it under lint.edges in anabranch.yaml"
                yield Finding(f"nobody reads {asset}", asset, hint=hint)

    return check


def duplicated_logic(project: Project) -> Iterator[Finding]:
    """Two models with the same rows and columns. One that passes on what another gives is no duplicate of it."""
    alike: dict[bytes, list[AssetName]] = {}
    for asset, snapshot in models(project):
        columns = snapshot.published.columns
        alike.setdefault(canonical([snapshot.published.rows, columns and dict(columns)]), []).append(asset)
    reads = {a: list(s.upstreams) for a, s in project.assets.items()}
    for group in alike.values():
        above = {a: reach(reads, [a]) for a in group} if len(group) > 1 else {}
        for number, asset in enumerate(group):
            for other in group[:number]:
                if asset not in above[other] and other not in above[asset]:
                    hint = f"read {other} instead, or make it a view over it"
                    yield Finding(f"{asset} gives the same as {other}", asset, hint=hint)
                    break


def counts_as_whole(project: Project) -> Iterator[Finding]:
    """A model whose columns can't be told apart."""
    for asset, why in project.unanalysed.items():
        hint = "any change of what it reads builds it again: docs/fingerprints.md"
        yield Finding(f"{asset} counts as a whole: {why}", asset, hint=hint)


def _remarked(
    project: Project, sort: Sort, holds: Callable[[AssetName, Remark], bool] = lambda asset, remark: True
) -> Iterator[Finding]:
    for asset, remarks in project.remarks.of.items():
        for remark in remarks:
            if remark.sort is sort and holds(asset, remark):
                yield Finding(f"{asset}: {remark.message}", asset, remark.where, remark.hint)


def _missing(project: Project, what: str, hint: str) -> Iterator[Finding]:
    for asset, snapshot in models(project):
        if not snapshot.properties.get(what, "").strip():
            yield Finding(f"{asset} has no {what}", asset, hint=hint)


def _readers(project: Project) -> dict[AssetName, list[AssetName]]:
    return reversed_edges({a: list(s.upstreams) for a, s in project.assets.items()})
