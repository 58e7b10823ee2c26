"""The query that carries a history (SCD type 2) on: what it held, and what the source says now. Standard SQL with
quoted identifiers; no parser is needed.

A row is open while its end is NULL. A key whose row changed gets its open row closed and a new one opened; a key that
is new, or came back, gets a row. Closed rows never change.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from anabranch.errors import ModelError
from anabranch.ports.engine import quoted
from anabranch.sql.writing import column_list, matches

_NEVER = "CAST(NULL AS TIMESTAMP)"
BEGINNING = "CAST('1970-01-01 00:00:00' AS TIMESTAMP)"


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


def begun(query: str, columns: Sequence[str], said: HistorySettings, now: str) -> str:
    """The first state of a history: every row of the query is open. ``now``: the present, as a literal."""
    since = _first(said, "q", now) if said.begins_when_seen else BEGINNING
    ends = f"{since} AS {quoted([said.begin])}, {_NEVER} AS {quoted([said.end])}"
    return f"{_with(query)}SELECT {column_list(columns, 'q.')}, {ends} FROM q"


def carried(
    query: str, columns: Sequence[str], said: HistorySettings, now: str, table: str, held: Collection[str]
) -> str:
    """The next state of a history. ``table`` has it as it is, with the columns ``held``: those that it lacks are NULL
    in what is past."""
    known = {h.lower() for h in held}
    old = ", ".join(f"h.{quoted([c])}" if c.lower() in known else f"NULL AS {quoted([c])}" for c in columns)
    begin, end = quoted([said.begin]), quoted([said.end])
    same = matches("h", "q", said.keys)
    differs = _differs(said, known)
    changed_at = f"CAST(q.{quoted([said.updated_at])} AS TIMESTAMP)" if said.updated_at else now
    is_there = f"EXISTS (SELECT 1 FROM q WHERE {same})"
    moved = f"(SELECT max({changed_at}) FROM q WHERE {same} AND {differs})"
    gone = f"WHEN NOT {is_there} THEN {now} " if said.closes_missing else ""
    past = (
        f"SELECT {old}, h.{begin}, CASE WHEN h.{end} IS NOT NULL THEN h.{end} {gone}ELSE {moved} END AS {end}"
        f" FROM {table} AS h"
    )
    open_row = f"SELECT 1 FROM {table} AS h WHERE h.{end} IS NULL AND {same}"
    any_row = f"SELECT 1 FROM {table} AS h WHERE {same}"
    first = _first(said, "q", now) if said.begins_when_seen else BEGINNING
    since = f"CASE WHEN EXISTS ({any_row}) THEN {changed_at} ELSE {first} END"
    new = (
        f"SELECT {column_list(columns, 'q.')}, {since} AS {begin}, {_NEVER} AS {end} FROM q"
        f" WHERE NOT EXISTS ({open_row} AND NOT {differs})"
    )
    return f"{_with(query)}{past} UNION ALL {new}"


def _differs(said: HistorySettings, held: Collection[str]) -> str:
    """Whether the source's row ``q`` says something else than the open row ``h``."""
    if said.updated_at is not None:
        if said.updated_at not in held:
            return "true"
        name = quoted([said.updated_at])
        return f"(q.{name} > h.{name} OR (h.{name} IS NULL AND q.{name} IS NOT NULL))"
    each = [f"q.{quoted([c])} IS DISTINCT FROM h.{quoted([c])}" for c in said.tracked if c.lower() in held]
    return f"({' OR '.join(each)})" if each else "false"


def _first(said: HistorySettings, alias: str, now: str) -> str:
    return f"CAST({alias}.{quoted([said.updated_at])} AS TIMESTAMP)" if said.updated_at else now


def _with(query: str) -> str:
    """The source, computed once."""
    return f"WITH q AS (\n{query}\n) "
