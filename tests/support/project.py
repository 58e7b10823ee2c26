"""Projects as Python values, and a loader that reads them as the native one reads files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from anabranch.domain.graph import order
from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.lineage import Lineage
from anabranch.domain.names import AssetName
from anabranch.domain.places import physical_location
from anabranch.domain.restated import PROPERTY, Restated, marks, mixed
from anabranch.domain.restated import published as marked
from anabranch.domain.snapshot import PHYSICAL, Definition, Input, Kind, Published, Snapshot
from anabranch.errors import AnabranchError
from anabranch.ports.loader import NOTHING, Project
from anabranch.providers.memory import value_of


@dataclass(frozen=True, slots=True)
class Model:
    """``logic`` decides the data, with what it reads; ``wording`` is how it was written (a comment, a line break), and
    ``description`` is what people are told. ``columns``, with what decides each, make it one whose columns are told apart;
    then ``logic`` decides its rows. ``uses``: the columns that it reads of such a one; all of it, where that isn't said."""

    logic: str = "1"
    reads: tuple[str, ...] = ()
    kind: Kind = Kind.FULL
    wording: str = ""
    description: str = ""
    provider: str = "memory"
    columns: Mapping[str, str] | None = None
    uses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def but(self, **changes: Any) -> Model:
        """The same, with these changes."""
        return replace(self, **changes)


SOURCE = Model(kind=Kind.EXTERNAL)
Models = Mapping[str, Model]


def snapshots(models: Models, restated: Mapping[AssetName, Restated] = NOTHING) -> dict[AssetName, Snapshot]:
    """One for each; its fingerprint is that of its logic and of all that it reads, with a mark where it is restated."""
    found: dict[AssetName, Snapshot] = {}
    for name in order({name: model.reads for name, model in models.items()}):
        model, asset = models[name], AssetName(name)
        over = {AssetName(u): _input(found[AssetName(u)], model.uses.get(u)) for u in model.reads}
        said = [model.logic, model.kind, sorted(model.reads)]
        logic = Fingerprint(digest(canonical(said if model.columns is None else [*said, dict(model.columns)])))
        fingerprint = Fingerprint(digest(canonical([logic, {a: i.fingerprint for a, i in over.items()}])))
        published = _published(model, fingerprint, over, found)
        told = {"description": model.description} if model.description else {}
        if asset in restated:
            mark = restated[asset].mark
            fingerprint, published = mixed(mark, fingerprint), marked(mark, published)
            told[PROPERTY] = mark
        if model.kind is Kind.EXTERNAL:
            location = name
        else:
            location = physical_location(asset, fingerprint) if model.kind in PHYSICAL else ""
        definition = Definition(f"{model.logic} {model.wording}", "memory", f"models/{name}.sql")
        found[asset] = Snapshot(
            asset,
            model.kind,
            model.provider,
            fingerprint,
            logic,
            location,
            over,
            told,
            definition,
            published,
        )
    return found


def _input(upstream: Snapshot, uses: tuple[str, ...] | None) -> Input:
    return Input.of(upstream.fingerprint, upstream.published, uses or (), whole=uses is None)


def _published(
    model: Model, fingerprint: Fingerprint, over: Mapping[AssetName, Input], found: Mapping[AssetName, Snapshot]
) -> Published:
    if model.columns is None:
        return Published(fingerprint)
    read = {a: i.fingerprint for a, i in over.items()}
    made = {c: Fingerprint(digest(canonical([c, logic, read]))) for c, logic in model.columns.items()}
    rows = {a: found[a].published.rows for a in over}
    return Published(Fingerprint(digest(canonical([model.logic, rows]))), made)


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

    def again(self, given: Mapping[AssetName, Snapshot]) -> Mapping[AssetName, Snapshot]:
        found = snapshots(self.models, marks(given))
        return {a: found.get(a, s) for a, s in given.items()}

    def digest(self, environment: str = "") -> str:
        return digest(repr(sorted(self.models.items())).encode())

    def load(self, environment: str = "", restated: Mapping[AssetName, Restated] = NOTHING) -> Project:
        if self.error is not None:
            raise self.error
        return Project(snapshots(self.models, restated), self.digest())

    def examine(self, environment: str = "") -> Project:
        return self.load(environment)

    def lineage(self, environment: str = "") -> Lineage:
        return self.lineage_of(self.load(environment).assets)

    def lineage_of(self, snapshots: Mapping[AssetName, Snapshot]) -> Lineage:
        return Lineage({a: tuple(s.upstreams) for a, s in snapshots.items()}, {a: s.kind for a, s in snapshots.items()})
