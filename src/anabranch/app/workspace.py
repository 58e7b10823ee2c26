"""A project, its state and its providers: what every face calls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anabranch.app import diff, events
from anabranch.app.adopting import Adopting
from anabranch.app.apply import Applied, Applier, Inputs
from anabranch.app.auditing import EnvironmentAudit, Outcome
from anabranch.app.clone_merging import CloneMerging
from anabranch.app.clones import CloneKeeper, Listed, Looked
from anabranch.app.costs import Costs
from anabranch.app.drafting import Drafter
from anabranch.app.drift import Inspection, Inspector
from anabranch.app.hooks import HookRunner
from anabranch.app.janitor import Garbage, Janitor
from anabranch.app.naming import Here, Naming, Rules
from anabranch.app.planning import Planning, Setting
from anabranch.app.promoting import Promoting
from anabranch.app.refreshing import Refreshing
from anabranch.app.restating import Restatement
from anabranch.app.state import OpenPlan, State
from anabranch.domain.commit import Commit, Environment, history
from anabranch.domain.hooks import Hooks
from anabranch.domain.ids import CommitId
from anabranch.domain.intervals import Span
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Cost, Plan, Verb
from anabranch.domain.planner import Explain
from anabranch.domain.restated import Restated, marks
from anabranch.domain.selection import Changed, Selection, candidates_of
from anabranch.domain.signals import decode as signal_calls
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import MovedOn, NotFound
from anabranch.ports.loader import Loader, Project
from anabranch.ports.provider import Answer, Provider, Tables
from anabranch.ports.rows import RowOptions
from anabranch.ports.signals import Signals

EVERYTHING = Selection()
NO_HOOKS = Hooks()


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand. ``plan`` is what apply would do now; None where there is no project to read."""

    name: EnvironmentName
    environment: Environment | None
    trunk: Environment | None
    plan: Plan
    ahead: int
    """Assets that differ from the trunk as it is now, by what the files say."""
    inspection: Inspection
    clones: tuple[Listed, ...]
    cost: Cost | None
    interrupted: tuple[OpenPlan, ...]
    running: tuple[OpenPlan, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One commit, and how many assets it changed (None where the state before is no longer known)."""

    id: CommitId
    commit: Commit
    changed: int | None


class Workspace:
    """Thread-safe as far as its store and providers are; one command at a time per process."""

    def __init__(
        self,
        *,
        state: State,
        providers: Mapping[str, Provider],
        tables: Tables,
        loader: Loader,
        rules: Rules,
        here: Here,
        now: Callable[[], datetime],
        explain: Explain,
        listen: events.Listener = events.silent,
        changed: Changed = lambda ref: (),
        hooks: Hooks = NO_HOOKS,
        signals: Signals | None = None,
    ) -> None:
        """``tables`` is the one of ``providers`` that ad-hoc queries run on. ``changed``: the project's files that
        differ from a commit or branch, according to git. ``hooks``: what runs around changes, on ``tables``."""
        self.state = state
        self.rules = rules
        self.here = here
        self.tables = tables
        self.loader = loader
        self._providers = providers
        self._now = now
        self._changed_since = changed
        self._inspector = Inspector(state, providers)
        drafter = Drafter(
            state,
            providers,
            self._inspector,
            trunk=rules.trunk,
            author=here.author,
            explain=explain,
            now=now,
            signals=signals,
        )
        self._clones = CloneKeeper(state, providers, trunk=rules.trunk, always=rules.cloned)
        merging = CloneMerging(state, providers)
        self._planning = Planning(state, drafter, self._inspector, trunk=rules.trunk, clones=self._clones)
        self._promoting = Promoting(state, drafter, self._inspector, self._clones, merging)
        self._costs = Costs(state, tables, rules.trunk)
        self._adopting = Adopting(state, providers, author=here.author)
        self._refreshing = Refreshing(state, trunk=rules.trunk, author=here.author, signals=signals)
        self._naming = Naming(state, rules, here)
        self._signals = signals
        self._hooks = HookRunner(tables, hooks, listen)
        self._applier = Applier(state, providers, now, listen, self._hooks, ready=self._clones.require_carried)
        self._janitor = Janitor(state, providers, rules.retention)

    def now(self) -> datetime:
        """The present, in UTC."""
        return self._now()

    # -- names -----------------------------------------------------------------------------------------------------
    def resolve(self, text: str | None) -> EnvironmentName:
        """As :meth:`anabranch.app.naming.Naming.resolve`."""
        return self._naming.resolve(text)

    def is_protected(self, name: EnvironmentName) -> bool:
        """Whether it changes only when the user says so."""
        there = self.state.environment(name)
        return self.rules.protects(name) or (there is not None and there.protected)

    # -- plans -----------------------------------------------------------------------------------------------------
    def project(self, name: EnvironmentName, *, merged: bool = False) -> Project:
        """The project's files, as they are in an environment; ``merged``: with what was restated in the trunk, too.
        Raises ``ModelError``."""
        trunk = self.rules.trunk
        there = self.state.environment(name)
        sources = [there.name] if there else []
        if self.state.environment(trunk) is not None and (merged or there is None):
            sources.insert(0, trunk)
        looked = self._clones.look(there) if there is not None else Looked({})
        if merged and looked.clones:
            looked = self._clones.caught_up(name, looked, self.state.require(trunk), self._now())
        restated = {a: m for e in sources for a, m in self._restated(e).items() if a not in looked.clones}
        found = self.loader.load(name, restated | self._clones.marks(looked))
        return self._clones.put_back(found, name, looked, self._now())

    def _restated(self, name: EnvironmentName) -> dict[AssetName, Restated]:
        tree = self.state.commit(self.state.require(name).head).tree
        return marks(self.state.own(self.state.trees.entries(tree)))

    def plan_apply(
        self,
        name: EnvironmentName,
        *,
        merged: bool = False,
        explain: bool = False,
        window: Span | None = None,
        selection: Selection = EVERYTHING,
    ) -> Plan:
        """What makes ``name`` what the files say. With ``explain``, it says what changed in each definition; with a
        ``selection``, only that changes.

        Raises:
            SelectionError: the selection names what isn't there.
            ModelError: what changes waits for a signal that isn't there.
            Refused: it lacks what belongs to it.
        """
        setting, project = self._setting(name, self.rules.ttl), self.project(name, merged=merged)
        chosen = None
        if selection:
            base = self.state.environment(name) or self.state.environment(self.rules.trunk)
            chosen = self._chosen(selection, {**(self.assets(base.name) if base else {}), **project.assets})
        plan = self._planning.apply(
            name,
            project,
            setting,
            self._now(),
            again=self.loader.again,
            merged=merged,
            explain=explain,
            window=window,
            chosen=chosen,
        )
        self._require_signals(plan, project)
        return self._noted(plan)

    def _require_signals(self, plan: Plan, project: Project) -> None:
        """Raises ``ModelError`` where what is new or changed waits for a signal that isn't there: a first build asks no
        signal of a model that is computed as a whole."""
        if self._signals is None:
            return
        for asset in [d.asset for d in plan.decisions if d.after is not None and d.asset in project.assets]:
            for call in signal_calls(project.assets[asset].properties):
                self._signals.require(asset, call)

    def _noted(self, plan: Plan) -> Plan:
        return replace(plan, notes=plan.notes + self._hooks.notes(plan))

    def priced(self, plan: Plan) -> Plan:
        """A plan with what the environment costs; one that is new begins with all that is shared."""
        name = plan.environment if plan.requires.head is not None else self.rules.trunk
        there = self.state.environment(name)
        cost = self._costs.of(there) if there is not None else None
        if cost is not None and name != plan.environment:
            cost = Cost(cost.copied, 0, cost.unknown)
        return replace(plan, cost=cost)

    def _chosen(self, selection: Selection, among: Mapping[AssetName, Snapshot]) -> set[AssetName]:
        return selection.of(candidates_of(among), self._changed_since)

    def plan_run(
        self,
        name: EnvironmentName,
        *,
        selection: Selection = EVERYTHING,
        ignore_cron: bool = False,
        restate: Restatement | None = None,
    ) -> Plan:
        """What the environment's data lacks by now. Raises ``NotFound``, ``SelectionError``, ``Refused``."""
        there = self.state.require(name)
        only = self._chosen(selection, self.assets(name)) if selection else None
        if restate is not None and self._refreshing.shares(there, restate):
            return self._noted(self._planning.restate(there, restate, self._now(), again=self.loader.again, only=only))
        return self._noted(
            self._refreshing.plan(there, self._now(), only=only, ignore_cron=ignore_cron, restate=restate)
        )

    def plan_adopt(self, names: Collection[str], *, check: bool = True) -> Plan:
        """Takes tables over that stand under the names of models, into the trunk. ``names`` of assets, or patterns such
        as ``marts.*``; ``check``: whether declared keys must be unique. Raises ``NotFound``, ``Refused``."""
        trunk = self.rules.trunk
        project = self.project(trunk)
        return self._adopting.plan(trunk, project, names, self._setting(trunk, None), self._now(), check=check)

    def plan_create(
        self,
        name: EnvironmentName,
        base: EnvironmentName | None,
        ttl: timedelta | None,
        *,
        past: datetime | None = None,
    ) -> Plan:
        """A new environment, from ``base`` (by default the trunk); its clones hold what their sources held at ``past``.
        Raises ``Refused``."""
        start = self.state.require(base or self.rules.trunk)
        setting = self._setting(name, ttl or self.rules.ttl)
        return self._planning.create(name, start, setting, self._now(), again=self.loader.again, past=past)

    def plan_clone(
        self, name: EnvironmentName, tables: Collection[str], *, past: datetime | None = None, reset: bool = False
    ) -> Plan:
        """Gives an environment clones of sources; ``reset``: has it give them up. Raises ``NotFound``, ``Refused``."""
        return self._planning.clone(
            self.state.require(name), tables, self._now(), again=self.loader.again, past=past, reset=reset
        )

    def clones(self, name: EnvironmentName) -> list[Listed]:
        """Those of an environment."""
        return self._clones.listed(self.state.require(name))

    def _setting(self, name: EnvironmentName, ttl: timedelta | None) -> Setting:
        if self.rules.protects(name):
            return Setting(self._naming.branch_of(name), self.here.author, None, protected=True)
        return Setting(self._naming.branch_of(name), self.here.author, self._now() + ttl if ttl else None)

    def plan_promote(self, source: EnvironmentName, into: EnvironmentName) -> Plan:
        """Raises ``MergeConflict``, and ``Refused`` where clones can't be promoted."""
        return self._noted(
            self._promoting.plan(self.state.require(source), self.state.require(into), again=self.loader.again)
        )

    def plan_drop(self, name: EnvironmentName) -> Plan:
        """Raises ``Refused`` for a protected one."""
        return self._planning.drop(replace(self.state.require(name), protected=self.is_protected(name)))

    def plan_undo(self, name: EnvironmentName) -> Plan:
        """Takes the last change back."""
        return self._planning.undo(self.state.require(name))

    def plan_restore(self, name: EnvironmentName, commit: str) -> Plan:
        """``commit``: the first digits of one in the environment's history."""
        environment = self.state.require(name)
        return self._planning.restore(environment, self._planning.find_commit(environment, commit))

    def latest(self) -> EnvironmentName:
        """What an undo without a name means: of the trunk and the current branch's environment, the one that changed
        last."""
        names = {self.rules.trunk}
        if self.here.branch is not None:
            names.add(self._naming.for_branch(self.here.branch))
        found = [e for n in sorted(names) if (e := self.state.environment(n)) is not None]
        if not found:
            raise NotFound("there is nothing to undo", hint="anabranch status shows where things stand")
        own = [e for e in found if self.state.commit(e.head).environment == e.name]
        return max(own or found, key=lambda e: self.state.commit(e.head).at).name

    # -- changes ---------------------------------------------------------------------------------------------------
    def heal(self) -> list[OpenPlan]:
        """Ends what was interrupted; every changing command begins with it."""
        return self._applier.heal()

    def apply(self, plan: Plan) -> Applied:
        """Executes a plan. Raises ``StalePlan``, ``BuildFailed``."""
        was_settled = self._is_settled(plan)
        applied = self._applier.apply(plan)
        self._inspector.release()
        there = self.state.environment(plan.environment)
        is_ours = there is not None and there.head == applied.commit and not self._hooks.runs(plan)
        if was_settled and there is not None and is_ours:
            self._inspector.settle(there)
        return applied

    def _is_settled(self, plan: Plan) -> bool:
        """Whether all that the plan doesn't touch is known to be well: it was looked at, or there is nothing of the
        kind."""
        before = self.state.environment(plan.environment)
        if before is None and plan.requires.source is not None:
            before = self.state.environment(plan.requires.source[0])
        if before is None:
            return plan.tally()[Verb.REUSE] == 0
        return self._inspector.is_settled(before)

    def interrupted(self) -> list[OpenPlan]:
        """Plans whose process is gone."""
        return self._applier.interrupted()

    def find_open(self, identifier: str | None) -> OpenPlan:
        """An interrupted plan, by the first digits of its id."""
        return self._applier.find(identifier)

    def resume(self, found: OpenPlan) -> Applied | None:
        """Goes on with it; None where only its pointers had to be set."""
        return self._applier.resume(found)

    def abandon(self, found: OpenPlan) -> bool:
        """Ends it; True where it had been published, and so was carried forward."""
        return self._applier.end(found)

    def garbage(self) -> tuple[Garbage, list[Environment]]:
        """What :meth:`collect` would delete: data nobody reaches, and expired environments."""
        found = self._janitor.look(self._now())
        return found, self._expired()

    def collect(self) -> tuple[Garbage, list[Environment]]:
        """Drops expired environments, then deletes what nobody reaches."""
        dropped = []
        for environment in self._expired():
            try:
                self.apply(self._planning.drop(environment))
            except MovedOn:  # somebody uses it after all
                continue
            dropped.append(environment)
        return self._janitor.sweep(self._now()), dropped

    def _expired(self) -> list[Environment]:
        now = self._now()
        found = self.state.environments().values()
        return [e for e in found if e.is_expired(now) and not e.protected and not self.rules.protects(e.name)]

    def release(self) -> None:
        """Gives the providers' files and locks back; they are opened again when needed."""
        self._inspector.release()

    def close(self) -> None:
        """Ends it."""
        self._inspector.release()
        self.state.store.close()

    # -- looking ---------------------------------------------------------------------------------------------------
    def status(self, name: EnvironmentName) -> Status:
        """How things stand; changes nothing."""
        there, trunk = self.state.environment(name), self.state.environment(self.rules.trunk)
        plan = self.plan_apply(name)
        ahead = 0
        if trunk is not None and name != self.rules.trunk:
            ahead = len(self.state.trees.diff(self.state.commit(trunk.head).tree, plan.tree))
        inspection = self._inspector.inspect(there) if there else Inspection()
        clones = tuple(self._clones.listed(there)) if there else ()
        cost = self._costs.of(there) if there else None
        plans = self.state.open_plans().values()
        dead = tuple(o for o in plans if self.state.is_dead(o.holder, o.seen))
        return Status(
            name, there, trunk, plan, ahead, inspection, clones, cost, dead, tuple(o for o in plans if o not in dead)
        )

    def inspect(self, environment: Environment) -> Inspection:
        """How the warehouse differs from what the environment records."""
        return self._inspector.inspect(environment)

    def diff(
        self,
        name: EnvironmentName,
        other: EnvironmentName,
        *,
        rows: RowOptions | None = None,
        selection: Selection = EVERYTHING,
    ) -> diff.EnvironmentDiff:
        """What ``name`` has that ``other`` hasn't. See :func:`anabranch.app.diff.compare`."""
        before, after = self.state.require(other), self.state.require(name)
        only = self._chosen(selection, {**self.assets(other), **self.assets(name)}) if selection else None
        return diff.compare(self.state, self.tables, before, after, rows=rows, only=only)

    def log(self, name: EnvironmentName, limit: int) -> list[LogEntry]:
        """The environment's history, newest first; it goes on into that of the environment it began from."""
        found: list[LogEntry] = []
        for identifier, commit in history(self.state.commits, self.state.require(name).head):
            if len(found) == limit:
                break
            found.append(LogEntry(identifier, commit, self._changed(commit)))
        return found

    def _changed(self, commit: Commit) -> int | None:
        if not commit.parents:
            return self.state.trees.count(commit.tree)
        try:
            return len(self.state.trees.diff(self.state.commit(commit.parents[0]).tree, commit.tree))
        except KeyError:
            return None

    def query(self, name: EnvironmentName, text: str, limit: int | None) -> Answer:
        """Runs a query on an environment; it can't write."""
        return self.tables.query(text, self.assets(name), limit)

    def audit(
        self,
        name: EnvironmentName,
        selection: Selection = EVERYTHING,
        tell: Callable[[Outcome], None] = lambda outcome: None,
    ) -> list[Outcome]:
        """Runs the audits of an environment, all or those of ``selection``, over what it shows now. Raises
        ``NotFound``."""
        chosen = self.assets(name, selection)
        inputs = Inputs(self.state, self.state.commit(self.state.require(name).head).tree)
        return EnvironmentAudit(self.state, self._providers, inputs.of_audits, self._now()).run(chosen.values(), tell)

    def assets(self, name: EnvironmentName, selection: Selection = EVERYTHING) -> dict[AssetName, Snapshot]:
        """What ``name`` has, or what of it is selected."""
        tree = self.state.commit(self.state.require(name).head).tree
        entries = self.state.trees.entries(tree)
        snapshots = self.state.snapshots(list(entries.values()))
        found = {asset: snapshots[i] for asset, i in entries.items()}
        chosen = self._chosen(selection, found) if selection else found
        return {asset: snapshot for asset, snapshot in found.items() if asset in chosen}
