"""The engine: who opens sessions, and stops them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from anabranch.engines.postgres.address import Address
from anabranch.engines.postgres.catalog import GRAMMAR
from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.pool import Pool
from anabranch.engines.postgres.session import PostgresSession
from anabranch.engines.postgres.wire import LONGEST
from anabranch.errors import WarehouseError
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import USUAL

PATIENCE = 300.0
CONNECTIONS = 20


class PostgresEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "postgres"
    clone_rules = USUAL
    dialect = "postgres"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.FULL,
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        Capability.CLONE_TABLE: Support.NEVER,
        Capability.CLONE_SCHEMA: Support.NEVER,
        Capability.CLONE_DATABASE: Support.NEVER,  # a branch of a database is an asset of its own kind
        Capability.TIME_TRAVEL: Support.NEVER,
        Capability.SWAP_TABLES: Support.FULL,
        Capability.SWAP_SCHEMAS: Support.NOT_YET,  # ALTER SCHEMA … RENAME could; views that read into them would follow
        Capability.MATERIALIZED_VIEWS: Support.FULL,
        Capability.MERGE: Support.FULL,
        Capability.GRANTS: Support.FULL,
        Capability.EXACT_HASH: Support.FULL,
    }
    grammar = GRAMMAR
    identifiers = Identifiers(longest=LONGEST, case=Case.LOWER, refused="\0")

    def __init__(
        self,
        url: str,
        *,
        settings: Mapping[str, str] | None = None,
        patience: float = PATIENCE,
        connections: int = CONNECTIONS,
    ) -> None:
        """``settings``: the server's own (``work_mem``, ``search_path``, ``role``, …), for every session. ``patience``:
        seconds to wait for a lock that another session holds, for a server that starts, and for a connection where all
        ``connections`` are in use, here or on the server.

        Raises:
            ConfigError: ``url`` can't be taken apart.
        """
        self._pool = Pool(Address(url), settings or {}, connections)
        self._patience = patience
        self._links: set[Link] = set()
        self._is_there = False
        weakref.finalize(self, self._pool.close)

    def __repr__(self) -> str:
        return f"PostgresEngine({self.place!r})"

    @property
    def place(self) -> str:
        return self._pool.address.place

    def exists(self) -> bool:
        """Raises ``WarehouseUnavailable`` where nobody can tell: the server is out of reach, or lets nobody in."""
        if not self._is_there:
            self._is_there = self._pool.exists(self._patience)
        return self._is_there

    def size(self) -> int | None:
        if not self.exists():
            return None
        with self.session(read_only=True) as session:
            return int(str(session.query("SELECT pg_database_size(current_database())").rows[0][0]))

    def revision(self) -> str | None:
        """Which transactions of the whole server are over: every change is made by one that has a number. A server that
        others write to has another token all the time."""
        try:
            with self._link(read_only=True, patience=self._patience) as link:
                ((token,),) = link.ask(
                    "SELECT concat_ws(' ', s.system_identifier, c.timeline_id, pg_postmaster_start_time(), d.oid,"
                    " pg_current_snapshot()) FROM pg_control_system() AS s, pg_control_checkpoint() AS c,"
                    " pg_database AS d WHERE d.datname = current_database()"
                )
                return str(token)
        except WarehouseError:
            return None

    @contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[PostgresSession]:
        wanted = self._patience if patience is None else min(patience, self._patience)
        with self._link(read_only=read_only, patience=wanted) as link:
            yield PostgresSession(link)

    @contextmanager
    def _link(self, *, read_only: bool, patience: float) -> Iterator[Link]:
        link = Link(self._pool, read_only=read_only, patience=patience)
        self._links.add(link)
        try:
            yield link
        finally:
            self._links.discard(link)
            link.close()

    def interrupt(self) -> None:
        self._pool.stops += 1
        for link in list(self._links):
            link.cancel()

    def close(self) -> None:
        self._is_there = False
        self._pool.close()


def open_engine(
    database: str, settings: Mapping[str, str], connections: int = CONNECTIONS, patience: float = PATIENCE
) -> PostgresEngine:
    """The engine that ``warehouse:`` of a project's file describes: ``database`` is a URL
    (``postgresql://user@host:5432/name``), ``settings`` are the server's own. ``connections``: as many as builds run at
    a time, and a few more for whoever looks at something meanwhile. Nothing is opened.

    Raises:
        ConfigError: ``database`` is no such URL.
    """
    return PostgresEngine(database, settings=settings, connections=connections, patience=patience)
