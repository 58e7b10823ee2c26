"""The items of a SELECT, stars unfolded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from anabranch.sql.canonical import fold
from anabranch.sql.columns.graph import Graph, Term
from anabranch.sql.columns.parts import require_only
from anabranch.sql.columns.scope import Scope, Source
from anabranch.sql.columns.values import Unhandled


@dataclass(frozen=True, slots=True)
class Item:
    """A column that a SELECT puts out: an expression, or (from a star) a term."""

    name: str
    spelling: str
    expression: exp.Expr | None = None
    is_alias: bool = False
    """Other expressions may call it so."""
    term: Term = None
    is_unstable: bool = False
    is_closed: bool = True
    """It doesn't come of a star over columns that aren't all known."""


def items_of(select: exp.Select, scope: Scope, graph: Graph, dialect: str, *, needs_names: bool = True) -> list[Item]:
    """All of them, in order. Without ``needs_names``, nobody can refer to them by name.

    Raises:
        Unhandled: one has no name, two have the same, or a star stands for columns that aren't known.
    """
    found: list[Item] = []
    for each in select.expressions:
        if needs_names or isinstance(each, exp.Star | exp.Column | exp.Alias):
            found += _items(each, scope, graph, dialect)
        else:
            found.append(Item(f" {len(found)}", "", each))
    names = [item.name for item in found]
    if len(set(names)) < len(names):
        raise Unhandled("two columns of one name")
    return found


def _items(node: exp.Expr, scope: Scope, graph: Graph, dialect: str) -> Iterator[Item]:
    if isinstance(node, exp.Star):
        yield from _star(node, scope.sources, scope, graph, dialect)
    elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        path = [fold(p.name, bool(p.args.get("quoted")), dialect) for p in node.parts[:-1]]
        sources = [s for s in scope.sources if list(s.path[-len(path) :]) == path]
        if len(sources) != 1 or scope.merged:
            raise Unhandled("a star over what isn't a relation here")
        yield from _star(node.this, sources, scope, graph, dialect)
    elif isinstance(node, exp.Alias):
        require_only(node, "this", "alias")
        alias = node.args["alias"]
        yield Item(fold(alias.name, bool(alias.args.get("quoted")), dialect), alias.name, node.this, is_alias=True)
    elif isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        name = fold(node.this.name, bool(node.this.args.get("quoted")), dialect)
        yield Item(name, name, node)
    else:
        raise Unhandled("a column without a name")


def _star(star: exp.Star, sources: list[Source], scope: Scope, graph: Graph, dialect: str) -> Iterator[Item]:
    require_only(star, "except_", "replace")
    if not sources:
        raise Unhandled("a star over nothing")
    without = {_name(each, dialect) for each in star.args.get("except_") or ()}
    instead = {fold(each.alias, False, dialect): each for each in star.args.get("replace") or ()}
    if any(not isinstance(each, exp.Alias) for each in instead.values()):
        raise Unhandled("REPLACE of an unusual form")
    seen: set[str] = set()
    is_first = True
    for source in sources:
        relation = source.relation
        if not relation.columns and not relation.is_closed:
            raise Unhandled("a star over columns that aren't known")
        for name, column in relation.columns.items():
            if name in scope.merged and not is_first:
                continue
            seen.add(name)
            if name in without:
                continue
            if name in instead:
                yield Item(name, instead[name].alias, instead[name].this, is_closed=relation.is_closed)
                continue
            term: Term = column if source.number is None else ("of", source.number, column)
            unstable = name in relation.unstable
            if name in scope.merged:
                term, unstable = scope.merged[name]
            yield Item(name, relation.spelling[name], None, False, term, unstable, relation.is_closed)
        is_first = False
    if not {*without, *instead} <= seen:
        raise Unhandled("EXCLUDE or REPLACE of what isn't among the columns")


def _name(node: exp.Expr, dialect: str) -> str:
    if isinstance(node, exp.Column) and len(node.parts) == 1:
        node = node.this
    if not isinstance(node, exp.Identifier):
        raise Unhandled("EXCLUDE of an unusual form")
    return fold(node.name, bool(node.args.get("quoted")), dialect)
