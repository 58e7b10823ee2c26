"""Joins: which rows come together."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlglot import exp

from anabranch.sql.canonical import fold
from anabranch.sql.columns.expressions import Expressions
from anabranch.sql.columns.graph import Ref, Term
from anabranch.sql.columns.parts import require_only
from anabranch.sql.columns.scope import Scope, Scopes, Source
from anabranch.sql.columns.values import Unhandled

_KINDS = {"": "", "INNER": "", "CROSS": "", "OUTER": "", "SEMI": "SEMI", "ANTI": "ANTI"}
_SIDES = frozenset(["", "LEFT", "RIGHT", "FULL"])


@dataclass(slots=True)
class Joined:
    """What a FROM gives, as far as it is read."""

    rows: Ref
    scope: Scope = field(default_factory=Scope)
    has_unstable_rows: bool = False


def join(node: exp.Join, source: Source, joined: Joined, outer: Scopes, expressions: Expressions) -> Term:
    """Adds ``source`` to what is in sight; gives what the join does to the rows.

    Raises:
        Unhandled: a join of a kind that has no rule.
    """
    require_only(node, "this", "on", "using", "side", "kind")
    side, kind = str(node.args.get("side") or "").upper(), str(node.args.get("kind") or "").upper()
    if side not in _SIDES or kind not in _KINDS:
        raise Unhandled(f"{side or kind} JOIN")
    kind, scope = _KINDS[kind], joined.scope
    condition: Term = None
    if node.args.get("using"):
        condition = _using(node, source, joined, side, kind, expressions)
        scope.sources.append(source)
    else:
        scope.sources.append(source)
        on = node.args.get("on")
        if on is not None and not (isinstance(on, exp.Boolean) and on.this):
            read = expressions.read(on, (*outer, scope))
            if read.aggregates or read.ranges:
                raise Unhandled("an aggregate or a window in ON")
            condition = read.term
            joined.has_unstable_rows |= read.unstable
    joined.has_unstable_rows |= source.relation.has_unstable_rows
    if kind:
        scope.sources.pop()  # its columns can't be seen outside of ON
    return (side, kind, source.relation.rows, condition)


def _using(node: exp.Join, source: Source, joined: Joined, side: str, kind: str, expressions: Expressions) -> Term:
    """The equations that USING stands for; its columns become one each."""
    graph, scope = expressions.graph, joined.scope
    if kind or len(scope.sources) != 1:
        raise Unhandled("USING beside other joins")
    (left,) = scope.sources
    found: list[Term] = []
    for each in node.args["using"]:
        if not isinstance(each, exp.Identifier):
            raise Unhandled("USING with something else than names")
        name = fold(each.name, bool(each.args.get("quoted")), expressions.dialect)
        one, other = left.relation.column(name, graph), source.relation.column(name, graph)
        if one is None or other is None:
            raise Unhandled(f"USING {name}, which isn't among the columns")
        sides = ("of", left.number, one), ("of", source.number, other)
        found.append(sides)
        unstable = name in left.relation.unstable or name in source.relation.unstable
        scope.merged[name] = (("using", side, *sides), unstable)
        joined.has_unstable_rows |= unstable
    return ("using", *found)
