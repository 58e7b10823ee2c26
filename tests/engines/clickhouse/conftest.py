import pytest
from tests.engines.clickhouse.houses import embedded, emptied, kept_open


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with kept_open(tmp_path_factory.mktemp("clickhouse") / "warehouse") as path:
        yield path


@pytest.fixture
def engine(folder):
    engine = embedded(folder)
    emptied(engine)
    yield engine
    engine.close()


@pytest.fixture
def session(engine):
    with engine.session() as session:
        session.create_schemas(["suite", "other"])
        yield session
