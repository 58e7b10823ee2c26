from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.shop import WHO, Said, Shop

from anabranch.cli.failures import run
from anabranch.cli.main import cli

Anabranch = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that commands are run in, by Ada."""
    root = tmp_path / "shop"
    root.mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
    monkeypatch.setenv("COLUMNS", "100")
    for name, value in WHO.items():
        monkeypatch.setenv(name, value)
    return root


@pytest.fixture
def shop(home: Path) -> Shop:
    """The project, on branch main, with nothing applied."""
    return Shop(home).make()


@pytest.fixture
def anabranch(capsys: pytest.CaptureFixture[str]) -> Anabranch:
    """A command, run here and now; not on a terminal."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        code = run(cli, arguments)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return call


@pytest.fixture
def applied(shop: Shop, anabranch: Anabranch) -> Shop:
    """The project, with prod applied."""
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    return shop


@pytest.fixture
def tried(shop: Shop, anabranch: Anabranch) -> Anabranch:
    """A test's file is written, and all tests are run."""

    def call(text: str, *arguments: str) -> Said:
        shop.write("tests/test_it.yaml", text)
        return anabranch("test", *arguments)

    return call
