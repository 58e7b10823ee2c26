"""Builds: each snapshot once, whoever wants it, in the order of what reads what.

A build *claims* its location in the store and begins its journal line in one swap, and ends both in one. Whoever finds
a claim waits while its holder lives; if it died, what stands at the location is probed before anything is built again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from anabranch.app import events
from anabranch.app.auditing import Auditor
from anabranch.app.cutoff import Cutoff
from anabranch.app.heartbeat import Heartbeat
from anabranch.app.holder import describe
from anabranch.app.state import AUDITED, CONTENT, PHYSICAL, Physical, Stage, State, line
from anabranch.app.steps import carry_out
from anabranch.domain.audit import Finding
from anabranch.domain.clones import CARRIES
from anabranch.domain.content import first
from anabranch.domain.ids import StepId
from anabranch.domain.journal import Mark, Outcome
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Audits, Build, Plan
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import AnabranchError, OutcomeUnknown
from anabranch.ports.provider import Built, Provider, Work

POLL = (0.02, 0.5)
"""Seconds between looks at another's claim: at first, and at most."""


class _Claim(Enum):
    """What was found at a location."""

    MINE = auto()
    IN_DOUBT = auto()
    """Mine now, after somebody who died: there may be a whole build."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a plan's builds."""

    built: tuple[AssetName, ...]
    reused: tuple[AssetName, ...]
    failed: tuple[tuple[AssetName, AnabranchError], ...]
    skipped: tuple[tuple[AssetName, AssetName], ...]
    """Not begun, and the failed one that each reads."""
    audited: tuple[tuple[AssetName, Finding], ...] = ()
    """What audits found, those that passed too."""
    kept: tuple[AssetName, ...] = ()
    """Not built, for what it reads was rebuilt and holds the same data."""


class Builder:
    """Carries out the builds of one plan."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        plan: Plan,
        inputs: Callable[[Snapshot], Mapping[AssetName, Snapshot]],
        heartbeat: Heartbeat,
        cutoff: Cutoff,
        auditor: Auditor,
        listen: events.Listener,
    ) -> None:
        """``inputs`` finds what a snapshot reads, in the tree that results from the plan."""
        self._cutoff = cutoff
        self._auditor = auditor
        self._state = state
        self._providers = providers
        self._plan = plan
        self._inputs = inputs
        self._heartbeat = heartbeat
        self._listen = listen
        self._snapshots = state.snapshots([b.snapshot for b in plan.builds])
        self._stopped = threading.Event()

    def run(self) -> Report:
        """All builds that can be done; those that read a failed one are skipped.

        Raises:
            KeyboardInterrupt: after what ran was stopped and given up cleanly.
        """
        builds = {b.id: b for b in self._plan.builds}
        audits = {a.id: a for a in self._plan.audits if not a.late}
        steps: dict[StepId, Build | Audits] = {**builds, **audits}
        findings: list[tuple[AssetName, Finding]] = []

        def do(step: StepId) -> bool:
            if step in builds:
                return self._build(builds[step])
            findings.extend((audits[step].asset, f) for f in self._auditor.run(audits[step]))
            return False

        outcome = carry_out(steps, do, providers=self._providers, listen=self._listen, stop=self._stop)
        return Report(
            tuple(steps[i].asset for i, o in outcome.done.items() if o),
            tuple(
                builds[i].asset
                for i, o in outcome.done.items()
                if not o and i in builds and builds[i].asset not in self._cutoff.kept
            ),
            tuple((steps[i].asset, error) for i, error in outcome.failed.items()),
            tuple((builds[i].asset, steps[because].asset) for i, because in outcome.skipped.items() if i in builds),
            tuple(sorted(findings, key=lambda f: f[0])),
            tuple(self._cutoff.kept),
        )

    def _stop(self) -> None:
        self._stopped.set()
        for provider in self._providers.values():
            provider.interrupt()

    # -- one build -------------------------------------------------------------------------------------------------
    def _build(self, step: Build) -> bool:
        """Whether it was built here (else by somebody else in the meantime, or it needn't be)."""
        if self._cutoff.keeps(step):
            self._listen(events.BuildKept(step.asset))
            return False
        snapshot = self._snapshots[step.snapshot]
        provider = self._providers[step.provider]
        key = PHYSICAL + snapshot.location
        again = step.again
        while True:
            claim = self._claim(step, snapshot, key, again=again)
            if isinstance(claim, Built):
                self._listen(events.BuildEnded(step.asset, claim, reused=True))
                return False
            self._heartbeat.add(key)
            try:
                built = self._make(step, snapshot, provider, in_doubt=claim is _Claim.IN_DOUBT)
                if self._end(step, key, Mark.DONE, built):
                    self._listen(events.BuildEnded(step.asset, built, reused=False))
                    return True
            except BaseException as error:
                clean = isinstance(error, AnabranchError) and not isinstance(error, OutcomeUnknown)
                clean = clean and not self._stopped.is_set()  # stopped between two statements, it may leave something
                self._end(step, key, Mark.FAILED, None, clean=clean)
                raise
            finally:
                self._heartbeat.discard(key)
            again = False  # the claim was lost to another, who took us for dead: theirs will do

    def _claim(self, step: Build, snapshot: Snapshot, key: str, *, again: bool) -> _Claim | Built:
        journal = line(self._plan.id, step.id)
        pause, told = POLL[0], False
        while True:
            seen = self._state.store.read([key]).get(key)
            found = Physical.decode(snapshot.location, seen) if seen else None
            if found is not None and found.stage is Stage.BUILT and found.built is not None and not again:
                self._state.store.swap({}, {journal: Mark.DONE.value.encode()}, durable=False)
                return found.built
            if found is None or found.stage is Stage.BUILT or self._state.is_dead(found.holder, found.seen):
                # what a dead builder left may be whole; what was condemned isn't to be trusted
                in_doubt = found is not None and found.stage is Stage.BUILDING
                stage = Stage.BUILDING if found is None or in_doubt else Stage.CONDEMNED
                token, now = self._state.holder.token, self._state.store.now()
                mine = Physical(snapshot.location, snapshot.id, stage, token, now)
                write = {key: mine.encode(), journal: Mark.BEGIN.value.encode()}
                if self._state.store.swap({key: seen}, write, durable=False):
                    return _Claim.IN_DOUBT if in_doubt else _Claim.MINE
                continue
            if not told:
                self._listen(events.Waiting(step.asset, describe(found.holder)))
                told = True
            again = False  # what comes of it is newer than what this plan found wanting
            if self._stopped.wait(pause):
                raise AnabranchError(f"{step.asset} was given up before it was begun", asset=step.asset)
            pause = min(pause * 1.5, POLL[1])

    def _make(self, step: Build, snapshot: Snapshot, provider: Provider, *, in_doubt: bool) -> Built:
        previous = self._state.snapshots([step.previous])[step.previous] if step.previous else None
        if in_doubt:
            there = provider.probe(snapshot)
            if isinstance(there, Built):
                return self._based(snapshot, there, previous)
            if there is Outcome.UNKNOWN:
                raise OutcomeUnknown(
                    f"{step.asset} may or may not have been built, and {provider.name} can't tell",
                    asset=step.asset,
                    hint=f"look at {snapshot.location}, drop it if it isn't whole, and run the command again",
                )
        self._listen(events.BuildBegan(step.asset))
        work = Work(step.spans, self._plan.now, in_doubt, self._plan.partial, previous, step.anew)
        return self._based(snapshot, provider.build(snapshot, self._inputs(snapshot), work), previous)

    def _based(self, snapshot: Snapshot, built: Built, previous: Snapshot | None) -> Built:
        """A clone of a clone goes back to the same source as that."""
        if previous is None or previous.kind is not Kind.CLONE or CARRIES in snapshot.properties:
            return built
        first = self._state.built([previous.location]).get(previous.location)
        return replace(built, base=first.base if first is not None else "")

    def _end(self, step: Build, key: str, mark: Mark, built: Built | None, *, clean: bool = True) -> bool:
        """Ends claim and journal line together; False where the claim is somebody else's by now. ``clean``: a build
        that failed has left nothing."""
        location = key.removeprefix(PHYSICAL)

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            found = Physical.decode(location, seen[key]) if key in seen else None
            if found is None or found.holder != self._state.holder.token:
                return None
            given_up = replace(found, holder="", seen=0.0)
            left: bytes | None = None
            if built is not None:
                left = replace(given_up, stage=Stage.BUILT, built=built, at=self._state.store.now()).encode()
            elif found.stage is Stage.CONDEMNED or not clean:  # what stands there isn't to be trusted
                left = replace(given_up, stage=Stage.CONDEMNED).encode()
            write = {key: left, line(self._plan.id, step.id): mark.value.encode()}
            write[AUDITED + location] = None  # what stood there was audited, not this
            content = built.content if built is not None else None
            is_shown = self._snapshots[step.snapshot].kind is not Kind.CLONE
            if (
                built is not None and content is None and self._plan.partial and is_shown
            ):  # a preview of what it reads, at least
                content = first((), float(self._plan.now), partial=True)
            if content is not None:
                write[CONTENT + location] = content.encode().encode()
            return write

        return self._state.swap(change, [key], durable=False)
