from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import spark as spark_support

from anabranch.engines.spark import SparkEngine, SparkSession


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
    with spark_support.turn():
        for engine in (SparkEngine(spark_server), SparkEngine(spark_server, table_format="iceberg", catalog="ice")):
            with engine.session() as session:
                empty(session)
        yield spark_server


def empty(session: SparkSession) -> None:
    """Drops all that there is, and the quicker way: without Iceberg's files."""
    for schema in set(session.schemas()) - {"default"}:
        for name, is_view in session.kinds(schema).items():
            session.execute(
                f"DROP {'VIEW' if is_view else 'TABLE'} {session.grammar.name(session.own_catalog, schema, name)}"
            )
        session.drop_schemas([schema])
