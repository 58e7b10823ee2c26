"""What is due and may be computed: signals say what isn't ready yet."""

from __future__ import annotations

from datetime import datetime

from anabranch.domain import intervals, schedule, signals
from anabranch.domain.content import Content
from anabranch.domain.intervals import Span, Spans
from anabranch.domain.snapshot import INCREMENTAL, Snapshot
from anabranch.ports.signals import Signals


class Gate:
    """Asks a project's signals. ``notes``: what waits, and for which signal."""

    def __init__(self, asked: Signals | None, now: datetime) -> None:
        self._signals = asked
        self._now = now
        self.notes: list[str] = []

    def open(self, snapshot: Snapshot, spans: Spans) -> Spans | None:
        """Of ``spans``, those that are ready; None where nothing is. ``()`` is a model that is computed as a whole: it
        is asked about for the last interval that is over.

        Raises:
            ModelError: a signal isn't there, or failed.
        """
        calls = signals.decode(snapshot.properties)
        if not calls or self._signals is None:
            return spans
        said = schedule.read(snapshot.properties)
        whole = snapshot.kind not in INCREMENTAL
        due: list[Span]
        if whole:
            end = said.unit.floor(intervals.seconds(said.ticked(self._now)))
            due = [(said.unit.after(end, -1), end)]
        else:
            due = list(intervals.batches(spans, said.unit, 1))
        for call in calls:
            ready = self._signals.ready(snapshot.asset, call, due)
            left = [span for span in due if intervals.covers(ready, span)]
            if len(left) < len(due):
                number, unit = len(due) - len(left), said.unit.value.replace("_", " ")
                count = "" if whole else f": {number} {unit}{'s' if number > 1 else ''}"
                self.notes.append(f"{snapshot.asset} waits for signal {call.name}{count}")
            due = left
            if not due:
                return None
        return () if whole else intervals.normal(due)


def due(snapshot: Snapshot, content: Content, now: datetime, *, ignore_cron: bool = False) -> Spans | None:
    """The spans to fill; ``()`` for what is computed as a whole; None where nothing is due."""
    said = schedule.read(snapshot.properties)
    if snapshot.kind not in INCREMENTAL:
        is_due = ignore_cron or content.partial or said.ticked(now).timestamp() > content.now.at
        ended = said.end is not None and content.now.at >= said.end
        return () if is_due and not ended else None
    held = content.now.held
    wanted = said.wanted(now, held[0][0] if held else None)
    return intervals.due(wanted, held, said.unit, said.lookback) or None
