"""Assets that were computed again in one environment while another goes on showing what they were.

Data that both share can't be changed for one of them. So the asset becomes another one: a *mark* is mixed into its
fingerprint, and through it into those of its readers, as far as they read what it decides. The mark is a property of
the snapshot: it goes where the snapshot goes, by a promotion for instance, and is gone with the next change of the
definition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind, Published, Snapshot

PROPERTY = "restated"


@dataclass(frozen=True, slots=True)
class Restated:
    """One asset's mark, and the definition that it belongs to."""

    mark: str
    logic: Fingerprint
    text: str
    is_source: bool = False
    """It is of a table that its definition only describes, and belongs to whatever that says."""

    def belongs_to(self, logic: Fingerprint, text: str) -> bool:
        """By the same text it does under other rules for fingerprints, too."""
        return self.is_source or self.logic == logic or (self.text == text != "")


def marks(snapshots: Mapping[AssetName, Snapshot]) -> dict[AssetName, Restated]:
    """Those of an environment's snapshots."""
    return {
        a: Restated(s.properties[PROPERTY], s.logic, s.definition.text, s.kind in (Kind.EXTERNAL, Kind.CLONE))
        for a, s in snapshots.items()
        if PROPERTY in s.properties
    }


def mixed(mark: str, fingerprint: Fingerprint) -> Fingerprint:
    """A fingerprint with a mark."""
    return Fingerprint(digest(canonical([PROPERTY, mark, fingerprint])))


def published(mark: str, said: Published) -> Published:
    """What readers depend on, with a mark."""
    columns = None if said.columns is None else {c: mixed(mark, f) for c, f in said.columns.items()}
    return Published(mixed(mark, said.rows), columns)


def over(there: Snapshot, anew: Snapshot) -> Snapshot:
    """``there``, with what is restated in it or upstream of it."""
    mark = {k: v for k, v in anew.properties.items() if k == PROPERTY}
    return replace(
        there,
        fingerprint=anew.fingerprint,
        published=anew.published,
        upstreams=anew.upstreams,
        location=anew.location,
        properties={**there.properties, **mark},
    )
