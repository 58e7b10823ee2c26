"""For a project's own macros: functions in ``macros/*.py`` that models call as ``@name(…)``.

::

    from anabranch.macros import SQL, macro

    @macro()
    def cents(evaluator, column: SQL, digits: int = 2):
        return f"round({column} / 100, {digits})"

A macro gets its arguments as its annotations say: ``str``, ``int``, ``float``, ``bool`` and ``list[…]`` are plain
values, :class:`SQL` is the argument's SQL as text, a class of sqlglot's ``exp`` (or no annotation) is the argument's
tree. It returns SQL as text, a tree, a list of these, or None for nothing. It should depend on nothing but its
arguments, the evaluator and what stands in ``macros/``: what it returns is kept as long as these stay the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

__all__ = ["SQL", "MacroEvaluator", "macro"]

Function = TypeVar("Function", bound=Callable[..., object])
MARK = "__anabranch_macro__"
"""The attribute that tells a macro's name."""


class SQL(str):
    """Annotates an argument that is to be passed as SQL text."""

    __slots__ = ()


class MacroEvaluator(Protocol):
    """What a macro is given first."""

    dialect: str
    locals: Mapping[str, object]
    """What ``@DEF`` and functions around the call have defined."""

    def var(self, name: str, default: object = None) -> object:
        """The value of a variable."""
        ...

    def blueprint_var(self, name: str, default: object = None) -> object:
        """The same."""
        ...

    def columns_to_types(self, name: str) -> Sequence[str] | None:
        """The names of an asset's columns, where they are known."""
        ...

    @property
    def this_env(self) -> object:
        """The environment's name."""
        ...


def macro(name: str | None = None) -> Callable[[Function], Function]:
    """Marks a function as a macro, called ``name`` or like the function; case doesn't matter."""

    def mark(function: Function) -> Function:
        setattr(function, MARK, (name or str(getattr(function, "__name__", ""))).lower())
        return function

    return mark
