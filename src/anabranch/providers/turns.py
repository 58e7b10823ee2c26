"""How generations of a table take turns.

Where tables and views change in transactions, a location is a table: a write exchanges its rows with those that wait
beside it (:class:`InPlace`). Elsewhere a location is a view, over a table that is never written to again: a write makes
another such table, and the view is replaced, which every engine does in one step (:class:`ByPointer`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from anabranch.domain.content import Content, Generation, Write
from anabranch.domain.intervals import Span
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Engine, Found, Relation, Session, name
from anabranch.ports.provider import Staged, Swap
from anabranch.providers.generations import (
    Record,
    beside,
    column_names,
    fresh,
    keys_of,
    rest,
    scratch,
    time_condition,
    write_of,
)
from anabranch.providers.standing import relation
from anabranch.sql.writing import MARK, Writing


class Turns(Protocol):
    """See the module's text."""

    def home(self, session: Session, snapshot: Snapshot) -> tuple[Relation, int]:
        """Where a build makes its table (or view), and as which generation."""
        ...

    def clear(self, session: Session, place: Relation, home: Relation) -> None:
        """Before a table is filled step by step: nothing stands at ``home``."""
        ...

    def show(self, session: Session, place: Relation, home: Relation) -> None:
        """The build is whole: ``place`` is what stands at ``home``."""
        ...

    def tidy(self, session: Session, place: Relation, home: Relation) -> None:
        """Once it is shown: what an earlier build has left beside it goes."""
        ...

    def copy(self, session: Session, table: Relation, to: Relation) -> None:
        """Makes ``to`` what ``table`` is, without a copy of the rows where the engine can."""
        ...

    def leave(self, session: Session, place: Relation, home: Relation) -> None:
        """What stands at ``place`` gets the name ``home``, and ``place`` is no more."""
        ...

    def add(self, session: Session, snapshot: Snapshot, table: Relation, rows: Relation, spans: Sequence[Span]) -> None:
        """Puts a batch of a first build into its table; a batch that is there already makes no difference, where that
        can happen. ``rows`` may be used up."""
        ...

    def waiting(self, place: Relation, number: int, write: Write) -> Relation:
        """Where the new rows of a write are computed."""
        ...

    def complete(self, session: Session, snapshot: Snapshot, content: Content, made: Generation) -> Relation:
        """Once the new rows of the next write are computed: does what can be done before it is seen. Says on what
        table statements after the query run."""
        ...

    def swap(self, session: Session, swaps: Iterable[Swap]) -> set[Relation]:
        """Makes each location hold what its swap says; one that does already is passed over. Says of which the columns
        changed."""
        ...

    def stand_in(self, session: Session, staged: Staged) -> str:
        """What a table is to readers of the same refresh: as it will be once its next generation is swapped in."""
        ...

    def standing(self, session: Session, schemas: Collection[str]) -> dict[Relation, Found]:
        """What stands at locations in ``schemas``, and whatever else stands there, as it was built."""
        ...

    def look(self, session: Session, place: Relation, *, is_view: bool) -> Found | None:
        """What stands at one location."""
        ...

    def tables(self, session: Session, places: Collection[Relation]) -> dict[Relation, Relation]:
        """Where the rows are that are found at ``places``."""
        ...

    def left(self, session: Session, keep: Mapping[str, Collection[int]]) -> list[Relation]:
        """What stands beside locations, but for what the writes need whose numbers are to be kept."""
        ...

    def everything(self, session: Session, locations: Collection[str]) -> list[Relation]:
        """What stands at locations and beside them."""
        ...


def choose(engine: Engine) -> Turns:
    """The one for what the engine can do."""
    transactional = engine.capabilities.get(Capability.TRANSACTIONAL_DDL) is Support.FULL
    return InPlace() if transactional else ByPointer(engine.capabilities)


class InPlace:
    """See :class:`Turns`. Everything is done in the session's transaction."""

    def home(self, session: Session, snapshot: Snapshot) -> tuple[Relation, int]:
        return relation(snapshot.location), 0

    def clear(self, session: Session, place: Relation, home: Relation) -> None:
        session.drop(self.everything(session, [str(place)]))

    def show(self, session: Session, place: Relation, home: Relation) -> None:
        return None

    def tidy(self, session: Session, place: Relation, home: Relation) -> None:
        return None

    def copy(self, session: Session, table: Relation, to: Relation) -> None:
        session.create_table(to, f"SELECT * FROM {name(session, table)}")

    def leave(self, session: Session, place: Relation, home: Relation) -> None:
        session.rename(place, home.name)

    def add(self, session: Session, snapshot: Snapshot, table: Relation, rows: Relation, spans: Sequence[Span]) -> None:
        columns = column_names(session, table)
        writing, into, new = Writing(session.grammar), name(session, table), name(session, rows)
        if write_of(snapshot) is not Write.KEYS:
            session.execute(writing.add_rows(into, new, columns))
            return
        # later batches may say more of what earlier ones said
        left = name(session, rest(table, 1))
        session.drop([rest(table, 1)])
        for statement in writing.swap_keys(into, new, left, columns, keys_of(snapshot)):
            session.execute(statement)
        session.execute(f"DROP TABLE {left}")

    def waiting(self, place: Relation, number: int, write: Write) -> Relation:
        return fresh(place, number)

    def complete(self, session: Session, snapshot: Snapshot, content: Content, made: Generation) -> Relation:
        return fresh(relation(snapshot.location), content.top + 1)

    def swap(self, session: Session, swaps: Iterable[Swap]) -> set[Relation]:
        record = Record(session)
        wanted = {s.snapshot.location: s for s in swaps}
        there = record.read(wanted)
        reshaped: set[Relation] = set()
        for location, each in sorted(wanted.items()):
            before = there.get(location)
            current = before.current if before is not None else min(each.content.generations)  # the first build
            place = relation(location)
            way = each.content.way(each.content.current, start=current)
            columns = session.columns(place) if way else None
            for number, forth in way:
                _turn(session, each.snapshot, place, number, each.content.generations[number], forth=forth)
            if before != each.content:
                record.write(location, each.content)
            if way and session.columns(place) != columns:
                reshaped.add(place)
        return reshaped

    def stand_in(self, session: Session, staged: Staged) -> str:
        place = relation(staged.snapshot.location)
        return _after(session, staged.snapshot, place, fresh(place, staged.number), staged.generation)

    def standing(self, session: Session, schemas: Collection[str]) -> dict[Relation, Found]:
        return {f.relation: f for f in session.find(schemas)}

    def look(self, session: Session, place: Relation, *, is_view: bool) -> Found | None:
        if is_view:
            return session.describe(place)
        columns = session.columns(place)
        return Found(place, False, columns) if columns is not None else None

    def tables(self, session: Session, places: Collection[Relation]) -> dict[Relation, Relation]:
        return {place: place for place in places}

    def left(self, session: Session, keep: Mapping[str, Collection[int]]) -> list[Relation]:
        return beside(session, keep)

    def everything(self, session: Session, locations: Collection[str]) -> list[Relation]:
        recorded = Record(session).read(locations)  # only those have anything beside them
        return [*map(relation, locations), *beside(session, dict.fromkeys(recorded, ()))]


class ByPointer:
    """See :class:`Turns`. Every statement commits by itself, and may be the last one for a while."""

    def __init__(self, capabilities: Mapping[Capability, Support]) -> None:
        self._clones = capabilities.get(Capability.CLONE_TABLE) is Support.FULL
        self._merges = capabilities.get(Capability.MERGE) is Support.FULL

    def home(self, session: Session, snapshot: Snapshot) -> tuple[Relation, int]:
        """Of a model that is filled step by step, beside what stands there, which readers see until the end."""
        place = relation(snapshot.location)
        known = Record(session).read([snapshot.location]).get(snapshot.location)
        number = known.current if known is not None else 0
        if known is not None and not known.pending and snapshot.kind in INCREMENTAL | HISTORY:
            number = known.top + 1
        return fresh(place, number), number

    def clear(self, session: Session, place: Relation, home: Relation) -> None:
        session.drop([home])

    def show(self, session: Session, place: Relation, home: Relation) -> None:
        session.point({place: home})

    def tidy(self, session: Session, place: Relation, home: Relation) -> None:
        session.drop([r for r in beside(session, {str(place): ()}) if r != home])

    def copy(self, session: Session, table: Relation, to: Relation) -> None:
        if self._clones:
            session.clone(table, to)
        else:
            session.create_table(to, f"SELECT * FROM {name(session, table)}")

    def leave(self, session: Session, place: Relation, home: Relation) -> None:
        table = session.targets([place.schema]).get(place)
        if table is not None and session.columns(table) is not None:
            session.rename(table, home.name)
        session.point({place: None})

    def add(self, session: Session, snapshot: Snapshot, table: Relation, rows: Relation, spans: Sequence[Span]) -> None:
        columns = column_names(session, table)
        writing, into, new = Writing(session.grammar), name(session, table), name(session, rows)
        match write_of(snapshot):
            case Write.KEYS if self._merges and snapshot.kind is Kind.BY_UNIQUE_KEY:
                session.merge(table, rows, keys_of(snapshot), columns)
            case Write.KEYS:
                whole = scratch(relation(snapshot.location), 2)
                session.drop([whole])
                kept = writing.with_keys(into, new, columns, keys_of(snapshot))
                session.create_table(whole, f"SELECT * FROM {kept} AS n")
                session.drop([table])
                session.rename(whole, table.name)
            case Write.SPANS:
                session.execute(f"DELETE FROM {into} WHERE {time_condition(session, snapshot, table, spans)}")
                session.execute(writing.add_rows(into, new, columns))
            case _:
                session.execute(writing.add_rows(into, new, columns))

    def waiting(self, place: Relation, number: int, write: Write) -> Relation:
        return fresh(place, number) if write is Write.REPLACE else rest(place, number)

    def complete(self, session: Session, snapshot: Snapshot, content: Content, made: Generation) -> Relation:
        place, number = relation(snapshot.location), content.top + 1
        whole = fresh(place, number)
        if made.write is Write.REPLACE:
            return whole
        session.drop([whole])
        table, rows = fresh(place, content.current), rest(place, number)
        if not self._clones or not self._change_clone(session, snapshot, table, whole, rows, made):
            session.create_table(whole, f"SELECT * FROM {_after(session, snapshot, table, rows, made)} AS n")
        return whole

    def _change_clone(
        self, session: Session, snapshot: Snapshot, table: Relation, whole: Relation, rows: Relation, made: Generation
    ) -> bool:
        """Makes the next table by writing to a clone of the current one; False where it can't be said so."""
        merges = made.write is Write.KEYS and self._merges and snapshot.kind is Kind.BY_UNIQUE_KEY
        if made.write is Write.KEYS and not merges:
            return False
        session.clone(table, whole)
        columns = column_names(session, whole)
        if merges:
            session.merge(whole, rows, keys_of(snapshot), columns)
            return True
        writing, into = Writing(session.grammar), name(session, whole)
        if made.write is Write.SPANS and made.area:
            session.execute(f"DELETE FROM {into} WHERE {time_condition(session, snapshot, whole, made.area)}")
        session.execute(writing.add_rows(into, name(session, rows), columns))
        return True

    def swap(self, session: Session, swaps: Iterable[Swap]) -> set[Relation]:
        record = Record(session)
        wanted = {s.snapshot.location: s for s in swaps}
        there = record.read(wanted)
        reshaped: set[Relation] = set()
        for location, each in sorted(wanted.items()):
            place = relation(location)
            columns = session.columns(place)
            session.point({place: fresh(place, each.content.current)})
            session.drop([rest(place, each.content.current)])
            if there.get(location) != each.content:
                record.write(location, each.content)
            if session.columns(place) != columns:
                reshaped.add(place)
        return reshaped

    def stand_in(self, session: Session, staged: Staged) -> str:
        return name(session, fresh(relation(staged.snapshot.location), staged.number))

    def standing(self, session: Session, schemas: Collection[str]) -> dict[Relation, Found]:
        found = {f.relation: f for f in session.find(schemas)}
        for place, target in session.targets(schemas).items():
            if target is not None and place in found and _is_of(place, target):
                there = found.get(target)
                if there is None:
                    del found[place]
                else:
                    found[place] = Found(place, there.is_view, there.columns, there.definition)
        return found

    def look(self, session: Session, place: Relation, *, is_view: bool) -> Found | None:
        return self.standing(session, [place.schema]).get(place)

    def tables(self, session: Session, places: Collection[Relation]) -> dict[Relation, Relation]:
        targets = session.targets({p.schema for p in places})
        return {place: targets.get(place) or place for place in places}

    def left(self, session: Session, keep: Mapping[str, Collection[int]]) -> list[Relation]:
        known = Record(session).read(keep)
        needed: dict[str, Collection[int]] = {}
        for location, numbers in keep.items():
            content = known.get(location, Content())
            parents = {g.parent for n, g in content.generations.items() if n in numbers and g.parent is not None}
            needed[location] = {*numbers, *parents, content.current}
        pointed = session.targets({relation(location).schema for location in keep})
        seen = {pointed.get(relation(location)) for location in keep}
        return [r for r in beside(session, needed) if r not in seen]

    def everything(self, session: Session, locations: Collection[str]) -> list[Relation]:
        return [*map(relation, locations), *beside(session, dict.fromkeys(locations, ()))]


def _is_of(place: Relation, target: Relation) -> bool:
    """Whether ``target`` is one of the tables that take turns at ``place``."""
    return target.schema == place.schema and target.name.startswith(fresh(place, 0).name[:-1])


def _after(session: Session, snapshot: Snapshot, table: Relation, rows: Relation, made: Generation) -> str:
    """What ``table`` will be with the new ``rows`` of a write."""
    writing, old, new = Writing(session.grammar), name(session, table), name(session, rows)
    if made.write is Write.REPLACE:
        return new
    columns = column_names(session, table)
    if made.write is Write.SPANS:
        condition = time_condition(session, snapshot, table, made.area)
        return writing.with_spans(old, new, columns, condition)
    if made.write is Write.KEYS:
        return writing.with_keys(old, new, columns, keys_of(snapshot))
    return writing.with_rows(old, new, columns)


def new_rows(session: Session, turns: Turns, staged: Staged) -> str:
    """The rows of a write that isn't seen yet."""
    waiting = turns.waiting(relation(staged.snapshot.location), staged.number, staged.generation.write)
    table = name(session, waiting)
    if staged.generation.write is not Write.KEYS:
        return table
    columns = [c for c in column_names(session, waiting) if c != MARK]
    grammar = session.grammar
    return f"(SELECT {grammar.columns(columns)} FROM {table} WHERE {grammar.identifier(MARK)})"


def _turn(session: Session, snapshot: Snapshot, place: Relation, number: int, made: Generation, *, forth: bool) -> None:
    """Makes a write, or takes it back."""
    forward, backward = fresh(place, number), rest(place, number)
    rows, left = (forward, backward) if forth else (backward, forward)
    if made.write is Write.REPLACE:
        session.rename(place, left.name)
        session.rename(rows, place.name)
        return
    table = name(session, place)
    columns = column_names(session, place)
    writing = Writing(session.grammar)
    statements: Sequence[str]
    if made.write is Write.SPANS:
        condition = time_condition(session, snapshot, place, made.area)
        statements = writing.swap_spans(table, name(session, rows), name(session, left), columns, condition)
    elif made.write is Write.KEYS:
        statements = writing.swap_keys(table, name(session, rows), name(session, left), columns, keys_of(snapshot))
    elif forth:
        statements = [writing.add_rows(table, name(session, forward), columns)]
    else:
        statements = writing.take_rows(table, name(session, forward), name(session, backward), columns)
    for statement in statements:
        session.execute(statement)
