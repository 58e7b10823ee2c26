"""Differences between two environments, from cheap to dear: pointers, columns, counts, rows."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from anabranch.app.state import State
from anabranch.domain.commit import Environment
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError
from anabranch.ports.provider import Built, Tables
from anabranch.ports.rows import RowDiff, RowOptions


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column's type before and after; None where it isn't there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class AssetDiff:
    """``before`` and ``after`` are the snapshots; None where the environment doesn't have the asset."""

    asset: AssetName
    before: Snapshot | None
    after: Snapshot | None
    columns: tuple[ColumnChange, ...] = ()
    rows_before: int | None = None
    rows_after: int | None = None
    rows: RowDiff | None = None

    @property
    def same_data(self) -> bool:
        """Whether only what is said about it differs."""
        return self.before is not None and self.after is not None and _same_data(self.before, self.after)


@dataclass(frozen=True, slots=True)
class EnvironmentDiff:
    """Equal pointers are equal data: ``same`` assets needed no look. ``options``: how rows were compared, where they
    were."""

    before: Environment
    after: Environment
    assets: tuple[AssetDiff, ...] = field(default=())
    same: int = 0
    options: RowOptions | None = None


def compare(
    state: State,
    tables: Tables,
    before: Environment,
    after: Environment,
    *,
    rows: RowOptions | None = None,
    only: Collection[AssetName] | None = None,
) -> EnvironmentDiff:
    """What ``after`` has that ``before`` hasn't, and the other way round. ``rows``: compare them too; keys named
    there go before those that an asset declares. ``only``: look at no other assets.

    Raises:
        AnabranchError: as :meth:`anabranch.ports.provider.Tables.compare`, and about which asset.
    """
    old, new = (state.commit(e.head).tree for e in (before, after))
    changes = [c for c in state.trees.diff(old, new) if only is None or c.asset in only]
    total = state.trees.count(new) if only is None else sum(1 for a in only if state.trees.get(new, a) is not None)
    snapshots = state.snapshots({i for c in changes for i in (c.before, c.after) if i is not None})
    built = state.built([s.location for s in snapshots.values() if s.is_physical])
    found = []
    for change in changes:
        was = snapshots[change.before] if change.before else None
        now = snapshots[change.after] if change.after else None
        found.append(_asset(change.asset, was, now, built, tables, rows))
    same = total - sum(1 for c in changes if c.after)
    return EnvironmentDiff(before, after, tuple(found), same, rows)


def _asset(
    asset: AssetName,
    was: Snapshot | None,
    now: Snapshot | None,
    built: dict[str, Built],
    tables: Tables,
    options: RowOptions | None,
) -> AssetDiff:
    old = built.get(was.location) if was else None
    new = built.get(now.location) if now else None
    rows = None
    if options and was is not None and now is not None and _has_rows(was, now) and not _same_data(was, now):
        try:
            rows = tables.compare(was, now, replace(options, keys=options.keys or now.keys))
        except AnabranchError as error:
            error.asset = error.asset or asset
            raise
    return AssetDiff(asset, was, now, _columns(old, new), old.rows if old else None, new.rows if new else None, rows)


def _has_rows(was: Snapshot, now: Snapshot) -> bool:
    return was.is_physical and now.is_physical


def _same_data(was: Snapshot, now: Snapshot) -> bool:
    return (was.fingerprint, was.kind) == (now.fingerprint, now.kind)


def _columns(old: Built | None, new: Built | None) -> tuple[ColumnChange, ...]:
    if old is None or new is None:
        return ()
    before, after = dict(old.columns), dict(new.columns)
    names = [*after, *(n for n in before if n not in after)]
    return tuple(ColumnChange(n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n))
