"""Which types of Arrow and of Postgres belong together, and how Arrow's values are written for Postgres."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

_BYTEA, _NUMERIC, _MOMENT = 17, 1700, 1184
_WHOLE = {"smallint", "integer", "bigint", "oid"}
_BROKEN = {"real", "double precision"}
_PLAIN = _WHOLE | _BROKEN | {"boolean", "date", "bytea", "text", "uuid"}
"""And those with a precision or a length, named by how they begin: types that others can be cast to."""
_BEGINNINGS = ("numeric", "character", "timestamp", "time ", "time(", "interval")


@dataclass(frozen=True, slots=True)
class Written:
    """A column as CSV can have it. ``natural``: the type of Postgres that it is of, before any cast."""

    values: Any
    natural: str


# -- from Postgres -----------------------------------------------------------------------------------------------------
def arrow_type(oid: int, modifier: int) -> Any:
    """The type of Arrow that holds all values of a type of Postgres exactly; else texts."""
    import pyarrow as pa

    if oid == _NUMERIC and modifier >= 4:
        precision, scale = (modifier - 4) >> 16 & 0xFFFF, ((modifier - 4) & 0x7FF ^ 1024) - 1024
        if 0 <= scale <= precision <= 76:
            return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
    known: dict[int, Callable[[], Any]] = {
        16: pa.bool_,
        _BYTEA: pa.binary,
        20: pa.int64,
        21: pa.int16,
        23: pa.int32,
        26: pa.int64,
        700: pa.float32,
        701: pa.float64,
        1082: pa.date32,
        1083: lambda: pa.time64("us"),
        1114: lambda: pa.timestamp("us"),
        _MOMENT: lambda: pa.timestamp("us", "UTC"),
    }
    return known.get(oid, pa.string)()


def read_as(value: str, oid: int) -> str:
    """The expression that COPY writes for a value."""
    if oid == _BYTEA:
        return f"encode({value}, 'hex')"
    return f"{value} AT TIME ZONE 'UTC'" if oid == _MOMENT else value


def as_csv(kind: Any) -> Any:
    """The type that Arrow reads from CSV, where it can't read ``kind``: moments, which come in UTC, without saying so;
    bytes, and numbers of more than 38 digits."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_timestamp(kind):
        return pa.timestamp(kind.unit)
    return pa.string() if types.is_binary(kind) or types.is_decimal256(kind) else kind


def finished(column: Any, kind: Any) -> Any:
    """A column that was read as :func:`as_csv` says, as one of ``kind``."""
    import pyarrow as pa
    from pyarrow import types

    if types.is_binary(kind):
        return pa.chunked_array([pa.array([None if v is None else bytes.fromhex(v) for v in column.to_pylist()], kind)])
    if types.is_decimal256(kind):
        return pa.chunked_array([pa.array([None if v is None else Decimal(v) for v in column.to_pylist()], kind)])
    return column.cast(kind)


# -- to Postgres -------------------------------------------------------------------------------------------------------
def is_direct(column: Written, declared: str) -> bool:
    """Whether Postgres makes of the text what a cast of the value would be."""
    kind, natural = declared, column.natural
    if natural == "text" or not (kind in _PLAIN or kind.startswith(_BEGINNINGS)):
        return True
    is_text = kind == "text" or kind.startswith("character")
    match natural:
        case "bigint" | "integer" | "numeric(20, 0)":
            return is_text or kind in _WHOLE | _BROKEN or kind.startswith("numeric")
        case "double precision":
            return kind in _BROKEN or kind.startswith("numeric")
        case "numeric":
            return is_text or kind in _BROKEN or kind.startswith("numeric")
        case "boolean":
            return is_text or kind == "boolean"
        case "date":
            return is_text or kind == "date" or kind.startswith("timestamp")
        case "timestamp":
            return kind.startswith("timestamp")
        case "timestamp with time zone":
            return kind.startswith("timestamp") and kind.endswith("with time zone")
        case "time":
            return is_text or kind.startswith(("time ", "time("))
    return natural == kind


def written(column: Any, declared: str) -> Written:
    """``column`` as CSV can have it, for a column of Postgres of the type ``declared``."""
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    if isinstance(kind, pa.ExtensionType | pa.BaseExtensionType):
        if kind.extension_name == "arrow.uuid":
            return _texts(column, str)
        column, kind = column.cast(kind.storage_type), kind.storage_type
    if types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if types.is_null(kind):
        return Written(column.cast(pa.string()), "text")
    if types.is_uint64(kind):
        return Written(column, "numeric(20, 0)")
    if types.is_integer(kind):
        return Written(column, "integer" if declared == "boolean" else "bigint")  # the only one that can be cast to it
    if types.is_floating(kind):  # of the double, for Postgres would read 0.1 of a float as a double's 0.1
        return Written(column.cast(pa.float64()), "double precision")
    if types.is_decimal(kind):
        return Written(column.cast(pa.string()), "numeric")
    if types.is_boolean(kind):
        return Written(column, "boolean")
    if types.is_date(kind):
        return Written(column.cast(pa.date32()), "date")
    if types.is_timestamp(kind):
        if kind.tz is None:
            return Written(column, "timestamp")
        return Written(column.cast(pa.timestamp(kind.unit, "UTC")), "timestamp with time zone")
    if types.is_time(kind):
        return Written(column, "time")
    if types.is_string(kind) or types.is_large_string(kind):
        return Written(column, "text")
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return Written(_texts(column, lambda value: f"\\x{value.hex()}").values, "bytea")
    if types.is_duration(kind):
        return Written(_texts(column.cast(pa.duration("us")), _seconds).values, "interval")
    if types.is_interval(kind):
        return Written(_texts(column, _interval).values, "interval")
    if types.is_nested(kind):
        return _texts(column, _array if declared.endswith("[]") else _json)
    return Written(column.cast(pa.string()), "text")


def _texts(column: Any, told: Callable[[Any], str]) -> Written:
    import pyarrow as pa

    return Written(pa.array([None if v is None else told(v) for v in column.to_pylist()], pa.string()), "text")


def _seconds(value: timedelta) -> str:
    return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"


def _interval(value: Any) -> str:
    sign = "-" if value.nanoseconds < 0 else ""
    seconds, nanoseconds = divmod(abs(value.nanoseconds), 10**9)
    return f"{value.months} months {value.days} days {sign}{seconds}.{nanoseconds // 1000:06d} seconds"


def _json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _array(value: Any) -> str:
    """As Postgres writes an array."""
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return f"{{{','.join(map(_array, value))}}}"
    if isinstance(value, bytes):
        value = f"\\x{value.hex()}"
    if isinstance(value, dict):
        value = _json(value)
    told = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{told}"'
