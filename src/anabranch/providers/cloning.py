"""Clones of sources: how they are made, and how they come to stand where people write to them.

A clone is made beside its place, at its location. It is shown by getting its place as its name; a view then stands at
its location, over that place, so that whoever reads the clone by its location reads it wherever it stands. All of this
can be cut off after any statement, and be gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from anabranch.domain.clones import CARRIES, COPIED, DEPTH, PAST
from anabranch.domain.names import AssetName
from anabranch.domain.places import base_location
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import AnabranchError, Refused, StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.clones import Weight
from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Engine, Relation, Session, name
from anabranch.ports.provider import Built
from anabranch.providers.standing import relation

_SOME = (Support.FULL, Support.PARTLY)


# -- making ------------------------------------------------------------------------------------------------------------
def can_clone(engine: Engine) -> bool:
    """Whether no row has to be copied."""
    return engine.capabilities.get(Capability.CLONE_TABLE) in _SOME


def make(
    session: Session,
    engine: Engine,
    snapshot: Snapshot,
    source: Relation,
    origin: Snapshot | None,
    carry: Callable[[], None] | None = None,
) -> Built:
    """Makes the clone of what stands at ``source``, wholly or not at all. ``origin``: another environment's clone,
    where that is what stands there. ``carry``: writes to it what it is to have besides."""
    clone, base = relation(snapshot.location), base_of(snapshot)
    session.create_schemas([clone.schema])
    try:
        session.drop([clone, base])
        before = session.version(source)
        if can_clone(engine):
            session.clone(source, clone, _how(snapshot, engine))
        else:
            session.create_table(clone, f"SELECT * FROM {name(session, source)}")
        _keep_base(session, engine, snapshot, source, origin)
        made = look(session, clone, None if before is None or before != session.version(source) else before)
        if carry is None:
            return made
        carry()
        return replace(made, rows=session.count(clone), token=token(session, clone))
    except BaseException:
        with suppress(AnabranchError):
            session.drop([clone, base])
            session.drop_schemas([clone.schema])
        raise


def is_whole(session: Session, engine: Engine, clone: Snapshot) -> bool:
    """Of one that isn't shown yet: whether all is there that belongs to it, as far as that can be told."""
    if CARRIES in clone.properties:
        return False
    has_base = session.describe(base_of(clone)) is not None
    return has_base or not _wants_base(engine, clone)


def _wants_base(engine: Engine, clone: Snapshot) -> bool:
    """Where it is another copy, only if there is a key to tell rows apart by."""
    return bool(clone.keys) or (can_clone(engine) and COPIED not in clone.properties)


def _how(snapshot: Snapshot, engine: Engine) -> Cloning:
    past = snapshot.properties.get(PAST)
    is_deep = COPIED in snapshot.properties and can_clone(engine)
    return Cloning(at=Past(time=datetime.fromisoformat(past)) if past else None, is_deep=is_deep)


def base_of(clone: Snapshot) -> Relation:
    """Where what it began as is kept."""
    return relation(base_location(clone.location))


def _keep_base(session: Session, engine: Engine, clone: Snapshot, source: Relation, origin: Snapshot | None) -> None:
    """Keeps what a clone began as, to tell what was written to it, and to its source. A clone of another environment's
    clone began as that one did."""
    base, began = base_of(clone), relation(clone.location)
    is_copy = not can_clone(engine) or COPIED in clone.properties
    if not _wants_base(engine, clone):
        return
    if origin is not None:
        began = base_of(origin)
        if session.describe(began) is None:
            return
    if is_copy:
        session.create_table(base, f"SELECT * FROM {name(session, began)}")
    elif is_too_deep(engine, int(clone.properties.get(DEPTH, "0")) + 1):  # then it is the clone's brother
        version = session.version(source)
        session.clone(source, base, _how(clone, engine))
        if version is None or session.version(source) != version:
            session.drop([base])
    else:
        session.clone(began, base)


def is_too_deep(engine: Engine, depth: int) -> bool:
    """Whether the engine makes no clone that is the last of so many clones of one another."""
    limit = engine.clone_rules.depth
    return limit is not None and depth > limit


def look(session: Session, clone: Relation, version: str | None) -> Built:
    """A clone that was just made. ``version``: that of its source, if it is known not to have moved meanwhile."""
    content = token(session, clone)
    base = f"version {version}" if version is not None else "" if content.startswith("version") else content
    return Built(session.count(clone), session.columns(clone) or (), token=content, base=base)


def token(session: Session, table: Relation) -> str:
    """Another text whenever the table holds something else."""
    version = session.version(table)
    if version is not None:
        return f"version {version}"
    return f"content {session.content_hash(table, [c for c, _ in session.columns(table) or ()])}"


def weigh(session: Session, engine: Engine, snapshot: Snapshot, *, past: bool, is_copy: bool) -> Weight:
    """See :class:`anabranch.ports.clones.Clones`."""
    if past and not (can_clone(engine) and engine.capabilities.get(Capability.TIME_TRAVEL) in _SOME):
        raise Refused(
            f"{engine.name} can't clone {snapshot.asset} as it was earlier",
            asset=snapshot.asset,
            hint="leave out --at: the clone begins as the source is now",
        )
    if can_clone(engine) and not is_copy:
        return Weight()
    table = relation(snapshot.location)
    held = session.held([table]).get(table)
    why = f"{engine.name} makes no more clones of clones" if can_clone(engine) else f"{engine.name} has no clones"
    why += "; one more, to merge it by its key" if snapshot.keys else ""
    return Weight(why, session.count(table), held.total if held else None)


# -- where they stand --------------------------------------------------------------------------------------------------
def table_of(session: Session, snapshot: Snapshot) -> Relation | None:
    """The clone's table, wherever it stands; None where it is gone."""
    location = relation(snapshot.location)
    found = session.describe(location)
    if found is None or not found.is_view:
        return location if found is not None else None
    place = session.targets([location.schema]).get(location)
    return place if place is not None and _is_table(session, place) else None


def is_shown(session: Session, place: Relation, location: Relation) -> bool:
    """Whether the clone of ``location`` stands at its place."""
    return not _is_table(session, location) and _is_table(session, place)


def show(session: Session, place: Relation, location: Relation) -> None:
    """Gives a clone its place; one that has it keeps it."""
    if not is_shown(session, place, location):
        if not _is_table(session, location):
            raise StatementFailed(f"{location} is gone", hint="anabranch clone makes another one")
        session.point({place: None})
        session.rename(location, place.name)
    session.point({location: place})


def hide(session: Session, place: Relation, location: Relation) -> None:
    """Takes its place away from a clone; one that hasn't got it stays where it is."""
    if is_shown(session, place, location):
        session.point({location: None})
        session.rename(place, location.name)


def _is_table(session: Session, relation: Relation) -> bool:
    found = session.describe(relation)
    return found is not None and not found.is_view


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of the clones at one place: ``old`` is taken from it, ``new`` is put there, both by location."""

    asset: AssetName
    place: Relation
    old: Relation | None
    new: Relation | None

    def leave(self, session: Session) -> None:
        """The first half. Raises ``Refused``."""
        if (
            self.old is None
            or self.old.schema != self.place.schema
            or (self.new is not None and is_shown(session, self.place, self.new))
        ):
            return
        try:
            hide(session, self.place, self.old)
        except StatementFailed as failure:
            raise Refused(
                f"{self.place} can't be set aside: {failure.message}",
                asset=self.asset,
                hint="what depends on it (an index, a foreign key) must go first",
            ) from failure

    def come(self, session: Session) -> None:
        """The second half."""
        if self.new is not None:
            show(session, self.place, self.new)


def turns(
    moves: Mapping[AssetName, tuple[Snapshot | None, Snapshot | None]], places: Mapping[AssetName, Relation]
) -> list[Turn]:
    """Those of ``moves`` (before and after) in which a clone comes or goes."""
    found = []
    for asset, (before, after) in sorted(moves.items()):
        old, new = (relation(s.location) if s is not None and s.kind is Kind.CLONE else None for s in (before, after))
        if old == new and before != after:  # another mark
            continue
        if old is not None or new is not None:
            found.append(Turn(asset, places[asset], None if old == new else old, new))
    return found


def gone(session: Session, clones: Iterable[tuple[AssetName, Snapshot, Relation]]) -> Collection[AssetName]:
    """Those that stand neither at their location nor at their place."""
    return [a for a, s, p in clones if not _is_table(session, relation(s.location)) and not _is_table(session, p)]
