"""Refreshing: what an environment's data lacks by now, and the next generations that bring it.

A run computes each generation beside what readers see, in the order of what reads what; those that are read by others
of the same run are read as they will be. Only when all are there do they become visible, together, when the plan is
published (:mod:`anabranch.app.publish`). A location is refreshed by one plan at a time.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from anabranch.app.restating import Restatement, check_restated, check_selected, is_barred, restated_spans
from anabranch.app.state import State
from anabranch.app.waiting import Gate, due
from anabranch.domain import intervals, schedule
from anabranch.domain.auditing import audit_step, with_audits
from anabranch.domain.commit import Action, Commit, Environment, history
from anabranch.domain.content import Content
from anabranch.domain.graph import order
from anabranch.domain.ids import CommitId, PlanId, StepId
from anabranch.domain.intervals import Spans
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Audits, Decision, Plan, Point, Reason, Refresh, Requirement, Return, Step, Verb
from anabranch.domain.snapshot import REFRESHED, Kind, Snapshot
from anabranch.errors import ModelError, NotFound
from anabranch.ports.signals import Signals


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
            Refused: ``restate`` names what can't be computed again.
        """
        tree = self._state.commit(environment.head).tree
        snapshots = self._of(environment)
        self._require(environment, [*(only or ()), *(restate.assets if restate else ())], snapshots)
        if restate is not None:
            check_selected(restate, only)
        shared = self._shared(environment, snapshots)
        moving = {a: s for a, s in snapshots.items() if s.kind in REFRESHED and a not in shared}
        contents = self._state.contents([s.location for s in moving.values()])
        again = _readers(snapshots, restate.assets) if restate else set()
        named = set(restate.assets) if restate else set()
        barred = sorted(a for a in again - named if a in moving and is_barred(snapshots[a]))
        again -= set(barred)
        if restate is not None:
            check_restated(restate, snapshots, contents, now)
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
                spans = restated_spans(snapshot, content, restate.span, now) if asset in again else None
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

    def shares(self, environment: Environment, restate: Restatement) -> bool:
        """Whether the restatement would change data that the trunk has too."""
        snapshots = self._of(environment)
        self._require(environment, restate.assets, snapshots)
        return bool(_readers(snapshots, restate.assets) & self._shared(environment, snapshots))

    def _require(
        self, environment: Environment, names: Iterable[AssetName], snapshots: Mapping[AssetName, Snapshot]
    ) -> None:
        for name in names:
            if name not in snapshots:
                raise NotFound(f"{environment.name} has no {name}", hint=f"anabranch env show {environment.name}")

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
