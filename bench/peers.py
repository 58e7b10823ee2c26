"""Installs the peers, each in a virtual environment of its own, so that nothing of theirs binds ours.

Pinned are the tools; DuckDB is pinned to the version that Anabranch's own environment has, so that all run one engine.
The environments stand in ``.bench/venvs``, named by a hash of their pins: other pins make another environment.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


class PeerError(Exception):
    """A peer could not be installed."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool to compare with: its program, and what to install."""

    name: str
    program: str
    requirements: tuple[str, ...]


SQLMESH = Peer("sqlmesh", "sqlmesh", ("sqlmesh[duckdb]==0.236.4",))
# dbt-core 1.12 needs a download from elsewhere while it installs; 1.11 is complete by itself.
DBT = Peer("dbt", "dbt", ("dbt-core==1.11.16", "dbt-duckdb==1.11.1"))
PEERS = {peer.name: peer for peer in (SQLMESH, DBT)}


def engine_version() -> str:
    """The version of DuckDB in the environment that this program runs in."""
    return importlib.metadata.version("duckdb")


def programs(peer: Peer, folder: Path) -> Path:
    """Where the peer's programs stand once it is installed under ``folder``."""
    key = hashlib.sha256("\n".join([sys.version, *_requirements(peer)]).encode()).hexdigest()[:12]
    return folder / f"{peer.name}-{key}" / "bin"


def install(peer: Peer, folder: Path) -> None:
    """Make the peer's environment under ``folder`` unless it is there."""
    home = programs(peer, folder).parent
    complete = home / "complete"
    if not complete.exists():
        shutil.rmtree(home, ignore_errors=True)
        _make(home, _requirements(peer))
        complete.touch()


def _requirements(peer: Peer) -> list[str]:
    return [*peer.requirements, f"duckdb=={engine_version()}"]


def installed(programs: Path) -> list[str]:
    """All packages of an environment, as ``name==version``: what the figures were measured with."""
    code = (
        "import importlib.metadata as m;"
        "print('\\n'.join(sorted(f'{d.name.lower()}=={d.version}' for d in m.distributions())))"
    )
    return _run([str(programs / "python"), "-c", code]).splitlines()


def _make(home: Path, requirements: list[str]) -> None:
    # Byte code is compiled now, so that the first run of a tool doesn't pay for it.
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)])
        target = ["--python", str(home / "bin" / "python")]
        _run([uv, "pip", "install", "--quiet", "--compile-bytecode", *target, *requirements])
    else:
        _run([sys.executable, "-m", "venv", str(home)])
        _run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements])


def _run(command: list[str]) -> str:
    # Elsewhere, for uv obeys the settings in the pyproject.toml above it: ours excludes a package that a peer needs.
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tempfile.gettempdir())
    if done.returncode != 0:
        raise PeerError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
