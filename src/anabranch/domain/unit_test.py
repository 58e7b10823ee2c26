"""Unit tests of models: rows go in, rows come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from anabranch.domain.cells import Cell
from anabranch.domain.names import AssetName
from anabranch.errors import Where

QUERY = "query"
"""What the rows of the whole query are called, among those of its common table expressions."""


@dataclass(frozen=True, slots=True)
class Fixture:
    """Rows that are given or expected: written out, or (``query``) what a query gives. ``columns``: types of some
    columns, as the engine spells them; ``partial``: only the columns that are named count."""

    where: Where
    rows: tuple[Mapping[str, Cell], ...] = ()
    query: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    partial: bool = False

    def names(self) -> list[str]:
        """The columns that its rows or its types name, each once (whatever the case), in that order."""
        found: dict[str, str] = {}
        for name in (*(n for row in self.rows for n in row), *self.columns):
            found.setdefault(name.lower(), name)
        return list(found.values())


@dataclass(frozen=True, slots=True)
class UnitTest:
    """One test. ``file``: relative to the project's folder; ``moment``: the time that the query takes for the present,
    in UTC; ``variables``: all of ``vars``, for macros."""

    name: str
    file: str
    where: Where
    model: AssetName
    inputs: Mapping[AssetName, Fixture]
    query: Fixture | None
    ctes: Mapping[str, Fixture]
    moment: datetime | None = None
    variables: Mapping[str, object] = field(default_factory=dict)
    description: str = ""

    @property
    def id(self) -> str:
        """By which it can be selected."""
        return f"{self.file}::{self.name}"

    def expected(self) -> dict[str, Fixture]:
        """All that is checked, by :data:`QUERY` or the expression's name."""
        return {**self.ctes, **({QUERY: self.query} if self.query is not None else {})}
