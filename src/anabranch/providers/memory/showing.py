"""How environments are shown, and tables taken over and given back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

from anabranch.domain.content import first
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import HISTORY, INCREMENTAL, Kind, Snapshot
from anabranch.errors import Refused, StatementFailed, WarehouseBusy
from anabranch.ports.provider import (
    Built,
    Decide,
    Move,
    Shown,
    Standing,
    Swap,
    Takeover,
)
from anabranch.providers.memory.base import Base
from anabranch.providers.memory.world import VALUE, Moment


class Showing(Base):
    """See :meth:`anabranch.ports.provider.Provider.prepare`, and :class:`anabranch.ports.provider.Adopts`."""

    @contextmanager
    def prepare(
        self,
        environment: EnvironmentName,
        decide: Decide,
        swaps: Collection[Swap] = (),
        takeovers: Collection[Takeover] = (),
    ) -> Iterator[_Prepared]:
        with self.opened():
            if not self._acquire(self.world.writing):
                raise WarehouseBusy("somebody else is showing an environment", hint="try again")
            try:
                with self.world.lock:
                    shown = self.world.shown.get(environment)
                move = decide(shown)
                due = self._due(environment, takeovers)
                pointers = self._pointers(environment, move, due)
                self._hook(Moment.PREPARE, environment)
                yield _Prepared(self, environment, move.shown, pointers, swaps, due)
            finally:
                self.world.writing.release()

    def _pointers(
        self, environment: EnvironmentName, move: Move, takeovers: Collection[Takeover]
    ) -> dict[AssetName, str | None]:
        found: dict[AssetName, str | None] = {}
        coming = {t.snapshot.location for t in takeovers if not t.back}
        with self.world.lock:
            for asset, (before, after) in move.entries.items():
                old, new = (s.location if s and s.kind is not Kind.EMBEDDED else None for s in (before, after))
                if old is None and new is None:
                    continue
                if old is None and new not in coming:
                    self._check_free(environment, asset)
                if new is not None and new not in self.world.tables and new not in coming:
                    raise StatementFailed(f"{asset} can't point at {new}, which isn't there", asset=asset)
                found[asset] = new
        return found

    def _commit(
        self,
        environment: EnvironmentName,
        shown: Shown | None,
        pointers: Mapping[AssetName, str | None],
        swaps: Collection[Swap],
        takeovers: Collection[Takeover],
    ) -> None:
        self._hook(Moment.COMMIT, environment)
        if not self._transactions:
            for asset, location in sorted(pointers.items()):
                self._hook(Moment.POINT, asset)
                self.world.point(environment, asset, location)
        with self.world.lock:
            self._swap(swaps)
            self._take_over(environment, takeovers)
            for asset, location in pointers.items():
                self.world.point(environment, asset, location)
            if shown is not None:
                self.world.shown[environment] = shown
            else:
                self.world.shown.pop(environment, None)
            if not self.world.pointers.get(environment):
                self.world.pointers.pop(environment, None)
            self.world.changes += 1

    def _swap(self, swaps: Collection[Swap]) -> None:
        world = self.world
        for each in swaps:
            location = each.snapshot.location
            there = world.contents.get(location)
            current = there.current if there else min(each.content.generations)
            if current != each.content.current:
                world.beside[location, current] = world.tables[location]
                world.tables[location] = world.beside.pop((location, each.content.current))
            world.contents[location] = each.content
            world.changes += 1

    # -- taking over ---------------------------------------------------------------------------------------------------
    def _due(self, environment: EnvironmentName, takeovers: Collection[Takeover]) -> list[Takeover]:
        """Those that aren't made yet."""
        found = []
        with self.world.lock:
            for each in takeovers:
                asset, location = each.snapshot.asset, each.snapshot.location
                if (location in self.world.tables) != each.back:
                    continue
                table = self.world.tables.get(asset)
                if not each.back and (table is None or each.built.columns not in ((), table.columns)):
                    raise Refused(f"{asset} isn't the table any more that was to be adopted", asset=asset)
                if each.back and table is not None:
                    raise Refused(f"{location} can't get its name {asset} back", asset=asset)
                found.append(each)
        return found

    def _take_over(self, environment: EnvironmentName, takeovers: Collection[Takeover]) -> None:
        world = self.world
        for each in takeovers:
            asset, location = each.snapshot.asset, each.snapshot.location
            old, new = (location, str(asset)) if each.back else (str(asset), location)
            world.tables[new] = world.tables.pop(old)
            world.contents.pop(location, None)
            if each.back:
                world.foreign.add((environment, asset))
                for key in [k for k in world.beside if k[0] == location]:
                    del world.beside[key]
            else:
                world.foreign.discard((environment, asset))
                if each.built.content is not None:
                    world.contents[location] = each.built.content
            world.changes += 1

    def standing(self, assets: Collection[AssetName]) -> dict[AssetName, Standing]:
        with self.world.lock:
            taken = {a for _, a in self.world.foreign}
            return {
                a: Standing.TABLE if a in self.world.tables else Standing.VIEW
                for a in assets
                if a in self.world.tables or a in taken
            }

    def survey(
        self, snapshot: Snapshot, inputs: Mapping[AssetName, Snapshot], now: int, *, check: bool = True
    ) -> tuple[Built, tuple[str, ...]]:
        with self.world.lock:
            table = self.world.tables.get(snapshot.asset)
        if table is None or table.columns != VALUE:
            raise Refused(f"{snapshot.asset} is another table than its model describes", asset=snapshot.asset)
        held = snapshot.kind in INCREMENTAL | HISTORY
        return Built(table.rows, table.columns, content=first((), float(now)) if held else None), ()


class _Prepared:
    """See :class:`anabranch.ports.provider.Prepared`."""

    def __init__(
        self,
        provider: Showing,
        environment: EnvironmentName,
        shown: Shown | None,
        pointers: Mapping[AssetName, str | None],
        swaps: Collection[Swap],
        takeovers: Collection[Takeover],
    ) -> None:
        self._provider = provider
        self._environment = environment
        self._shown = shown
        self._pointers = pointers
        self._swaps = swaps
        self._takeovers = takeovers

    @property
    def moved(self) -> int:
        return len(self._pointers)

    def commit(self) -> None:
        self._provider._commit(self._environment, self._shown, self._pointers, self._swaps, self._takeovers)
