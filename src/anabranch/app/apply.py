"""Apply: executes a plan, and decides nothing new.

1. *Open* the journal: objects are written, then the plan is stored, if what it reuses is still there.
2. *Build* what it says; if anything fails, stop: the environment isn't touched, what was built stays and is reused.
3. *Publish* (:mod:`anabranch.app.publish`).
4. *Close* the journal.

Hooks (:mod:`anabranch.app.hooks`) run before 2 and after 3.

A journal whose process died is ended by :meth:`Applier.heal`, which every changing command calls first: forward where
the ref had moved, else back, which means forgetting it, for nothing was visible yet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from anabranch.app import events
from anabranch.app.auditing import Auditor, told_of
from anabranch.app.builds import Builder, Report
from anabranch.app.cutoff import Cutoff
from anabranch.app.heartbeat import Heartbeat
from anabranch.app.holder import describe
from anabranch.app.hooks import HookRunner
from anabranch.app.publish import Published, Publisher
from anabranch.app.staging import Stager
from anabranch.app.state import (
    CONTENT,
    JOURNALS,
    OPEN,
    PHYSICAL,
    REF,
    REFRESHING,
    SAME,
    OpenPlan,
    Physical,
    Stage,
    State,
)
from anabranch.domain.audit import Finding
from anabranch.domain.commit import decode_environment
from anabranch.domain.ids import CommitId, PlanId, TreeId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Plan, Verb
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import AnabranchError, BuildFailed, NotFound, Refused, StalePlan
from anabranch.ports.provider import Provider, Swap

VIEWS = "views of "
"""Before an environment's name: what is held while its views move."""
WAITING = 0.2
"""Seconds between looks at somebody else's refresh."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done. ``commit``: the environment's head now, None where it was dropped."""

    plan: Plan
    commit: CommitId | None
    report: Report
    moved: int
    seconds: float
    pointing_seconds: float


class Applier:
    """Applies plans, and ends those that were interrupted."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        now: Callable[[], datetime],
        listen: events.Listener = events.silent,
        hooks: HookRunner | None = None,
        *,
        ready: Callable[[Plan], None] = lambda plan: None,
    ) -> None:
        """``ready``: the last look before a plan is published; raises ``StalePlan``."""
        self._state = state
        self._hooks = hooks
        self._providers = providers
        self._now = now
        self._listen = listen
        self._ready = ready
        self._publisher = Publisher(state, providers, listen)

    def apply(self, plan: Plan) -> Applied:
        """See the module's text.

        Raises:
            StalePlan: what the plan read has changed; nothing was done.
            BuildFailed: the environment is as before; builds that succeeded are kept.
            HookFailed: the environment is as before, or (``unchanged`` says so) it has moved.
        """
        began = time.perf_counter()
        for provider in self._providers.values():
            provider.tag({"environment": plan.environment, "plan": plan.id})
        self._publisher.result(plan)
        with Heartbeat(self._state) as heartbeat:
            self._open(plan)
            heartbeat.add(OPEN + plan.id)
            try:
                if self._hooks is not None:
                    self._hooks.before(plan)
                report, plan = self._build(plan, heartbeat)
                swaps, findings = self._stage(plan)
                report = replace(report, audited=(*report.audited, *findings))
                self._hold(plan)
                self._ready(plan)
                published = self._publisher.publish(plan, self._now(), swaps)
            except Exception:  # whatever it was: the journal is closed, or the plan carried forward
                self._give_up(plan)
                raise
            except BaseException:  # Ctrl-C: a journal that says "published" stays, to be carried forward
                if not self._state.progress(plan.id).published:
                    self._state.close_plan(plan.id)
                raise
            failed = self._hooks.after(plan) if self._hooks is not None else None
            heartbeat.discard(OPEN + plan.id)
            self._state.close_plan(plan.id)
        if failed is not None:
            raise failed
        return self._applied(plan, report, published, began)

    def _applied(self, plan: Plan, report: Report, published: Published, began: float) -> Applied:
        seconds = time.perf_counter() - began
        return Applied(plan, published.commit, report, published.moved, seconds, published.seconds)

    def _give_up(self, plan: Plan) -> None:
        """Closes the journal; after a commit that failed, first sets all providers right, as the ref is now."""
        if self._state.progress(plan.id).published:
            try:
                self._publisher.carry_forward(plan)
            except AnabranchError:  # the next command does it
                return
        self._state.close_plan(plan.id)

    def _open(self, plan: Plan) -> None:
        after = [d.after for d in plan.decisions if d.after is not None]
        snapshots = self._state.snapshots(after)
        self._state.keep(after)
        reused = [snapshots[d.after].location for d in plan.decisions if d.verb is Verb.REUSE and d.after]
        guard, inherited = self._inherited(plan)
        locations = {location for location in reused if location} | inherited
        keeps = self._state.snapshots([b.keeps for b in plan.builds if b.keeps is not None]).values()
        kept = {s.location for s in keeps}
        sources = {str(m.asset): m.content.encode().encode() for m in plan.merges}
        moved = self._state.snapshots([s.snapshot for s in plan.moving]).values()
        moving = {s.location for s in moved}
        locations |= {s.location for s in moved if s.is_physical} | kept
        self._free(moving)
        now = self._state.store.now()
        body = OpenPlan(plan, self._state.holder.token, now).encode()
        keys = [JOURNALS, *guard, *(PHYSICAL + location for location in sorted(locations))]
        keys += [REFRESHING + location for location in sorted(moving)]
        keys += [CONTENT + location for location in sources]

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            if any(seen.get(key) != cell for key, cell in guard.items()):
                return None
            for location in sorted(locations):
                cell = seen.get(PHYSICAL + location)
                if cell is None or Physical.decode(location, cell).stage is not Stage.BUILT:
                    return None
            if any(REFRESHING + location in seen for location in moving):
                return None
            write: dict[str, bytes | None] = {REFRESHING + location: plan.id.encode() for location in moving}
            write.update({SAME + own: there.encode() for own, there in plan.same.items()})
            write.update({CONTENT + k: cell for k, cell in sources.items() if CONTENT + k not in seen})
            return {**write, JOURNALS: str(int(seen.get(JOURNALS, b"0")) + 1).encode(), OPEN + plan.id: body}

        if not self._state.swap(change, keys):
            raise StalePlan("something that the plan reuses was cleaned up since it was made", hint="plan again")

    def _hold(self, plan: Plan) -> None:
        """Keeps others from moving the environment until the plan is ended, where its views can't be moved at once:
        whoever came in between would not know which of them stand where."""
        if all(self._providers[p.provider].window is None for p in plan.points):
            return
        views = f"{VIEWS}{plan.environment}"

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            return None if REFRESHING + views in seen else {REFRESHING + views: plan.id.encode()}

        self._free([views])
        while not self._state.swap(change, [REFRESHING + views]):
            self._free([views])

    def _free(self, locations: Collection[str]) -> None:
        """Waits for those who refresh any of ``locations``. Forgets those who are gone."""
        told = False
        while True:
            held = self._state.store.read([REFRESHING + location for location in sorted(locations)])
            plans = self._state.open_plans()
            over = {key: cell for key, cell in held.items() if cell.decode() not in plans}
            if over:
                self._state.store.swap(over, dict.fromkeys(over))
            if len(over) == len(held):
                return
            at_it = next(plans[PlanId(c.decode())] for k, c in held.items() if k not in over)
            if self._state.is_dead(at_it.holder, at_it.seen):
                self.end(at_it)
                continue
            if not told:
                self._listen(events.Waiting(f"data of {at_it.plan.environment}", describe(at_it.holder)))
                told = True
            time.sleep(WAITING)

    def _inherited(self, plan: Plan) -> tuple[dict[str, bytes | None], set[str]]:
        """What a new environment has from the one that it begins from: that one's ref, which keeps it; or, where it has
        moved on, the locations themselves."""
        if plan.requires.source is None or plan.requires.head is not None:
            return {}, set()
        name, head = plan.requires.source
        cell = self._state.store.read([REF + name]).get(REF + name)
        if cell is not None and decode_environment(cell).head == head:
            return {REF + name: cell}, set()
        made = {b.snapshot for b in plan.builds}
        found = self._state.snapshots(self._state.trees.snapshots([plan.tree]) - made)
        return {}, {s.location for s in found.values() if s.is_physical}

    def _build(self, plan: Plan, heartbeat: Heartbeat) -> tuple[Report, Plan]:
        """What came of the builds and their audits, and the plan with the tree that results."""
        if not plan.builds and not any(not a.late for a in plan.audits):
            return Report((), (), (), ()), plan
        cutoff = Cutoff(self._state, self._providers, plan)
        inputs = Inputs(self._state, plan.tree, placed=cutoff.placed)
        auditor = self._auditor(plan, inputs)
        report = Builder(self._state, self._providers, plan, inputs.of, heartbeat, cutoff, auditor, self._listen).run()
        if report.failed:
            raise BuildFailed(
                f"{told_of(report.failed, 'could not be built')}; {plan.environment} is as it was",
                [*report.failed],
                hint="mend it and run the command again: what was built is reused",
            ) from report.failed[0][1]
        return report, cutoff.result(plan)

    def _auditor(self, plan: Plan, inputs: Inputs) -> Auditor:
        return Auditor(self._state, self._providers, plan, inputs.of_audits, inputs.get, self._listen)

    def _stage(self, plan: Plan) -> tuple[Sequence[Swap], Sequence[tuple[AssetName, Finding]]]:
        if not plan.moving:
            return (), ()
        inputs = Inputs(self._state, plan.tree, views=True)
        auditor = self._auditor(plan, inputs)
        stager = Stager(self._state, self._providers, plan, inputs.of, auditor, self._listen)
        return stager.run(), stager.findings

    # -- interrupted plans -----------------------------------------------------------------------------------------
    def interrupted(self) -> list[OpenPlan]:
        """Journals whose process is gone."""
        return [o for o in self._state.open_plans().values() if self._state.is_dead(o.holder, o.seen)]

    def heal(self) -> list[OpenPlan]:
        """Ends all interrupted plans; says which."""
        ended = self.interrupted()
        for found in ended:
            self.end(found)
        return ended

    def end(self, found: OpenPlan) -> bool:
        """Ends one interrupted plan; whether it went forward. Raises ``HookFailed`` once it is ended."""
        plan = found.plan
        forward = self._state.progress(plan.id).published
        if forward:
            self._publisher.carry_forward(plan)
        self._disown(plan)
        failed = self._hooks.after(plan) if forward and self._hooks is not None else None
        self._state.close_plan(plan.id)
        self._listen(events.Healed(plan.environment, plan.action.value, forward))
        if failed is not None:
            raise failed
        return forward

    def _disown(self, plan: Plan) -> None:
        """Leaves a trace of each build that has none: the power may have failed after a build, and before its claim had
        reached the disk. Whoever comes next looks before building, and the janitor knows whose it is."""
        snapshots = self._state.snapshots([b.snapshot for b in plan.builds])
        nobody = {PHYSICAL + s.location: Physical(s.location, i, Stage.BUILDING).encode() for i, s in snapshots.items()}

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            missing = {key: data for key, data in nobody.items() if key not in seen}
            return missing or None

        self._state.swap(change, list(nobody), durable=False)

    def find(self, identifier: str | None) -> OpenPlan:
        """The interrupted plan that ``identifier`` begins; the only one where it is None.

        Raises:
            NotFound: there is none.
            Refused: its process lives, or there are several.
        """
        plans = self._state.open_plans()
        if identifier is None:
            found = self.interrupted()
            running = [o for o in plans.values() if o not in found]
            if not found and running:
                raise Refused(
                    f"{running[0].plan.action.value} of {running[0].plan.environment}"
                    f" is under way in {describe(running[0].holder)}",
                    hint="wait until it is done",
                )
        else:
            found = [o for i, o in plans.items() if i.startswith(identifier)]
        if not found:
            raise NotFound("nothing was interrupted", hint="anabranch status shows where things stand")
        if len(found) > 1:
            raise Refused(
                f"{len(found)} plans were interrupted", hint=f"name one: {', '.join(o.plan.id for o in found)}"
            )
        if not self._state.is_dead(found[0].holder, found[0].seen):
            raise Refused(f"it is under way in {describe(found[0].holder)}", hint="wait until it is done")
        return found[0]

    def resume(self, found: OpenPlan) -> Applied | None:
        """Goes on with an interrupted plan; None where it had been published and only had to be carried forward."""
        if self.end(found):
            return None
        return self.apply(found.plan)


class Inputs:
    """Finds what a snapshot reads, in one tree; through embedded models (and views), also what they read."""

    def __init__(
        self, state: State, tree: TreeId, *, views: bool = False, placed: Callable[[Snapshot], Snapshot] | None = None
    ) -> None:
        """``placed`` says where a snapshot's data stands, if not where the tree says."""
        self._state = state
        self._tree = tree
        self._placed = placed
        self._through = {Kind.EMBEDDED, Kind.VIEW} if views else {Kind.EMBEDDED}

    def get(self, asset: AssetName) -> Snapshot | None:
        identifier = self._state.trees.get(self._tree, asset)
        if identifier is None:
            return None
        found = self._state.snapshots([identifier])[identifier]
        return self._placed(found) if self._placed is not None else found

    def of(self, snapshot: Snapshot) -> Mapping[AssetName, Snapshot]:
        """Raises ``AnabranchError`` where the tree lacks one."""
        return self._reached(snapshot, list(snapshot.upstreams))

    def of_audits(self, snapshot: Snapshot) -> Mapping[AssetName, Snapshot]:
        """What its audits read besides it. Raises ``AnabranchError`` where the tree lacks one."""
        reads = [r for audit in snapshot.audits for r in audit.reads]
        return self._reached(snapshot, reads + (list(snapshot.upstreams) if snapshot.kind in self._through else []))

    def _reached(self, snapshot: Snapshot, stack: list[AssetName]) -> Mapping[AssetName, Snapshot]:
        found: dict[AssetName, Snapshot] = {}
        while stack:
            asset = stack.pop()
            if asset in found:
                continue
            upstream = self.get(asset)
            if upstream is None:
                raise AnabranchError(
                    f"{snapshot.asset} reads {asset}, which isn't in the environment", asset=snapshot.asset
                )
            found[asset] = upstream
            if upstream.kind in self._through:
                stack.extend(upstream.upstreams)
        return found
