"""How models of kind CUSTOM become tables: by third parties, found by entry point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from anabranch.domain.names import AssetName

GROUP = "anabranch.materializations"
"""The entry points' group. An entry point's name is what ``materialization`` says in a model."""


@dataclass(frozen=True, slots=True)
class Making:
    """One table to be made. Names are quoted; SQL is the engine's own."""

    asset: AssetName
    table: str
    """What is to be made. It isn't there, and nobody reads it before all of it is."""
    query: str
    """The model's rows, with what it reads put in."""
    previous: str | None
    """The table as it stands, where this is a later generation: to be read, not to be changed."""
    properties: Mapping[str, str]
    """``materialization_properties``."""
    execute: Callable[[str], None]
    """Runs one statement, in the transaction of this generation. Raises ``StatementFailed``."""
    fetch: Callable[[str], Sequence[tuple[object, ...]]]
    """The rows of a query. Raises ``StatementFailed``."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """All that the model says of itself: its key, its tags, its schedule."""


class Materialization(Protocol):
    """What such an entry point leads to. Another ``version`` builds its models again."""

    @property
    def version(self) -> str:
        """Of the rules by which it makes tables."""
        ...

    def make(self, making: Making) -> None:
        """Makes ``making.table``, wholly. It may be called again with the same."""
        ...


Materializations = Callable[[str], Materialization | None]
"""By name; None where there is no such entry point."""


def none(name: str) -> Materialization | None:
    """Where there are no entry points."""
    return None
