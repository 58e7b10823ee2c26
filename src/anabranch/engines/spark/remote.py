"""What engines that speak to a Spark far away have in common, whoever runs it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from anabranch.engines.spark.connect import ConnectTransport, Transport
from anabranch.engines.spark.grammar import SPARK


class RemoteSpark:
    """The part of :class:`anabranch.ports.engine.Engine` that doesn't depend on who runs the server.

    ``catalog`` is where relations are; None: the server's current one.
    """

    dialect = "spark"
    grammar = SPARK

    def __init__(self, catalog: str | None) -> None:
        self._catalog = catalog
        self._own = catalog or ""
        """The catalog that relations are in, once known."""
        self._lock = threading.Lock()
        self._used: set[Transport] = set()

    def exists(self) -> bool:
        return True

    def size(self) -> int | None:
        return None

    def revision(self) -> str | None:
        return None

    @contextlib.contextmanager
    def _using(self, transport: Transport) -> Iterator[str]:
        """The name of the catalog that it works in, and what is running can be interrupted meanwhile; closes it."""
        with self._lock:
            self._used.add(transport)
        try:
            if not self._own:
                self._own = str(transport.query("SELECT current_catalog()").rows[0][0])
            yield self._own
        finally:
            with self._lock:
                self._used.discard(transport)
            transport.close()

    def _at_home(self, transport: ConnectTransport) -> ConnectTransport:
        """The same, in the engine's catalog; closed where there is no such."""
        if self._catalog:
            try:
                transport.execute(f"SET CATALOG {self.grammar.identifier(self._catalog)}")
            except BaseException:
                transport.close()
                raise
        return transport

    def interrupt(self) -> None:
        for transport in list(self._used):
            transport.interrupt()

    def close(self) -> None:
        """Nothing is kept between sessions."""
