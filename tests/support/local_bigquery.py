"""A server that speaks BigQuery's protocol, for tests: the package local-bigquery, in an environment of its own, for it
needs Python 3.13.

The environment is made from ``requirements/local-bigquery.txt``, once for each content of that file, below
``~/.cache/anabranch-tests``. Run as a program, this module is the server's keeper: it starts the server in a process group
of its own, and waits on its standard input. When that ends, however the test process came to its end, or when the time
limit is over, the keeper stops the server and removes its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

TIME_LIMIT = 1800
"""Seconds that a server lives at most."""
START_LIMIT = 90
INSTALL_LIMIT = 600
LOCK = Path(__file__).parents[2] / "requirements" / "local-bigquery.txt"
CACHE = Path.home() / ".cache" / "anabranch-tests"
VERSION = (3, 13)
EXTENSIONS = """
import importlib.util, pathlib, sys
import duckdb
for name in ("ducklake", "icu", "spatial"):
    package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{name}").origin).parent
    (file,) = package.glob(f"extensions/*/{name}.duckdb_extension")
    duckdb.sql(f"INSTALL '{file}'")
"""


class Missing(Exception):
    """Says what the server needs and where to get it."""


@cache
def interpreter() -> Path | None:
    """A Python of the version that it needs."""
    told = ".".join(map(str, VERSION))
    below = sorted(map(str, Path.home().glob(f".pyenv/versions/{told}*/bin/python{told}")))
    candidates = [sys.executable, shutil.which(f"python{told}"), *below]
    check = f"import ensurepip, sys, venv; sys.exit(sys.version_info[:2] != {VERSION})"
    for candidate in filter(None, candidates):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run([candidate, "-c", check], capture_output=True, timeout=20).returncode == 0:
                return Path(candidate)
    return None


def environment() -> Path:
    """The folder that has it installed, made where it isn't there yet; whoever comes second waits."""
    python = interpreter()
    if python is None:
        raise Missing("needs Python 3.13 (python3.13 on the path, or below ~/.pyenv/versions)")
    key = hashlib.sha256(LOCK.read_bytes() + EXTENSIONS.encode() + str(python).encode()).hexdigest()[:12]
    folder = CACHE / f"local-bigquery-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _install(python, folder)
            (folder / "complete").touch()
    return folder


def _install(python: Path, folder: Path) -> None:
    own = folder / "bin" / "python"
    commands: tuple[list[str | Path], ...] = (
        [python, "-m", "venv", "--clear", folder],
        [own, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install", "--no-deps",
         "--require-hashes", "-r", LOCK],
        [own, "-c", EXTENSIONS],
    )  # fmt: skip
    for command in commands:
        home = {"HOME": str(folder / "home")} if command[-1] == EXTENSIONS else {}
        (folder / "home").mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_LIMIT, env={**os.environ, **home}
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise Missing(f"needs {LOCK.name} to be installed: pip and DuckDB say {last}")


@contextmanager
def server() -> Iterator[str]:
    """The address of a running server, without any data.

    Raises:
        Missing: there is no Python for it, or it can't be installed.
    """
    from tests.support.keepers import kept  # not in the keeper, which knows nothing but itself

    installed = environment()
    folder = Path(tempfile.mkdtemp(prefix="anabranch-bigquery-"))
    try:
        with kept([sys.executable, "-I", __file__, folder, installed], START_LIMIT) as answer:
            assert "address" in answer, f"no server: {answer or 'it says nothing'}"
            yield answer["address"]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(folder: Path, installed: Path) -> None:
    """The keeper: see above."""
    ports = _free_ports(2)
    address = f"http://127.0.0.1:{ports[0]}"
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [installed / "bin" / "local-bigquery", "--host", "127.0.0.1", "--port", str(ports[0]),
             "--grpc-port", str(ports[1]), "--data-dir", folder / "data"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True,
            env={**os.environ, "HOME": str(installed / "home")},
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_LIMIT
        while not _answers(f"{address}/bigquery/v2/projects/local/datasets"):
            assert process.poll() is None, f"it didn't start: {(folder / 'log').read_text()[-2000:]}"
            assert time.monotonic() < deadline, "it took too long to start"
            time.sleep(0.1)
        print(json.dumps({"address": address}), flush=True)
        select.select([sys.stdin], [], [], TIME_LIMIT)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # at once: nothing is to be kept
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(number: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for each in sockets:
        each.close()
    return ports


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests; they then end, and so does standard input
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
