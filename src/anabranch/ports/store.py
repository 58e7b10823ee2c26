"""Where trees, commits, refs, plans and journals live.

A store is dumb; the layer above is smart. It keeps two things:

*Objects* are immutable and named by their content. Writing one twice changes nothing.

*Cells* are small named values that change. Several change together or not at all, and only if each that the writer
names still has the value that the writer saw. Whoever touches other cells is never in the way.

The protocol of every change: write the objects, then publish them by one :meth:`Store.swap`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Protocol, Self

from anabranch.domain.ids import ObjectId

Cells = Mapping[str, bytes]


class Store(Protocol):
    """Thread-safe, and safe between processes. All methods raise ``StateUnavailable`` where the store can't be
    reached, read or written, and ``StateTooNew`` where a newer version of Anabranch has written it.
    """

    @property
    def place(self) -> str:
        """Where it is, for people; never with a secret."""
        ...

    def put(self, objects: Mapping[ObjectId, bytes]) -> None:
        """Keeps ``objects``; what is there already stays as it is, and counts as written now. Durable before the next
        durable ``swap`` returns."""
        ...

    def get(self, ids: Collection[ObjectId]) -> dict[ObjectId, bytes]:
        """Those of ``ids`` that are kept."""
        ...

    def aged(self, seconds: float) -> set[ObjectId]:
        """The objects that were last written more than ``seconds`` ago, by the store's clock."""
        ...

    def delete(self, ids: Collection[ObjectId], seconds: float) -> int:
        """Forgets those of ``ids`` that are still as old as :meth:`aged` demands; says how many."""
        ...

    def read(self, keys: Collection[str]) -> dict[str, bytes]:
        """Those of the cells ``keys`` that exist, all as of one moment."""
        ...

    def scan(self, prefix: str) -> dict[str, bytes]:
        """All cells whose key begins with ``prefix``, sorted by key (by code point), all as of one moment."""
        ...

    def swap(
        self, expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None], *, durable: bool = True
    ) -> bool:
        """Writes all of ``write`` (None deletes) if every cell in ``expect`` has that value (None: doesn't exist).

        Returns whether it did; if not, nothing changed. ``durable=False`` may be lost by a power failure (never by a
        crash of the process) until a durable swap follows.
        """
        ...

    def now(self) -> float:
        """The store's clock, in seconds since 1970: one clock for all who use it."""
        ...

    def close(self) -> None:
        """Gives back what it holds. Closing twice is harmless."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
