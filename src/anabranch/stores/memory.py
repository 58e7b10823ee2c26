"""State in memory: gone with the process. For tests, and for what is meant to leave nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Self

from anabranch.domain.ids import ObjectId
from anabranch.errors import StateUnavailable


class _Contents:
    """What all handles on one store share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[ObjectId, bytes] = {}
        self.written_at: dict[ObjectId, float] = {}
        self.cells: dict[str, bytes] = {}


class MemoryStore:
    """The Store port, in this process's memory. ``clock`` gives seconds since 1970."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._contents = _Contents()
        self._closed = False

    def another(self) -> MemoryStore:
        """Another handle on the same store, to be closed by itself; as a second process has one on a file."""
        handle = MemoryStore(clock=self._clock)
        handle._contents = self._contents
        return handle

    def __repr__(self) -> str:
        return f"MemoryStore(objects={len(self._contents.objects)}, cells={len(self._contents.cells)})"

    @property
    def place(self) -> str:
        return "memory"

    def put(self, objects: Mapping[ObjectId, bytes]) -> None:
        contents = self._open()
        with contents.lock:
            at = self._clock()
            for identifier, body in objects.items():
                contents.objects.setdefault(identifier, bytes(body))
                contents.written_at[identifier] = at

    def get(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        contents = self._open()
        with contents.lock:
            return {i: contents.objects[i] for i in ids if i in contents.objects}

    def aged(self, seconds: float) -> set[ObjectId]:
        contents = self._open()
        with contents.lock:
            before = self._clock() - seconds
            return {i for i, at in contents.written_at.items() if at < before}

    def delete(self, ids: Collection[ObjectId], seconds: float) -> int:
        contents = self._open()
        with contents.lock:
            before = self._clock() - seconds
            going = {i for i in ids if i in contents.objects and contents.written_at[i] < before}
            for identifier in going:
                del contents.objects[identifier]
                del contents.written_at[identifier]
            return len(going)

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        contents = self._open()
        with contents.lock:
            return {k: contents.cells[k] for k in keys if k in contents.cells}

    def scan(self, prefix: str) -> dict[str, bytes]:
        contents = self._open()
        with contents.lock:
            return {k: contents.cells[k] for k in sorted(contents.cells) if k.startswith(prefix)}

    def swap(
        self, expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None], *, durable: bool = True
    ) -> bool:
        contents = self._open()
        with contents.lock:
            if any(contents.cells.get(key) != value for key, value in expect.items()):
                return False
            for key, value in write.items():
                if value is None:
                    contents.cells.pop(key, None)
                else:
                    contents.cells[key] = bytes(value)
            return True

    def now(self) -> float:
        self._open()
        return self._clock()

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> _Contents:
        if self._closed:
            raise StateUnavailable("the store in memory has been closed", hint="open another")
        return self._contents
