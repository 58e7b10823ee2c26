"""What new clones cost, and what those take over that take the place of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from anabranch.app.clone_merging import conflict, phrase
from anabranch.app.drift import Inspector
from anabranch.domain import sizes
from anabranch.domain.clones import CARRIES, COPIED, ORIGIN, PAST, WRITTEN, uncloned
from anabranch.domain.ids import SnapshotId
from anabranch.domain.names import EnvironmentName
from anabranch.domain.plan import Decision, Verb
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import Refused, WarehouseBusy
from anabranch.ports.clones import Clones, Weight
from anabranch.ports.provider import Built, Provider


class Weighing:
    """Weighs the clones of a plan."""

    def __init__(self, providers: Mapping[str, Provider], inspector: Inspector) -> None:
        self._providers = providers
        self._inspector = inspector

    def weighed(
        self, name: EnvironmentName, decision: Decision, snapshots: Mapping[SnapshotId, Snapshot], *, is_back: bool
    ) -> Decision:
        """A decision to make a clone, with what that costs. ``is_back``: it was there before.

        Raises:
            Refused: it can't be made again as it was, or what was written to the earlier one can't be kept.
            MergeConflict: it can't be kept, for the same rows of the source were written to.
        """
        assert decision.after is not None
        clone = snapshots[decision.after]
        if is_back and (WRITTEN in clone.properties or ORIGIN in clone.properties):
            raise Refused(
                f"the clone of {clone.asset} that {name} had then was cleaned up, with all that was in it",
                asset=clone.asset,
                hint=f"make another one: anabranch clone {clone.asset} -e {name}",
            )
        provider = cast(Clones, self._providers[clone.provider])
        earlier = snapshots[decision.before] if decision.before is not None else None
        source = earlier if ORIGIN in clone.properties and earlier is not None else uncloned(clone)
        try:
            kept = self._kept(name, provider, decision, earlier) if earlier and CARRIES in clone.properties else ""
            weight = provider.weigh(source, past=PAST in clone.properties, is_copy=COPIED in clone.properties)
        except WarehouseBusy as busy:
            if CARRIES in clone.properties:
                raise
            return replace(decision, verb=Verb.CLONE, because=f"its size isn't known: {busy.message}")
        finally:
            self._inspector.release()
        past = clone.properties.get(PAST)
        told = told_weight(weight) + (f", as it was at {past}" if past else "") + kept
        return replace(decision, verb=Verb.COPY if weight.why else Verb.CLONE, because=told)

    def _kept(self, name: EnvironmentName, provider: Clones, decision: Decision, earlier: Snapshot) -> str:
        """What was written to the clone whose place is taken, as a phrase."""
        asset = decision.asset
        found = provider.weigh_merge(earlier, Built())
        if found.why or not found.keys:
            why = found.why or "no key tells its rows apart"
            raise Refused(
                f"what was written to the clone of {asset} in {name} can't be kept: {why}",
                asset=asset,
                hint=found.hint or f"make a new clone, and write to that: anabranch clone {asset} -e {name}",
            )
        if found.conflicts:
            raise conflict(name, {asset: (found, decision.before, None)})
        return f"; what was written is kept, {phrase(found)}"


def told_weight(weight: Weight) -> str:
    """``zero-copy``; ``1.2 GB, 10,000,000 rows (duckdb has no clones)``."""
    if not weight.why:
        return "zero-copy"
    size = f"{sizes.told(weight.size)}, " if weight.size is not None else ""
    rows = f"{weight.rows:,} row{'' if weight.rows == 1 else 's'} " if weight.rows is not None else ""
    return f"{size}{rows}({weight.why})"
