"""Where assets stand in a warehouse: the physical tables, and the views that people read."""

from __future__ import annotations

import re
from enum import StrEnum

from anabranch.domain.ids import Fingerprint
from anabranch.domain.names import OWN_PREFIX, PART_LENGTH, SEPARATOR, AssetName, EnvironmentName, shorten

VERSION_DIGITS = 12
"""Hex digits of the fingerprint that end a physical table's name."""
_VERSIONED = re.compile(rf".+{SEPARATOR}[0-9a-f]{{{VERSION_DIGITS}}}\Z")

_CLONED = re.compile(rf".+{SEPARATOR}c[0-9a-f]{{{VERSION_DIGITS}}}\Z")


class Suffix(StrEnum):
    """Which part of a name carries the environment's."""

    SCHEMA = "schema"
    """``sales__feature.orders``"""
    TABLE = "table"
    """``sales.orders__feature``"""


def physical_location(asset: AssetName, fingerprint: Fingerprint) -> str:
    """``sales.orders`` -> ``anabranch__sales.orders__0123456789ab``."""
    *catalog, schema, name = asset.split(".")
    own_schema = shorten(f"{OWN_PREFIX}{SEPARATOR}{schema}")
    return ".".join([*catalog, own_schema, _versioned(name, fingerprint)])


def adopted_location(asset: AssetName, fingerprint: Fingerprint) -> str:
    """``sales.orders`` -> ``sales.orders__0123456789ab``: where a table goes that is adopted. It stays in its schema,
    for DuckDB can't move a table to another one without copying it."""
    *above, name = asset.split(".")
    return ".".join([*above, _versioned(name, fingerprint)])


def clone_location(place: str, identifier: str) -> str:
    """``sales__feature.orders`` -> ``sales__feature.orders__c0123456789ab``: where an environment's clone waits that
    isn't shown, beside the place where it is."""
    *above, name = place.split(".")
    end = f"{SEPARATOR}c{identifier[:VERSION_DIGITS]}"
    return ".".join([*above, shorten(name, PART_LENGTH - len(end)) + end])


def base_location(clone: str) -> str:
    """``sales__feature.orders__c0123456789ab`` -> ``sales__feature.orders__b0123456789ab``: where what a clone began as
    is kept."""
    stem, _, end = clone.rpartition(f"{SEPARATOR}c")
    return f"{stem}{SEPARATOR}b{end}"


def is_clone(location: str) -> bool:
    """Whether a location has the form that :func:`clone_location` gives."""
    *_, schema, name = ["", *location.split(".")]
    return not is_physical_schema(schema) and _CLONED.match(name) is not None


def _versioned(name: str, fingerprint: Fingerprint) -> str:
    stem = shorten(name, PART_LENGTH - VERSION_DIGITS - len(SEPARATOR))
    return f"{stem}{SEPARATOR}{fingerprint[:VERSION_DIGITS]}"


def is_adopted(location: str) -> bool:
    """Whether a location has the form that :func:`adopted_location` gives. A source may be named like that too."""
    *_, schema, name = ["", *location.split(".")]
    return not is_physical_schema(schema) and _VERSIONED.match(name) is not None


def is_physical_schema(schema: str) -> bool:
    """Whether a schema is one that physical tables stand in."""
    return schema.startswith(OWN_PREFIX + SEPARATOR)


def shown_location(asset: AssetName, environment: EnvironmentName | None, suffix: Suffix = Suffix.SCHEMA) -> str:
    """Where readers find ``asset`` in ``environment`` (None: in the trunk, under its own name)."""
    if environment is None:
        return asset
    *catalog, schema, name = asset.split(".")
    if suffix is Suffix.SCHEMA:
        schema = shorten(f"{schema}{SEPARATOR}{environment}")
    else:
        name = shorten(f"{name}{SEPARATOR}{environment}")
    return ".".join([*catalog, schema, name])
