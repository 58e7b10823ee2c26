"""From tokens to calls and definitions of audits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlglot import Token, TokenType

from anabranch.domain.names import nearest
from anabranch.errors import ModelError, SqlSyntaxError
from anabranch.sql.audits.calls import Argument, Call, Definition, Item, Place
from anabranch.sql.canonical import fold
from anabranch.sql.header import OPENING, Property, closing, commas, properties
from anabranch.sql.syntax import Source, split, tokenize

PROPERTIES = ("name", "dialect", "defaults", "blocking", "skip", "owner", "description", "tags", "standalone")
_GIVES = frozenset({TokenType.COLON_EQ, TokenType.EQ, TokenType.FARROW})
_WORDS = frozenset({"true", "false", "null"})


def parse_calls(said: Property) -> tuple[Call, ...]:
    """The value of ``audits`` in a model's header. Raises ``SqlSyntaxError``."""
    return tuple(_call(said.source, item) for item in said.items())


def parse_file(text: str, path: Path, *, dialect: str) -> tuple[Definition, ...]:
    """A file of audits: ``AUDIT (name …); SELECT …``, once or more.

    Raises:
        SqlSyntaxError: it doesn't parse.
        ModelError: it holds something else, or nothing.
    """
    source = Source(text, dialect, path)
    statements = split(tokenize(source))
    if not statements:
        raise source.error(ModelError, "the file holds no audit", hint="write AUDIT (name …); SELECT …, or delete it")
    return parse_definitions(source, statements)


def is_definition(source: Source, statement: Sequence[Token]) -> bool:
    """Whether a statement is the header of an audit."""
    first = source.text[statement[0].start : statement[0].end + 1].lower()
    return len(statement) > 1 and first == "audit" and statement[1].token_type is TokenType.L_PAREN


def parse_definitions(source: Source, statements: Sequence[Sequence[Token]]) -> tuple[Definition, ...]:
    """Headers and queries by turns. Raises ``SqlSyntaxError``, ``ModelError``."""
    found: list[Definition] = []
    rest = list(statements)
    while rest:
        header = rest.pop(0)
        if not is_definition(source, header):
            raise _wrong(source, header[:1], "an audit begins with AUDIT (name …);", "write its header first")
        end = closing(header, 1)
        if end is None or end != len(header) - 1:
            at = header[:2] if end is None else header[end + 1 :][:1]
            raise _wrong(source, at, "a semicolon is missing after the audit's header", "end it with );")
        if not rest or is_definition(source, rest[0]):
            raise _wrong(source, header[:1], "the audit's header is followed by no query", "write one SELECT after it")
        definition = _definition(source, header, list(properties(source, header[2:end])), rest.pop(0))
        if any(d.name == definition.name for d in found):
            message = f"the audit {definition.name} is defined twice"
            raise _wrong(source, header[:1], message, "rename one of them")
        found.append(definition)
    return tuple(found)


def _definition(
    source: Source, header: Sequence[Token], found: Sequence[Property], query: Sequence[Token]
) -> Definition:
    name, at, blocking, skip = "", place(source, header[:1]), True, False
    defaults: dict[str, Argument] = {}
    for each in found:
        match each.key:
            case "name":
                name, at = each.name().lower(), place(source, each.value)
            case "blocking":
                blocking = each.flag()
            case "skip":
                skip = each.flag()
            case "defaults":
                defaults = _defaults(source, each)
            case "dialect":
                if each.text().lower() != source.dialect:
                    message = f"the audit is written for {each.text()}, the warehouse speaks {source.dialect}"
                    raise _wrong(source, each.value, message, f"write it for {source.dialect}, and drop dialect")
            case "standalone":
                if each.flag():
                    hint = "name it in audits (…) of a model that it is about"
                    raise _wrong(source, each.value, "audits of no model aren't supported yet", hint)
            case _ if each.key not in PROPERTIES:
                near = nearest(each.key, list(PROPERTIES))
                hint = f"did you mean {near}?" if near else f"known are {', '.join(PROPERTIES)}"
                raise each.error(f"an audit has no property {each.key}", hint, [each.key_token])
    if not name:
        raise _wrong(source, header[:1], "the audit has no name", "write AUDIT (name …)")
    start = source.position(query[0].start)
    return Definition(name, _pieces(source, query), start, blocking, skip, defaults, at)


def _defaults(source: Source, said: Property) -> dict[str, Argument]:
    if said.value[0].token_type not in OPENING:
        raise said.error("defaults takes names with values", "write defaults (threshold = 10)")
    return _arguments(source, said.value[1:-1])


def _pieces(source: Source, query: Sequence[Token]) -> tuple[str, ...]:
    """Text and names after ``@`` by turns. ``@`` in strings and comments is no token, and so stays."""
    pieces: list[str] = []
    done = query[0].start
    for i, token in enumerate(query[:-1]):
        name = query[i + 1]
        if token.token_type is TokenType.PARAMETER and name.start == token.end + 1:
            word = source.text[name.start : name.end + 1]
            if word.isidentifier():
                pieces += [source.text[done : token.start], word.lower()]
                done = name.end + 1
    return (*pieces, source.text[done : query[-1].end + 1])


def _call(source: Source, item: Sequence[Token]) -> Call:
    first = item[0]
    name = source.text[first.start : first.end + 1]
    if not name.replace("_", "").isalnum() or name[0].isdigit():
        raise _wrong(source, item[:1], f"{name} is no audit's name", "write audits (not_null(columns := (id)))")
    arguments: dict[str, Argument] = {}
    if len(item) > 1:
        if item[1].token_type is not TokenType.L_PAREN or closing(item, 1) != len(item) - 1:
            raise _wrong(source, item[1:], f"a comma is missing after {name}", f"write {name}(argument := value)")
        arguments = _arguments(source, item[2:-1])
    return Call(name.lower(), arguments, place(source, item[:1]))


def _arguments(source: Source, tokens: Sequence[Token]) -> dict[str, Argument]:
    found: dict[str, Argument] = {}
    for each in commas(tokens):
        if not each:
            continue
        name = source.text[each[0].start : each[0].end + 1].lower()
        if len(each) < 3 or each[1].token_type not in _GIVES:
            raise _wrong(source, each, f"an argument's name is missing before {name}", "write name := value")
        if name in found:
            raise _wrong(source, each[:1], f"{name} is said twice", "drop one of them")
        found[name] = _value(source, each[2:], place(source, each[:1]))
    return found


def _value(source: Source, tokens: Sequence[Token], at: Place) -> Argument:
    first = tokens[0]
    if source.text[first.start : first.end + 1].lower() == "array" and len(tokens) > 1:
        tokens = tokens[1:]
    if tokens[0].token_type in OPENING and closing(tokens, 0) == len(tokens) - 1:
        items = [i for i in commas(tokens[1:-1]) if i]
        if items:
            return Argument(tuple(_item(source, i) for i in items), True, at)
    return Argument((_item(source, tokens),), False, at)


def _item(source: Source, tokens: Sequence[Token]) -> Item:
    text = source.text[tokens[0].start : tokens[-1].end + 1]
    column = None
    if len(tokens) == 1 and text.lower() not in _WORDS:
        quoted = tokens[0].token_type is TokenType.IDENTIFIER
        if quoted or text.isidentifier():
            column = fold(tokens[0].text if quoted else text, quoted, source.dialect)
    return Item(text, column, place(source, tokens))


def place(source: Source, tokens: Sequence[Token]) -> Place:
    """Where tokens stand."""
    return source.span(tokens[0].start, tokens[-1].end + 1)


def _wrong(source: Source, tokens: Sequence[Token], message: str, hint: str) -> SqlSyntaxError:
    return source.error(SqlSyntaxError, message, tokens[0].start, tokens[-1].end + 1, hint)
