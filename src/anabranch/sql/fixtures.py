"""SQL that makes rows of values: for the inputs of unit tests. DuckDB's dialect; no parser is needed.

All values are texts in the SQL, and each column is cast once: so a value becomes what the engine makes of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from anabranch.domain.cells import Cell, Form, as_number
from anabranch.ports.engine import quoted
from anabranch.sql.words import word_set

_INTEGERS = word_set(
    """tinyint smallint integer bigint hugeint utinyint usmallint uinteger ubigint uhugeint int int1 int2 int4 int8
    int16 int32 int64 int128 signed long short"""
)
_FLOATS = frozenset(["float", "real", "double", "float4", "float8", "double precision"])
_DECIMAL = re.compile(r"(?:decimal|numeric|dec)(?:\((\d+)(?:,\s*(\d+))?\))?\Z")
_PLAIN = re.compile(r"[a-z][a-z0-9]*\Z|(?:decimal|numeric)\(\d+,\s*\d+\)\Z")
_OTHERS = word_set(
    """boolean bool varchar text string char date time timestamp timestamptz timetz interval uuid blob json decimal
    numeric"""
)
_WIDEST = 2**63


def is_plain_type(text: str) -> bool:
    """Whether ``text`` names a type of DuckDB that needs no parser to tell."""
    lowered = " ".join(text.lower().split())
    return lowered == "double precision" or (
        bool(_PLAIN.match(lowered)) and lowered.partition("(")[0] in _INTEGERS | _FLOATS | _OTHERS
    )


def literal(text: str) -> str:
    """A text."""
    return "'" + text.replace("'", "''") + "'"


def infer(cells: Sequence[Cell]) -> str | None:
    """The type of a column that has these values; None where the engine should decide: there are nested values.

    Raises:
        ValueError: they don't go together.
    """
    forms = {c.form for c in cells} - {Form.NULL}
    if forms & {Form.LIST, Form.MAPPING}:
        return None
    if not forms:
        return "INTEGER"
    if forms == {Form.INTEGER}:
        return "BIGINT" if all(-_WIDEST <= int(c.text) < _WIDEST for c in cells if c.text) else "HUGEINT"
    if forms <= {Form.INTEGER, Form.NUMBER}:
        return "DOUBLE"
    if forms <= {Form.DATE, Form.MOMENT}:
        zoned = any("+" in c.text or c.text.count("-") > 2 for c in cells)
        return "DATE" if forms == {Form.DATE} else "TIMESTAMPTZ" if zoned else "TIMESTAMP"
    if len(forms) == 1:
        return {Form.BOOL: "BOOLEAN", Form.TEXT: "VARCHAR"}[forms.pop()]
    one, other = (next(c for c in cells if c.form is form) for form in sorted(forms)[:2])
    raise ValueError(f"{one.shown()} and {other.shown()} are of different types")


def misfit(cell: Cell, kind: str) -> str | None:
    """Why the engine would change a value of a file when it makes a ``kind`` of it; None where it wouldn't."""
    lowered = kind.lower()
    number = as_number(cell.text) if cell.form in (Form.INTEGER, Form.NUMBER, Form.TEXT) and cell.text else None
    if number is not None:
        if lowered in _INTEGERS and number != number.to_integral_value():
            return f"{cell.text} is no whole number, and the column is {kind}"
        scale = _scale(lowered)
        if scale is not None and number != round(number, scale):
            return f"{cell.text} has more digits than {kind} keeps"
    if cell.form is Form.MOMENT and lowered == "date" and not cell.text[10:].startswith(" 00:00"):
        return f"{cell.text} has a time, and the column is {kind}"
    return None


def _scale(kind: str) -> int | None:
    found = _DECIMAL.match(kind)
    if found is None:
        return None
    if found[1] is None:
        return 3
    return int(found[2] or 0)


def is_float(kind: str) -> bool:
    """Whether it is a number with a binary point."""
    return kind.lower() in _FLOATS


def is_exact(kind: str) -> bool:
    """Whether it is a number of another kind."""
    return kind.lower() in _INTEGERS or _DECIMAL.match(kind.lower()) is not None


def value(cell: Cell, kind: str | None) -> str:
    """One value, not cast yet: what is nested has values of the types that they look like, unless ``kind`` is JSON."""
    if cell.form is Form.NULL:
        return "NULL"
    if cell.form in (Form.LIST, Form.MAPPING):
        if kind is not None and kind.upper() == "JSON":
            return literal(json.dumps(_jsonable(cell.value()), ensure_ascii=False))
        if cell.form is Form.LIST:
            return f"[{', '.join(_typed(c) for c in cell.items)}]"
        if kind is not None and kind.upper().startswith("MAP("):
            names = ", ".join(literal(n) for n, _ in cell.fields)
            inner = ", ".join(_typed(c) for _, c in cell.fields)
            return f"MAP([{names}], [{inner}])"
        return "{" + ", ".join(f"{literal(n)}: {_typed(c)}" for n, c in cell.fields) + "}"
    return literal(cell.text)


def _typed(cell: Cell) -> str:
    if cell.form in (Form.LIST, Form.MAPPING, Form.NULL):
        return value(cell, None)
    return f"CAST({literal(cell.text)} AS {infer([cell])})"


def _jsonable(found: object) -> object:
    if isinstance(found, Decimal):
        return float(found)
    if isinstance(found, list):
        return [_jsonable(f) for f in found]
    if isinstance(found, dict):
        return {str(k): _jsonable(v) for k, v in found.items()}
    return found if found is None or isinstance(found, bool | int | float | str) else str(found)


def rows(columns: Mapping[str, str | None], given: Sequence[Mapping[str, Cell]]) -> str:
    """A query that gives ``given``; keys are names of ``columns`` in lower case. ``columns``: types, in order."""
    names = list(columns)
    if not given:
        empty = ", ".join(f"CAST(NULL AS {columns[n] or 'INTEGER'}) AS {quoted([n])}" for n in names)
        return f"SELECT {empty} WHERE false"
    null = Cell(Form.NULL)
    lines = ["(" + ", ".join(value(row.get(n.lower(), null), columns[n]) for n in names) + ")" for row in given]
    listed = ", ".join(quoted([n]) for n in names)
    return f"SELECT {_cast(columns)} FROM (VALUES {', '.join(lines)}) AS given({listed})"


def from_query(query: str, columns: Mapping[str, str | None], there: Sequence[str]) -> str:
    """A query that gives what ``query`` gives, with the types of ``columns``; those that aren't ``there`` are NULL."""
    have = {n.lower() for n in there}
    selected = ", ".join(
        f"CAST({quoted([n]) if n.lower() in have else 'NULL'} AS {k}) AS {quoted([n])}" if k else quoted([n])
        for n, k in columns.items()
    )
    return f"SELECT {selected} FROM ({query}\n) AS given"


def _cast(columns: Mapping[str, str | None]) -> str:
    return ", ".join(f"CAST({quoted([n])} AS {k}) AS {quoted([n])}" if k else quoted([n]) for n, k in columns.items())


def cast_texts(texts: Sequence[str], kind: str) -> str:
    """A query that gives, for each text in order, how the engine spells it as a ``kind``; NULL where it can't
    be one."""
    lines = ", ".join(f"({i}, {literal(t)})" for i, t in enumerate(texts))
    return (
        f"SELECT CAST(TRY_CAST(said AS {kind}) AS VARCHAR) FROM (VALUES {lines}) AS given(number, said) ORDER BY number"
    )


def cast_one(cell: Cell, kind: str) -> str:
    """A query that fails where the value can't be of that type."""
    return f"SELECT CAST({value(cell, kind)} AS {kind})"


def empty(query: str) -> str:
    """The columns of ``query`` without rows."""
    return f"SELECT * FROM ({query}\n) AS q LIMIT 0"


def readable(relation: str, columns: Sequence[tuple[str, bool]]) -> str:
    """All rows of a relation (quoted); columns by name, those that are marked as texts."""
    listed = (f"CAST({quoted([n])} AS VARCHAR) AS {quoted([n])}" if t else quoted([n]) for n, t in columns)
    return f"SELECT {', '.join(listed)} FROM {relation}"
