"""Small questions about parts of a tree."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from anabranch.sql.columns.graph import Term
from anabranch.sql.columns.values import Unhandled
from anabranch.sql.words import word_set

_TYPE_NAMES = word_set(
    """BIGINT BOOLEAN DATE DECIMAL DOUBLE FLOAT INT INT128 JSON SMALLINT TEXT VARCHAR TIME TIMESTAMP TIMESTAMPTZ
    TIMESTAMPNTZ TINYINT UBIGINT UINT UINT128 USMALLINT UTINYINT UUID ARRAY LIST BLOB VARBINARY INTERVAL TIMESTAMP_S
    TIMESTAMP_MS TIMESTAMP_NS"""
)
_TYPES = frozenset(t for t in exp.DType if t.name in _TYPE_NAMES)


def require_only(node: exp.Expr, *keys: str) -> None:
    """Raises :class:`Unhandled` where a node says more than what is named."""
    more = [k for k, v in node.args.items() if v is not None and v is not False and v != [] and k not in keys]
    if more:
        raise Unhandled(f"{said(node)} with {', '.join(m.rstrip('_') for m in more)}")


def chain(node: exp.Expr, kind: type[exp.Expr]) -> Iterator[exp.Expr]:
    """The operands of ``a and b and c``."""
    while isinstance(node, exp.Paren):
        node = node.this
    if type(node) is kind:
        yield from chain(node.args["this"], kind)
        yield from chain(node.args["expression"], kind)
    else:
        yield node


def is_ordered_by_itself(node: exp.Func) -> bool:
    """Whether an aggregate takes its values in their own order, so that equal ones don't matter."""
    order = node.this
    if not isinstance(order, exp.Order) or not order.expressions:
        return False
    value = order.this
    if isinstance(value, exp.Distinct):
        value = value.expressions[0] if len(value.expressions) == 1 else None
    return value is not None and bool(order.expressions[0].this == value)


def type_of(node: exp.Expr) -> Term:
    """A type, without what it may hold besides plain ones and their lengths."""
    if isinstance(node, exp.DataType) and node.this in _TYPES:
        require_only(node, "this", "expressions", "nested", "values")
        if node.args.get("values"):
            return (
                "type",
                node.this.name,
                *(type_of(each) for each in node.expressions),
                tuple(v.name for v in node.args["values"]),
            )
        return ("type", node.this.name, *(type_of(each) for each in node.expressions))
    if isinstance(node, exp.DataTypeParam) and isinstance(node.this, exp.Literal):
        require_only(node, "this")
        return str(node.this.this)
    raise Unhandled("a type that isn't plain")


def said(node: exp.Expr) -> str:
    return node.key.upper()
