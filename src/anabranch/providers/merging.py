"""How what was written to a clone gets into its source.

By key, where one is declared: only the rows that were written to the clone are written to the source, and only if
nobody else wrote to the same ones; what a clone began as is kept beside it for that. Without a key, the clone takes the
source's place as a whole, if nobody has written to the source since.

What the source is to hold is made beside it; :mod:`anabranch.providers.swapping` has the two change places.
"""

from __future__ import annotations

from collections.abc import Collection
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
from anabranch.ports.provider import Built, Staged
from anabranch.providers import cloning
from anabranch.providers.generations import column_names, fresh, rest
from anabranch.providers.standing import relation
from anabranch.sql.merging import KeyedMerge
from anabranch.sql.writing import MARK, Writing

SAMPLES = 3
"""Keys in conflict that are told."""


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
