"""Which branch is checked out, read from git's own files, against git itself."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from anabranch.config.git import author, changed_since, checkout
from anabranch.errors import NotFound, ProjectError, Refused


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


# -- what changed ------------------------------------------------------------------------------------------------------


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository: on branch feature, whose main has moved on since."""
    for name in [n for n in os.environ if n.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ada")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tmp_path / "shop"
    (root / "models").mkdir(parents=True)
    run(tmp_path, "init", "-q", "-b", "main")
    for name in ("a", "b", "c", "d"):
        (root / f"models/{name}.sql").write_text(f"select '{name}'")
    (tmp_path / "outside.txt").write_text("1")
    commit(tmp_path)
    run(tmp_path, "switch", "-q", "-c", "feature")
    (root / "models/a.sql").write_text("select 2")
    commit(tmp_path)
    run(tmp_path, "switch", "-q", "main")
    (root / "models/d.sql").write_text("select 3")
    commit(tmp_path)
    run(tmp_path, "switch", "-q", "feature")
    return root


def run(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path) -> None:
    run(folder, "add", "-A")
    run(folder, "commit", "-q", "-m", "x")


def test_what_changed_since_a_branch_was_left(history: Path):
    (history / "models/b.sql").write_text("select 'not committed'")
    (history / "models/new å\n.sql").write_text("select 'not added'")
    (history / "models/c.sql").rename(history / "models/e.sql")
    (history.parent / "outside.txt").write_text("2")
    run(history, "add", "models/e.sql")
    names = {"a.sql", "b.sql", "new å\n.sql", "c.sql", "e.sql"}
    assert changed_since(history, "main") == {f"models/{n}" for n in names}
    assert changed_since(history, "HEAD") == {f"models/{n}" for n in names - {"a.sql"}}
    assert changed_since(history, "HEAD^") == changed_since(history, "main")


@pytest.mark.parametrize("reference", ["nowhere", "--output=x", "-", "main..feature", "", "HEAD:shop"])
def test_what_git_does_not_know(history: Path, reference: str):
    with pytest.raises(NotFound, match="git knows no commit or branch"):
        changed_since(history, reference)
    assert not list(history.glob("x"))


def test_without_git(history: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(elsewhere.parent))
    with pytest.raises(ProjectError, match="not a git checkout"):
        changed_since(elsewhere, "main")
    monkeypatch.setenv("PATH", str(elsewhere))
    with pytest.raises(ProjectError, match="there is no git here"):
        changed_since(history, "main")


def test_git_may_not_take_forever(history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    with pytest.raises(Refused, match="git took longer than 0 s"):
        changed_since(history, "main", patience=0.2)
