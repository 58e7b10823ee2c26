"""How Spark SQL and Databricks SQL write what is theirs."""

from __future__ import annotations

from dataclasses import dataclass

from anabranch.ports.grammar import Grammar


@dataclass(frozen=True, slots=True)
class SparkGrammar(Grammar):
    """A backslash begins an escape in a text, but not in a quoted identifier."""

    def identifier(self, name: str) -> str:
        return f"`{name.replace('`', '``')}`"


SPARK = SparkGrammar(
    quote="`",
    escapes=True,
    text="STRING",
    timestamp="TIMESTAMP_NTZ",
    zoned="TIMESTAMP",
    same="{} <=> {}",
    distinct="NOT ({} <=> {})",
    materialized="AS",
)

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parser.escapedStringLiterals": "false",
    "spark.sql.ansi.doubleQuotedIdentifiers": "false",
    "spark.sql.variable.substitute": "false",
}
"""What the statements here count on: a moment means the same wherever it is written, a value that can't be cast is an
error, and ``${x}`` in a text is itself."""
