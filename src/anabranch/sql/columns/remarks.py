"""What can be said of a query: columns that aren't there, stars, what may be other each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from anabranch.domain.names import AssetName, nearest
from anabranch.domain.remarks import Sort
from anabranch.sql.canonical import fold
from anabranch.sql.columns import faithful, functions
from anabranch.sql.columns.analysis import ANALYSED
from anabranch.sql.columns.relations import Relations
from anabranch.sql.columns.values import Analysis, Listing, Misnamed, Unhandled
from anabranch.sql.reads import find_reads
from anabranch.sql.syntax import Statement
from anabranch.sql.words import word_set

_ORDERLESS = word_set("any_value arbitrary array_agg first group_concat last list listagg string_agg")
"""Aggregates that give what the order of rows says."""


@dataclass(frozen=True, slots=True)
class Said:
    """A remark, at ``text[start:end]`` of the query."""

    sort: Sort
    message: str
    start: int
    end: int
    hint: str | None = None
    assets: tuple[AssetName, ...] = ()


def remarks(
    statement: Statement, default_schema: str, listings: Mapping[AssetName, Listing | None], analysis: Analysis
) -> list[Said]:
    """All of a query, in the order of its text. ``listings``: the columns of what it reads; ``analysis``: its own.

    Names of columns are looked at up to where the rules by column end; nothing is said that isn't certain.
    """
    found: list[Said] = []
    if statement.source.dialect in ANALYSED:
        assets = {id(r.node): AssetName(r.asset(default_schema)) for r in find_reads(statement).reads}
        found += _misnamed(statement, assets, listings)
        found += _stars(statement.root, assets, {}, statement.source.dialect)
        found += _unstable(statement, analysis)
    unique = {(s.sort, s.start): s for s in reversed(found)}
    return sorted(unique.values(), key=lambda s: (s.start, s.sort))


def _misnamed(
    statement: Statement, assets: Mapping[int, AssetName], listings: Mapping[AssetName, Listing | None]
) -> Iterator[Said]:
    wrong: list[tuple[exp.Column, Misnamed]] = []
    try:
        faithful.check(statement)
        Relations(statement.root, statement.source.text, statement.source.dialect, assets, listings, wrong=wrong).read()
    except (Unhandled, RecursionError):
        pass  # what was found before is certain all the same
    for node, what in wrong:
        start, end = _span([p for p in node.parts if isinstance(p, exp.Identifier)])
        if what.is_ambiguous:
            message, hint = f"{what.name} is in several relations", f"write {' or '.join(what.candidates)}"
            yield Said(Sort.AMBIGUOUS_COLUMN, message, start, end, hint)
            continue
        near = nearest(what.name, list(what.candidates))
        listed = ", ".join(what.candidates[:8]) + (", …" if len(what.candidates) > 8 else "")
        hint = f"did you mean {near}?" if near else f"known here: {listed}" if listed else "nothing is read here"
        yield Said(Sort.UNKNOWN_COLUMN, f"there is no column {'.'.join(p.name for p in node.parts)}", start, end, hint)


# -- stars -------------------------------------------------------------------------------------------------------------

_Ctes = Mapping[str, exp.CTE]


def _stars(node: exp.Expr, assets: Mapping[int, AssetName], ctes: _Ctes, dialect: str) -> Iterator[Said]:
    """Stars that decide which columns ``node`` puts out, over assets."""
    own = node.args.get("with_")
    for cte in own.expressions if own is not None else ():
        ctes = {**ctes, cte.alias.lower(): cte}
    if isinstance(node, exp.SetOperation):
        for side in (node.this, node.expression):
            yield from _stars(side, assets, ctes, dialect)
    elif isinstance(node, exp.Subquery):
        yield from _stars(node.this, assets, ctes, dialect)
    elif isinstance(node, exp.Select):
        for star in node.expressions:
            if isinstance(star, exp.Star) or (isinstance(star, exp.Column) and isinstance(star.this, exp.Star)):
                yield from _star(star, node, assets, ctes, dialect)


def _star(
    star: exp.Expr, select: exp.Select, assets: Mapping[int, AssetName], ctes: _Ctes, dialect: str
) -> Iterator[Said]:
    of = star.parts[-2].name.lower() if isinstance(star, exp.Column) else None
    origin = select.args.get("from_")
    sources = [origin.this] if origin is not None else []
    sources += [j.this for j in select.args.get("joins") or ()]
    covered: list[AssetName] = []
    for source in sources:
        if of is not None and source.alias_or_name.lower() != of:
            continue
        asset = assets.get(id(source))
        if asset is not None:
            covered.append(asset)
            continue
        name = "" if not isinstance(source, exp.Table) else fold(source.name, False, dialect)
        if name in ctes:
            outer = {n: c for n, c in ctes.items() if n != name}
            yield from _stars(ctes[name].this, assets, outer, dialect)
        elif isinstance(source, exp.Subquery):
            yield from _stars(source, assets, ctes, dialect)
    if covered:
        inner = star.this if isinstance(star, exp.Column) else star
        place = inner.meta.get("start")
        start, end = (place, inner.meta["end"] + 1) if place is not None else _around(select)
        message = f"* is whatever columns {' and '.join(covered)} {'has' if len(covered) == 1 else 'have'}"
        yield Said(Sort.STAR, message, start, end, "name the columns", tuple(covered))


# -- what may be other each time ---------------------------------------------------------------------------------------


def _unstable(statement: Statement, analysis: Analysis) -> Iterator[Said]:
    root, text = statement.root, statement.source.text
    calls = functions.volatile_calls(root, text)
    may_vary = bool(analysis.fallback) or analysis.has_unstable_rows or any(o.is_unstable for o in analysis.outputs)
    for node in root.walk():
        if id(node) in calls and isinstance(node, exp.Func):
            name = functions.name_of(node, text)
            yield Said(Sort.UNSTABLE, f"{name}() gives something else each time", *_around(node), _HINT_VOLATILE)
        elif may_vary:
            said = _orderless(node, text)
            if said is not None:
                yield Said(Sort.UNSTABLE, *said)


_HINT_VOLATILE = "readers are built whenever it is; take the value from a source, or from a run's interval"


def _orderless(node: exp.Expr, text: str) -> tuple[str, int, int, str] | None:
    """What is taken in an order that nothing says."""
    if isinstance(node, exp.Limit | exp.Offset) and node.parent is not None and not node.parent.args.get("order"):
        word = "limit" if isinstance(node, exp.Limit) else "offset"
        if word == "offset" and node.parent.args.get("limit"):
            return None  # told of the limit
        return (f"{word} without order by: which rows these are may vary", *_around(node), "add order by")
    if isinstance(node, exp.Distinct) and node.args.get("on") and not (node.parent and node.parent.args.get("order")):
        return ("distinct on without order by: which rows stay may vary", *_around(node), "add order by")
    if not isinstance(node, exp.Func):
        return None
    name = functions.name_of(node, text)
    if name not in _ORDERLESS and name not in functions.ORDERED_WINDOWS:
        return None
    inside = node.find(exp.Order) is not None
    above: exp.Expr | None = node.parent
    while isinstance(above, exp.IgnoreNulls | exp.RespectNulls | exp.Filter | exp.WithinGroup):
        inside = inside or isinstance(above, exp.WithinGroup)
        above = above.parent
    if isinstance(above, exp.Window):
        inside = inside or bool(above.args.get("order")) or bool(above.args.get("alias"))
    if inside:
        return None
    place = node.parent if isinstance(node.parent, exp.IgnoreNulls) and "start" not in node.meta else node
    return (f"{name}() without order by: its values may vary", *_around(place), "add order by")


# -- places ------------------------------------------------------------------------------------------------------------


def _span(nodes: list[exp.Identifier]) -> tuple[int, int]:
    return int(nodes[0].meta["start"]), int(nodes[-1].meta["end"]) + 1


def _around(node: exp.Expr) -> tuple[int, int]:
    """The place of a node, or of the first part of it that has one."""
    if "start" in node.meta:
        return int(node.meta["start"]), int(node.meta["end"]) + 1
    places = [(int(n.meta["start"]), int(n.meta["end"]) + 1) for n in node.walk() if "start" in n.meta]
    return min(places) if places else (0, 1)
