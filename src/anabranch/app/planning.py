"""Plans: each use case's own, all of one form."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from anabranch.app.apply import Inputs
from anabranch.app.auditing import lacking
from anabranch.app.cutoff import resolve
from anabranch.app.drift import Inspection, Inspector
from anabranch.app.refreshing import Returning, due
from anabranch.app.releasing import Releasing
from anabranch.app.selecting import narrow
from anabranch.app.state import State
from anabranch.app.waiting import Gate
from anabranch.domain import intervals, planner, schedule
from anabranch.domain.auditing import Lookup, audit_step, with_audits
from anabranch.domain.commit import Action, Environment, ancestors, history, merge_base, undo_target
from anabranch.domain.graph import order
from anabranch.domain.ids import CommitId, PlanId, SnapshotId, StepId, TreeId
from anabranch.domain.intervals import Span
from anabranch.domain.merge import Cause, Conflict, merge
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Audits, Build, Decision, Plan, Reason, Refresh, Requirement, Step, Verb
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.domain.tree import EMPTY
from anabranch.errors import MergeConflict, NotFound, Refused, WarehouseBusy
from anabranch.ports.loader import Project
from anabranch.ports.provider import Fault, Provider
from anabranch.ports.signals import Signals

LOOK_BACK = 20
"""Commits of the trunk that a plan is compared with, to tell an old checkout."""


Again = Callable[[Mapping[AssetName, Snapshot]], Mapping[AssetName, Snapshot]]
"""As of :meth:`anabranch.ports.loader.Loader.again`."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The circumstances of an environment that is about to be made."""

    branch: str | None = None
    owner: str = ""
    expires_at: datetime | None = None
    protected: bool = False


_TELL = 3
"""So many models are named in a note; the rest is counted."""


@dataclass(frozen=True, slots=True)
class _Aim:
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
    window: Span | None = None
    """Only this part of the time is built, as a preview."""
    same: Mapping[str, str] = field(default_factory=dict)
    """As of :attr:`anabranch.domain.plan.Plan.same`."""


class Planning:
    """Makes plans; changes nothing."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
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
        self._inspector = Inspector(state, providers)

    # -- one for each use case -------------------------------------------------------------------------------------
    def apply(
        self,
        name: EnvironmentName,
        project: Project,
        setting: Setting,
        now: datetime,
        *,
        again: Again,
        merged: bool = False,
        explain: bool = False,
        window: Span | None = None,
        chosen: Collection[AssetName] | None = None,
    ) -> Plan:
        """The environment shall be what the project's files say.

        ``merged``: the user says that the trunk's changes are in these files, so that what both sides changed is
        resolved as it stands in them. With ``explain``, changed definitions are compared. ``window``: models with
        intervals are built for this part of their time only; a promotion, or a run, completes them. ``again``: the
        loader's, for definitions that were fingerprinted by other rules.
        ``chosen``: only these assets change.

        Raises:
            Refused: ``merged``, but a file is as it was before the trunk changed it; or ``chosen`` lacks something.
        """
        there = self._state.environment(name)
        start = there or (self._state.environment(self._trunk) if name != self._trunk else None)
        assets = resolve(self._state, {s.asset: s for s in self._state.placed(project.assets.values())})
        same = self._upgraded(start, assets, project.rules, again) if start is not None else {}
        assets = {a: replace(s, location=same.get(s.location, s.location)) for a, s in assets.items()}
        known = self._state.learn(assets.values())
        after = self._state.trees.build({s.asset: i for i, s in known.items()})
        if there is not None:
            before = self._tree(there)
            expires_at = max(filter(None, (there.expires_at, setting.expires_at)), default=None)
            settings = replace(
                there, branch=there.branch or setting.branch, expires_at=expires_at, protected=setting.protected
            )
            head: CommitId | None = there.head
            parents: tuple[CommitId, ...] = (there.head,)
            source = None
            if merged:
                parents = (there.head, *self._taken_in(there, after))
        else:
            base = self._state.environment(self._trunk) if name != self._trunk else None
            before = self._tree(base) if base else EMPTY
            parents = (base.head,) if base else ()
            settings = self._new(name, base, setting, now)
            head, source = None, (base.name, base.head) if base else None
        left: tuple[str, ...] = ()
        if chosen is not None:
            after, left = narrow(self._state, before, after, chosen)
        notes = project.notes + self._goes_back(name, there, after) + left
        if explain:
            notes += _whole(project)
        return self._plan(
            _Aim(
                Action.APPLY, name, head, before, after, parents, settings,
                source=source, notes=notes, inspection=self._inspect(there), explain=explain, window=window, same=same,
            )
        )  # fmt: skip

    def _upgraded(
        self, start: Environment, assets: Mapping[AssetName, Snapshot], rules: str, again: Again
    ) -> dict[str, str]:
        """Where data stands that was built by other rules from what is the same by the present ones: of each such
        asset, the location that it would have, and that which it has."""
        entries = self._state.trees.entries(self._tree(start))
        before = self._state.snapshots(list(entries.values()))
        there = {a: before[i] for a, i in entries.items()}
        moved = [a for a, s in assets.items() if a in there and there[a].location != s.location and s.is_physical]
        if not any(there[a].definition.rules != rules for a in moved):
            return {}
        anew = again(there)
        equal = [a for a in moved if a in anew and anew[a].fingerprint == assets[a].fingerprint]
        built = self._state.built([there[a].location for a in equal])
        return {assets[a].location: there[a].location for a in equal if there[a].location in built}

    def _taken_in(self, environment: Environment, after: TreeId) -> tuple[CommitId, ...]:
        """The trunk's head, whose changes ``after`` is said to contain; nothing where there are none."""
        trunk = self._state.require(self._trunk)
        base = merge_base(self._state.commits, environment.head, trunk.head)
        if base == trunk.head:
            return ()
        changes = self._state.trees.diff(self._state.commit(base).tree if base else EMPTY, self._tree(trunk))
        here = {c.asset: self._state.trees.get(after, c.asset) for c in changes}
        ids = {i for c in changes for i in (c.before, c.after, here[c.asset]) if i is not None}
        found = self._state.snapshots(ids)
        for change in changes:
            was, now, mine = (found[i].logic if i else None for i in (change.before, change.after, here[change.asset]))
            if mine == was != now:
                raise Refused(
                    f"{change.asset} is as it was before {trunk.name} changed it:"
                    f" these files lack {trunk.name}'s changes",
                    hint="git merge main, then again",
                    asset=change.asset,
                )
        return (trunk.head,)

    def create(self, name: EnvironmentName, base: Environment | None, setting: Setting, now: datetime) -> Plan:
        """A new environment that begins as ``base`` is. Raises ``Refused`` where it exists."""
        if self._state.environment(name) is not None:
            raise Refused(f"{name} exists already", hint=f"anabranch env show {name}")
        tree = self._tree(base) if base else EMPTY
        parents = (base.head,) if base else ()
        source = (base.name, base.head) if base else None
        settings = self._new(name, base, setting, now)
        return self._plan(_Aim(Action.CREATE, name, None, tree, tree, parents, settings, source=source))

    def drop(self, environment: Environment) -> Plan:
        """Raises ``Refused`` for a protected one."""
        if environment.protected:
            raise Refused(f"{environment.name} is protected", hint="it is never dropped")
        tree = self._tree(environment)
        return self._plan(
            _Aim(Action.DROP, environment.name, environment.head, tree, EMPTY, (environment.head,), None, check=False)
        )

    def promote(self, source: Environment, into: Environment) -> Plan:
        """``into`` shall have what ``source`` changed since it began from it.

        Raises:
            MergeConflict: both changed the same, or what the other's changes were built over.
        """
        if source.name == into.name:
            raise Refused(
                f"{into.name} can't be promoted into itself", hint="switch to a branch, or name an environment"
            )
        base = merge_base(self._state.commits, into.head, source.head)
        before, ours, theirs = self._state.commit(base).tree if base else EMPTY, self._tree(into), self._tree(source)
        merged = merge(self._state.trees, self._state.snapshots, before, ours, theirs)
        if merged.conflicts:
            raise self._conflict(source, into, merged.conflicts)
        inspection = self._inspect(into) if merged.changes else Inspection()
        return self._plan(
            _Aim(
                Action.PROMOTE, into.name, into.head, ours, merged.tree, (into.head, source.head), into,
                message=f"promote {source.name}", source=(source.name, source.head), inspection=inspection,
            )
        )  # fmt: skip

    def undo(self, environment: Environment) -> Plan:
        """Raises ``Refused`` where there is nothing to take back."""
        target = undo_target(self._state.commits, environment)
        if target is None:
            raise Refused(f"there is nothing to undo in {environment.name}", hint=f"anabranch log {environment.name}")
        undone, restored = target
        commit = self._state.commit(undone)
        message = f"undo {undone[:7]}" + (f" ({commit.message})" if commit.message else "")
        return self._return(Action.UNDO, environment, restored, message)

    def restore(self, environment: Environment, commit: CommitId) -> Plan:
        """The environment shall be as it was at ``commit``."""
        return self._return(Action.RESTORE, environment, commit, f"restore {commit[:7]}")

    def find_commit(self, environment: Environment, prefix: str) -> CommitId:
        """The commit in an environment's history that ``prefix`` begins. Raises ``NotFound``."""
        found = [i for i, _ in history(self._state.commits, environment.head) if prefix and i.startswith(prefix)]
        if len(found) != 1:
            what = "is not unique" if found else "is not"
            raise NotFound(
                f"{prefix!r} {what} in the history of {environment.name}", hint=f"anabranch log {environment.name}"
            )
        return found[0]

    def _return(self, action: Action, environment: Environment, to: CommitId, message: str) -> Plan:
        before, after = self._tree(environment), self._state.commit(to).tree
        return self._plan(
            _Aim(
                action, environment.name, environment.head, before, after, (environment.head,), environment,
                message=message, restores=to, reason=Reason.RESTORED, inspection=self._inspect(environment),
            )
        )  # fmt: skip

    # -- what they share -------------------------------------------------------------------------------------------
    def _plan(self, aim: _Aim) -> Plan:
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
            _worked(_keepable(s, snapshots, built), snapshots, before, now, aim.window, gate)
            if isinstance(s, Build)
            else s
            for s in steps
        ]
        audits = self._audits(aim, decisions, snapshots, inputs.get)
        ordered = with_audits([*moving, *work], audits, snapshots, inputs.get)
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
            notes=aim.notes + lost + self._notes(aim, decisions, unchecked) + tuple(gate.notes),
            now=intervals.seconds(now),
            partial=aim.window is not None,
            same=aim.same,
        )

    def _move(
        self, aim: _Aim, decisions: list[Decision], snapshots: Mapping[SnapshotId, Snapshot], now: datetime, gate: Gate
    ) -> tuple[list[Decision], list[Step], tuple[str, ...]]:
        """The data that moves with the definitions: previews that are completed, earlier generations that come back.
        With the decisions that say so, and notes on what can't."""
        if aim.restores is not None and aim.settings is not None:
            entries = self._state.trees.entries(aim.after)
            found = self._state.snapshots(list(entries.values()))
            after = {a: found[i] for a, i in entries.items()}
            returns, lost = Returning(self._state).steps(aim.settings, aim.restores, after)
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
        self, aim: _Aim, decisions: Collection[Decision], snapshots: Mapping[SnapshotId, Snapshot], after: Lookup
    ) -> list[Audits]:
        """Of what is built, and of what is pointed at and hasn't passed all its audits. The way back is never barred:
        what stood in the environment before isn't audited again."""
        back = aim.restores is not None
        made = {d.asset for d in decisions if d.verb in (Verb.BUILD, Verb.REFRESH)}
        shown = {d.after for d in decisions if d.after and d.verb in (Verb.REUSE, Verb.DESCRIBE)} if not back else set()
        wanted = made | lacking(self._state, [snapshots[i] for i in shown], after)
        found = [snapshots[d.after] for d in decisions if d.after and d.asset in wanted]
        return [audit_step(s, s.id) for s in found if s.audits and s.is_physical]

    def _drifted(self, aim: _Aim) -> dict[AssetName, SnapshotId]:
        found: dict[AssetName, SnapshotId] = {}
        for drift in aim.inspection.drifts:
            if drift.asset is not None and drift.is_physical:
                before, after = (self._state.trees.get(t, drift.asset) for t in (aim.before, aim.after))
                if before is not None and after is not None:
                    snapshots = self._state.snapshots([before, after])
                    if snapshots[before].location == snapshots[after].location:
                        found[drift.asset] = after
        return found

    def _check(self, aim: _Aim, decisions: Iterable[Decision], snapshots: Mapping[SnapshotId, Snapshot]) -> str | None:
        """Says why it couldn't be done, where it couldn't: what it finds early, building and showing find too."""
        added: dict[str, dict[AssetName, Snapshot]] = {}
        for decision in decisions:
            if decision.after is None or decision.reason is Reason.DRIFTED:
                continue
            snapshot = snapshots[decision.after]
            if decision.before is None or snapshot.kind is Kind.EXTERNAL:
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

    def _notes(self, aim: _Aim, decisions: Collection[Decision], unchecked: str | None) -> tuple[str, ...]:
        notes = []
        if unchecked:
            notes.append(f"sources and places were not checked: {unchecked}")
        if aim.inspection.unknown:
            notes.append(f"drift was not looked for: {aim.inspection.unknown}")
        notes += [f"drift: {d.detail}" for d in aim.inspection.drifts]
        if aim.action in (Action.PROMOTE, Action.UNDO, Action.RESTORE):
            built = [d.asset for d in decisions if d.verb is Verb.BUILD and d.reason is not Reason.DRIFTED]
            if built:
                notes.append(f"{len(built)} must be built again, for they were cleaned up: {', '.join(built[:5])}")
        notes += [p.window for p in self._providers.values() if p.window]
        return tuple(notes)

    def _because(self, decision: Decision, reason: Reason) -> Decision:
        return decision if decision.reason is Reason.DRIFTED else replace(decision, reason=reason, because="as it was")

    def _goes_back(self, name: EnvironmentName, there: Environment | None, after: TreeId) -> tuple[str, ...]:
        """Warns of assets that the files have as the trunk had them before: an old checkout, most likely, which would
        take back what was promoted since."""
        trunk = self._state.environment(self._trunk)
        if trunk is None:
            return ()
        start = trunk.head
        if there is not None and name != trunk.name:
            start = merge_base(self._state.commits, there.head, trunk.head) or trunk.head
        gone = {c.asset: c.after for c in self._state.trees.diff(self._state.commit(start).tree, after)}
        for _, commit in islice(history(self._state.commits, start), LOOK_BACK if gone else 0):
            if not commit.parents:
                break
            for change in self._state.trees.diff(self._state.commit(commit.parents[0]).tree, commit.tree):
                if gone.get(change.asset, commit) == change.before:
                    what = commit.message or commit.action.value
                    told = f"{change.asset} goes back to what it was before {what!r} ({commit.at:%Y-%m-%d %H:%M} UTC"
                    return (f"{told}, {commit.author}): are these files older than that?",)
        return ()

    def _new(self, name: EnvironmentName, base: Environment | None, setting: Setting, now: datetime) -> Environment:
        no_head = CommitId(EMPTY)  # publishing sets it
        return Environment(
            name,
            no_head,
            base.name if base else None,
            base.head if base else None,
            setting.branch,
            setting.owner,
            now,
            setting.expires_at,
            setting.protected,
        )

    def _inspect(self, environment: Environment | None) -> Inspection:
        return self._inspector.inspect(environment) if environment is not None else Inspection()

    def _tree(self, environment: Environment) -> TreeId:
        return self._state.commit(environment.head).tree

    def _conflict(self, source: Environment, into: Environment, conflicts: tuple[Conflict, ...]) -> MergeConflict:
        known = ancestors(self._state.commits, [source.head])
        moved = []
        for identifier, commit in history(self._state.commits, into.head):
            if identifier in known or known.keys() & commit.parents[1:]:  # it began there, or was promoted there
                break
            moved.append(commit)
        both = any(c.cause is Cause.BOTH_CHANGED for c in conflicts)
        last = moved[0] if moved else None
        who = f", the last by {last.author or 'somebody'} at {last.at:%Y-%m-%d %H:%M} UTC" if last else ""
        commits = "1 commit" if len(moved) == 1 else f"{len(moved)} commits"
        return MergeConflict(
            f"{into.name} moved since {source.name} began from it: {commits}{who}",
            conflicts,
            hint=f"bring {into.name}'s code in, then rehearse again:"
            f" git merge main && anabranch apply{' --merged' if both else ''} && anabranch promote",
        )


def _keepable(step: Build, snapshots: Mapping[SnapshotId, Snapshot], built: Collection[str]) -> Build:
    """What could be kept must be there."""
    if step.keeps is None or snapshots[step.keeps].location in built:
        return step
    return replace(step, keeps=None)


def _worked(
    step: Build,
    snapshots: Mapping[SnapshotId, Snapshot],
    before: Mapping[AssetName, SnapshotId | None],
    now: datetime,
    window: Span | None,
    gate: Gate,
) -> Build:
    """A build with what it fills, and what it carries over."""
    snapshot, was = snapshots[step.snapshot], before.get(step.asset)
    if snapshot.kind in HISTORY:
        carries = was is not None and was != step.snapshot and snapshots[was].kind in HISTORY
        return replace(step, previous=was if carries else None)
    if snapshot.kind not in INCREMENTAL:
        return step
    said = schedule.read(snapshot.properties)
    wanted = said.wanted(now)
    if window is not None:
        wanted = max(wanted[0], said.unit.floor(window[0])), min(wanted[1], said.unit.ceil(window[1]))
    return replace(step, spans=gate.open(snapshot, intervals.normal([wanted])) or ())


def _whole(project: Project) -> tuple[str, ...]:
    """Which models any change upstream builds, and why."""
    found = [f"{asset} ({reason})" for asset, reason in sorted(project.unanalysed.items())]
    if not found:
        return ()
    more = len(found) - _TELL
    told = "; ".join(found[:_TELL]) + (f"; and {more} more" if more > 0 else "")
    return (f"built by any change of what they read, for their columns can't be told apart: {told}",)
