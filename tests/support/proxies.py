"""Stand between a process and its store and world: each call goes through one function, which may do anything first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.ports.provider import NO_WORK, Built, Decide, Prepared, Swap, Takeover, Work
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Moment, World
from anabranch.stores.memory import MemoryStore

Pass = Callable[[str], None]
"""Called before each call, with its name."""
SILENT = {"now", "close", "another", "place"}


class ProxyStore:
    """A store whose every call passes."""

    def __init__(self, store: MemoryStore, passing: Pass) -> None:
        self._store = store
        self._passing = passing

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name in SILENT:
            return method

        def call(*args: Any, **more: Any) -> Any:
            self._passing(f"store.{name}")
            return method(*args, **more)

        return call


class Disk:
    """What of a store a power failure leaves: all that came before the last durable swap."""

    def __init__(self, store: MemoryStore) -> None:
        self._contents = store._contents
        self.sync()

    def sync(self) -> None:
        with self._contents.lock:
            self._safe = [dict(kept) for kept in self._all()]

    def _all(self) -> list[dict[Any, Any]]:
        return [self._contents.objects, self._contents.written_at, self._contents.cells]

    def fail(self) -> None:
        with self._contents.lock:
            for kept, safe in zip(self._all(), self._safe, strict=True):
                kept.clear()
                kept.update(safe)


class VolatileStore(ProxyStore):
    """A store whose every call passes, and which tells its disk what is durable."""

    def __init__(self, store: MemoryStore, passing: Pass, disk: Disk) -> None:
        super().__init__(store, passing)
        self._disk = disk

    def swap(
        self, expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None], *, durable: bool = True
    ) -> bool:
        self._passing("store.swap")
        done = self._store.swap(expect, write, durable=durable)
        if done and durable:
            self._disk.sync()
        return done


class ProxyProvider(MemoryProvider):
    """A provider whose every call passes, and every moment within."""

    def __init__(self, world: World, passing: Pass, **more: Any) -> None:
        self._passing = passing
        super().__init__(world, workers=1, hook=self._at, **more)

    def _at(self, moment: Moment, name: str) -> None:
        self._passing(f"world.{moment.value} {name}")

    def build(self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], work: Work = NO_WORK) -> Built:
        self._passing(f"build {snapshot.asset}")
        return super().build(snapshot, inputs, work)

    def probe(self, snapshot: Snapshot) -> Any:
        self._passing(f"probe {snapshot.asset}")
        return super().probe(snapshot)

    def check(self, environment: EnvironmentName, added: Mapping[AssetName, Snapshot]) -> None:
        self._passing(f"check {environment}")
        super().check(environment, added)

    @contextmanager
    def prepare(
        self,
        environment: EnvironmentName,
        decide: Decide,
        swaps: Collection[Swap] = (),
        takeovers: Collection[Takeover] = (),
    ) -> Iterator[Any]:
        self._passing(f"prepare {environment}")
        with super().prepare(environment, decide, swaps, takeovers) as prepared:
            yield ProxyPrepared(prepared, self._passing)
            self._passing(f"leave {environment}")

    def standing(self, assets: Collection[AssetName]) -> Any:
        self._passing("standing")
        return super().standing(assets)

    def survey(self, snapshot: Snapshot, *rest: Any, **more: Any) -> Any:
        self._passing(f"survey {snapshot.asset}")
        return super().survey(snapshot, *rest, **more)

    def observe(self, expectation: Any) -> Any:
        self._passing(f"observe {expectation.environment}")
        return super().observe(expectation)

    def locations(self) -> set[str]:
        self._passing("locations")
        return super().locations()

    def drop(self, locations: Collection[str]) -> None:
        self._passing("drop")
        super().drop(locations)

    def interrupt(self) -> None:
        self._passing("interrupt")
        super().interrupt()


class ProxyPrepared:
    """See :class:`anabranch.ports.provider.Prepared`."""

    def __init__(self, prepared: Prepared, passing: Pass) -> None:
        self._prepared = prepared
        self._passing = passing

    @property
    def moved(self) -> int:
        return self._prepared.moved

    def commit(self) -> None:
        self._passing("commit")
        self._prepared.commit()


class Crash(BaseException):
    """The process is gone: nothing of it may do anything any more."""


class Doom:
    """Lets a process die at its ``at``-th call (counted from 1), before that call does anything; None: never."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.calls: list[str] = []
        self.is_dead = False
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        with self._lock:
            self.calls.append(name)
            self.is_dead = self.is_dead or len(self.calls) == self.at
            if self.is_dead:
                raise Crash(name)
