"""Connections that wait to be used again: one for each use at a time, whichever thread makes it.

A connection never crosses a fork. Both libraries forbid it: SQLite's locks belong to the process, and a second process
on a server's socket garbles the conversation. Before a fork, waiting connections are therefore closed, and those in use
are waited for; both sides open new ones when they need them.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from anabranch.errors import StateUnavailable

C = TypeVar("C")

IDLE = 4
"""Connections kept waiting; more are closed as they come back."""


class Pool(Generic[C]):
    """Connections to one ``place``.

    ``usable`` says whether one that has waited can still be used. ``fork_patience``: how many seconds a fork waits for
    those in use to come back.
    """

    def __init__(
        self,
        place: str,
        connect: Callable[[], C],
        close: Callable[[C], None],
        usable: Callable[[C], bool],
        fork_patience: float = 0,
    ) -> None:
        self._place = place
        self._connect = connect
        self._close = close
        self._usable = usable
        self._fork_patience = fork_patience
        self._changed = threading.Condition(threading.Lock())
        self._idle: list[C] = []
        self._in_use = 0
        self._closed = False
        self._forking = False
        _pools.add(self)

    @contextmanager
    def use(self) -> Iterator[C]:
        """A connection, for the length of a ``with``. One that an exception passes through is not used again."""
        with self._changed:
            while self._forking:
                self._changed.wait()
            if self._closed:
                raise StateUnavailable(f"{self._place} has been closed", hint="open it again")
            self._in_use += 1
            connection = self._idle.pop() if self._idle else None
        keep = False
        try:
            while connection is not None and not self._usable(connection):
                self._close(connection)
                with self._changed:
                    connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect()
            yield connection
            keep = True
        finally:
            self._give_back(connection, keep)

    def _give_back(self, connection: C | None, keep: bool) -> None:
        with self._changed:
            keep = keep and not self._closed and len(self._idle) < IDLE
            if keep and connection is not None:
                self._idle.append(connection)
                self._in_use -= 1
                self._changed.notify_all()
        if not keep:
            try:
                if connection is not None:
                    self._close(connection)
            finally:
                with self._changed:
                    self._in_use -= 1
                    self._changed.notify_all()

    def close(self) -> None:
        """Closes what waits, now, and what is in use, when it comes back."""
        with self._changed:
            self._closed = True
        self.drop_idle()

    def drop_idle(self) -> None:
        """Closes what waits: another one has shown that it leads nowhere any more."""
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close(connection)

    def before_fork(self) -> None:
        """Closes what waits, and keeps everybody out until :meth:`after_fork`."""
        self._changed.acquire()
        self._forking = True
        deadline = time.monotonic() + self._fork_patience
        while self._in_use > 0 and (left := deadline - time.monotonic()) > 0:
            self._changed.wait(left)
        while self._idle:
            self._close(self._idle.pop())

    def after_fork(self, child: bool) -> None:
        """Lets everybody in again. What was in use belongs to threads that the child doesn't have."""
        if child:
            self._in_use = 0
        self._forking = False
        self._changed.notify_all()
        self._changed.release()


_pools: weakref.WeakSet[Pool[Any]] = weakref.WeakSet()
_forking = threading.Lock()
_held: list[Pool[Any]] = []


def _before_fork() -> None:
    _forking.acquire()
    for pool in list(_pools):
        pool.before_fork()
        _held.append(pool)


def _after_fork(child: bool) -> None:
    while _held:
        _held.pop().after_fork(child)
    _forking.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(False),
    after_in_child=lambda: _after_fork(True),
)
