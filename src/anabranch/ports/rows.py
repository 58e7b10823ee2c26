"""How the rows of two versions of an asset differ: what is asked, and what a provider answers.

``before`` and ``after`` are the two sides throughout. Values of rows are finite numbers and booleans as the engine has
them, all else as its text, cut to :data:`LONGEST` characters with an ellipsis; None is NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

LONGEST = 200
"""Characters of a value that are shown."""


class By(StrEnum):
    """What tells rows apart."""

    KEY = "key"
    ROW = "row"
    """All columns that both sides have: a row is there or it isn't."""
    COUNT = "count"
    """Nothing: rows are only counted."""


@dataclass(frozen=True, slots=True)
class RowOptions:
    """What to compare. ``keys``: columns that tell rows apart. ``where``: a condition in the engine's dialect on the
    rows of both sides, ``""`` for all. ``sample``: how many rows to show of each sort. ``tolerance``: by how much
    floating-point numbers may differ. ``profile``: whether to describe each column."""

    keys: tuple[str, ...] = ()
    where: str = ""
    sample: int = 10
    tolerance: float = 0.0
    profile: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """One side's column. ``distinct``: how many values it has, NULL aside, approximately unless ``is_exact``.
    ``minimum``, ``maximum`` and ``mean`` are None where the type has none, and where there are no values; ``mean`` also
    where it is infinite or no number."""

    nulls: int
    distinct: int
    is_exact: bool
    minimum: object = None
    maximum: object = None
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class TopValue:
    """A value of a column that has few, and in how many rows it is on each side."""

    value: object
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """A column on one side or both. The types are as the engine spells them, None where the column isn't there.

    ``differing``: in how many of :attr:`RowDiff.common` rows it differs; None for key columns, for those on one side,
    and where rows aren't told apart by key. ``as_text``: the types differ so much that texts were compared.
    """

    name: str
    before_type: str | None
    after_type: str | None
    is_key: bool = False
    as_text: bool = False
    differing: int | None = None
    before: Profile | None = None
    after: Profile | None = None
    top: tuple[TopValue, ...] = ()


@dataclass(frozen=True, slots=True)
class RepeatedKey:
    """A key that stands for more than one row on some side, and for how many on each."""

    key: tuple[object, ...]
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Repeated:
    """Keys that stand for several rows: how many keys on each side, and how many rows they stand for."""

    keys_before: int
    rows_before: int
    keys_after: int
    rows_after: int
    examples: tuple[RepeatedKey, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row with its key on both sides. ``values``: ``(column, before, after)`` of what differs."""

    key: tuple[object, ...]
    values: tuple[tuple[str, object, object], ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows, the first by their keys. ``added`` has the columns ``added_columns``, those of the side after;
    ``removed`` likewise of the side before. Without a key both have the columns in common."""

    added_columns: tuple[str, ...] = ()
    added: tuple[tuple[object, ...], ...] = ()
    removed_columns: tuple[str, ...] = ()
    removed: tuple[tuple[object, ...], ...] = ()
    changed: tuple[ChangedRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RowDiff:
    """The answer.

    ``added`` and ``removed`` are rows that only one side has: by key, or as whole rows where there is no key; None
    where rows were only counted. ``changed`` is by key. Always ``added - removed == rows_after - rows_before``.
    ``same``: whether both hold the same rows, as far as the columns go that both have; None where that isn't known.

    Rows whose key is repeated (``repeated``) are compared as whole rows among those of their key, and aren't in
    ``common``: the rows that were compared column by column.
    """

    rows_before: int
    rows_after: int
    by: By = By.COUNT
    keys: tuple[str, ...] = ()
    added: int | None = None
    removed: int | None = None
    changed: int | None = None
    common: int | None = None
    same: bool | None = None
    columns: tuple[ColumnDiff, ...] = ()
    repeated: Repeated | None = None
    sample: Sample = field(default_factory=Sample)
    notes: tuple[str, ...] = ()

    @property
    def differing(self) -> tuple[ColumnDiff, ...]:
        """The columns that differ in some row, the most first."""
        return tuple(sorted((c for c in self.columns if c.differing), key=lambda c: -(c.differing or 0)))

    def match_rate(self, column: ColumnDiff) -> float | None:
        """In which share of the common rows the column is the same, from 0 to 1. None where that isn't known."""
        if column.differing is None or not self.common:
            return None
        return 1 - column.differing / self.common
