"""Steps in the order of what needs what, several at a time; what needs a failed one is skipped."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from anabranch.domain.ids import StepId
from anabranch.errors import AnabranchError

STOPPING = 0.05
"""Seconds between two requests to stop."""
T = TypeVar("T")


@dataclass(slots=True)
class Outcome(Generic[T]):
    """What came of each step. ``skipped``: not begun, and the failed one that it needs."""

    done: dict[StepId, T] = field(default_factory=dict)
    failed: dict[StepId, AnabranchError] = field(default_factory=dict)
    skipped: dict[StepId, StepId] = field(default_factory=dict)


def in_order(
    needs: Mapping[StepId, Collection[StepId]],
    do: Callable[[StepId], T],
    *,
    workers: int,
    broke: Callable[[StepId, AnabranchError], None],
    skipped: Callable[[StepId, StepId], None],
    stop: Callable[[], None],
) -> Outcome[T]:
    """Carries out all steps that can be.

    Args:
        needs: of each step, those that come before it; others than steps are passed over.
        do: one step; called by up to ``workers`` threads at once.
        broke: told of a step that failed.
        skipped: told of a step that isn't begun, and of the failed one that it needs.
        stop: asks running steps to stop, again and again until they have, when an exception ends it.

    Raises:
        KeyboardInterrupt: after what ran was stopped.
    """
    open_needs = {i: {n for n in needed if n in needs} for i, needed in needs.items()}
    readers: dict[StepId, list[StepId]] = {i: [] for i in needs}
    for i, needed in open_needs.items():
        for n in needed:
            readers[n].append(i)
    outcome: Outcome[T] = Outcome()
    ready = [i for i, needed in open_needs.items() if not needed]
    running: dict[Future[T], StepId] = {}
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="anabranch-step") as pool:
        try:
            while ready or running:
                while ready and len(running) < 2 * workers:
                    i = ready.pop(0)
                    running[pool.submit(do, i)] = i
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    i = running.pop(future)
                    error = future.exception()
                    if error is not None and not isinstance(error, AnabranchError):
                        raise error
                    if error is not None:
                        outcome.failed[i] = error
                        broke(i, error)
                        for reader in _all_readers(i, readers):
                            if reader not in outcome.skipped:
                                outcome.skipped[reader] = i
                                skipped(reader, i)
                        continue
                    outcome.done[i] = future.result()
                    for reader in readers[i]:
                        open_needs[reader].discard(i)
                        if not open_needs[reader] and reader not in outcome.skipped:
                            ready.append(reader)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            begun = [future for future in running if not future.cancelled()]  # the others are never done
            stop()
            while wait(begun, timeout=STOPPING).not_done:  # between two statements, one begins the next
                stop()
            raise
    return outcome


def _all_readers(step: StepId, readers: Mapping[StepId, Collection[StepId]]) -> list[StepId]:
    found: dict[StepId, None] = {}
    stack = list(readers[step])
    while stack:
        i = stack.pop()
        if i not in found:
            found[i] = None
            stack.extend(readers[i])
    return list(found)
