"""The statements by which what was written to a clone of a table gets into the table, in an engine's grammar; no parser
is needed.

Three tables have the same columns: the *base*, which the clone began as; the *clone*; and the *source* as it is by now.
The clone's writes are the rows, by key, in which it differs from the base. A row that the source has otherwise than the
base is one that somebody else wrote; where the clone wrote to it too, and not the same, the two are in conflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anabranch.ports.grammar import Grammar
from anabranch.sql.compare import Pair
from anabranch.sql.writing import MARK, Writing

_THERE = "anabranch_there"
"""A column of a side of a join: NULL where that side has no row."""


@dataclass(frozen=True, slots=True)
class KeyedMerge:
    """Tables are given quoted. ``columns``: all of them, with the keys."""

    grammar: Grammar
    base: str
    clone: str
    source: str
    columns: Sequence[tuple[str, str]]
    """Names and types."""
    keys: Sequence[str]

    def writes(self) -> str:
        """The clone's writes: keys, other columns, and whether there is a row of that key."""
        there, mark, others = self._id(_THERE), self._id(MARK), self._others()
        nothing = "".join(f", NULL AS {self._id(c)}" for c in others)
        written = (
            f"SELECT {self._listed('c.')}, true AS {mark} FROM {self.clone} AS c"
            f" LEFT JOIN {self._side(self.base)} AS b ON {self._matches('b', 'c')}"
            f" WHERE b.{there} IS NULL OR {self._differ('b', 'c')}"
        )
        removed = (
            f"SELECT {self.grammar.columns(self.keys, 'b.')}{nothing}, false AS {mark} FROM {self.base} AS b"
            f" LEFT JOIN {self._side(self.clone)} AS c ON {self._matches('b', 'c')} WHERE c.{there} IS NULL"
        )
        return f"{written} UNION ALL {removed}"

    def conflicts(self, writes: str) -> str:
        """Those of ``writes`` (a table, or a query in parentheses) that somebody else wrote to, too."""
        there, mark = self._id(_THERE), self._id(MARK)
        untouched = (
            f"((s.{there} IS NULL AND b.{there} IS NULL) OR ({self._both('s', 'b')} AND {self._equal('s', 'b')}))"
        )
        as_written = f"s.{there} IS NOT NULL AND w.{mark} AND {self._equal('s', 'w')}"
        alike = f"((s.{there} IS NULL AND NOT w.{mark}) OR ({as_written}))"
        return (
            f"SELECT {self.grammar.columns(self.keys, 'w.')} FROM {writes} AS w"
            f" LEFT JOIN {self._side(self.source)} AS s ON {self._matches('s', 'w')}"
            f" LEFT JOIN {self._side(self.base)} AS b ON {self._matches('b', 'w')}"
            f" WHERE NOT {untouched} AND NOT {alike}"
        )

    def tally(self) -> str:
        """One row: how many rows the clone changed, added and removed."""
        there, mark = self._id(_THERE), self._id(MARK)
        told = (f"w.{mark} AND b.{there} IS NOT NULL", f"w.{mark} AND b.{there} IS NULL", f"NOT w.{mark}")
        counts = ", ".join(f"count(CASE WHEN {t} THEN 1 END)" for t in told)
        return (
            f"SELECT {counts} FROM ({self.writes()}) AS w"
            f" LEFT JOIN {self._side(self.base)} AS b ON {self._matches('b', 'w')}"
        )

    def _side(self, table: str) -> str:
        return (
            f"(SELECT {self.grammar.columns([*self.keys, *self._others()])}, true AS {self._id(_THERE)} FROM {table})"
        )

    def _both(self, one: str, other: str) -> str:
        there = self._id(_THERE)
        return f"{one}.{there} IS NOT NULL AND {other}.{there} IS NOT NULL"

    def _matches(self, one: str, other: str) -> str:
        return Writing(self.grammar).matches(one, other, self.keys)

    def _differ(self, one: str, other: str) -> str:
        kinds, grammar = dict(self.columns), self.grammar
        each = []
        for column in self._others():
            values = [f"{side}.{self._id(column)}" for side in (one, other)]
            if Pair(column, kinds[column], kinds[column], grammar).as_text:  # of a type without equality
                values = [grammar.cast(value, grammar.text) for value in values]
            each.append(grammar.distinct.format(*values))
        return f"({' OR '.join(each)})" if each else "false"

    def _equal(self, one: str, other: str) -> str:
        return f"NOT {self._differ(one, other)}"

    def _others(self) -> list[str]:
        lower = {k.lower() for k in self.keys}
        return [c for c, _ in self.columns if c.lower() not in lower]

    def _listed(self, prefix: str) -> str:
        return self.grammar.columns([*self.keys, *self._others()], prefix)

    def _id(self, name: str) -> str:
        return self.grammar.identifier(name)
