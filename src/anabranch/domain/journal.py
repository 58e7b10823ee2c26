"""The journal of a plan: what was begun, and what came of it.

A step's begin is written before it acts and its end after. A step that was begun and not ended is *in doubt*: whoever
goes on must probe it, never blindly repeat it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from anabranch.domain.ids import StepId


class Mark(StrEnum):
    """A line's meaning. The last two speak of the plan as a whole and have no step."""

    BEGIN = "begin"
    DONE = "done"
    FAILED = "failed"
    PUBLISHED = "published"
    """The environment's ref has moved; what is left must be carried forward."""


class Outcome(StrEnum):
    """What a probe finds."""

    APPLIED = "applied"
    NOT_APPLIED = "not-applied"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line."""

    mark: Mark
    step: StepId | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a journal says, read from its first line to its last."""

    done: frozenset[StepId] = frozenset()
    in_doubt: frozenset[StepId] = frozenset()
    failed: frozenset[StepId] = frozenset()
    published: bool = False


def replay(entries: Iterable[Entry]) -> Progress:
    """The state that ``entries``, in order, lead to. Repeating a prefix changes nothing."""
    state: dict[StepId, Mark] = {}
    published = False
    for entry in entries:
        if entry.step is None:
            published = published or entry.mark is Mark.PUBLISHED
        elif state.get(entry.step) is not Mark.DONE:
            state[entry.step] = entry.mark
    of = {mark: frozenset(s for s, m in state.items() if m is mark) for mark in Mark}
    return Progress(of[Mark.DONE], of[Mark.BEGIN], of[Mark.FAILED], published)
