"""How a source comes to hold what was made of it beside it, and what it held before.

A source isn't Anabranch's: others write to it at any time, and read it by its name. So it stays the table that it is,
where that can be, and changes in a transaction, or by one statement that happens wholly or not at all. What it was is
kept beside it, until retention ends; so is what was written, to tell whether others wrote to the same rows since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from anabranch.domain.content import Content, Write
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import Refused
from anabranch.ports.cloning import Cloning
from anabranch.ports.engine import Engine, Relation, Session, name
from anabranch.ports.provider import Swap
from anabranch.providers.generations import Record, column_names, done, fresh, rest
from anabranch.providers.merging import SAMPLES, Merge, columns_of, content_token
from anabranch.providers.standing import relation
from anabranch.sql.merging import KeyedMerge
from anabranch.sql.writing import MARK, Writing


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
