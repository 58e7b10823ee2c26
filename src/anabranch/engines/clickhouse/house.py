"""This process's own ClickHouse, by the package chdb: one folder at a time, which no other process opens meanwhile.

The package holds one server a process, whatever asks for it: :data:`HOUSE` says whose folder that is, and who is in it.
Verified against chdb 4.4 (ClickHouse 26.9).
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anabranch.engines.clickhouse.errors import decoded, told
from anabranch.errors import WarehouseBusy, WarehouseUnavailable

Patience = Callable[[str], None]
"""Told once, by whom the folder is held, when a session has to wait."""

_AT_ONCE = "database_atomic_delay_before_drop_table_sec=0"
"""A dropped table's files go at once, not after 8 minutes that this process won't live."""
FAILURES = (RuntimeError, UnicodeDecodeError)
"""What chdb raises; the second where its message holds bytes that aren't UTF-8."""


class House:
    """This process's ClickHouse. Its lock is held for moments only, never while somebody waits."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.path: Path | None = None
        self.keepers: set[object] = set()
        """Who wants it kept open."""
        self.inside: dict[object, int] = {}
        """Sessions, and by which thread."""
        self.is_forked = False
        self.connections: set[Any] = set()
        self._anchor: Any = None
        self._lock: int | None = None
        self._was_open = False
        self._is_tidy = False

    def enter(self, session: object, keeper: object, path: Path, wait: Callable[[str], bool]) -> None:
        """Opens ``path`` for a session, if need be. ``wait``: told who is in the way; waits a moment, and says whether
        to try on."""
        while True:
            with self.changed:
                holder = self._enter(session, keeper, path)
                if holder is None:
                    return
            if not wait(holder):
                raise WarehouseBusy(
                    f"{path} is held by {holder}",
                    hint="close that process, or wait until it is done, and run the command again",
                )

    def _enter(self, session: object, keeper: object, path: Path) -> str | None:
        """Says who is in the way."""
        if self.is_forked:
            raise WarehouseUnavailable(
                f"{path} can't be opened by a process that was forked from one that had opened ClickHouse",
                hint="start processes anew (multiprocessing's method spawn)",
            )
        if self.path not in (None, path):
            if threading.get_ident() in self.inside.values():
                raise WarehouseBusy(f"{self.path} is in use by this process, which now wants {path} as well")
            if self.inside:
                return f"this process, which uses {self.path}"
            self._shut()
        if self.path is None:
            try:
                path.mkdir(exist_ok=True)
                self._lock, holder = _locked(path)
            except OSError as error:
                raise WarehouseUnavailable(
                    f"{path} can't be written, which ClickHouse does even to read: {error.strerror}",
                    hint="let this user write it (chmod -R u+rwX)",
                ) from error
            if self._lock is None:
                return holder
            self._was_open = True
            try:
                self._anchor = self.connect(path)
            except BaseException:
                self._unlock()
                raise
            self.path, self._is_tidy = path, False
        self.keepers.add(keeper)
        self.inside[session] = threading.get_ident()
        return None

    def tidied(self, tidy: Callable[[], None]) -> None:
        """Calls ``tidy`` once since the folder was opened, before anybody writes to it."""
        with self.changed:
            if not self._is_tidy:
                tidy()
                self._is_tidy = True

    def run(self, path: Path, statement: str) -> None:
        """Runs a statement besides those of sessions, if ``path`` is open still."""
        with self.changed:
            if self.path != path or self.is_forked:
                return
            connection = self.connect(path)
        try:
            connection.query(statement, "Null")
        except FAILURES as error:
            raise told(decoded(error), str(path)) from error
        finally:
            self.disconnect(connection)

    def leave(self, session: object) -> None:
        with self.changed:
            self.inside.pop(session, None)
            self.changed.notify_all()

    def release(self, keeper: object, sessions: int) -> None:
        """Closes the folder if nobody else wants it; with ``sessions`` of its own open, the keeper keeps it."""
        with self.changed:
            if not sessions:
                self.keepers.discard(keeper)
                if not self.keepers and not self.inside:
                    self._shut()

    def _shut(self) -> None:
        if self._anchor is not None:
            self.disconnect(self._anchor)
        self._anchor, self.path = None, None
        self.keepers.clear()
        self._unlock()
        self.changed.notify_all()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def connect(self, path: Path) -> Any:
        """Another connection to ``path``."""
        connection = _connected(path)
        self.connections.add(connection)
        return connection

    def disconnect(self, connection: Any) -> None:
        if not self.is_forked:
            self.connections.discard(connection)
            connection.close()

    def forked(self) -> None:
        """In a child: the server's threads weren't forked with its memory, and closing it would wait for them forever.
        What is left of it is kept, never touched."""
        self.changed = threading.Condition(threading.RLock())
        self._unlock()
        if self._was_open:
            import ctypes

            self.is_forked = True
            for connection in self.connections:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


HOUSE = House()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HOUSE.forked)


def _connected(path: Path) -> Any:
    import chdb

    driver: Any = chdb
    try:
        return driver.connect(f"{path}?{_AT_ONCE}")
    except FAILURES as error:
        text = decoded(error)
        other = re.search(r"already initialized with path '([^']*)'", text)
        if other:
            raise WarehouseBusy(
                f"this process has ClickHouse open at {other.group(1)}, and can't open {path} as well",
                hint="close that connection of chdb first",
            ) from error
        raise WarehouseUnavailable(
            f"{path} can't be opened: {told(text, str(path)).message}",
            hint="ClickHouse wrote the reason to the terminal, and nowhere else",
        ) from error


def require_driver() -> None:
    """Raises ``WarehouseUnavailable`` where chdb or the reader of its rows isn't installed."""
    try:
        import chdb  # noqa: F401  # whether it is there
        import clickhouse_connect  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise WarehouseUnavailable(
            "ClickHouse can't be used without its drivers", hint="pip install 'anabranch[clickhouse]'"
        ) from error


def _locked(path: Path) -> tuple[int | None, str]:
    """A lock on the folder, as a descriptor to close, or who holds it. Anabranch has a file of its own for it: where
    ClickHouse doesn't get its own lock, on ``status``, it tells the terminal and nobody else. That is looked at too."""
    mine = _flocked(path / "anabranch.lock", os.O_RDWR | os.O_CREAT)
    if mine is None:
        return None, _process(path / "anabranch.lock")
    theirs = _flocked(path / "status", os.O_RDWR) if (path / "status").exists() else -1
    if theirs is None:
        os.close(mine)
        return None, _process(path / "status")
    if theirs >= 0:
        os.close(theirs)
    os.ftruncate(mine, 0)
    os.pwrite(mine, f"PID: {os.getpid()}\n".encode(), 0)
    return mine, ""


def _flocked(file: Path, how: int) -> int | None:
    import fcntl

    descriptor = os.open(file, how, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _process(lock: Path) -> str:
    """The process that a lock's file names."""
    text = program = ""
    with contextlib.suppress(OSError):
        text = lock.read_text(errors="replace")
    match = re.search(r"PID:\s*(\d+)", text)
    if match is None:
        return "another process"
    with contextlib.suppress(OSError):
        program = str(Path(f"/proc/{match.group(1)}/exe").readlink())
    return f"process {match.group(1)} ({program})" if program else f"process {match.group(1)}"


def waiting(patience: float, on_wait: Patience, is_stopped: Callable[[], bool]) -> Callable[[str], bool]:
    """See ``wait`` of :meth:`House.enter`."""
    deadline = time.monotonic() + patience
    delay, was_told = 0.005, False

    def wait(holder: str) -> bool:
        nonlocal delay, was_told
        if time.monotonic() > deadline or is_stopped():
            return False
        if not was_told:
            was_told = True
            on_wait(holder)
        time.sleep(delay)
        delay = min(delay * 1.5, 0.25)
        return True

    return wait
