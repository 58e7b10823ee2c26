"""What every store has to get right about its keys."""

from __future__ import annotations

from collections.abc import Mapping

_LAST = 0x10FFFF
_BEFORE_SURROGATES, _AFTER_SURROGATES = 0xD7FF, 0xE000


def prefix_end(prefix: str) -> str | None:
    """The least text that comes after all that begins with ``prefix``, by code point; None where there is none.

    With it, a scan is a range that an index can answer: ``prefix <= key < end``.
    """
    stem = prefix.rstrip(chr(_LAST))
    if not stem:
        return None
    code = ord(stem[-1])
    return stem[:-1] + chr(_AFTER_SURROGATES if code == _BEFORE_SURROGATES else code + 1)


def changes_something(expect: Mapping[str, bytes | None], write: Mapping[str, bytes | None]) -> bool:
    """Whether a swap that is carried out must change a cell.

    A commit that changes nothing may be skipped by a database, and would then not make durable what came before it.
    """
    return any(key in expect and expect[key] != value for key, value in write.items())
