"""`make demo`, which README.md offers first, goes through."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.docs
def test_the_demo_goes_through(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "anabranch", "demo", "--keep", "kept"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 assets repointed, 0 rebuilt" in done.stdout
    assert (tmp_path / "kept" / "anabranch.yaml").is_file()
