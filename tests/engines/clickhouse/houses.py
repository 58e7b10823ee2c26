"""Folders of ClickHouse, and other processes that use them."""

import contextlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.testing.engine_helpers import SMALL, at

NEEDED = [
    pytest.mark.clickhouse,
    pytest.mark.skipif(
        not all(map(find_spec, ("chdb", "clickhouse_connect", "pyarrow"))),
        reason="needs chdb, clickhouse-connect and pyarrow: pip install 'anabranch[clickhouse]'",
    ),
]
"""Of a test that embeds ClickHouse."""
QUICK = {"fsync_metadata": "0"}
"""A machine doesn't lose its power in a test."""

BEGIN = """
import os, signal, sys, time
from pathlib import Path
from typing import Any
import pytest

from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.errors import WarehouseError
from anabranch.ports.engine import Relation

path = Path(sys.argv[1])
engine = ClickHouseEngine.embedded(path, patience=20, settings={"fsync_metadata": "0"})
"""


def embedded(path: Path, **more: Any) -> ClickHouseEngine:
    return ClickHouseEngine.embedded(path, **{"settings": QUICK, **more})


def emptied(engine: ClickHouseEngine) -> None:
    with engine.session() as session:
        for schema in session.schemas():
            session.drop([f.relation for f in session.find([schema])])
        session.drop_schemas(session.schemas())
        assert session.schemas() == ["default"]
    engine.close()


@contextlib.contextmanager
def kept_open(path: Path) -> Iterator[Path]:
    """``path``, opened once for many tests: each time that chdb closes a folder, it leaves some threads behind, and what
    they have open."""
    engine = embedded(path)
    with engine.session():
        pass
    yield path
    engine.close()


def made(path: Path) -> Path:
    engine = embedded(path)
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_table(at("small"), SMALL)
    engine.close()
    return path


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    """What the program said."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


def stored(folder: Path) -> int:
    """The bytes that a folder's files take on disk; a file of several names counts once."""
    found = {}
    for base, folders, files in os.walk(folder):  # which passes over a folder that goes meanwhile
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):
                status = Path(base, name).lstat()
                found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(found.values())
