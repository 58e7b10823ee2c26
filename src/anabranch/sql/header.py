"""The header of a model file, as SQLMesh writes it: ``MODEL (name a.b, kind FULL, grain (a, b));``.

Here is its form; what its properties mean is in :mod:`anabranch.sql.properties`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import Token, TokenType

from anabranch.errors import SqlSyntaxError
from anabranch.sql.syntax import Source

OPENING = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
CLOSING = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})
_NOT_YET = {
    "metric": "metrics",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property: ``key`` in lower case, and the tokens of its value."""

    source: Source
    key: str
    key_token: Token
    value: Sequence[Token]

    def error(self, message: str, hint: str | None = None, at: Sequence[Token] = ()) -> SqlSyntaxError:
        """About its value, or about ``at``."""
        tokens = at or self.value or [self.key_token]
        return self.source.error(SqlSyntaxError, message, tokens[0].start, tokens[-1].end + 1, hint)

    def text(self) -> str:
        """The value as it stands, without quotes around it."""
        if len(self.value) == 1 and self.value[0].token_type is TokenType.STRING:
            return str(self.value[0].text)
        return self.source.text[self.value[0].start : self.value[-1].end + 1]

    def name(self) -> str:
        """A name of one or more parts, without quotes."""
        return self._dotted(self.value)

    def names(self) -> list[str]:
        """One name, or several in parentheses or brackets."""
        return [self._dotted(item) for item in self.items()]

    def items(self) -> list[Sequence[Token]]:
        """The value, or its members where it stands in parentheses or brackets."""
        if self.value[0].token_type not in OPENING:
            return [self.value]
        if self.value[-1].token_type not in CLOSING:
            raise self.error(f"{self.key} can't be read", at=self.value)
        return [item for item in commas(self.value[1:-1]) if item]

    def options(self) -> list[Property]:
        """What stands in parentheses after the value's first word, as properties."""
        rest = self.value[1:]
        if not rest:
            return []
        if rest[0].token_type is not TokenType.L_PAREN or rest[-1].token_type is not TokenType.R_PAREN:
            raise self.error(f"{self.key} can't be read", at=rest)
        return list(properties(self.source, rest[1:-1]))

    def flag(self) -> bool:
        """true or false."""
        word = self.text().lower()
        if word not in ("true", "false"):
            raise self.error(f"{self.key} is true or false, not {self.text()}")
        return word == "true"

    def _dotted(self, tokens: Sequence[Token]) -> str:
        parts, dots = tokens[::2], tokens[1::2]
        if len(tokens) % 2 == 0 or any(t.token_type is not TokenType.DOT for t in dots):
            raise self.error(f"{self.key} takes a name, not {self._slice(tokens)}", at=tokens)
        if any(t.token_type is TokenType.NUMBER or not t.text for t in parts):
            raise self.error(f"{self.key} takes a name, not {self._slice(tokens)}", at=tokens)
        return ".".join(t.text if _is_quoted(t) else self._slice([t]) for t in parts)

    def _slice(self, tokens: Sequence[Token]) -> str:
        return self.source.text[tokens[0].start : tokens[-1].end + 1]


def take(source: Source, tokens: Sequence[Token]) -> tuple[list[Property] | None, Sequence[Token]]:
    """The header's properties, where there is one, and the tokens after it.

    Raises:
        SqlSyntaxError: it isn't closed, or isn't followed by a semicolon.
    """
    if len(tokens) < 2 or tokens[1].token_type is not TokenType.L_PAREN:
        return None, tokens
    word = source.text[tokens[0].start : tokens[0].end + 1].lower()
    if word in _NOT_YET:
        message, hint = f"{_NOT_YET[word]} aren't supported yet", "move the file out of models/"
        raise source.error(SqlSyntaxError, message, tokens[0].start, tokens[0].end + 1, hint)
    if word == "audit":
        message, hint = "this is an audit, not a model", "move the file into audits/"
        raise source.error(SqlSyntaxError, message, tokens[0].start, tokens[0].end + 1, hint)
    if word != "model":
        return None, tokens
    end = closing(tokens, 1)
    if end is None:
        message, hint = "the header that opens here isn't closed", "close it with );"
        raise source.error(SqlSyntaxError, message, tokens[0].start, tokens[1].end + 1, hint)
    rest = tokens[end + 1 :]
    if rest and rest[0].token_type is not TokenType.SEMICOLON:
        last = tokens[end]
        raise source.error(
            SqlSyntaxError, "a semicolon is missing after the header", last.start, last.end + 1, "end it with );"
        )
    found = list(properties(source, tokens[2:end]))
    seen: set[str] = set()
    for each in found:
        if each.key in seen:
            raise each.error(f"{each.key} is said twice", at=[each.key_token])
        seen.add(each.key)
    return found, rest[1:]


def properties(source: Source, tokens: Sequence[Token]) -> Iterator[Property]:
    """``key value, key value``. Raises ``SqlSyntaxError``."""
    for item in commas(tokens):
        if not item:
            continue
        key = source.text[item[0].start : item[0].end + 1]
        if not key.replace("_", "").isalnum():
            raise source.error(SqlSyntaxError, f"{key} doesn't fit here", item[0].start, item[0].end + 1)
        value = item[1:]
        if value and value[0].token_type is TokenType.EQ:
            value = value[1:]
        if not value:
            raise source.error(SqlSyntaxError, f"{key} has no value", item[0].start, item[0].end + 1)
        yield Property(source, key.lower(), item[0], value)


def commas(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """The parts between commas that stand in no parentheses."""
    depth = begin = 0
    for i, token in enumerate(tokens):
        if token.token_type in OPENING:
            depth += 1
        elif token.token_type in CLOSING:
            depth -= 1
        elif token.token_type is TokenType.COMMA and not depth:
            yield tokens[begin:i]
            begin = i + 1
    yield tokens[begin:]


def closing(tokens: Sequence[Token], opening: int) -> int | None:
    """The index of what closes ``tokens[opening]``."""
    depth = 0
    for i in range(opening, len(tokens)):
        if tokens[i].token_type in OPENING:
            depth += 1
        elif tokens[i].token_type in CLOSING:
            depth -= 1
            if not depth:
                return i
    return None


def _is_quoted(token: Token) -> bool:
    return token.token_type in (TokenType.STRING, TokenType.IDENTIFIER)
