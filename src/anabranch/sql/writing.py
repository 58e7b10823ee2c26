"""The statements by which generations of a table are computed and swapped, in an engine's grammar; no parser is needed.

A write's new rows wait in one table beside (``…__g3``); once it is made, what it replaced waits in another
(``…__u3``), and the two take turns whenever the write is taken back or made again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from anabranch.domain.intervals import Spans
from anabranch.ports.grammar import Grammar
from anabranch.sql.column_types import TimeKind, time_kind

MARK = "anabranch_is_row"
"""In a write by keys: false for a key that has no row on this side."""


@dataclass(frozen=True, slots=True)
class Writing:
    """Makes them. ``grammar``: the engine's."""

    grammar: Grammar

    def column_list(self, columns: Sequence[str], prefix: str = "") -> str:
        """Columns, quoted."""
        return ", ".join(prefix + self.grammar.identifier(c) for c in columns)

    def in_spans(self, column: str, kind: str, spans: Spans, time_format: str | None) -> str:
        """Whether the time in ``column``, of the engine's type ``kind``, lies in one of ``spans``.

        Raises:
            ValueError: a phrase; the type can't tell such times apart.
        """
        name = self.grammar.identifier(column)
        each = [
            f"({name} >= {self.moment(b, kind, time_format)} AND {name} < {self.moment(e, kind, time_format)})"
            for b, e in spans
        ]
        return f"({' OR '.join(each)})" if each else "false"

    def moment(self, at: int, kind: str, time_format: str | None) -> str:
        """A moment in UTC as a literal of a column's type. Raises ``ValueError``, with a phrase."""
        found = datetime.fromtimestamp(at, UTC)
        match time_kind(kind, self.grammar.zoned):
            case TimeKind.DATE:
                if at % 86400:
                    raise ValueError("a DATE can't tell intervals apart that are shorter than a day")
                return f"DATE '{found:%Y-%m-%d}'"
            case TimeKind.ZONED:
                return self.grammar.moment(found)
            case TimeKind.NAIVE:
                return self.grammar.time(found)
            case TimeKind.TEXT:
                return self.grammar.literal(_formatted(found, time_format or "%Y-%m-%d"))
            case TimeKind.INTEGER:
                time_format = time_format or "%Y%m%d"
                text = found.strftime(time_format)
                if not text.isdigit():
                    raise ValueError(f"its format {time_format!r} makes {text!r}, which is no number")
                return str(int(_formatted(found, time_format)))
        raise ValueError(f"its type {kind} is no time")

    def rows_in(self, query: str, condition: str) -> str:
        """The rows of a query that fulfil a condition on its columns."""
        return f"SELECT * FROM (\n{query}\n) AS anabranch_rows WHERE {condition}"

    def matches(self, left: str, right: str, keys: Collection[str]) -> str:
        """Whether two aliased rows have the same key; NULL equals NULL."""
        each = [self.grammar.identifier(k) for k in keys]
        return " AND ".join(self.grammar.same.format(f"{left}.{k}", f"{right}.{k}") for k in each)

    @property
    def _mark(self) -> str:
        return self.grammar.identifier(MARK)

    def with_spans(self, table: str, fresh: str, columns: Sequence[str], condition: str) -> str:
        """A table as it will be once the rows of ``fresh`` stand for those that fulfil ``condition``."""
        listed = self.column_list(columns)
        kept = f"SELECT {listed} FROM {table} WHERE NOT coalesce({condition}, false)"
        return f"({kept} UNION ALL SELECT {listed} FROM {fresh})"

    def with_keys(self, table: str, fresh: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """A table as it will be once the rows of ``fresh`` stand for those of their keys."""
        there = f"SELECT 1 FROM {fresh} AS n WHERE {self.matches('b', 'n', keys)}"
        kept = f"SELECT {self.column_list(columns)} FROM {table} AS b WHERE NOT EXISTS ({there})"
        return f"({kept} UNION ALL SELECT {self.column_list(columns)} FROM {fresh} WHERE {self._mark})"

    def with_rows(self, table: str, fresh: str, columns: Sequence[str]) -> str:
        """A table as it will be with the rows of ``fresh`` added."""
        listed = self.column_list(columns)
        return f"(SELECT {listed} FROM {table} UNION ALL SELECT {listed} FROM {fresh})"

    def swap_spans(self, table: str, rows: str, rest: str, columns: Sequence[str], condition: str) -> list[str]:
        """Puts ``rows`` in the place of what fulfils ``condition``, which goes to ``rest``."""
        return [
            f"CREATE TABLE {rest} AS SELECT * FROM {table} WHERE {condition}",
            f"DELETE FROM {table} WHERE {condition}",
            f"INSERT INTO {table} ({self.column_list(columns)}) SELECT {self.column_list(columns)} FROM {rows}",
            f"DROP TABLE {rows}",
        ]

    def replaced_keys(self, table: str, rows: str, columns: Sequence[str], keys: Sequence[str]) -> str:
        """What ``table`` has of the keys of ``rows``: the like of ``rows``, to bring it back."""
        others = [c for c in columns if c.lower() not in keys]
        nothing = "".join(f", NULL AS {self.grammar.identifier(c)}" for c in others)
        ordered = [*keys, *others]
        there = f"SELECT 1 FROM {rows} AS n WHERE {self.matches('b', 'n', keys)}"
        replaced = f"SELECT {self.column_list(ordered)}, true AS {self._mark} FROM {table} AS b WHERE EXISTS ({there})"
        new = f"SELECT DISTINCT {self.column_list(keys)} FROM {rows} AS n"
        new += f" WHERE NOT EXISTS (SELECT 1 FROM {table} AS b WHERE {self.matches('b', 'n', keys)})"
        added = f"SELECT {self.column_list(keys)}{nothing}, false FROM ({new}) AS added"
        return f"{replaced} UNION ALL {added}"

    def swap_keys(self, table: str, rows: str, rest: str, columns: Sequence[str], keys: Sequence[str]) -> list[str]:
        """Puts ``rows`` in the place of the rows of their keys, which go to ``rest``."""
        there = f"SELECT 1 FROM {rows} AS n WHERE {self.matches('b', 'n', keys)}"
        listed = self.column_list(columns)
        return [
            f"CREATE TABLE {rest} AS {self.replaced_keys(table, rows, columns, keys)}",
            f"DELETE FROM {table} AS b WHERE EXISTS ({there})",
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {rows} WHERE {self._mark}",
            f"DROP TABLE {rows}",
        ]

    def add_rows(self, table: str, rows: str, columns: Sequence[str]) -> str:
        """Adds the rows of ``rows``."""
        return f"INSERT INTO {table} ({self.column_list(columns)}) SELECT {self.column_list(columns)} FROM {rows}"

    def take_rows(self, table: str, rows: str, rest: str, columns: Sequence[str]) -> list[str]:
        """Takes as many of each row out of ``table`` as ``rows`` has, by way of ``rest``. Which of equal rows go makes
        no difference."""
        listed, less = self.column_list(columns), self.grammar.except_all
        return [
            f"CREATE TABLE {rest} AS SELECT {listed} FROM {table} {less} SELECT {listed} FROM {rows}",
            f"DELETE FROM {table}",
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {rest}",
            f"DROP TABLE {rest}",
        ]

    def repeated_keys(self, table: str, keys: Sequence[str]) -> str:
        """Up to three keys that stand for more than one row, with the number of their rows; NULL counts as a value."""
        listed = self.column_list(keys)
        order = ", ".join(str(n) for n in range(1, len(keys) + 1))
        return f"SELECT {listed}, count(*) FROM {table} GROUP BY {listed} HAVING count(*) > 1 ORDER BY {order} LIMIT 3"


_RISING = [
    datetime.fromisoformat(at).replace(tzinfo=UTC)
    for at in (
        "1999-12-31",
        "2000-01-01",
        "2000-01-02T09:00",
        "2000-01-02T10:09",
        "2000-01-02T10:10",
        "2000-01-02T13:00",
        "2000-01-10",
        "2000-02-01",
        "2000-04-01",
        "2000-09-30",
        "2000-10-01",
        "2001-01-01",
        "2010-01-01",
    )
]
"""Moments between which a format that doesn't sort as times do gives itself away."""


def _formatted(at: datetime, time_format: str) -> str:
    """``at`` as a text that stands for it alone, and that sorts as times do. Raises ``ValueError``, with a phrase."""
    text = at.strftime(time_format)
    try:
        told = datetime.strptime(text, time_format).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"its format {time_format!r} is none that a time can be read by") from error
    if told != at:
        raise ValueError(f"its format {time_format!r} can't tell {at:%Y-%m-%d %H:%M} from {told:%Y-%m-%d %H:%M}")
    made = [r.strftime(time_format) for r in _RISING]
    for (before, after), (one, other) in zip(pairwise(_RISING), pairwise(made), strict=True):
        if one > other:
            raise ValueError(
                f"by its format {time_format!r}, {other} ({after:%Y-%m-%d}) sorts before {one} ({before:%Y-%m-%d})"
            )
    return text
