"""What is expected of a column, as values that can be compared with those that the engine gives."""

from __future__ import annotations

from anabranch.domain.cells import Cell, Form, as_moment, as_number
from anabranch.ports.engine import Session
from anabranch.sql import fixtures as sql

_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"})
_NESTED = ("[]", "STRUCT(", "MAP(")


def values_of(session: Session, cells: list[Cell], kind: str, said: str | None) -> list[object]:
    """What cells are in a column of type ``kind``; ``said``: the type that they are said to be of."""
    if said is not None or is_spelled(kind):
        at = [i for i, c in enumerate(cells) if c.form not in (Form.NULL, Form.LIST, Form.MAPPING)]
        found: list[object] = [c.value() for c in cells]
        spelled = session.query(sql.cast_texts([cells[i].text for i in at], said or kind)).rows if at else []
        for i, (text,) in zip(at, spelled, strict=True):
            if text is not None:
                form = cells[i].form if said is None else Form.TEXT
                found[i] = str(text) if is_spelled(kind) else _value(Cell(form, str(text)), kind)
        return found
    return [_value(c, kind) for c in cells]


def _value(cell: Cell, kind: str) -> object:
    """A text is what the column makes of it, where it is that exactly; nothing else changes its type."""
    if cell.form is Form.TEXT:
        if sql.is_exact(kind) or sql.is_float(kind):
            number = as_number(cell.text)
            return cell.text if number is None else number
        if kind in _TIMES:
            moment = as_moment(cell.text)
            return cell.text if moment is None else moment
        if kind == "BOOLEAN" and cell.text in ("true", "false"):
            return cell.text == "true"
    if cell.form in (Form.DATE, Form.MOMENT) and kind == "VARCHAR":
        return cell.text  # YAML has made a date of what is a text there
    return cell.value()


def is_spelled(kind: str) -> bool:
    """Whether values of that type are compared by how the engine spells them."""
    if any(mark in kind for mark in _NESTED):
        return False
    simple = kind in _TIMES or kind in ("VARCHAR", "BOOLEAN")
    return not (simple or sql.is_exact(kind) or sql.is_float(kind))
