"""Who holds a piece of work, and whether they still live."""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path

LIFETIME = 30.0
"""Seconds after its last sign of life that a holder on another host counts as dead."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One process (or one use case in it): a token that others can look up."""

    host: str
    pid: int
    started: str
    """Tells a process from a later one of the same number."""
    nonce: str

    @staticmethod
    def here() -> Holder:
        return Holder(socket.gethostname(), os.getpid(), _started(os.getpid()), uuid.uuid4().hex[:8])

    @property
    def token(self) -> str:
        return f"{self.host} {self.pid} {self.started} {self.nonce}"

    def knows_dead(self, token: str) -> bool:
        """Whether ``token``'s process is certainly gone. On another host that can't be known at once."""
        host, pid, started, _ = token.split(" ")
        if host != self.host:
            return False
        return _started(int(pid)) != started


def describe(token: str) -> str:
    """For people."""
    host, pid, *_ = token.split(" ")
    return f"process {pid} on {host}"


def _started(pid: int) -> str:
    """When the process began, as the kernel tells; ``-`` where it lives but the kernel doesn't tell; ``""`` where it's
    gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "-"
    fields = text.rsplit(")", 1)[1].split()
    return "" if fields[0] == "Z" else fields[19]
