"""What all parts of the provider have: the world, and how it is opened."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.errors import Refused, WarehouseBusy
from anabranch.providers.memory.world import Hook, World, nothing, patient


class Base:
    """One that acts on a world."""

    def __init__(
        self,
        world: World,
        *,
        name: str = "memory",
        workers: int = 4,
        transactions: bool = True,
        exclusive: bool = False,
        hook: Hook = nothing,
        acquire: Callable[[threading.Lock], bool] = patient,
    ) -> None:
        """``hook`` is called at each :class:`Moment`; an error that it raises is what goes wrong then. ``acquire``
        waits for one of the world's locks, and says whether it got it. Without ``transactions``, pointers move one by
        one. ``exclusive``: only one provider may have the world open at a time, as an embedded database's file."""
        self.world = world
        self._name = name
        self._workers = workers
        self._transactions = transactions
        self._exclusive = exclusive
        self._hook = hook
        self._acquire = acquire
        self._interrupts = 0
        self._opened = 0
        self._opening = threading.Lock()

    def _check_free(self, environment: EnvironmentName, asset: AssetName) -> None:
        if (environment, asset) in self.world.foreign:
            raise Refused(
                f"something that Anabranch didn't make stands where {environment} would show {asset}",
                hint="rename it or the model",
                asset=asset,
            )

    @contextmanager
    def opened(self) -> Iterator[None]:
        if not self._exclusive:
            yield
            return
        with self._opening:
            if not self._opened and not self._acquire(self.world.opening):
                raise WarehouseBusy("somebody else has the world open", hint="try again")
            self._opened += 1
        try:
            yield
        finally:
            with self._opening:
                self._opened -= 1
                if not self._opened:
                    self.world.opening.release()
