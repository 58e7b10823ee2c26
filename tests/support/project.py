"""Projects as Python values, and a loader that reads them as the native one reads files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anabranch.domain.graph import order
from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.names import AssetName
from anabranch.domain.places import physical_location
from anabranch.domain.snapshot import PHYSICAL, Definition, Input, Kind, Snapshot
from anabranch.errors import AnabranchError
from anabranch.ports.loader import Project
from anabranch.providers.memory import value_of


@dataclass(frozen=True, slots=True)
class Model:
    """``logic`` decides the data, with what it reads; ``wording`` is how it was written (a comment, a line break), and
    ``description`` is what people are told."""

    logic: str = "1"
    reads: tuple[str, ...] = ()
    kind: Kind = Kind.FULL
    wording: str = ""
    description: str = ""
    provider: str = "memory"

    def but(self, **changes: Any) -> Model:
        """The same, with these changes."""
        return replace(self, **changes)


SOURCE = Model(kind=Kind.EXTERNAL)
Models = Mapping[str, Model]


def snapshots(models: Models) -> dict[AssetName, Snapshot]:
    """One for each; its fingerprint is that of its logic and of all that it reads."""
    found: dict[AssetName, Snapshot] = {}
    for name in order({name: model.reads for name, model in models.items()}):
        model, asset = models[name], AssetName(name)
        over = {AssetName(u): Input(found[AssetName(u)].fingerprint) for u in model.reads}
        logic = Fingerprint(digest(canonical([model.logic, model.kind, sorted(model.reads)])))
        fingerprint = Fingerprint(digest(canonical([logic, {a: i.fingerprint for a, i in over.items()}])))
        if model.kind is Kind.EXTERNAL:
            location = name
        else:
            location = physical_location(asset, fingerprint) if model.kind in PHYSICAL else ""
        said = {"description": model.description} if model.description else {}
        definition = Definition(f"{model.logic} {model.wording}", "memory", f"models/{name}.sql")
        found[asset] = Snapshot(asset, model.kind, model.provider, fingerprint, logic, location, over, said, definition)
    return found


def values(found: Mapping[AssetName, Snapshot], sources: Mapping[str, str]) -> dict[AssetName, str]:
    """What readers should find in an environment that has these; ``sources``: the values of what isn't built."""
    known: dict[AssetName, str] = {}
    for asset in order({a: s.upstreams for a, s in found.items()}):
        snapshot = found[asset]
        if snapshot.kind is Kind.EXTERNAL:
            known[asset] = sources[asset]
        else:
            known[asset] = value_of(snapshot, {u: known[u] for u in snapshot.upstreams})
    return {a: v for a, v in known.items() if found[a].kind is not Kind.EMBEDDED}


class MemoryLoader:
    """The Loader port over ``models``, which may be replaced at any time, as files are."""

    root = Path("project")

    def __init__(self, models: Models) -> None:
        self.models = dict(models)
        self.error: AnabranchError | None = None

    def digest(self) -> str:
        return digest(repr(sorted(self.models.items())).encode())

    def load(self) -> Project:
        if self.error is not None:
            raise self.error
        return Project(snapshots(self.models), self.digest())
