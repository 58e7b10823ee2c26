"""What models' queries are made of, and the columns of seeds: from the cache where it is known, else found out.

An analysis depends on the text of the query and on the names of the columns that it reads, so a text may have several:
they are kept as lines, each beginning with a hash of these names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName
from anabranch.sql.columns.values import Analysis, Listing, decode, encode
from anabranch.sql.parsed import ParsedModel

KEPT = 8
"""So many analyses of one text are kept: for as many states of what it reads."""


def analysis_key(query: str, salt: bytes) -> str:
    """Where the cache keeps the analyses of a query; ``salt``: what else they depend on, the columns aside."""
    return digest(b"analyses of " + salt + query.encode())


def header_key(content: str, version: str) -> str:
    """Where the cache keeps the columns of a CSV file with that content hash; ``version``: of the rules."""
    return digest(f"header of {content} by {version}".encode())


@dataclass(slots=True)
class Analyses:
    """``known`` is what the cache has; ``fresh`` is what it should learn. ``salt``: as of :func:`analysis_key`."""

    root: Path
    dialect: str
    default_schema: str
    version: str
    known: Mapping[str, str]
    salt: bytes
    fresh: dict[str, str] = field(default_factory=dict)
    _said: dict[AssetName, str] = field(default_factory=dict)

    def of(self, model: ParsedModel, listings: Mapping[AssetName, Listing | None]) -> Analysis:
        """The analysis of a model's query. ``listings``: the columns of what it reads, sorted by name."""
        key = analysis_key(model.query, self.salt)
        mark = digest("\n".join([self._say(asset, listings[asset]) for asset in listings]).encode())
        kept = self.known.get(key)
        lines = kept.split("\n") if isinstance(kept, str) else []  # else damaged, or written by something else
        for line in lines:
            if line.startswith(mark):
                try:
                    return decode(line[len(mark) + 1 :])
                except ValueError:
                    break
        from anabranch.sql.columns.analysis import analyse  # loads sqlglot: only for what is new
        from anabranch.sql.syntax import parsed_before

        found = analyse(parsed_before(model.query, self.dialect), self.default_schema, listings)
        others = [line for line in lines if line and not line.startswith(mark)]
        self.fresh[key] = "\n".join([f"{mark} {encode(found)}", *others[: KEPT - 1]])
        return found

    def _say(self, asset: AssetName, listing: Listing | None) -> str:
        said = self._said.get(asset)
        if said is None:
            listed = None if listing is None else [listing.names, listing.is_closed, listing.is_source]
            said = self._said[asset] = canonical([asset, listed]).decode()
        return said

    def header(self, path: str, content: str) -> Listing | None:
        """The columns that a CSV file's first line names; None where they can't be told without the engine."""
        key = header_key(content, self.version)
        names = _kept_header(self.known.get(key))
        if names is None:
            names = _read_header(self.root / path)
            self.fresh[key] = json.dumps({"columns": names})
        return Listing(tuple(names), is_closed=True) if names else None


def _kept_header(text: str | None) -> list[str] | None:
    """None where it isn't known, or damaged."""
    try:
        return list(json.loads(text)["columns"]) if text is not None else None
    except (ValueError, TypeError, KeyError):
        return None


def _read_header(path: Path) -> list[str]:
    """Nothing where only the engine can tell."""
    import csv  # only new files need it

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = [name.lower() for name in next(csv.reader(file, strict=True), [])]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    plain = all(
        name.isascii() and name.replace("_", "").replace(" ", "").isalnum() and name == name.strip() for name in names
    )
    return names if plain and len(set(names)) == len(names) else []
