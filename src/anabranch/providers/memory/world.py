"""A warehouse in memory, that any number of providers act on at once; see :mod:`anabranch.providers.memory`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from anabranch.domain.content import Content
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.ports.provider import (
    Shown,
)

PATIENCE = 10.0
"""Seconds that a provider waits for another to finish showing an environment."""

Columns = tuple[tuple[str, str], ...]
VALUE: Columns = (("value", "text"),)


@dataclass(frozen=True, slots=True)
class Table:
    """What stands at a location."""

    value: str
    columns: Columns = VALUE
    rows: int = 1


@dataclass(frozen=True, slots=True)
class Seen:
    """What readers see of an environment at one moment: of each asset the location it leads to and the value there,
    None where nothing stands there."""

    shown: Shown | None = None
    values: Mapping[AssetName, tuple[str, str | None]] = field(default_factory=dict)


class World:
    """Tables by location, and what each environment shows. All methods are what somebody beside Anabranch does."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        """Guards what follows; held for a moment."""
        self.writing = threading.Lock()
        """Held by whoever prepares an environment."""
        self.opening = threading.Lock()
        """Held by whoever has the world open, where only one may."""
        self.tables: dict[str, Table] = {}
        self.beside: dict[tuple[str, int], Table] = {}
        """Generations that aren't current, by location and number."""
        self.contents: dict[str, Content] = {}
        self.shown: dict[EnvironmentName, Shown] = {}
        self.pointers: dict[EnvironmentName, dict[AssetName, str]] = {}
        self.foreign: set[tuple[EnvironmentName, AssetName]] = set()
        """Places that something else takes."""
        self.changes = 0

    def load(self, location: str, value: str, columns: Columns = VALUE) -> None:
        """Puts a table there, as whoever loads sources (or alters tables by hand) does."""
        with self.lock:
            self.tables[location] = Table(value, columns)
            self.changes += 1

    def alter(self, location: str) -> None:
        """Adds a column to a table by hand."""
        with self.lock:
            table = self.tables[location]
            self.tables[location] = replace(table, columns=(*table.columns, ("added_by_hand", "text")))
            self.changes += 1

    def remove(self, location: str) -> None:
        """Drops a table by hand."""
        with self.lock:
            del self.tables[location]
            self.changes += 1

    def point(self, environment: EnvironmentName, asset: AssetName, location: str | None) -> None:
        """Points somewhere else by hand, or (None) nowhere."""
        with self.lock:
            pointers = self.pointers.setdefault(environment, {})
            if location is None:
                pointers.pop(asset, None)
            else:
                pointers[asset] = location
            self.changes += 1

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Puts something that isn't Anabranch's where an environment would show ``asset``."""
        with self.lock:
            self.foreign.add((environment, asset))
            self.changes += 1

    def see(self, environment: EnvironmentName) -> Seen:
        """What its readers see now."""
        with self.lock:
            pointers = self.pointers.get(environment, {})
            values = {a: (loc, self.tables[loc].value if loc in self.tables else None) for a, loc in pointers.items()}
            return Seen(self.shown.get(environment), values)


class Moment(StrEnum):
    """When a hook is called, and what it is told of."""

    BUILD = "build"
    """An asset, before anything stands there."""
    STAGE = "stage"
    """An asset, before its next generation is computed."""
    AUDIT = "audit"
    """``asset:audit``, before it passes; it fails where :class:`BadRows` is raised."""
    PREPARE = "prepare"
    """An environment, after all that can fail was done."""
    COMMIT = "commit"
    """An environment, before readers see anything of it."""
    POINT = "point"
    """An asset, before its pointer is set, where there are no transactions."""
    DROP = "drop"
    """A location, before it is dropped."""


class BadRows(Exception):
    """Raised by a hook to make an audit fail."""


Hook = Callable[[Moment, str], None]


def nothing(moment: Moment, name: str) -> None:
    """The hook that does nothing."""


def patient(lock: threading.Lock) -> bool:
    """Waits for the lock, but not for ever."""
    return lock.acquire(timeout=PATIENCE)
