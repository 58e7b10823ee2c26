"""The query that carries a history (SCD type 2) on: what it held, and what the source says now, in an engine's grammar;
no parser is needed.

A row is open while its end is NULL. A key whose row changed gets its open row closed and a new one opened; a key that
is new, or came back, gets a row. Closed rows never change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from anabranch.errors import ModelError
from anabranch.ports.grammar import Grammar
from anabranch.sql.writing import Writing

_THERE = "anabranch_there"
"""A column of a side of a join: NULL where that side has no row."""


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """As a model's kind gives them; ``updated_at`` is None where changes are told by comparing ``tracked``."""

    keys: Sequence[str]
    begin: str
    end: str
    updated_at: str | None
    tracked: Sequence[str]
    closes_missing: bool
    """A key that the source no longer has is closed."""
    begins_when_seen: bool
    """A key's first row begins when it was first seen (or updated), not at the beginning of time."""


def settings(properties: Mapping[str, str], columns: Sequence[str], *, by_time: bool) -> HistorySettings:
    """``columns``: those of the query. Raises ``ModelError`` where one has the name of a column that is added."""
    keys = [k for k in properties["unique_key"].split(",") if k]
    said = properties.get("tracked", "*")
    tracked = [c for c in columns if c.lower() not in keys] if said == "*" else said.split(",")
    for key in ("valid_from", "valid_to"):
        name = properties.get(f"{key}_name", key)
        if name in {c.lower() for c in columns}:
            raise ModelError(
                f"the query gives a column {name}, and its history adds one of that name",
                hint=f"call the query's otherwise, or say {key}_name in the kind",
            )
    as_valid = "updated_at_as_valid_from" if by_time else "execution_time_as_valid_from"
    return HistorySettings(
        keys,
        properties.get("valid_from_name", "valid_from"),
        properties.get("valid_to_name", "valid_to"),
        properties.get("updated_at_name", "updated_at") if by_time else None,
        tracked,
        properties.get("invalidate_hard_deletes") == "true",
        properties.get(as_valid) == "true",
    )


@dataclass(frozen=True, slots=True)
class History:
    """Makes the states of one history. ``grammar``: the engine's."""

    said: HistorySettings
    grammar: Grammar

    def begun(self, query: str, columns: Sequence[str], now: str) -> str:
        """The first state of a history: every row of the query is open. ``now``: the present, as a literal."""
        since = self._first("q", now) if self.said.begins_when_seen else self._beginning
        ends = f"{since} AS {self._id(self.said.begin)}, {self._never} AS {self._id(self.said.end)}"
        return f"{self._with(query)}SELECT {self.grammar.columns(columns, 'q.')}, {ends} FROM q"

    def carried(self, query: str, columns: Sequence[str], now: str, table: str, held: Collection[str]) -> str:
        """The next state of a history. ``table`` has it as it is, with the columns ``held``: those that it lacks are
        NULL in what is past. The query has one row a key, the table one open row a key."""
        known = {h.lower() for h in held}
        old = ", ".join(f"h.{self._id(c)}" if c.lower() in known else f"NULL AS {self._id(c)}" for c in columns)
        begin, end, there = self._id(self.said.begin), self._id(self.said.end), self._id(_THERE)
        writing = Writing(self.grammar)
        keys = self.grammar.columns(self.said.keys)
        same = writing.matches("h", "q", self.said.keys)
        differs = self._differs(known)
        changed_at = self._updated("q") if self.said.updated_at else now
        source = f"(SELECT *, true AS {there} FROM q) AS q"
        gone = now if self.said.closes_missing else self._never
        past = (
            f"SELECT {old}, h.{begin}, CASE WHEN h.{end} IS NOT NULL THEN h.{end} WHEN q.{there} IS NULL THEN {gone}"
            f" WHEN {differs} THEN {changed_at} ELSE {self._never} END AS {end}"
            f" FROM {table} AS h LEFT JOIN {source} ON {same}"
        )
        open_rows = f"(SELECT *, true AS {there} FROM {table} WHERE {end} IS NULL) AS h"
        all_keys = f"(SELECT DISTINCT {keys}, true AS {there} FROM {table}) AS k"
        first = self._first("q", now) if self.said.begins_when_seen else self._beginning
        since = f"CASE WHEN k.{there} IS NOT NULL THEN {changed_at} ELSE {first} END"
        new = (
            f"SELECT {self.grammar.columns(columns, 'q.')}, {since} AS {begin}, {self._never} AS {end} FROM q"
            f" LEFT JOIN {open_rows} ON {same} LEFT JOIN {all_keys} ON {writing.matches('k', 'q', self.said.keys)}"
            f" WHERE h.{there} IS NULL OR {differs}"
        )
        return f"{self._with(query)}{past} UNION ALL {new}"

    def _differs(self, held: Collection[str]) -> str:
        """Whether the source's row ``q`` says something else than the open row ``h``."""
        if self.said.updated_at is not None:
            if self.said.updated_at not in held:
                return "true"
            name = self._id(self.said.updated_at)
            return f"coalesce(q.{name} > h.{name}, h.{name} IS NULL AND q.{name} IS NOT NULL)"
        each = [
            self.grammar.distinct.format(f"q.{self._id(c)}", f"h.{self._id(c)}")
            for c in self.said.tracked
            if c.lower() in held
        ]
        return f"({' OR '.join(each)})" if each else "false"

    def _first(self, alias: str, now: str) -> str:
        return self._updated(alias) if self.said.updated_at else now

    def _updated(self, alias: str) -> str:
        assert self.said.updated_at is not None
        return self.grammar.cast(f"{alias}.{self._id(self.said.updated_at)}", self.grammar.timestamp)

    def _with(self, query: str) -> str:
        """The source, computed once."""
        return f"WITH q AS (\n{query}\n) "

    @property
    def _never(self) -> str:
        return self.grammar.cast("NULL", self.grammar.timestamp)

    @property
    def _beginning(self) -> str:
        return self.grammar.time(datetime(1970, 1, 1, tzinfo=UTC))

    def _id(self, column: str) -> str:
        return self.grammar.identifier(column)
