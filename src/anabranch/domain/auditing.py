"""Where a plan's audits come in: after what they look at, and before what reads it is built."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from anabranch.domain.ids import SnapshotId, StepId
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Audits, Build, Refresh, Step
from anabranch.domain.snapshot import Kind, Snapshot

Lookup = Callable[[AssetName], Snapshot | None]
"""Finds an asset in the tree that results."""


def audit_step(snapshot: Snapshot, identifier: SnapshotId) -> Audits:
    """The step that runs a snapshot's audits, not in order yet."""
    return Audits(StepId(f"audit:{snapshot.asset}"), snapshot.provider, snapshot.asset, identifier)


def with_audits(
    steps: Sequence[Step], audits: Iterable[Audits], snapshots: Mapping[SnapshotId, Snapshot], after: Lookup
) -> tuple[Step, ...]:
    """``steps`` with ``audits`` put in order.

    An audit comes after what makes its model and all else that it reads. What reads the model comes after the audit,
    but where the audit itself has to wait for that: then the environment's pointers alone wait for it. An audit over
    what a refresh made is *late*: it runs among the refreshes.
    """
    making = {s.asset: s for s in steps if isinstance(s, Build | Refresh)}
    found: list[Audits] = []
    for each in audits:
        reads = {r for a in snapshots[each.snapshot].audits for r in a.reads}
        near = reached([each.asset, *reads], after)
        before = [making[a] for a in sorted(near) if a in making]
        late = any(isinstance(s, Refresh) for s in before)
        found.append(replace(each, needs=tuple(s.id for s in before), late=late))
    needs: dict[StepId, tuple[StepId, ...]] = {s.id: s.needs for s in (*making.values(), *found)}
    readers = _readers(making.values(), after) if found else {}
    for each in found:
        for reader in readers.get(each.asset, ()):
            same_round = isinstance(reader, Refresh) == each.late
            if same_round and not _waits(each.id, reader.id, needs):
                needs[reader.id] = (*needs[reader.id], each.id)
    ordered = [replace(s, needs=needs[s.id]) if isinstance(s, Build | Refresh) else s for s in steps]
    at = next((n for n, s in enumerate(ordered) if not isinstance(s, Build | Refresh)), len(ordered))
    return (*ordered[:at], *found, *ordered[at:])


def _readers(making: Iterable[Build | Refresh], after: Lookup) -> dict[AssetName, list[Build | Refresh]]:
    """By asset, the steps that make something of it."""
    found: dict[AssetName, list[Build | Refresh]] = {}
    for step in making:
        snapshot = after(step.asset)
        for asset in sorted(reached(snapshot.upstreams, after)) if snapshot is not None else ():
            found.setdefault(asset, []).append(step)
    return found


def reached(names: Collection[AssetName], after: Lookup) -> set[AssetName]:
    """``names``, and what they are made of where they have no rows of their own: views and embedded models."""
    found: set[AssetName] = set()
    stack = list(names)
    while stack:
        asset = stack.pop()
        if asset in found:
            continue
        found.add(asset)
        snapshot = after(asset)
        if snapshot is not None and snapshot.kind in (Kind.VIEW, Kind.EMBEDDED):
            stack.extend(snapshot.upstreams)
    return found


def _waits(step: StepId, on: StepId, needs: Mapping[StepId, tuple[StepId, ...]]) -> bool:
    """Whether ``step`` has to wait for ``on``, near or far."""
    seen: set[StepId] = set()
    stack = [step]
    while stack:
        at = stack.pop()
        if at == on:
            return True
        if at not in seen:
            seen.add(at)
            stack.extend(needs.get(at, ()))
    return False
