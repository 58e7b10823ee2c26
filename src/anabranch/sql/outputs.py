"""The columns that a query puts out."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_UNFOLDING = (exp.Explode, exp.Unnest, exp.Columns)
"""What makes several columns of one expression."""


def output_names(root: exp.Expr) -> tuple[str, ...] | None:
    """The names of the output, where they can be told without knowing what is read: no star, no column without a
    name, no name twice (engines rename those)."""
    select = first_select(root)
    if select is None or root.find(exp.Pivot) or _by_name(root):
        return None
    names: list[str] = []
    for each in select.expressions:
        if not is_named(each) or each.is_star or each.find(*_UNFOLDING):
            return None
        names.append(each.alias_or_name)
    return tuple(names) if len({n.lower() for n in names}) == len(names) and names else None


def first_select(root: exp.Expr) -> exp.Select | None:
    """The SELECT that names the columns of the output."""
    while isinstance(root, exp.Subquery | exp.SetOperation):
        root = root.this
    return root if isinstance(root, exp.Select) else None


def is_named(expression: exp.Expr) -> bool:
    """Whether a column has a name that doesn't come from the text of an expression."""
    return bool(expression.alias) or isinstance(expression.unnest(), exp.Alias | exp.Column | exp.Star)


def exposed_selects(root: exp.Expr) -> Iterator[exp.Select]:
    """The SELECTs whose columns may be referred to by name: not those inside an expression, nor the further ones of a
    union."""
    for select in root.find_all(exp.Select):
        child: exp.Expr = select
        parent = select.parent
        while isinstance(parent, exp.Subquery | exp.SetOperation):
            if (
                isinstance(parent, exp.SetOperation)
                and child.arg_key == "expression"
                and not parent.args.get("by_name")
            ):
                break
            child, parent = parent, parent.parent
        if parent is None or isinstance(parent, _PLACES):
            yield select


_PLACES = (exp.From, exp.Join, exp.CTE, exp.Lateral, exp.Pivot, exp.Describe, exp.Summarize, exp.Table)


def _by_name(root: exp.Expr) -> bool:
    while isinstance(root, exp.Subquery | exp.SetOperation):
        if isinstance(root, exp.SetOperation) and root.args.get("by_name"):
            return True
        root = root.this
    return False
