"""What changed between two versions of a query, in a few words for people. Nothing is decided by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp

from anabranch.errors import AnabranchError
from anabranch.sql.outputs import is_named
from anabranch.sql.syntax import single

CODE_CHANGED = "code changed"
_SHOWN = 3
"""So many names, and so many phrases, are told; the rest is counted."""
_CLAUSES: Sequence[tuple[str, Sequence[str]]] = (
    ("source changed", ["from_"]),
    ("join changed", ["joins", "laterals"]),
    ("filter changed", ["where", "having", "qualify"]),
    ("grouping changed", ["group"]),
    ("window changed", ["windows"]),
    ("distinct changed", ["distinct"]),
    ("order changed", ["order"]),
    ("limit changed", ["limit", "offset", "sample"]),
)


def what_changed(before: str, after: str, dialect: str) -> str:
    """``column late_share is new``, ``columns a, b changed; filter changed``, ``code changed``."""
    try:
        old, new = single(before, dialect).root, single(after, dialect).root
        phrases = _compare(old, new)
    except (AnabranchError, RecursionError):
        return CODE_CHANGED
    if not phrases:
        return CODE_CHANGED if _plain(old) != _plain(new) else "wording changed"
    more = len(phrases) - _SHOWN
    return "; ".join(phrases[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _compare(old: exp.Expr, new: exp.Expr) -> list[str]:
    old, new = old.unnest(), new.unnest()
    if isinstance(old, exp.SetOperation) and type(old) is type(new):
        return _expressions(old, new) + _compare(old.this, new.this) + _compare(old.expression, new.expression)
    if not isinstance(old, exp.Select) or not isinstance(new, exp.Select):
        return [CODE_CHANGED] if _plain(old) != _plain(new) else []
    phrases = _columns(old, new)
    phrases += _expressions(old, new)
    for phrase, keys in _CLAUSES:
        if [_plain(old.args.get(k)) for k in keys] == [_plain(new.args.get(k)) for k in keys]:
            continue
        phrases += _derived(old, new) if phrase == "source changed" else [phrase]
    return list(dict.fromkeys(phrases))


def _columns(old: exp.Select, new: exp.Select) -> list[str]:
    was, now = _by_name(old), _by_name(new)
    phrases: list[str] = []
    if ("*" in was) != ("*" in now):
        return ["the selected columns changed"]
    if added := [n for n in now if n not in was]:
        phrases.append(_name(added, "is new", "are new"))
    if gone := [n for n in was if n not in now]:
        phrases.append(_name(gone, "is gone", "are gone"))
    if changed := [n for n in now if n in was and _plain(was[n]) != _plain(now[n])]:
        phrases.append(_name(changed, "changed", "changed"))
    if not phrases and list(was) != list(now):
        phrases.append("the order of columns changed")
    return phrases


def _by_name(select: exp.Select) -> Mapping[str, exp.Expr]:
    found: dict[str, exp.Expr] = {}
    for i, each in enumerate(select.expressions, 1):
        name = each.alias_or_name if is_named(each) and not each.is_star else "*" if each.is_star else str(i)
        found[name.lower()] = each
    return found


def _name(names: Sequence[str], one: str, several: str) -> str:
    if len(names) == 1:
        return f"column {names[0]} {one}"
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"columns {shown} {several}"


def _expressions(old: exp.Expr, new: exp.Expr) -> list[str]:
    """What changed in common table expressions."""
    was, now = _ctes(old), _ctes(new)
    phrases = [f"{n} is new" for n in now if n not in was] + [f"{n} is gone" for n in was if n not in now]
    for name in now:
        if name in was:
            phrases += _inside(name, _compare(was[name].this, now[name].this))
    return phrases


def _derived(old: exp.Select, new: exp.Select) -> list[str]:
    """What changed in a subquery that stands after FROM."""
    was, now = (s.args["from_"].this if s.args.get("from_") else None for s in (old, new))
    if isinstance(was, exp.Subquery) and isinstance(now, exp.Subquery) and was.alias == now.alias:
        return _inside(now.alias or "the subquery", _compare(was.this, now.this))
    return ["source changed"]


def _inside(name: str, phrases: list[str]) -> list[str]:
    return [p if " in " in p else f"{p} in {name}" for p in phrases]


def _ctes(query: exp.Expr) -> Mapping[str, exp.CTE]:
    found = query.args.get("with_")
    return {c.alias.lower(): c for c in found.expressions} if found is not None else {}


def _plain(value: object) -> object:
    """A tree as a value in which spelling doesn't count."""
    if isinstance(value, exp.Paren):
        return _plain(value.this)
    if isinstance(value, exp.Identifier):
        return value.name.lower()
    if isinstance(value, exp.Ordered | exp.Join):
        args = {k: v for k, v in value.args.items() if str(v).upper() not in ("INNER", "OUTER") and v is not False}
        return (type(value).__name__, *((k, _plain(v)) for k, v in sorted(args.items()) if v))
    if isinstance(value, exp.Expr):
        return (type(value).__name__, *((k, _plain(v)) for k, v in sorted(value.args.items()) if v not in (None, [])))
    return tuple(_plain(v) for v in value) if isinstance(value, list) else value
