"""How what was written to a clone gets into its source.

By key, where one is declared: only the rows that were written to the clone are written to the source, and only if
nobody else wrote to the same ones; what a clone began as is kept beside it for that. Without a key, the clone takes the
source's place as a whole, if nobody has written to the source since.

A source isn't Anabranch's: others write to it at any time, and read it by its name. So it stays the table that it is,
where that can be, and changes in a transaction, or by one statement that happens wholly or not at all. What it was is
kept beside it, until retention ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from anabranch.domain.clones import DEPTH
from anabranch.domain.content import Content, Generation, Write
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError, Refused
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.clones import Merging
from anabranch.ports.cloning import Cloning
from anabranch.ports.engine import Engine, Relation, Session, name
from anabranch.ports.provider import Built, Staged, Swap
from anabranch.providers import cloning
from anabranch.providers.generations import Record, column_names, done, fresh, rest
from anabranch.providers.standing import relation
from anabranch.sql.merging import KeyedMerge
from anabranch.sql.writing import MARK, Writing

SAMPLES = 3
"""Keys in conflict that are told."""


# -- weighing ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Way:
    """How a clone gets into its source. ``merge``: by key, and with the ``clone``'s rows over ``base``; None: it takes
    its place. ``write``: what becomes of the source's table."""

    write: Write
    table: Relation
    merge: KeyedMerge | None = None


class Merge:
    """One clone that is to get into its source. ``made``: what was found of it when it was made."""

    def __init__(
        self, session: Session, engine: Engine, clone: Snapshot, made: Built, into: Relation | None = None
    ) -> None:
        """``into``: a newer clone of the same source, which gets its rows instead."""
        self._session = session
        self._engine = engine
        self._clone = clone
        self._made = made
        self._source = into or relation(clone.asset)

    def weigh(self) -> Merging:
        """See :meth:`anabranch.ports.clones.Clones.weigh_merge`."""
        try:
            way = self._way()
        except Refused as refused:
            return Merging(why=refused.message, hint=refused.hint or "")
        if way.merge is None:
            is_free = _clones_whole(self._engine) and not self._is_deep
            held = None if is_free else self._session.held([way.table]).get(way.table)
            return Merging(size=0 if is_free else held.total if held else None)
        changed, added, removed = (int(str(n)) for n in self._session.query(way.merge.tally()).rows[0])
        conflicts = way.merge.conflicts(f"({way.merge.writes()})")
        number = int(str(self._session.query(f"SELECT count(*) FROM ({conflicts}) AS found").rows[0][0]))
        samples: tuple[str, ...] = ()
        if number:
            order = ", ".join(str(n + 1) for n in range(len(way.merge.keys)))
            rows = self._session.query(f"{conflicts} ORDER BY {order} LIMIT {SAMPLES}").rows
            samples = tuple(", ".join(str(v) for v in row) for row in rows)
        size: int | None = 0
        if way.write is not Write.KEYS:  # all rows are made anew
            held = self._session.held([self._source]).get(self._source)
            size = held.total if held else None
        return Merging(tuple(way.merge.keys), changed, added, removed, number, samples, size)

    def stage(self, source: Snapshot, content: Content, now: float) -> Staged:
        """See :meth:`anabranch.ports.clones.Clones.stage_merge`."""
        weighed = self.weigh()
        if weighed.why or weighed.conflicts:
            raise Refused(
                weighed.why or f"{self._clone.asset} was written to meanwhile, where its clone was written to as well",
                asset=self._clone.asset,
                hint=weighed.hint or "plan again",
            )
        session, way, number = self._session, self._way(), content.top + 1
        rows = fresh(self._source, number)
        session.drop([rows, rest(self._source, number)])
        try:
            made = self._make(way, rows, content, now)
        except BaseException:
            with suppress(AnabranchError):
                session.drop([rows])
            raise
        found = weighed.changed + weighed.added + weighed.removed if way.merge else session.count(rows)
        return Staged(source, number, made, Built(found))

    def _make(self, way: _Way, rows: Relation, content: Content, now: float) -> Generation:
        session, current = self._session, content.current
        if way.merge is not None and way.write is Write.KEYS:
            session.create_table(rows, way.merge.writes())
            return Generation(current, Write.KEYS, (), now, keys=tuple(way.merge.keys))
        if way.merge is not None:
            self._make_whole(way.merge, rows, rest(self._source, content.top + 1))
            depth = 1 if _clones_whole(self._engine) else 0
            return Generation(current, Write.REPLACE, (), now, token=content_token(session, rows), depth=depth)
        if not _clones_whole(self._engine):
            session.create_table(rows, f"SELECT * FROM {name(session, way.table)}")
            return Generation(current, Write.REPLACE, (), now, token=content_token(session, rows))
        session.clone(way.table, rows, Cloning(is_deep=self._is_deep))
        depth = 1 if self._is_deep else self._depth + 2  # the source will be a clone of these rows
        return Generation(current, Write.REPLACE, (), now, token=content_token(session, rows), depth=depth)

    def carry(self) -> None:
        """Writes to the newer clone, which nobody sees yet, what was written to this one. Raises ``Refused``."""
        session, way = self._session, self._way()
        if way.merge is None:
            raise Refused(f"no key tells the rows of {self._clone.asset} apart", asset=self._clone.asset)
        self.check()
        rows, spare = scraps(self._source)
        session.drop([rows, spare])
        try:
            if way.write is Write.KEYS:
                session.create_table(rows, way.merge.writes())
                columns = [c for c, _ in way.merge.columns]
                session.merge(self._source, rows, way.merge.keys, columns, MARK)
                session.drop([rows])
            else:
                self._make_whole(way.merge, rows, spare)
                session.drop([self._source])
                session.rename(rows, self._source.name)
        except BaseException:
            with suppress(AnabranchError):
                session.drop([rows, spare])
            raise

    @property
    def _depth(self) -> int:
        return int(self._clone.properties.get(DEPTH, "0"))

    @property
    def _is_deep(self) -> bool:
        """Whether the engine makes no clone of a clone of the clone."""
        return cloning.is_too_deep(self._engine, self._depth + 2)

    def _make_whole(self, merge: KeyedMerge, rows: Relation, spare: Relation) -> None:
        """Makes ``rows`` all rows that the source shall have."""
        session, columns = self._session, [c for c, _ in merge.columns]
        session.create_table(spare, merge.writes())
        whole = Writing(session.grammar).with_keys(merge.source, name(session, spare), columns, merge.keys)
        session.create_table(rows, f"SELECT * FROM {whole} AS n")
        session.drop([spare])

    def check(self) -> None:
        """That nobody has written to the source since, in a way that matters: the last look before it is changed.
        Raises ``Refused``."""
        way = self._way()
        if way.merge is None:
            return
        conflicts = way.merge.conflicts(f"({way.merge.writes()})")
        if self._session.query(conflicts, 1).rows:
            raise _written(self._clone)

    def _way(self) -> _Way:
        """Raises ``Refused`` where there is none."""
        session, clone, keys = self._session, self._clone, self._clone.keys
        table = cloning.table_of(session, clone)
        if table is None:
            raise Refused(
                f"the clone of {clone.asset} is gone", asset=clone.asset, hint="anabranch clone makes another"
            )
        found = session.describe(self._source)
        if found is None:
            raise Refused(f"{clone.asset} is gone", asset=clone.asset, hint="load it, or take it out of sources:")
        if found.is_view:
            raise Refused(
                f"{clone.asset} is a view, which nothing can be written into",
                asset=clone.asset,
                hint="write to the tables that it reads, or declare and clone those",
            )
        columns, there, known = (columns_of(session, t) for t in (table, self._source, cloning.base_of(clone)))
        has_base = known is not None
        is_moved = self._is_moved(has_base=has_base)
        if keys and columns and columns == there and (has_base or not is_moved):
            began = cloning.base_of(clone) if has_base else self._source
            base, mine, theirs = (name(session, t) for t in (began, table, self._source))
            merge = KeyedMerge(session.grammar, base, mine, theirs, columns, keys)
            self._require_unique(table, keys)
            if session.transacts or self._engine.capabilities.get(Capability.MERGE) is Support.FULL:
                return _Way(Write.KEYS, table, merge)
            self._require_replaceable()
            return _Way(Write.REPLACE, table, merge)
        if is_moved:
            raise Refused(
                f"{clone.asset} was written to since it was cloned" + self._why_not_by_key(has_base),
                asset=clone.asset,
                hint="make a new clone and write to that; and declare the source's key in anabranch.yaml first"
                f" (sources: {clone.asset}: key:), by which rows of both sides go together",
            )
        self._require_replaceable()
        return _Way(Write.REPLACE, table)

    def _is_moved(self, *, has_base: bool) -> bool:
        """Whether the source holds something else than the clone began as."""
        if cloning.token(self._session, self._source) == self._made.base:
            return False
        tables = self._source, cloning.base_of(self._clone)
        return not has_base or len({content_token(self._session, t) for t in tables}) > 1

    def _why_not_by_key(self, has_base: bool) -> str:
        if not self._clone.keys:
            return ", and no key tells its rows apart"
        return ", and its columns changed" if has_base else ", and its key was declared only after that"

    def _require_unique(self, table: Relation, keys: Collection[str]) -> None:
        for each in (table, self._source):
            twice = Writing(self._session.grammar).repeated_keys(name(self._session, each), list(keys))
            rows = self._session.query(twice, 1).rows
            if rows:
                told = ", ".join(str(v) for v in rows[0][:-1])
                raise Refused(
                    f"{each} has {rows[0][-1]} rows of the key {told}: {', '.join(keys)} doesn't tell its rows apart",
                    asset=self._clone.asset,
                    hint="mend those rows, or correct the source's key in anabranch.yaml, and clone it again",
                )

    def _require_replaceable(self) -> None:
        if not (self._session.transacts or _clones_whole(self._engine)):
            raise Refused(
                f"{self._engine.name} can't put one table in another's place in one step",
                asset=self._clone.asset,
                hint=f"declare the source's key in anabranch.yaml (sources: {self._clone.asset}: key:), and clone it"
                " again: then only the rows that were written are merged",
            )


def scraps(clone: Relation) -> tuple[Relation, Relation]:
    """What stands beside a clone while it is made with what was written to an earlier one."""
    return fresh(clone, 1), rest(clone, 1)


def _written(clone: Snapshot) -> Refused:
    return Refused(f"{clone.asset} was written to just now", asset=clone.asset, hint="plan again")


def _clones_whole(engine: Engine) -> bool:
    """Whether a clone of an environment's clone can be the source from now on."""
    clones = engine.capabilities.get(Capability.CLONE_TABLE) is Support.FULL
    return clones and engine.clone_rules.outlive_source


def columns_of(session: Session, table: Relation) -> tuple[tuple[str, str], ...] | None:
    """Within a transaction, too."""
    found = session.describe(table)
    return found.columns if found is not None else None


def content_token(session: Session, table: Relation) -> str:
    """A token that is the same for tables with the same rows, wherever they are."""
    return f"content {session.content_hash(table, column_names(session, table))}"


# -- swapping ----------------------------------------------------------------------------------------------------------
def check(session: Session, engine: Engine, swaps: Iterable[Swap]) -> None:
    """The last look at sources before they are changed. Raises ``Refused`` where somebody wrote to one since that was
    planned, and it would be lost."""
    for each in swaps:
        before = Record(session).read([each.snapshot.location]).get(each.snapshot.location)
        if each.is_new and _current(before, each.content) != each.content.current:
            if each.clone is not None:
                Merge(session, engine, *each.clone).check()
            else:
                check_return(session, each.snapshot, before or each.content, each.content.current)


def swap(session: Session, engine: Engine, swaps: Collection[Swap]) -> None:
    """Makes each source hold what its swap says; one that does already is passed over. Raises ``Refused``, as
    :func:`check` does."""
    record = Record(session)
    for each in sorted(swaps, key=lambda s: s.snapshot.location):
        location, wanted = each.snapshot.location, each.content
        before = record.read([location]).get(location)
        if _current(before, wanted) != wanted.current:
            session.lock(relation(location))
            check(session, engine, [each])
            Exchange(session, engine).lead(relation(location), wanted, _current(before, wanted))
        if before != wanted:
            record.write(location, wanted)


def _current(recorded: Content | None, wanted: Content) -> int:
    """The generation that a source has; without a record, its first."""
    return recorded.current if recorded is not None else min(wanted.generations)


def check_return(session: Session, source: Snapshot, content: Content, to: int) -> None:
    """See :meth:`anabranch.ports.clones.Clones.check_return`."""
    table = relation(source.location)
    for number, forth in content.way(to):
        generation = content.generations[number]
        if forth or number != content.current:
            continue
        if generation.write is Write.KEYS:
            _check_rows(session, source, number, generation.keys)
        elif generation.token != content_token(session, table):
            raise Refused(
                f"{source.asset} was written to since a clone took its place, and that would be lost",
                asset=source.asset,
                hint=f"what it was before is in {rest(table, number)}: take from it what you need, by SQL",
            )


def _check_rows(session: Session, source: Snapshot, number: int, keys: Sequence[str]) -> None:
    """Raises ``Refused`` where a row that a merge wrote is neither as that wrote it nor as it was before."""
    table = relation(source.location)
    written, before = done(table, number), rest(table, number)
    columns = columns_of(session, table)
    if columns is None or columns_of(session, written) is None or columns_of(session, before) is None:
        return  # the table is gone, or the merge was taken back already
    listed, mark = session.grammar.columns([c for c, _ in columns]), session.grammar.identifier(MARK)
    there = f"(SELECT {listed} FROM {name(session, written)} WHERE {mark}) AS made"
    merge = KeyedMerge(session.grammar, there, "", name(session, table), columns, keys)
    order = ", ".join(str(n + 1) for n in range(len(keys)))
    found = session.query(f"{merge.conflicts(name(session, before))} ORDER BY {order}", SAMPLES + 1).rows
    if found:
        told = "; ".join(", ".join(str(v) for v in row) for row in found[:SAMPLES])
        raise Refused(
            f"rows of {source.asset} that were merged were written to since, and that would be lost:"
            f" {', '.join(keys)} {told}{' …' if len(found) > SAMPLES else ''}",
            asset=source.asset,
            hint=f"what they were before is in {before}: write that to {source.asset} yourself where it shall be so,"
            " then again",
        )


class Exchange:
    """Has generations of a source take turns. Where there are no transactions, each statement can be the last one for a
    while, and is repeated."""

    def __init__(self, session: Session, engine: Engine) -> None:
        self._session = session
        self._engine = engine

    def lead(self, table: Relation, content: Content, start: int) -> None:
        """From one generation to the current one."""
        for number, forth in content.way(content.current, start=start):
            waiting, left = fresh(table, number), rest(table, number)
            rows, kept = (waiting, left) if forth else (left, waiting)
            if columns_of(self._session, rows) is None:  # it was done before a crash
                continue
            if content.generations[number].write is Write.KEYS:
                self._write(table, rows, kept, content.generations[number].keys, done(table, number), forth=forth)
            elif self._session.transacts:
                self._fill(table, rows, kept)
            else:
                self._replace(table, rows, kept)

    def _write(
        self, table: Relation, rows: Relation, kept: Relation, keys: Sequence[str], written: Relation, *, forth: bool
    ) -> None:
        session = self._session
        columns = column_names(session, table)
        if columns_of(session, kept) is None:
            names = name(session, table), name(session, rows)
            session.create_table(kept, Writing(session.grammar).replaced_keys(*names, columns, keys))
        session.merge(table, rows, keys, columns, MARK)
        session.drop([written])
        if forth:
            session.rename(rows, written.name)
        else:
            session.drop([rows])

    def _fill(self, table: Relation, rows: Relation, kept: Relation) -> None:
        """The table stays the same, with its constraints, indexes and rights, as long as its columns do."""
        session = self._session
        if columns_of(session, rows) != columns_of(session, table):
            session.rename(table, kept.name)
            session.rename(rows, table.name)
            return
        names = name(session, table), name(session, rows), name(session, kept)
        for statement in Writing(session.grammar).swap_spans(*names, column_names(session, table), "true"):
            session.execute(statement)

    def _replace(self, table: Relation, rows: Relation, kept: Relation) -> None:
        session = self._session
        was_kept = columns_of(session, kept) is not None
        if not was_kept:
            session.clone(table, kept)
        # begun before a crash: the rows tell whether it was done
        if not was_kept or content_token(session, table) != content_token(session, rows):
            how = Cloning(replace=True, keeps_grants=self._engine.clone_rules.keep_grants)
            session.clone(rows, table, how)
        session.drop([rows])
