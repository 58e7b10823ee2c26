"""The SQL that compares two relations. In an engine's grammar; no parser is needed.

Each side becomes a subquery whose columns have names of ours: ``k0``, ``k1``, … the key, ``v0``, ``v1``, … the values,
``there`` true. So a user's column can be called anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from anabranch.ports.grammar import STANDARD, Grammar
from anabranch.ports.rows import LONGEST
from anabranch.sql.column_types import Family, bare, family, is_float, is_text_like


@dataclass(frozen=True, slots=True)
class Pair:
    """A column that both sides have. ``before`` and ``after``: its types."""

    name: str
    before: str
    after: str
    grammar: Grammar = STANDARD

    @property
    def as_text(self) -> bool:
        """Whether its values are compared as texts."""
        return is_text_like(self.before, self.after)

    @property
    def expression(self) -> str:
        """Its value, as compared."""
        name = self.grammar.identifier(self.name)
        return self.grammar.cast(name, self.grammar.text) if self.as_text else name

    @property
    def kind(self) -> str:
        """The type of :attr:`expression`, as far as showing it goes."""
        return self.grammar.text if self.as_text else self.after

    def differs(self, one: str, other: str, tolerance: float = 0.0) -> str:
        """Whether two values of it differ."""
        told = self.grammar.distinct.format(one, other)
        if not tolerance or self.as_text or not (is_float(self.before) or is_float(self.after)):
            return told
        return f"({told} AND NOT coalesce(abs({one} - {other}) <= {tolerance!r}, false))"


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared. ``where``: a condition that was checked, or ``""``."""

    before: str
    """A relation, quoted, as the one below."""
    after: str
    grammar: Grammar = STANDARD
    keys: tuple[Pair, ...] = ()
    values: tuple[Pair, ...] = ()
    where: str = ""
    tolerance: float = 0.0
    has_repeated: bool = False
    """Whether some key stands for several rows; then rows of such keys are left out where rows are joined."""

    def only(self, values: Sequence[Pair]) -> Sides:
        """The same with fewer columns."""
        return replace(self, values=tuple(values))


def source(table: str, where: str) -> str:
    """The FROM clause, and the WHERE clause, of a query on the rows that are compared."""
    return f"FROM {table}" + (f" WHERE (\n{where}\n)" if where else "")


def shown(expression: str, kind: str, grammar: Grammar) -> str:
    """A value in the form in which it leaves the engine: never much longer than what is shown of it."""
    if family(kind) in (Family.NUMBER, Family.BOOLEAN):
        return expression
    is_text = family(kind) is Family.TEXT and not bare(kind).upper().startswith("ENUM")
    text = expression if is_text else grammar.cast(expression, grammar.text)
    return grammar.prefix.format(text, LONGEST + 1)


def count(table: str, where: str) -> str:
    """How many rows (one row, one column)."""
    return f"SELECT count(*) {source(table, where)}"


def repeated(sides: Sides) -> str:
    """One row: keys that stand for several rows before, and the rows that they stand for; the same after."""
    told = ", ".join(
        f"count(CASE WHEN {s} > 1 THEN 1 END), coalesce(sum(CASE WHEN {s} > 1 THEN {s} END), 0)" for s in "ba"
    )
    return f"SELECT {told} FROM ({_repeated(sides)}) AS twice"


def repeated_examples(sides: Sides, limit: int) -> str:
    """Such keys, and for how many rows each stands before and after."""
    keys = ", ".join(shown(k, pair.kind, sides.grammar) for k, pair in _named(sides.keys, "k"))
    return f"SELECT {keys}, b, a FROM ({_repeated(sides)}) AS twice {_order(sides, '')} LIMIT {limit}"


def counts(sides: Sides) -> str:
    """One row: rows added, removed, on both sides, changed, and of each value in how many common rows it differs."""
    flags = [f"{pair.differs(f'b.{v}', f'a.{v}', sides.tolerance)} AS {v}" for v, pair in _named(sides.values, "v")]
    names = [v for v, _ in _named(sides.values, "v")]
    both = "was AND now"
    changed = f"{both} AND ({' OR '.join(names)})" if names else "false"
    selected = ["was IS NULL", "now IS NULL", both, changed, *(f"{both} AND {n}" for n in names)]
    inner = ", ".join(["b.there AS was", "a.there AS now", *flags])
    return (
        f"{_with(sides)}SELECT {', '.join(f'count(CASE WHEN {c} THEN 1 END)' for c in selected)}"
        f" FROM (SELECT {inner} FROM {_side(sides, sides.before)} AS b"
        f" FULL JOIN {_side(sides, sides.after)} AS a ON {_on(sides, 'b', 'a')}) AS joined"
    )


def counts_of_repeated(sides: Sides) -> str:
    """One row: what was added, removed and changed among rows whose key is repeated, as whole rows of each key."""
    keys = [k for k, _ in _named(sides.keys, "k")]
    names = ", ".join([*keys, *(v for v, _ in _named(sides.values, "v"))])
    halves = [
        f"SELECT {', '.join(f's.{n}' for n in names.split(', '))}, {sign} AS n"
        f" FROM ({_select(sides, table)}) AS s JOIN twice AS t ON {_on(sides, 's', 't')}"
        for table, sign in ((sides.before, "1"), (sides.after, "-1"))
    ]
    apart = f"SELECT {', '.join(keys)}, sum(n) AS n FROM ({' UNION ALL '.join(halves)}) AS rows_of GROUP BY {names}"
    per_key = (
        "SELECT coalesce(sum(CASE WHEN n < 0 THEN -n END), 0) AS plus,"
        " coalesce(sum(CASE WHEN n > 0 THEN n END), 0) AS minus"
        f" FROM ({apart}) AS apart GROUP BY {', '.join(keys)}"
    )
    told = [
        "CASE WHEN plus > minus THEN plus - minus ELSE 0 END",
        "CASE WHEN minus > plus THEN minus - plus ELSE 0 END",
        "CASE WHEN plus < minus THEN plus ELSE minus END",
    ]
    return f"{_with(sides)}SELECT {', '.join(f'coalesce(sum({t}), 0)' for t in told)} FROM ({per_key}) AS keyed"


def changed(sides: Sides, limit: int) -> str:
    """Rows with their keys on both sides that differ in some value, in the order of their keys: the keys, and of each
    value whether it differs, before and after."""
    pairs = _named(sides.values, "v")
    differs = {v: pair.differs(f"b.{v}", f"a.{v}", sides.tolerance) for v, pair in pairs}
    selected = [shown(f"b.{k}", pair.kind, sides.grammar) for k, pair in _named(sides.keys, "k")]
    for v, pair in pairs:
        kinds = (sides.grammar.text,) * 2 if pair.as_text else (pair.before, pair.after)
        selected += [differs[v], shown(f"b.{v}", kinds[0], sides.grammar), shown(f"a.{v}", kinds[1], sides.grammar)]
    return (
        f"{_with(sides)}SELECT {', '.join(selected)} FROM {_side(sides, sides.before)} AS b"
        f" JOIN {_side(sides, sides.after)} AS a ON {_on(sides, 'b', 'a')}"
        f" WHERE {' OR '.join(differs.values())} {_order(sides, 'b.')} LIMIT {limit}"
    )


def lone(sides: Sides, *, after: bool, columns: Sequence[tuple[str, str]], limit: int) -> str:
    """Rows whose key is only on one side, in the order of their keys: ``columns``, given with their types."""
    mine, other = (sides.after, sides.before) if after else (sides.before, sides.after)
    keys = [f"{pair.expression} AS {k}" for k, pair in _named(sides.keys, "k")]
    whole = ", ".join([*keys, *(f"{sides.grammar.identifier(c)} AS c{i}" for i, (c, _) in enumerate(columns))])
    selected = ", ".join(shown(f"m.c{i}", kind, sides.grammar) for i, (_, kind) in enumerate(columns))
    return (
        f"SELECT {selected} FROM (SELECT {whole} {source(mine, sides.where)}) AS m"
        f" LEFT JOIN (SELECT {', '.join(keys)}, true AS there {source(other, sides.where)}) AS o"
        f" ON {_on(sides, 'm', 'o')} WHERE o.there IS NULL {_order(sides, 'm.')} LIMIT {limit}"
    )


def whole_rows(sides: Sides, limit: int) -> str:
    """At least one row: rows only before, rows only after, and then some of them: the number of such rows (negative:
    after; NULL: there are none), and the values."""
    pairs = _named(sides.values, "v")
    names = ", ".join(v for v, _ in pairs)
    halves = [
        f"SELECT {', '.join(f'{p.expression} AS {v}' for v, p in pairs)}, {sign} AS n {source(table, sides.where)}"
        for table, sign in ((sides.before, "1"), (sides.after, "-1"))
    ]
    apart = (
        f"SELECT {names}, sum(n) AS n FROM ({' UNION ALL '.join(halves)}) AS sides GROUP BY {names} HAVING sum(n) <> 0"
    )
    told = ", ".join(f"coalesce(sum(CASE WHEN n {c} 0 THEN {sign}n END), 0) AS {s}" for c, sign, s in (">+m", "<-p"))
    values = ", ".join(f"{shown(v, pair.kind, sides.grammar)} AS {v}" for v, pair in pairs)
    order = ", ".join(f"{v} NULLS LAST" for v, _ in pairs)
    picked = [
        f"SELECT n, {values} FROM (SELECT * FROM apart WHERE n {c} 0 ORDER BY {order} LIMIT {limit}) AS {s}"
        for c, s in (">m", "<p")
    ]
    return (
        f"WITH apart {sides.grammar.materialized} ({apart}), told AS (SELECT {told} FROM apart),"
        f" picked AS ({' UNION ALL '.join(picked)}) SELECT told.m, told.p, picked.* FROM told LEFT JOIN picked ON true"
    )


def _named(pairs: Sequence[Pair], letter: str) -> list[tuple[str, Pair]]:
    return [(f"{letter}{i}", pair) for i, pair in enumerate(pairs)]


def _select(sides: Sides, table: str) -> str:
    pairs = [*_named(sides.keys, "k"), *_named(sides.values, "v")]
    columns = ", ".join([*(f"{pair.expression} AS {n}" for n, pair in pairs), "true AS there"])
    return f"SELECT {columns} {source(table, sides.where)}"


def _side(sides: Sides, table: str) -> str:
    """One side of a join by key, in parentheses."""
    rows = _select(sides, table)
    if not sides.has_repeated:
        return f"({rows})"
    return f"(SELECT s.* FROM ({rows}) AS s LEFT JOIN twice AS t ON {_on(sides, 's', 't')} WHERE t.b IS NULL)"


def _repeated(sides: Sides) -> str:
    """Keys that stand for several rows on some side: the key, and ``b`` and ``a``, for how many."""
    keys = ", ".join(k for k, _ in _named(sides.keys, "k"))
    named = ", ".join(f"{pair.expression} AS {k}" for k, pair in _named(sides.keys, "k"))
    halves = [
        f"SELECT {named}, {flags} {source(table, sides.where)}"
        for table, flags in ((sides.before, "1 AS b, 0 AS a"), (sides.after, "0 AS b, 1 AS a"))
    ]
    return (
        f"SELECT {keys}, sum(b) AS b, sum(a) AS a FROM ({' UNION ALL '.join(halves)}) AS sides"
        f" GROUP BY {keys} HAVING sum(b) > 1 OR sum(a) > 1"
    )


def _with(sides: Sides) -> str:
    return f"WITH twice {sides.grammar.materialized} ({_repeated(sides)}) " if sides.has_repeated else ""


def _on(sides: Sides, one: str, other: str) -> str:
    return " AND ".join(sides.grammar.same.format(f"{one}.{k}", f"{other}.{k}") for k, _ in _named(sides.keys, "k"))


def _order(sides: Sides, prefix: str) -> str:
    return "ORDER BY " + ", ".join(f"{prefix}{k} NULLS LAST" for k, _ in _named(sides.keys, "k"))
