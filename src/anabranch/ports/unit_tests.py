"""Where unit tests of models run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from anabranch.domain.matching import Rows
from anabranch.domain.unit_test import UnitTest


@dataclass(frozen=True, slots=True)
class Checked:
    """One result of a test, and what was expected; values are such that :mod:`anabranch.domain.matching` can compare
    them. ``types``: of the result's columns."""

    name: str
    expected: Rows
    got: Rows
    types: tuple[str, ...] = ()
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """What came of a test's query. ``notes``: what in the test has no effect."""

    checked: tuple[Checked, ...]
    notes: tuple[str, ...] = ()
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Of each given input the types of its columns, as they were loaded."""


class Bench(Protocol):
    """Runs the queries of models over given rows, apart from any warehouse. Thread-safe."""

    def answer(self, test: UnitTest) -> Answers:
        """Runs one test's query.

        Raises:
            UnitTestError: the test can't be run as it stands.
            StatementFailed: the query fails.
        """
        ...

    def reads(self, test: UnitTest) -> Collection[str]:
        """The assets whose rows the query reads, those of embedded models included."""
        ...

    def close(self) -> None:
        """Gives back what it holds."""
        ...
