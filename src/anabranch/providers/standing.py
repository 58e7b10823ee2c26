"""What stands in the warehouse, and whether it is ours: questions asked before and after models are shown."""

from __future__ import annotations

from collections.abc import Mapping

from anabranch.domain.clones import differs
from anabranch.domain.names import SEPARATOR, AssetName
from anabranch.domain.places import is_adopted, is_clone, is_physical_schema
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import AnabranchError, ModelError, Refused, StatementFailed
from anabranch.ports.engine import Found, Relation, Session
from anabranch.ports.provider import Built
from anabranch.sql.spelling import same_definition


def relation(location: str) -> Relation:
    """``schema.table`` (or ``catalog.schema.table``) as an address."""
    *catalog, schema, name = location.split(".")
    return Relation(schema, name, catalog[0] if catalog else None)


def read_at(snapshot: Snapshot) -> Relation:
    """Where those find a snapshot's rows that are built over it. A clone that holds what its source held is read there,
    for what is built over it is shared with others by the fingerprints of the source; so nothing that is written to the
    clone meanwhile can reach them."""
    if snapshot.kind is Kind.CLONE and not differs(snapshot):
        return relation(snapshot.asset)
    return relation(snapshot.location)


def check_free(session: Session, places: Mapping[Relation, tuple[AssetName, Relation]]) -> None:
    """``places``: where assets are about to be shown for the first time, and over what. Only a view that shows the same
    asset may stand there already (one that was set before the state was lost)."""
    schemas = {p.schema for p in places}
    taken = {_folded(f.relation): f for f in session.find(schemas)}
    pointed = session.targets(schemas) if taken else {}
    for place, (asset, target) in sorted(places.items()):
        found = taken.get(_folded(place))
        if found is None:
            continue
        there = pointed.get(found.relation)
        if there is not None and there.schema == place.schema and is_adopted(str(there)) and _stem(there) == place:
            continue  # over the table of the same asset, adopted before the state was lost
        if not found.is_view and any(t == place and is_clone(str(v)) for v, t in pointed.items()):
            continue  # a clone of the environment's, which is set aside
        if there is None or not (there == target or is_physical_schema(there.schema)):
            what = "view" if found.is_view else "table"
            raise Refused(
                f"{place} is a {what} that Anabranch didn't make, so {asset} can't be shown there",
                hint=f"rename that {what} or the model" + _or_adopt(asset, place, found),
                asset=asset,
            )
        if there != target and _stem(there) != _stem(target):
            raise Refused(
                f"{place} shows another model already (over {there}), so {asset} can't be shown there",
                hint="rename one of them, or choose another environment's name",
                asset=asset,
            )


def _or_adopt(asset: AssetName, place: Relation, found: Found) -> str:
    return f", or take it over: anabranch adopt {asset}" if not found.is_view and str(place) == asset else ""


def _folded(relation: Relation) -> Relation:
    """For engines that compare names without regard to case."""
    return Relation(relation.schema.lower(), relation.name.lower(), relation.catalog)


def _stem(physical: Relation) -> Relation:
    """What all versions of an asset have in common."""
    return Relation(physical.schema, physical.name.rpartition(SEPARATOR)[0])


def why_not(session: Session, pointers: Mapping[Relation, Relation | None], failure: StatementFailed) -> AnabranchError:
    """Why pointers couldn't be set, in the user's terms."""
    tables = {_folded(f.relation) for f in session.find({p.schema for p in pointers}) if not f.is_view}
    targets = {t for t in pointers.values() if t is not None}
    there = {_folded(f.relation) for f in session.find({t.schema for t in targets if t.catalog is None})}
    for place, target in sorted(pointers.items()):
        if _folded(place) in tables:
            return Refused(f"{place} is a table that Anabranch didn't make", hint="rename that table")
        if target is not None and target.catalog is None and _folded(target) not in there:
            hint = (
                "anabranch doctor shows what is missing; anabranch apply builds it again, in an environment that has it"
            )
            return StatementFailed(f"{target} is gone, so it can't be shown as {place}", kind=failure.kind, hint=hint)
    return failure


def check_source(session: Session, asset: AssetName, snapshot: Snapshot, place: str) -> None:
    found = session.describe(relation(snapshot.asset))
    if found is None:
        raise ModelError(
            f"source {asset} isn't in {place}",
            asset=asset,
            hint=f"load it, or correct sources: {asset} in anabranch.yaml",
        )
    there = {name.lower() for name, _ in found.columns}
    for column in snapshot.properties.get("columns", "").split(","):
        if column and column.lower() not in there:
            raise ModelError(
                f"source {asset} has no column {column}",
                asset=asset,
                hint=f"correct sources: {asset} in anabranch.yaml; it has {', '.join(n for n, _ in found.columns)}",
            )


def is_as_built(built: Built, there: Found) -> bool:
    """Whether nobody has altered what was built."""
    return built.columns == there.columns and same_definition(built.definition, there.definition)


def difference(built: Built, there: Found) -> str:
    before, now = dict(built.columns), dict(there.columns)
    for name in {**before, **now}:
        if before.get(name) != now.get(name):
            return f"column {name} is {now.get(name, 'gone')}, was {before.get(name, 'not there')}"
    return "its columns have another order" if built.columns != there.columns else "its definition is another"
