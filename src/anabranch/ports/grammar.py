"""How an engine writes what Anabranch's own statements are made of: names, texts, types, and the few clauses that no
two engines have alike. Everything else in these statements is standard SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
_PLAIN_UPPER = re.compile(r"[A-Z_][A-Z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Grammar:
    """One engine's. The fields' values are those of standard SQL, as DuckDB takes it."""

    quote: str = '"'
    """Around identifiers; doubled within them."""
    escapes: bool = False
    """A backslash in a text, or in a quoted identifier, begins an escape, and has to be escaped itself."""
    is_upper: bool = False
    """A name written without quotes is one in capitals: ``orders`` and ``"ORDERS"`` are the same."""
    text: str = "VARCHAR"
    """The type of texts of any length."""
    boolean: str = "BOOLEAN"
    integer: str = "BIGINT"
    double: str = "DOUBLE"
    date: str = "DATE"
    timestamp: str = "TIMESTAMP"
    """The type of dates with times, without a time zone."""
    zoned: str = "TIMESTAMP WITH TIME ZONE"
    """The type of moments."""
    nullable: str = "{}"
    """A type that takes NULL, of one that may not: only where types differ by that."""
    same: str = "{} IS NOT DISTINCT FROM {}"
    """Two values are equal, or both NULL: as a condition by which the engine can join two large tables."""
    distinct: str = "{} IS DISTINCT FROM {}"
    prefix: str = "substring({} FROM 1 FOR {})"
    """The first so many characters of a text."""
    approximate_distinct: str = "approx_count_distinct({})"
    materialized: str = "AS MATERIALIZED"
    """After the name of a WITH whose rows are computed once."""
    except_all: str = "EXCEPT ALL"
    """Empty where there is none that counts equal rows."""

    def name(self, *parts: str | None) -> str:
        """A name of one or more parts, quoted; a part that is None or empty is left out."""
        return ".".join(self.identifier(p) for p in parts if p)

    def identifier(self, name: str) -> str:
        """One identifier, quoted."""
        told = self.stored(name)
        if self.escapes and self.quote != '"':
            told = told.replace("\\", "\\\\")
        return f"{self.quote}{told.replace(self.quote, self.quote * 2)}{self.quote}"

    def stored(self, name: str) -> str:
        """A name of ours as the engine keeps it."""
        return name.upper() if self.is_upper and _PLAIN.match(name) else name

    def told(self, name: str) -> str:
        """The inverse of :meth:`stored`: a name that the engine keeps as Anabranch says it."""
        return name.lower() if self.is_upper and _PLAIN_UPPER.match(name) else name

    def columns(self, names: Iterable[str], prefix: str = "") -> str:
        """Columns, quoted, each with ``prefix`` (``"b."``) before it."""
        return ", ".join(prefix + self.identifier(n) for n in names)

    def literal(self, text: str) -> str:
        """A text."""
        if not self.escapes:
            return "'" + text.replace("'", "''") + "'"
        for character, told in (("\\", "\\\\"), ("'", "\\'"), ("\n", "\\n"), ("\r", "\\r")):  # not all take line ends
            text = text.replace(character, told)
        return f"'{text}'"

    def time(self, at: datetime) -> str:
        """A date with a time, without a time zone, in whole seconds."""
        return f"CAST('{at:%Y-%m-%d %H:%M:%S}' AS {self.timestamp})"

    def moment(self, at: datetime) -> str:
        """A moment, given in UTC, in whole seconds."""
        return f"CAST('{at:%Y-%m-%d %H:%M:%S}+00:00' AS {self.zoned})"

    def cast(self, expression: str, kind: str) -> str:
        """``expression`` as a value of ``kind``, which may be NULL."""
        return f"CAST({expression} AS {self.nullable.format(kind)})"


STANDARD = Grammar()
