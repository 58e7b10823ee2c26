"""A model file: an optional header, then one query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlglot import Token

from anabranch.domain.ids import Fingerprint
from anabranch.domain.snapshot import DATA_SETTINGS, Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.canonical import logic
from anabranch.sql.guard import check_start, check_tree
from anabranch.sql.header import take
from anabranch.sql.macros.moments import MARK
from anabranch.sql.outputs import output_names
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.properties import Meaning, understand
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.syntax import Origin, Source, Statement, keep, parse, split, tokenize


def parse_model(
    text: str,
    path: Path,
    *,
    dialect: str,
    default_schema: str,
    asset: str | None = None,
    origin: Origin | None = None,
) -> ParsedModel:
    """What a model file says. ``path``, ``asset`` and ``origin`` (where macros were expanded before) are for errors and
    places only.

    Raises:
        SqlSyntaxError: the header or the query doesn't parse.
        ModelError: it isn't one query, or is of a kind that isn't known here.
    """
    source = Source(text, dialect, path, asset, origin)
    if origin is None and MARK in text:
        at = text.index(MARK)
        raise source.error(SqlSyntaxError, "there is a control character (0x02) here", at, at + 1, "delete it")
    tokens = tokenize(source)
    found, rest = take(source, tokens)
    meaning = understand(found, source) if found is not None else Meaning()
    if meaning.name and "." not in meaning.name:
        meaning.name = f"{default_schema}.{meaning.name}"
    source = Source(text, dialect, path, meaning.name or asset, origin)
    statements = split(rest)
    if meaning.kind is Kind.SEED:
        return _seed(source, meaning, statements)
    if not statements:
        message = "the header is followed by no query" if found is not None else "the file holds no query"
        raise source.error(ModelError, message, hint="write one SELECT, or delete the file")
    check_start(source, statements[0], ModelError)
    if len(statements) > 1:
        message, hint = "a second statement begins here; a model is one query", "make it a model of its own"
        token = statements[1][0]
        raise source.error(ModelError, message, token.start, token.end + 1, hint)
    statement = parse(source, statements[0])
    check_tree(statement, ModelError)
    return _model(statement, meaning, default_schema, _header_end(tokens, rest))


def _model(statement: Statement, meaning: Meaning, default_schema: str, begin: int) -> ParsedModel:
    source = statement.source
    found = find_reads(statement)
    names = [r.asset(default_schema) for r in found.reads]
    reads = [_read(source, n, r.start, r.end, len(r.parts) == 1) for n, r in zip(names, found.reads, strict=True)]
    for name, tokens in meaning.depends_on:
        full = (name if "." in name else f"{default_schema}.{name}").lower()
        reads.append(_read(source, full, tokens[0].start, tokens[-1].end + 1, "." not in name))
    query = source.text[begin : statement.end].lstrip()
    keep(query, statement)
    return ParsedModel(
        name=meaning.name,
        kind=meaning.kind,
        properties=meaning.properties,
        query=query,
        template=make_template(statement, found.reads, default_schema),
        logic=logic(statement, meaning.kind, names, _stamp(meaning)),
        reads=tuple(reads),
        columns=output_names(statement.root),
        notes=(*meaning.notes, *found.notes),
        enabled=meaning.enabled,
        stamp=_stamp(meaning),
        name_at=meaning.name_at,
    )


def parse_query(
    text: str, path: Path, *, dialect: str, default_schema: str, asset: str, kind: Kind, properties: Mapping[str, str]
) -> ParsedModel:
    """A query whose header was understood before: as :func:`parse_model` gives it, all settings in ``properties``.

    Raises:
        SqlSyntaxError, ModelError: as of :func:`parse_model`.
    """
    source = Source(text, dialect, path, asset)
    statement = parse(source, split(tokenize(source))[0])
    meaning = Meaning(name=asset, kind=kind, properties=dict(properties), settings=dict(properties))
    meaning.stamp = properties.get("stamp", "")
    return _model(statement, meaning, default_schema, statement.start)


def _stamp(meaning: Meaning) -> str:
    """What else decides the data."""
    said = {k: v for k, v in sorted(meaning.settings.items()) if k in DATA_SETTINGS}
    return meaning.stamp + (json.dumps(said) if said else "")


def _header_end(tokens: Sequence[Token], rest: Sequence[Token]) -> int:
    """Just behind the header, so that comments before the query belong to it."""
    used = len(tokens) - len(rest)
    return int(tokens[used - 1].end) + 1 if used else 0


def _read(source: Source, name: str, start: int, end: int, bare: bool) -> Read:
    return Read(name, *source.span(start, end), bare)


def _seed(source: Source, meaning: Meaning, statements: Sequence[Sequence[Token]]) -> ParsedModel:
    if statements:
        token = statements[0][0]
        message, hint = "a seed's rows come from its file, not from a query", "drop the query, or the kind"
        raise source.error(ModelError, message, token.start, token.end + 1, hint)
    return ParsedModel(
        name=meaning.name,
        kind=Kind.SEED,
        properties=meaning.properties,
        query="",
        logic=Fingerprint(""),
        reads=(),
        columns=None,
        notes=tuple(meaning.notes),
        seed=meaning.seed,
        enabled=meaning.enabled,
        name_at=meaning.name_at,
    )
