from collections.abc import Callable, Iterator

import pytest
from tests.stores.proxy import Proxy, proxy

from anabranch.engines.postgres import PostgresEngine, PostgresSession, wire
from anabranch.engines.postgres import session as sessions
from anabranch.testing.engine_helpers import SCHEMA


@pytest.fixture
def quick(monkeypatch) -> None:
    for module in (wire, sessions):
        monkeypatch.setattr(module, "PAUSES", (0.01, 0.02, 0.05))


@pytest.fixture
def engine(postgres_url) -> Iterator[PostgresEngine]:
    engine = PostgresEngine(postgres_url, patience=10)
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    yield engine
    engine.close()


@pytest.fixture
def between(postgres_server) -> Iterator[Proxy]:
    with proxy(postgres_server) as found:
        yield found


@pytest.fixture
def through(between, engine, postgres_url) -> Iterator[Callable[..., PostgresEngine]]:
    """Opens the engine by way of the proxy."""
    opened: list[PostgresEngine] = []

    def make(patience: float = 10, connections: int = 8) -> PostgresEngine:
        url = between.url.replace("/postgres?", f"/{engine.place.rpartition('/')[2]}?")
        opened.append(PostgresEngine(url, patience=patience, connections=connections))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def session(engine) -> Iterator[PostgresSession]:
    """With two more schemas, for what reads and what is read."""
    with engine.session() as session:
        session.create_schemas([SCHEMA, "data", "mine"])
        yield session
