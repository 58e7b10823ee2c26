"""What engines can do, and which names they take."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

_PLAIN = re.compile("[A-Za-z0-9_]+")


class Capability(StrEnum):
    """What an engine may be able to do; the conformance suite verifies what an engine claims."""

    TRANSACTIONAL_DDL = "transactional-ddl"
    """Tables and views are made, changed and dropped all together, or not at all."""
    CONCURRENT_STATEMENTS = "concurrent-statements"
    """Several sessions of one process work at the same time."""
    CLONE_TABLE = "clone-table"
    """A table is cloned without its rows being copied, and each of the two has its own history from then on."""
    CLONE_SCHEMA = "clone-schema"
    """A schema is cloned by one statement: tables without a copy, views as they are."""
    CLONE_DATABASE = "clone-database"
    TIME_TRAVEL = "time-travel"
    """A table can be cloned as it was at some moment."""
    SWAP_TABLES = "swap-tables"
    """Two tables take each other's name in one step."""
    SWAP_SCHEMAS = "swap-schemas"
    MATERIALIZED_VIEWS = "materialized-views"
    MERGE = "merge"
    """Rows of some keys are replaced by one statement, which happens wholly or not at all."""
    GRANTS = "grants"
    """Users and roles have rights on relations."""
    EXACT_HASH = "exact-hash"
    """The hash of a relation's content tells all values apart that a query can."""


class Support(StrEnum):
    """How far. ``PARTLY``: in some cases, which the engine's notes name. ``NOT_YET``: the engine could, the adapter
    doesn't. ``NEVER``: the engine can't."""

    FULL = "full"
    PARTLY = "partly"
    NOT_YET = "not-yet"
    NEVER = "never"


class Case(StrEnum):
    """How an engine compares the names of relations and columns."""

    INSENSITIVE = "insensitive"
    """``Orders`` and ``orders`` are one name, kept as it was first written."""
    LOWER = "lower"
    """A name without quotes is one in small letters; quoted ones are different where they are written differently."""
    UPPER = "upper"
    SENSITIVE = "sensitive"


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Which names an engine takes. ``longest``: of a relation, in bytes of UTF-8. ``refused``: characters that none
    may have, quoted or not. ``categories``: those of Unicode, or their first letters, that all characters of a
    relation's name are of; none: any. ``plain_schemas``: schemas are named with letters of ASCII, digits and ``_``;
    ``plain``: relations are, too."""

    longest: int
    case: Case
    refused: str = ""
    categories: tuple[str, ...] = ()
    plain_schemas: bool = False
    plain: bool = False

    def takes(self, name: str) -> bool:
        """Whether a relation may be named so."""
        return (
            0 < len(name.encode()) <= self.longest
            and not set(name) & set(self.refused)
            and (not self.plain or _PLAIN.fullmatch(name) is not None)
            and (not self.categories or all(unicodedata.category(c).startswith(self.categories) for c in name))
        )

    def takes_schema(self, name: str) -> bool:
        """Whether a schema may."""
        return self.takes(name) and (not self.plain_schemas or _PLAIN.fullmatch(name) is not None)
