"""Texts to fingerprints, as the loader does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Published
from anabranch.sql.columns.analysis import analyse
from anabranch.sql.columns.link import Linked, link
from anabranch.sql.columns.values import Analysis, Listing
from anabranch.sql.syntax import single


@dataclass(frozen=True)
class Upstream:
    """As much of a snapshot as counts."""

    fingerprint: Fingerprint
    published: Published


def fingerprint(text: str) -> Fingerprint:
    """Some fingerprint, different for each text."""
    return Fingerprint(digest(text.encode()))


def source(name: str, columns: Mapping[str, str]) -> Upstream:
    """A source as the loader makes it."""
    published = Published(fingerprint(name), {c: fingerprint(f"{name}.{c} {kind}") for c, kind in columns.items()})
    return Upstream(fingerprint(f"{name} {columns}"), published)


@dataclass
class Made:
    """What the models of a project are."""

    analyses: dict[str, Analysis]
    linked: dict[str, Linked]


def make(
    models: Mapping[str, str],
    sources: Mapping[str, Upstream],
    listings: Mapping[str, Listing | None],
    *,
    views: bool = False,
) -> Made:
    """``models`` in an order in which none reads a later one. A model that falls back fails the test."""
    known = {AssetName(n): u for n, u in sources.items()}
    listed = {AssetName(n): listing for n, listing in listings.items()}
    made = Made({}, {})
    for name, text in models.items():
        analysis = analyse(single(text, "duckdb"), "main", listed)
        assert not analysis.fallback, f"{text}: {analysis.fallback}"
        read = {AssetName(r): known[AssetName(r)] for r in analysis.reads}
        found = link(analysis, read, ["duckdb"], whole=views)
        made.analyses[name], made.linked[name] = analysis, found
        known[AssetName(name)] = Upstream(found.fingerprint, found.published)
        listed[AssetName(name)] = analysis.listing
    return made
