"""SQLMesh's macros that decide and repeat: ``@IF``, ``@EACH``, ``@REDUCE``, ``@FILTER``, ``@EVAL``, ``@VAR`` …

Those that write SQL of their own are in :mod:`anabranch.sql.macros.library`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from anabranch.sql.macros import library
from anabranch.sql.macros.conditions import Undecidable, evaluate
from anabranch.sql.macros.expand import Expander
from anabranch.sql.macros.scope import Call
from anabranch.sql.macros.shapes import as_value, plain_value
from anabranch.sql.macros.text import Mapped, join
from anabranch.sql.macros.values import Value, to_sql

Builtin = Callable[[Expander, Call], Mapped]


def _if(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 2, 3, "@IF(condition, then, else)")
    if e.holds(call.args[0], call.scope, call.depth + 1):
        return e.expand(call.args[1], call.scope, call.depth + 1).strip()
    if len(call.args) < 3:
        return Mapped([])
    return e.expand(call.args[2], call.scope, call.depth + 1).strip()


def _each(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 2, None, "@EACH(list, x -> expression)")
    function = e.function(call.args[-1], call.place)
    items = e.items(call.args[:-1], call.scope, call.depth + 1)
    made = [e.apply(function, [item], call) for item in items]
    return join([m for m in made if m.text.strip()], ", ")


def _reduce(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 2, None, "@REDUCE(list, (x, y) -> expression)")
    function = e.function(call.args[-1], call.place)
    if len(function.params) != 2:
        e.fail("@REDUCE needs a function of two", call.place, "write it as (x, y) -> expression")
    items = e.items(call.args[:-1], call.scope, call.depth + 1)
    if not items:
        return Mapped([])
    return reduce(lambda done, item: e.apply(function, [done, item], call), items)


def _filter(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 2, None, "@FILTER(list, x -> condition)")
    function = e.function(call.args[-1], call.place)
    items = e.items(call.args[:-1], call.scope, call.depth + 1)
    kept = [i for i in items if e.holds(e.apply(function, [i], call), call.scope, call.depth + 1)]
    return join(kept, ", ")


def _eval(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 1, 1, "@EVAL(expression)")
    return Mapped.at(to_sql(e.value(call.args[0], call.scope, call.depth + 1)), call.place)


def _sql(e: Expander, call: Call) -> Mapped:
    _takes(e, call, 1, 1, "@SQL('text')")
    made = e.expand(call.args[0], call.scope, call.depth + 1).strip()
    value: Value = as_value(made.text)
    if not isinstance(value, str):
        try:
            value = evaluate(made.text)
        except Undecidable as error:
            e.fail(str(error), call.place)
    text = value if isinstance(value, str) else to_sql(value)
    return e.expand(Mapped.at(str(text), call.place), call.scope, call.depth + 1)


def _var(e: Expander, call: Call) -> Mapped:
    """``@VAR`` and ``@BLUEPRINT_VAR``: a variable by the text of its name."""
    _takes(e, call, 1, 2, f"@{call.name}('name', default)")
    name = e.value(call.args[0], call.scope, call.depth + 1)
    if not isinstance(name, str):
        e.fail(f"@{call.name} takes a variable's name as a text", call.place, f"write @{call.name}('name')")
    if call.name.lower() == "blueprint_var":
        found, value = name.lower() in e.own, e.own.get(name.lower())
    else:
        found, value = e.lookup(name, call.scope)
    if found:
        return Mapped.at(to_sql(plain_value(value)), call.place)
    return e.expand(call.args[1], call.scope, call.depth + 1).strip() if len(call.args) > 1 else _null(call)


def _and(e: Expander, call: Call) -> Mapped:
    return _combined(e, call, "AND") or Mapped.at("TRUE", call.place)


def _or(e: Expander, call: Call) -> Mapped:
    made = _combined(e, call, "OR")
    if made is None:
        e.fail("nothing is left of @OR", call.place, "give it a condition that always stays")
    return made


def _combined(e: Expander, call: Call, word: str) -> Mapped | None:
    """The conditions that aren't empty, nor NULL."""
    made = [e.expand(a, call.scope, call.depth + 1).strip() for a in call.args]
    kept = [m for m in made if m.text.strip() and m.text.strip().lower() != "null"]
    if len(kept) < 2:
        return kept[0] if kept else None
    opening, closing = Mapped.at("(", call.place), Mapped.at(")", call.place)
    return join([opening, join([join([opening, k, closing]) for k in kept], f" {word} "), closing])


def _def(e: Expander, call: Call) -> Mapped:
    e.fail("@DEF is a statement of its own", call.place, "write @DEF(name, value); before the query")


def _null(call: Call) -> Mapped:
    return Mapped.at("NULL", call.place)


def _takes(e: Expander, call: Call, least: int, most: int | None, form: str) -> None:
    count = len(call.args)
    if count < least or (most is not None and count > most) or call.named:
        e.fail(f"@{call.name} can't be called with these arguments", call.place, f"write {form}")


def known() -> Sequence[str]:
    """The names of all built-in macros."""
    return sorted(BUILTINS)


BUILTINS: Mapping[str, Builtin] = {
    "if": _if,
    "each": _each,
    "reduce": _reduce,
    "filter": _filter,
    "eval": _eval,
    "sql": _sql,
    "var": _var,
    "blueprint_var": _var,
    "and": _and,
    "or": _or,
    "def": _def,
    **library.LIBRARY,
}
