"""Cuts SQL where macros begin and end: strings, comments, words, ``@name``; without knowing the dialect any better."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_COMMENT = re.compile(r"/\*|\*/")
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<comment>--[^\n]*)
    |(?P<block>/\*)
    |(?P<escaped>[eE]'(?:\\.|''|[^'\\])*')
    |(?P<string>'(?:''|[^'])*')
    |(?P<quoted>"(?:""|[^"])*"|`[^`]*`)
    |(?P<dollar>\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<template>@'(?:''|[^'])*')
    |(?P<brace>@\{\s*\w+\s*\})
    |(?P<macro>@[A-Za-z_]\w*)
    |(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<sign><@|@>|->>|->|:=|::|=>|==|<=|>=|<>|!=|\|\||.)""",
    re.DOTALL | re.VERBOSE,
)
SKIPPED = frozenset({"space", "comment"})
OPENING, CLOSING = frozenset("([{"), frozenset(")]}")


class Lexeme(NamedTuple):
    """``kind``: space, comment, string, escaped, quoted, dollar, template, brace, macro, number, word, sign."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def lower(self) -> str:
        return self.text.lower()

    def is_sign(self, text: str) -> bool:
        return self.kind == "sign" and self.text == text


def lex(text: str) -> list[Lexeme]:
    """All of ``text``. A quote that isn't closed is a sign: the parser tells of it."""
    return list(_lex(text))


def _lex(text: str) -> Iterator[Lexeme]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None
        kind, end = str(found.lastgroup), found.end()
        if kind == "tag":
            kind = "dollar"
        if kind == "block":
            kind, end = "comment", _block_end(text, at)
        yield Lexeme(kind, text[at:end], at)
        at = end


def _block_end(text: str, start: int) -> int:
    depth = 0
    for mark in _COMMENT.finditer(text, start):
        depth += 1 if mark[0] == "/*" else -1
        if not depth:
            return mark.end()
    return len(text)


def closing(found: Sequence[Lexeme], opening: int) -> int | None:
    """The index of what closes ``found[opening]``."""
    depth = 0
    for i in range(opening, len(found)):
        lexeme = found[i]
        if lexeme.kind == "sign":
            if lexeme.text in OPENING:
                depth += 1
            elif lexeme.text in CLOSING:
                depth -= 1
                if not depth:
                    return i
    return None


def split(found: Sequence[Lexeme], separator: str = ",") -> list[Sequence[Lexeme]]:
    """The parts between separators that stand in no parentheses; ``[]`` where there is nothing but space."""
    parts: list[Sequence[Lexeme]] = []
    depth = begin = 0
    for i, lexeme in enumerate(found):
        if lexeme.kind != "sign":
            continue
        if lexeme.text in OPENING:
            depth += 1
        elif lexeme.text in CLOSING:
            depth -= 1
        elif lexeme.text == separator and not depth:
            parts.append(found[begin:i])
            begin = i + 1
    parts.append(found[begin:])
    return [] if len(parts) == 1 and not significant(parts[0]) else parts


def significant(found: Sequence[Lexeme]) -> list[Lexeme]:
    """Without space and comments."""
    return [lexeme for lexeme in found if lexeme.kind not in SKIPPED]
