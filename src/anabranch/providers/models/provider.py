"""The provider: building, showing and observing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import MappingProxyType

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.clones import CARRIES
from anabranch.domain.content import Content
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import Suffix, base_location, is_adopted, is_clone, is_physical_schema
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import (
    AnabranchError,
    StatementFailed,
    WarehouseUnavailable,
)
from anabranch.ports.engine import Relation, Session
from anabranch.ports.provider import (
    NO_WORK,
    Built,
    Decide,
    Drift,
    Expectation,
    Fault,
    Over,
    Staged,
    Standing,
    Swap,
    Takeover,
    Work,
)
from anabranch.providers import adopting, cloning, generations, merging, swapping
from anabranch.providers.auditing import TableAudit
from anabranch.providers.generations import Record
from anabranch.providers.making import Maker
from anabranch.providers.models.base import GLANCE
from anabranch.providers.models.clones import Clones
from anabranch.providers.models.reading import Reading
from anabranch.providers.observing import physical_drift, pointer_drift
from anabranch.providers.standing import check_free, check_source, relation

CONTENTS = str(generations.RECORD)


class ModelsProvider(Clones, Reading):
    """See :class:`anabranch.ports.provider.Provider`."""

    def check(self, environment: EnvironmentName, added: Mapping[AssetName, Snapshot]) -> None:
        sources = {a: s for a, s in added.items() if s.kind in (Kind.EXTERNAL, Kind.CLONE)}
        if not self.engine.exists():
            if sources:
                raise WarehouseUnavailable(
                    f"{self.engine.place} doesn't exist, and {sorted(sources)[0]} should be in it",
                    hint="check warehouse.database in anabranch.yaml",
                )
            return
        with self._session(read_only=True, patience=GLANCE) as session:
            for asset, snapshot in sorted(sources.items()):
                check_source(session, asset, snapshot, self.engine.place)
            self._showing.check_names(session, environment, added)
            pointers = [p for a, s in added.items() if (p := self._showing.pointer(environment, a, s)) is not None]
            check_free(session, {place: (asset, target) for asset, place, target in pointers})

    def build(self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], work: Work = NO_WORK) -> Built:
        began = time.perf_counter()
        place = relation(snapshot.location)
        try:
            with self._session(snapshot.asset) as session:
                if snapshot.kind is Kind.CLONE:
                    built = self._clone(session, snapshot, work.previous)
                    return replace(built, seconds=time.perf_counter() - began)
                self._ensure_schema(session, place.schema)
                if snapshot.kind in INCREMENTAL | HISTORY:
                    self._ensure_contents(session)
                found, rows, content = self._maker(session, snapshot, inputs, work).make()
        except AnabranchError as error:
            self._tell(error, snapshot)
            raise
        if found is None:
            raise StatementFailed(f"{place} was made but isn't there", asset=snapshot.asset)
        return Built(rows, found.columns, found.definition, time.perf_counter() - began, content)

    def _clone(self, session: Session, clone: Snapshot, other: Snapshot | None) -> Built:
        """A clone is made of a source, and has what was written to an earlier one (``other``); or it is made of another
        environment's clone."""
        source = relation(clone.asset)
        if other is None:
            return cloning.make(session, self.engine, clone, source, None)
        if CARRIES in clone.properties:
            earlier = merging.Merge(session, self.engine, other, Built(), relation(clone.location))
            return cloning.make(session, self.engine, clone, source, None, earlier.carry)
        found = cloning.table_of(session, other)
        if found is None:
            raise StatementFailed(f"{other.location} is gone", asset=clone.asset)
        return cloning.make(session, self.engine, clone, found, other)

    def _maker(
        self,
        session: Session,
        snapshot: Snapshot,
        inputs: Mapping[AssetName, Snapshot],
        work: Work,
        staged: Mapping[AssetName, Staged] = MappingProxyType({}),
    ) -> Maker:
        return Maker(
            session,
            snapshot,
            inputs,
            work,
            self._root,
            self._default_schema,
            staged,
            partial(self._session, snapshot.asset, read_only=True),
            self.engine.dialect,
            partial(self._session, snapshot.asset) if self.workers > 1 else None,
            self._materializations,
            self._turns,
        )

    def stage(
        self,
        snapshot: Snapshot,
        content: Content,
        inputs: Mapping[AssetName, Snapshot],
        staged: Mapping[AssetName, Staged],
        work: Work,
    ) -> Staged:
        try:
            with self._session(snapshot.asset) as session:
                return self._maker(session, snapshot, inputs, work, staged).filler().stage(content)
        except AnabranchError as error:
            self._tell(error, snapshot)
            raise

    def audit(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], audits: Sequence[Audit], over: Over
    ) -> list[Finding]:
        try:
            with self._session(snapshot.asset, read_only=True) as session:
                table = TableAudit(self._maker(session, snapshot, inputs, over.work, over.staged))
                return [table.run(audit) for audit in audits]
        except AnabranchError as error:
            self._tell(error, snapshot)
            raise

    def contents(self, locations: Collection[str]) -> dict[str, Content]:
        if not self.engine.exists():
            return {}
        with self._session(read_only=True) as session:
            return Record(session).read(locations)

    def discard(self, keep: Mapping[str, Collection[int]]) -> None:
        with self._session() as session:
            sources = {k: n for k, n in keep.items() if generations.is_foreign(relation(k))}
            gone = self._turns.left(session, {k: n for k, n in keep.items() if k not in sources})
            session.drop([*gone, *generations.beside(session, sources)])

    def _ensure_schema(self, session: Session, schema: str) -> None:
        with self._schemas_lock:
            if schema not in self._schemas:
                session.create_schemas([schema])
                self._schemas.add(schema)

    def _ensure_contents(self, session: Session) -> None:
        with self._schemas_lock:
            if CONTENTS not in self._schemas:
                Record(session).ensure()
                self._schemas.add(CONTENTS)

    def probe(self, snapshot: Snapshot) -> Built | Outcome:
        if not self.engine.exists():
            return Outcome.NOT_APPLIED
        with self._session(read_only=True) as session:
            found = self._turns.look(session, relation(snapshot.location), is_view=snapshot.kind is Kind.VIEW)
            if found is None:
                return Outcome.NOT_APPLIED
            if snapshot.kind is Kind.CLONE:
                if not found.is_view and not cloning.is_whole(session, self.engine, snapshot):
                    return Outcome.NOT_APPLIED
                # nobody could write to it yet; what its source was then isn't known
                return cloning.look(session, found.relation, None)
            content = None
            if snapshot.kind in INCREMENTAL | HISTORY:
                content = Record(session).read([snapshot.location]).get(snapshot.location)
                if content is None or content.pending:
                    return Outcome.NOT_APPLIED
            rows = None if found.is_view else session.count(found.relation)
            return Built(rows, found.columns, found.definition, content=content)

    # -- showing -------------------------------------------------------------------------------------------------------
    @contextmanager
    def prepare(
        self,
        environment: EnvironmentName,
        decide: Decide,
        swaps: Collection[Swap] = (),
        takeovers: Collection[Takeover] = (),
    ) -> Iterator[_Prepared]:
        with self._session() as session:
            if swaps or takeovers:
                self._ensure_contents(session)

            inside = [s for s in swaps if s.snapshot.is_physical]
            sources = [s for s in swaps if not s.snapshot.is_physical]

            def move() -> int:
                swapping.swap(session, self.engine, sources)
                reshaped = self._turns.swap(session, inside)
                adopting.take(session, self._turns, takeovers)
                moved = self._showing.move(
                    session, environment, decide(self._showing.recorded(session).get(environment))
                )
                adopting.give_back(session, self._turns, takeovers)
                if reshaped:
                    self._showing.point_again(session, reshaped, {s.snapshot.location: s.snapshot for s in inside})
                return moved

            session.begin()
            committed = False
            try:
                self._showing.ensure_record(session)
                if session.transacts:
                    prepared = _Prepared(session, move())
                else:
                    shall = decide(self._showing.recorded(session).get(environment))
                    taken = {t.snapshot.asset for t in takeovers if not t.back}
                    self._showing.check(session, environment, shall, taken)
                    swapping.check(session, self.engine, sources)
                    prepared = _Prepared(session, move)
                yield prepared
                committed = prepared.committed
            finally:
                if not committed:
                    session.rollback()

    # -- observing -----------------------------------------------------------------------------------------------------
    def observe(self, expectation: Expectation) -> list[Drift]:
        if not self.engine.exists():
            raise WarehouseUnavailable(
                f"{self.engine.place} doesn't exist, but {expectation.environment} is in it",
                hint="check warehouse.database in anabranch.yaml, or put the file back",
            )
        with self._session(read_only=True, patience=GLANCE) as session:
            shown = self._showing.recorded(session).get(expectation.environment)
            drifts = []
            if shown != expectation.shown:
                told = "nothing" if shown is None else f"@ {shown.commit[:7]}"
                drifts.append(Drift(Fault.BEHIND, None, f"readers see {told}, not @ {expectation.shown.commit[:7]}"))
            return [
                *drifts,
                *physical_drift(session, self._showing, self._turns, expectation),
                *pointer_drift(session, self._showing, expectation),
            ]

    def locations(self) -> set[str]:
        if not self.engine.exists():
            return set()
        with self._session(read_only=True) as session:
            schemas = [s for s in session.schemas() if is_physical_schema(s)]
            return {str(r) for r in self._turns.standing(session, schemas) if not generations.is_beside(r.name)}

    def drop(self, locations: Collection[str]) -> None:
        with self._session() as session:
            given = {p: str(p) for p in map(relation, locations)}
            places = [p for p, s in given.items() if is_physical_schema(p.schema) or is_adopted(s) or is_clone(s)]
            gone = self._turns.everything(session, [str(p) for p in places])
            gone += [relation(base_location(str(p))) for p in places if is_clone(str(p))]
            self._forget(session, places)
            session.drop(gone)
            own = {p.schema for p in places if is_physical_schema(p.schema)}
            if self._suffix is Suffix.SCHEMA:  # else a clone stands in its source's
                own |= {p.schema for p in places if is_clone(str(p))}
            session.drop_schemas(own)
            with self._schemas_lock:
                self._schemas.clear()

    def _forget(self, session: Session, places: Collection[Relation]) -> None:
        """Drops the record of what is about to be dropped."""
        record = Record(session)
        for location in record.read({str(p) for p in places}):
            record.write(location, None)

    # -- adopting ------------------------------------------------------------------------------------------------------
    def standing(self, assets: Collection[AssetName]) -> dict[AssetName, Standing]:
        if not assets or not self.engine.exists():
            return {}
        with self._session(read_only=True) as session:
            return adopting.standing(session, assets)

    def survey(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], now: int, *, check: bool = True
    ) -> tuple[Built, tuple[str, ...]]:
        with self._session() as session:
            maker = self._maker(session, snapshot, inputs, Work(now=now))
            try:
                return adopting.survey(session, maker, now, check=check)
            except AnabranchError as error:
                self._tell(error, snapshot)
                raise


class _Prepared:
    """See :class:`anabranch.ports.provider.Prepared`."""

    def __init__(self, session: Session, move: int | Callable[[], int]) -> None:
        """``move``: how many views moved, or what moves them."""
        self._session = session
        self._move = move
        self.moved = move if isinstance(move, int) else 0
        self.committed = False

    def commit(self) -> None:
        if not isinstance(self._move, int):
            self.moved = self._move()
        self._session.commit()
        self.committed = True
