"""What SQLite's errors mean to whoever typed the command."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from anabranch.errors import StateUnavailable

_ELSEWHERE = "or name another file under `state` in anabranch.yaml"


def explain(error: sqlite3.Error, path: Path, place: str, patience: float) -> StateUnavailable:
    """``error``, which ``path`` met with, in terms of the file."""
    match getattr(error, "sqlite_errorname", "").split("_")[:2]:
        case ["SQLITE", "BUSY" | "LOCKED"]:
            return held(place, patience)
        case ["SQLITE", "READONLY"]:
            return _not_writable(path, place)
        case ["SQLITE", "FULL"]:
            return _full(path, place)
        case ["SQLITE", "NOTADB"]:
            return StateUnavailable(
                f"{place} is not an SQLite database", hint=f"move that file away if it isn't needed, {_ELSEWHERE}"
            )
        case ["SQLITE", "CORRUPT"]:
            return StateUnavailable(
                f"{place} is damaged ({error})", hint="restore it from a backup (docs/state.md tells how)"
            )
        case ["SQLITE", "CANTOPEN" | "PERM" | "AUTH"]:
            return _not_opened(path, place)
        case ["SQLITE", "IOERR"]:
            if _is_full(path.parent):
                return _full(path, place)
            return StateUnavailable(
                f"{place} can't be read or written ({error})",
                hint="check the disk that it is on; a folder on the network is no place for it",
            )
    return StateUnavailable(f"{place} can't be used ({error})", hint="if it was changed by hand, restore a backup")


def held(place: str, patience: float) -> StateUnavailable:
    """Another writer didn't finish within the ``patience``."""
    return StateUnavailable(
        f"{place} has been locked by another process for {patience:g} s",
        hint=f"see which one has it open (fuser {place}), let it finish or stop it, and repeat the command",
    )


def not_ours(place: str) -> StateUnavailable:
    """A database, but of another program."""
    return StateUnavailable(
        f"{place} is an SQLite database of something else, not Anabranch's state",
        hint="name another file under `state` in anabranch.yaml",
    )


def _full(path: Path, place: str) -> StateUnavailable:
    return StateUnavailable(
        f"{place} can't grow: the disk is full", hint=f"free some space in {path.parent}, and repeat the command"
    )


def _is_full(folder: Path) -> bool:
    try:
        return os.statvfs(folder).f_bavail == 0
    except OSError:
        return False


def _not_writable(path: Path, place: str) -> StateUnavailable:
    if path.exists() and os.access(path, os.W_OK):
        return _folder_not_writable(path, place)
    return StateUnavailable(f"{place} is read-only", hint=f"have it made writable (chmod u+w {path}), {_ELSEWHERE}")


def _not_opened(path: Path, place: str) -> StateUnavailable:
    if path.is_dir():
        return StateUnavailable(f"{place} is a folder", hint="name a file in it under `state` in anabranch.yaml")
    if path.exists() and not os.access(path, os.R_OK):
        return StateUnavailable(
            f"{place} may not be read", hint=f"have it made readable (chmod u+rw {path}), {_ELSEWHERE}"
        )
    return _folder_not_writable(path, place)


def _folder_not_writable(path: Path, place: str) -> StateUnavailable:
    return StateUnavailable(
        f"{place} can't be used: files can't be made in {path.parent}, which SQLite needs even to read",
        hint=f"have that folder made writable (chmod u+rwx {path.parent}), {_ELSEWHERE}",
    )
