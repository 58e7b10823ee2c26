"""Which git branch is checked out, read from git's files: no process is started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


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
