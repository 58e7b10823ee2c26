"""How an environment differs from what is expected of it, by the catalog."""

from __future__ import annotations

from anabranch.domain.clones import clones_among
from anabranch.ports.engine import Session
from anabranch.ports.provider import Drift, Expectation, Fault
from anabranch.providers import cloning
from anabranch.providers.showing import Showing
from anabranch.providers.standing import difference, is_as_built, relation
from anabranch.providers.turns import Turns


def pointer_drift(session: Session, showing: Showing, expectation: Expectation) -> list[Drift]:
    """Of what readers see: views, and clones."""
    wanted = (showing.pointer(expectation.environment, a, s) for a, s in expectation.snapshots.items())
    expected = {place: (asset, target) for asset, place, target in filter(None, wanted)}
    found = session.targets({p.schema for p in expected})
    drifts = []
    for place, (asset, target) in expected.items():
        if place not in found:
            drifts.append(Drift(Fault.UNPOINTED, asset, f"view {place} is gone"))
        elif found[place] != target:
            drifts.append(Drift(Fault.REPOINTED, asset, f"view {place} was replaced"))
    for asset, snapshot in clones_among(expectation.snapshots).items():
        place, location = showing.at(expectation.environment, asset), relation(snapshot.location)
        table = cloning.table_of(session, snapshot)
        if table == location:
            drifts.append(Drift(Fault.UNPOINTED, asset, f"the clone {place} isn't shown"))
        elif table is None and cloning.is_shown(session, place, location):
            drifts.append(Drift(Fault.UNPOINTED, asset, f"view {location} is gone"))
    return drifts


def physical_drift(session: Session, showing: Showing, turns: Turns, expectation: Expectation) -> list[Drift]:
    """Of what stands at locations."""
    clones = clones_among(expectation.snapshots)
    lost = cloning.gone(session, [(a, s, showing.at(expectation.environment, a)) for a, s in clones.items()])
    physical = {
        relation(s.location): (a, s) for a, s in expectation.snapshots.items() if s.is_physical and a not in clones
    }
    found = turns.standing(session, {r.schema for r in physical})
    drifts = [Drift(Fault.MISSING, a, f"the clone {showing.at(expectation.environment, a)} is gone") for a in lost]
    for place, (asset, snapshot) in physical.items():
        there = found.get(place)
        built = expectation.built.get(snapshot.location)
        if there is None:
            drifts.append(Drift(Fault.MISSING, asset, f"{place} is gone"))
        elif built is not None and not is_as_built(built, there):
            drifts.append(Drift(Fault.ALTERED, asset, f"{place} was altered: {difference(built, there)}"))
    return drifts
