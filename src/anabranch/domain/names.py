"""Names: the only way by which text from outside becomes an identifier.

An asset's address is ``schema.name`` (or ``catalog.schema.name``) where it is plain, else it carries its kind:
``lake:raw.flights``, ``pg:app``, ``fn:ingest``. Names are kept in lower case, for the engines that Anabranch serves
compare identifiers without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NewType

from anabranch.domain.ids import digest
from anabranch.errors import InvalidName

AssetName = NewType("AssetName", str)
EnvironmentName = NewType("EnvironmentName", str)

PART_LENGTH = 63
"""The longest identifier that all supported engines take (Postgres: 63 bytes)."""
ENVIRONMENT_LENGTH = 32
"""Long enough to recognise a branch, short enough to stay a suffix of a schema's name."""
HASH_LENGTH = 6
SEPARATOR = "__"
OWN_PREFIX = "anabranch"
"""Schemas named ``anabranch`` or ``anabranch__…`` belong to Anabranch."""

_PART = re.compile(r"[a-z_][a-z0-9_]*\Z")
_KIND = re.compile(r"[a-z]+\Z")
_ENVIRONMENT = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


def asset_name(text: str) -> AssetName:
    """``text`` as an asset's name, in lower case.

    Raises:
        InvalidName: empty, too long, with characters that aren't plain, or in Anabranch's own schemas.
    """
    kind, colon, rest = text.rpartition(":")
    if colon and not _KIND.match(kind):
        raise InvalidName(f"{text!r} is not an asset's name", hint="write it as schema.name, or kind:name")
    parts = rest.lower().split(".")
    if len(parts) > 3:
        raise InvalidName(f"{text!r} has {len(parts)} parts", hint="write it as schema.name or catalog.schema.name")
    for part in parts:
        if not _PART.match(part):
            raise InvalidName(
                f"{text!r} is not an asset's name: {part!r} is not a plain identifier",
                hint="use letters, digits and underscores, and begin with a letter or an underscore",
            )
        if len(part) > PART_LENGTH:
            raise InvalidName(
                f"{text!r} is too long: {len(part)} characters in one part", hint=f"at most {PART_LENGTH}"
            )
    if any(part == OWN_PREFIX or part.startswith(OWN_PREFIX + SEPARATOR) for part in parts[:-1]):
        raise InvalidName(f"{text!r} lies in a schema that Anabranch keeps for itself", hint="choose another schema")
    return AssetName(f"{kind}:{'.'.join(parts)}" if colon else ".".join(parts))


def environment_name(text: str) -> EnvironmentName:
    """``text`` as an environment's name, exactly as it stands.

    Raises:
        InvalidName: not lower-case words of letters and digits joined by single underscores, or over 32 characters.
    """
    if not _ENVIRONMENT.match(text):
        raise InvalidName(
            f"{text[:80]!r} is not an environment's name",
            hint="use lower-case letters, digits and single underscores, and begin with a letter",
        )
    if len(text) > ENVIRONMENT_LENGTH:
        raise InvalidName(
            f"{text[:80]!r} is too long for an environment", hint=f"at most {ENVIRONMENT_LENGTH} characters"
        )
    return EnvironmentName(text)


def environment_for_branch(branch: str, is_free: Callable[[EnvironmentName], bool] = lambda _: True) -> EnvironmentName:
    """The environment of a git branch: ``feature/New-Price`` becomes ``feature_new_price``.

    Where the plain form loses more than case and punctuation, is too long, or isn't free (``is_free`` says no), a hash
    of the branch's name ends it, so that two branches never share an environment.

    Raises:
        InvalidName: an empty name.
    """
    if not branch.strip():
        raise InvalidName("a branch without a name has no environment", hint="name one: anabranch apply ENV")
    words = [word for word in re.split(r"[^a-z0-9]+", branch.lower()) if word]
    plain = "_".join(words)
    lossy = re.search(r"[^A-Za-z0-9/._ -]", branch) is not None or not plain or not plain[0].isalpha()
    if plain and not plain[0].isalpha():
        plain = f"b_{plain}"
    if not lossy and len(plain) <= ENVIRONMENT_LENGTH:
        name = EnvironmentName(plain)
        if is_free(name):
            return name
    stem = plain[: ENVIRONMENT_LENGTH - HASH_LENGTH - 1].rstrip("_") or "branch"
    return EnvironmentName(f"{stem}_{digest(branch.encode())[:HASH_LENGTH]}")


def shorten(text: str, limit: int = PART_LENGTH) -> str:
    """``text`` in at most ``limit`` characters; a hash ends it where it had to be cut."""
    if len(text) <= limit:
        return text
    return f"{text[: limit - HASH_LENGTH - 1].rstrip('_')}_{digest(text.encode())[:HASH_LENGTH]}"


def nearest(name: str, known: list[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be, or None."""
    from difflib import get_close_matches  # imported late: only errors need it

    found = get_close_matches(name, known, n=1, cutoff=0.6)
    return found[0] if found else None
