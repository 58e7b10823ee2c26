"""What can be said of a model's query without building it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from anabranch.domain.names import AssetName
from anabranch.errors import Where


class Sort(StrEnum):
    """What a remark is about."""

    UNKNOWN_COLUMN = "unknown column"
    AMBIGUOUS_COLUMN = "ambiguous column"
    STAR = "star"
    """The query puts out whatever columns the assets have that the remark names."""
    UNSTABLE = "unstable"
    """It may give other rows each time."""


@dataclass(frozen=True, slots=True)
class Remark:
    """``where`` is the place in the file, or that of the whole model where a macro made the words."""

    sort: Sort
    message: str
    where: Where
    hint: str | None = None
    assets: tuple[AssetName, ...] = ()


@dataclass(frozen=True, slots=True)
class Remarks:
    """Of a whole project. ``places``: where each asset is defined, as far as a file says so."""

    places: Mapping[AssetName, Where] = field(default_factory=dict)
    of: Mapping[AssetName, tuple[Remark, ...]] = field(default_factory=dict)
