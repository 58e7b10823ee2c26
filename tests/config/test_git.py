"""Which branch is checked out, read from git's own files, against git itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from anabranch.config.git import author, checkout


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "commit", "--quiet", "--allow-empty", "-m", "first")
    return folder


@pytest.mark.parametrize("branch", ["main", "feature/New-Price", "ümlaut/ß", "a" * 200])
def test_branch(repository: Path, branch: str) -> None:
    if branch != "main":
        git(repository, "switch", "--quiet", "-c", branch)
    inner = repository / "models"
    inner.mkdir()
    found = checkout(inner)
    assert found is not None
    assert (found.folder, found.branch) == (repository, git(repository, "branch", "--show-current"))


def test_detached(repository: Path) -> None:
    git(repository, "switch", "--quiet", "--detach")
    found = checkout(repository)
    assert found is not None
    assert found.branch is None


def test_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "-b", "other", str(tmp_path / "tree"))
    found = checkout(tmp_path / "tree")
    assert found is not None
    assert (found.folder, found.branch) == (tmp_path / "tree", "other")


def test_before_the_first_commit(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=trunk")
    found = checkout(tmp_path)
    assert found is not None
    assert found.branch == "trunk"


def test_outside(tmp_path: Path) -> None:
    assert checkout(tmp_path) is None


def test_ceiling(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = repository / "models"
    inner.mkdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(repository))
    assert checkout(inner) is None
    assert checkout(repository) is not None


def test_author(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("GIT_AUTHOR_NAME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "login")
    assert author(repository) == "login"
    (tmp_path / ".gitconfig").write_text('[core]\n\tname = no\n[user]\n\tname = "Ada L"\n')
    assert author(repository) == "Ada L"
    git(repository, "config", "user.name", "Grace")
    assert author(repository) == "Grace"
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Mary")
    assert author(repository) == "Mary"
