"""Comparing two versions of a model, inside the engine: what comes out is a few figures and some rows.

Every query works within the engine's own memory limit, and none fetches more than a screenful. By key: one query finds
keys that stand for several rows, one join counts for all columns together, and up to three more look for examples of
what is there to show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from anabranch.errors import ModelError, StatementFailed
from anabranch.ports.engine import Found, Relation, Row, Session, name
from anabranch.ports.rows import (
    LONGEST,
    By,
    ChangedRow,
    ColumnDiff,
    Profile,
    Repeated,
    RepeatedKey,
    RowDiff,
    RowOptions,
    Sample,
    TopValue,
)
from anabranch.sql import compare as sql
from anabranch.sql import profile as figures
from anabranch.sql.compare import Pair, Sides

EXACT_CELLS = 5_000_000
"""Of a side with up to so many (rows times columns), different values are counted exactly."""
FEW = 20
"""A column with up to so many different values has them listed."""
WHOLE_ROWS = 50_000_000
"""Rows of both sides together that are sorted out as wholes, where there is no key; more are only hashed."""
EXAMPLES = 5
"""Keys that stand for several rows, shown as examples."""


def compare(session: Session, before: Found, after: Found, options: RowOptions, dialect: str) -> RowDiff:
    """How ``after`` differs from ``before``.

    Raises:
        ModelError: the condition doesn't fit one of the sides.
        Refused: it isn't a condition.
        SqlSyntaxError: it doesn't parse.
    """
    if options.where:
        from anabranch.sql.guard import require_condition  # needs the parser

        require_condition(options.where, dialect)
    return _Comparison(session, before, after, options).answer()


@dataclass(frozen=True, slots=True)
class _Side:
    relation: Relation
    table: str
    """Quoted."""
    columns: Mapping[str, str]
    rows: int


class _Comparison:
    def __init__(self, session: Session, before: Found, after: Found, options: RowOptions) -> None:
        self._session = session
        self._grammar = session.grammar
        self._options = options
        self._before, self._after = (self._side(found) for found in (before, after))
        self._notes: list[str] = []

    def _side(self, found: Found) -> _Side:
        table = name(self._session, found.relation)
        try:
            rows = _number(self._row(sql.count(table, self._options.where))[0])
        except StatementFailed as failure:
            if not self._options.where:
                raise
            told = failure.message.splitlines()[0]
            raise ModelError(
                f"the condition doesn't fit: {told}",
                hint="--where is about columns that both sides have; --select picks what it applies to",
            ) from failure
        return _Side(found.relation, table, dict(found.columns), rows)

    def answer(self) -> RowDiff:
        """All of it."""
        keys = self._keys()
        told = tuple(k.name for k in keys)
        old, new = self._before.columns, self._after.columns
        grammar = self._grammar
        pairs = tuple(Pair(c, old[c], kind, grammar) for c, kind in new.items() if c in old and c not in told)
        sides = Sides(
            self._before.table,
            self._after.table,
            grammar,
            keys,
            pairs,
            self._options.where,
            self._options.tolerance,
        )
        columns = [
            ColumnDiff(c, old.get(c), new.get(c), c in told, c in old and c in new and Pair(c, old[c], new[c]).as_text)
            for c in [*told, *(c for c in new if c not in told), *(c for c in old if c not in new)]
        ]
        found = RowDiff(self._before.rows, self._after.rows, columns=tuple(columns))
        if keys:
            found = self._by_key(sides, found)
        elif pairs:
            found = self._by_row(sides, found)
        else:
            self._notes.append("the two have no column in common, so rows are only counted")
        if self._options.profile:
            found = replace(found, columns=self._profiled(found.columns))
        return replace(found, notes=tuple(self._notes))

    # -- by key ----------------------------------------------------------------------------------------------------

    def _keys(self) -> tuple[Pair, ...]:
        """The key, as far as both sides have it; else nothing, and a note says why."""
        old, new = self._before.columns, self._after.columns
        lower = {c.lower(): c for c in new}
        wanted = dict.fromkeys(k if k in new else lower.get(k.lower(), k) for k in self._options.keys)
        if not wanted:
            self._notes.append("no key is declared (grain) or named (--key), so rows are compared as wholes")
            return ()
        if lacking := [k for k in wanted if k not in old or k not in new]:
            self._notes.append(f"key column {lacking[0]} isn't on both sides, so rows are compared as wholes")
            return ()
        return tuple(Pair(k, old[k], new[k], self._grammar) for k in wanted)

    def _by_key(self, sides: Sides, found: RowDiff) -> RowDiff:
        repeated = self._repeated(sides)
        if repeated:
            sides = replace(sides, has_repeated=True)
        added, removed, common, changed, *each = map(_number, self._row(sql.counts(sides)))
        differing = {p.name: n for p, n in zip(sides.values, each, strict=True)}
        more = [0, 0, 0]
        if repeated:
            more = [_number(n) for n in self._row(sql.counts_of_repeated(sides))]
        names = tuple(k.name for k in sides.keys)
        found = replace(
            found,
            by=By.KEY,
            keys=names,
            added=added + more[0],
            removed=removed + more[1],
            changed=changed + more[2],
            common=common,
            repeated=repeated,
            columns=tuple(replace(c, differing=differing.get(c.name)) for c in found.columns),
        )
        found = replace(found, same=not (found.added or found.removed or found.changed))
        return replace(found, sample=self._sample(sides, found, added, removed))

    def _repeated(self, sides: Sides) -> Repeated | None:
        keys_before, rows_before, keys_after, rows_after = (_number(n) for n in self._row(sql.repeated(sides)))
        if not keys_before and not keys_after:
            return None
        rows = self._session.query(sql.repeated_examples(sides, EXAMPLES)).rows
        examples = tuple(RepeatedKey(_cut(row[:-2]), _number(row[-2]), _number(row[-1])) for row in rows)
        names = ", ".join(k.name for k in sides.keys)
        self._notes.append(f"key ({names}) isn't unique; rows of repeated keys are compared as wholes")
        return Repeated(keys_before, rows_before, keys_after, rows_after, examples)

    def _sample(self, sides: Sides, found: RowDiff, added: int, removed: int) -> Sample:
        limit = self._options.sample
        if not limit:
            return Sample()
        differing = {c.name for c in found.columns if c.differing}
        columns_added, rows_added = self._lone(sides, self._after, limit) if added else ((), ())
        columns_removed, rows_removed = self._lone(sides, self._before, limit) if removed else ((), ())
        changed: tuple[ChangedRow, ...] = ()
        if differing:
            values = [p for p in sides.values if p.name in differing]
            rows = self._session.query(sql.changed(sides.only(values), limit)).rows
            changed = tuple(_changed(row, len(sides.keys), values) for row in rows)
        return Sample(columns_added, rows_added, columns_removed, rows_removed, changed)

    def _lone(self, sides: Sides, side: _Side, limit: int) -> tuple[tuple[str, ...], tuple[Row, ...]]:
        keys = {k.name: side.columns[k.name] for k in sides.keys}
        columns = [*keys.items(), *((c, kind) for c, kind in side.columns.items() if c not in keys)]
        query = sql.lone(sides, after=side is self._after, columns=columns, limit=limit)
        return tuple(c for c, _ in columns), tuple(_cut(row) for row in self._session.query(query).rows)

    # -- as wholes -------------------------------------------------------------------------------------------------

    def _by_row(self, sides: Sides, found: RowDiff) -> RowDiff:
        names = [p.name for p in sides.values]
        if not self._options.where and all(p.before == p.after for p in sides.values):
            old, new = (self._session.content_hash(r, names) for r in (self._before.relation, self._after.relation))
            if old == new:
                return replace(found, by=By.ROW, added=0, removed=0, same=True)
        rows = self._before.rows + self._after.rows
        if rows > WHOLE_ROWS:
            self._notes.append(f"{rows:,} rows are too many to be compared as wholes: name a key (--key)")
            return found if self._options.where else replace(found, same=False)
        answers = self._session.query(sql.whole_rows(sides, self._options.sample)).rows
        removed, added = (_number(n) for n in answers[0][:2])
        apart = [(_number(row[2]), _cut(row[3:])) for row in answers if row[2] is not None]
        gone = tuple(row for n, row in apart if n > 0 for _ in range(min(n, self._options.sample)))
        new_rows = tuple(row for n, row in apart if n < 0 for _ in range(min(-n, self._options.sample)))
        limit = self._options.sample
        shown = tuple(names)
        sample = Sample(shown if new_rows else (), new_rows[:limit], shown if gone else (), gone[:limit])
        same = not (added or removed)
        return replace(found, by=By.ROW, added=added, removed=removed, same=same, sample=sample)

    # -- profile ---------------------------------------------------------------------------------------------------

    def _profiled(self, columns: Sequence[ColumnDiff]) -> tuple[ColumnDiff, ...]:
        old, new = (self._profile(side) for side in (self._before, self._after))
        found = [replace(c, before=old.get(c.name), after=new.get(c.name)) for c in columns]
        listed = [c for c in found if self._has_few(c)]
        names = [c.name for c in listed]
        was, now = (self._frequencies(side, names) for side in (self._before, self._after))
        tops = {c.name: _top(was.get(c.name, {}), now.get(c.name, {}), as_text=c.as_text) for c in listed}
        return tuple(replace(c, top=tops.get(c.name, ())) for c in found)

    def _profile(self, side: _Side) -> dict[str, Profile]:
        exact = side.rows * len(side.columns) <= EXACT_CELLS
        found: dict[str, Profile] = {}
        for columns in _batches(list(side.columns.items()), figures.AT_ONCE):
            row = self._row(figures.figures(side.table, self._options.where, columns, self._grammar, exact=exact))
            for i, (column, _) in enumerate(columns):
                values, distinct, least, most, mean = row[i * figures.WIDTH : (i + 1) * figures.WIDTH]
                least, most = _cut((least, most))
                average = mean if isinstance(mean, float) and math.isfinite(mean) else None
                found[column] = Profile(side.rows - _number(values), _number(distinct), exact, least, most, average)
        return found

    def _has_few(self, column: ColumnDiff) -> bool:
        """Whether its values can be listed, and are less than half as many as its rows."""
        sides = [(column.before, column.before_type, self._before), (column.after, column.after_type, self._after)]
        there = [(p, kind, side) for p, kind, side in sides if p is not None and kind is not None]
        return (
            not column.is_key
            and all(p.distinct <= FEW and figures.has_few_kinds(kind) for p, kind, _ in there)
            and any(side.rows > 2 * p.distinct > 0 for p, _, side in there)
        )

    def _frequencies(self, side: _Side, names: Sequence[str]) -> dict[str, dict[object, int]]:
        found: dict[str, dict[object, int]] = {}
        columns = [(n, side.columns[n]) for n in names if n in side.columns]
        for batch in _batches(columns, figures.SETS_AT_ONCE):
            for row in self._session.query(
                figures.frequencies(side.table, self._options.where, batch, self._grammar)
            ).rows:
                i = figures.which(_number(row[0]), len(batch))
                found.setdefault(batch[i][0], {})[_cut((row[i + 1],))[0]] = _number(row[-1])
        return found

    def _row(self, query: str) -> Row:
        return self._session.query(query).rows[0]


def _changed(row: Row, keys: int, values: Sequence[Pair]) -> ChangedRow:
    told = []
    for i, pair in enumerate(values):
        differs, was, now = row[keys + 3 * i : keys + 3 * i + 3]
        if differs:
            told.append((pair.name, *_cut((was, now))))
    return ChangedRow(_cut(row[:keys]), tuple(told))  # type: ignore[arg-type]  # each has three


def _top(before: Mapping[object, int], after: Mapping[object, int], *, as_text: bool) -> tuple[TopValue, ...]:
    """The most frequent first. ``as_text``: the sides have different types, so that 1 and ``"1"`` are one value."""
    if as_text:
        before, after = ({_text(v): n for v, n in side.items()} for side in (before, after))
    values = [*after, *(v for v in before if v not in after)]
    found = [TopValue(v, before.get(v, 0), after.get(v, 0)) for v in values]
    return tuple(sorted(found, key=lambda t: (-max(t.before, t.after), str(t.value))))


def _text(value: object) -> object:
    """As the engine casts it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cut(values: Row) -> Row:
    return tuple(map(_shown, values))


def _shown(value: object) -> object:
    """As :mod:`anabranch.ports.rows` says; ``nan`` and ``inf``, which JSON can't tell, are texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value[:LONGEST] + "…" if isinstance(value, str) and len(value) > LONGEST else value


def _number(value: object) -> int:
    """A whole number, of whatever type of numbers the engine sums such up to."""
    number = Fraction(str(value))
    if number.denominator != 1:
        raise ValueError(f"{value!r} counts nothing")
    return number.numerator


def _batches(values: Sequence[tuple[str, str]], most: int) -> Iterator[Sequence[tuple[str, str]]]:
    for i in range(0, len(values), most):
        yield values[i : i + most]
