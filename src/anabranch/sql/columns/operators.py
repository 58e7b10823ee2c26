"""Where sqlglot's tree says how the engine groups a query's operators, and where it doesn't.

Parentheses may be left out of what is hashed, and the sides of an equation may change places, only where sqlglot and
DuckDB agree which operator binds tighter: :func:`agrees` tells. ``a = b is null`` is ``(a = b) is null`` to one of them
and ``a = (b is null)`` to the other, so an expression like that is hashed as it is written. The precedence is that of
:mod:`anabranch.sql.parentheses`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

OR, AND, NOT, PREDICATE, COMPARISON, SUM, PRODUCT, UNARY, ATOM = range(1, 10)
LOGICAL = (exp.And, exp.Or)
EQUATIONS = (exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ)
MIRRORED: dict[type[exp.Expr], type[exp.Expr]] = {exp.GT: exp.LT, exp.GTE: exp.LTE}
_LEVELS: dict[type[exp.Expr], int] = {
    exp.Or: OR,
    exp.And: AND,
    exp.Not: NOT,
    exp.Is: PREDICATE,
    exp.In: PREDICATE,
    exp.Between: PREDICATE,
    exp.Like: PREDICATE,
    exp.ILike: PREDICATE,
    exp.NullSafeEQ: PREDICATE,
    exp.NullSafeNEQ: PREDICATE,
    exp.EQ: COMPARISON,
    exp.NEQ: COMPARISON,
    exp.GT: COMPARISON,
    exp.GTE: COMPARISON,
    exp.LT: COMPARISON,
    exp.LTE: COMPARISON,
    exp.Add: SUM,
    exp.Sub: SUM,
    exp.Mul: PRODUCT,
    exp.Div: PRODUCT,
    exp.IntDiv: PRODUCT,
    exp.Mod: PRODUCT,
    exp.Neg: UNARY,
}
STRICT = (exp.DPipe,)
"""Operators that are understood, but whose neighbours' parentheses all count."""
OPERATORS = (*_LEVELS, *STRICT)
_LEFT_TO_RIGHT = frozenset([OR, AND, SUM, PRODUCT])
_OPERANDS = ("this", "expression", "low", "high")


def operands(node: exp.Expr) -> Iterator[exp.Expr]:
    """What an operator is applied to, in the order of the text; nothing where it isn't one that is known."""
    if isinstance(node, OPERATORS):
        for key in _OPERANDS:
            operand = node.args.get(key)
            if isinstance(operand, exp.Expr):
                yield operand


def agrees(node: exp.Expr) -> bool:
    """Whether the engine groups the operators of an expression as the tree does, whatever its parentheses."""
    if isinstance(node, exp.Paren):
        return agrees(node.this)
    if isinstance(node, STRICT):
        return False
    level = _LEVELS.get(type(node), ATOM)
    return all(_fits(level, i, each) and agrees(each) for i, each in enumerate(operands(node)))


def _fits(level: int, position: int, operand: exp.Expr) -> bool:
    inner = _LEVELS.get(type(operand), ATOM)
    if inner == ATOM or isinstance(operand, exp.Paren):
        return True
    if level in _LEFT_TO_RIGHT and position == 0:
        return inner >= level
    if level == NOT:
        return inner >= NOT
    if level == PREDICATE:
        return inner >= SUM
    return inner > level
