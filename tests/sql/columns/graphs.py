"""Random graphs of models over three sources, and what is done to them: a fuzzer's half.

A query is a value, so that it can be changed in one place and written in several ways. Expressions are nested tuples
(operator, operands …); a relation is the name of an asset or of a common table expression.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

SOURCES: Mapping[str, tuple[str, ...]] = {
    "raw.a": ("id", "x", "y", "s"),
    "raw.b": ("id", "x", "w"),
    "raw.c": ("k", "x", "s"),
}
DATA = {
    "raw.a": """select * from (values (1, 10, 1, 'p'), (2, 20, null, 'q'), (2, 21, 3, 'p'), (3, null, 3, null), (3, 30, 5, 'r'),
        (5, 10, 1, 'p')) as t(id, x, y, s)""",
    "raw.b": "select * from (values (1, 7, 1), (2, 8, 2), (2, 9, 2), (4, 7, null), (5, 7, 3)) as t(id, x, w)",
    "raw.c": "select * from (values (1, 5, 'p'), (3, 6, 'q'), (3, 6, 'q'), (null, 7, null)) as t(k, x, s)",
}
Expression = tuple


@dataclass(frozen=True)
class Source:
    """Something in FROM: ``relation`` under ``alias``; how it is joined to what stands before it."""

    relation: str
    alias: str
    columns: tuple[str, ...]
    join: str = ""
    on: Expression | None = None


@dataclass(frozen=True)
class Select:
    """One SELECT. ``items``: expression and name."""

    sources: tuple[Source, ...]
    items: tuple[tuple[Expression, str], ...]
    where: Expression | None = None
    grouped: tuple[Expression, ...] | None = None
    having: Expression | None = None
    qualify: Expression | None = None
    distinct: bool = False
    order: tuple[str, ...] = ()
    limit: int | None = None
    star: bool = False
    """Before its items stands ``a.*`` of the first source."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (*(self.sources[0].columns if self.star else ()), *(name for _, name in self.items))


@dataclass(frozen=True)
class Model:
    """Common table expressions, and a query or a union of two."""

    ctes: tuple[tuple[str, Select], ...]
    select: Select
    union: tuple[str, Select] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return self.select.columns


Models = Mapping[str, Model]


@dataclass
class Generator:
    """Draws from ``random``."""

    random: Random
    _names: int = field(default=0)

    def project(self, size: int = 4) -> dict[str, Model]:
        models: dict[str, Model] = {}
        for number in range(size):
            models[f"m.t{number}"] = self.model({**SOURCES, **{n: m.columns for n, m in models.items()}})
        return models

    def model(self, known: Mapping[str, tuple[str, ...]]) -> Model:
        ctes: list[tuple[str, Select]] = []
        there = dict(known)
        for number in range(self.random.choice([0, 0, 1, 2])):
            name = f"c{number}"
            ctes.append((name, self.select(there)))
            there[name] = ctes[-1][1].columns
        select = self.select(there, prefer=[n for n, _ in ctes])
        union = None
        if self.random.random() < 0.12 and not select.limit and not select.order:
            other = self.select(there, width=len(select.columns))
            if len(other.columns) == len(select.columns) and not other.limit and not other.order:
                union = (self.random.choice(["union all", "union", "except", "intersect"]), other)
        return Model(tuple(ctes), select, union)

    def select(self, known: Mapping[str, tuple[str, ...]], prefer: Sequence[str] = (), width: int = 0) -> Select:
        r = self.random
        sources: list[Source] = []
        for number in range(r.choice([1, 1, 1, 2])):
            relation = r.choice(list(prefer)) if prefer and r.random() < 0.7 else r.choice(sorted(known))
            source = Source(relation, "uv"[number], known[relation])
            if number:
                join = r.choice(["join", "left join", "right join", "full join", "semi join", "anti join"])
                on = ("=", self.text([sources[0]]), self.text([source]))
                source = replace(
                    source, join=join, on=on if r.random() < 0.8 else ("and", on, self.test([*sources, source]))
                )
            sources.append(source)
        seen = [s for s in sources if s.join not in ("semi join", "anti join")]
        where = self.test(seen, deep=True) if r.random() < 0.4 else None
        count = width or r.randint(1, 3)
        kind = r.choice(["plain", "plain", "plain", "group", "all", "window"])
        names = r.sample(["id", "x", "y", "s", "w", "k", "n", "z"], count)
        if kind in ("group", "all"):
            keys = tuple(self.value(seen) for _ in range(r.randint(1, 2))) if kind == "group" else ()
            items = [*keys[: count - 1], *(self.aggregate(seen) for _ in range(count - len(keys[: count - 1])))]
            having = (">", self.aggregate(seen, only="count"), ("num", r.randint(0, 3))) if r.random() < 0.3 else None
            return self.finished(
                Select(
                    tuple(sources),
                    tuple(zip(items, names, strict=True)),
                    where,
                    keys or (None if kind == "all" else keys),
                    having,
                )
            )
        items = [self.value(seen) for _ in range(count)]
        if kind == "window":
            items[-1] = self.window(seen)
        qualify = (">", self.window(seen, only="row_number"), ("num", 1)) if r.random() < 0.1 else None
        star = not width and len(sources) == 1 and r.random() < 0.15
        if star:
            names = [f"e{i}_{self.fresh()}" for i in range(count)]
        select = Select(tuple(sources), tuple(zip(items, names, strict=True)), where, qualify=qualify, star=star)
        return self.finished(replace(select, distinct=qualify is None and r.random() < 0.12))

    def finished(self, select: Select) -> Select:
        r = self.random
        if r.random() < 0.12:
            select = replace(select, order=(r.choice(select.columns),))
        return replace(select, limit=r.randint(1, 4)) if r.random() < 0.07 else select

    def fresh(self) -> int:
        self._names += 1
        return self._names

    def column(self, sources: Sequence[Source]) -> Expression:
        source = self.random.choice(list(sources))
        return ("col", source.alias, self.random.choice(source.columns))

    def value(self, sources: Sequence[Source], depth: int = 0) -> Expression:
        r = self.random
        kind = r.random()
        if kind < 0.55 or depth > 1:
            return self.column(sources) if kind < 0.5 or depth <= 1 else ("num", r.randint(0, 3))
        match r.choice(["+", "call", "case", "||", "is", "subquery", "cast"]):
            case "+":
                return (r.choice(["+", "-", "*"]), ("hash", self.value(sources, depth + 1)), ("num", r.randint(0, 3)))
            case "call":
                return ("call", r.choice(["coalesce", "nullif"]), self.text(sources), self.text(sources))
            case "case":
                return ("case", self.test(sources), self.text(sources), ("text", r.choice("pq")))
            case "||":
                return ("||", self.text(sources), ("text", r.choice("pq")))
            case "is":
                return ("is null", self.column(sources))
            case "subquery":
                return self.subquery(sources)
            case _:
                return self.text(sources)

    def text(self, sources: Sequence[Source]) -> Expression:
        return ("cast", self.column(sources), "varchar")

    def subquery(self, sources: Sequence[Source]) -> Expression:
        relation = self.random.choice(sorted(SOURCES))
        inner = Source(relation, "q", SOURCES[relation])
        where = ("=", self.text([inner]), self.text(sources)) if self.random.random() < 0.6 else None
        return ("scalar", relation, self.aggregate([inner], only="min"), where)

    def test(self, sources: Sequence[Source], deep: bool = False) -> Expression:
        r = self.random
        if deep and r.random() < 0.3:
            return (r.choice(["and", "or"]), self.test(sources), self.test(sources))
        match r.choice(["compare", "compare", "null", "not", "in", "exists"]):
            case "compare":
                return (r.choice(["=", "<>", "<", "<=", ">", ">="]), self.text(sources), self.text(sources))
            case "null":
                return ("is null", self.column(sources))
            case "not":
                return ("not", ("is null", self.column(sources)))
            case "in":
                return ("in", self.text(sources), ("text", r.choice("pq")), ("text", str(r.randint(1, 3))))
            case _:
                relation = r.choice(sorted(SOURCES))
                inner = Source(relation, "q", SOURCES[relation])
                return ("exists", relation, ("=", self.text([inner]), self.text(sources)))

    def aggregate(self, sources: Sequence[Source], only: str = "") -> Expression:
        names = ["count", "count distinct", "min", "max", "count *", "any_value", "list"]
        name = only or self.random.choice(names)
        return ("aggregate", name, self.text(sources) if name != "count *" else ("num", 1))

    def window(self, sources: Sequence[Source], only: str = "") -> Expression:
        name = only or self.random.choice(["count", "min", "row_number", "rank", "lag"])
        order = self.column(sources) if name != "count" or self.random.random() < 0.5 else None
        return ("window", name, self.column(sources), self.column(sources), order)

    # -- changes -------------------------------------------------------------------------------------------------------

    def mutated(self, models: Models) -> dict[str, Model]:
        """The same project, changed here and there; whoever reads a column that is gone by then is made anew."""
        found: dict[str, Model] = {}
        target = self.random.choice(sorted(models))
        for name, model in models.items():
            known = {**SOURCES, **{n: m.columns for n, m in found.items()}}
            now = self._refitted(model, known)
            if now is None:
                now = self.model(known)
            elif name == target:
                now = self._changed(now, known)
            found[name] = now
        return found

    def _refitted(self, model: Model, known: Mapping[str, tuple[str, ...]]) -> Model | None:
        """The same text over what is there now; None where that has become wrong."""
        there = dict(known)
        ctes = []
        for name, select in model.ctes:
            fitted = refit(select, there)
            if fitted is None:
                return None
            ctes.append((name, fitted))
            there[name] = fitted.columns
        fitted = refit(model.select, there)
        other = refit(model.union[1], there) if model.union else None
        if fitted is None or (model.union and (other is None or len(other.columns) != len(fitted.columns))):
            return None
        return Model(tuple(ctes), fitted, (model.union[0], other) if model.union and other else None)

    def _changed(self, model: Model, known: Mapping[str, tuple[str, ...]]) -> Model:
        r = self.random
        there = dict(known)
        for name, select in model.ctes:
            there[name] = select.columns
        if model.ctes and r.random() < 0.3:
            at = r.randrange(len(model.ctes))
            name, select = model.ctes[at]
            changed = self._changed_select(select)
            ctes = [*model.ctes[:at], (name, changed), *model.ctes[at + 1 :]]
            fitted = self._refitted(replace(model, ctes=tuple(ctes)), known)
            return fitted or self.model(known)
        if model.union and r.random() < 0.3:
            return replace(model, union=(r.choice(["union all", "union", "except", "intersect"]), model.union[1]))
        changed = self._changed_select(model.select)
        if model.union and len(changed.columns) != len(model.union[1].columns):
            return model
        return replace(model, select=changed)

    def _changed_select(self, select: Select) -> Select:
        r = self.random
        sources = [s for s in select.sources if s.join not in ("semi join", "anti join")]
        items = list(select.items)
        at = r.randrange(len(items))
        plain = select.grouped is None and not any(has_aggregate(e) for e, _ in items)
        match r.choice(
            ["add", "item", "where", "join", "distinct", "limit", "reorder", "group", "drop", "on", "order", "having"]
        ):
            case "add" if plain:
                items.append((self.value(sources), f"e{self.fresh()}"))
            case "item" if plain:
                items[at] = (self.value(sources), items[at][1])
            case "item" if has_aggregate(items[at][0]):
                items[at] = (self.aggregate(sources), items[at][1])
            case "where":
                return replace(select, where=self.test(sources, deep=True) if r.random() < 0.7 else None)
            case "join" if len(select.sources) == 2 and sources != [select.sources[0]]:
                last = replace(select.sources[1], join=r.choice(["join", "left join", "right join", "full join"]))
                return replace(select, sources=(select.sources[0], last))
            case "on" if len(select.sources) == 2:
                on = ("=", self.text([select.sources[0]]), self.text([select.sources[1]]))
                return replace(select, sources=(select.sources[0], replace(select.sources[1], on=on)))
            case "distinct" if plain and select.qualify is None:
                return replace(select, distinct=not select.distinct)
            case "limit":
                return replace(select, limit=None if select.limit else r.randint(1, 4))
            case "order":
                return replace(select, order=() if select.order else (r.choice(select.columns),))
            case "reorder":
                r.shuffle(items)
            case "group" if select.grouped is not None:
                return replace(select, grouped=(*select.grouped, self.value(sources)))
            case "having" if not plain:
                return replace(select, having=(">", self.aggregate(sources, only="count"), ("num", r.randint(0, 3))))
            case "drop" if len(items) > 1:
                del items[at]
        return replace(select, items=tuple(items))


def has_aggregate(expression: object) -> bool:
    """Of the query itself."""
    if not isinstance(expression, tuple) or expression[0] == "scalar":
        return False
    return expression[0] == "aggregate" or any(has_aggregate(e) for e in expression[1:])


def refit(select: Select, known: Mapping[str, tuple[str, ...]]) -> Select | None:
    """With the columns that its sources have now; None where it reads one that is gone, or names one twice."""
    sources = []
    for source in select.sources:
        if source.relation not in known:
            return None
        sources.append(replace(source, columns=known[source.relation]))
    columns = {s.alias: s.columns for s in sources}
    said = [select.where, select.grouped, select.having, select.qualify, select.items, *(s.on for s in sources)]
    if any(c not in columns.get(a, (c,)) for a, c in _columns(said)):
        return None
    fitted = replace(select, sources=tuple(sources))
    if len(set(fitted.columns)) < len(fitted.columns) or any(o not in fitted.columns for o in select.order):
        return None
    return fitted


def _columns(value: object) -> list[tuple[str, str]]:
    if isinstance(value, tuple | list):
        if len(value) == 3 and value[0] == "col":
            return [(value[1], value[2])]
        return [c for each in value for c in _columns(each)]
    return []


# -- writing -----------------------------------------------------------------------------------------------------------


@dataclass
class Writer:
    """Queries as text. With ``random``, in one of many ways that mean the same."""

    random: Random | None = None

    def model(self, model: Model) -> str:
        names = {name: self._renamed(name) for name, _ in model.ctes}
        ctes = [f"{names[name]} as ({self.select(select, names)})" for name, select in model.ctes]
        if self._chance(0.2) and ctes:
            ctes.append("nobody as (select 1 as one)")
        text = self.select(model.select, names)
        if model.union:
            text += f" {model.union[0]} {self.select(model.union[1], names)}"
        return (f"with {', '.join(ctes)} " if ctes else "") + text

    def _chance(self, share: float) -> bool:
        return self.random is not None and self.random.random() < share

    def _renamed(self, name: str) -> str:
        return f"r_{name}" if self._chance(0.5) else name

    def select(self, select: Select, names: Mapping[str, str]) -> str:
        aliases = {s.alias: self._renamed(s.alias) for s in select.sources}

        def say(each: Expression) -> str:
            return self.expression(each, aliases)

        as_ = "" if self._chance(0.3) else "as "
        items = [f"{say(e)} as {n}" for e, n in select.items]
        if select.star:
            items.insert(0, f"{aliases[select.sources[0].alias]}.*")
        text = f"select {'distinct ' if select.distinct else ''}{', '.join(items)} from "
        for source in select.sources:
            relation = names.get(source.relation, source.relation)
            join = source.join if not (source.join == "join" and self._chance(0.5)) else "inner join"
            text += f"{f' {join} ' if join else ''}{relation} {as_}{aliases[source.alias]}"
            text += f" on {say(source.on)}" if source.on else ""
        if select.where:
            text += f" where {say(select.where)}"
        if select.grouped:
            text += f" group by {', '.join(say(k) for k in select.grouped)}"
        if select.having:
            text += f" having {say(select.having)}"
        if select.qualify:
            text += f" qualify {say(select.qualify)}"
        if select.order:
            text += f" order by {', '.join(select.order)}{' asc' if self._chance(0.5) else ''}"
        return text + (f" limit {select.limit}" if select.limit else "")

    def expression(self, e: Expression, aliases: Mapping[str, str]) -> str:
        text = self._bare(e, aliases)
        return f"({text})" if self._chance(0.15) else text

    def _bare(self, e: Expression, aliases: Mapping[str, str]) -> str:
        def say(each: Expression) -> str:
            return self.expression(each, aliases)

        match e:
            case ("col", alias, name):
                return f"{aliases.get(alias, alias)}.{name.upper() if self._chance(0.2) else name}"
            case ("num", value):
                return str(value)
            case ("text", value):
                return f"'{value}'"
            case ("hash", inner):
                return f"length(cast({say(inner)} as varchar))"
            case ("cast", inner, kind):
                return f"{self._bare(inner, aliases)}::{kind}" if self._chance(0.5) else f"cast({say(inner)} as {kind})"
            case ("call", name, *operands):
                return f"{name}({', '.join(say(o) for o in operands)})"
            case ("case", test, then, other):
                return f"case when {say(test)} then {say(then)} else {say(other)} end"
            case ("is null", inner):
                return f"({say(inner)} is null)"
            case ("not", inner):
                return f"(not {say(inner)})"
            case ("in", inner, *others):
                return f"({say(inner)} in ({', '.join(say(o) for o in others)}))"
            case ("exists", relation, where):
                return f"exists (select 1 from {relation} as q where {say(where)})"
            case ("scalar", relation, aggregate, where):
                return f"(select {say(aggregate)} from {relation} as q{f' where {say(where)}' if where else ''})"
            case ("aggregate", "count *", _):
                return "count(*)"
            case ("aggregate", "count distinct", inner):
                return f"count(distinct {say(inner)})"
            case ("aggregate", name, inner):
                return f"{name}({say(inner)})"
            case ("window", name, value, part, order):
                inner = "" if name in ("row_number", "rank") else say(value)
                over = f"partition by {say(part)}" + (f" order by {say(order)}" if order else "")
                return f"{name}({inner}) over ({over})"
            case ("and" | "or" as name, left, right):
                if self._chance(0.5):
                    left, right = right, left
                return f"({say(left)} {name} {say(right)})"
            case (("=" | "<>") as name, left, right):
                if self._chance(0.5):
                    left, right = right, left
                return f"({say(left)} {name} {say(right)})"
            case (("<" | "<=" | ">" | ">=") as name, left, right):
                if self._chance(0.5):
                    name, left, right = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}[name], right, left
                return f"({say(left)} {name} {say(right)})"
            case (name, left, right):
                return f"({say(left)} {name} {say(right)})"
        raise AssertionError(e)
