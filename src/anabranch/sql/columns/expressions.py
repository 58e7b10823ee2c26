"""Expressions, as terms: what is computed, from which columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlglot import exp

from anabranch.sql.canonical import fold
from anabranch.sql.columns import functions
from anabranch.sql.columns.graph import Graph, Term, in_order
from anabranch.sql.columns.operators import EQUATIONS, LOGICAL, MIRRORED, OPERATORS, agrees
from anabranch.sql.columns.parts import chain, is_ordered_by_itself, require_only, said, type_of
from anabranch.sql.columns.scope import Meaning, Relation, Scopes, qualified, unqualified
from anabranch.sql.columns.values import Misnamed, Unhandled

Aliases = Mapping[str, exp.Expr]
"""What the names of output columns stand for."""
ReadQuery = Callable[[exp.Expr, Scopes], Relation]

_WRAPPERS = (exp.Filter, exp.IgnoreNulls, exp.RespectNulls, exp.WithinGroup)
"""What stands between a window and its function."""
_CONSTANT_ARGS: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Div: frozenset(["typed", "safe"]),
    exp.DPipe: frozenset(["safe"]),
    exp.Count: frozenset(["big_int"]),
}
"""Arguments of sqlglot's own, which say nothing about the query."""


@dataclass(slots=True)
class Traits:
    """What is noticed while an expression is read."""

    unstable: bool = False
    aggregates: bool = False
    """It makes one row of many."""
    ranges: bool = False
    """Its value depends on other rows: an aggregate or a window."""


@dataclass(frozen=True, slots=True)
class Read:
    """An expression that was read."""

    term: Term
    unstable: bool
    aggregates: bool
    ranges: bool


@dataclass(slots=True)
class Expressions:
    """Reads the expressions of one statement. ``text`` is the statement's."""

    graph: Graph
    text: str
    dialect: str
    query: ReadQuery
    volatile: Mapping[int, int]
    """The calls that give something else each time, numbered, by the identity of the node."""
    windows: Mapping[str, exp.Window] = field(default_factory=dict)
    """Of the SELECT that is being read."""
    wrong: list[tuple[exp.Column, Misnamed]] | None = None
    """Where it is a list, wrong names of columns are put there, and reading goes on."""
    _traits: Traits = field(default_factory=Traits)
    _aliases: Aliases = field(default_factory=dict)
    _takes_both: bool = False
    _aggregate_depth: int = 0

    def read(self, node: exp.Expr, scopes: Scopes, aliases: Aliases | None = None, *, takes_both: bool = False) -> Read:
        """An expression that fills a place of its own. ``aliases``: output columns that it may name; an input column
        of that name comes first, or both count (``takes_both``), for clauses differ in that.

        Raises:
            Unhandled: it holds something that has no rule.
        """
        before = self._traits, self._aliases, self._takes_both, self._aggregate_depth
        self._traits, self._aliases, self._takes_both, self._aggregate_depth = Traits(), aliases or {}, takes_both, 0
        try:
            term = self.place(node, scopes)
            return Read(term, self._traits.unstable, self._traits.aggregates, self._traits.ranges)
        finally:
            self._traits, self._aliases, self._takes_both, self._aggregate_depth = before

    def place(self, node: exp.Expr, scopes: Scopes) -> Term:
        """An expression between delimiters: as it is meant where the parser groups as the engine does, else as it is
        written, parentheses and all."""
        if agrees(node):
            return self._operator(node, scopes, as_written=False)
        return ("as written", self._operator(node, scopes, as_written=True))

    def _operator(self, node: exp.Expr, scopes: Scopes, *, as_written: bool) -> Term:
        if isinstance(node, exp.Paren):
            require_only(node, "this")
            inner = self._operator(node.this, scopes, as_written=as_written)
            return ("()", inner) if as_written and isinstance(node.this, OPERATORS) else inner
        if not isinstance(node, OPERATORS):
            return self._atom(node, scopes)
        name, known = type(node).__name__, {"this", "expression", *_CONSTANT_ARGS.get(type(node), ())}

        def operand(each: exp.Expr) -> Term:
            return self._operator(each, scopes, as_written=as_written)

        if isinstance(node, exp.In):
            return self._in(node, operand(node.this), scopes)
        if isinstance(node, exp.Between):
            require_only(node, "this", "low", "high")
            return (name, operand(node.this), operand(node.args["low"]), operand(node.args["high"]))
        if isinstance(node, exp.Like | exp.ILike):
            require_only(node, "this", "expression", "negate")
            return (name, bool(node.args.get("negate")), operand(node.this), operand(node.expression))
        require_only(node, *known)
        if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null | exp.Boolean):
            raise Unhandled("IS with something else than a truth value")
        if as_written:
            return (name, *(operand(node.args[k]) for k in ("this", "expression") if node.args.get(k)))
        if isinstance(node, LOGICAL):
            return (name, *in_order(operand(each) for each in chain(node, type(node))))
        if isinstance(node, exp.Neg | exp.Not):
            return (name, operand(node.this))
        left, right = operand(node.this), operand(node.expression)
        if isinstance(node, EQUATIONS):
            return (name, *in_order((left, right)))
        if type(node) in MIRRORED:
            return (MIRRORED[type(node)].__name__, right, left)
        return (name, left, right)

    def _in(self, node: exp.In, left: Term, scopes: Scopes) -> Term:
        require_only(node, "this", "expressions", "query")
        query = node.args.get("query")
        if query is not None:
            return ("In", left, self._query(query, scopes))
        return ("In", left, *in_order(self.place(each, scopes) for each in node.expressions))

    # -- atoms ---------------------------------------------------------------------------------------------------------

    def _atom(self, node: exp.Expr, scopes: Scopes) -> Term:
        if isinstance(node, exp.Column):
            return self._column(node, scopes)
        if isinstance(node, exp.Literal):
            require_only(node, "this", "is_string")
            return ("text" if node.is_string else "number", str(node.this))
        if isinstance(node, exp.Null):
            return ("null",)
        if isinstance(node, exp.Boolean):
            return ("truth", bool(node.this))
        if isinstance(node, exp.Subquery | exp.Query):
            return self._query(node, scopes)
        if isinstance(node, exp.Exists):
            require_only(node, "this")
            found = self.query(node.this, scopes)
            self._traits.unstable |= found.has_unstable_rows
            return ("exists", found.rows)
        if isinstance(node, exp.Cast):
            require_only(node, "this", "to", "safe")
            kind = "try_cast" if isinstance(node, exp.TryCast) else "cast"
            return (kind, self.place(node.this, scopes), type_of(node.args["to"]))
        if isinstance(node, exp.Case):
            return self._case(node, scopes)
        if isinstance(node, exp.If):
            require_only(node, "this", "true", "false")
            return ("if", *(self.place(node.args[k], scopes) for k in ("this", "true", "false") if node.args.get(k)))
        if isinstance(node, exp.Interval):
            return self._interval(node, scopes)
        if isinstance(node, exp.Extract):
            require_only(node, "this", "expression")
            return ("extract", str(node.this.name).lower(), self.place(node.expression, scopes))
        if isinstance(node, exp.Struct) and functions.name_of(node, self.text) is None:
            return self._struct(node, scopes)
        if isinstance(node, exp.Array) and functions.name_of(node, self.text) is None:
            require_only(node, "expressions", "value_constructor")
            return ("array", *(self.place(each, scopes) for each in node.expressions))
        if isinstance(node, exp.Bracket):
            return self._bracket(node, scopes)
        if isinstance(node, exp.Window):
            return self._window(node, scopes)
        if isinstance(node, _WRAPPERS):
            return self._wrapped(node, scopes, in_window=False)
        if isinstance(node, exp.Func):
            return self._call(node, scopes, in_window=False)
        raise Unhandled(said(node))

    def _case(self, node: exp.Case, scopes: Scopes) -> Term:
        require_only(node, "this", "ifs", "default")
        parts: list[Term] = []
        for branch in node.args["ifs"]:
            require_only(branch, "this", "true")
            parts.append((self.place(branch.this, scopes), self.place(branch.args["true"], scopes)))
        of, default = node.args.get("this"), node.args.get("default")
        return (
            "case",
            None if of is None else self.place(of, scopes),
            tuple(parts),
            None if default is None else self.place(default, scopes),
        )

    def _interval(self, node: exp.Interval, scopes: Scopes) -> Term:
        require_only(node, "this", "unit")
        unit = node.args.get("unit")
        if not isinstance(unit, exp.Var) or not isinstance(node.this, exp.Literal | exp.Paren):
            raise Unhandled("an interval of an unusual form")
        amount = ("text", node.this.name) if isinstance(node.this, exp.Literal) else self.place(node.this, scopes)
        return ("interval", amount, unit.name.lower())

    def _struct(self, node: exp.Struct, scopes: Scopes) -> Term:
        require_only(node, "expressions")
        fields: list[Term] = []
        for each in node.expressions:
            if not isinstance(each, exp.PropertyEQ) or not isinstance(each.this, exp.Identifier):
                raise Unhandled("a struct whose fields take their names from elsewhere")
            fields.append((each.this.name, self.place(each.expression, scopes)))
        return ("struct", *fields)

    def _bracket(self, node: exp.Bracket, scopes: Scopes) -> Term:
        require_only(node, "this", "expressions")
        if isinstance(node.this, OPERATORS) or any(isinstance(each, exp.Slice) for each in node.expressions):
            raise Unhandled("brackets of an unusual form")
        return ("at", self.place(node.this, scopes), *(self.place(each, scopes) for each in node.expressions))

    def _query(self, node: exp.Expr, scopes: Scopes) -> Term:
        found = self.query(node, scopes)
        self._traits.unstable |= found.is_unstable
        return ("query", found.rows, *found.columns.values())

    # -- names ---------------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Column, scopes: Scopes) -> Term:
        if not all(isinstance(p, exp.Identifier) for p in node.parts) or node.args.get("join_mark"):
            raise Unhandled("a star within an expression")
        path = [fold(p.name, bool(p.args.get("quoted")), self.dialect) for p in node.parts]
        if path[-1] in ("rowid", "default", "export_state"):
            raise Unhandled(path[-1])
        if len(path) == 1 and path[0] in self._aliases:
            return self._named(path[0], self._aliases[path[0]], scopes)
        try:
            found = qualified(path, scopes, self.graph) if len(path) > 1 else self._unqualified(path[0], scopes)
        except Misnamed as wrong:
            if self.wrong is None:
                raise
            self.wrong.append((node, wrong))
            return ("null",)
        if found.depth and self._aggregate_depth:
            raise Unhandled("an aggregate over columns of a query outside")
        self._traits.unstable |= found.is_unstable
        return found.term

    def _unqualified(self, name: str, scopes: Scopes) -> Meaning:
        found = unqualified(name, scopes, self.graph)
        if found is not None:
            return found
        message = f"{name}, which is no column of what is read"
        if name in functions.VOLATILE:  # `user` is a function without parentheses
            raise Unhandled(message)
        raise Misnamed(message, name, (c for s in reversed(scopes) for x in s.sources for c in x.relation.columns))

    def _named(self, name: str, expression: exp.Expr, scopes: Scopes) -> Term:
        """A name that is also that of an output column."""
        own = scopes[-1:] if scopes else ()
        if any(s.is_wall for s in own):
            raise Unhandled(f"{name}, which may belong to a query outside")
        known = [s for scope in own for s in scope.sources if name in s.relation.columns]
        if len(known) > 1 and name not in own[0].merged:
            raise Unhandled(f"{name}, which several relations have")
        is_input = bool(known) or any(name in scope.merged for scope in own)
        may_be_input = is_input or any(scope.has_unknown for scope in own)
        terms: list[Term] = []
        if may_be_input:
            meant = unqualified(name, scopes, self.graph)
            if meant is not None:
                self._traits.unstable |= meant.is_unstable
                terms.append(meant.term)
        elif len(scopes) > 1:
            raise Unhandled(f"{name}, which may belong to a query outside")
        if not is_input or self._takes_both:
            others = {k: v for k, v in self._aliases.items() if k != name}
            before, self._aliases = self._aliases, others
            try:
                terms.append(self.place(expression, scopes))
            finally:
                self._aliases = before
        return terms[0] if len(terms) == 1 else ("either", *terms)

    # -- functions -----------------------------------------------------------------------------------------------------

    def _call(self, node: exp.Func, scopes: Scopes, *, in_window: bool) -> Term:
        name = functions.name_of(node, self.text)
        if name is None:
            raise Unhandled(said(node))
        traits = self._traits
        if id(node) in self.volatile:
            traits.unstable = True
            name = f"{name} {self.volatile[id(node)]}"  # no two calls need give the same
        elif name in functions.AGGREGATES or name in functions.ORDERED_AGGREGATES:
            return self._aggregate(node, name, scopes, in_window=in_window)
        elif name in functions.RANKS or name in functions.ORDERED_WINDOWS:
            if not in_window:
                raise Unhandled(f"{name}() without OVER")
            traits.unstable |= name in functions.ORDERED_WINDOWS
        elif name not in functions.SCALAR:
            raise Unhandled(f"{name}()")
        return ("call", name, *self._arguments(node, scopes))

    def _aggregate(self, node: exp.Func, name: str, scopes: Scopes, *, in_window: bool) -> Term:
        self._traits.ranges = True
        if in_window:
            self._traits.unstable |= name in functions.ORDERED_AGGREGATES
        else:
            if self._aggregate_depth:
                raise Unhandled("an aggregate within an aggregate")
            self._traits.aggregates = True
            self._traits.unstable |= name in functions.ORDERED_AGGREGATES and not is_ordered_by_itself(node)
        if isinstance(node.this, exp.Star):
            require_only(node, "this", *_CONSTANT_ARGS.get(type(node), ()))
            require_only(node.this)
            return ("call", name, "*")
        with self._aggregating(in_window):
            return ("call", name, *self._arguments(node, scopes))

    @contextmanager
    def _aggregating(self, in_window: bool) -> Iterator[None]:
        self._aggregate_depth += not in_window
        try:
            yield
        finally:
            self._aggregate_depth -= not in_window

    def _arguments(self, node: exp.Func, scopes: Scopes) -> tuple[Term, ...]:
        ignored = _CONSTANT_ARGS.get(type(node), frozenset())
        found: list[Term] = [type(node).__name__]
        for key in sorted(node.args):
            value = node.args[key]
            if value is None or value == [] or key in ignored or (key == "this" and isinstance(value, str)):
                continue
            values = value if isinstance(value, list) else [value]
            found.append((key, *(self._argument(each, scopes) for each in values)))
        return tuple(found)

    def _argument(self, value: object, scopes: Scopes) -> Term:
        if isinstance(value, bool | str | int):
            return value
        if isinstance(value, exp.Distinct):
            require_only(value, "expressions")
            return ("distinct", *(self.place(each, scopes) for each in value.expressions))
        if isinstance(value, exp.Order):
            inner = None if value.this is None else self._argument(value.this, scopes)
            return ("order", inner, *self.order(value, scopes))
        if isinstance(value, exp.Var):
            return ("word", value.name.lower())
        if isinstance(value, exp.Expr):
            return self.place(value, scopes)
        raise Unhandled(f"an argument of type {type(value).__name__}")

    def order(self, order: exp.Order, scopes: Scopes) -> tuple[Term, ...]:
        """The terms of an ORDER BY, but for what it orders."""
        require_only(order, "this", "expressions")
        found: list[Term] = []
        for each in order.expressions:
            require_only(each, "this", "desc", "nulls_first")
            found.append(
                (self.place(each.this, scopes), bool(each.args.get("desc")), bool(each.args.get("nulls_first")))
            )
        return tuple(found)

    # -- windows -------------------------------------------------------------------------------------------------------

    def _wrapped(self, node: exp.Expr, scopes: Scopes, *, in_window: bool) -> Term:
        """A function, with FILTER and the like around it."""
        if not isinstance(node, _WRAPPERS):
            if not isinstance(node, exp.Func):
                raise Unhandled(said(node))
            return self._call(node, scopes, in_window=in_window)
        require_only(node, "this", "expression")
        inner = self._wrapped(node.this, scopes, in_window=in_window)
        more = node.args.get("expression")
        with self._aggregating(in_window):
            if more is None:
                return (type(node).__name__, inner)
            if isinstance(more, exp.Where):
                return (type(node).__name__, inner, self.place(more.this, scopes))
            if isinstance(more, exp.Order):
                return (type(node).__name__, inner, self.order(more, scopes))
        raise Unhandled(said(more))

    def _window(self, node: exp.Window, scopes: Scopes) -> Term:
        if self._aggregate_depth:
            raise Unhandled("a window within an aggregate")
        self._traits.ranges = True
        function = self._wrapped(node.this, scopes, in_window=True)
        return ("window", function, *self._frame(node, scopes, ()))

    def _frame(self, node: exp.Window, scopes: Scopes, inside: Sequence[str]) -> tuple[Term, Term, Term]:
        require_only(node, "this", "partition_by", "order", "spec", "alias", "over")
        partition: Term = None
        order: Term = None
        frame: Term = None
        base = node.args.get("alias")
        if base is not None:
            name = base.name.lower()
            if name not in self.windows or name in inside:
                raise Unhandled(f"the window {name}")
            partition, order, frame = self._frame(self.windows[name], scopes, (*inside, name))
        if node.args.get("partition_by"):
            partition = in_order(self.place(each, scopes) for each in node.args["partition_by"])
        if node.args.get("order"):
            order = self.order(node.args["order"], scopes)
        spec = node.args.get("spec")
        if spec is not None:
            require_only(spec, "kind", "start", "start_side", "end", "end_side", "exclude")
            if str(spec.args.get("kind")).upper() != "RANGE":
                self._traits.unstable = True  # it counts rows, so it sees which of equal ones comes first
            frame = tuple((k, self._edge(spec.args[k], scopes)) for k in sorted(spec.args) if spec.args[k])
        return partition, order, frame

    def _edge(self, value: object, scopes: Scopes) -> Term:
        if isinstance(value, exp.Var):
            return value.name.lower()
        return self.place(value, scopes) if isinstance(value, exp.Expr) else str(value).lower()
