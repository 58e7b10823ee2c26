"""``signals (ready(table := 'x'), settled)``: what a model's header waits for."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import Token, TokenType

from anabranch.domain.signals import Call, encode
from anabranch.sql.header import OPENING, Property, commas

_ASSIGN = frozenset({TokenType.COLON_EQ, TokenType.EQ, TokenType.FARROW})
_HINT = "write signals (ready(table := 'x'))"


def read_signals(each: Property) -> str:
    """As a snapshot's property.

    Raises:
        SqlSyntaxError: a signal isn't a name with named arguments.
    """
    is_list = each.value[0].token_type in OPENING
    return encode([_call(each, item) for item in (each.items() if is_list else [each.value])])


def _call(each: Property, tokens: Sequence[Token]) -> Call:
    name = Property(each.source, each.key, each.key_token, tokens[:1]).name().lower()
    rest = tokens[1:]
    if not rest:
        return Call(name, {})
    if rest[0].token_type is not TokenType.L_PAREN or rest[-1].token_type is not TokenType.R_PAREN:
        raise each.error("a signal is a name, with arguments in parentheses", _HINT, tokens)
    arguments: dict[str, object] = {}
    for item in commas(rest[1:-1]):
        if not item:
            continue
        if len(item) < 3 or item[1].token_type not in _ASSIGN:
            raise each.error("a signal's arguments have names", _HINT, item)
        key = Property(each.source, each.key, each.key_token, item[:1]).name().lower()
        arguments[key] = _value(each, item[2:])
    return Call(name, arguments)


def _value(each: Property, tokens: Sequence[Token]) -> object:
    """A literal; a name is its own text."""
    if tokens[0].token_type in OPENING:
        inner = Property(each.source, each.key, each.key_token, tokens)
        return [_value(each, item) for item in inner.items()]
    text = Property(each.source, each.key, each.key_token, tokens).text()
    if tokens[0].token_type is TokenType.STRING and len(tokens) == 1:
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower() == "null":
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        pass
    if len(tokens) > 1 and any(t.token_type in OPENING for t in tokens):
        raise each.error("a signal's arguments are literals", _HINT, tokens)
    return text
