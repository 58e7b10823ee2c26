"""What stands beside a table, and the record of what it holds: ``anabranch.contents`` of the same database, written in
the transaction that changes it, or right after the statement that does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from anabranch.domain.content import Content, Write
from anabranch.domain.names import OWN_PREFIX, PART_LENGTH, shorten
from anabranch.domain.places import is_adopted, is_physical_schema
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.engine import Relation, Session
from anabranch.providers.ledger import Ledger
from anabranch.providers.standing import relation
from anabranch.sql.writing import Writing

RECORD = Relation(OWN_PREFIX, "contents")
_PARTS = 1_000_000
"""Added to the numbers of parts, so that no generation has such a number."""
_END = len("__g") + 8
_FOREIGN = f"__{OWN_PREFIX}_"
"""What is beside a table that Anabranch didn't make bears its name, lest it be taken for somebody else's."""
WRITES = {
    Kind.BY_TIME_RANGE: Write.SPANS,
    Kind.BY_UNIQUE_KEY: Write.KEYS,
    Kind.BY_PARTITION: Write.KEYS,
    Kind.UNMANAGED: Write.APPEND,
}
"""How a kind's next generation is written; the others replace the table."""


def write_of(snapshot: Snapshot) -> Write:
    return WRITES.get(snapshot.kind, Write.REPLACE)


def fresh(place: Relation, number: int) -> Relation:
    """Where the rows of a write wait until it is made."""
    return _beside(place, f"__g{number}")


def part(place: Relation, number: int) -> Relation:
    """Where the rows of one of several batches wait that are computed at the same time."""
    return fresh(place, _PARTS + number)


def scratch(place: Relation, number: int) -> Relation:
    """Where rows stand for as long as they are worked on."""
    return fresh(place, 2 * _PARTS + number)


def rest(place: Relation, number: int) -> Relation:
    """Where a write keeps what it replaced."""
    return _beside(place, f"__u{number}")


def done(place: Relation, number: int) -> Relation:
    """Where the rows of a write stay once it is made, to tell whether somebody has written to the same since."""
    return rest(place, _PARTS + number)


def is_beside(location: str) -> bool:
    """Whether a table is a generation's, and not a location of its own."""
    stem, _, end = location.rpartition("__")
    end = end.removeprefix(f"{OWN_PREFIX}_")
    return bool(stem) and end[:1] in ("g", "u") and end[1:].isdigit()


def _is_rest(name: str) -> bool:
    return name.rstrip("0123456789").endswith("u")


def is_foreign(place: Relation) -> bool:
    """Whether a table there isn't Anabranch's."""
    return not is_physical_schema(place.schema) and not is_adopted(str(place))


def _beside(place: Relation, end: str) -> Relation:
    limit = PART_LENGTH - _END
    if is_foreign(place):
        end = _FOREIGN + end.removeprefix("__")
        limit -= len(_FOREIGN)
    return Relation(place.schema, shorten(place.name, limit) + end, place.catalog)


def keys_of(snapshot: Snapshot) -> list[str]:
    """The columns whose values a write by keys replaces."""
    said = snapshot.properties.get("unique_key") or snapshot.properties.get("partitioned_by", "")
    return [k for k in said.split(",") if k]


class Record:
    """``anabranch.contents``, in one session."""

    def __init__(self, session: Session) -> None:
        self._ledger = Ledger(session, RECORD, ("location", "content"))

    def ensure(self) -> None:
        """Makes it where it isn't there; one session at a time, outside a transaction."""
        self._ledger.ensure()

    def read(self, locations: Collection[str]) -> dict[str, Content]:
        """Of ``locations``, what is recorded."""
        if not locations:
            return {}
        found = self._ledger.read()
        return {place: Content.decode(found[place][0]) for place in set(locations) if place in found}

    def write(self, location: str, content: Content | None) -> None:
        """None: there is nothing any more."""
        self._ledger.put(location, None if content is None else [content.encode()])


def time_condition(session: Session, snapshot: Snapshot, place: Relation, area: Sequence[tuple[int, int]]) -> str:
    """Whether a row of a model by time lies in ``area``.

    Raises:
        ModelError: its time column isn't there, or can't tell such spans apart.
    """
    column = snapshot.properties["time_column"]
    types = {n.lower(): kind for n, kind in session.columns(place) or ()}
    writing = Writing(session.grammar)
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
            if _is_rest(each.relation.name):
                number %= _PARTS  # the two go together
            if number not in places[place_of]:
                found.append(each.relation)
    return found
