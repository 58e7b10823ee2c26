"""What the parts of :mod:`anabranch.testing.provider_suite` share, and the rig that an adapter gives them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from anabranch.domain.ids import CommitId, TreeId, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError
from anabranch.ports.provider import Built, Move, Provider, Shown

A, B, C = AssetName("sales.a"), AssetName("sales.b"), AssetName("stock.c")
SOURCE = AssetName("raw.source")
FEATURE = EnvironmentName("feature")
Entries = Mapping[AssetName, tuple[Snapshot | None, Snapshot | None]]


class Rig(Protocol):
    """One world, and what the suite needs to know about it. Snapshots are made here and built by the suite."""

    @property
    def trunk(self) -> EnvironmentName:
        """The environment that shows assets under their own names, where there is one."""
        ...

    def open(self) -> Provider:
        """Another provider on the world, as another process has one."""
        ...

    def snapshot(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        """A physical one. Its content differs by ``version`` and by that of ``upstreams``."""
        ...

    def embedded(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        """One that its readers contain."""
        ...

    def broken(self, asset: AssetName) -> Snapshot:
        """One whose build fails, as late as may be."""
        ...

    def source(self, asset: AssetName, *, missing: bool = False) -> Snapshot:
        """One that Anabranch doesn't build. It stands in the world, unless ``missing``."""
        ...

    def read(self, environment: EnvironmentName, assets: Collection[AssetName]) -> dict[AssetName, object]:
        """The content that readers see at one moment; an asset that isn't shown is left out."""
        ...

    def write(self, environment: EnvironmentName, asset: AssetName, content: str) -> None:
        """Writes to a clone that is shown, as people do."""
        ...

    def lose(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Drops a clone that is shown, by hand."""
        ...

    def remove(self, location: str) -> None:
        """Drops by hand what stands there."""
        ...

    def alter(self, location: str) -> None:
        """Gives by hand one more column to what stands there."""
        ...

    def unpoint(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Takes the pointer away by hand."""
        ...

    def repoint(self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        """Makes the pointer lead elsewhere by hand."""
        ...

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Puts something that isn't Anabranch's where ``asset`` would be shown."""
        ...


def state(number: int) -> Shown:
    """Some state of an environment, different for each number."""
    return Shown(CommitId(digest(b"commit %d" % number)), TreeId(digest(b"tree %d" % number)))


def build(provider: Provider, *snapshots: Snapshot) -> list[Built]:
    """Builds them in order; each may read those before it."""
    known = {s.asset: s for s in snapshots}
    return [provider.build(s, known) for s in snapshots if s.is_physical]


def show(provider: Provider, environment: EnvironmentName, shown: Shown | None, entries: Entries) -> int:
    """Shows it, whatever was shown before; says how many pointers moved."""
    with provider.prepare(environment, lambda before: Move(shown, entries)) as prepared:
        prepared.commit()
    return prepared.moved


def shown_by(provider: Provider, environment: EnvironmentName) -> Shown | None:
    """What a decision is given."""
    found: list[Shown | None] = []

    def look(shown: Shown | None) -> Move:
        found.append(shown)
        return Move(shown)

    with provider.prepare(environment, look):
        pass
    return found[0]


def error_of(call: Callable[[], object]) -> AnabranchError:
    """The error that it raises; it must."""
    try:
        call()
    except AnabranchError as error:
        return error
    raise AssertionError("nothing was raised")
