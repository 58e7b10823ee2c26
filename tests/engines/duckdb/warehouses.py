"""Database files of DuckDB, and other processes that use them."""

import contextlib
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import WarehouseError
from anabranch.testing.engine_helpers import SMALL, at

BEGIN = """
import csv, json, os, resource, signal, socket, sys, time
from pathlib import Path
import duckdb
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import WarehouseError
from anabranch.ports.engine import Relation, transaction

def said(call):
    try:
        call()
    except WarehouseError as error:
        print(json.dumps({"type": type(error).__name__, "message": error.message, "hint": error.hint}))
    else:
        print(json.dumps({}))

def become_somebody_else():
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)

path = Path(sys.argv[1])
engine = DuckDBEngine(path, patience=5)
"""


def made(path: Path) -> Path:
    engine = DuckDBEngine(path)
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_table(at("small"), SMALL)
    engine.close()
    return path


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGIN + textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, str]:
    """What the program said last."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return dict(json.loads(output.splitlines()[-1]))


@contextlib.contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process holds the database: its number."""
    process = start("with engine.session():\n    print(flush=True)\n    time.sleep(60)", path)
    assert process.stdout
    assert process.stdout.readline() == "\n"
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def refused(call: Callable[[], object]) -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        call()
    assert caught.value.hint
    return caught.value


def use(engine: DuckDBEngine, *, read_only: bool = False) -> int:
    with engine.session(read_only=read_only) as session:
        return session.count(at("small"))
