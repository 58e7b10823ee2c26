from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.providers.models_rig import ModelsRig
from tests.providers.rowdiffs import Bench

from anabranch.engines.duckdb import DuckDBEngine


@pytest.fixture
def models(tmp_path: Path) -> ModelsRig:
    return ModelsRig(tmp_path)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    engine = DuckDBEngine(tmp_path_factory.mktemp("rows") / "rows.duckdb")
    with engine.session() as session:
        yield Bench(session)
    engine.close()
