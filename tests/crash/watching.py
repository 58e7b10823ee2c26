"""The events of a command, and how it dies at one of them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
from tests.support.plain import PlainDuckDB

from anabranch import bootstrap
from anabranch.engines.duckdb import DuckDBEngine, DuckDBSession
from anabranch.ports.store import Store

FRACTIONS = (0.5, 0.1, 0.9)
"""How far into a statement; only half-way into one that takes less than ``SHORT`` seconds."""
SHORT = 0.002
LONG = frozenset({"COMMIT", "close"})
"""What DuckDB does in several steps: a transaction's end, and a checkpoint."""
WRITING_CALLS = frozenset({"put", "swap", "delete"})
READING = frozenset({"select", "describe", "with", "from", "set", "begin", "rollback"})


@dataclass(frozen=True)
class Event:
    """``what``: a store's call, or a statement's first words."""

    kind: str
    what: str
    writes: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Point:
    """Where to die: before, after or within the ``number``-th event. With a negative number, at the first whose name is
    ``what``, once something was ``published``."""

    number: int
    when: str
    fraction: float = 0.0
    seconds: float = 0.0
    what: str = ""
    published: bool = False

    def __str__(self) -> str:
        return f"{self.when} event {self.number}" + (f" ({self.fraction:.0%} into it)" if self.when == "in" else "")


class Watch:
    """Counts events, and dies at one."""

    def __init__(self, kill: Point | None = None) -> None:
        self.events: list[Event] = []
        self._kill = kill
        self._published = False
        self._lock = threading.Lock()

    @contextmanager
    def event(self, kind: str, what: str, *, writes: bool) -> Iterator[None]:
        with self._lock:
            number = len(self.events)
            self.events.append(Event(kind, what, writes))
        kill = self._kill
        here = kill is not None and (
            kill.number == number or (kill.number < 0 and what == kill.what and self._published)
        )
        if kill is not None and here:
            if kill.when == "before":
                die()
            if kill.when == "in":
                threading.Thread(target=_die_in, args=(kill.seconds * kill.fraction,), daemon=True).start()
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self.events[number] = Event(kind, what, writes, seconds)
            if here and kill is not None and kill.when == "after":
                die()

    def saw(self, write: dict[str, Any]) -> None:
        self._published = self._published or any(k.startswith("ref/") for k in write)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _die_in(seconds: float) -> None:
    time.sleep(seconds)
    die()


class WatchedStore:
    """A store, each call of which is an event."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in WRITING_CALLS | {"get", "read", "scan", "aged"}:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with self._watch.event("store", name, writes=name in WRITING_CALLS):
                answer = found(*arguments, **options)
            if name == "swap":
                self._watch.saw(arguments[1])
            return answer

        return call


class WatchedCursor:
    """A cursor, each statement of which is an event. One within a transaction leaves nothing behind where it stops: its
    COMMIT is what writes."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, watch: Watch) -> None:
        self._cursor = cursor
        self._watch = watch
        self._is_within = False

    def execute(self, statement: str) -> Any:
        words = statement.split(None, 2)[:2]
        verb = words[0].lower()
        writes = verb == "commit" or (not self._is_within and verb not in READING)
        self._is_within = verb == "begin" or (self._is_within and verb not in ("commit", "rollback"))
        with self._watch.event("engine", " ".join(words)[:30], writes=writes):
            return self._cursor.execute(statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def watch(watching: Watch) -> None:
    """Watches whatever is opened in this process from now on."""
    open_store, close = bootstrap.open_store, DuckDBEngine.close

    def watched(kind: type[DuckDBSession]) -> type[DuckDBSession]:
        class WatchedSession(kind):  # type: ignore[valid-type, misc]  # a class that is given
            def __init__(self, cursor: Any, *rest: Any, **options: Any) -> None:
                super().__init__(WatchedCursor(cursor, watching), *rest, **options)

        return WatchedSession

    def watched_close(self: DuckDBEngine) -> None:
        if self._connection is None or self._cursors:
            close(self)
            return
        with watching.event("engine", "close", writes=not self._read_only):
            close(self)

    for engine in (DuckDBEngine, PlainDuckDB):
        type.__setattr__(engine, "session_type", watched(engine.session_type))
    vars(bootstrap)["open_store"] = lambda found: WatchedStore(open_store(found), watching)
    type.__setattr__(DuckDBEngine, "close", watched_close)


def points(events: list[Event]) -> list[Point]:
    found = []
    for number, event in enumerate(events):
        found.append(Point(number, "before"))
        if event.writes:
            found.append(Point(number, "after"))
        if event.writes and event.kind == "engine":
            fractions = FRACTIONS if event.seconds > SHORT else FRACTIONS[:1]
            found += [Point(number, "in", fraction, event.seconds) for fraction in fractions]
    return found


def choose(events: list[Event], more: int) -> list[Point]:
    """All points at which the world differs from that at the point before: before every event that follows one that
    writes, after the last, and within those that take several writes to the file. Of the others, ``more``, evenly: a
    statement that commits by itself has happened or not, and both are looked at anyway."""
    everything = points(events)
    last = len(events) - 1
    after_write = {n for n in range(len(events)) if n == 0 or events[n - 1].writes}

    def differs(point: Point) -> bool:
        if point.when == "before":
            return point.number in after_write
        if point.when == "in":
            return events[point.number].what.partition(" ")[0] in LONG
        return point.number == last

    others = [p for p in everything if not differs(p)]
    step = max(1, -(-len(others) // more)) if more else 1
    extra = set(others[step // 2 :: step]) if more else set()
    return [p for p in everything if differs(p) or p in extra]
