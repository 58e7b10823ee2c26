"""From two trees to a plan's decisions and steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from anabranch.domain.audit import difference
from anabranch.domain.ids import SnapshotId, StepId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Build, Decision, Point, Reason, Step, Verb
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.tree import Change

Explain = Callable[[Snapshot, Snapshot], str]
"""What changed in a definition, as a phrase."""


def unexplained(before: Snapshot, after: Snapshot) -> str:
    """Just that it changed."""
    return "code changed"


def decide(
    changes: Iterable[Change],
    snapshots: Mapping[SnapshotId, Snapshot],
    built: Collection[str],
    *,
    drifted: Mapping[AssetName, SnapshotId] | None = None,
    explain: Explain = unexplained,
) -> list[Decision]:
    """What becomes of each changed asset.

    Args:
        changes: between the environment as it is and as it shall be.
        snapshots: at least all that ``changes`` and ``drifted`` name.
        built: the locations that hold a finished build.
        drifted: assets whose physical form is missing or was altered by hand, changed or not, with the snapshot wanted.
        explain: a phrase for a changed definition.
    """
    changes = list(changes)
    drifted = drifted or {}
    by_asset = {c.asset: c for c in changes}
    decisions = []
    for change in changes:
        before = snapshots[change.before] if change.before else None
        after = snapshots[change.after] if change.after else None
        reason, because = _reason(before, after, by_asset, snapshots, explain)
        verb = _verb(before, after, built)
        if after is not None and change.asset in drifted:
            verb = Verb.BUILD
        decisions.append(Decision(change.asset, change.before, change.after, verb, reason, because))
    for asset, snapshot in sorted(drifted.items()):
        if asset not in by_asset:
            phrase = "missing or altered in the warehouse"
            decisions.append(Decision(asset, snapshot, snapshot, Verb.BUILD, Reason.DRIFTED, phrase))
    return sorted(decisions, key=lambda d: d.asset)


def steps(
    decisions: Iterable[Decision],
    snapshots: Mapping[SnapshotId, Snapshot],
    environment: EnvironmentName,
    providers: Collection[str],
    after: Callable[[AssetName], Snapshot | None],
    again: Collection[AssetName] = (),
) -> tuple[Step, ...]:
    """Builds, each with the builds that it needs, then one step for each of ``providers`` that shows the result.

    Embedded models are seen through (``after`` looks an asset up in the resulting tree): their readers need what they
    read.
    ``again``: assets whose location holds something that isn't to be trusted.
    """
    wanted = {d.asset: snapshots[d.after] for d in decisions if d.verb is Verb.BUILD and d.after}
    found: list[Step] = []
    for asset in sorted(wanted):
        snapshot = wanted[asset]
        needs = tuple(sorted(_build_id(u) for u in _physical_upstreams(snapshot, after) if u in wanted))
        found.append(Build(_build_id(asset), snapshot.provider, asset, snapshot.id, needs, asset in again))
    found.extend(Point(StepId(f"point:{p}"), p, environment) for p in sorted(providers))
    return tuple(found)


def _build_id(asset: AssetName) -> StepId:
    return StepId(f"build:{asset}")


def _physical_upstreams(snapshot: Snapshot, after: Callable[[AssetName], Snapshot | None]) -> set[AssetName]:
    found: set[AssetName] = set()
    seen: set[AssetName] = set()
    stack = list(snapshot.upstreams)
    while stack:
        upstream = stack.pop()
        if upstream in seen:
            continue
        seen.add(upstream)
        there = after(upstream)
        if there is not None and not there.is_physical:
            stack.extend(there.upstreams)
        else:
            found.add(upstream)
    return found


def _verb(before: Snapshot | None, after: Snapshot | None, built: Collection[str]) -> Verb:
    if after is None:
        return Verb.REMOVE
    same_place = before is not None and (before.kind, before.location) == (after.kind, after.location)
    if same_place and before is not None and before.fingerprint == after.fingerprint:
        return Verb.DESCRIBE
    if not after.is_physical:
        return Verb.DEFINE
    return Verb.REUSE if after.location in built else Verb.BUILD


def _reason(
    before: Snapshot | None,
    after: Snapshot | None,
    changes: Mapping[AssetName, Change],
    snapshots: Mapping[SnapshotId, Snapshot],
    explain: Explain,
) -> tuple[Reason, str]:
    if after is None:
        return Reason.REMOVED, "no longer in the project"
    if before is None:
        return Reason.ADDED, "new"
    if before.fingerprint == after.fingerprint and before.kind == after.kind:
        said = sorted(
            k for k in {*before.properties, *after.properties} if before.properties.get(k) != after.properties.get(k)
        )
        told = [f"{' and '.join(said)} changed"] if said else []
        told += [phrase] if (phrase := difference(before.audits, after.audits)) else []
        return Reason.DESCRIBED, "; ".join(told) or "described anew"
    if before.logic != after.logic or before.kind != after.kind:
        return Reason.CHANGED, explain(before, after)
    return Reason.UPSTREAM_CHANGED, _path_to_cause(after, changes, snapshots)


def _path_to_cause(
    after: Snapshot, changes: Mapping[AssetName, Change], snapshots: Mapping[SnapshotId, Snapshot]
) -> str:
    """``reads ROOT through NEAREST``: the first changed definition on the way up."""
    nearest: AssetName | None = None
    at = after
    while True:
        moved = [u for u in sorted(at.upstreams) if _data_changed(changes.get(u), snapshots)]
        if not moved:
            return f"reads {nearest}" if nearest else "reads something that changed"
        upstream = moved[0]
        change = changes[upstream]
        nearest = nearest or upstream
        new = snapshots[change.after] if change.after else None
        old = snapshots[change.before] if change.before else None
        if new is None or old is None or old.logic != new.logic:
            return f"reads {upstream}" if upstream == nearest else f"reads {upstream} through {nearest}"
        at = new


def _data_changed(change: Change | None, snapshots: Mapping[SnapshotId, Snapshot]) -> bool:
    if change is None:
        return False
    if change.before is None or change.after is None:
        return True
    return snapshots[change.before].fingerprint != snapshots[change.after].fingerprint
