"""A model in Python: what its decorator says is a header's properties, and its query is a function.

The decorator's values are written out as a header, so that both mean the same, have the same errors and the same notes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlglot import exp
from sqlglot.errors import SqlglotError

from anabranch.domain.ids import Fingerprint, canonical, digest
from anabranch.domain.snapshot import DATA_SETTINGS, Kind
from anabranch.errors import ModelError
from anabranch.sql.header import take
from anabranch.sql.macros.text import Mapped, Piece
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.properties import NOTED, Meaning, understand
from anabranch.sql.syntax import Origin, Source, tokenize
from anabranch.sql.syntax import dialect as dialect_of

SCHEME = 1
"""Counts the rules by which the code of a model is told from its text."""
_REFUSED = {
    Kind.VIEW: "a view's rows are computed when they are read: make it FULL",
    Kind.EMBEDDED: "its readers can't contain a function: make it FULL",
    Kind.SEED: "a seed is a file: put it into seeds/",
}


def read_header(
    properties: Sequence[tuple[str, object, tuple[int, int]]],
    text: str,
    path: Path,
    *,
    dialect: str,
    default_schema: str,
    asset: str,
    place: tuple[int, int],
) -> Meaning:
    """What a decorator means. Each property is its name, its value and its place in ``text``; ``place``: of the
    decorator.

    Raises:
        ModelError: as for a header.
        ValueError: a value that a header can't have, with a phrase.
    """
    pieces = [Piece("MODEL (", *place)]
    for name, value, at in properties:
        pieces += [Piece(f"{name} {_written(value)}", *at), Piece(", ", *place)]
    mapped = Mapped([*pieces, Piece(");", *place)])
    source = Source(mapped.text, dialect, path, asset, Origin(text, mapped))
    found, _ = take(source, tokenize(source))
    meaning = understand(found or [], source)
    if meaning.name and "." not in meaning.name:
        meaning.name = f"{default_schema}.{meaning.name}"
    if meaning.kind in _REFUSED:
        at = next((at for name, _, at in properties if name == "kind"), place)
        message = f"a model in Python can't be {meaning.kind.name}"
        raise Source(text, dialect, path, asset).error(ModelError, message, *at, _REFUSED[meaning.kind])
    meaning.notes = [n for n in meaning.notes if n != NOTED.get("columns")]
    for name, tokens in meaning.depends_on:
        if not name:
            raise source.error(ModelError, "depends_on names an asset", tokens[0].start, tokens[-1].end + 1)
    return meaning


def reads_of(meaning: Meaning, default_schema: str, place: tuple[int, int, int]) -> list[Read]:
    """What ``depends_on`` names, at ``place``: line, column, length."""
    names = [name.lower() for name, _ in meaning.depends_on]
    return [Read(n if "." in n else f"{default_schema}.{n}", *place, "." not in n) for n in names]


def make_model(
    meaning: Meaning, *, columns: Mapping[str, str], reads: Sequence[Read], code: bytes, definition: str
) -> ParsedModel:
    """``code``: what counts of the function and what it calls; ``definition``: all that a build needs, as a text."""
    settings = {k: v for k, v in sorted(meaning.settings.items()) if k in DATA_SETTINGS}
    said = ["python", SCHEME, meaning.kind, list(columns.items()), sorted({r.name for r in reads}), settings]
    return ParsedModel(
        name=meaning.name,
        kind=meaning.kind,
        properties=meaning.properties,
        query=definition,
        logic=Fingerprint(digest(canonical([*said, meaning.stamp]) + code)),
        reads=tuple(reads),
        columns=tuple(columns),
        notes=tuple(meaning.notes),
        enabled=meaning.enabled,
        name_at=meaning.name_at,
    )


def column_type(text: str, dialect: str) -> str:
    """A column's type, in one spelling. Raises ``ValueError`` where it is no type."""
    try:
        exp.DataType.build(text, dialect=dialect_of(dialect))
    except (SqlglotError, ValueError, TypeError) as error:
        raise ValueError(f"{text!r} is no type") from error
    if any(mark in text for mark in (";", "--", "/*")):
        raise ValueError(f"{text!r} is no type")
    spelled = " ".join(text.split())
    return spelled if "'" in spelled or '"' in spelled else spelled.lower()


def _written(value: object) -> str:
    """A literal of Python as a header has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, int | float):
        return json.dumps(value)
    if isinstance(value, Mapping):
        rest = dict(value)
        name = rest.pop("name", None)
        if not isinstance(name, str) or not name.replace("_", "").isalnum():
            raise ValueError("a dictionary here needs a name")
        inner = ", ".join(f"{_key(k)} {_written(v)}" for k, v in rest.items() if v is not None)
        return f"{name} ({inner})" if inner else name
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], Mapping):
        return f"{_key(value[0])}({', '.join(f'{_key(k)} := {_written(v)}' for k, v in value[1].items())})"
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return f"({', '.join(_written(v) for v in items)})"
    raise ValueError(f"{value!r} can't stand here")


def _key(name: object) -> str:
    if not isinstance(name, str) or not name.replace("_", "").isalnum():
        raise ValueError(f"{name!r} is no name")
    return name
