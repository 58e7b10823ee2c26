"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

from anabranch.engines.snowflake import errors as told
from anabranch.engines.snowflake.link import Connection, Link
from anabranch.engines.snowflake.session import GRAMMAR, LONGEST_NAME, SnowflakeSession
from anabranch.engines.snowflake.settings import Account, read_account
from anabranch.errors import StatementFailed, WarehouseBusy, WarehouseError, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import CloneRules

CONNECTIONS = 8
MANY = 25
"""Statements for each further connection."""


class SnowflakeEngine:
    """See :class:`anabranch.ports.engine.Engine`."""

    name = "snowflake"
    clone_rules = CloneRules(keep_grants=True)
    dialect = "snowflake"
    capabilities: Mapping[Capability, Support] = {
        Capability.TRANSACTIONAL_DDL: Support.NEVER,  # each statement of DDL commits, and what went before it
        Capability.CONCURRENT_STATEMENTS: Support.FULL,
        Capability.CLONE_TABLE: Support.FULL,
        Capability.CLONE_SCHEMA: Support.FULL,
        Capability.CLONE_DATABASE: Support.FULL,
        Capability.TIME_TRAVEL: Support.FULL,
        Capability.SWAP_TABLES: Support.FULL,
        Capability.SWAP_SCHEMAS: Support.FULL,
        # Over one table, without joins, and only in the Enterprise edition. A dynamic table takes any query, but wants
        # a warehouse and a lag that nobody has named here.
        Capability.MATERIALIZED_VIEWS: Support.PARTLY,
        Capability.MERGE: Support.FULL,
        # Of roles, users and shares; not of applications. A view keeps them when it is pointed elsewhere.
        Capability.GRANTS: Support.PARTLY,
        # By what the documentation says of HASH; within a VARIANT, a date and its text aren't told apart for certain.
        Capability.EXACT_HASH: Support.PARTLY,
    }
    grammar = GRAMMAR
    identifiers = Identifiers(longest=LONGEST_NAME, case=Case.UPPER)

    def __init__(
        self,
        url: str = "",
        *,
        settings: Mapping[str, object] | None = None,
        connections: int = CONNECTIONS,
        patience: float = 300.0,
        connect: Callable[..., Connection] | None = None,
    ) -> None:
        """See :func:`anabranch.engines.snowflake.settings.read_account`. ``connections``: so many at a time at most.
        ``patience``: seconds to wait for one of them. ``connect``: instead of the driver's.

        Raises:
            ConfigError: ``url`` or ``settings`` lack something.
        """
        self._account = read_account(url, settings)
        self._database = GRAMMAR.told(self._account.database)
        self._patience = patience
        self._free = threading.BoundedSemaphore(connections)
        self._connect_with = connect
        self._lock = threading.Lock()
        self._idle: list[Link] = []
        self._used: list[Link] = []

    @property
    def place(self) -> str:
        return self._account.place

    def exists(self) -> bool:
        try:
            with self.session(read_only=True):
                return True
        except _NoDatabase:
            return False

    def size(self) -> int | None:
        return None  # costs a query

    def revision(self) -> str | None:
        return None  # there is nothing that tells it without a query

    # -- sessions --------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[SnowflakeSession]:
        wait = self._patience if patience is None else min(patience, self._patience)
        if not self._free.acquire(timeout=wait):
            raise WarehouseBusy(
                f"all connections to {self.place} are in use",
                hint="allow more: warehouse.connections in anabranch.yaml",
            )
        try:
            with self._link() as link:
                link.tag({})
                yield SnowflakeSession(link, self._database, self._run_all, guarded=read_only)
        finally:
            self._free.release()

    @contextlib.contextmanager
    def _link(self) -> Iterator[Link]:
        """An idle connection, or a new one."""
        with self._lock:
            link = self._idle.pop() if self._idle else None
        link = link or self._new_link()
        with self._lock:
            self._used.append(link)
        try:
            yield link
        finally:
            with self._lock:
                self._used.remove(link)
                if not link.is_dirty:
                    self._idle.append(link)
            if link.is_dirty:
                link.close()

    def _new_link(self) -> Link:
        history = f"{GRAMMAR.identifier(self._database)}.information_schema.query_history_by_session"
        return Link(lambda: self._connect(self._account), self.place, history, self._account.secrets)

    def _connect(self, account: Account) -> Connection:
        connect = self._connect_with or _driver(self.place)
        from snowflake.connector.errors import Error

        try:
            connection = connect(**account.arguments)
        except Error as error:
            raise told.unavailable(error, self.place, account.secrets) from error
        if connection.database is None:
            with contextlib.suppress(Exception):  # it is the reason that counts
                connection.close()
            raise _NoDatabase(
                f"{self.place}: there is no such database, or none that the role in use may see",
                hint="check the name; else CREATE DATABASE …, or GRANT USAGE ON DATABASE … TO ROLE …",
            )
        return connection

    def _run_all(self, statements: Sequence[str], link: Link) -> None:
        """Runs statements that don't depend on each other, over as many connections as are free and worth it."""
        with contextlib.ExitStack() as stack:
            links = [link]
            for _ in range(len(statements) // MANY):
                if not self._free.acquire(blocking=False):
                    break
                stack.callback(self._free.release)
                links.append(stack.enter_context(self._link()))
                links[-1].tag_as(link)
            _share(statements, links)

    def interrupt(self) -> None:
        with self._lock:
            running = [session for link in self._used if (session := link.running) is not None]
        if not running:
            return
        # one that ended just now has nothing to stop, and without a connection nothing can be
        with contextlib.suppress(WarehouseError), self._link() as control:
            for session in running:
                with contextlib.suppress(StatementFailed):
                    control.cancel(session)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for link in idle:
            link.close()


class _NoDatabase(WarehouseUnavailable):
    """The account is there, the database isn't."""


def _share(statements: Sequence[str], links: Sequence[Link]) -> None:
    """Has each of ``links`` run a part of ``statements``. Raises the first failure, when all have stopped."""
    waiting = iter(statements)
    lock, failures = threading.Lock(), list[BaseException]()

    def work(link: Link) -> None:
        try:
            while True:
                with lock:
                    statement = None if failures else next(waiting, None)
                if statement is None:
                    return
                link.run(statement)
        except BaseException as error:  # noqa: BLE001  # raised below
            with lock:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(link,), daemon=True) for link in links[1:]]
    for thread in threads:
        thread.start()
    work(links[0])
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _driver(place: str) -> Callable[..., Connection]:
    try:
        from snowflake.connector import connect
    except ImportError as error:
        raise WarehouseUnavailable(
            f"{place} can't be reached without its driver", hint="pip install 'anabranch[snowflake]'"
        ) from error
    # what goes wrong is raised; without this, it would be written to the terminal too
    logging.getLogger("snowflake.connector").addHandler(logging.NullHandler())
    return cast(Callable[..., Connection], connect)
