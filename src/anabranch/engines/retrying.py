"""Doing again what failed for a passing reason."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Answer = TypeVar("Answer")

WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt."""


def retried(
    call: Callable[[], Answer],
    is_passing: Callable[[Exception], bool],
    *,
    waits: Sequence[float] = WAITS,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """What ``call`` answers, called again after each of ``waits`` while it fails for a reason that ``is_passing``.

    To be used only where a call that failed so has done nothing, or where it may be done twice."""
    for wait in waits:
        try:
            return call()
        except Exception as error:
            if not is_passing(error):
                raise
        sleep(wait)
    return call()
