"""What git says: the branch that is checked out, read from git's files; what changed, asked of git itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anabranch.errors import NotFound, ProjectError, Refused

PATIENCE = 30.0
"""Seconds that git may take."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """``branch`` is None where no branch is checked out (a detached HEAD)."""

    folder: Path
    branch: str | None


def checkout(start: Path) -> Checkout | None:
    """The checkout that ``start`` lies in, worktrees included; None outside of any. Git's own ceilings hold."""
    ceilings = {Path(c) for c in os.environ.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep) if c}
    for folder in (start, *start.parents):
        if folder in ceilings and folder != start:
            return None
        dot_git = folder / ".git"
        if dot_git.is_dir():
            return Checkout(folder, _branch(dot_git))
        if dot_git.is_file():
            text = dot_git.read_text(encoding="utf-8").strip()
            if text.startswith("gitdir:"):
                return Checkout(folder, _branch(folder / text.removeprefix("gitdir:").strip()))
    return None


def _branch(git_folder: Path) -> str | None:
    try:
        # git takes a name of any bytes: what isn't UTF-8 is told apart all the same
        head = (git_folder / "HEAD").read_text(encoding="utf-8", errors="backslashreplace").strip()
    except OSError:
        return None
    prefix = "ref: refs/heads/"
    return head.removeprefix(prefix) if head.startswith(prefix) else None


def author(checkout_folder: Path | None) -> str:
    """Who acts: git's author from its variables or configuration, else the login's name. Never fails."""
    if name := os.environ.get("GIT_AUTHOR_NAME"):
        return name
    files = [Path.home() / ".gitconfig"] if "HOME" in os.environ else []
    if checkout_folder is not None:
        files.insert(0, checkout_folder / ".git" / "config")
    for file in files:
        if name := _configured_name(file):
            return name
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def _configured_name(file: Path) -> str | None:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    section = ""
    for raw in lines:
        text = raw.strip()
        if text.startswith("["):
            section = text
        elif section == "[user]" and "=" in text:
            key, _, value = text.partition("=")
            if key.strip() == "name":
                return value.strip().strip('"') or None
    return None


def changed_since(root: Path, reference: str, patience: float = PATIENCE) -> frozenset[str]:
    """The files below ``root``, relative to it, that differ from where this checkout left ``reference`` (a commit or
    branch): changed in commits since or not yet committed, new, or deleted.

    Raises:
        NotFound: git knows no such commit or branch.
        ProjectError: ``root`` isn't in a git checkout, or there is no git.
        Refused: git failed, or took longer than ``patience`` seconds.
    """
    commit = _ask(root, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{reference}^{{commit}}"], patience)
    if commit is None:
        if checkout(root) is None:
            raise ProjectError("git: selects by what git says, and this is not a git checkout", hint="name assets")
        raise NotFound(f"git knows no commit or branch {reference!r}", hint="git branch --all lists the branches")
    base = _ask(root, ["merge-base", commit.strip(), "HEAD"], patience) or commit
    compare = ["diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--relative", base.strip(), "--", "."]
    told = [_ask(root, each, patience) for each in (compare, ["ls-files", "--others", "--exclude-standard", "-z"])]
    if None in told:
        raise Refused(f"git can't tell what changed since {reference}", hint="look what git status says")
    return frozenset(path for text in told if text for path in text.split("\0") if path)


def _ask(root: Path, arguments: Sequence[str], patience: float) -> str | None:
    """What git answers; None where it refuses."""
    command = ["git", "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, timeout=patience, check=False, stdin=subprocess.DEVNULL
        )
    except FileNotFoundError as error:
        raise ProjectError("git: selects by what git says, and there is no git here", hint="name assets") from error
    except subprocess.TimeoutExpired as error:
        raise Refused(f"git took longer than {patience:.0f} s to say what changed", hint="name assets") from error
    return done.stdout.decode("utf-8", errors="surrogateescape") if done.returncode == 0 else None
