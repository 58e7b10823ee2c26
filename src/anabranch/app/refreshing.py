"""Refreshing: what an environment's data lacks by now, and the next generations that bring it.

A run computes each generation beside what readers see, in the order of what reads what; those that are read by others
of the same run are read as they will be. Only when all are there do they become visible, together, when the plan is
published (:mod:`anabranch.app.publish`). A location is refreshed by one plan at a time.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from anabranch.app.state import State
from anabranch.app.waiting import Gate
from anabranch.domain import intervals, schedule
from anabranch.domain.auditing import audit_step, with_audits
from anabranch.domain.commit import Action, Commit, Environment, history
from anabranch.domain.content import Content
from anabranch.domain.graph import order
from anabranch.domain.ids import CommitId, PlanId, StepId
from anabranch.domain.intervals import Span, Spans
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Audits, Decision, Plan, Point, Reason, Refresh, Requirement, Return, Step, Verb
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, REFRESHED, Kind, Snapshot
from anabranch.errors import ModelError, NotFound, Refused
from anabranch.ports.signals import Signals

_KINDS = {Kind.EXTERNAL: "a source", Kind.EMBEDDED: "an embedded model"}


@dataclass(frozen=True, slots=True)
class Restatement:
    """``assets`` are computed again for ``span``, and with them all that reads them."""

    assets: Collection[AssetName]
    span: Span | None = None


class Refreshing:
    """Plans runs."""

    def __init__(self, state: State, *, trunk: EnvironmentName, author: str, signals: Signals | None = None) -> None:
        self._state = state
        self._signals = signals
        self._trunk = trunk
        self._author = author

    def plan(
        self,
        environment: Environment,
        now: datetime,
        *,
        only: Collection[AssetName] | None = None,
        ignore_cron: bool = False,
        restate: Restatement | None = None,
    ) -> Plan:
        """What is due in ``environment``. Its data that the trunk has too is left to the trunk's own runs.

        Args:
            only: of these assets.
            ignore_cron: also what isn't due yet.
            restate: instead of what is due.

        Raises:
            NotFound: ``only`` or ``restate`` names what the environment doesn't have.
            Refused: ``restate`` names what the trunk has too.
        """
        tree = self._state.commit(environment.head).tree
        snapshots = self._of(environment)
        for name in [*(only or ()), *(restate.assets if restate else ())]:
            if name not in snapshots:
                raise NotFound(f"{environment.name} has no {name}", hint=f"anabranch env show {environment.name}")
        unselected = sorted(set(_named(restate)) - set(only)) if only is not None else []
        if unselected:
            raise Refused(
                f"{unselected[0]} is to be restated, and isn't selected",
                hint="leave out --select and --exclude, or select it too",
                asset=unselected[0],
            )
        shared = self._shared(environment, snapshots)
        moving = {a: s for a, s in snapshots.items() if s.kind in REFRESHED and a not in shared}
        contents = self._state.contents([s.location for s in moving.values()])
        again = _readers(snapshots, restate.assets) if restate else set()
        barred = sorted(a for a in again if a in moving and a not in _named(restate) and _is_barred(snapshots[a]))
        again -= set(barred)
        if restate is not None:
            self._check_restated(environment, restate, again & set(shared), snapshots)
        decisions: list[Decision] = []
        gate = Gate(self._signals, now)
        failures: list[str] = []
        steps: dict[AssetName, Refresh] = {}
        for asset in order({a: list(s.upstreams) for a, s in snapshots.items()}):
            snapshot = moving.get(asset)
            content = contents.get(snapshot.location) if snapshot else None
            if snapshot is None or content is None or (only is not None and asset not in only):
                continue
            if restate is not None:
                spans = _restated(snapshot, content, restate.span, now) if asset in again else None
            else:
                spans = due(snapshot, content, now, ignore_cron=ignore_cron)
                try:
                    spans = None if spans is None else gate.open(snapshot, spans)
                except ModelError as error:
                    failures.append(error.message)
                    continue
            if spans is None:
                continue
            needs = tuple(steps[u].id for u in _sources(snapshot, snapshots) if u in steps)
            identifier = StepId(f"refresh:{asset}")
            steps[asset] = Refresh(identifier, snapshot.provider, asset, snapshot.id, spans, needs)
            phrase = _phrase(snapshot, content, spans, restated=restate is not None)
            decisions.append(Decision(asset, snapshot.id, snapshot.id, Verb.REFRESH, Reason.DUE, phrase))
        if restate is not None:
            _check_anything(restate, steps, contents, snapshots)
        providers = sorted({s.provider for s in steps.values()})
        points: list[Step] = [Point(StepId(f"point:{p}"), p, environment.name) for p in providers]
        by_id = {s.id: s for s in snapshots.values() if s.audits}
        what = "restate " + ", ".join(sorted(set(restate.assets))) if restate else ""
        return Plan(
            id=PlanId(uuid.uuid4().hex[:12]),
            action=Action.RUN,
            environment=environment.name,
            requires=Requirement(environment.head),
            before=tree,
            tree=tree,
            parents=(environment.head,),
            decisions=tuple(sorted(decisions, key=lambda d: d.asset)),
            steps=with_audits([*steps.values(), *points], _audits(snapshots, steps), by_id, snapshots.get),
            total=self._state.trees.count(tree),
            settings=environment,
            author=self._author,
            message=what,
            notes=(*_notes(shared, self._trunk, moving, only), *_untouched(barred), *gate.notes, *failures),
            failures=tuple(failures),
            now=intervals.seconds(now),
        )

    def _of(self, environment: Environment) -> dict[AssetName, Snapshot]:
        entries = self._state.trees.entries(self._state.commit(environment.head).tree)
        found = self._state.snapshots(list(entries.values()))
        return {asset: found[i] for asset, i in entries.items()}

    def _shared(self, environment: Environment, snapshots: Mapping[AssetName, Snapshot]) -> set[AssetName]:
        """Those whose data is the trunk's as well."""
        trunk = self._state.environment(self._trunk)
        if trunk is None or environment.name == self._trunk:
            return set()
        there = self._of(trunk)
        return {
            a for a, s in snapshots.items() if a in there and there[a].location == s.location and s.kind in REFRESHED
        }

    def _check_restated(
        self,
        environment: Environment,
        restate: Restatement,
        shared: Collection[AssetName],
        snapshots: Mapping[AssetName, Snapshot],
    ) -> None:
        for asset in sorted(restate.assets):
            if snapshots[asset].kind not in REFRESHED:
                kind = _KINDS.get(snapshots[asset].kind, f"a {snapshots[asset].kind.value}")
                raise Refused(
                    f"{asset} is {kind}: it has no data of its own to compute again",
                    hint="restate what it reads, or what reads it",
                )
            if snapshots[asset].kind in HISTORY:
                raise Refused(
                    f"{asset} is a history: what was seen in the past can't be seen again",
                    hint="an apply of changed code keeps it",
                )
            if snapshots[asset].kind is Kind.UNMANAGED:
                raise Refused(
                    f"{asset} only ever gets more rows: computed again, they would be in it twice",
                    hint="give it another kind, or a stamp in its header: apply then builds it from the beginning",
                )
            if _is_barred(snapshots[asset]):
                raise Refused(
                    f"{asset} says disable_restatement: it isn't computed again",
                    hint="drop disable_restatement in its header, and apply",
                )
        if shared:
            raise Refused(
                f"{sorted(shared)[0]} is {self._trunk}'s data too:"
                f" a restatement in {environment.name} mustn't change it",
                hint=f"restate it in {self._trunk}, or change its definition here first",
            )


class Returning:
    """Plans the way back to earlier data, along with earlier trees."""

    def __init__(self, state: State) -> None:
        self._state = state

    def steps(
        self, environment: Environment, to: CommitId, after: Mapping[AssetName, Snapshot]
    ) -> tuple[list[Return], list[str]]:
        """The steps that bring back the generations which were current at ``to``, of what ``environment`` itself has
        refreshed since; and notes on what can't be brought back."""
        wanted: dict[str, int] = {}
        for commit in self._since(environment, to):
            wanted.update({location: before for location, (before, _) in commit.refreshed.items()})
        by_location = {s.location: s for s in after.values()}
        contents = self._state.contents(list(wanted))
        steps: list[Return] = []
        lost: list[str] = []
        for location, number in sorted(wanted.items()):
            snapshot, content = by_location.get(location), contents.get(location)
            if snapshot is None or content is None or content.current == number:
                continue
            try:
                content.way(number)
            except KeyError:
                lost.append(snapshot.asset)
                continue
            identifier = StepId(f"return:{snapshot.asset}")
            steps.append(Return(identifier, snapshot.provider, snapshot.asset, snapshot.id, number))
        notes = [f"earlier data is no longer kept, later data stays: {', '.join(lost[:5])}"] if lost else []
        return steps, notes

    def _since(self, environment: Environment, to: CommitId) -> Iterable[Commit]:
        """What was done after ``to``, newest first."""
        for identifier, commit in history(self._state.commits, environment.head):
            if identifier == to or commit.environment != environment.name:
                return
            yield commit


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


def _restated(snapshot: Snapshot, content: Content, span: Span | None, now: datetime) -> Spans | None:
    if snapshot.kind not in INCREMENTAL:
        return () if snapshot.kind is Kind.FULL else due(snapshot, content, now)
    if span is None:
        return content.now.held or None
    unit = schedule.read(snapshot.properties).unit
    return intervals.common(content.now.held, [(unit.floor(span[0]), unit.ceil(span[1]))]) or None


def _named(restate: Restatement | None) -> Collection[AssetName]:
    return restate.assets if restate is not None else ()


def _is_barred(snapshot: Snapshot) -> bool:
    """Whether it mustn't be computed again because something else is."""
    return snapshot.kind is Kind.UNMANAGED or snapshot.properties.get("disable_restatement") == "true"


def _check_anything(
    restate: Restatement,
    steps: Collection[AssetName],
    contents: Mapping[str, Content],
    snapshots: Mapping[AssetName, Snapshot],
) -> None:
    """Raises ``Refused`` where a named asset holds nothing of the span."""
    for asset in sorted(restate.assets):
        if asset in steps or restate.span is None:
            continue
        content = contents.get(snapshots[asset].location)
        held = ", ".join(intervals.shown(s) for s in content.now.held[:3]) if content else ""
        raise Refused(
            f"{asset} holds nothing of the days that should be computed again",
            hint=f"it holds {held}" if held else "anabranch run fills what is due",
            asset=asset,
        )


def _untouched(barred: Sequence[AssetName]) -> tuple[str, ...]:
    return (f"not computed again, though they read what is: {', '.join(barred)}",) if barred else ()


def _sources(snapshot: Snapshot, snapshots: Mapping[AssetName, Snapshot]) -> list[AssetName]:
    """What a snapshot reads, through views and embedded models."""
    found: dict[AssetName, None] = {}
    stack = sorted(snapshot.upstreams)
    while stack:
        asset = stack.pop()
        if asset in found or asset not in snapshots:
            continue
        found[asset] = None
        if snapshots[asset].kind in (Kind.VIEW, Kind.EMBEDDED):
            stack.extend(snapshots[asset].upstreams)
    return sorted(found)


def _audits(snapshots: Mapping[AssetName, Snapshot], steps: Mapping[AssetName, Refresh]) -> list[Audits]:
    """Of what is refreshed, and of views that show it."""
    found = []
    for asset in sorted(snapshots):
        snapshot = snapshots[asset]
        moves = asset in steps or (
            snapshot.kind is Kind.VIEW and any(u in steps for u in _sources(snapshot, snapshots))
        )
        if snapshot.audits and moves:
            found.append(audit_step(snapshot, snapshot.id))
    return found


def _readers(snapshots: Mapping[AssetName, Snapshot], assets: Collection[AssetName]) -> set[AssetName]:
    """``assets``, and all that reads them, near and far."""
    found = set(assets)
    for asset in order({a: list(s.upstreams) for a, s in snapshots.items()}):
        if asset in snapshots and found & set(snapshots[asset].upstreams):
            found.add(asset)
    return found


def _phrase(snapshot: Snapshot, content: Content, spans: Spans, *, restated: bool) -> str:
    if not spans:
        return "computed again" if restated else f"last computed {schedule.spoken(int(content.now.at))}"
    told = ", ".join(intervals.shown(s) for s in spans[:3]) + (f" and {len(spans) - 3} more" if len(spans) > 3 else "")
    unit = schedule.read(snapshot.properties).unit
    number = sum(unit.number(s) for s in spans)
    return f"{told} ({number} {unit.value.replace('_', ' ')}{'s' if number > 1 else ''})"


def _notes(
    shared: Collection[AssetName],
    trunk: EnvironmentName,
    moving: Mapping[AssetName, Snapshot],
    only: Collection[AssetName] | None,
) -> tuple[str, ...]:
    left = [a for a in sorted(shared) if only is None or a in only]
    if not left:
        return ()
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return (f"{trunk}'s data too, and left to its runs: {', '.join(left[:3])}{more}",)
