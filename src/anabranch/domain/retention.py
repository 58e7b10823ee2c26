"""What history keeps: the reach of an undo."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from anabranch.domain.commit import ReadCommits
from anabranch.domain.ids import CommitId


def retained(read: ReadCommits, heads: Collection[CommitId], since: datetime) -> set[CommitId]:
    """The commits whose data must stay: every head, and every state that was current at ``since`` or later.

    A state was current until its child was made, so a parent is kept where its child is not older than ``since``.
    """
    kept: set[CommitId] = set()
    level = set(heads)
    while level:
        kept |= level
        found = read(level)
        level = {p for c in found.values() if c.at >= since for p in c.parents} - kept
    return kept
