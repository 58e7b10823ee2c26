"""The engine: how it is reached, what it can do, and its sessions."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from anabranch.engines.clickhouse import http
from anabranch.engines.clickhouse.catalog import GRAMMAR
from anabranch.engines.clickhouse.embedded import Embedded, stored
from anabranch.engines.clickhouse.house import HOUSE, Patience, require_driver, waiting
from anabranch.engines.clickhouse.session import ClickHouseSession, comment
from anabranch.engines.clickhouse.settings import KEPT, SESSION
from anabranch.engines.clickhouse.transport import Transport
from anabranch.errors import WarehouseBusy, WarehouseError, WarehouseUnavailable
from anabranch.ports.capabilities import Capability, Case, Identifiers, Support
from anabranch.ports.cloning import USUAL

_SETTLED = 0.03
"""Seconds after which a file's time stamp can't hide another write (the kernel's clock ticks every 1 to 10 ms)."""

_OWN = frozenset({"anabranch.lock", "metadata", "status", "store"})
"""Of these ClickHouse's folder holds one at least."""

_EMBEDDED: Mapping[Capability, Support] = {
    Capability.TRANSACTIONAL_DDL: Support.NEVER,
    Capability.CONCURRENT_STATEMENTS: Support.FULL,
    Capability.CLONE_TABLE: Support.FULL,  # of tables of the MergeTree family, which are those that Anabranch makes
    Capability.CLONE_SCHEMA: Support.NEVER,
    Capability.CLONE_DATABASE: Support.NEVER,
    Capability.TIME_TRAVEL: Support.NEVER,
    Capability.SWAP_TABLES: Support.FULL,
    Capability.SWAP_SCHEMAS: Support.NEVER,  # RENAME DATABASE takes one name
    # One that is a trigger sees what is inserted into one table, and no deletion; one that is refreshed shows rows of
    # some moment ago.
    Capability.MATERIALIZED_VIEWS: Support.NEVER,
    Capability.MERGE: Support.NEVER,  # ALTER … DELETE and INSERT are two statements
    Capability.GRANTS: Support.NEVER,
    Capability.EXACT_HASH: Support.FULL,
}
_SERVER = {**_EMBEDDED, Capability.GRANTS: Support.PARTLY}
"""GRANT and what ``system.grants`` says are written by the reference: no server with access control was at hand."""


class ClickHouseEngine:
    """See :class:`anabranch.ports.engine.Engine`. Made by :meth:`embedded` or :meth:`server`."""

    name = "clickhouse"
    clone_rules = USUAL
    dialect = "clickhouse"
    grammar = GRAMMAR
    # ClickHouse makes file names of them, in which a character that isn't plain takes 3 bytes for each of its own, and
    # the schema's name is part of it: 208 bytes are left in a schema of 5.
    identifiers = Identifiers(longest=127, case=Case.SENSITIVE)

    def __init__(
        self,
        place: str,
        *,
        path: Path | None = None,
        address: http.Address | None = None,
        settings: Mapping[str, str] | None = None,
        patience: float = 300.0,
        on_wait: Patience = lambda holder: None,
        connections: int = 16,
    ) -> None:
        self._place = place
        self._path = path
        self._address = address
        self._settings = dict(settings or {})
        self._patience = patience
        self._on_wait = on_wait
        self._mark = uuid.uuid4().hex
        self._lock = threading.RLock()
        self._free = threading.BoundedSemaphore(connections)
        self._client: Any = None
        self._sessions = 0
        self._stops = 0
        """How often :meth:`interrupt` was called."""

    @classmethod
    def embedded(
        cls,
        path: Path,
        *,
        settings: Mapping[str, str] | None = None,
        patience: float = 300.0,
        on_wait: Patience = lambda holder: None,
    ) -> ClickHouseEngine:
        """A database in the folder ``path``. ``settings`` are ClickHouse's own. ``patience``: seconds to wait for
        another process."""
        return cls(str(path), path=path, settings=settings, patience=patience, on_wait=on_wait)

    @classmethod
    def server(
        cls,
        url: str,
        *,
        settings: Mapping[str, str] | None = None,
        patience: float = 300.0,
        connections: int = 16,
    ) -> ClickHouseEngine:
        """A server: ``http(s)://user:password@host:port/``. ``connections``: so many sessions at a time; ``patience``:
        seconds to wait for one of them."""
        address = http.address(url)
        return cls(address.place, address=address, settings=settings, patience=patience, connections=connections)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._place!r})"

    @property
    def place(self) -> str:
        return self._place

    @property
    def capabilities(self) -> Mapping[Capability, Support]:
        return _EMBEDDED if self._path is not None else _SERVER

    # -- what can be told without opening it -----------------------------------------------------------------------
    def exists(self) -> bool:
        return self._path is None or (self._path / "metadata").is_dir()

    def size(self) -> int | None:
        return None if self._path is None else stored(self._path)

    def revision(self) -> str | None:
        """By all files and parts of tables: what ClickHouse has written it leaves as it is, and writes beside it."""
        if self._path is None:
            return None
        newest, seen = 0.0, hashlib.sha256(socket.gethostname().encode())
        for folder in ("metadata", "store"):
            for name, found in _entries(self._path / folder):
                newest = max(newest, found[2] / 1e9)
                seen.update(repr((name, found)).encode())
        return None if time.time() - newest < _SETTLED else seen.hexdigest()

    # -- sessions --------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def session(self, *, read_only: bool = False, patience: float | None = None) -> Iterator[ClickHouseSession]:
        kept = KEPT & set(self._settings)
        if kept:
            raise WarehouseUnavailable(
                f"the setting {min(kept)} can't be another than {SESSION[min(kept)]}",
                hint="take it out of warehouse.settings",
            )
        settings = {**SESSION, **self._settings, "log_comment": comment({}, self._mark)}
        if read_only:
            settings["readonly"] = "2"  # 1 would refuse the comment
        patient = self._patience if patience is None else min(patience, self._patience)
        with self._opened(read_only, patient, settings) as transport:
            yield ClickHouseSession(
                transport,
                self._place,
                self._mark,
                settings,
                guarded=read_only,
                is_embedded=self._path is not None,
            )

    def _opened(
        self, read_only: bool, patience: float, settings: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Transport]:
        return self._remote(patience, settings) if self._path is None else self._local(read_only, patience, settings)

    @contextlib.contextmanager
    def _local(self, read_only: bool, patience: float, settings: Mapping[str, str]) -> Iterator[Transport]:
        path = self._checked(read_only)
        mine, stops = object(), self._stops
        HOUSE.enter(mine, self, path, waiting(patience, self._on_wait, lambda: self._stops != stops))
        self._count(1)
        try:
            transport = Embedded(path, settings)
            try:
                if not read_only:
                    HOUSE.tidied(lambda: self._sweep(transport, settings))
                yield transport
            finally:
                transport.close()
        finally:
            self._count(-1)
            HOUSE.leave(mine)

    def _sweep(self, transport: Transport, settings: Mapping[str, str]) -> None:
        """Drops what a process left that was killed: there is no other, now."""
        ClickHouseSession(transport, self._place, self._mark, settings, is_embedded=True).sweep()

    def _checked(self, read_only: bool) -> Path:
        """The folder, as ClickHouse is told it.

        Raises:
            WarehouseUnavailable: it can't be one of its own.
        """
        assert self._path is not None
        require_driver()
        path, place = self._path, self._place
        hint = "check warehouse.database in anabranch.yaml"
        if "?" in str(path.absolute()):
            raise WarehouseUnavailable(f"{place} has a question mark in its name", hint="give it another")
        if (read_only and not path.exists()) or not path.parent.is_dir():
            raise WarehouseUnavailable(f"{place} doesn't exist", hint=hint)
        if path.exists() and not path.is_dir():
            raise WarehouseUnavailable(f"{place} is a file; ClickHouse needs a folder", hint=hint)
        if path.exists() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise WarehouseUnavailable(
                f"{place} may not be written, which ClickHouse does even to read", hint="make it writable (chmod u+rwX)"
            )
        if not path.exists() and not os.access(path.parent, os.W_OK):
            raise WarehouseUnavailable(f"{place} lies in a folder that can't be written", hint=hint)
        if path.is_dir() and not _OWN & {p.name for p in path.iterdir()} and any(path.iterdir()):
            raise WarehouseUnavailable(f"{place} holds other files, and no ClickHouse database", hint=hint)
        return path.resolve()

    @contextlib.contextmanager
    def _remote(self, patience: float, settings: Mapping[str, str]) -> Iterator[Transport]:
        if not self._free.acquire(timeout=max(patience, 0)):
            raise WarehouseBusy(
                f"all connections to {self._place} are in use", hint="raise warehouse.connections, or wait"
            )
        self._count(1)
        try:
            transport = http.Http(self._connected(), settings, self._place)
            try:
                yield transport
            finally:
                transport.close()
        finally:
            self._count(-1)
            self._free.release()

    def _connected(self) -> Any:
        assert self._address is not None
        with self._lock:
            if self._client is None:
                self._client = http.connected(self._address)
            return self._client

    def _count(self, change: int) -> None:
        with self._lock:
            self._sessions += change

    def interrupt(self) -> None:
        self._stops += 1  # without the lock, which is held while a server is looked for
        stop = f"KILL QUERY WHERE position(Settings['log_comment'], '{self._mark}') > 0 ASYNC"
        client, path = self._client, self._path
        with contextlib.suppress(WarehouseError):  # one that ended just now has nothing to stop
            if path is not None and self._sessions:
                HOUSE.run(path.resolve(), stop)
            elif client is not None and self._sessions:
                http.Http(client, {}, self._place).run(stop)

    def close(self) -> None:
        with self._lock:
            sessions = self._sessions
            if not sessions and self._client is not None:
                self._client.close()
                self._client = None
        if self._path is not None:
            HOUSE.release(self, sessions)


def _entries(folder: Path, depth: int = 3) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """All in ``folder``, down to the parts of tables: path, and inode, size and time of the last change."""
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return
    for entry in entries:
        with contextlib.suppress(OSError):
            found, is_folder = entry.stat(follow_symlinks=False), entry.is_dir(follow_symlinks=False)
            yield entry.path, (found.st_ino, 0 if is_folder else found.st_size, found.st_mtime_ns)
            if is_folder and depth > 1:
                yield from _entries(Path(entry.path), depth - 1)
