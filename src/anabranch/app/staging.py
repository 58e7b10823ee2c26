"""Computes a plan's next generations, each beside its location, unseen until the plan is published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import cast

from anabranch.app import events
from anabranch.app.auditing import Auditor, told_of
from anabranch.app.clone_merging import CloneMerging
from anabranch.app.state import State
from anabranch.app.steps import carry_out
from anabranch.domain.audit import Finding
from anabranch.domain.ids import StepId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Audits, Merge, Plan, Refresh
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError, BuildFailed
from anabranch.ports.provider import Provider, Refreshes, Staged, Swap, Work


class Stager:
    """Carries out the refreshes of one plan."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        plan: Plan,
        inputs: Callable[[Snapshot], Mapping[AssetName, Snapshot]],
        auditor: Auditor,
        listen: events.Listener,
    ) -> None:
        """``inputs`` finds what a snapshot reads, through views as well as through embedded models."""
        self._auditor = auditor
        self._audited: dict[AssetName, frozenset[str]] = {}
        self.findings: list[tuple[AssetName, Finding]] = []
        """What audits found."""
        self._state = state
        self._providers = providers
        self._plan = plan
        self._inputs = inputs
        self._listen = listen
        self._snapshots = state.snapshots([s.snapshot for s in plan.moving])
        self._contents = state.contents([s.location for s in self._snapshots.values()])
        self._clones = state.snapshots([m.clone for m in plan.merges])
        self._merging = CloneMerging(state, providers)
        self._staged: dict[AssetName, Staged] = {}
        self._lock = threading.Lock()

    def run(self) -> list[Swap]:
        """What is to become visible.

        Raises:
            BuildFailed: nothing becomes visible; the environment is as it was.
            KeyboardInterrupt: after what ran was stopped.
        """
        refreshes: dict[StepId, Refresh | Merge] = {s.id: s for s in self._plan.refreshes}
        refreshes.update({s.id: s for s in self._plan.merges})
        audits = {a.id: a for a in self._plan.audits if a.late}
        steps: dict[StepId, Refresh | Merge | Audits] = {**refreshes, **audits}
        outcome = carry_out(
            steps,
            lambda i: self._stage(refreshes[i]) if i in refreshes else self._audit(audits[i]),
            providers=self._providers,
            listen=self._listen,
            stop=self._stop,
        )
        if outcome.failed:
            failed = [(steps[i].asset, error) for i, error in outcome.failed.items()]
            raise BuildFailed(
                f"{told_of(failed, 'could not be refreshed')}; {self._plan.environment} is as it was",
                failed,
                hint="mend it and run the command again",
            ) from failed[0][1]
        return self._swaps()

    def _stop(self) -> None:
        for provider in self._providers.values():
            provider.interrupt()

    def _stage(self, step: Refresh | Merge) -> StepId:
        snapshot = self._snapshots[step.snapshot]
        if isinstance(step, Merge):
            return self._merge(step, snapshot)
        content = self._contents.get(snapshot.location)
        if content is None:
            raise AnabranchError(f"{snapshot.location} isn't there", asset=step.asset, hint="anabranch apply builds it")
        self._listen(events.BuildBegan(step.asset))
        inputs = self._inputs(snapshot)
        with self._lock:
            ready = {a: s for a, s in self._staged.items() if a in inputs}
        provider = cast(Refreshes, self._providers[step.provider])
        staged = provider.stage(snapshot, content, inputs, ready, Work(step.spans, self._plan.now))
        with self._lock:
            self._staged[step.asset] = staged
        self._listen(events.BuildEnded(step.asset, staged.built, reused=False))
        return step.id

    def _merge(self, step: Merge, source: Snapshot) -> StepId:
        self._listen(events.BuildBegan(step.asset))
        content = self._contents.get(source.location, step.content)
        staged = self._merging.stage(step, source, self._clones[step.clone], content, self._plan.now)
        with self._lock:
            self._staged[step.asset] = staged
        self._listen(events.BuildEnded(step.asset, staged.built, reused=False))
        return step.id

    def _audit(self, step: Audits) -> StepId:
        with self._lock:
            staged = dict(self._staged)
        findings, passed = self._auditor.run_staged(step, staged)
        with self._lock:
            self._audited[step.asset] = passed
            self.findings += [(step.asset, f) for f in findings]
        return step.id

    def _swaps(self) -> list[Swap]:
        found = []
        for step in self._plan.refreshes:
            staged = self._staged[step.asset]
            grown = self._contents[staged.snapshot.location].grown(staged.generation, partial=self._plan.partial)
            audited = tuple(sorted(self._audited.get(step.asset, ())))
            found.append(Swap(staged.snapshot, grown, staged.built, audited))
        for merge in self._plan.merges:
            staged = self._staged[merge.asset]
            grown = self._contents.get(staged.snapshot.location, merge.content).grown(staged.generation, partial=False)
            clone = self._merging.made(self._clones[merge.clone])
            found.append(Swap(staged.snapshot, grown, clone=clone, is_new=True))
        for back in self._plan.returns:
            snapshot = self._snapshots[back.snapshot]
            content = self._contents[snapshot.location]
            found.append(Swap(snapshot, content.moved(back.to, float(self._plan.now)), is_new=True))
        return found
