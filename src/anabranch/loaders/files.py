"""The files of a project, and what is in them, without reading what hasn't changed."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from anabranch.domain.ids import digest
from anabranch.errors import ModelError, Where

RACY = 2_000_000_000
"""Nanoseconds: the coarsest clock of a file system. A file changed less than this before it was hashed may have
changed once more since, without its time telling."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells, without reading it, that a file hasn't changed."""

    size: int
    modified: int
    changed: int
    inode: int


@dataclass(frozen=True, slots=True)
class Known:
    """A file's hash (as :func:`anabranch.domain.ids.digest` makes it), its stamp then, and when that was."""

    stamp: Stamp
    content: str
    seen: int

    def holds(self, stamp: Stamp) -> bool:
        """Whether the content is still that, as git's index has it."""
        return stamp == self.stamp and max(stamp.modified, stamp.changed) < self.seen - RACY


def scan(root: Path, folder: str, suffix: str | tuple[str, ...]) -> dict[str, Stamp]:
    """All files under ``root/folder`` whose name ends in ``suffix`` (one of them), by path relative to ``root``. Hidden
    files and folders are left out; links are followed, but never in a circle.

    Raises:
        ModelError: a folder can't be listed, or a link leads nowhere.
    """
    top = root / folder
    if not os.path.lexists(top):
        return {}
    return dict(_walk(root, folder, suffix, (os.path.realpath(top),)))


def _walk(
    root: Path, folder: str, suffix: str | tuple[str, ...], trail: tuple[str, ...]
) -> Iterator[tuple[str, Stamp]]:
    """``trail``: the real paths of the folders that lead here."""
    try:
        with os.scandir(root / folder) as listed:
            entries = [e for e in listed if not e.name.startswith(".")]
    except FileNotFoundError:
        return
    except OSError as error:
        raise unreadable(root, folder, error) from error
    for entry in entries:
        path = f"{folder}/{entry.name}"
        if _is_folder(entry):
            real = os.path.realpath(entry.path) if entry.is_symlink() else f"{trail[-1]}/{entry.name}"
            if real not in trail:
                yield from _walk(root, path, suffix, (*trail, real))
        elif entry.name.lower().endswith(suffix):
            try:
                found = entry.stat()
            except FileNotFoundError as error:
                if entry.is_symlink():
                    message = f"{path} is a link that leads nowhere"
                    raise ModelError(message, where=Where(root / path), hint="mend or delete it") from error
                continue  # gone since the folder was listed
            except OSError as error:
                raise unreadable(root, path, error) from error
            if stat.S_ISREG(found.st_mode):
                yield path, _stamp(found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle: told when it is read
        return False


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def unreadable(root: Path, path: str, error: OSError) -> ModelError:
    """For what is there but can't be read."""
    message = f"{path} can't be read: {error.strerror or error}"
    return ModelError(message, where=Where(root / path), hint="check who may read it")


class Contents:
    """The hashes of files, those that are known from before unread. ``news`` and ``gone`` are what a cache should
    learn."""

    def __init__(self, root: Path, known: dict[str, Known], now: Callable[[], int]) -> None:
        self._root = root
        self._known = known
        self._now = now
        self._read: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self.news: dict[str, Known] = {}

    def look(self, listed: dict[str, Stamp], *, keep: bool) -> None:
        """Takes in files that were listed; with ``keep``, what has to be read is kept for :meth:`text`.

        Raises:
            ModelError: one can't be read.
        """
        for path, stamp in listed.items():
            known = self._known.get(path)
            if known is not None and known.holds(stamp):
                self.hashes[path] = known.content
            else:
                self._hash(path, keep)

    def text(self, path: str) -> str | None:
        """A file's text; None where it is gone meanwhile.

        Raises:
            ModelError: it can't be read, or isn't UTF-8.
        """
        if path not in self._read and not self._hash(path, keep=True):
            return None
        data = self._read.pop(path)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            raise ModelError(
                f"{path} isn't UTF-8: byte 0x{data[error.start]:02x} is no character",
                where=Where(self._root / path, line, column),
                hint="save it as UTF-8",
            ) from error

    def gone(self, prefixes: Iterable[str]) -> list[str]:
        """Paths under ``prefixes`` that were known and are no more."""
        return [p for p in self._known if p not in self.hashes and p.startswith(tuple(prefixes))]

    def _hash(self, path: str, keep: bool) -> bool:
        """Reads a file. False where it is gone since it was listed."""
        seen = self._now()
        try:
            with (self._root / path).open("rb") as file:
                stamp = _stamp(os.fstat(file.fileno()))
                if keep:
                    data = file.read()
                    content: str = digest(data)
                    self._read[path] = data
                else:
                    hasher = hashlib.blake2b(digest_size=20)
                    while chunk := file.read(_CHUNK):
                        hasher.update(chunk)
                    content = hasher.hexdigest()
        except FileNotFoundError:
            self.hashes.pop(path, None)
            return False
        except OSError as error:
            raise unreadable(self._root, path, error) from error
        self.hashes[path] = content
        known = self._known.get(path)
        fresh = Known(stamp, content, seen)
        if known is None or (known.stamp, known.content) != (stamp, content) or fresh.holds(stamp):
            self.news[path] = fresh
        return True
