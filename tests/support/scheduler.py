"""Threads that take turns: one runs at a time, and hands on at each step; who is next is drawn from a seeded random."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

MOST_STEPS = 50_000
PATIENCE = 30.0


class Scheduler:
    """Runs actors. Each calls :meth:`step` before it does anything that others may see."""

    def __init__(self, chance: random.Random, look: Callable[[], None] = lambda: None) -> None:
        """``look`` is called between the steps, by nobody in particular. How often turns change is drawn too."""
        self._chance = chance
        self._look = look
        self._eagerness = chance.choice([0.03, 0.2, 0.6, 1.0])
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, threading.Lock]] = []
        self._turn: str | None = None
        self._absent: set[str] = set()
        self._errors: list[BaseException] = []
        self.steps = 0
        self.trace: list[str] = []

    def run(self, actors: dict[str, Callable[[], None]]) -> None:
        """All of them, to their end. Raises what one of them, or ``look``, raised first."""
        self._absent = set(actors)
        threads = [threading.Thread(target=self._act, args=each, daemon=True) for each in actors.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        if self._errors:
            raise self._errors[0]
        assert not any(t.is_alive() for t in threads), f"stuck after {self.trace[-20:]}"

    def step(self, actor: str, what: str = "") -> None:
        """Waits for the actor's turn. Any thread that works for it may call this."""
        ticket = threading.Lock()
        ticket.acquire()
        with self._lock:
            self.trace.append(f"{actor}: {what}")
            self._waiting.append((actor, ticket))
            self._absent.discard(actor)
            if self._turn == actor:
                self._turn = None
            self._choose(actor)
        ticket.acquire()
        if self._errors:
            raise Stopped

    def _act(self, actor: str, body: Callable[[], None]) -> None:
        try:
            self.step(actor, "begin")
            body()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again by run
            self._errors.append(error)
        finally:
            with self._lock:
                self.trace.append(f"{actor}: end")
                self._absent.discard(actor)
                if self._turn == actor:
                    self._turn = None
                self._choose(actor)

    def _choose(self, last: str) -> None:
        if self._turn is not None or self._absent or not self._waiting:
            return
        self.steps += 1
        try:
            assert self.steps < MOST_STEPS, f"it never ends: {self.trace[-20:]}"
            self._look()
        except BaseException as error:  # noqa: BLE001  # raised again by run
            self._errors.append(error)
        names = sorted({actor for actor, _ in self._waiting})
        name = last if last in names and self._chance.random() > self._eagerness else self._chance.choice(names)
        place = next(n for n, (actor, _) in enumerate(self._waiting) if actor == name)
        self._turn, ticket = self._waiting.pop(place)
        ticket.release()


class Stopped(BaseException):
    """Another actor has failed: no use to go on."""
