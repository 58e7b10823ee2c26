"""What a model file says, as plain values that a cache can keep. Nothing here loads sqlglot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.domain.hooks import Statements
from anabranch.domain.ids import Fingerprint
from anabranch.domain.snapshot import Kind
from anabranch.sql.audits.calls import (
    Call,
    Definition,
    decode_calls,
    decode_definitions,
    encode_calls,
    encode_definitions,
)


@dataclass(frozen=True, slots=True)
class Read:
    """One place where a query names an asset. ``line`` and ``column`` count from 1, in the file; ``bare``: it was
    written without its schema."""

    name: str
    line: int
    column: int
    length: int
    bare: bool = False


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What ``kind SEED (path …)`` says. ``path`` is as written, relative to the model file."""

    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    line: int = 1
    column: int = 1
    length: int = 1


@dataclass(frozen=True, slots=True)
class ParsedModel:
    """A model file."""

    name: str | None
    """As declared, in lower case; None where the path names the model."""
    kind: Kind
    properties: Mapping[str, str]
    """What matters to people and not to the data: ``description``, ``owner``, ``key`` (``a,b``), ``tags``
    (``x,y``)."""
    query: str
    """The user's own text of the query, without the header; ``""`` for a seed."""
    logic: Fingerprint
    """Of what the query means: :mod:`anabranch.sql.canonical`."""
    reads: tuple[Read, ...]
    """In the order of the text. An asset that is read twice is here twice."""
    columns: tuple[str, ...] | None
    """Names of the output, where they are known without expanding stars."""
    template: tuple[str, ...] = ()
    """The query with holes for what it reads (:mod:`anabranch.sql.template`)."""
    notes: tuple[str, ...] = ()
    """What was understood but has no effect, or leads outside the environment."""
    seed: SeedFile | None = None
    enabled: bool = True
    stamp: str = ""
    """What the header says to have the model built again."""
    name_at: tuple[int, int, int] = (1, 1, 1)
    """Line, column and length of the declared name."""
    statements: Statements = field(default_factory=Statements)
    """What runs around the build, and when the view is made."""
    audits: tuple[Call, ...] = ()
    audit_definitions: tuple[Definition, ...] = ()
    """Those that follow the query."""


def encode(model: ParsedModel) -> str:
    """As the cache keeps it."""
    seed = model.seed
    return json.dumps(
        [
            model.name,
            model.kind,
            dict(model.properties),
            model.query,
            model.logic,
            [(r.name, r.line, r.column, r.length, r.bare) for r in model.reads],
            model.columns,
            model.template,
            model.notes,
            (seed.path, dict(seed.columns), seed.line, seed.column, seed.length) if seed else None,
            model.enabled,
            model.stamp,
            model.name_at,
            model.statements.encode(),
            encode_calls(model.audits),
            encode_definitions(model.audit_definitions),
        ],
        ensure_ascii=False,
        separators=(",", ":"),
    )


def decode(text: str) -> ParsedModel:
    """The inverse of :func:`encode`.

    Raises:
        ValueError: not what :func:`encode` writes.
    """
    try:
        *fields, calls, definitions = json.loads(text)
        name, kind, properties, query, logic, reads, columns, template, notes, seed, *rest = fields
        enabled, stamp, name_at, around = rest
        return ParsedModel(
            name=name,
            kind=Kind(kind),
            properties=properties,
            query=query,
            logic=Fingerprint(logic),
            reads=tuple(Read(*r) for r in reads),
            columns=None if columns is None else tuple(columns),
            template=tuple(template),
            notes=tuple(notes),
            seed=SeedFile(*seed) if seed else None,
            enabled=enabled,
            stamp=stamp,
            name_at=tuple(name_at),
            statements=Statements.decode(around),
            audits=decode_calls(calls),
            audit_definitions=decode_definitions(definitions),
        )
    except (TypeError, KeyError, IndexError) as error:
        raise ValueError(f"not a parsed model: {error}") from error
