"""Dates that Python has none for (``infinity``, years before 1 and after 9999): they are read as Postgres writes
them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def read_all_dates(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Has no answer of ``connection`` fail because of a date."""
    import psycopg
    from psycopg.adapt import Buffer, Loader
    from psycopg.pq import Format

    class Tolerant(Loader):
        inner: type[Any]

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._inner = self.inner(oid, context)

        def load(self, data: Buffer) -> object:
            try:
                return self._inner.load(data)
            except psycopg.DataError:
                return bytes(data).decode()

    for name in ("date", "timestamp", "timestamptz"):
        oid = connection.adapters.types[name].oid
        inner = connection.adapters.get_loader(oid, Format.TEXT)
        assert inner is not None
        connection.adapters.register_loader(oid, type(f"Tolerant_{name}", (Tolerant,), {"inner": inner}))
