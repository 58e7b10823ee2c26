"""To stop a process in the middle of something, and let it go on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from anabranch.errors import StatementFailed
from anabranch.providers.memory.world import Moment

PATIENCE = 20.0
"""Seconds after which a test is stuck."""


class Gate:
    """A hook that stops a build of one asset until it is told to go on, and counts all builds."""

    def __init__(self, asset: str = "", moment: Moment = Moment.BUILD) -> None:
        self.asset = asset
        self.moment = moment
        self.began = threading.Event()
        self.open = threading.Event()
        self.built: list[str] = []

    def __call__(self, moment: Moment, name: str) -> None:
        if moment is self.moment:
            if name == self.asset:
                self.began.set()
                assert self.open.wait(PATIENCE)
            self.built.append(name)


def failing(*assets: str) -> Callable[[Moment, str], None]:
    def hook(moment: Moment, name: str) -> None:
        if moment is Moment.BUILD and name in assets:
            raise StatementFailed(f"{name} divides by zero", asset=name)

    return hook


def behind(call: Callable[[], object]) -> Future[object]:
    """It runs in the background."""
    pool = ThreadPoolExecutor(1)
    running = pool.submit(call)
    pool.shutdown(wait=False)
    return running


def until(true: Callable[[], bool]) -> None:
    """Waits for it."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)
