"""Tables that somebody else made, as they come under management: what they are, and how they get their names.

An adopted table isn't copied and isn't read but for its keys and times: it gets its snapshot's name, and in the same
transaction a view gets its old one. The way back is the same, the other way round.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime

from anabranch.domain import intervals, schedule
from anabranch.domain.cells import as_moment, naive
from anabranch.domain.content import Content, first
from anabranch.domain.intervals import Spans
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import Refused, StatementFailed
from anabranch.ports.engine import Relation, Session, name
from anabranch.ports.provider import Built, Standing, Takeover
from anabranch.providers.generations import Record, fresh, keys_of
from anabranch.providers.making import Maker
from anabranch.providers.standing import relation
from anabranch.providers.turns import Turns
from anabranch.sql.history import History, settings
from anabranch.sql.writing import Writing

Columns = tuple[tuple[str, str], ...]
MOST = 5
"""Differences of columns that an error lists."""


def standing(session: Session, assets: Collection[AssetName]) -> dict[AssetName, Standing]:
    """See :class:`anabranch.ports.provider.Adopts`."""
    places = {relation(a): a for a in assets}
    asked = {(p.schema.lower(), p.name.lower()): a for p, a in places.items()}
    found: dict[AssetName, Standing] = {}
    for each in session.find({p.schema for p in places}):
        asset = asked.get((each.relation.schema.lower(), each.relation.name.lower()))
        if asset is not None:
            found[asset] = Standing.VIEW if each.is_view else Standing.TABLE
    return found


# -- looking -----------------------------------------------------------------------------------------------------------
def survey(session: Session, maker: Maker, now: int, *, check: bool) -> tuple[Built, tuple[str, ...]]:
    """See :class:`anabranch.ports.provider.Adopts`; nothing that it does to find out outlives it."""
    snapshot = maker.snapshot
    home = relation(snapshot.asset)
    there = session.describe(home)
    if there is None or there.is_view:
        what = "there is no table" if there is None else "a view, no table, is"
        raise Refused(f"{what} {home}", asset=snapshot.asset, hint="anabranch apply builds it")
    notes = _compare(snapshot, there.columns, _shape(session, maker, now))
    if session.transacts:
        session.begin()
        try:
            _try_rename(session, snapshot, home, relation(snapshot.location))
        finally:
            session.rollback()
    if check:
        _check_keys(session, snapshot, home)
    content = _content(session, snapshot, home, dict(there.columns), now)
    return Built(session.count(home), there.columns, content=content), notes


def _shape(session: Session, maker: Maker, now: int) -> Columns:
    """The columns that a build would have."""
    query = maker.query((now, now))
    found = session.describe_query(query)
    if maker.snapshot.kind not in HISTORY:
        return found
    columns = [n for n, _ in found]
    by_time = maker.snapshot.kind is Kind.SCD_TYPE_2_BY_TIME
    states = History(settings(maker.snapshot.properties, columns, by_time=by_time), session.grammar)
    return session.describe_query(states.begun(query, columns, session.grammar.time(intervals.moment(now))))


def _compare(snapshot: Snapshot, there: Columns, wanted: Columns) -> tuple[str, ...]:
    has, gives = ({n.lower(): kind for n, kind in columns} for columns in (there, wanted))
    found = [f"{n} isn't there" for n in gives if n not in has]
    found += [f"the query doesn't give {n}" for n in has if n not in gives]
    found += [f"{n} is {has[n]}, the query gives {k}" for n, k in gives.items() if has.get(n, k) != k]
    if found:
        more = f"; and {len(found) - MOST} more" if len(found) > MOST else ""
        raise Refused(
            f"{snapshot.asset} is another table than its model describes: {'; '.join(found[:MOST])}{more}",
            asset=snapshot.asset,
            hint="make the model's columns those of the table, adopt it, then change the model",
        )
    if list(has) != list(gives):
        return (f"{snapshot.asset}: the query gives its columns in another order",)
    return ()


def _try_rename(session: Session, snapshot: Snapshot, home: Relation, place: Relation) -> None:
    try:
        session.rename(home, place.name)
    except StatementFailed as failure:
        raise Refused(
            f"{home} can't be renamed to {place.name}: {failure.message}",
            asset=snapshot.asset,
            hint="what depends on it (an index, a foreign key) must go first; or move what has that name",
        ) from failure


def _check_keys(session: Session, snapshot: Snapshot, home: Relation) -> None:
    by_key = snapshot.kind is Kind.BY_UNIQUE_KEY or snapshot.kind in HISTORY
    keys = keys_of(snapshot) if by_key else list(snapshot.keys)
    if not keys:
        return
    table = name(session, home)
    if snapshot.kind in HISTORY:  # a key has many rows there, of which one is open
        ends = session.grammar.identifier(snapshot.properties.get("valid_to_name", "valid_to"))
        table = f"(SELECT * FROM {table} WHERE {ends} IS NULL) AS anabranch_rows"
    found = session.query(Writing(session.grammar).repeated_keys(table, keys)).rows
    if found:
        shown = "; ".join(f"{', '.join(map(str, row[:-1]))}: {row[-1]} rows" for row in found)
        raise Refused(
            f"{', '.join(keys)} is not a unique key of {snapshot.asset}: {shown}",
            asset=snapshot.asset,
            hint="correct the table or the model; --no-check leaves keys alone",
        )


def _content(
    session: Session, snapshot: Snapshot, home: Relation, types: Mapping[str, str], now: int
) -> Content | None:
    """What the table holds, for the kinds of which that is recorded."""
    if snapshot.kind not in INCREMENTAL | HISTORY:
        return None
    return first(_held(session, snapshot, home, types, now) if snapshot.kind in INCREMENTAL else (), float(now))


def _held(session: Session, snapshot: Snapshot, home: Relation, types: Mapping[str, str], now: int) -> Spans:
    """By its first and its last time, in whole units up to the present; of models without times, all until now."""
    said = schedule.read(snapshot.properties)
    present = intervals.moment(now)
    if snapshot.kind is not Kind.BY_TIME_RANGE:
        return intervals.normal([said.wanted(present)])
    column = snapshot.properties["time_column"]
    kind = next((k for n, k in types.items() if n.lower() == column.lower()), "")
    listed = session.grammar.identifier(column)
    (row,) = session.query(f"SELECT min({listed}), max({listed}) FROM {name(session, home)}").rows
    if None in row:
        return ()
    begin, end = (_seconds(value, snapshot, kind) for value in row)
    span = said.unit.floor(begin), said.unit.after(said.unit.floor(end), 1)
    return intervals.common([span], [said.wanted(present, span[0])])


def _seconds(value: object, snapshot: Snapshot, kind: str) -> int:
    """Since 1970. Raises ``Refused`` for what isn't a time as the model says it."""
    found: datetime | None = None
    said = snapshot.properties.get("time_format")
    if isinstance(value, datetime):
        found = naive(value)
    elif isinstance(value, date):
        found = datetime(value.year, value.month, value.day)  # noqa: DTZ001  # in UTC, as all that is naive here
    elif said is not None or isinstance(value, int):
        try:
            found = datetime.strptime(str(value), said or "%Y%m%d")  # noqa: DTZ007  # see above
        except ValueError:
            found = None
    else:
        found = as_moment(str(value))
    if found is None:
        column = snapshot.properties["time_column"]
        raise Refused(
            f"{value!r} in {snapshot.asset}.{column} ({kind}) is no time",
            asset=snapshot.asset,
            hint=f"say how it is written: time_column ({column}, '%Y%m%d')",
        )
    return intervals.seconds(found.replace(tzinfo=UTC))


# -- taking over -------------------------------------------------------------------------------------------------------
def take(session: Session, turns: Turns, takeovers: Iterable[Takeover]) -> None:
    """Gives tables their physical names, within the session's transaction; one that has it already is passed over.

    Raises:
        Refused: it isn't the table that was looked at, or can't be renamed.
    """
    record = Record(session)
    for each in takeovers:
        home, place, content = relation(each.snapshot.asset), relation(each.snapshot.location), each.built.content
        if each.back or session.describe(place) is not None:
            continue
        into, _ = turns.home(session, each.snapshot)
        if into != place and content is not None and _recorded(record, each) == content:
            into = fresh(place, content.current)  # it was cut off before it was shown
        if into == place or session.describe(into) is None:
            there = session.describe(home)
            wanted = each.built.columns
            if there is None or there.is_view or wanted not in ((), there.columns):
                raise Refused(
                    f"{home} isn't the table any more that was to be adopted",
                    asset=each.snapshot.asset,
                    hint=f"look again: anabranch adopt {each.snapshot.asset} --dry-run",
                )
            _try_rename(session, each.snapshot, home, into)
        if content is not None:
            record.write(each.snapshot.location, content)
        turns.show(session, place, into)


def _recorded(record: Record, takeover: Takeover) -> Content | None:
    location = takeover.snapshot.location
    return record.read([location]).get(location)


def give_back(session: Session, turns: Turns, takeovers: Iterable[Takeover]) -> None:
    """Gives tables their own names again, once their views are gone; one that has it already is passed over. What was
    kept beside them goes."""
    for each in takeovers:
        home, place = relation(each.snapshot.asset), relation(each.snapshot.location)
        if not each.back or session.describe(place) is None:
            continue
        try:
            turns.leave(session, place, home)
        except StatementFailed as failure:
            raise Refused(
                f"{place} can't get its name {home} back: {failure.message}",
                asset=each.snapshot.asset,
                hint=f"rename what stands at {home}",
            ) from failure
        session.drop([r for r in turns.everything(session, [each.snapshot.location]) if r != place])
        record = Record(session)
        if record.read([each.snapshot.location]):
            record.write(each.snapshot.location, None)
