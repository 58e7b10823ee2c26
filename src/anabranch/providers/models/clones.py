"""Clones of sources, and what tables weigh."""

from __future__ import annotations

from collections.abc import Collection

from anabranch.domain.content import Content
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import clone_location
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.ports.clones import Merging, Weight
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Relation
from anabranch.ports.provider import Built, Staged
from anabranch.providers import cloning, merging, swapping
from anabranch.providers.models.base import GLANCE, Base
from anabranch.providers.standing import relation


class Clones(Base):
    """See :class:`anabranch.ports.clones.Clones`, and ``sizes`` of :class:`anabranch.ports.provider.Tables`."""

    def copies_clone(self, depth: int) -> bool:
        return not cloning.can_clone(self.engine) or cloning.is_too_deep(self.engine, depth)

    def clone_location(self, environment: EnvironmentName, asset: AssetName, identifier: str) -> str:
        return clone_location(str(self.shown_at(environment, asset)), identifier)

    def weigh(self, source: Snapshot, *, past: bool = False, is_copy: bool = False) -> Weight:
        with self._session(read_only=True, patience=GLANCE) as session:
            return cloning.weigh(session, self.engine, source, past=past, is_copy=is_copy)

    def weigh_merge(self, clone: Snapshot, made: Built) -> Merging:
        with self._session(read_only=True, patience=GLANCE) as session:
            return merging.Merge(session, self.engine, clone, made).weigh()

    def stage_merge(self, source: Snapshot, clone: Snapshot, made: Built, content: Content, now: int) -> Staged:
        with self._session(clone.asset) as session:
            return merging.Merge(session, self.engine, clone, made).stage(source, content, float(now))

    def check_return(self, source: Snapshot, content: Content, to: int) -> None:
        with self._session(read_only=True, patience=GLANCE) as session:
            swapping.check_return(session, source, content, to)

    def tokens(self, clones: Collection[Snapshot]) -> dict[str, str]:
        if not clones or not self.engine.exists():
            return {}
        with self._session(read_only=True, patience=GLANCE) as session:
            found = {s.location: cloning.table_of(session, s) for s in clones}
            return {location: cloning.token(session, table) for location, table in found.items() if table is not None}

    def own_bytes(self, clones: Collection[Snapshot]) -> dict[str, int]:
        if not clones or not self.engine.exists():
            return {}
        with self._session(read_only=True, patience=GLANCE) as session:
            found = {s.location: cloning.table_of(session, s) for s in clones}
            held = session.held([t for t in found.values() if t is not None])
            sizes = {location: held[t].own for location, t in found.items() if t is not None and t in held}
            return {location: size for location, size in sizes.items() if size is not None}

    def sizes(self, snapshots: Collection[Snapshot]) -> dict[str, Held]:
        if not snapshots or not self.engine.exists():
            return {}
        with self._session(read_only=True, patience=GLANCE) as session:
            clones = {s.location: cloning.table_of(session, s) for s in snapshots if s.kind is Kind.CLONE}
            places = [relation(s.location) for s in snapshots if s.location not in clones]
            tables: dict[str, Relation | None] = {str(p): t for p, t in self._turns.tables(session, places).items()}
            tables.update(clones)
            held = session.held([t for t in tables.values() if t is not None])
            return {location: held[t] for location, t in tables.items() if t is not None and t in held}
