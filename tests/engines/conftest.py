from pathlib import Path

import pytest


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
