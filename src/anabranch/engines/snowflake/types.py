"""How Snowflake spells types, what of a value goes into a hash, and how a value is read from its text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anabranch.engines.snowflake.link import Described

_ALIASES = {
    "REAL": "FLOAT",
    "DOUBLE": "FLOAT",
    "TEXT": "VARCHAR",
    **dict.fromkeys(("FIXED", "DECIMAL", "NUMERIC"), "NUMBER"),
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "BYTEINT"), "INTEGER"),
}
_LONGEST = {"VARCHAR": 16_777_216, "BINARY": 8_388_608}
_TIMES = frozenset({"TIME", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ"})


def spelled(kind: str, length: object = None, precision: object = None, scale: object = None) -> str:
    """A type as DESCRIBE TABLE tells it, from its parts as the catalog and the driver tell them."""
    name = _ALIASES.get(kind.upper(), kind.upper())
    if name == "INTEGER":
        return "NUMBER(38,0)"
    if name == "NUMBER":
        return f"NUMBER({_number(precision, 38)},{_number(scale, 0)})"
    if name in _LONGEST:
        return f"{name}({_number(length, _LONGEST[name])})"
    return f"{name}({_number(scale, 9)})" if name in _TIMES else name


def _number(told: object, otherwise: int) -> int:
    return otherwise if told is None else int(str(told))


def described(columns: Iterable[Described]) -> list[tuple[str, str]]:
    """The names and types of an answer's columns."""
    from snowflake.connector.constants import FIELD_ID_TO_NAME

    return [(c.name, spelled(FIELD_ID_TO_NAME[c.type_code], c.internal_size, c.precision, c.scale)) for c in columns]


def hashed(column: str, kind: str) -> list[str]:
    """What of a column goes into a hash. Snowflake's HASH is one for values that compare as equal: 0.0 and -0.0, the
    same moment in two time zones, texts that a collation calls equal; and for a number and a VARIANT that holds it. Not
    for a geography, which it doesn't take. Of what a VARIANT holds, JSON doesn't tell a date from its text."""
    if kind == "FLOAT":
        return [column, f"IFF({column} = 0, ATAN2({column}, -1), NULL)"]
    if kind.startswith("VARCHAR"):
        return [f"TO_BINARY({column}, 'UTF-8')"]
    if kind.startswith("TIMESTAMP_TZ"):
        return [column, f"TO_CHAR({column}, 'TZH:TZM')"]
    if kind.startswith(("VARIANT", "ARRAY", "OBJECT", "MAP")):
        return [column, f"TO_JSON({column})"]
    if kind.startswith(("GEOGRAPHY", "GEOMETRY")):
        return [f"ST_ASEWKB({column})"]
    if kind.startswith("VECTOR"):
        return [f"TO_JSON(CAST({column} AS ARRAY))"]
    return [column]


def cast(text: str, kind: str) -> str:
    """The value that an expression of the type VARCHAR tells, as :func:`anabranch.engines.snowflake.rows.texts` makes
    it; ``kind`` as a project spells it."""
    name = kind.upper().lstrip()
    if name.startswith(("BINARY", "VARBINARY")):
        return f"CAST(TO_BINARY({text}, 'HEX') AS {kind})"
    if name.startswith(("VARIANT", "ARRAY", "OBJECT", "MAP", "VECTOR")):
        return f"CAST(PARSE_JSON({text}) AS {kind})"
    return f"CAST({text} AS {kind})"
