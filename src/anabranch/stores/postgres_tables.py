"""The tables of a state in Postgres, and how they are made and migrated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from anabranch.stores.migrations import Migration, Stamp
from anabranch.stores.postgres_statements import in_schema, lock_number
from anabranch.stores.postgres_url import Address

if TYPE_CHECKING:
    import psycopg

MIGRATIONS = (
    Migration(
        1,
        (
            # COLLATE "C": sorted by code point, whatever the database's locale, so that a prefix is a range.
            """CREATE TABLE {schema}.objects (
                id text COLLATE "C" PRIMARY KEY,
                at timestamptz NOT NULL DEFAULT clock_timestamp(),
                body bytea NOT NULL
            )""",
            'CREATE TABLE {schema}.cells (key text COLLATE "C" PRIMARY KEY, value bytea NOT NULL)',
        ),
    ),
)

_ABOUT = "CREATE TABLE IF NOT EXISTS {schema}.about (version integer NOT NULL, written_by text NOT NULL)"


# Queries, for to_regclass() may answer from a cache that knows nothing of what was committed during a wait for a lock.
_HAS_SCHEMA = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
_HAS_ABOUT = """
SELECT 1 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = 'about'
"""


class PostgresTables:
    """See :class:`anabranch.stores.migrations.Tables`. Table ``about`` has one row, and is the same in all versions."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]], address: Address) -> None:
        self._connection = connection
        self._schema = address.schema
        self.place = address.place

    def stamp(self) -> Stamp | None:
        if not self._has(_HAS_ABOUT):
            return None
        row = self._connection.execute(self._sql("SELECT version, written_by FROM {schema}.about")).fetchone()
        return Stamp(*row) if row else None

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with self._connection.transaction():
            self._connection.execute("SELECT set_config('lock_timeout', '30s', true)")
            # The lock that every swap shares: none is under way while this one is held.
            self._connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(self._schema),))
            # IF NOT EXISTS would ask for the right to create it even where it exists.
            if not self._has(_HAS_SCHEMA):
                self.run("CREATE SCHEMA {schema}")
            yield

    def run(self, statement: str) -> None:
        self._connection.execute(self._sql(statement))

    def mark(self, stamp: Stamp) -> None:
        self.run(_ABOUT)
        self.run("DELETE FROM {schema}.about")
        self._connection.execute(
            self._sql("INSERT INTO {schema}.about VALUES (%s, %s)"), (stamp.version, stamp.written_by)
        )

    def _has(self, query: str) -> bool:
        return self._connection.execute(query.encode(), (self._schema,)).fetchone() is not None

    def _sql(self, text: str) -> bytes:
        return in_schema(text, self._schema)
