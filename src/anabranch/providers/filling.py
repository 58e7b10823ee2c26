"""How tables whose data moves on are filled: a first build span by span, each later generation beside the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from anabranch.domain import schedule
from anabranch.domain.content import Content, Write, after, first
from anabranch.domain.intervals import Span, Spans, batches, minus, moment, normal, union
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.engine import Relation, Session, name, transaction
from anabranch.ports.provider import Built, Staged, Work
from anabranch.providers.expressions import OpenSession
from anabranch.providers.generations import (
    Record,
    column_names,
    fresh,
    keys_of,
    part,
    rest,
    scratch,
    time_condition,
    write_of,
)
from anabranch.providers.python_runs import PythonRun
from anabranch.providers.standing import relation
from anabranch.providers.turns import InPlace, Turns
from anabranch.sql.history import History, settings
from anabranch.sql.writing import MARK, Writing

Render = Callable[[Span], str]
"""The model's query for one span of time, with what it reads put in."""
Around = Callable[[Relation], None]
"""Runs statements around the query, on a table."""


@dataclass(frozen=True, slots=True)
class Filler:
    """Fills the table of one snapshot, in one session."""

    session: Session
    snapshot: Snapshot
    render: Render
    work: Work
    before: Around = lambda place: None
    """What runs before the query."""
    after: Around = lambda place: None
    """What runs once a table is filled, in the same transaction."""
    python: PythonRun | None = None
    """Where the rows come from a function: it stands for ``render``."""
    writing: OpenSession | None = None
    """Opens another session, where several may compute at the same time."""
    custom: Callable[[Relation, str, Relation | None], None] | None = None
    """Makes a table of a query, and of the table as it stands."""

    turns: Turns = field(default_factory=InPlace)
    """How its generations take turns."""
    home: tuple[Relation, int] | None = None
    """Where a first build makes the table, and as which generation."""

    @property
    def place(self) -> Relation:
        return relation(self.snapshot.location)

    @property
    def table(self) -> Relation:
        """Where a first build makes it."""
        return self.home[0] if self.home is not None else self.place

    @property
    def _writing(self) -> Writing:
        return Writing(self.session.grammar)

    # -- a first build ---------------------------------------------------------------------------------------------
    def build(self) -> Content:
        """Makes the table. What is filled is recorded with it, so that a build that was cut short is gone on with.

        Raises:
            ModelError: the kind's settings don't fit the query.
        """
        record = Record(self.session)
        self.before(self.table)
        begun = record.read([self.snapshot.location]).get(self.snapshot.location) if self.work.resume else None
        repeats = write_of(self.snapshot) is not Write.APPEND  # a batch that may be there already is put in again
        if begun is None or not begun.pending or not repeats or self.session.columns(self.table) is None:
            begun = self._begin(record)
        for spans in self._groups(begun.pending):
            begun = self._fill(record, begun, spans)
        self.turns.show(self.session, self.place, self.table)
        self.turns.tidy(self.session, self.place, self.table)
        return begun

    def _begin(self, record: Record) -> Content:
        """An empty table (of a history: all of it)."""
        work, snapshot = self.work, self.snapshot
        timed = snapshot.kind in INCREMENTAL
        kept = self._kept(record) if timed else None
        if kept is not None:
            held = minus(kept.now.held, work.anew)
            pending = minus(union(work.spans, work.anew), held)
            content = first(held, float(work.now), partial=kept.partial, pending=pending)
        elif timed:
            content = first((), float(work.now), partial=work.partial, pending=work.spans)
        else:
            content = first(work.spans, float(work.now))
        content = content.numbered(self.home[1] if self.home is not None else 0)
        with transaction(self.session):
            self.turns.clear(self.session, self.place, self.table)
            if timed:
                self._create_empty(self.table)
                if kept is not None:
                    self._keep_rows()
            else:
                self._continue_history(self.table, None)
            if not content.pending:
                self.after(self.table)
            record.write(snapshot.location, content)
        return content

    def _kept(self, record: Record) -> Content | None:
        """What is known of the data whose rows are kept, where some are."""
        previous = self.work.previous
        if previous is None or self.session.columns(relation(previous.location)) is None:
            return None
        found = record.read([previous.location]).get(previous.location)
        return found if found is not None and not found.pending else None

    def _keep_rows(self) -> None:
        """Copies them, as far as columns have the same names; new columns are NULL in them."""
        previous = self.work.previous
        assert previous is not None
        there = relation(previous.location)
        old = {n.lower() for n in column_names(self.session, there)}
        columns = [n for n in column_names(self.session, self.table) if n.lower() in old]
        try:
            rows, table = name(self.session, there), name(self.session, self.table)
            if self.work.anew and self.snapshot.kind is Kind.BY_TIME_RANGE:
                area = time_condition(self.session, self.snapshot, there, self.work.anew)
                rows = f"(SELECT * FROM {rows} WHERE NOT coalesce({area}, false)) AS anabranch_rows"
            self.session.execute(self._writing.add_rows(table, rows, columns))
        except StatementFailed as error:
            raise ModelError(
                f"{self.snapshot.asset} is forward only, and the rows that it keeps don't fit: {error.message}",
                asset=self.snapshot.asset,
                hint="give the column another name, or take forward_only out for this change",
            ) from error

    def _create_empty(self, place: Relation) -> None:
        if self.python is not None:
            self.python.empty(place)
            return
        self.session.create_table(place, f"SELECT * FROM (\n{self.render(self._any())}\n) AS anabranch_rows LIMIT 0")

    def _any(self) -> Span:
        """All that is to be filled, as one; all time where nothing is said."""
        return (self.work.spans[0][0], self.work.spans[-1][1]) if self.work.spans else (0, self.work.now)

    def _fill(self, record: Record, content: Content, spans: Sequence[Span]) -> Content:
        held = union(content.now.held, spans)
        generation = replace(content.now, held=held)
        filled = replace(content, generations={content.current: generation}, pending=minus(content.pending, spans))
        with self._in_parts(spans) as parts, transaction(self.session):
            batch = scratch(self.place, 1)
            self.session.drop([batch])
            self._compute(batch, spans, parts)
            self.turns.add(self.session, self.snapshot, self.table, batch, spans)
            self.session.drop([batch])
            if not filled.pending:
                self.after(self.table)
            record.write(self.snapshot.location, filled)
        return filled

    # -- a later generation ----------------------------------------------------------------------------------------
    def stage(self, content: Content) -> Staged:
        """Computes it beside the table; see :meth:`anabranch.ports.provider.Refreshes.stage`."""
        began = time.perf_counter()
        number, write = content.top + 1, write_of(self.snapshot)
        rows = self.turns.waiting(self.place, number, write)
        made = after(content, write, self.work.spans, float(self.work.now))
        spans = [] if write is Write.REPLACE else self._batches(self.work.spans)
        with self._in_parts(spans) as parts, transaction(self.session):
            self.session.drop([fresh(self.place, number), rest(self.place, number)])
            self.before(rows)
            if self.snapshot.kind in HISTORY:
                self._continue_history(rows, self.place)
            elif write is Write.REPLACE:
                self._create(rows)
            else:
                self._compute(rows, spans, parts)
            self.after(self.turns.complete(self.session, self.snapshot, content, made))
        made = replace(made, rows=self.session.count(rows))
        columns = self.session.columns(rows if write is Write.REPLACE else self.place) or ()
        return Staged(self.snapshot, number, made, Built(made.rows, columns, "", time.perf_counter() - began))

    # -- what both do ----------------------------------------------------------------------------------------------
    def _create(self, table: Relation) -> None:
        """With all rows that there are."""
        if self.custom is not None:
            self.custom(table, self.render(self._any()), self.place)
        elif self.python is not None:
            self.python.load(table, self._any())
        else:
            self.session.create_table(table, self.render(self._any()))

    @contextmanager
    def _in_parts(self, spans: Sequence[Span]) -> Iterator[Mapping[Span, Relation]]:
        """The rows of each of ``spans``, computed at the same time in sessions of their own if the model says so;
        nothing where they are computed one by one. Functions, and queries between statements, are."""
        at_once, writing = self._at_once, self.writing
        if at_once == 1 or len(spans) < 2 or writing is None:
            yield {}
            return
        parts = {span: part(self.place, number) for number, span in enumerate(spans)}

        def compute(span: Span) -> None:
            with writing() as session:
                session.drop([parts[span]])
                session.create_table(parts[span], self._within(self.render(span), session, span))

        try:
            with ThreadPoolExecutor(at_once) as pool:
                try:
                    list(pool.map(compute, spans))
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
            yield parts
        finally:
            self.session.drop(list(parts.values()))

    def _within(self, query: str, session: Session, span: Span) -> str:
        """Of a model by time, the rows of a span alone."""
        if self.snapshot.kind is not Kind.BY_TIME_RANGE:
            return query
        return self._writing.rows_in(query, time_condition(session, self.snapshot, self._standing(session), [span]))

    def _standing(self, session: Session) -> Relation:
        """What is there already: of a first build, what it has made by now. Asked by a session of the thread's own."""
        return self.place if session.columns(self.place) is not None else self.table

    @property
    def _at_once(self) -> int:
        """So many batches are computed at the same time."""
        alone = self.python is not None or bool(self.snapshot.definition.statements)
        return 1 if alone else schedule.read(self.snapshot.properties).batch_concurrency

    def _query(self, span: Span, parts: Mapping[Span, Relation]) -> str:
        """For the rows of a span: the model's own, or for what its function gave, or what was computed before."""
        if span in parts:
            return f"SELECT * FROM {name(self.session, parts[span])}"
        if self.python is None:
            return self.render(span)
        self.session.drop([self._given])
        self.python.load(self._given, span)
        return f"SELECT * FROM {name(self.session, self._given)}"

    @property
    def _given(self) -> Relation:
        """Where the rows of a function stand while they are sorted in."""
        return scratch(self.place, 3)

    def _compute(self, beside: Relation, spans: Sequence[Span], parts: Mapping[Span, Relation]) -> None:
        """Makes ``beside`` with the rows of ``spans``; rows by key with their marks."""
        kind, grammar = self.snapshot.kind, self.session.grammar
        if not spans:  # nothing is due, or ready
            mark = f", true AS {grammar.identifier(MARK)}" if write_of(self.snapshot) is Write.KEYS else ""
            self.session.create_table(
                beside, f"SELECT *{mark} FROM {name(self.session, self._standing(self.session))} LIMIT 0"
            )
        for at, span in enumerate(spans):
            query = self._query(span, parts)
            if span not in parts:
                query = self._within(query, self.session, span)
            if write_of(self.snapshot) is Write.KEYS:
                query = f"SELECT *, true AS {grammar.identifier(MARK)} FROM (\n{query}\n) AS anabranch_rows"
            if not at:
                self.session.create_table(beside, query)
            elif write_of(self.snapshot) is Write.KEYS:  # a later batch's rows stand for those of an earlier one
                self._put_over(beside, query)
            else:
                self.session.execute(f"INSERT INTO {name(self.session, beside)} {query}")
            if kind is Kind.BY_UNIQUE_KEY:
                self._require_unique(beside)
            elif kind is Kind.BY_PARTITION:
                self._require_columns(beside, keys_of(self.snapshot), "partitioned_by")
        if self.python is not None:
            self.session.drop([self._given])

    def _put_over(self, table: Relation, query: str) -> None:
        """Puts the rows of a query in the place of those with their keys."""
        later, whole = scratch(self.place, 5), scratch(self.place, 6)
        self.session.drop([later, whole])
        self.session.create_table(later, query)
        columns = column_names(self.session, table)
        old, new = name(self.session, table), name(self.session, later)
        kept = self._writing.with_keys(old, new, columns, keys_of(self.snapshot))
        self.session.create_table(whole, f"SELECT * FROM {kept} AS anabranch_rows")
        self.session.drop([table, later])
        self.session.rename(whole, table.name)

    def _continue_history(self, into: Relation, there: Relation | None) -> None:
        """Makes ``into`` the next state of a history, from ``there``; the first where it is None, carried over from the
        version that it takes the place of."""
        source = scratch(self.place, 4)
        self.session.drop([source])
        self._create(source)
        columns = column_names(self.session, source)
        by_time = self.snapshot.kind is Kind.SCD_TYPE_2_BY_TIME
        said = settings(self.snapshot.properties, columns, by_time=by_time)
        states = History(said, self.session.grammar)
        self._require_columns(source, [*said.keys, *said.tracked, *filter(None, [said.updated_at])], "its kind")
        self._require_unique(source)
        query = f"SELECT * FROM {name(self.session, source)}"
        now = self.session.grammar.time(moment(self.work.now))
        previous = self.work.previous
        if there is None and previous is not None and previous.kind in HISTORY:
            there = relation(previous.location)
        held = self.session.describe(there) if there is not None else None
        if there is None or held is None:
            self.session.create_table(into, states.begun(query, columns, now))
        else:
            table = name(self.session, there)
            names = [n for n, _ in held.columns]
            self.session.create_table(into, states.carried(query, columns, now, table, names))
        self.session.drop([source])

    def _require_unique(self, table: Relation) -> None:
        keys = keys_of(self.snapshot)
        self._require_columns(table, keys, "unique_key")
        found = self.session.query(self._writing.repeated_keys(name(self.session, table), keys)).rows
        if found:
            shown = "; ".join(f"{', '.join(map(str, row[:-1]))}: {row[-1]} rows" for row in found)
            raise ModelError(
                f"{', '.join(keys)} is not a unique key of {self.snapshot.asset}: {shown}",
                asset=self.snapshot.asset,
                hint="name more columns in unique_key, or leave one row a key in the query",
            )

    def _require_columns(self, table: Relation, wanted: Sequence[str], by: str) -> None:
        there = {n.lower() for n in column_names(self.session, table)}
        for column in wanted:
            if column not in there:
                raise ModelError(
                    f"{self.snapshot.asset} has no column {column}, which {by} names",
                    asset=self.snapshot.asset,
                    hint=f"its columns are {', '.join(sorted(there - {MARK}))}",
                )

    def _groups(self, spans: Spans) -> Iterator[Sequence[Span]]:
        """Batches that are computed at the same time, and kept at once."""
        found = self._batches(spans)
        for at in range(0, len(found), self._at_once):
            yield found[at : at + self._at_once]

    def _batches(self, spans: Spans) -> list[Span]:
        said = schedule.read(self.snapshot.properties)
        return list(batches(normal(spans), said.unit, said.batch_size))
