"""Values as YAML that reads back as the same values: see :mod:`anabranch.domain.cells`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from anabranch.domain.cells import Form, plain

_BARE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:[ ./-][A-Za-z0-9_]+)*\Z")
_TAKEN = frozenset(["y", "n", "yes", "no", "on", "off"])
"""Words that other readers of YAML take for true or false."""
_WIDTH = 120


def spell(value: object) -> str:
    """One value, to stand in ``{…}`` or ``[…]``. What YAML has no form for is spelled as DuckDB reads it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return _spell_float(value)
        case Decimal():
            return f"{value:f}"
        case datetime():
            return value.isoformat(sep=" ")
        case date():
            return value.isoformat()
        case time():
            return _spell_text(value.isoformat())
        case timedelta():
            return _spell_text(f"{value.days} days {value.seconds}.{value.microseconds:06} seconds")
        case bytes() | bytearray() | memoryview():
            return _spell_text("".join(f"\\x{byte:02X}" for byte in bytes(value)))
        case Mapping():
            return "{" + ", ".join(f"{_spell_text(str(k))}: {spell(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return f"[{', '.join(map(spell, value))}]"
        case _:
            return _spell_text(str(value))


def _spell_float(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return repr(value)


def _spell_text(text: str) -> str:
    if _BARE.match(text) and plain(text)[0] is Form.TEXT and text.lower() not in _TAKEN:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    number = ord(character)
    short = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    return short or (
        f"\\x{number:02X}" if number < 256 else f"\\u{number:04X}" if number < 65536 else f"\\U{number:08X}"
    )


def spell_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], indent: int) -> list[str]:
    """The lines of ``rows: …``, ``indent`` characters in."""
    pad = " " * indent
    lines = []
    for row in rows:
        fields = [f"{_spell_text(n)}: {spell(v)}" for n, v in zip(columns, row, strict=True)]
        line = f"{pad}  - {{{', '.join(fields)}}}"
        if len(line) <= _WIDTH:
            lines.append(line)
        else:
            lines += [f"{pad}  - {fields[0]}", *(f"{pad}    {f}" for f in fields[1:])]
    return [f"{pad}rows:", *lines] if lines else [f"{pad}rows: []"]
