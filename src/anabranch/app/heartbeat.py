"""Signs of life for what this process holds, so that others wait while it works and go on when it is gone."""

from __future__ import annotations

import threading
from types import TracebackType

from anabranch.app.state import State, renewed
from anabranch.errors import AnabranchError


class Heartbeat:
    """Renews the cells that it was told of, three times in a lifetime, until left."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._every = state.lifetime / 3
        self._keys: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="anabranch-heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def add(self, key: str) -> None:
        with self._lock:
            self._keys.add(key)

    def discard(self, key: str) -> None:
        with self._lock:
            self._keys.discard(key)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with self._lock:
                keys = sorted(self._keys)
            for key in keys:
                try:
                    self._beat(key)
                except AnabranchError:  # a store out of reach for a moment: the work itself will tell
                    continue

    def _beat(self, key: str) -> None:
        token = self._state.holder.token.encode()
        seen = self._state.store.read([key]).get(key)
        if seen is not None and token in seen:
            self._state.store.swap({key: seen}, {key: renewed(seen, key, self._state.store.now())}, durable=False)
