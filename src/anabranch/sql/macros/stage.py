"""From a model file to models: templates, blueprints and macros first, then each model is parsed.

A file without any of these costs one search in its text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql import model_file
from anabranch.sql.macros.blueprints import Blueprint, blueprints
from anabranch.sql.macros.expand import Expander
from anabranch.sql.macros.lexer import Lexeme, closing, lex, significant, split
from anabranch.sql.macros.moments import MARK, strays
from anabranch.sql.macros.scope import Local, Scope, Surroundings, Use
from anabranch.sql.macros.shapes import as_function, as_value, plain_value
from anabranch.sql.macros.text import Mapped, join
from anabranch.sql.macros.values import Sql, Value
from anabranch.sql.parsed import ParsedModel
from anabranch.sql.syntax import QUERY_WORDS, Origin, Source

_MACROS = re.compile(r"@[A-Za-z_{']|\bblueprints\b|\{\{|\{%|JINJA_", re.IGNORECASE)
_BEGIN = re.compile(r"JINJA_(QUERY|STATEMENT)_BEGIN\s*;?", re.IGNORECASE)
_END = re.compile(r"JINJA_END\s*;?", re.IGNORECASE)
_TAG = re.compile(r"\{[{%#]")
_CONTROL = re.compile("[\x02\x03]")
ENVIRONMENT_NOTE = "depends on the environment through @{}"
TEMPLATE_IN_STRING = "{{ … }} inside a string is text: a template begins with JINJA_QUERY_BEGIN"
EMPTY_STATEMENT = "a statement besides the query is for another stage, and isn't run"


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """``uses``: what the models depend on, besides the file."""

    models: tuple[ParsedModel, ...]
    uses: frozenset[Use] = frozenset()


def parse_file(text: str, path: Path, around: Surroundings, asset: str | None = None) -> ParsedFile:
    """What a model file says: one model, or one for each of its blueprints.

    Raises:
        SqlSyntaxError: the header or the query doesn't parse.
        ModelError: a macro is unknown, called wrongly or fails; or it isn't one query, or of a kind that isn't known.
        ColumnsUnknown: a macro needs columns that aren't known.
    """
    source = Source(text, around.dialect, path, asset)
    if _MACROS.search(text) is None:
        model = model_file.parse_model(
            text, path, dialect=source.dialect, default_schema=around.default_schema, asset=asset
        )
        return ParsedFile((model,))
    if control := _CONTROL.search(text):
        message = f"there is a control character (0x0{ord(control[0])}) here"
        raise source.error(SqlSyntaxError, message, control.start(), control.end(), "delete it")
    header, body = _parts(text)
    used: set[Use] = set()
    models: list[ParsedModel] = []
    found = blueprints(header, Expander(source, around, used=used, in_header=True))
    for blueprint in found.each:
        try:
            models.append(_one(source, around, found.header, body, blueprint, used))
        except ModelError as error:
            if not blueprint.label:
                raise
            error.message = f"{error.message} (in the blueprint {blueprint.label})"
            error.args = (error.message,)
            raise
    return ParsedFile(tuple(models), frozenset(used))


def _one(
    source: Source, around: Surroundings, header: Mapped, body: Mapped, blueprint: Blueprint, used: set[Use]
) -> ParsedModel:
    own: set[Use] = set()
    expander = Expander(source, around, blueprint.values, used=own, in_header=True)
    made = expander.expand(header, Scope())
    expander.fixed = _fixed(made.text, source, around)
    expander.in_header = False
    notes: list[str] = []
    query = _body(expander, body, notes)
    text = join([made, query])
    _check_moments(expander, text)
    model = model_file.parse_model(
        text.text,
        source.path or Path(),
        dialect=source.dialect,
        default_schema=around.default_schema,
        asset=str(expander.fixed["this_model"]) if blueprint.label else source.asset,
        origin=Origin(source.text, text),
    )
    if ("env", "this_env") in own:
        notes.append(ENVIRONMENT_NOTE.format("this_env"))
    used |= own
    return replace(model, notes=(*model.notes, *notes)) if notes else model


def _parts(text: str) -> tuple[Mapped, Mapped]:
    """The header with its semicolon, and the rest. Where the header isn't closed, all is the header: the parser tells
    of it."""
    whole = Mapped.whole(text)
    found = lex(text)
    words = [i for i, x in enumerate(found) if x.kind not in ("space", "comment")]
    if len(words) < 2 or found[words[0]].lower != "model" or not found[words[1]].is_sign("("):
        return Mapped([]), whole
    close = closing(found, words[1])
    if close is None:
        return whole, Mapped([])
    following = next((i for i in words if i > close), None)
    end = found[following].end if following is not None and found[following].is_sign(";") else found[close].end
    return whole.slice(0, end), whole.slice(end, len(text))


def _fixed(header: str, source: Source, around: Surroundings) -> dict[str, Value]:
    """What the header says of the model."""
    found = significant(lex(header))
    name, kind = source.asset or "", "FULL"
    for item in split(found[2:-2] if found and found[-1].is_sign(";") else found[2:-1]):
        value = [x for x in item[1:] if not x.is_sign("=")]
        if item and value and item[0].lower == "name":
            name = "".join(x.text.strip('"') for x in value).lower()
        elif item and value and item[0].lower == "kind":
            kind = value[0].text.upper()
    if name and "." not in name:
        name = f"{around.default_schema}.{name}"
    return {"this_model": Sql(name), "model_kind_name": kind}


# -- the query --------------------------------------------------------------------------------------------------------


def _body(expander: Expander, body: Mapped, notes: list[str]) -> Mapped:
    """Templates first, then statement by statement."""
    parts: list[Mapped] = []
    at = 0
    while begin := _block(body.text, at):
        if begin[1].lower() == "statement":
            message, hint = "statements besides the query aren't supported yet", "write one query"
            expander.fail(message, body.place(*begin.span()), hint)
        end = _END.search(body.text, begin.end())
        if end is None:
            expander.fail(
                "the block that opens here isn't closed", body.place(*begin.span()), "close it with JINJA_END;"
            )
        parts += [body.slice(at, begin.start()), _rendered(expander, body.slice(begin.end(), end.start()))]
        at = end.end()
    rest = body.slice(at, len(body.text))
    if not parts and any(_is_tag(x, y) for x, y in pairwise(lex(rest.text))):
        parts.append(_rendered(expander, rest))
    else:
        if any(x.kind == "string" and _TAG.search(x.text) for x in lex(rest.text)):
            notes.append(TEMPLATE_IN_STRING)
        parts.append(rest)
    return _statements(expander, join(parts), notes)


def _block(text: str, at: int) -> re.Match[str] | None:
    """The next block of Jinja, outside comments and strings."""
    for lexeme in lex(text[at:]):
        if lexeme.kind == "word" and (found := _BEGIN.match(text, at + lexeme.start)):
            return found
    return None


def _is_tag(lexeme: Lexeme, following: Lexeme) -> bool:
    return lexeme.is_sign("{") and following.kind == "sign" and following.text[0] in "{%#"


def _rendered(expander: Expander, text: Mapped) -> Mapped:
    from anabranch.sql.macros.jinja import TemplateFailed, render  # loads jinja2

    def look(name: str) -> tuple[bool, Value]:
        found, value = expander.lookup(name, Scope())
        return found, plain_value(value)

    try:
        made = render(text.text, look, expander.around.jinja, lambda: expander.used.add(("jinja", "")))
    except TemplateFailed as error:
        lines = text.text.splitlines(keepends=True)
        if error.line is None:
            place = text.strip().place(0)
        else:
            start = sum(map(len, lines[: error.line - 1]))
            line = lines[error.line - 1] if error.line <= len(lines) else ""
            start += len(line) - len(line.lstrip())
            place = text.place(start, start + max(1, len(line.strip())))
        expander.fail(str(error), place, error.hint)
    return made.through(text)


def _beside(expander: Expander, text: Mapped, scope: Scope) -> Mapped:
    """A statement around the query, in which ``@this_model`` is the table or the view that is known at the build."""
    fixed = expander.fixed
    expander.fixed = {**fixed, "this_model": Sql("@this_model")}
    try:
        return expander.expand(text, scope)
    finally:
        expander.fixed = fixed


def _begins_audit(words: Sequence[Lexeme]) -> bool:
    return len(words) > 1 and words[0].lower == "audit" and words[1].is_sign("(")


def _statements(expander: Expander, body: Mapped, notes: list[str]) -> Mapped:
    """Definitions are taken in, and what comes out empty is left out. Audits stay as they are, each a header and a
    query: their ``@`` names are arguments, and ``@this_model`` is what they look at."""
    scope = Scope()
    kept: list[Mapped] = []
    found = lex(body.text)
    parts = split(found, ";")
    in_audit = False
    for number, part in enumerate(parts):
        words = significant(part)
        text = body.slice(part[0].start, part[-1].end) if part else Mapped([])
        if words and words[0].kind == "macro" and words[0].lower == "@def":
            scope = _defined(expander, body, words, scope)
            continue
        begins = _begins_audit(words)
        if begins or (in_audit and words):
            made, in_audit = text, begins
        else:
            beside = bool(words) and words[0].kind == "word" and words[0].lower not in QUERY_WORDS
            made = _beside(expander, text, scope) if beside else expander.expand(text, scope)
        if words and not significant(lex(made.text)):
            notes.append(EMPTY_STATEMENT)
            continue
        kept.append(made)
        if number < len(parts) - 1:
            last = part[-1].end if part else 0
            kept.append(body.slice(last, last + 1))
    return join(kept)


def _defined(expander: Expander, body: Mapped, words: Sequence[Lexeme], scope: Scope) -> Scope:
    """``@DEF(name, value)``."""
    place = body.place(words[0].start, words[-1].end)
    arguments = split(words[2:-1]) if len(words) > 3 and words[1].is_sign("(") and closing(words, 1) else []
    name = arguments[0][0] if len(arguments) == 2 and len(arguments[0]) == 1 else None
    if name is None or name.kind not in ("word", "macro") or closing(words, 1) != len(words) - 1:
        expander.fail("@DEF can't be read", place, "write @DEF(name, value);")
    text = body.slice(arguments[1][0].start, arguments[1][-1].end)
    function = as_function(text)
    value: Local = function if function is not None else as_value(expander.expand(text, scope, 1).text)
    return Scope({**scope.locals, name.lower.lstrip("@"): value})


def _check_moments(expander: Expander, text: Mapped) -> None:
    """Moments stand in strings, whole."""
    if MARK not in text.text:
        return
    at = strays(text.text)
    if at is not None:
        message = "a moment of the interval was cut or changed; it isn't known before the build"
        expander.fail(message, text.place(at), "use it as a whole, and let SQL work on it")
    for lexeme in lex(text.text):
        if MARK in lexeme.text and lexeme.kind not in ("string", "escaped", "comment", "dollar"):
            at = text.text.index(MARK, lexeme.start)
            message, hint = "a moment of the interval stands outside quotes", "write '{{ start_ds }}', or @start_ds"
            expander.fail(message, text.place(at), hint)
