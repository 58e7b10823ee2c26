"""Where desired state comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from anabranch.domain.lineage import Lineage
from anabranch.domain.names import AssetName
from anabranch.domain.remarks import Remarks
from anabranch.domain.restated import Restated
from anabranch.domain.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Project:
    """What the files say: one snapshot for each asset, each consistent with its upstreams in the same project."""

    assets: Mapping[AssetName, Snapshot]
    digest: str
    """Changes whenever any file that matters does; equal digests mean equal ``assets``."""
    notes: tuple[str, ...] = ()
    """What the user should know of it."""
    unanalysed: Mapping[AssetName, str] = field(default_factory=dict)
    """Models whose columns can't be told apart, and why: any change upstream is one to them."""
    rules: str = ""
    """The version of all that decides fingerprints besides the files."""
    remarks: Remarks = field(default_factory=Remarks)
    """What can be said of the models' queries; nothing unless it was asked for."""


NOTHING: Mapping[AssetName, Restated] = MappingProxyType({})


class Loader(Protocol):
    """Reads a project. It writes nothing but its cache."""

    @property
    def root(self) -> Path:
        """The project's folder; paths in definitions are relative to it."""
        ...

    def digest(self, environment: str = "") -> str:
        """The digest that :meth:`load` would return, without reading what hasn't changed."""
        ...

    def load(self, environment: str = "", restated: Mapping[AssetName, Restated] = NOTHING) -> Project:
        """All assets, as they are in ``environment``: macros may ask for its name, variables may differ there, and what
        was ``restated`` there is marked.

        Raises:
            ModelError: with the file, the line, the asset and what to do.
            InvalidName: a file or a header gives a name that can't become an identifier.
        """
        ...

    def again(self, snapshots: Mapping[AssetName, Snapshot]) -> Mapping[AssetName, Snapshot]:
        """What the present rules make of definitions that were fingerprinted by other ones (:attr:`Project.rules`), or
        with other marks (:mod:`anabranch.domain.restated`), all of one environment. Nothing where they can't be read
        any more."""
        ...

    def examine(self, environment: str = "") -> Project:
        """As :meth:`load`, with all that can be remarked (:attr:`Project.remarks`)."""
        ...

    def lineage(self, environment: str = "") -> Lineage:
        """Who reads what, by column, as the files say. Raises as :meth:`load`."""
        ...

    def lineage_of(self, snapshots: Mapping[AssetName, Snapshot]) -> Lineage:
        """Who reads what among ``snapshots``, all of one environment.

        Raises:
            ProjectError: their definitions can't be read by the present rules.
        """
        ...
