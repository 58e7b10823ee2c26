"""Names for output columns that would otherwise be named after a physical table.

An engine names ``select (select max(id) from sales.orders)`` after its text. Once the text holds a physical table,
that name would change with each version of it; so such a column is named after the text that the user wrote.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import Token, TokenType, exp

from anabranch.sql.header import CLOSING, OPENING, closing, commas
from anabranch.sql.outputs import is_named
from anabranch.sql.qualifiers import Edit, quoted
from anabranch.sql.syntax import Statement
from anabranch.sql.words import word_set

_END = word_set("""from where group having window qualify order limit offset union except intersect using""")
_SEVERAL = (exp.Columns, exp.Unnest, exp.Explode)


def label_outputs(statement: Statement, edits: Sequence[Edit]) -> list[Edit]:
    """An alias for each output column that has no name and whose text is edited."""
    root = statement.root
    while isinstance(root, exp.SetOperation):
        root = root.this
    if not isinstance(root, exp.Select) or all(is_named(e) for e in root.expressions):
        return []
    items = _items(statement)
    if len(items) != len(root.expressions):
        return []
    found: list[Edit] = []
    for item, expression in zip(items, root.expressions, strict=True):
        start, end = item[0].start, item[-1].end + 1
        if is_named(expression) or expression.find(*_SEVERAL) or not any(start <= e.start < end for e in edits):
            continue
        label = quoted([_label(statement, item)], statement.source.dialect)
        found.append(Edit(end, end, f" AS {label}"))
    return found


def _items(statement: Statement) -> list[Sequence[Token]]:
    """The tokens of each output column of the first SELECT that stands in no parentheses."""
    text, tokens = statement.source.text, statement.tokens
    depth, begin = 0, None
    for i, token in enumerate(tokens):
        if token.token_type in OPENING:
            depth += 1
        elif token.token_type in CLOSING:
            depth -= 1
        elif depth:
            continue
        elif begin is None and token.token_type is TokenType.SELECT:
            begin = i + 1
        elif begin is not None and text[token.start : token.end + 1].split()[0].lower() in _END:
            return _split(tokens[begin:i])
    return _split(tokens[begin:]) if begin is not None else []


def _split(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    if tokens and tokens[0].token_type is TokenType.DISTINCT:
        tokens = tokens[1:]
        if tokens and tokens[0].token_type is TokenType.ON:
            tokens = tokens[(closing(tokens, 1) or 0) + 1 :]
    elif tokens and tokens[0].token_type is TokenType.ALL:
        tokens = tokens[1:]
    return [item for item in commas(tokens) if item]


def _label(statement: Statement, item: Sequence[Token]) -> str:
    """The text of an item, with one spacing for all ways to space it."""
    label = ""
    for token in item:
        word = statement.source.text[token.start : token.end + 1]
        if label and label[-1] not in "([.{" and word[0] not in ")].,([}:":
            label += " "
        label += word
    return label
