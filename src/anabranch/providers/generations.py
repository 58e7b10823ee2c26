"""Generations beside a table, and how they take turns. What a location holds is recorded in ``anabranch.contents`` of
the same database, in the transaction that changes it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from anabranch.domain.content import Content, Generation, Write
from anabranch.domain.names import OWN_PREFIX, PART_LENGTH, shorten
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.engine import Relation, Session, quoted
from anabranch.ports.provider import Swap
from anabranch.providers.standing import relation
from anabranch.sql import writing

RECORD = Relation(OWN_PREFIX, "contents")
_PARTS = 1_000_000
"""Added to the numbers of parts, so that no generation has such a number."""
_END = len("__g") + 8
WRITES = {
    Kind.BY_TIME_RANGE: Write.SPANS,
    Kind.BY_UNIQUE_KEY: Write.KEYS,
    Kind.BY_PARTITION: Write.KEYS,
    Kind.UNMANAGED: Write.APPEND,
}
"""How a kind's next generation is written; the others replace the table."""


def write_of(snapshot: Snapshot) -> Write:
    return WRITES.get(snapshot.kind, Write.REPLACE)


def name(session: Session, address: Relation) -> str:
    """A relation, quoted, as it can't be misunderstood."""
    full = session.qualify(address)
    return quoted(p for p in (full.catalog, full.schema, full.name) if p)


def fresh(place: Relation, number: int) -> Relation:
    """Where the rows of a write wait until it is made."""
    return _beside(place, f"__g{number}")


def part(place: Relation, number: int) -> Relation:
    """Where the rows of one of several batches wait that are computed at the same time."""
    return fresh(place, _PARTS + number)


def rest(place: Relation, number: int) -> Relation:
    """Where a write keeps what it replaced."""
    return _beside(place, f"__u{number}")


def is_beside(location: str) -> bool:
    """Whether a table is a generation's, and not a location of its own."""
    stem, _, end = location.rpartition("__")
    return bool(stem) and end[:1] in ("g", "u") and end[1:].isdigit()


def _beside(place: Relation, end: str) -> Relation:
    return Relation(place.schema, shorten(place.name, PART_LENGTH - _END) + end, place.catalog)


def keys_of(snapshot: Snapshot) -> list[str]:
    """The columns whose values a write by keys replaces."""
    said = snapshot.properties.get("unique_key") or snapshot.properties.get("partitioned_by", "")
    return [k for k in said.split(",") if k]


class Record:
    """``anabranch.contents``, in one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._table = name(session, RECORD)

    def ensure(self) -> None:
        """Makes it where it isn't there; one session at a time, outside a transaction."""
        self._session.create_schemas([RECORD.schema])
        self._session.execute(f"CREATE TABLE IF NOT EXISTS {self._table} (location VARCHAR, content VARCHAR)")

    def read(self, locations: Collection[str]) -> dict[str, Content]:
        """Of ``locations``, what is recorded."""
        if not locations:
            return {}
        try:
            found = self._session.query(f"SELECT location, content FROM {self._table}").rows
        except StatementFailed:
            if self._session.describe(RECORD) is not None:
                raise
            return {}
        wanted = set(locations)
        return {str(place): Content.decode(str(text)) for place, text in found if str(place) in wanted}

    def write(self, location: str, content: Content | None) -> None:
        """None: there is nothing any more."""
        place = _literal(location)
        self._session.execute(f"DELETE FROM {self._table} WHERE location = {place}")
        if content is not None:
            self._session.execute(f"INSERT INTO {self._table} VALUES ({place}, {_literal(content.encode())})")


def swap(session: Session, swaps: Iterable[Swap]) -> set[Relation]:
    """Makes each location hold what its swap says, within the session's transaction; says whose columns changed."""
    record = Record(session)
    wanted = {s.snapshot.location: s for s in swaps}
    there = record.read(wanted)
    reshaped: set[Relation] = set()
    for location, each in sorted(wanted.items()):
        before = there.get(location)
        current = before.current if before is not None else _root(each.content)
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


def _root(content: Content) -> int:
    """The first build, which nothing was recorded of."""
    return min(content.generations)


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


def time_condition(session: Session, snapshot: Snapshot, place: Relation, area: Sequence[tuple[int, int]]) -> str:
    """Whether a row of a model by time lies in ``area``.

    Raises:
        ModelError: its time column isn't there, or can't tell such spans apart.
    """
    column = snapshot.properties["time_column"]
    types = {n.lower(): kind for n, kind in session.columns(place) or ()}
    if column not in types:
        raise ModelError(
            f"{snapshot.asset} has no column {column}, which its time_column names",
            asset=snapshot.asset,
            hint=f"its columns are {', '.join(types)}",
        )
    try:
        return writing.in_spans(column, types[column], tuple(area), snapshot.properties.get("time_format"))
    except ValueError as error:
        raise ModelError(
            f"{snapshot.asset} can't be filled by {column}: {error}",
            asset=snapshot.asset,
            hint="make it a DATE or a TIMESTAMP, or choose a coarser interval_unit",
        ) from error


def column_names(session: Session, place: Relation) -> list[str]:
    """Raises ``StatementFailed`` where the table isn't there."""
    found = session.columns(place)
    if found is None:
        raise StatementFailed(f"{place} is gone", hint="anabranch apply builds it again")
    return [n for n, _ in found]


def beside(session: Session, keep: Mapping[str, Collection[int]]) -> list[Relation]:
    """What stands beside locations, but for what the writes of the numbers to be kept have left."""
    places = {relation(location): numbers for location, numbers in keep.items()}
    names: dict[tuple[str, str], Relation] = {}
    for place in places:
        for number_of in (fresh, rest):
            names[place.schema, number_of(place, 0).name[:-1]] = place
    found: list[Relation] = []
    for each in session.find({place.schema for place in places}):
        stem = each.relation.name.rstrip("0123456789")
        place_of = names.get((each.relation.schema, stem))
        if place_of is not None and is_beside(each.relation.name):
            number = int(each.relation.name[len(stem) :])
            if number not in places[place_of]:
                found.append(each.relation)
    return found


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
