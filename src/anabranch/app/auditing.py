"""Audits: what is built or computed is looked at before anything points at it.

What a location's rows have passed is recorded by generation, so that an audit runs once. A build forgets the record; a
generation's is written in the swap that publishes it. So whoever dies between a build and its audits leaves rows that
count as not audited, and the next plan that would point at them runs the audits first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from anabranch.app import events
from anabranch.app.scheduling import in_order
from anabranch.app.state import AUDITED, PHYSICAL, Physical, State, decode_audited, encode_audited
from anabranch.domain import intervals
from anabranch.domain.audit import Audit, Finding, audited_key
from anabranch.domain.auditing import Lookup
from anabranch.domain.ids import StepId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Audits, Plan
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError, AuditFailed
from anabranch.ports.provider import Audited, Over, Provider, Staged, Work

InputsOf = Callable[[Snapshot], Mapping[AssetName, Snapshot]]


def keys_of(snapshot: Snapshot, after: Lookup) -> dict[str, Audit]:
    """The audits of a snapshot by what a pass of each is recorded under, given where it finds what else they read."""
    found: dict[str, Audit] = {}
    for audit in snapshot.audits:
        places = {r: (s.location or s.fingerprint) for r in audit.reads if (s := after(r)) is not None}
        found[audited_key(audit, places)] = audit
    return found


def lacking(state: State, snapshots: Iterable[Snapshot], after: Lookup) -> set[AssetName]:
    """Those whose rows, as they stand, have audits to pass yet."""
    wanted = [s for s in snapshots if s.audits and s.is_physical]
    if not wanted:
        return set()
    locations = [s.location for s in wanted]
    passed, contents = state.audited(locations), state.contents(locations)
    found = set()
    for snapshot in wanted:
        content = contents.get(snapshot.location)
        done = passed.get(snapshot.location, {}).get(content.current, set()) if content else set()
        if keys_of(snapshot, after).keys() - done:
            found.add(snapshot.asset)
    return found


class Auditor:
    """Runs the audits of one plan."""

    def __init__(
        self,
        state: State,
        providers: Mapping[str, Provider],
        plan: Plan,
        inputs: InputsOf,
        after: Lookup,
        listen: events.Listener,
    ) -> None:
        """``inputs`` finds what a snapshot's audits read; ``after`` one asset, in the tree that results, where its data
        stands: what early cutoff kept has passed there what it passed before."""
        self._state = state
        self._providers = providers
        self._plan = plan
        self._inputs = inputs
        self._after = after
        self._listen = listen
        self._snapshots = state.snapshots([a.snapshot for a in plan.audits])

    def run(self, step: Audits) -> tuple[Finding, ...]:
        """Over what stands there, but for what it has passed already.

        Raises:
            AuditFailed: some rows fail an audit that blocks.
        """
        snapshot = self._snapshot(step)
        location = snapshot.location
        stands = self._state.store.read([PHYSICAL + location]).get(PHYSICAL + location)
        content = self._state.contents([location]).get(location)
        if stands is None or content is None:
            raise AnabranchError(f"{location} isn't there", asset=step.asset, hint="plan again")
        generation = content.current
        done = self._state.audited([location]).get(location, {}).get(generation, set())
        wanted = {k: a for k, a in keys_of(snapshot, self._after).items() if k not in done}
        if not wanted:
            return ()
        work = Work(content.now.held, self._plan.now)
        findings = self._findings(snapshot, list(wanted.values()), Over(work=work))
        self._record(location, stands, generation, wanted)
        return findings

    def run_staged(
        self, step: Audits, staged: Mapping[AssetName, Staged]
    ) -> tuple[tuple[Finding, ...], frozenset[str]]:
        """Over what was just computed, and what a pass is to be recorded under. Raises ``AuditFailed``."""
        snapshot = self._snapshot(step)
        wanted = keys_of(snapshot, self._after)
        spans = next((s.spans for s in self._plan.refreshes if s.asset == step.asset), ())
        over = Over(staged, Work(spans, self._plan.now))
        return self._findings(snapshot, list(wanted.values()), over), frozenset(wanted)

    def _snapshot(self, step: Audits) -> Snapshot:
        return self._after(step.asset) or self._snapshots[step.snapshot]

    def _findings(self, snapshot: Snapshot, audits: list[Audit], over: Over) -> tuple[Finding, ...]:
        began = time.perf_counter()
        provider = cast(Audited, self._providers[snapshot.provider])
        findings = tuple(provider.audit(snapshot, self._inputs(snapshot), audits, over))
        self._listen(events.Audited(snapshot.asset, findings, time.perf_counter() - began))
        bad = [f for f in findings if f.blocks]
        if bad:
            raise failure(snapshot, bad)
        return findings

    def _record(self, location: str, stands: bytes, generation: int, keys: Collection[str]) -> None:
        """Nothing where another build has taken the place meanwhile."""
        cell = AUDITED + location
        was = Physical.decode(location, stands)

        def change(seen: Mapping[str, bytes]) -> Mapping[str, bytes | None] | None:
            there = seen.get(PHYSICAL + location)
            now = Physical.decode(location, there) if there is not None else None
            if now is None or (now.stage, now.at) != (was.stage, was.at):
                return None
            passed = decode_audited(seen[cell]) if cell in seen else {}
            return {cell: encode_audited({**passed, generation: passed.get(generation, set()) | set(keys)})}

        self._state.swap(change, [cell, PHYSICAL + location], durable=False)


def failure(snapshot: Snapshot, bad: Collection[Finding]) -> AuditFailed:
    """What is wrong with a snapshot's rows."""
    first = next(iter(bad))
    rows = "1 row" if first.count == 1 else f"{first.count:,} rows"
    told = f"{first.audit}: {rows}" if len(bad) == 1 else f"{len(bad)} audits"
    return AuditFailed(f"{snapshot.asset} fails {told}", list(bad), asset=snapshot.asset)


def told_of(failed: Sequence[tuple[AssetName, AnabranchError]], what: str) -> str:
    """Who failed: an audit, or else (``what``) something before it."""
    audits = [asset for asset, error in failed if isinstance(error, AuditFailed)]
    others = [asset for asset, error in failed if not isinstance(error, AuditFailed)]
    told = []
    if others:
        told.append(f"{len(others)} models {what}" if len(others) > 1 else f"{others[0]} {what}")
    if audits:
        told.append(
            f"{len(audits)} models failed their audits" if len(audits) > 1 else f"{audits[0]} failed its audits"
        )
    return ", ".join(told)


@dataclass(slots=True)
class Outcome:
    """What the audits of one asset found, or why they couldn't be run."""

    asset: AssetName
    findings: tuple[Finding, ...] = ()
    error: AnabranchError | None = None

    @property
    def failed(self) -> bool:
        return self.error is not None or any(f.blocks for f in self.findings)


@dataclass(slots=True)
class EnvironmentAudit:
    """All audits of an environment, over what it shows now. Changes nothing, and records nothing."""

    state: State
    providers: Mapping[str, Provider]
    inputs: InputsOf
    now: datetime
    _outcomes: dict[StepId, Outcome] = field(default_factory=dict)

    def run(self, snapshots: Collection[Snapshot], tell: Callable[[Outcome], None]) -> list[Outcome]:
        """Of each snapshot that has audits, in the order of names. ``tell`` hears of each as it ends."""
        wanted = {StepId(s.asset): s for s in snapshots if s.audits and s.is_physical}
        contents = self.state.contents([s.location for s in wanted.values()])

        def do(step: StepId) -> None:
            snapshot = wanted[step]
            content = contents.get(snapshot.location)
            work = Work(content.now.held if content else (), intervals.seconds(self.now))
            outcome = Outcome(snapshot.asset)
            try:
                provider = cast(Audited, self.providers[snapshot.provider])
                found = provider.audit(snapshot, self.inputs(snapshot), list(snapshot.audits), Over(work=work))
                outcome.findings = tuple(found)
            except AnabranchError as error:
                outcome.error = error
            self._outcomes[step] = outcome
            tell(outcome)

        in_order(
            dict.fromkeys(wanted, ()),
            do,
            workers=max((p.workers for p in self.providers.values()), default=1),
            broke=lambda step, error: None,
            skipped=lambda step, because: None,
            stop=self._stop,
        )
        return [self._outcomes[step] for step in sorted(self._outcomes)]

    def _stop(self) -> None:
        for provider in self.providers.values():
            provider.interrupt()
