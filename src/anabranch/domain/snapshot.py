"""Snapshots: one physical version of an asset."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from anabranch.domain import audit as audits
from anabranch.domain.audit import Audit
from anabranch.domain.ids import Fingerprint, SnapshotId, canonical, digest
from anabranch.domain.names import AssetName


class Kind(StrEnum):
    """What an asset is, as far as its data goes."""

    FULL = "full"
    """A table, built from a query."""
    VIEW = "view"
    """A view, over the physical tables of what it reads."""
    SEED = "seed"
    """A table, loaded from a file of the project."""
    EXTERNAL = "external"
    """A table that Anabranch doesn't build."""
    EMBEDDED = "embedded"
    """A query that its readers contain; nothing physical."""
    BY_TIME_RANGE = "incremental_by_time_range"
    """A table, filled span of time by span of time."""
    BY_UNIQUE_KEY = "incremental_by_unique_key"
    """A table, whose rows are replaced by key."""
    BY_PARTITION = "incremental_by_partition"
    """A table, whose partitions are replaced as wholes."""
    UNMANAGED = "incremental_unmanaged"
    """A table, to which rows are added."""
    SCD_TYPE_2_BY_TIME = "scd_type_2_by_time"
    """The history of a query's rows, told by a column that says when a row changed."""
    SCD_TYPE_2_BY_COLUMN = "scd_type_2_by_column"
    """The history of a query's rows, told by comparing columns."""


PHYSICAL = frozenset(Kind) - {Kind.EXTERNAL, Kind.EMBEDDED}
"""The kinds of which Anabranch makes something."""
INCREMENTAL = frozenset({Kind.BY_TIME_RANGE, Kind.BY_UNIQUE_KEY, Kind.BY_PARTITION, Kind.UNMANAGED})
"""The kinds that are filled by and by."""
HISTORY = frozenset({Kind.SCD_TYPE_2_BY_TIME, Kind.SCD_TYPE_2_BY_COLUMN})
"""The kinds whose rows can't be had again once they are lost."""
REFRESHED = INCREMENTAL | HISTORY | {Kind.FULL}
"""The kinds whose data moves on."""
DATA_SETTINGS = frozenset(
    {
        "time_column",
        "time_format",
        "unique_key",
        "partitioned_by",
        "tracked",
        "valid_from_name",
        "valid_to_name",
        "updated_at_name",
        "invalidate_hard_deletes",
        "updated_at_as_valid_from",
        "execution_time_as_valid_from",
    }
)
"""Properties that decide the data: they are part of a snapshot's logic."""


TEMPLATE_SCHEME = 1
"""Counts the rules by which templates are made."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a snapshot came from, kept as source so that a later scheme can fingerprint it again.

    ``text`` is the query (models), ``""`` for the rest; ``path`` is relative to the project's folder.
    """

    text: str = ""
    dialect: str = ""
    path: str = ""
    template: tuple[str, ...] = ()
    """The query with holes for what it reads, text and asset by turns, so that building it needs no parser. Derived
    from
    ``text``, and made again from it where it is missing."""


@dataclass(frozen=True, slots=True)
class SeedSource:
    """What a seed's definition says: the hash of its file and the types that were declared for its columns."""

    content: str
    columns: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> str:
        """As a definition's text."""
        return canonical({"content": self.content, "columns": dict(self.columns)}).decode()

    @staticmethod
    def decode(text: str) -> SeedSource:
        """The inverse of :meth:`encode`."""
        return SeedSource(**json.loads(text))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of an asset. Its id comes from what it says about data and meaning, not from how it was written.

    ``upstreams`` maps what it reads to the *fingerprint* it was defined over, not to a snapshot: a changed description
    upstream leaves its readers as they are. ``properties`` are all settings (description, owner, cron, key columns as
    ``"a,b"``); those of :data:`DATA_SETTINGS` are part of ``logic`` too.
    """

    asset: AssetName
    kind: Kind
    provider: str
    fingerprint: Fingerprint
    """Of the data: its own logic and all that it reads."""
    logic: Fingerprint
    """Of its own logic alone; tells a changed definition from a changed upstream."""
    location: str
    """Where the provider keeps it: ``schema.table`` for models, ``""`` where there is nothing physical."""
    upstreams: Mapping[AssetName, Fingerprint] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    definition: Definition = field(default_factory=Definition, compare=False)
    audits: tuple[Audit, ...] = ()
    """What its rows have to pass before anything points at them; no part of the fingerprint."""

    @property
    def id(self) -> SnapshotId:
        """Derived from all but the definition: the same logic in another wording is the same snapshot."""
        said: list[object] = [self.asset, self.kind, self.provider, self.fingerprint, self.logic, self.location]
        said += [dict(self.upstreams), dict(self.properties)]
        said += [[a.said() for a in self.audits]] if self.audits else []
        return SnapshotId(digest(b"snapshot" + canonical(said)))

    @property
    def is_physical(self) -> bool:
        """Whether Anabranch makes something for it."""
        return self.kind in PHYSICAL

    @property
    def is_table(self) -> bool:
        """Whether its readers read a relation; else they contain its query."""
        return self.kind is not Kind.EMBEDDED

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell its rows apart, where declared."""
        return tuple(k for k in self.properties.get("key", "").split(",") if k)


def encode(snapshot: Snapshot) -> bytes:
    """As stored."""
    d = snapshot.definition
    return canonical(
        {
            "asset": snapshot.asset,
            "kind": snapshot.kind,
            "provider": snapshot.provider,
            "fingerprint": snapshot.fingerprint,
            "logic": snapshot.logic,
            "location": snapshot.location,
            "upstreams": {str(a): str(f) for a, f in snapshot.upstreams.items()},
            "properties": dict(snapshot.properties),
            "definition": {"text": d.text, "dialect": d.dialect, "path": d.path},
            "template": [TEMPLATE_SCHEME, *d.template],
            **({"audits": [audits.encode(a) for a in snapshot.audits]} if snapshot.audits else {}),
        }
    )


def decode(data: bytes) -> Snapshot:
    """The inverse of :func:`encode`."""
    raw = json.loads(data)
    return Snapshot(
        asset=AssetName(raw["asset"]),
        kind=Kind(raw["kind"]),
        provider=raw["provider"],
        fingerprint=Fingerprint(raw["fingerprint"]),
        logic=Fingerprint(raw["logic"]),
        location=raw["location"],
        upstreams=raw["upstreams"],
        properties=raw["properties"],
        definition=Definition(**raw["definition"], template=_template(raw.get("template"))),
        audits=tuple(audits.decode(a) for a in raw.get("audits", ())),
    )


def _template(raw: list[Any] | None) -> tuple[str, ...]:
    """Nothing where other rules made it: then it is made again from the definition's text."""
    return tuple(raw[1:]) if raw and raw[0] == TEMPLATE_SCHEME else ()
