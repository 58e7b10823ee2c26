"""A query with holes for what it reads: made once, where the query is parsed, and filled without parsing it again."""

from __future__ import annotations

from collections.abc import Callable

from anabranch.domain.names import AssetName

HOLE = "\0"
"""Marks both ends of an asset's name; no query can contain it."""

Template = tuple[str, ...]
"""Text and asset by turns, beginning and ending with text."""


def hole(asset: AssetName) -> str:
    """What stands for ``asset`` until the text is :func:`cut`."""
    return f"{HOLE}{asset}{HOLE}"


def cut(text: str) -> Template:
    """A text with holes, as a template."""
    return tuple(text.split(HOLE))


def fill(template: Template, stand_in: Callable[[AssetName], str]) -> str:
    """The query, with ``stand_in`` of each asset that it reads."""
    return "".join(part if at % 2 == 0 else stand_in(AssetName(part)) for at, part in enumerate(template))
