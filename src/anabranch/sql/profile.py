"""The SQL that describes the columns of one relation: one query for many columns, one reading of the rows."""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.ports.grammar import Grammar
from anabranch.sql.column_types import Family, family
from anabranch.sql.compare import shown, source

Columns = Sequence[tuple[str, str]]
"""``(name, type)``."""

WIDTH = 5
"""Figures for each column, as :func:`figures` gives them."""
AT_ONCE = 100
"""Columns in one query at most: each costs memory."""
SETS_AT_ONCE = 30
"""Columns in one query by :func:`frequencies` at most: engines number them by the bits of an integer."""

_ORDERED = (Family.NUMBER, Family.BOOLEAN, Family.TEXT, Family.MOMENT, Family.ORDERED)


def figures(table: str, where: str, columns: Columns, grammar: Grammar, *, exact: bool) -> str:
    """One row: of each column the number of values that aren't NULL, that of different ones, the least and the greatest
    (NULL where the type has none), and the mean (NULL unless they are numbers)."""
    selected: list[str] = []
    for column, kind in columns:
        value, sort = grammar.identifier(column), family(kind)
        distinct = f"count(DISTINCT {value})" if exact else grammar.approximate_distinct.format(value)
        selected += [f"count({value})", distinct]
        selected += [shown(f"{f}({value})", kind, grammar) if sort in _ORDERED else "NULL" for f in ("min", "max")]
        selected += [f"avg({grammar.cast(value, grammar.double)})" if sort is Family.NUMBER else "NULL"]
    return f"SELECT {', '.join(selected)} {source(table, where)}"


def frequencies(table: str, where: str, columns: Columns, grammar: Grammar) -> str:
    """How often each value of each column is there, NULL too: which column (as :func:`which` reads it), in as many
    columns as there are the value where it is that one, and the number of rows."""
    names = [grammar.identifier(column) for column, _ in columns]
    sets = ", ".join(f"({n})" for n in names)
    values = ", ".join(shown(n, kind, grammar) for n, (_, kind) in zip(names, columns, strict=True))
    told = f"SELECT grouping({', '.join(names)}), {values}, count(*)"
    return f"{told} {source(table, where)} GROUP BY GROUPING SETS ({sets})"


def which(mask: int, columns: int) -> int:
    """The index of the column that a row of :func:`frequencies` is about: the one whose bit isn't set, from the
    left."""
    return columns - 1 - (~mask & (1 << columns) - 1).bit_length() + 1


def has_few_kinds(kind: str) -> bool:
    """Whether values of that type can be listed by how often they are there."""
    return family(kind) in _ORDERED
