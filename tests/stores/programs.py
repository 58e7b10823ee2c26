"""SQLite stores, and programs that use them in processes of their own."""

import subprocess
import sys
import textwrap
from pathlib import Path

from anabranch.stores.sqlite import SqliteStore
from anabranch.testing.store_suite import named

BEGIN = "import json, os, sys\nfrom pathlib import Path\nfrom anabranch.stores.sqlite import SqliteStore\n"


def made(path: Path) -> Path:
    with SqliteStore(path) as store:
        store.put(named([b"object"]))
        assert store.swap({}, {"a": b"1"})
    return path


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    try:
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    return output
