"""Evaluates what macros decide by: ``@IF(@size > 1 AND @name IN ('a', 'b'), …)``.

A small language of its own, on plain values: literals, lists, comparisons, AND, OR, NOT, arithmetic and a few
functions, with SQL's NULL. What isn't known before the query runs (a column, an interval's moment) is an error.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import Any

from anabranch.sql.macros.lexer import Lexeme, lex, significant
from anabranch.sql.macros.moments import MARK, show_moments
from anabranch.sql.macros.values import Sql, Value

_COMPARE: Mapping[str, Callable[[Any, Any], object]] = {
    "=": operator.eq,
    "==": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MAX_DEPTH = 100


class Undecidable(ValueError):
    """Told with the place of the macro by whoever evaluates."""


def evaluate(text: str) -> Value:
    """The value of an expression; several with commas between them are a list.

    Raises:
        Undecidable: it isn't made of literals, or makes no sense.
    """
    parser = _Parser(significant(lex(text)))
    if not parser.tokens:
        return None
    items = parser.listed(None)
    return items[0] if len(items) == 1 and not parser.commas else items


def truth(value: Value) -> bool:
    """Whether a condition holds; NULL doesn't.

    Raises:
        Undecidable: it is neither true nor false.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, int | float | Decimal):
        return value != 0
    raise Undecidable(f"{_shown(value)} is neither true nor false")


class _Parser:
    """By recursive descent: OR, AND, NOT, comparison, concatenation, sum, product, sign, value."""

    def __init__(self, tokens: Sequence[Lexeme]) -> None:
        self.tokens = tokens
        self.commas = False
        self._at = 0
        self._depth = 0

    # -- tokens ----------------------------------------------------------------------------------------------------
    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        if at >= len(self.tokens):
            return ""
        token = self.tokens[at]
        return token.lower if token.kind in ("word", "sign") else ""

    def _take(self, *words: str) -> bool:
        if tuple(self._peek(i) for i in range(len(words))) == words:
            self._at += len(words)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise Undecidable(f"{word} is missing {self._here()}")

    def _here(self) -> str:
        return f"before {self.tokens[self._at].text!r}" if self._at < len(self.tokens) else "at the end"

    # -- grammar ---------------------------------------------------------------------------------------------------
    def listed(self, close: str | None) -> list[Value]:
        """Values with commas between them, up to ``close``."""
        items: list[Value] = []
        while not (close is not None and self._take(close)):
            items.append(self._or())
            if self._take(","):
                self.commas = self.commas or close is None
            elif close is None:
                if self._at < len(self.tokens):
                    raise Undecidable(f"{self.tokens[self._at].text!r} doesn't fit here")
                break
            else:
                self._expect(close)
                break
            if close is None and self._at >= len(self.tokens):
                break
        return items

    def _or(self) -> Value:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Undecidable("the expression is nested too deeply")
        found = self._and()
        while self._take("or"):
            other = self._and()
            found = _either(found, other)
        self._depth -= 1
        return found

    def _and(self) -> Value:
        found = self._not()
        while self._take("and"):
            other = self._not()
            found = _negated(_either(_negated(found), _negated(other)))
        return found

    def _not(self) -> Value:
        negations = 0
        while self._take("not"):
            negations += 1
        found = self._comparison()
        return found if not negations else _negated(found) if negations % 2 else _negated(_negated(found))

    def _comparison(self) -> Value:
        found = self._concatenation()
        while True:
            sign = self._peek()
            if sign in _COMPARE:
                self._at += 1
                found = _compare(sign, found, self._concatenation())
            elif self._take("is", "not", "null"):
                found = found is not None
            elif self._take("is", "null"):
                found = found is None
            elif self._take("not", "in"):
                found = _negated(_contains(self._concatenation(), found))
            elif self._take("in"):
                found = _contains(self._concatenation(), found)
            elif self._take("not", "between"):
                found = _negated(self._between(found))
            elif self._take("between"):
                found = self._between(found)
            elif self._take("not", "like"):
                found = _negated(_like(found, self._concatenation()))
            elif self._take("like"):
                found = _like(found, self._concatenation())
            else:
                return found

    def _between(self, found: Value) -> Value:
        low = self._concatenation()
        self._expect("and")
        high = self._concatenation()
        return _negated(_either(_compare("<", found, low), _compare(">", found, high)))

    def _concatenation(self) -> Value:
        found = self._sum()
        while self._take("||"):
            other = self._sum()
            found = None if found is None or other is None else _plain(found) + _plain(other)
        return found

    def _sum(self) -> Value:
        found = self._product()
        while (sign := self._peek()) in ("+", "-") and sign:
            self._at += 1
            found = _compute(sign, found, self._product())
        return found

    def _product(self) -> Value:
        found = self._signed()
        while (sign := self._peek()) in ("*", "/", "%") and sign:
            self._at += 1
            found = _compute(sign, found, self._signed())
        return found

    def _signed(self) -> Value:
        if self._take("-"):
            return _compute("-", 0, self._signed())
        if self._take("+"):
            return self._signed()
        return self._value()

    def _value(self) -> Value:
        if self._at >= len(self.tokens):
            raise Undecidable("something is missing at the end")
        token = self.tokens[self._at]
        self._at += 1
        if token.kind == "string":
            if MARK in token.text:
                name = show_moments(token.text).strip("'")
                raise Undecidable(f"{name} isn't known before the build, so nothing can be decided by it")
            return token.text[1:-1].replace("''", "'")
        if token.kind == "number":
            return Decimal(token.text) if re.search(r"[.eE]", token.text) else int(token.text)
        if token.is_sign("("):
            commas_before = self.commas
            items = self.listed(")")
            self.commas = commas_before
            return items[0] if len(items) == 1 and not self._was_tuple() else items
        if token.is_sign("["):
            return self.listed("]")
        if token.kind == "word":
            word = token.lower
            if word in ("true", "false"):
                return word == "true"
            if word == "null":
                return None
            if word in ("array", "list") and self._take("["):
                return self.listed("]")
            if word == "cast" and self._peek() == "(":
                raise Undecidable("CAST can't be evaluated before the query runs")
            if self._take("("):
                return _call(word, self.listed(")"))
        raise Undecidable(f"{token.text!r} isn't known before the query runs")

    def _was_tuple(self) -> bool:
        """Whether the parenthesis that was just closed had a comma before it: ``(1,)``."""
        return self._at > 1 and self.tokens[self._at - 2].is_sign(",")


def _either(a: Value, b: Value) -> Value:
    sides = (_logical(a), _logical(b))
    if True in sides:
        return True
    return None if None in sides else False


def _negated(value: Value) -> Value:
    found = _logical(value)
    return None if found is None else not found


def _logical(value: Value) -> bool | None:
    return None if value is None else truth(value)


def _compare(sign: str, a: Value, b: Value) -> Value:
    if a is None or b is None:
        return None
    kinds = {_kind(a), _kind(b)}
    if len(kinds) > 1:
        raise Undecidable(f"{_shown(a)} and {_shown(b)} can't be compared: one is {_kind(a)}, the other {_kind(b)}")
    if kinds == {"a list"} and sign not in ("=", "==", "<>", "!="):
        raise Undecidable("lists have no order")
    return bool(_COMPARE[sign](a, b))


def _contains(items: Value, value: Value) -> Value:
    if value is None or items is None:
        return None
    listed = items if isinstance(items, list | tuple) else [items]
    found: Value = False
    for item in listed:
        found = _either(found, _compare("=", item, value))
    return found


def _like(value: Value, pattern: Value) -> Value:
    if value is None or pattern is None:
        return None
    parts = [{"%": ".*", "_": "."}.get(c, re.escape(c)) for c in _plain(pattern)]
    return re.fullmatch("".join(parts), _plain(value), re.DOTALL) is not None


def _compute(sign: str, a: Value, b: Value) -> Value:
    if a is None or b is None:
        return None
    left, right = _numeric(a), _numeric(b)
    try:
        if sign == "+":
            return left + right
        if sign == "-":
            return left - right
        if sign == "*":
            return left * right
        if right == 0:
            raise Undecidable("this divides by zero")
        return Decimal(left) / Decimal(right) if sign == "/" else left % right
    except (DivisionByZero, InvalidOperation) as error:
        raise Undecidable(f"{_shown(a)} {sign} {_shown(b)} can't be computed") from error


def _numeric(value: Value) -> int | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Undecidable(f"{_shown(value)} is no number")
    return Decimal(repr(value)) if isinstance(value, float) else value


def _plain(value: Value) -> str:
    if isinstance(value, str) and not isinstance(value, Sql):
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    raise Undecidable(f"{_shown(value)} is no text")


def _sized(value: Value) -> Value:
    if value is None:
        return None
    return len(value) if isinstance(value, list | tuple) else len(_plain(value))


_FUNCTIONS: Mapping[str, tuple[int, Callable[..., Value]]] = {
    "upper": (1, lambda v: None if v is None else _plain(v).upper()),
    "lower": (1, lambda v: None if v is None else _plain(v).lower()),
    "trim": (1, lambda v: None if v is None else _plain(v).strip()),
    "length": (1, _sized),
    "len": (1, _sized),
    "abs": (1, lambda v: None if v is None else abs(_numeric(v))),
    "replace": (
        3,
        lambda v, old, new: None if None in (v, old, new) else _plain(v).replace(_plain(old), _plain(new)),
    ),
}


def _call(name: str, arguments: Sequence[Value]) -> Value:
    if name == "coalesce":
        return next((a for a in arguments if a is not None), None)
    if name == "concat":
        return "".join(_plain(a) for a in arguments if a is not None)
    if name not in _FUNCTIONS:
        raise Undecidable(f"{name}() can't be evaluated before the query runs")
    count, function = _FUNCTIONS[name]
    if len(arguments) != count:
        raise Undecidable(f"{name}() takes {count} argument{'s' if count > 1 else ''}")
    return function(*arguments)


def _kind(value: Value) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        return "a number"
    return "a text" if isinstance(value, str) else "a list"


def _shown(value: Value) -> str:
    return repr(str(value)) if isinstance(value, str | Decimal) else repr(value)
