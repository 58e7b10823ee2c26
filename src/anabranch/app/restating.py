"""Restatements: what holds data already is computed again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from anabranch.app.waiting import due
from anabranch.domain import intervals, schedule
from anabranch.domain.content import Content
from anabranch.domain.intervals import Span, Spans
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import AS_WHOLE, HISTORY, INCREMENTAL, REFRESHED, Kind, Snapshot
from anabranch.errors import Refused

_KINDS = {Kind.EXTERNAL: "a source", Kind.EMBEDDED: "an embedded model", Kind.CLONE: "a clone of a source"}


@dataclass(frozen=True, slots=True)
class Restatement:
    """``assets`` are computed again for ``span``, and with them all that reads them."""

    assets: Collection[AssetName]
    span: Span | None = None


def check_restated(
    restate: Restatement, snapshots: Mapping[AssetName, Snapshot], contents: Mapping[str, Content], now: datetime
) -> None:
    """Raises ``Refused`` for what can't be computed again, or holds nothing of the span. ``contents``: by location."""
    for asset in sorted(restate.assets):
        kind = snapshots[asset].kind
        if kind not in REFRESHED:
            raise Refused(
                f"{asset} is {_KINDS.get(kind, f'a {kind.value}')}: it has no data of its own to compute again",
                hint="restate what it reads, or what reads it",
            )
        if kind in HISTORY:
            raise Refused(
                f"{asset} is a history: what was seen in the past can't be seen again",
                hint="an apply of changed code keeps it",
            )
        if kind is Kind.UNMANAGED:
            raise Refused(
                f"{asset} only ever gets more rows: computed again, they would be in it twice",
                hint="give it another kind, or a stamp in its header: apply then builds it from the beginning",
            )
        if is_barred(snapshots[asset]):
            raise Refused(
                f"{asset} says disable_restatement: it isn't computed again",
                hint="drop disable_restatement in its header, and apply",
            )
        content = contents.get(snapshots[asset].location)
        if content is None or restated_spans(snapshots[asset], content, restate.span, now) is None:
            held = ", ".join(intervals.shown(s) for s in content.now.held[:3]) if content else ""
            raise Refused(
                f"{asset} holds nothing of the days that should be computed again",
                hint=f"it holds {held}" if held else "anabranch run fills what is due",
                asset=asset,
            )


def check_selected(restate: Restatement, only: Collection[AssetName] | None) -> None:
    """Raises ``Refused`` where something is to be restated that isn't selected."""
    unselected = sorted(set(restate.assets) - set(only)) if only is not None else []
    if unselected:
        raise Refused(
            f"{unselected[0]} is to be restated, and isn't selected",
            hint="leave out --select and --exclude, or select it too",
            asset=unselected[0],
        )


def restated_spans(snapshot: Snapshot, content: Content, span: Span | None, now: datetime) -> Spans | None:
    """What of ``content`` is computed again for ``span`` (all of it where None), as :func:`due`."""
    if snapshot.kind not in INCREMENTAL:
        return () if snapshot.kind in AS_WHOLE else due(snapshot, content, now)
    if span is None:
        return content.now.held or None
    unit = schedule.read(snapshot.properties).unit
    return intervals.common(content.now.held, [(unit.floor(span[0]), unit.ceil(span[1]))]) or None


def is_barred(snapshot: Snapshot) -> bool:
    """Whether it mustn't be computed again because something else is."""
    return snapshot.kind is Kind.UNMANAGED or snapshot.properties.get("disable_restatement") == "true"
