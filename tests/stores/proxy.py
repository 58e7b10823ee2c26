"""Stands between a client and the Postgres server, and breaks the connection at a chosen moment."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

COMMIT = b"COMMIT\0"
BEGIN = b"BEGIN ISOLATION"
FILE = ".s.PGSQL.5432"


class Break(Enum):
    """What happens to the next COMMIT that is sent by itself, as a swap's is."""

    NEVER = auto()
    BEFORE = auto()
    """It doesn't reach the server."""
    AFTER = auto()
    """The server carries it out; its answer doesn't reach the client."""
    LATE = auto()
    """The same, but the connection breaks well before the server gets to it."""


class Proxy:
    """Once it has broken a connection it is transparent again, or (``gone``) takes no connections any more."""

    def __init__(self, server: str, folder: Path) -> None:
        self._server = f"{parse_qs(urlsplit(server).query)['host'][0]}/{FILE}"
        self.url = server.replace(self._server.removesuffix(f"/{FILE}"), str(folder))
        self.mode = Break.NEVER
        self.gone = False
        self.broken = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / FILE))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        for opened in (self._listener, *self._open):
            _shut(opened)
        for thread in self._threads:
            thread.join(10)

    def _start(self, work, *arguments) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self.gone:
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._open += [client, server]
                self._start(self._forward, client, server)
                self._start(self._answer, server, client)

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                mode = self.mode
                if mode is Break.NEVER or COMMIT not in data or BEGIN in data:
                    server.sendall(data)
                    continue
                self.mode = Break.NEVER
                self.broken += 1
                _shut(client, socket.SHUT_WR)
                if mode is Break.LATE:
                    _shut(client)
                    time.sleep(0.3)
                if mode is not Break.BEFORE:
                    server.sendall(data)
                    time.sleep(0.2)
                break
        _shut(client)
        _shut(server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        _shut(client)
        _shut(server)


def _shut(opened: socket.socket, how: int | None = None) -> None:
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_RDWR if how is None else how)
    if how is None:
        opened.close()


@contextlib.contextmanager
def proxy(server: str) -> Iterator[Proxy]:
    """A proxy for the ``server`` at that address."""
    with tempfile.TemporaryDirectory(prefix="anabranch-proxy-", dir="/tmp") as folder:
        between = Proxy(server, Path(folder))
        try:
            yield between
        finally:
            between.close()
