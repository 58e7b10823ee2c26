"""Clones: tables that an environment has of sources, to write to.

A clone nobody wrote to publishes what its source publishes: readers in the environment share what others built over the
source, and read the source itself. Once it was written to, it gets a *mark* (:mod:`anabranch.domain.restated`), made of
its id and of a token for its content: its readers become other assets in this environment, and read the clone. So does
one that didn't begin as its source is: pinned to the past, cloned from another environment's, or made with what was
written to an earlier one, whose place it takes since another was merged into the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName
from anabranch.domain.restated import PROPERTY
from anabranch.domain.snapshot import Kind, Snapshot

ID, AT, PAST, ORIGIN, WRITTEN, COPIED = "clone", "cloned_at", "past", "cloned_from", "written", "copied"
DEPTH = "depth"
CARRIES = "carries"
_SOURCE = "source_mark"
_OWN = frozenset({ID, AT, PAST, ORIGIN, WRITTEN, COPIED, DEPTH, CARRIES, _SOURCE})
_DIGITS = 16
_MERGED = "merged"


def clone_id(*said: str) -> str:
    """A new clone's, from all that tells it from others."""
    return digest(canonical(["clone", *said]))[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Begun:
    """How a clone begins. ``at``: when, in seconds since 1970. ``past``: the moment of its source that it holds, as ISO
    8601 has it. ``origin``: the environment whose written clone it is a clone of. ``is_copy``: rows have to be copied,
    for the engine has no clones, or none of so many clones."""

    id: str
    location: str
    at: int
    past: str = ""
    origin: str = ""
    is_copy: bool = False
    depth: int = 0
    """Of how many clones of one another it is the last; 0 where rows were copied, or nobody counts."""
    carries: str = ""
    """The mark of the environment's earlier clone whose writes it begins with."""


def cloned(source: Snapshot, begun: Begun) -> Snapshot:
    """The clone of a source, or of another clone of it. Its fingerprints are the given one's."""
    properties = {k: v for k, v in uncloned(source).properties.items() if k != PROPERTY}
    mark = source.properties.get(_SOURCE if source.kind is Kind.CLONE else PROPERTY)
    own = {ID: begun.id, AT: str(begun.at), PAST: begun.past, ORIGIN: begun.origin, _SOURCE: mark or ""}
    own[COPIED] = "true" if begun.is_copy else ""
    own[DEPTH] = str(begun.depth) if begun.depth else ""
    own[CARRIES] = begun.carries
    properties.update({k: v for k, v in own.items() if v})
    found = replace(source, kind=Kind.CLONE, location=begun.location, properties=properties)
    return marked(found, mark_of(found, "", ""))


def mark_of(clone: Snapshot, token: str, begun: str) -> str | None:
    """The mark of a clone whose content ``token`` tells, and told ``begun`` when it was made."""
    said = clone.properties
    if token != begun:
        return digest(canonical([said[ID], token]))[:_DIGITS]
    return digest(canonical([said[ID]]))[:_DIGITS] if said.keys() & {PAST, ORIGIN, CARRIES} else None


def marked(clone: Snapshot, mark: str | None) -> Snapshot:
    """The clone with another mark. Its fingerprints are for the loader to make."""
    properties = {k: v for k, v in clone.properties.items() if k not in (WRITTEN, PROPERTY)}
    source = clone.properties.get(_SOURCE)
    if mark is not None:
        properties.update({WRITTEN: mark, PROPERTY: mark})
    elif source is not None:
        properties[PROPERTY] = source
    return replace(clone, properties=properties)


def as_clone(source: Snapshot, clone: Snapshot) -> Snapshot:
    """The clone, as its source is declared by now."""
    own = {k: v for k, v in clone.properties.items() if k in _OWN}
    return replace(source, kind=Kind.CLONE, location=clone.location, properties={**source.properties, **own})


def uncloned(snapshot: Snapshot) -> Snapshot:
    """What a clone says of its source; what isn't a clone, as it is."""
    if snapshot.kind is not Kind.CLONE:
        return snapshot
    properties = {k: v for k, v in snapshot.properties.items() if k not in _OWN}
    return replace(snapshot, kind=Kind.EXTERNAL, location=str(snapshot.asset), properties=properties)


def differs(snapshot: Snapshot) -> bool:
    """Whether it is a clone that holds something else than its source did when it was made: its readers read it."""
    return snapshot.kind is Kind.CLONE and WRITTEN in snapshot.properties


def is_behind(clone: Snapshot, source: Snapshot) -> bool:
    """Whether its source was another one when it was made, as far as what was merged into that decides."""
    return clone.properties.get(_SOURCE) != source.properties.get(PROPERTY)


def merged_mark(mark: str) -> str:
    """That of a source into which a clone of this mark was merged."""
    return digest(canonical([_MERGED, mark]))[: len(mark)]


def clones_among(snapshots: Mapping[AssetName, Snapshot]) -> dict[AssetName, Snapshot]:
    """Those that are clones."""
    return {a: s for a, s in snapshots.items() if s.kind is Kind.CLONE}
