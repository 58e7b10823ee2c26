from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from anabranch.testing.engine_suite import EngineSuite

Report = pytest.TestReport


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
    if folder and is_told and suite is not None and issubclass(suite, EngineSuite):
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
