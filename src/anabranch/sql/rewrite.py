"""A query over assets becomes a query over what stands for them.

The query's own text is what runs: only the names of assets in it are replaced, at the places that the tree tells, by
quoted identifiers or by the query of an embedded model. So nothing else changes, whatever sqlglot understands of it,
and an engine's error names the user's own words.

A replaced name keeps, as an alias, the name by which the query refers to it: ``from sales.orders`` becomes ``from
"x"."y" AS "orders"`` (:mod:`anabranch.sql.qualifiers`). Names inside an embedded query are full names by then, so
that no common table expression around it can capture one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import Token, TokenType, exp

from anabranch.domain.names import AssetName, nearest
from anabranch.errors import DependencyCycle, UnknownUpstream
from anabranch.ports.engine import Relation
from anabranch.sql.labels import label_outputs
from anabranch.sql.qualifiers import Edit, Named, name_sources, quoted, unqualify
from anabranch.sql.reads import TableRead, find_reads
from anabranch.sql.syntax import Statement, single
from anabranch.sql.template import Template, cut, hole


def render(
    query: str,
    dialect: str,
    targets: Mapping[AssetName, Relation],
    embedded: Mapping[AssetName, str],
    default_schema: str,
) -> str:
    """``query`` with each asset that it reads replaced: by its relation (``targets``), or by its query
    (``embedded``), whose own reads are replaced too. Files, functions and the warehouse's own catalog stay as they
    are.

    Raises:
        UnknownUpstream: it reads what is in neither.
        DependencyCycle: embedded models that contain each other.
        SqlSyntaxError: it doesn't parse.
        ModelError: it names a table in a way that can't be followed.
    """
    return _Rendering(dialect, targets, embedded, default_schema).render(query)


def make_template(statement: Statement, reads: Sequence[TableRead], default_schema: str) -> Template:
    """A parsed query with holes for its ``reads``: filled with what :func:`render` would put in, it is what
    :func:`render` makes."""
    return cut(_Cutting(statement.source.dialect, {}, {}, default_schema).render_statement(statement, reads, ()))


def template_of(query: str, dialect: str, default_schema: str) -> Template:
    """:func:`make_template` of a text. Raises as :func:`render` does."""
    statement = single(query, dialect)
    return make_template(statement, find_reads(statement).reads, default_schema)


def make_statement_template(
    statement: Statement, reads: Sequence[TableRead], default_schema: str, more: Sequence[Edit]
) -> Template:
    """:func:`make_template` of a statement that isn't a query, with ``more`` edits made."""
    cutting = _Cutting(statement.source.dialect, {}, {}, default_schema)
    scopes = name_sources(statement, reads, default_schema)
    edits = [*unqualify(statement, scopes), *more]
    for scope in scopes.values():
        edits += [cutting._replace(statement, n.read, n, ()) for n in scope if n.read is not None]
    return cut(_apply(statement, edits))


@dataclass(frozen=True, slots=True)
class _Rendering:
    dialect: str
    targets: Mapping[AssetName, Relation]
    embedded: Mapping[AssetName, str]
    default_schema: str
    _done: dict[AssetName, str] = field(default_factory=dict)

    def render(self, query: str, inside: tuple[AssetName, ...] = ()) -> str:
        """``inside``: the embedded models that ``query`` is nested in."""
        statement = single(query, self.dialect)
        return self.render_statement(statement, find_reads(statement).reads, inside)

    def render_statement(self, statement: Statement, reads: Sequence[TableRead], inside: tuple[AssetName, ...]) -> str:
        scopes = name_sources(statement, reads, self.default_schema)
        edits = unqualify(statement, scopes)
        for scope in scopes.values():
            edits += [self._replace(statement, n.read, n, inside) for n in scope if n.read is not None]
        edits += label_outputs(statement, edits)
        return _apply(statement, edits)

    def _replace(self, statement: Statement, read: TableRead, named: Named, inside: tuple[AssetName, ...]) -> Edit:
        text = self._stand_in(statement, read, AssetName(named.asset), inside)
        if isinstance(read.node.parent, exp.Describe | exp.Summarize):
            return Edit(read.start, read.end, text)
        if not read.node.alias:
            text += f" AS {quoted([named.alias], self.dialect)}"
        before = _token_before(statement, read.start)
        if before is not None and before.token_type is TokenType.TABLE:  # TABLE x takes a name only
            return Edit(before.start, read.end, f"FROM {text}")
        return Edit(read.start, read.end, text)

    def _stand_in(self, statement: Statement, read: TableRead, asset: AssetName, inside: tuple[AssetName, ...]) -> str:
        relation = self.targets.get(asset)
        if relation is not None:
            return quoted([p for p in (relation.catalog, relation.schema, relation.name) if p], self.dialect)
        if asset in inside:
            path = " → ".join([*inside[inside.index(asset) :], asset])
            raise DependencyCycle(f"embedded models contain each other: {path}", hint="make one of them a VIEW")
        if asset in self.embedded:
            if asset not in self._done:
                self._done[asset] = self.render(self.embedded[asset], (*inside, asset))
            return f"({self._done[asset]}\n)"
        near = nearest(asset, [*self.targets, *self.embedded])
        hint = f"did you mean {near}?" if near else None
        message = f"the query reads {asset}, which doesn't exist"
        raise statement.source.error(UnknownUpstream, message, read.start, read.end, hint)


class _Cutting(_Rendering):
    """Leaves holes."""

    def _stand_in(self, statement: Statement, read: TableRead, asset: AssetName, inside: tuple[AssetName, ...]) -> str:
        return hole(asset)


def _token_before(statement: Statement, start: int) -> Token | None:
    at = bisect_left(statement.tokens, start, key=lambda t: t.start)
    return statement.tokens[at - 1] if at else None


def _apply(statement: Statement, edits: Sequence[Edit]) -> str:
    """The statement's text with all edits made."""
    text, at = statement.source.text, statement.start
    parts: list[str] = []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at : statement.end]])
