"""The plan that leads from a tree to another: decisions, steps, notes. Changes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from anabranch.app.apply import Inputs
from anabranch.app.auditing import lacking
from anabranch.app.clone_merging import Told
from anabranch.app.clone_weighing import Weighing
from anabranch.app.drift import Inspection, Inspector
from anabranch.app.refreshing import Returning
from anabranch.app.releasing import Releasing
from anabranch.app.restating import Restatement, is_barred, restated_spans
from anabranch.app.state import State
from anabranch.app.waiting import Gate, due
from anabranch.domain import intervals, planner, schedule
from anabranch.domain.auditing import Lookup, audit_step, with_audits
from anabranch.domain.clones import CARRIES, ORIGIN
from anabranch.domain.commit import Action, Environment
from anabranch.domain.graph import order
from anabranch.domain.ids import CommitId, PlanId, SnapshotId, StepId, TreeId
from anabranch.domain.intervals import Span
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Audits, Build, Decision, Plan, Reason, Refresh, Requirement, Return, Step, Verb
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import WarehouseBusy
from anabranch.ports.clones import Clones
from anabranch.ports.provider import Fault, Provider
from anabranch.ports.signals import Signals


@dataclass(frozen=True, slots=True)
class Aim:
    """What a plan is to lead to."""

    action: Action
    environment: EnvironmentName
    head: CommitId | None
    before: TreeId
    after: TreeId
    parents: tuple[CommitId, ...]
    settings: Environment | None
    message: str = ""
    source: tuple[EnvironmentName, CommitId] | None = None
    restores: CommitId | None = None
    reason: Reason | None = None
    """Overrides what the planner finds."""
    notes: tuple[str, ...] = ()
    inspection: Inspection = field(default_factory=Inspection)
    check: bool = True
    explain: bool = False
    restates: Restatement | None = None
    """What is computed again in this environment alone."""
    window: Span | None = None
    """Only this part of the time is built, as a preview."""
    merges: tuple[Told, ...] = ()
    """Clones that are merged into their sources."""
    same: Mapping[str, str] = field(default_factory=dict)
    """As of :attr:`anabranch.domain.plan.Plan.same`."""


class Drafter:
    """Drafts plans."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        inspector: Inspector,
        *,
        trunk: EnvironmentName,
        author: str,
        explain: planner.Explain,
        now: Callable[[], datetime],
        signals: Signals | None = None,
    ) -> None:
        self._state = state
        self._signals = signals
        self._providers = providers
        self._trunk = trunk
        self._author = author
        self._explain = explain
        self._now = now
        self._inspector = inspector
        self._weighing = Weighing(providers, inspector)

    def draft(self, aim: Aim) -> Plan:
        """What is to be done."""
        changes = self._state.trees.diff(aim.before, aim.after)
        drifted = self._drifted(aim)
        wanted = {i for c in changes for i in (c.before, c.after) if i is not None} | set(drifted.values())
        snapshots = self._state.snapshots(wanted)
        built = self._state.built([s.location for s in snapshots.values() if s.is_physical])
        explain = self._explain if aim.explain else planner.unexplained
        decisions = planner.decide(changes, snapshots, built, drifted=drifted, explain=explain)
        if aim.reason is not None:
            decisions = [self._because(d, aim.reason) for d in decisions]
        unchecked = self._check(aim, decisions, snapshots) if aim.check else None
        now = self._now()
        gate = Gate(self._signals, now)
        decisions, moving, lost = self._move(aim, decisions, snapshots, now, gate)
        repairs = tuple(sorted({d.asset for d in aim.inspection.drifts if d.asset and d.asset not in drifted}))
        behind = any(d.fault is Fault.BEHIND for d in aim.inspection.drifts)
        moves = bool(decisions or repairs or behind) or aim.head is None or aim.settings is None
        moves = moves or (
            aim.action is Action.APPLY and len(aim.parents) > 1
        )  # what was taken in is recorded, even where nothing else changes
        moves = moves or aim.action is Action.UNDO  # which also takes back a change of nothing, to get past it
        inputs = Inputs(self._state, aim.after)
        steps = planner.steps(
            decisions, snapshots, aim.environment, self._providers if moves else (), inputs.get, drifted
        )
        before = {d.asset: d.before for d in decisions}
        work = [
            self._worked(_keepable(s, snapshots, built), snapshots, before, now, aim, gate)
            if isinstance(s, Build)
            else s
            for s in steps
        ]
        carried = {
            s.asset: snapshots[s.snapshot].kind
            for s in work
            if isinstance(s, Build) and s.previous and aim.restates is None and not is_clone(snapshots[s.snapshot])
        }
        decisions = [
            self._weighing.weighed(aim.environment, d, snapshots, is_back=aim.restores is not None)
            if d.verb is Verb.BUILD and d.after and is_clone(snapshots[d.after])
            else d
            for d in decisions
        ]
        phrases = {t.step.asset: t.phrase for t in aim.merges}
        decisions = [
            replace(d, verb=Verb.MERGE, reason=Reason.MERGED, because=phrases[d.asset]) if d.asset in phrases else d
            for d in decisions
        ]
        decisions = [_carries(d, carried[d.asset]) if d.asset in carried else d for d in decisions]
        anew = {s.asset for s in work if aim.merges and isinstance(s, Build) and _is_view(snapshots[s.snapshot])}
        # what they show then was audited over the clone; they show what the source holds until it is merged
        audits = [a for a in self._audits(aim, decisions, snapshots, inputs.get) if a.asset not in anew]
        merges = [t.step for t in aim.merges]
        ordered = with_audits([*moving, *work, *merges], audits, snapshots, inputs.get)
        return Plan(
            id=PlanId(uuid.uuid4().hex[:12]),
            action=aim.action,
            environment=aim.environment,
            requires=Requirement(aim.head, aim.source),
            before=aim.before,
            tree=aim.after,
            parents=aim.parents,
            decisions=tuple(decisions),
            steps=ordered,
            total=self._state.trees.count(aim.after),
            settings=aim.settings,
            author=self._author,
            message=aim.message,
            restores=aim.restores,
            repairs=repairs + tuple(sorted(drifted)),
            notes=aim.notes
            + lost
            + self._notes(aim, decisions, unchecked, anew)
            + (self._windows() if aim.head is not None and ordered else ())
            + _ahead([snapshots[s.snapshot] for s in work if isinstance(s, Build)], now)
            + tuple(gate.notes),
            now=intervals.seconds(now),
            partial=aim.window is not None,
            same=aim.same,
        )

    def _worked(
        self,
        step: Build,
        snapshots: Mapping[SnapshotId, Snapshot],
        before: Mapping[AssetName, SnapshotId | None],
        now: datetime,
        aim: Aim,
        gate: Gate,
    ) -> Build:
        """A build with what it fills, and what it carries over."""
        snapshot, was = snapshots[step.snapshot], before.get(step.asset)
        if snapshot.kind is Kind.CLONE:
            is_earlier = was is not None and is_clone(snapshots[was])
            is_made_of_it = bool(snapshot.properties.keys() & {ORIGIN, CARRIES})
            return replace(step, previous=was if is_earlier and is_made_of_it else None)
        if snapshot.kind in HISTORY:
            carries = was is not None and was != step.snapshot and snapshots[was].kind in HISTORY
            return replace(step, previous=was if carries else None)
        if snapshot.kind not in INCREMENTAL:
            return step
        if aim.restates is not None and was is not None and snapshots[was].kind in INCREMENTAL:
            content = self._state.contents([snapshots[was].location]).get(snapshots[was].location)
            if content is not None:
                anew = None if is_barred(snapshot) else restated_spans(snapshot, content, aim.restates.span, now)
                return replace(step, previous=was, anew=anew or ())
        previous = self._continued(snapshot, was) if snapshot.is_forward_only and not step.again else None
        said = schedule.read(snapshot.properties)
        wanted = said.wanted(now)
        if aim.window is not None and previous is None:  # else: nothing that is kept is computed for a preview
            start, end = aim.window
            wanted = max(wanted[0], said.unit.floor(start)), min(wanted[1], said.unit.ceil(end))
        spans = gate.open(snapshot, intervals.normal([wanted])) or ()
        return replace(step, spans=spans, previous=previous)

    def _continued(self, snapshot: Snapshot, was: SnapshotId | None) -> SnapshotId | None:
        """The version whose rows a forward-only change keeps: the trunk's, lest what was tried out on a branch stays;
        that which was there before, where the trunk has none."""
        trunk = self._state.environment(self._trunk)
        there = self._state.trees.get(self._state.commit(trunk.head).tree, snapshot.asset) if trunk else None
        for each in (there, was):
            if each is not None:
                found = self._state.snapshots([each])[each]
                if found.kind in INCREMENTAL and found.location != snapshot.location:
                    return each
        return None

    def _move(
        self, aim: Aim, decisions: list[Decision], snapshots: Mapping[SnapshotId, Snapshot], now: datetime, gate: Gate
    ) -> tuple[list[Decision], list[Step], tuple[str, ...]]:
        """The data that moves with the definitions: previews that are completed, earlier generations that come back.
        With the decisions that say so, and notes on what can't."""
        if aim.restores is not None and aim.settings is not None:
            entries = self._state.trees.entries(aim.after)
            found = self._state.snapshots(list(entries.values()))
            after = {a: found[i] for a, i in entries.items()}
            returns, lost = Returning(self._state).steps(aim.settings, aim.restores, after)
            self._check_returns(returns, after)
            back_again = {r.asset for r in returns}
            decisions = [
                replace(d, verb=Verb.RETURN, because="its rows as they were")
                if d.asset in back_again and d.verb is Verb.DEFINE
                else d
                for d in decisions
            ]
            known = {d.asset for d in decisions}
            told = [
                Decision(r.asset, r.snapshot, r.snapshot, Verb.RETURN, Reason.RESTORED, "its data as it was")
                for r in returns
                if r.asset not in known
            ]
            known |= {d.asset for d in told}
            releases = Releasing(self._state).steps(aim.settings, aim.restores, aim.before, after)
            released = {r.asset: r for r in releases}
            back = "its table gets its own name back"
            decisions = [
                replace(d, verb=Verb.RELEASE, because=back) if d.asset in released else d for d in decisions
            ] + [
                Decision(a, r.snapshot, entries.get(a), Verb.RELEASE, Reason.RESTORED, back)
                for a, r in released.items()
                if a not in known
            ]
            return sorted([*decisions, *told], key=lambda d: d.asset), [*returns, *releases], tuple(lost)
        if aim.window is not None or aim.action not in (Action.APPLY, Action.PROMOTE):
            return decisions, [], ()
        return self._completed(decisions, snapshots, now, gate)

    def _check_returns(self, returns: Iterable[Return], after: Mapping[AssetName, Snapshot]) -> None:
        """Raises ``Refused`` where an earlier state of a source can't come back without a loss."""
        for step in returns:
            source = after[step.asset]
            if source.kind is Kind.EXTERNAL:
                content = self._state.contents([source.location])[source.location]
                try:
                    cast(Clones, self._providers[source.provider]).check_return(source, content, step.to)
                finally:
                    self._inspector.release()

    def _completed(
        self, decisions: Collection[Decision], snapshots: Mapping[SnapshotId, Snapshot], now: datetime, gate: Gate
    ) -> tuple[list[Decision], list[Step], tuple[str, ...]]:
        """Previews among what is reused are completed first."""
        reused = {d.asset: snapshots[d.after] for d in decisions if d.verb is Verb.REUSE and d.after}
        contents = self._state.contents([s.location for s in reused.values() if s.is_physical])
        steps: dict[AssetName, Refresh] = {}
        for asset in order({a: list(s.upstreams) for a, s in reused.items()}):
            snapshot = reused.get(asset)
            content = contents.get(snapshot.location) if snapshot else None
            if snapshot is None or content is None or not content.partial:
                continue
            spans = gate.open(snapshot, due(snapshot, content, now, ignore_cron=True) or ()) or ()
            needs = tuple(steps[u].id for u in snapshot.upstreams if u in steps)
            identifier = StepId(f"refresh:{asset}")
            steps[asset] = Refresh(identifier, snapshot.provider, asset, snapshot.id, spans, needs)
        partial = "was a preview, completed first"
        told = [
            replace(d, verb=Verb.REFRESH, reason=Reason.PARTIAL, because=partial) if d.asset in steps else d
            for d in decisions
        ]
        return told, list(steps.values()), ()

    def _audits(
        self, aim: Aim, decisions: Collection[Decision], snapshots: Mapping[SnapshotId, Snapshot], after: Lookup
    ) -> list[Audits]:
        """Of what is built, and of what is pointed at and hasn't passed all its audits. The way back is never barred:
        what stood in the environment before isn't audited again."""
        back = aim.restores is not None
        made = {d.asset for d in decisions if d.verb in (Verb.BUILD, Verb.REFRESH)}
        shown = {d.after for d in decisions if d.after and d.verb in (Verb.REUSE, Verb.DESCRIBE)} if not back else set()
        wanted = made | lacking(self._state, [snapshots[i] for i in shown], after)
        found = [snapshots[d.after] for d in decisions if d.after and d.asset in wanted]
        return [audit_step(s, s.id) for s in found if s.audits and s.is_physical]

    def _drifted(self, aim: Aim) -> dict[AssetName, SnapshotId]:
        found: dict[AssetName, SnapshotId] = {}
        for drift in aim.inspection.drifts:
            if drift.asset is not None and drift.is_physical:
                before, after = (self._state.trees.get(t, drift.asset) for t in (aim.before, aim.after))
                if before is not None and after is not None:
                    snapshots = self._state.snapshots([before, after])
                    is_clone = snapshots[after].kind is Kind.CLONE  # what was written to it can't be had again
                    if snapshots[before].location == snapshots[after].location and not is_clone:
                        found[drift.asset] = after
        return found

    def _check(self, aim: Aim, decisions: Iterable[Decision], snapshots: Mapping[SnapshotId, Snapshot]) -> str | None:
        """Says why it couldn't be done, where it couldn't: what it finds early, building and showing find too."""
        added: dict[str, dict[AssetName, Snapshot]] = {}
        for decision in decisions:
            if decision.after is None or decision.reason is Reason.DRIFTED:
                continue
            snapshot = snapshots[decision.after]
            is_cloned = snapshot.kind is Kind.CLONE and decision.reason is Reason.CLONED
            if decision.before is None or snapshot.kind is Kind.EXTERNAL or is_cloned:
                added.setdefault(snapshot.provider, {})[decision.asset] = snapshot
        try:
            for name, assets in sorted(added.items()):
                self._providers[name].check(aim.environment, assets)
        except WarehouseBusy as busy:
            return busy.message
        finally:
            if added:
                self._inspector.release()
        return None

    def _notes(
        self, aim: Aim, decisions: Collection[Decision], unchecked: str | None, anew: Collection[AssetName]
    ) -> tuple[str, ...]:
        """``anew``: views that are made again over sources into which clones are merged."""
        notes = []
        if unchecked:
            notes.append(f"sources and places were not checked: {unchecked}")
        if aim.inspection.unknown:
            notes.append(f"drift was not looked for: {aim.inspection.unknown}")
        notes += [f"drift: {d.detail}" for d in aim.inspection.drifts]
        if aim.action in (Action.PROMOTE, Action.UNDO, Action.RESTORE):
            built = [
                d.asset
                for d in decisions
                if d.verb is Verb.BUILD and d.reason is not Reason.DRIFTED and d.asset not in anew
            ]
            if built:
                notes.append(f"{len(built)} must be built again, for they were cleaned up: {', '.join(built[:5])}")
        return tuple(notes)

    def _windows(self) -> tuple[str, ...]:
        """Where readers of an environment that is there already may see old and new at once."""
        return tuple(p.window for p in self._providers.values() if p.window)

    def _because(self, decision: Decision, reason: Reason) -> Decision:
        return decision if decision.reason is Reason.DRIFTED else replace(decision, reason=reason, because="as it was")


def _keepable(step: Build, snapshots: Mapping[SnapshotId, Snapshot], built: Collection[str]) -> Build:
    """What could be kept must be there."""
    if step.keeps is None or snapshots[step.keeps].location in built:
        return step
    return replace(step, keeps=None)


def _is_view(snapshot: Snapshot) -> bool:
    return snapshot.kind is Kind.VIEW


def is_clone(snapshot: Snapshot) -> bool:
    return snapshot.kind is Kind.CLONE


def _ahead(built: Iterable[Snapshot], now: datetime) -> tuple[str, ...]:
    """Tells of models that stay empty for now."""
    starts = {s.asset: schedule.read(s.properties).start for s in built if s.kind in INCREMENTAL}
    return tuple(
        f"{asset} stays empty: its start, {schedule.spoken(start)}, lies ahead"
        for asset, start in sorted(starts.items())
        if start is not None and start > intervals.seconds(now)
    )


def _carries(decision: Decision, kind: Kind) -> Decision:
    told = "keeps its history" if kind in HISTORY else "forward only: keeps its rows"
    return replace(decision, because=f"{decision.because}; {told}" if decision.because else told)
