"""Drift: what a provider observes differs from what the tree records."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from anabranch.app.state import VERIFIED, State
from anabranch.domain.commit import Environment
from anabranch.domain.ids import canonical
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import WarehouseBusy
from anabranch.ports.provider import Drift, Expectation, Fault, Provider, Shown

SETTLING = 0.05
"""Seconds until a file's time stamp is older than the kernel's clock tick."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """``unknown`` says why it could not be looked at, where it couldn't."""

    drifts: tuple[Drift, ...] = ()
    unknown: str | None = None


class Inspector:
    """Looks at environments, and remembers at which revision of the provider all was well."""

    def __init__(self, state: State, providers: Mapping[str, Provider]) -> None:
        self._state = state
        self._providers = providers

    def inspect(self, environment: Environment) -> Inspection:
        """Costs next to nothing where nothing has moved since the last look."""
        token = self._token(environment)
        key = VERIFIED + environment.name
        if self._is_known(key, token):
            return Inspection()
        tree = self._state.commit(environment.head).tree
        snapshots = self._state.snapshots(self._state.trees.snapshots([tree]))
        by_asset = {s.asset: s for s in snapshots.values()}
        built = self._state.built([s.location for s in by_asset.values() if s.is_physical])
        drifts: list[Drift] = []
        try:
            for name, provider in sorted(self._providers.items()):
                own = {a: s for a, s in by_asset.items() if s.provider == name}
                if own:
                    shown = Shown(environment.head, tree)
                    drifts += provider.observe(Expectation(environment.name, shown, own, built))
            drifts += _unfinished(by_asset, built, drifts)
        except WarehouseBusy as busy:
            return Inspection((), busy.message)
        finally:
            self.release()
        if not drifts:
            self.verify(environment, token)
        return Inspection(tuple(sorted(drifts, key=lambda d: (d.asset or "", d.fault))))

    def is_settled(self, environment: Environment) -> bool:
        """Whether all is known to be well as things stand now."""
        return self._is_known(VERIFIED + environment.name, self._token(environment))

    def _is_known(self, key: str, token: bytes | None) -> bool:
        return token is not None and self._state.store.read([key]).get(key) == token

    def verify(self, environment: Environment, token: bytes | None) -> None:
        """Remembers that all is well at ``token``."""
        if token is not None:
            self._state.store.swap({}, {VERIFIED + environment.name: token}, durable=False)

    def settle(self, environment: Environment) -> None:
        """After a change made here, where all was well before it: so it is at the revision that it led to."""
        token = self._token(environment)
        if token is None:  # written only just now: a moment later its time stamp tells this state from the next
            time.sleep(SETTLING)
            token = self._token(environment)
        self.verify(environment, token)

    def release(self) -> None:
        """Gives the providers' files and locks back."""
        for provider in self._providers.values():
            provider.close()

    def _token(self, environment: Environment) -> bytes | None:
        revisions = {name: provider.revision() for name, provider in self._providers.items()}
        if None in revisions.values():
            return None
        return canonical([environment.head, revisions])


def _unfinished(
    assets: Mapping[AssetName, Snapshot], built: Collection[str], found: Collection[Drift]
) -> Iterator[Drift]:
    """What stands there and isn't to be trusted: whoever was replacing it died, or isn't done."""
    missing = {d.asset for d in found if d.fault is Fault.MISSING}
    for asset, snapshot in sorted(assets.items()):
        if snapshot.is_physical and snapshot.location not in built and asset not in missing:
            yield Drift(Fault.ALTERED, asset, f"{snapshot.location} is unfinished")
