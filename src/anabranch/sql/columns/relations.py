"""Queries, as relations: which rows, and which columns of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from anabranch.domain.names import AssetName
from anabranch.sql.canonical import fold
from anabranch.sql.columns import functions
from anabranch.sql.columns.expressions import Expressions, Read
from anabranch.sql.columns.graph import Graph, Ref, Term, in_order
from anabranch.sql.columns.joins import Joined, join
from anabranch.sql.columns.parts import require_only
from anabranch.sql.columns.scope import Relation, Scope, Scopes, Source
from anabranch.sql.columns.stars import Item, items_of
from anabranch.sql.columns.values import Listing, Misnamed, Unhandled

_SELECT = ("with_", "expressions", "from_", "joins", "where", "group", "having", "qualify", "windows", "distinct")
_TAIL = ("order", "limit", "offset")


@dataclass(slots=True)
class _Cte:
    """A common table expression. It is read when something reads it: one that nobody reads counts for nothing."""

    node: exp.CTE
    sight: Ctes
    scopes: Scopes
    relation: Relation | None = None


Ctes = Mapping[str, _Cte]


@dataclass(slots=True)
class Relations:
    """Reads the queries of one statement. ``assets``: which tables are which, by the identity of the node."""

    root: exp.Expr
    text: str
    dialect: str
    assets: Mapping[int, AssetName]
    listings: Mapping[AssetName, Listing | None]
    graph: Graph = field(default_factory=Graph)
    wrong: list[tuple[exp.Column, Misnamed]] | None = None
    """As :attr:`Expressions.wrong`."""
    layout: Ref | None = None
    """By what the outermost query sorts its result."""
    _ctes: Ctes = field(default_factory=dict)
    _expressions: Expressions = field(init=False)

    def __post_init__(self) -> None:
        calls = functions.volatile_calls(self.root, self.text)
        self._expressions = Expressions(self.graph, self.text, self.dialect, self._inner, calls, wrong=self.wrong)

    def read(self) -> Relation:
        """The outermost query.

        Raises:
            Unhandled: it holds something that has no rule.
        """
        return self._query(self.root, {}, (), outermost=True)

    def _inner(self, node: exp.Expr, scopes: Scopes) -> Relation:
        windows = self._expressions.windows
        try:
            return self._query(node, self._ctes, scopes, needs_names=False)
        finally:
            self._expressions.windows = windows

    def _query(
        self, node: exp.Expr, ctes: Ctes, scopes: Scopes, *, outermost: bool = False, needs_names: bool = True
    ) -> Relation:
        before, ctes = self._ctes, self._with(node, ctes, scopes)
        self._ctes = ctes
        try:
            if isinstance(node, exp.Select):
                return self._select(node, ctes, scopes, outermost, needs_names)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, ctes, scopes, outermost, needs_names)
            if isinstance(node, exp.Subquery):
                require_only(node, "this", "alias", "with_", *_TAIL)
                is_plain = not any(node.args.get(k) for k in _TAIL)
                outermost_too = outermost and is_plain
                inner = self._query(node.this, ctes, scopes, outermost=outermost_too, needs_names=needs_names)
                tailed = inner if is_plain else self._tail(node, inner, (), {}, outermost=outermost)
                return self._renamed(tailed, node.args.get("alias"))
            if isinstance(node, exp.Values):
                return self._values(node, scopes)
            raise Unhandled(node.key.upper())
        finally:
            self._ctes = before

    def _with(self, node: exp.Expr, ctes: Ctes, scopes: Scopes) -> Ctes:
        own = node.args.get("with_")
        if own is None:
            return ctes
        if own.args.get("recursive"):
            raise Unhandled("WITH RECURSIVE")
        found = dict(ctes)
        for each in own.expressions:
            require_only(each, "this", "alias", "materialized")
            name = self._fold(each.args["alias"].this)
            found[name] = _Cte(each, dict(found), scopes and (*scopes, Scope(is_wall=True)))
        return found

    # -- FROM ----------------------------------------------------------------------------------------------------------

    def _source(self, node: exp.Expr, ctes: Ctes, outer: Scopes, beside: Scope) -> tuple[tuple[str, ...], Relation]:
        """By what path a source may be named, and what it is. ``beside``: what stands before it in FROM, which DuckDB
        lets a subquery see."""
        alias = node.args.get("alias")
        if isinstance(node, exp.Table):
            require_only(node, "this", "db", "catalog", "alias")
            relation, path = self._table(node, ctes)
        elif isinstance(node, exp.Subquery | exp.Values):
            wall = Scope(list(beside.sources), dict(beside.merged), is_wall=True)
            relation, path = self._query(node, ctes, (*outer, wall) if outer or wall.sources else ()), ()
        else:
            raise Unhandled(f"{node.key.upper()} in FROM")
        if alias is not None and alias.this is not None:
            path = (self._fold(alias.this),)
        if isinstance(node, exp.Table):
            relation = self._renamed(relation, alias)
        if not path:
            path = ("",)  # nothing can refer to it
        return path, relation

    def _table(self, node: exp.Table, ctes: Ctes) -> tuple[Relation, tuple[str, ...]]:
        if not isinstance(node.this, exp.Identifier):
            raise Unhandled("a table function")
        asset = self.assets.get(id(node))
        if asset is not None:
            parts = tuple(self._fold(p) for p in node.parts if isinstance(p, exp.Identifier))
            return self._asset(asset), parts[-2:]
        name = self._fold(node.this)
        cte = ctes.get(name) if not node.args.get("db") else None
        if cte is None:
            raise Unhandled("a table outside the project")
        if cte.relation is None:
            read = self._query(cte.node.this, cte.sight, cte.scopes)
            cte.relation = self._renamed(read, cte.node.args["alias"])
        return cte.relation, (name,)

    def _asset(self, asset: AssetName) -> Relation:
        listing = self.listings.get(asset) or Listing(is_source=True)
        columns = {n: self.graph.slot(asset, n) for n in listing.names}
        spelling = {n: n for n in listing.names}
        told = asset if listing.is_source else None
        return Relation(self.graph.slot(asset, None), columns, spelling, is_closed=listing.is_closed, asset=told)

    def _renamed(self, relation: Relation, alias: exp.Expr | None) -> Relation:
        """With the names that ``t(a, b)`` gives to columns."""
        listed = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
        if not listed:
            return relation
        if not relation.is_closed or not all(isinstance(c, exp.Identifier) for c in listed):
            raise Unhandled("names for columns that aren't all known")
        old = list(relation.columns)
        if len(listed) > len(old):
            raise Unhandled("more names than columns")
        spelled = [c.name for c in listed] + [relation.spelling[n] for n in old[len(listed) :]]
        names = [self._fold(c) for c in listed] + old[len(listed) :]
        if len(set(names)) < len(names):
            raise Unhandled("two columns of one name")
        unstable = frozenset(new for new, was in zip(names, old, strict=True) if was in relation.unstable)
        columns = dict(zip(names, relation.columns.values(), strict=True))
        spelling = dict(zip(names, spelled, strict=True))
        return Relation(relation.rows, columns, spelling, relation.has_unstable_rows, unstable)

    def _values(self, node: exp.Values, scopes: Scopes) -> Relation:
        require_only(node, "expressions", "alias")
        rows = [[*r.expressions] if isinstance(r, exp.Tuple) else [r] for r in node.expressions]
        if len({len(r) for r in rows}) != 1:
            raise Unhandled("VALUES of different lengths")
        read = [[self._expressions.read(value, scopes) for value in row] for row in rows]
        if any(r.aggregates or r.ranges for row in read for r in row):
            raise Unhandled("an aggregate in VALUES")
        names = [f"col{i}" for i in range(len(rows[0]))]
        columns = {n: self.graph.node("values", tuple(row[i].term for row in read)) for i, n in enumerate(names)}
        unstable = frozenset(n for i, n in enumerate(names) if any(row[i].unstable for row in read))
        rows_of = self.graph.node("values", len(rows))
        found = Relation(rows_of, columns, {n: n for n in names}, unstable=unstable)
        return self._renamed(found, node.args.get("alias"))

    # -- SELECT --------------------------------------------------------------------------------------------------------

    def _select(self, node: exp.Select, ctes: Ctes, outer: Scopes, outermost: bool, needs_names: bool) -> Relation:
        require_only(node, *_SELECT, *_TAIL)
        joined = self._from(node, ctes, outer)
        self._expressions.windows = {w.this.name.lower(): w for w in node.args.get("windows") or ()}
        rows, unstable_rows = joined.rows, joined.has_unstable_rows
        scopes = (*outer, joined.scope)
        items = items_of(node, joined.scope, self.graph, self.dialect, needs_names=needs_names)
        aliases = {i.name: i.expression for i in reversed(items) if i.expression is not None and i.is_alias}
        where = self._clause(node, "where", scopes, aliases)
        if where is not None:
            if where.aggregates or where.ranges:
                raise Unhandled("an aggregate or a window in WHERE")
            rows, unstable_rows = self.graph.node("where", rows, where.term), unstable_rows or where.unstable
        read = self._items(items, scopes)
        having = self._clause(node, "having", scopes, aliases, takes_both=True)
        qualify = self._clause(node, "qualify", scopes, aliases, takes_both=True)
        rows, unstable, has_sets = self._group(node, rows, items, read, scopes, aliases, (having, qualify))
        unstable_rows |= unstable
        if having is not None:
            rows, unstable_rows = self.graph.node("having", rows, having.term), unstable_rows or having.unstable
        columns = {i.name: self._column(r, rows, has_sets) for i, r in zip(items, read, strict=True)}
        unstable_columns = frozenset(i.name for i, r in zip(items, read, strict=True) if r.unstable)
        if qualify is not None:
            # A window in QUALIFY ranges over the rows that are there before it.
            rows, unstable_rows = self.graph.node("qualify", rows, qualify.term), unstable_rows or qualify.unstable
        rows, unstable = self._distinct(node, rows, columns, bool(unstable_columns), scopes, aliases)
        found = Relation(
            rows,
            columns,
            {i.name: i.spelling for i in items},
            unstable_rows or unstable,
            unstable_columns,
            all(i.is_closed for i in items),
        )
        return self._tail(node, found, scopes, aliases, outermost=outermost)

    def _from(self, node: exp.Select, ctes: Ctes, outer: Scopes) -> Joined:
        origin = node.args.get("from_")
        joins: Sequence[exp.Join] = node.args.get("joins") or []
        if origin is None:
            return Joined(self.graph.node("one row"), Scope())
        require_only(origin, "this")
        if origin.this.args.get("joins") or any(j.this.args.get("joins") for j in joins):
            raise Unhandled("joins in parentheses")
        path, relation = self._source(origin.this, ctes, outer, Scope())
        scope = Scope([Source(path, 0 if joins else None, relation)])
        joined = Joined(relation.rows, scope, relation.has_unstable_rows)
        parts: list[Term] = [relation.rows]
        for number, each in enumerate(joins, 1):
            path, relation = self._source(each.this, ctes, outer, scope)
            if any(path[-1] == s.name for s in scope.sources):
                raise Unhandled("two relations of one name")
            parts.append(join(each, Source(path, number, relation), joined, outer, self._expressions))
        if joins:
            joined.rows = self.graph.node("join", *parts)
        return joined

    def _clause(
        self, node: exp.Select, key: str, scopes: Scopes, aliases: Mapping[str, exp.Expr], *, takes_both: bool = False
    ) -> Read | None:
        clause = node.args.get(key)
        if clause is None:
            return None
        require_only(clause, "this")
        return self._expressions.read(clause.this, scopes, aliases, takes_both=takes_both)

    def _items(self, items: Sequence[Item], scopes: Scopes) -> list[Read]:
        found: list[Read] = []
        earlier: dict[str, exp.Expr] = {}
        for item in items:
            if item.expression is None:
                assert item.term is not None
                found.append(Read(item.term, item.is_unstable, False, False))
                continue
            found.append(self._expressions.read(item.expression, scopes, earlier))
            if item.is_alias:
                earlier.setdefault(item.name, item.expression)
        return found

    def _column(self, read: Read, rows: Ref, has_sets: bool) -> Ref:
        if read.ranges or has_sets:
            return self.graph.node("over", rows, read.term)
        return read.term if isinstance(read.term, Ref) else self.graph.node("each", read.term)

    def _group(
        self,
        node: exp.Select,
        rows: Ref,
        items: Sequence[Item],
        read: Sequence[Read],
        scopes: Scopes,
        aliases: Mapping[str, exp.Expr],
        more: Sequence[Read | None],
    ) -> tuple[Ref, bool, bool]:
        """The rows after GROUP BY, whether that makes them unstable, and whether there are several sets of keys."""
        group = node.args.get("group")
        if group is None:
            aggregates = (
                any(r is not None and r.aggregates for r in (*read, *more)) or node.args.get("having") is not None
            )
            if not aggregates and any(self._calls_aggregate(node.args.get(k)) for k in ("order", "distinct")):
                raise Unhandled("an aggregate in ORDER BY alone")
            return (self.graph.node("group", rows) if aggregates else rows), False, False
        require_only(group, "expressions", "grouping_sets", "cube", "rollup", "all")
        if group.args.get("all"):
            if group.expressions:
                raise Unhandled("GROUP BY ALL with more")
            kept = [r for r in read if not r.aggregates]
            if any(r.ranges for r in kept):
                raise Unhandled("a window beside GROUP BY ALL")
            return (
                self.graph.node("group", rows, in_order({r.term for r in kept})),
                any(r.unstable for r in kept),
                False,
            )
        sets = [s for k in ("grouping_sets", "cube", "rollup") for s in group.args.get(k) or ()]
        if sets:
            raise Unhandled("grouping sets")
        keys = [self._key(each, items, read, scopes, aliases) for each in group.expressions]
        if any(k.aggregates or k.ranges for k in keys):
            raise Unhandled("an aggregate or a window in GROUP BY")
        return self.graph.node("group", rows, in_order({k.term for k in keys})), any(k.unstable for k in keys), False

    def _calls_aggregate(self, clause: exp.Expr | None) -> bool:
        calls = clause.find_all(exp.Func) if clause is not None else ()
        return any(functions.name_of(c, self.text) in functions.ANY_AGGREGATES for c in calls)

    def _key(
        self,
        node: exp.Expr,
        items: Sequence[Item],
        read: Sequence[Read],
        scopes: Scopes,
        aliases: Mapping[str, exp.Expr],
    ) -> Read:
        """A key of GROUP BY: an expression, or the number of an output column."""
        if isinstance(node, exp.Literal):
            if node.is_string or not str(node.this).isdigit() or not 1 <= int(node.this) <= len(items):
                raise Unhandled("a literal in GROUP BY")
            if not all(i.is_closed for i in items):
                raise Unhandled("the number of a column where not all are known")
            return read[int(node.this) - 1]
        return self._expressions.read(node, scopes, aliases)

    def _distinct(
        self,
        node: exp.Select,
        rows: Ref,
        columns: Mapping[str, Ref],
        has_unstable: bool,
        scopes: Scopes,
        aliases: Mapping[str, exp.Expr],
    ) -> tuple[Ref, bool]:
        distinct = node.args.get("distinct")
        if distinct is None:
            return rows, False
        require_only(distinct, "on")
        on = distinct.args.get("on")
        if on is None:
            return self.graph.node("distinct", rows, in_order(set(columns.values()))), has_unstable
        values = on.expressions if isinstance(on, exp.Tuple) else [on]
        read = [self._expressions.read(each, scopes, aliases, takes_both=True) for each in values]
        order = node.args.get("order")
        sorted_by = self._order(order, scopes, aliases, columns) if order is not None else ()
        return self.graph.node("distinct on", rows, tuple(r.term for r in read), sorted_by), True

    # -- what follows --------------------------------------------------------------------------------------------------

    def _order(
        self, order: exp.Order, scopes: Scopes, aliases: Mapping[str, exp.Expr], columns: Mapping[str, Ref]
    ) -> tuple[Term, ...]:
        """By what rows are sorted. A name may be an output column's or an input's: both count."""
        require_only(order, "expressions")
        found: list[Term] = []
        for each in order.expressions:
            require_only(each, "this", "desc", "nulls_first")
            key, how = each.this, (bool(each.args.get("desc")), bool(each.args.get("nulls_first")))
            if isinstance(key, exp.Var) and key.name.lower() == "all":
                found.append(("all", *columns.values(), *how))
            elif isinstance(key, exp.Literal):
                if not str(key.this).isdigit() or not 1 <= int(key.this) <= len(columns):
                    raise Unhandled("a literal in ORDER BY")
                found.append((list(columns.values())[int(key.this) - 1], *how))
            elif isinstance(key, exp.Column) and len(key.parts) == 1 and self._fold(key.this) in columns:
                found.append((columns[self._fold(key.this)], *how))
            else:
                found.append((self._expressions.read(key, scopes, aliases, takes_both=True).term, *how))
        return tuple(found)

    def _tail(
        self, node: exp.Expr, relation: Relation, scopes: Scopes, aliases: Mapping[str, exp.Expr], *, outermost: bool
    ) -> Relation:
        """ORDER BY, LIMIT, OFFSET. An order alone says how the rows are written (outermost), or what those see
        that count rows (within)."""
        order, limit, offset = (node.args.get(k) for k in _TAIL)
        if order is None and limit is None and offset is None:
            return relation
        if (
            order is not None
            and not relation.is_closed
            and any(isinstance(e.this, exp.Literal | exp.Var) for e in order.expressions)
        ):
            raise Unhandled("the number of a column where not all are known")
        sorted_by = self._order(order, scopes, aliases, relation.columns) if order is not None else ()
        if limit is None and offset is None:
            if outermost:
                self.layout = self.graph.node("layout", sorted_by)
                return relation
            rows, unstable = self.graph.node("order", relation.rows, sorted_by), relation.has_unstable_rows
        else:
            counts: list[Term] = []
            for each in (limit, offset):
                if each is not None:
                    require_only(each, "expression")
                    if not isinstance(each.expression, exp.Literal):
                        raise Unhandled("LIMIT of something else than a number")
                counts.append(None if each is None else str(each.expression.this))
            rows, unstable = self.graph.node("limit", relation.rows, sorted_by, *counts), True
            if outermost and order is not None:
                self.layout = self.graph.node("layout", sorted_by)
        return Relation(rows, relation.columns, relation.spelling, unstable, relation.unstable, relation.is_closed)

    def _set_operation(
        self, node: exp.SetOperation, ctes: Ctes, scopes: Scopes, outermost: bool, needs_names: bool
    ) -> Relation:
        require_only(node, "with_", "this", "expression", "distinct", "by_name", *_TAIL)
        left = self._query(node.this, ctes, scopes, needs_names=needs_names)
        by_name = bool(node.args.get("by_name"))
        right = self._query(node.expression, ctes, scopes, needs_names=needs_names and by_name)
        if not left.is_closed or not right.is_closed:
            raise Unhandled(f"{node.key.upper()} of columns that aren't all known")
        others = list(right.columns)
        if by_name:
            if set(left.columns) != set(others):
                raise Unhandled("BY NAME of different columns")
            others = list(left.columns)
        if len(others) != len(left.columns):
            raise Unhandled(f"{node.key.upper()} of different numbers of columns")
        pairs = dict(zip(left.columns, others, strict=True))
        columns = {n: self.graph.node("either side", left.columns[n], right.columns[m]) for n, m in pairs.items()}
        unstable = frozenset(n for n, m in pairs.items() if n in left.unstable or m in right.unstable)
        keeps_all = not node.args.get("distinct")
        rows, unstable_rows = self.graph.node(node.key, keeps_all, left.rows, right.rows), left.has_unstable_rows
        unstable_rows |= right.has_unstable_rows
        if not (isinstance(node, exp.Union) and keeps_all):
            rows = self.graph.node(node.key, keeps_all, left.rows, right.rows, in_order(set(columns.values())))
            unstable_rows |= bool(unstable)
        found = Relation(rows, columns, left.spelling, unstable_rows, unstable)
        return self._tail(node, found, (Scope(is_wall=True),), {}, outermost=outermost)

    def _fold(self, identifier: exp.Expr) -> str:
        return fold(identifier.name, bool(identifier.args.get("quoted")), self.dialect)
