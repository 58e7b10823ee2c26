"""Computes a plan's next generations, each beside its location, unseen until the plan is published."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import cast

from anabranch.app import events
from anabranch.app.scheduling import in_order
from anabranch.app.state import State
from anabranch.domain.ids import StepId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Plan, Refresh
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
        listen: events.Listener,
    ) -> None:
        """``inputs`` finds what a snapshot reads, through views as well as through embedded models."""
        self._state = state
        self._providers = providers
        self._plan = plan
        self._inputs = inputs
        self._listen = listen
        self._snapshots = state.snapshots([s.snapshot for s in plan.moving])
        self._contents = state.contents([s.location for s in self._snapshots.values()])
        self._staged: dict[AssetName, Staged] = {}
        self._lock = threading.Lock()

    def run(self) -> list[Swap]:
        """What is to become visible.

        Raises:
            BuildFailed: nothing becomes visible; the environment is as it was.
            KeyboardInterrupt: after what ran was stopped.
        """
        steps = {s.id: s for s in self._plan.refreshes}
        with ExitStack() as stack:
            for provider in sorted({s.provider for s in steps.values()}):
                stack.enter_context(self._providers[provider].opened())
            outcome = in_order(
                {i: s.needs for i, s in steps.items()},
                lambda i: self._stage(steps[i]),
                workers=max((p.workers for p in self._providers.values()), default=1),
                broke=lambda i, error: self._listen(events.BuildBroke(steps[i].asset, error)),
                skipped=lambda i, because: self._listen(events.BuildSkipped(steps[i].asset, steps[because].asset)),
                stop=self._stop,
            )
        if outcome.failed:
            failed = [(steps[i].asset, error) for i, error in outcome.failed.items()]
            count = f"{len(failed)} models" if len(failed) > 1 else str(failed[0][0])
            raise BuildFailed(
                f"{count} could not be refreshed; {self._plan.environment} is as it was",
                failed,
                hint="mend it and run the command again",
            ) from failed[0][1]
        return self._swaps()

    def _stop(self) -> None:
        for provider in self._providers.values():
            provider.interrupt()

    def _stage(self, step: Refresh) -> StepId:
        snapshot = self._snapshots[step.snapshot]
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

    def _swaps(self) -> list[Swap]:
        found = []
        for step in self._plan.refreshes:
            staged = self._staged[step.asset]
            grown = self._contents[staged.snapshot.location].grown(staged.generation, partial=self._plan.partial)
            found.append(Swap(staged.snapshot, grown, staged.built))
        for back in self._plan.returns:
            snapshot = self._snapshots[back.snapshot]
            content = self._contents[snapshot.location]
            found.append(Swap(snapshot, content.moved(back.to, float(self._plan.now))))
        return found
