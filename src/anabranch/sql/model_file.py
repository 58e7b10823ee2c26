"""A model file: an optional header, one query, with statements around it, and the audits that are defined with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlglot import Token

from anabranch.domain.ids import Fingerprint
from anabranch.domain.snapshot import DATA_SETTINGS, INCREMENTAL, Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.audits.calls import Definition
from anabranch.sql.audits.parse import is_definition, parse_definitions
from anabranch.sql.canonical import logic
from anabranch.sql.guard import check_start, check_tree
from anabranch.sql.header import take
from anabranch.sql.macros.moments import MARK
from anabranch.sql.outputs import output_names
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.properties import Meaning, require_columns, understand
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.statements import Around, around
from anabranch.sql.syntax import QUERY_WORDS, Origin, Source, Statement, keep, parse, split, tokenize


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
    statements, audits = _parted(source, split(rest), seed=meaning.kind is Kind.SEED)
    definitions = parse_definitions(source, audits)
    told = around(source, statements, default_schema)
    if meaning.kind is Kind.SEED:
        return _seed(source, meaning, told, definitions)
    if told.query is None:
        message = "the header is followed by no query" if found is not None else "the file holds no query"
        raise source.error(ModelError, message, hint="write one SELECT, or delete the file")
    check_start(source, told.query, ModelError)
    statement = parse(source, told.query)
    check_tree(statement, ModelError)
    if meaning.kind is Kind.EMBEDDED and told.statements:
        message, hint = "an embedded model is a part of its readers' queries: nothing runs around it", "make it a VIEW"
        raise source.error(ModelError, message, hint=hint)
    if source.dialect == "duckdb" and told.index is not None and meaning.kind not in INCREMENTAL:
        message = f"{meaning.kind.value.upper()} can't have an index: DuckDB doesn't exchange a table that has one"
        start, end = told.index[0].start, told.index[-1].end + 1
        raise source.error(
            ModelError, message, start, end, "drop the index; models that are filled by and by may have one"
        )
    begin = _header_end(tokens, rest) if statements[0] is told.query else statement.start
    return _model(statement, meaning, default_schema, begin, told, definitions)


def _parted(
    source: Source, statements: Sequence[Sequence[Token]], *, seed: bool
) -> tuple[list[Sequence[Token]], list[Sequence[Token]]]:
    """The statements of the model, and those of the audits that follow its query: headers, each with its query."""
    own: list[Sequence[Token]] = []
    audits: list[Sequence[Token]] = []
    follows = seed
    rest = list(statements)
    while rest:
        tokens = rest.pop(0)
        if follows and is_definition(source, tokens):
            audits.append(tokens)
            if rest and not is_definition(source, rest[0]):
                audits.append(rest.pop(0))
            continue
        follows = follows or source.text[tokens[0].start : tokens[0].end + 1].lower() in QUERY_WORDS
        own.append(tokens)
    return own, audits


def _model(
    statement: Statement,
    meaning: Meaning,
    default_schema: str,
    begin: int,
    told: Around,
    definitions: tuple[Definition, ...] = (),
) -> ParsedModel:
    source = statement.source
    found = find_reads(statement)
    own = [r for r in found.reads if len(r.parts) > 1 or r.parts[0] not in told.temporary]
    names = [r.asset(default_schema) for r in own]
    beside = [r.asset(default_schema) for r in told.reads]
    reads = [
        _read(source, n, r.start, r.end, len(r.parts) == 1)
        for n, r in zip([*names, *beside], [*own, *told.reads], strict=True)
    ]
    for name, tokens in meaning.depends_on:
        full = (name if "." in name else f"{default_schema}.{name}").lower()
        reads.append(_read(source, full, tokens[0].start, tokens[-1].end + 1, "." not in name))
    query = source.text[begin : statement.end].lstrip()
    stamp = _stamp(meaning, told, beside)
    columns = output_names(statement.root)
    if not told.statements:  # which might add one
        require_columns(meaning, columns, source)
    keep(query, statement)
    return ParsedModel(
        name=meaning.name,
        kind=meaning.kind,
        properties=_properties(meaning, told),
        query=query,
        template=make_template(statement, own, default_schema),
        logic=logic(statement, meaning.kind, names, stamp),
        reads=tuple(reads),
        columns=columns,
        notes=(*meaning.notes, *found.notes),
        enabled=meaning.enabled,
        stamp=stamp,
        name_at=meaning.name_at,
        statements=told.statements,
        audits=meaning.audits,
        audit_definitions=definitions,
    )


def parse_query(
    text: str, path: Path, *, dialect: str, default_schema: str, asset: str, kind: Kind, properties: Mapping[str, str]
) -> ParsedModel:
    """A query whose header was understood before: as :func:`parse_model` gives it, all settings in ``properties``.

    Raises:
        SqlSyntaxError, ModelError: as of :func:`parse_model`.
    """
    source = Source(text, dialect, path, asset)
    told = around(source, split(tokenize(source)), default_schema)
    if told.query is None:
        raise source.error(ModelError, "there is no query here")
    statement = parse(source, told.query)
    meaning = Meaning(name=asset, kind=kind, properties=dict(properties), settings=dict(properties))
    meaning.stamp = properties.get("stamp", "")
    return _model(statement, meaning, default_schema, statement.start, told)


def _properties(meaning: Meaning, told: Around) -> dict[str, str]:
    shown = {"on_virtual_update": told.shown} if told.shown else {}
    return meaning.properties | shown


def _stamp(meaning: Meaning, told: Around, reads: Sequence[str]) -> str:
    """What else decides the data: settings of the kind, and what runs around the query."""
    said = {k: v for k, v in sorted(meaning.settings.items()) if k in DATA_SETTINGS}
    stamp = meaning.stamp + (json.dumps(said) if said else "")
    return stamp + json.dumps([told.said, *reads]) if told.said else stamp


def _header_end(tokens: Sequence[Token], rest: Sequence[Token]) -> int:
    """Just behind the header, so that comments before the query belong to it."""
    used = len(tokens) - len(rest)
    return int(tokens[used - 1].end) + 1 if used else 0


def _read(source: Source, name: str, start: int, end: int, bare: bool) -> Read:
    return Read(name, *source.span(start, end), bare)


def _seed(source: Source, meaning: Meaning, told: Around, definitions: tuple[Definition, ...]) -> ParsedModel:
    if told.query is not None:
        token = told.query[0]
        message, hint = "a seed's rows come from its file, not from a query", "drop the query, or the kind"
        raise source.error(ModelError, message, token.start, token.end + 1, hint)
    return ParsedModel(
        name=meaning.name,
        kind=Kind.SEED,
        properties=_properties(meaning, told),
        query="",
        logic=Fingerprint(""),
        reads=(),
        columns=None,
        notes=tuple(meaning.notes),
        seed=meaning.seed,
        enabled=meaning.enabled,
        name_at=meaning.name_at,
        statements=told.statements,
        audits=meaning.audits,
        audit_definitions=definitions,
    )
