"""A model file: an optional header, one query, and the audits that are defined with it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from sqlglot import Token

from anabranch.domain.ids import Fingerprint
from anabranch.domain.snapshot import DATA_SETTINGS, Kind
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.audits.calls import Definition
from anabranch.sql.audits.parse import is_definition, parse_definitions
from anabranch.sql.canonical import logic
from anabranch.sql.guard import check_start, check_tree
from anabranch.sql.header import take
from anabranch.sql.outputs import output_names
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.properties import Meaning, understand
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.syntax import Source, Statement, parse, split, tokenize
from anabranch.sql.words import word_set

_MACROS = word_set(
    """start_ds start_date start_dt start_ts start_tstz start_epoch start_millis start_hour start_dtntz end_ds
    end_date end_dt end_ts end_tstz end_epoch end_millis end_hour execution_ds execution_date execution_dt
    execution_ts execution_epoch runtime_stage this_model this_env model_kind_name gateway def each if eval
    sql_literal filter reduce and or not star union pivot haversine_distance generate_surrogate_key safe_add
    safe_sub safe_div with join where group_by having order_by limit date_spine deduplicate from"""
)
"""SQLMesh's: DuckDB reads ``@name`` as the absolute value of a column."""


def parse_model(text: str, path: Path, *, dialect: str, default_schema: str, asset: str | None = None) -> ParsedModel:
    """What a model file says. ``path`` and ``asset`` are for errors only.

    Raises:
        SqlSyntaxError: the header or the query doesn't parse.
        ModelError: it isn't one query, or is of a kind that isn't known here.
    """
    source = Source(text, dialect, path, asset)
    tokens = tokenize(source)
    found, rest = take(source, tokens)
    meaning = understand(found, source) if found is not None else Meaning()
    if meaning.name and "." not in meaning.name:
        meaning.name = f"{default_schema}.{meaning.name}"
    source = Source(text, dialect, path, meaning.name or asset)
    statements = split(rest)
    if meaning.kind is Kind.SEED:
        begin = 1 if statements and not is_definition(source, statements[0]) else 0
        return _seed(source, meaning, statements[:begin], parse_definitions(source, statements[begin:]))
    if not statements:
        message = "the header is followed by no query" if found is not None else "the file holds no query"
        raise source.error(ModelError, message, hint="write one SELECT, or delete the file")
    _check_macros(source, statements[0])
    check_start(source, statements[0], ModelError)
    if len(statements) > 1 and not is_definition(source, statements[1]):
        message, hint = "a second statement begins here; a model is one query", "make it a model of its own"
        token = statements[1][0]
        raise source.error(ModelError, message, token.start, token.end + 1, hint)
    statement = parse(source, statements[0])
    check_tree(statement, ModelError)
    definitions = parse_definitions(source, statements[1:])
    return _model(statement, meaning, default_schema, _header_end(tokens, rest), definitions)


def _model(
    statement: Statement, meaning: Meaning, default_schema: str, begin: int, definitions: tuple[Definition, ...]
) -> ParsedModel:
    source = statement.source
    found = find_reads(statement)
    names = [r.asset(default_schema) for r in found.reads]
    reads = [_read(source, n, r.start, r.end, len(r.parts) == 1) for n, r in zip(names, found.reads, strict=True)]
    for name, tokens in meaning.depends_on:
        full = (name if "." in name else f"{default_schema}.{name}").lower()
        reads.append(_read(source, full, tokens[0].start, tokens[-1].end + 1, "." not in name))
    return ParsedModel(
        name=meaning.name,
        kind=meaning.kind,
        properties=meaning.properties,
        query=source.text[begin : statement.end].lstrip(),
        template=make_template(statement, found.reads, default_schema),
        logic=logic(statement, meaning.kind, names, _stamp(meaning)),
        reads=tuple(reads),
        columns=output_names(statement.root),
        notes=(*meaning.notes, *found.notes),
        enabled=meaning.enabled,
        name_at=meaning.name_at,
        audits=meaning.audits,
        audit_definitions=definitions,
    )


def _stamp(meaning: Meaning) -> str:
    """What else decides the data."""
    said = {k: v for k, v in sorted(meaning.settings.items()) if k in DATA_SETTINGS}
    return meaning.stamp + (json.dumps(said) if said else "")


def _header_end(tokens: Sequence[Token], rest: Sequence[Token]) -> int:
    """Just behind the header, so that comments before the query belong to it."""
    used = len(tokens) - len(rest)
    return int(tokens[used - 1].end) + 1 if used else 0


def _read(source: Source, name: str, start: int, end: int, bare: bool) -> Read:
    line, column = source.position(start)
    return Read(name, line, column, end - start, bare)


def _seed(
    source: Source,
    meaning: Meaning,
    statements: Sequence[Sequence[Token]],
    definitions: tuple[Definition, ...],
) -> ParsedModel:
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
        audits=meaning.audits,
        audit_definitions=definitions,
    )


def _check_macros(source: Source, tokens: Sequence[Token]) -> None:
    for at, name in pairwise(tokens):
        if at.text == "@" and name.start == at.end + 1 and name.text.lower() in _MACROS:
            message, hint = f"SQLMesh's macro @{name.text} isn't supported yet", "write plain SQL"
            raise source.error(SqlSyntaxError, message, at.start, name.end + 1, hint)
