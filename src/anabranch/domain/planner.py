"""From two trees to a plan's decisions and steps."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from anabranch.domain.audit import difference
from anabranch.domain.clones import differs
from anabranch.domain.ids import SnapshotId, StepId
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Build, Decision, Point, Reason, Step, Verb
from anabranch.domain.restated import PROPERTY
from anabranch.domain.snapshot import Input, Kind, Snapshot
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
    phrases: dict[tuple[SnapshotId, SnapshotId], str] = {}

    def explained(before: Snapshot, after: Snapshot) -> str:
        pair = before.id, after.id
        if pair not in phrases:
            phrases[pair] = explain(before, after)
        return phrases[pair]

    by_asset = {c.asset: c for c in changes}
    decisions = []
    for change in changes:
        before = snapshots[change.before] if change.before else None
        after = snapshots[change.after] if change.after else None
        reason, because = _reason(before, after, by_asset, snapshots, explained)
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
    decisions = list(decisions)
    wanted = {d.asset: snapshots[d.after] for d in decisions if d.verb is Verb.BUILD and d.after}
    kept = {d.asset: d.before for d in decisions if d.asset in wanted and _may_keep(d, snapshots)}
    found: list[Step] = []
    for asset in sorted(wanted):
        snapshot = wanted[asset]
        needs = tuple(sorted(_build_id(u) for u in _physical_upstreams(snapshot, after) if u in wanted))
        keeps = kept.get(asset)
        found.append(Build(_build_id(asset), snapshot.provider, asset, snapshot.id, needs, asset in again, keeps=keeps))
    found.extend(Point(StepId(f"point:{p}"), p, environment) for p in sorted(providers))
    return tuple(found)


def _may_keep(decision: Decision, snapshots: Mapping[SnapshotId, Snapshot]) -> bool:
    """Whether only what it reads has changed, so that its data stays if that holds the same data. Views are cheap, and
    name the tables that they read."""
    if decision.reason is not Reason.UPSTREAM_CHANGED or decision.before is None or decision.after is None:
        return False
    before, after = snapshots[decision.before], snapshots[decision.after]
    return before.kind is after.kind is not Kind.VIEW and before.provider == after.provider and bool(before.location)


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
        return (Reason.CLONED, "a clone of its own") if after.kind is Kind.CLONE else (Reason.ADDED, "new")
    is_new_clone = after.kind is Kind.CLONE and before.location != after.location
    if before.fingerprint == after.fingerprint and before.kind == after.kind and not is_new_clone:
        said = sorted(
            k for k in {*before.properties, *after.properties} if before.properties.get(k) != after.properties.get(k)
        )
        told = [f"{' and '.join(said)} changed"] if said else []
        told += [phrase] if (phrase := difference(before.audits, after.audits)) else []
        anew = "the same data in other words" if before.logic != after.logic else "described anew"
        return Reason.DESCRIBED, "; ".join(told) or anew
    if after.kind is Kind.CLONE and (before.kind is not Kind.CLONE or before.location != after.location):
        return Reason.CLONED, "a clone of its own"
    if after.kind is Kind.CLONE and differs(after) and before.properties.get(PROPERTY) != after.properties[PROPERTY]:
        return Reason.WRITTEN, "written to"
    if before.kind is Kind.CLONE and after.kind is Kind.EXTERNAL:
        return Reason.CHANGED, "the source again"
    if (mark := after.properties.get(PROPERTY)) and before.properties.get(PROPERTY) != mark:
        return Reason.RESTATED, "restated"
    if before.logic != after.logic or before.kind != after.kind:
        return Reason.CHANGED, explain(before, after)
    return Reason.UPSTREAM_CHANGED, _cause(after, changes, snapshots, explain)


def _cause(
    after: Snapshot,
    changes: Mapping[AssetName, Change],
    snapshots: Mapping[SnapshotId, Snapshot],
    explain: Explain,
) -> str:
    """What changed of what it reads: ``reads late_share of marts.delays`` where the definition of that changed, ``reads
    late_share through marts.delays`` where it only follows. Without columns: ``reads ROOT through NEAREST``."""
    moved = _moved(after, changes, snapshots)
    if moved is None:
        return "reads something that changed"
    nearest, old, new = moved
    root, is_own = _root(nearest, old, new, changes, snapshots)
    if old is None or new is None:
        return f"reads {nearest}"
    told = _columns_that_changed(after.upstreams[nearest], old, new)
    if told:
        return f"reads {told} {'of' if is_own else 'through'} {nearest}"
    if not is_own:
        return f"reads {root} through {nearest}"
    if after.upstreams[nearest].columns is None:
        return f"reads {nearest}"
    phrase = explain(old, new)
    return f"reads the rows of {nearest}" + (f", whose {phrase}" if phrase in _OF_ROWS else "")


_OF_ROWS = frozenset(
    ["filter changed", "join changed", "grouping changed", "source changed", "limit changed", "distinct changed"]
)
_SHOWN = 2
"""So many columns are named; the rest is counted."""
_Moved = tuple[AssetName, Snapshot | None, Snapshot | None]


def _moved(
    after: Snapshot,
    changes: Mapping[AssetName, Change],
    snapshots: Mapping[SnapshotId, Snapshot],
) -> _Moved | None:
    """The first upstream of which something changed that is read, as it was and as it is."""
    for upstream in sorted(after.upstreams):
        change = changes.get(upstream)
        if change is None:
            continue
        old = snapshots[change.before] if change.before else None
        new = snapshots[change.after] if change.after else None
        if old is None or new is None or not after.upstreams[upstream].holds(old):
            return upstream, old, new
    return None


def _root(
    nearest: AssetName,
    old: Snapshot | None,
    new: Snapshot | None,
    changes: Mapping[AssetName, Change],
    snapshots: Mapping[SnapshotId, Snapshot],
) -> tuple[AssetName, bool]:
    """The first changed definition on the way up, and whether that is the nearest one."""
    at = nearest
    while new is not None and old is not None and old.logic == new.logic and old.kind == new.kind:
        moved = _moved(new, changes, snapshots)
        if moved is None:
            break
        at, old, new = moved
    return at, at == nearest


def _columns_that_changed(read: Input, old: Snapshot, new: Snapshot) -> str:
    """The columns that are read and changed; nothing where the rows did, or where all of it is read."""
    if read.columns is None or old.published.rows != new.published.rows:
        return ""
    found = [c for c in read.columns if old.published.column(c) != new.published.column(c)]
    named = [c for c in found if c]
    if not named:
        return "the order" if found else ""
    more = len(named) - _SHOWN
    if more > 0:
        return f"{', '.join(named[:_SHOWN])} and {more} more"
    return " and ".join(named)
