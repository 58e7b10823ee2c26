"""A few rows that say what a warehouse holds and shows, kept in a table of the same warehouse.

In a transaction a row is replaced. Elsewhere a row with a higher number is added, which is one statement, and counts
from then on; earlier ones are cleared away afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from anabranch.errors import StatementFailed
from anabranch.ports.engine import Relation, Session, name

_NUMBER = "number"
_TURN = threading.Lock()
"""Without transactions, those who write at the same time stand in each other's way: an engine that finds it out when it
commits has the later one do it again."""


class Ledger:
    """One table, in one session. ``columns``: the key's and those of what is recorded of it, all of them texts."""

    def __init__(self, session: Session, table: Relation, columns: Sequence[str]) -> None:
        self._session = session
        self._table = table
        self._columns = tuple(columns)

    def ensure(self) -> None:
        """Makes it where it isn't there; one session at a time."""
        session, grammar = self._session, self._session.grammar
        text = grammar.nullable.format(grammar.text)
        columns = [f"{grammar.identifier(c)} {text}" for c in self._columns]
        if not session.transacts:
            columns.append(f"{grammar.identifier(_NUMBER)} {grammar.integer}")
        session.create_schemas([self._table.schema])
        session.execute(f"CREATE TABLE IF NOT EXISTS {name(session, self._table)} ({', '.join(columns)})")

    def read(self) -> dict[str, tuple[str, ...]]:
        """All that is recorded, by key."""
        return {key: values for key, (_, values) in self._rows().items() if values}

    def _rows(self) -> dict[str, tuple[int, tuple[str, ...]]]:
        """The number that counts of each key, and what is recorded: nothing where it was taken out."""
        session, grammar = self._session, self._session.grammar
        wanted = self._columns if session.transacts else (*self._columns, _NUMBER)
        try:
            rows = session.query(f"SELECT {grammar.columns(wanted)} FROM {name(session, self._table)}").rows
        except StatementFailed:
            if session.describe(self._table) is not None:
                raise
            return {}
        found: dict[str, tuple[int, tuple[str, ...]]] = {}
        for key, *row in rows:
            number = 0 if session.transacts else int(str(row.pop() or 0))
            if str(key) not in found or number > found[str(key)][0]:
                found[str(key)] = number, () if row[0] is None else tuple(str(v) for v in row)
        return found

    def put(self, key: str, values: Sequence[str] | None) -> None:
        """Records ``values`` of ``key``; None: there is nothing any more."""
        session, grammar = self._session, self._session.grammar
        table, column = name(session, self._table), grammar.identifier(self._columns[0])
        listed = [grammar.literal(v) for v in (key, *(values or ()))]
        if session.transacts:
            session.execute(f"DELETE FROM {table} WHERE {column} = {listed[0]}")
            if values is not None:
                session.execute(f"INSERT INTO {table} ({grammar.columns(self._columns)}) VALUES ({', '.join(listed)})")
            return
        listed += ["NULL"] * (len(self._columns) - len(listed))
        columns = grammar.columns([*self._columns, _NUMBER])
        with _TURN:
            last = self._rows().get(key)
            number = last[0] + 1 if last else 1
            session.execute(f"INSERT INTO {table} ({columns}) VALUES ({', '.join(listed)}, {number})")
            if last is not None:
                older = f"{column} = {listed[0]} AND {grammar.identifier(_NUMBER)} < {number}"
                session.execute(f"DELETE FROM {table} WHERE {older}")
