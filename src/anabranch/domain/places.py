"""Where assets stand in a warehouse: the physical tables, and the views that people read."""

from __future__ import annotations

from enum import StrEnum

from anabranch.domain.ids import Fingerprint
from anabranch.domain.names import OWN_PREFIX, PART_LENGTH, SEPARATOR, AssetName, EnvironmentName, shorten

VERSION_DIGITS = 12
"""Hex digits of the fingerprint that end a physical table's name."""


class Suffix(StrEnum):
    """Which part of a name carries the environment's."""

    SCHEMA = "schema"
    """``sales__feature.orders``"""
    TABLE = "table"
    """``sales.orders__feature``"""


def physical_location(asset: AssetName, fingerprint: Fingerprint) -> str:
    """``sales.orders`` -> ``anabranch__sales.orders__0123456789ab``."""
    *catalog, schema, name = asset.split(".")
    version = fingerprint[:VERSION_DIGITS]
    own_schema = shorten(f"{OWN_PREFIX}{SEPARATOR}{schema}")
    own_name = f"{shorten(name, PART_LENGTH - VERSION_DIGITS - len(SEPARATOR))}{SEPARATOR}{version}"
    return ".".join([*catalog, own_schema, own_name])


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
