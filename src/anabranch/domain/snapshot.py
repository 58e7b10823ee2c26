"""Snapshots: one physical version of an asset."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from anabranch.domain import audit as audits
from anabranch.domain.audit import Audit
from anabranch.domain.hooks import Statements
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
    CLONE = "clone"
    """An environment's own clone of such a table, which people may write to."""
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
    CUSTOM = "custom"
    """A table that a third party's materialization makes of the query."""


PHYSICAL = frozenset(Kind) - {Kind.EXTERNAL, Kind.EMBEDDED}
"""The kinds of which Anabranch makes something."""
INCREMENTAL = frozenset({Kind.BY_TIME_RANGE, Kind.BY_UNIQUE_KEY, Kind.BY_PARTITION, Kind.UNMANAGED})
"""The kinds that are filled by and by."""
HISTORY = frozenset({Kind.SCD_TYPE_2_BY_TIME, Kind.SCD_TYPE_2_BY_COLUMN})
"""The kinds whose rows can't be had again once they are lost."""
AS_WHOLE = frozenset({Kind.FULL, Kind.CUSTOM})
"""The kinds that are computed again as wholes."""
REFRESHED = INCREMENTAL | HISTORY | AS_WHOLE
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
        "materialization",
        "materialization_properties",
    }
)
"""Properties that decide the data: they are part of a snapshot's logic."""


PYTHON = "python"
"""The dialect of a definition whose text is a :class:`Function`."""
TEMPLATE_SCHEME = 1
"""Counts the rules by which templates are made."""


@dataclass(frozen=True, slots=True)
class Definition:
    """Where a snapshot came from, kept as source so that a later scheme can fingerprint it again.

    ``text`` is the query (models), a :class:`Function` (of dialect :data:`PYTHON`), ``""`` for the rest;
    ``path`` is relative to the project's folder.
    """

    text: str = ""
    dialect: str = ""
    path: str = ""
    rules: str = ""
    """By which version of the rules it was fingerprinted."""
    template: tuple[str, ...] = ()
    """The query with holes for what it reads, text and asset by turns, so that building it needs no parser. Derived
    from
    ``text``, and made again from it where it is missing."""
    statements: Statements = field(default_factory=Statements)
    """What runs around the build (part of ``logic``), and when the view is made (a property)."""


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
class Published:
    """What readers depend on: the fingerprint of the rows, and those of the columns, by name in lower case. A column's
    fingerprint says something beside that of the rows only. ``columns`` is None where they aren't known; then ``rows``
    stands for everything."""

    rows: Fingerprint
    columns: Mapping[str, Fingerprint] | None = None

    def column(self, name: str) -> Fingerprint:
        """The fingerprint of a column, also of one that isn't among those that are known."""
        found = self.columns.get(name) if self.columns is not None else None
        return found or Fingerprint(digest(canonical([self.rows, name])))


_WHOLE = Published(Fingerprint(""))


@dataclass(frozen=True, slots=True)
class Input:
    """What a snapshot reads of an upstream. ``columns`` are those that it reads, besides the rows; None: all of it, and
    then ``fingerprint`` is the upstream's own."""

    fingerprint: Fingerprint
    columns: tuple[str, ...] | None = None

    @staticmethod
    def of(fingerprint: Fingerprint, published: Published, columns: Collection[str], whole: bool = False) -> Input:
        """What ``columns`` of an upstream are now. ``fingerprint``: the upstream's own."""
        if whole or published.columns is None:
            return Input(fingerprint)
        names = tuple(sorted(set(columns)))
        known = published.columns
        said = [known.get(name) or published.column(name) for name in names]
        return Input(Fingerprint(digest("\n".join([published.rows, *said]).encode())), names)

    def holds(self, upstream: Snapshot) -> bool:
        """Whether the upstream is still what was read, as far as it was read."""
        if self.columns is None:
            return upstream.fingerprint == self.fingerprint
        return Input.of(upstream.fingerprint, upstream.published, self.columns).fingerprint == self.fingerprint


@dataclass(frozen=True, slots=True)
class Function:
    """What the definition of a model in Python says: which function, with the texts of all modules that it may import,
    so that it runs as it was wherever it runs."""

    module: str
    function: str
    line: int
    columns: Mapping[str, str]
    """Names and types of what it returns, in order."""
    reads: tuple[str, ...]
    modules: Mapping[str, str]
    """Texts by path, relative to the project's folder."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """The versions of the packages that it imports, when it was read. They don't decide its fingerprint."""

    def encode(self) -> str:
        """As a definition's text."""
        said = [self.module, self.function, self.line, list(self.columns.items()), self.reads]
        return canonical([*said, dict(self.modules), dict(self.packages)]).decode()

    @staticmethod
    def decode(text: str) -> Function:
        """The inverse of :meth:`encode`."""
        module, function, line, columns, reads, modules, packages = json.loads(text)
        return Function(module, function, line, dict(columns), tuple(reads), modules, packages)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of an asset. Its id comes from what it says about data and meaning, not from how it was written.

    ``upstreams`` says of each asset that it reads what was read, not which snapshot that was: a changed description
    upstream, or a column that it doesn't read, leaves it as it is. ``properties`` are all settings (description, owner,
    cron, key columns as ``"a,b"``); those of :data:`DATA_SETTINGS` are part of ``logic`` too.
    """

    asset: AssetName
    kind: Kind
    provider: str
    fingerprint: Fingerprint
    """Of the data: its own logic and all that it reads. Decides the location."""
    logic: Fingerprint
    """Of its own logic alone; tells a changed definition from a changed upstream."""
    location: str
    """Where the provider keeps it: ``schema.table`` for models, ``""`` where there is nothing physical."""
    upstreams: Mapping[AssetName, Input] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    definition: Definition = field(default_factory=Definition, compare=False)
    published: Published = _WHOLE
    """What readers depend on; the whole, where nothing finer is said."""

    def __post_init__(self) -> None:
        if self.published is _WHOLE:
            object.__setattr__(self, "published", Published(self.fingerprint))

    audits: tuple[Audit, ...] = ()
    """What its rows have to pass before anything points at them; no part of the fingerprint."""

    @property
    def id(self) -> SnapshotId:
        """Derived from all but the definition: the same logic in another wording is the same snapshot."""
        said: list[object] = [self.asset, self.kind, self.provider, self.fingerprint, self.logic, self.location]
        said += [{a: _said(i) for a, i in self.upstreams.items()}, dict(self.properties)]
        if self.published != Published(self.fingerprint):  # else as it was before there were fingerprints of columns
            columns = self.published.columns
            said += [self.published.rows, None if columns is None else dict(columns)]
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

    @property
    def is_forward_only(self) -> bool:
        """Whether a change of code leaves the rows that are there."""
        return self.properties.get("forward_only") == "true"


def encode(snapshot: Snapshot) -> bytes:
    """As stored."""
    d, columns = snapshot.definition, snapshot.published.columns
    return canonical(
        {
            "asset": snapshot.asset,
            "kind": snapshot.kind,
            "provider": snapshot.provider,
            "fingerprint": snapshot.fingerprint,
            "logic": snapshot.logic,
            "location": snapshot.location,
            "upstreams": {str(a): _said(i) for a, i in snapshot.upstreams.items()},
            "published": [snapshot.published.rows, columns if columns is None else dict(columns)],
            "properties": dict(snapshot.properties),
            "definition": {"text": d.text, "dialect": d.dialect, "path": d.path, "rules": d.rules},
            "template": [TEMPLATE_SCHEME, *d.template],
            **({"audits": [audits.encode(a) for a in snapshot.audits]} if snapshot.audits else {}),
            **({"statements": d.statements.encode()} if d.statements else {}),
        }
    )


def decode(data: bytes) -> Snapshot:
    """The inverse of :func:`encode`. Knows the form from before there were fingerprints of columns, too."""
    raw = json.loads(data)
    published = raw.get("published")
    return Snapshot(
        asset=AssetName(raw["asset"]),
        kind=Kind(raw["kind"]),
        provider=raw["provider"],
        fingerprint=Fingerprint(raw["fingerprint"]),
        logic=Fingerprint(raw["logic"]),
        location=raw["location"],
        upstreams={a: _input(said) for a, said in raw["upstreams"].items()},
        properties=raw["properties"],
        definition=Definition(
            **raw["definition"],
            template=_template(raw.get("template")),
            statements=Statements.decode(raw["statements"]) if "statements" in raw else Statements(),
        ),
        published=Published(*published) if published else _WHOLE,
        audits=tuple(audits.decode(a) for a in raw.get("audits", ())),
    )


def _said(each: Input) -> object:
    return str(each.fingerprint) if each.columns is None else [each.fingerprint, *each.columns]


def _input(said: Any) -> Input:
    return Input(Fingerprint(said)) if isinstance(said, str) else Input(Fingerprint(said[0]), tuple(said[1:]))


def _template(raw: list[Any] | None) -> tuple[str, ...]:
    """Nothing where other rules made it: then it is made again from the definition's text."""
    return tuple(raw[1:]) if raw and raw[0] == TEMPLATE_SCHEME else ()
