"""What a name in a query refers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anabranch.sql.columns.graph import Graph, Ref, Term
from anabranch.sql.columns.values import Misnamed, Unhandled


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows and their columns, by name, in order. ``asset`` is what may have columns that aren't known."""

    rows: Ref
    columns: Mapping[str, Ref] = field(default_factory=dict)
    spelling: Mapping[str, str] = field(default_factory=dict)
    has_unstable_rows: bool = False
    unstable: frozenset[str] = frozenset()
    """Columns whose values may be others each time."""
    is_closed: bool = True
    """It has no other columns, and they stand in this order."""
    asset: str | None = None
    """Where it isn't closed: what may have columns that aren't known, and can be told by their names alone."""

    def column(self, name: str, graph: Graph) -> Ref | None:
        """A column; None where there is none of that name. Where not all are known it is taken to be there."""
        found = self.columns.get(name)
        if found is None and not self.is_closed and self.asset is not None:
            return graph.slot(self.asset, name)
        return found

    @property
    def is_unstable(self) -> bool:
        return self.has_unstable_rows or bool(self.unstable)


@dataclass(frozen=True, slots=True)
class Source:
    """What a FROM names. ``path`` is its name as the query may write it, the schema first; ``number`` tells it from
    others beside it, and is None where it is alone."""

    path: tuple[str, ...]
    number: int | None
    relation: Relation

    @property
    def name(self) -> str:
        return self.path[-1]


@dataclass(slots=True)
class Scope:
    """The sources of one SELECT, as far as they are read."""

    sources: list[Source] = field(default_factory=list)
    merged: dict[str, tuple[Term, bool]] = field(default_factory=dict)
    """Columns that USING makes of two, with whether they are unstable."""
    is_wall: bool = False
    """Its sources may be in sight here, or may not: what refers to them isn't told."""

    @property
    def has_unknown(self) -> bool:
        return any(not s.relation.is_closed for s in self.sources)


Scopes = Sequence[Scope]
"""The innermost last."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column's name refers to. ``depth``: how many queries further out."""

    term: Term
    is_unstable: bool
    depth: int = 0


def qualified(path: Sequence[str], scopes: Scopes, graph: Graph) -> Meaning:
    """``a.b`` or ``s.a.b``.

    Raises:
        Unhandled: it may be a field of a struct, or isn't found.
    """
    *table, name = path
    if len(table) > 2:
        raise Unhandled("a name of four parts")
    for depth, scope in enumerate(reversed(scopes)):
        if scope.is_wall:
            break
        for source in scope.sources:
            if list(source.path[-len(table) :]) == table:
                column = source.relation.column(name, graph)
                if column is None:
                    message = f"{'.'.join(path)}, which isn't among the columns"
                    if not source.relation.is_closed or any(table[0] in s.relation.columns for s in scope.sources):
                        raise Unhandled(message)
                    raise Misnamed(message, name, source.relation.columns)
                return Meaning(_located(column, source, depth), name in source.relation.unstable, depth)
    raise Unhandled(f"{'.'.join(path)}, which may be a field of {table[0]}")


def unqualified(name: str, scopes: Scopes, graph: Graph) -> Meaning | None:
    """A name alone; None where it is no column of what is in sight.

    Raises:
        Unhandled: what it refers to can't be told.
    """
    for depth, scope in enumerate(reversed(scopes)):
        if scope.is_wall:
            raise Unhandled(f"{name}, which may belong to a query outside")
        if name in scope.merged:
            term, unstable = scope.merged[name]
            return Meaning(("outer", depth, term) if depth else term, unstable, depth)
        known = [s for s in scope.sources if name in s.relation.columns]
        if len(known) == 1:
            found = known[0].relation
            return Meaning(_located(found.columns[name], known[0], depth), name in found.unstable, depth)
        if len(known) > 1:
            paths = [f"{s.name}.{name}" for s in known]
            raise Misnamed(f"{name}, which several relations have", name, paths, is_ambiguous=True)
        if any(s.name == name for s in scope.sources):
            raise Unhandled(f"{name}, which is the name of a relation")
        if scope.has_unknown:
            if len(scope.sources) > 1 or _may_be_outside(name, scopes[: len(scopes) - 1 - depth]):
                raise Unhandled(f"{name} without the relation it belongs to, where not all columns are known")
            column = scope.sources[0].relation.column(name, graph)
            if column is None:
                raise Unhandled(f"{name}, which isn't among the known columns")
            return Meaning(_located(column, scope.sources[0], depth), False, depth)
    return None


def _may_be_outside(name: str, scopes: Scopes) -> bool:
    return any(s.has_unknown or name in s.merged or any(name in x.relation.columns for x in s.sources) for s in scopes)


def _located(column: Ref, source: Source, depth: int) -> Term:
    if depth:
        return ("outer", depth, source.number, column)
    return column if source.number is None else ("of", source.number, column)
