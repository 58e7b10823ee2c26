"""Expands macros: ``@name``, ``@{name}``, ``@NAME(…)``, from text to text.

Nothing is parsed as SQL here: the text is cut into lexemes, and what isn't a macro stays as it is, with its place in
the file. Comments and plain strings are left alone, but ``'@{name}'`` in a string is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from anabranch.domain.names import nearest
from anabranch.errors import ModelError
from anabranch.sql.macros.clauses import CLAUSES
from anabranch.sql.macros.conditions import Undecidable, evaluate, truth
from anabranch.sql.macros.moments import MOMENTS
from anabranch.sql.macros.run import Run
from anabranch.sql.macros.scope import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_STEPS,
    RUNTIME,
    Call,
    Evaluator,
    Function,
    Local,
    MacroFailed,
    Moment,
    Scope,
    Surroundings,
    Use,
)
from anabranch.sql.macros.shapes import as_function, as_value, listed, plain_value
from anabranch.sql.macros.text import Mapped
from anabranch.sql.macros.values import Value
from anabranch.sql.syntax import Source

LATER = frozenset({"resolve_template", "not", "from", "sql_literal"})
"""SQLMesh's, and not here."""


@dataclass(slots=True)
class Expander:
    """For one model. ``own``: the variables of its blueprint; ``fixed``: ``this_model`` and ``model_kind_name``;
    ``used``: what the result depends on, besides the file."""

    source: Source
    around: Surroundings
    own: Mapping[str, Local] = field(default_factory=dict)
    fixed: dict[str, Value] = field(default_factory=dict)
    used: set[Use] = field(default_factory=set)
    in_header: bool = False
    _steps: int = 0

    # -- errors ----------------------------------------------------------------------------------------------------
    def fail(self, message: str, place: tuple[int, int], hint: str | None = None) -> NoReturn:
        """Raises ``ModelError`` about a place in the file."""
        raise self.source.error(ModelError, message, *place, hint)

    # -- names -----------------------------------------------------------------------------------------------------
    def lookup(self, name: str, scope: Scope) -> tuple[bool, Local]:
        """The value of a variable; False where there is none."""
        name = name.lower()
        if name in scope.locals:
            return True, scope.locals[name]
        if name in self.own:
            return True, self.own[name]
        if name in MOMENTS:
            return True, Moment(name)
        if name in self.fixed:
            return True, self.fixed[name]
        if name == "this_env":
            self.used.add(("env", name))
            return True, self.around.environment
        if name == "runtime_stage":
            return True, "evaluating"
        if name == "gateway":
            return True, self.around.gateway
        self.used.add(("var", name))
        found = name in self.around.variables
        return found, self.around.variables.get(name)

    def known(self, name: str, scope: Scope, place: tuple[int, int]) -> Local:
        """The value of a variable that must be there."""
        found, value = self.lookup(name, scope)
        if not found:
            self.fail(f"there is no variable @{name}", place, self._suggest(name, scope))
        if isinstance(value, Moment) and self.in_header:
            self.fail(f"@{name} isn't known in the header", place, "it is of the query, which is built by intervals")
        return value

    def _suggest(self, name: str, scope: Scope) -> str:
        near = nearest(name.lower(), [*scope.locals, *self.own, *self.around.variables, *MOMENTS, *RUNTIME])
        if name.lower() in self.macros():
            return f"a macro is called with parentheses: @{name}(…)"
        if near:
            return f"did you mean @{near}?"
        return f"set it under variables: in anabranch.yaml; for the operator, write abs({name})"

    def macros(self) -> list[str]:
        """The names of all macros."""
        from anabranch.sql.macros.builtins import BUILTINS

        return [*BUILTINS, *CLAUSES, *self.around.python]

    def is_built_in(self, name: str) -> bool:
        """Whether a macro, by its name in lower case, is one of SQLMesh's."""
        from anabranch.sql.macros.builtins import BUILTINS

        return name in BUILTINS or name in CLAUSES or name in LATER

    # -- text ------------------------------------------------------------------------------------------------------
    def expand(self, text: Mapped, scope: Scope, depth: int = 0) -> Mapped:
        """``text`` without macros.

        Raises:
            ModelError: one is unknown, is called wrongly or fails, at its place in the file.
        """
        if depth > MAX_DEPTH:
            self.fail(f"macros are nested deeper than {MAX_DEPTH}", text.place(0), "does one expand to itself?")
        if "@" not in text.text and not scope.bare:
            return text
        self._steps += 1
        if self._steps > MAX_STEPS:
            self.fail(f"this takes more than {MAX_STEPS:,} expansions", text.place(0), "do with less")
        made = Run(self, text, scope, depth).made()
        if len(made.text) > MAX_LENGTH:
            self.fail(f"this expands to more than {MAX_LENGTH:,} characters", text.place(0), "do with less")
        return made

    def value(self, text: Mapped, scope: Scope, depth: int) -> Value:
        """The value of an argument. Raises ``ModelError``."""
        try:
            return evaluate(self.expand(text, scope, depth).text)
        except Undecidable as error:
            self.fail(str(error), text.strip().place(0, len(text.strip().text)), None)

    def holds(self, text: Mapped, scope: Scope, depth: int) -> bool:
        """Whether a condition holds. Raises ``ModelError``."""
        value = self.value(text, scope, depth)
        try:
            return truth(value)
        except Undecidable as error:
            self.fail(str(error), text.strip().place(0, len(text.strip().text)), "write a condition")

    def items(self, texts: Sequence[Mapped], scope: Scope, depth: int) -> list[Mapped]:
        """The members of a list that is one argument, or several."""
        found: list[Mapped] = []
        for text in texts:
            made = self.expand(text, scope, depth).strip()
            found += listed(made) if len(texts) == 1 else [made]
        return [f for f in found if f.text.strip()]

    def apply(self, function: Function, arguments: Sequence[Mapped], call: Call) -> Mapped:
        """The body of a function, for arguments that are expanded already."""
        if len(function.params) > 1 and len(arguments) == 1:
            arguments = listed(arguments[0])
        if len(arguments) != len(function.params):
            wants = f"{len(function.params)} argument{'s' if len(function.params) != 1 else ''}"
            self.fail(f"the function takes {wants}, not {len(arguments)}", call.place)
        given = {p: as_value(a.text) for p, a in zip(function.params, arguments, strict=True)}
        return self.expand(function.body, call.scope.having(given), call.depth + 1).strip()

    def function(self, text: Mapped, place: tuple[int, int]) -> Function:
        """``x -> body`` as a function. Raises ``ModelError``."""
        found = as_function(text)
        if found is None:
            self.fail("a function is missing here", place, "write it as x -> expression")
        return found

    # -- calls -----------------------------------------------------------------------------------------------------
    def call(self, call: Call) -> Mapped:
        """What a macro expands to. Raises ``ModelError``."""
        from anabranch.sql.macros.builtins import BUILTINS

        name = call.name.lower()
        local = call.scope.locals.get(name)
        if isinstance(local, Function):
            arguments = [self.expand(a, call.scope, call.depth + 1).strip() for a in call.args]
            return self.apply(local, arguments, call)
        if name in BUILTINS:
            return BUILTINS[name](self, call)
        if name not in self.around.python:
            self._unknown(name, call)
        return self._python(name, call)

    def _unknown(self, name: str, call: Call) -> NoReturn:
        if name in LATER:
            self.fail(f"SQLMesh's macro @{call.name} isn't supported yet", call.place, "write plain SQL")
        near = nearest(name, [*self.macros(), *(n for n, v in call.scope.locals.items() if isinstance(v, Function))])
        hint = (
            f"did you mean @{near}?" if near else f"define it in macros/; for the operator, write abs({call.name}(…))"
        )
        self.fail(f"there is no macro @{call.name}", call.place, hint)

    def _python(self, name: str, call: Call) -> Mapped:
        self.used.add(("macro", name))

        def look(variable: str) -> tuple[bool, Value]:
            found, value = self.lookup(variable, call.scope)
            return found, plain_value(value)

        values: dict[str, object] = {n: plain_value(v) for n, v in call.scope.locals.items()}
        evaluator = Evaluator(look, self.columns, self.around.dialect, values)
        arguments = [self.expand(a, call.scope, call.depth + 1).strip().text for a in call.args]
        named = {n: self.expand(a, call.scope, call.depth + 1).strip().text for n, a in call.named.items()}
        try:
            made = self.around.python[name](evaluator, arguments, named)
        except MacroFailed as error:
            self.fail(f"@{call.name}: {error}", call.place, error.hint)
        return self.expand(Mapped.at(made, call.place), call.scope, call.depth + 1)

    def columns(self, relation: str) -> Sequence[str] | None:
        """The columns of an asset, where they are known; in lower case, without quotes."""
        name = relation.replace('"', "").replace(" ", "").lower()
        name = name if "." in name else f"{self.around.default_schema}.{name}"
        self.used.add(("columns", name))
        return self.around.columns(name)
