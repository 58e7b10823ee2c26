"""Calls a project's Python macros: SQL in, by annotations into values, and what comes back as SQL."""

from __future__ import annotations

import inspect
import traceback
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

from anabranch.macros import SQL
from anabranch.sql.macros.conditions import Undecidable, evaluate
from anabranch.sql.macros.scope import Evaluator, MacroFailed
from anabranch.sql.macros.shapes import listed
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Sql, to_sql, to_text
from anabranch.sql.syntax import dialect as dialect_of


@dataclass(frozen=True, slots=True)
class Adapted:
    """Implements :class:`anabranch.sql.macros.scope.PythonMacro`. ``root``: files are named relative to it."""

    function: Callable[..., object]
    root: Path

    def __call__(self, evaluator: Evaluator, arguments: Sequence[str], named: Mapping[str, str]) -> str:
        """Raises ``MacroFailed``."""
        name, dialect = getattr(self.function, "__name__", "the macro"), evaluator.dialect
        signature = inspect.signature(self.function)
        try:
            bound = signature.bind(evaluator, *arguments, **named)
        except TypeError as error:
            shown = ", ".join(list(signature.parameters)[1:])
            raise MacroFailed(f"it can't be called with these arguments: {error}", f"it is {name}({shown})") from error
        hints = _hints(self.function)
        for parameter, given in list(bound.arguments.items())[1:]:
            hint, kind = hints.get(parameter), signature.parameters[parameter].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                bound.arguments[parameter] = tuple(_converted(g, hint, parameter, dialect) for g in given)
            elif kind is inspect.Parameter.VAR_KEYWORD:
                bound.arguments[parameter] = {k: _converted(g, hint, k, dialect) for k, g in given.items()}
            else:
                bound.arguments[parameter] = _converted(given, hint, parameter, dialect)
        try:
            return _sql(self.function(*bound.args, **bound.kwargs), dialect)
        except MacroFailed:
            raise
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            raise MacroFailed(f"{type(error).__name__}: {error}{self._place(error)}", "mend the macro") from error

    def _place(self, error: BaseException) -> str:
        """Where in ``macros/`` it was raised."""
        frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).is_relative_to(self.root)]
        if not frames:
            return ""
        return f" ({Path(frames[-1].filename).relative_to(self.root)}:{frames[-1].lineno})"


def _hints(function: Callable[..., object]) -> Mapping[str, object]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError):  # names for type checkers only
        return {}


def _converted(text: str, hint: object, name: str, dialect: str) -> object:
    """An argument as its annotation says."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Union or isinstance(hint, types.UnionType):
        if type(None) in inner and text.lower() == "null":
            return None
        rest = [i for i in inner if i is not type(None)]
        for option in rest:
            try:
                return _converted(text, option, name, dialect)
            except MacroFailed:
                if option is rest[-1]:
                    raise
    if hint is SQL:
        return SQL(text)
    if hint is str:
        return to_text(Sql(text))
    if (origin or hint) in (list, tuple, set):
        items = [
            _converted(m.text.strip(), inner[0] if inner else None, name, dialect) for m in listed(Mapped.whole(text))
        ]
        return (origin or hint)(items)  # type: ignore[operator]  # one of the three above
    if hint in (int, float, bool):
        return _plain(text, hint, name)
    try:
        return parse_one(text, dialect=dialect_of(dialect))
    except SqlglotError as error:
        raise MacroFailed(
            f"its argument {name} can't be read as SQL: {text}", "annotate it as SQL to get text"
        ) from error


def _plain(text: str, hint: object, name: str) -> object:
    try:
        value = evaluate(text)
    except Undecidable as error:
        raise MacroFailed(f"its argument {name}: {error}") from error
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is float and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return float(value)
    wants = "a whole number" if hint is int else "a number" if hint is float else "true or false"
    raise MacroFailed(f"its argument {name} is {wants}, not {text}")


def _sql(made: object, dialect: str) -> str:
    """What a macro returns, as SQL."""
    if made is None:
        return ""
    if isinstance(made, str):
        return made
    if isinstance(made, exp.Expr):
        return made.sql(dialect=dialect_of(dialect))
    if isinstance(made, bool | int | float | Decimal):
        return to_sql(made)
    if isinstance(made, Sequence | set | types.GeneratorType):
        return ", ".join(part for part in (_sql(m, dialect) for m in made) if part)
    raise MacroFailed(f"it returns a {type(made).__name__}", "return SQL as text, a list of texts, or a tree")
