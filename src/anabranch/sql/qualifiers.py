"""By what name a query refers to each table that it reads.

An alias hides a table's schema: once ``sales.orders`` is replaced and called ``orders``, a column written
``sales.orders.id`` has to become ``orders.id``. Where ``orders`` alone would mean something else, because another
table in sight ends in the same name, the alias is the whole name, ``"sales.orders"``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from anabranch.sql.canonical import UPPER_CASE, fold, stored
from anabranch.sql.reads import TableRead
from anabranch.sql.syntax import Statement
from anabranch.sql.syntax import dialect as dialect_of


@dataclass(frozen=True, slots=True)
class Edit:
    """``text`` in the place of what stands from ``start`` to ``end``."""

    start: int
    end: int
    text: str


@dataclass(slots=True)
class Named:
    """A source of a SELECT. ``name``: as the dialect compares it; ``read`` is None, and ``asset`` empty, for what
    isn't replaced; ``alias``: by what it is called once it is."""

    name: str
    read: TableRead | None
    asset: str = ""
    alias: str = ""

    @property
    def can_be_qualified(self) -> bool:
        return self.read is not None and not self.read.node.alias


Scopes = Mapping[int, Sequence[Named]]
"""The sources of each SELECT, by the identity of its node."""
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_SOURCES = (exp.Table, exp.Subquery, exp.Unnest, exp.Lateral, exp.Values)


def name_sources(statement: Statement, reads: Sequence[TableRead], default_schema: str) -> Scopes:
    """All sources of the statement; those that are read have their aliases already."""
    dialect = statement.source.dialect
    by_node = {id(r.node): r for r in reads}
    scopes: dict[int, list[Named]] = {}
    for node in statement.root.find_all(*_SOURCES):
        read = by_node.get(id(node))
        if read is not None:
            name = fold(node.alias, False, dialect) if node.alias else read.parts[-1]
            alias = stored(node.this.name, bool(node.this.args.get("quoted")), dialect)
            named = Named(name, read, read.asset(default_schema), alias)
        elif node.alias_or_name and isinstance(node.parent, exp.From | exp.Join | exp.Table | exp.Subquery):
            named = Named(fold(node.alias_or_name, False, dialect), None)
        else:
            continue
        scopes.setdefault(id(_owner(node)), []).append(named)
    for scope in scopes.values():
        for named in scope:
            if named.can_be_qualified and sum(other.name == named.name for other in scope) > 1:
                named.alias = named.asset
    return scopes


def unqualify(statement: Statement, scopes: Scopes) -> list[Edit]:
    """The edits by which columns keep referring to what they referred to."""
    dialect = statement.source.dialect
    found: list[tuple[list[exp.Identifier], int, Named, bool]] = []
    for column in statement.root.find_all(exp.Column):
        written = [p for p in column.parts if isinstance(p, exp.Identifier) and "start" in p.meta]
        parts = [fold(p.name, bool(p.args.get("quoted")), dialect) for p in column.parts]
        if len(parts) < 2 or len(written) < len(parts) - 1:
            continue
        sight = _sight(column, scopes)
        used, named = _resolve(parts, sight)
        if named is None:
            continue
        if used > 1 and _meant(named.name, sight) is not named:
            named.alias = named.asset
        found.append((written, used, named, used == len(parts) and isinstance(column.parent, exp.Select)))
    edits: list[Edit] = []
    for written, used, named, is_output in found:
        if used == 1 and named.alias != named.asset:
            continue
        text = quoted([named.alias], dialect)
        if is_output and named.alias == named.asset:
            last = written[used - 1]
            text += f" AS {quoted([stored(last.name, bool(last.args.get('quoted')), dialect)], dialect)}"
        edits.append(Edit(written[0].meta["start"], written[used - 1].meta["end"] + 1, text))
    return edits


def quoted(names: Sequence[str], dialect: str) -> str:
    """One qualified identifier, of names as Anabranch says them."""
    written = [n.upper() if dialect in UPPER_CASE and _PLAIN.match(n) else n for n in names]
    return ".".join(exp.to_identifier(n, quoted=True).sql(dialect_of(dialect)) for n in written)


def _resolve(parts: Sequence[str], sight: Sequence[Sequence[Named]]) -> tuple[int, Named | None]:
    """How many parts of a column's name are the name of a replaced table in sight, and which table."""
    for scope in sight:
        for named in scope:
            if not named.can_be_qualified:
                continue
            full = named.asset.split(".")[-2:]
            if list(parts[:2]) == full and (len(parts) > 2 or _meant(parts[0], sight) is None):
                return 2, named
            if list(parts[1:3]) == full and len(parts) > 3:
                return 3, named
    meant = _meant(parts[0], sight)
    return (1, meant) if meant is not None and meant.can_be_qualified else (0, None)


def _meant(name: str, sight: Sequence[Sequence[Named]]) -> Named | None:
    """The one source that ``name`` alone means; None where there is none, or more than one."""
    for scope in sight:
        found = [n for n in scope if n.name == name]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _sight(column: exp.Expr, scopes: Scopes) -> list[Sequence[Named]]:
    """The sources that a column may refer to: of its own query first, then of those around it."""
    found: list[Sequence[Named]] = []
    owner = _owner(column)
    while owner is not None:
        found.append(scopes.get(id(owner), ()))
        owner = _owner(owner)
    return found


def _owner(node: exp.Expr) -> exp.Expr | None:
    """The SELECT that a source or a column belongs to."""
    parent = node.parent
    while parent is not None and not isinstance(parent, exp.Select | exp.SetOperation):
        parent = parent.parent
    return parent
