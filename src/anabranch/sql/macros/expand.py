"""Expands macros: ``@name``, ``@{name}``, ``@NAME(…)``, from text to text.

Nothing is parsed as SQL here: the text is cut into lexemes, and what isn't a macro stays as it is, with its place in
the file. Comments and plain strings are left alone, but ``'@{name}'`` in a string is replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from anabranch.domain.names import nearest
from anabranch.errors import ModelError
from anabranch.sql.macros.clauses import CLAUSES, JOIN_WORDS, clause_end
from anabranch.sql.macros.conditions import Undecidable, evaluate, truth
from anabranch.sql.macros.lexer import CLOSING, OPENING, SKIPPED, Lexeme, closing, lex, significant, split
from anabranch.sql.macros.moments import MOMENTS, moment_sql, sentinel
from anabranch.sql.macros.scope import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_STEPS,
    RUNTIME,
    Evaluator,
    Function,
    Local,
    MacroFailed,
    Moment,
    Scope,
    Surroundings,
    Use,
)
from anabranch.sql.macros.text import Mapped, join
from anabranch.sql.macros.values import Sql, Value, identifier, is_dotted, literal, to_sql, to_text
from anabranch.sql.syntax import Source
from anabranch.sql.words import word_set

LATER = frozenset({"resolve_template", "not", "from", "sql_literal"})
"""SQLMesh's, and not here."""
_IN_STRING = re.compile(r"@\{\s*(\w+)\s*\}")
_IN_TEMPLATE = re.compile(r"@\{\s*(\w+)\s*\}|@([A-Za-z_]\w*)")
_LAST = re.compile(r"(\w+|\S)\s*\Z")
_OPERATORS = word_set("+ - * / % || = == <> != < <= > >= :: . [ ^ & | ~ ->")
_OPERATOR_WORDS = word_set("and or not in like ilike between is collate")
_MORE_WORDS = word_set("exclude except replace rename as over filter then else")
_HALVES = (_OPERATORS | _OPERATOR_WORDS | _MORE_WORDS) - {"-", "+", "~", "not", "["}
"""What begins a text that goes on with what stands before it, and so stands in no parentheses."""
_BEFORE_ITEM = frozenset(["", ",", "(", "[", "select", "by", "distinct", "all"])
_NAMED = frozenset(["from", "join", "as"])


@dataclass(frozen=True, slots=True)
class Call:
    """``@NAME(arguments)``: ``place`` is in the file."""

    name: str
    args: list[Mapped]
    named: dict[str, Mapped]
    place: tuple[int, int]
    scope: Scope
    depth: int


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
        made = _Run(self, text, scope, depth).made()
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


class _Run:
    """One pass over a text."""

    def __init__(self, expander: Expander, text: Mapped, scope: Scope, depth: int) -> None:
        self._e, self._text, self._scope, self._depth = expander, text, scope, depth
        self._lexemes = lex(text.text)
        self._out: list[Mapped] = []

    def made(self) -> Mapped:
        at = 0
        while at < len(self._lexemes):
            at = self._step(at)
        return join(self._out)

    def _step(self, at: int) -> int:
        """Handles the lexeme at ``at``; the index of the next."""
        lexeme = self._lexemes[at]
        if (end := self._embedded(at)) > at:
            return end
        match lexeme.kind:
            case "macro":
                following = self._lexemes[at + 1] if at + 1 < len(self._lexemes) else None
                if following is not None and following.is_sign("(") and not self._is_list(lexeme):
                    return self._call(at)
                self._put(self._variable(at), lexeme)
            case "brace":
                value = self._known(lexeme, _name(lexeme))
                self._put(identifier(self._as_text(value, lexeme), alone=True), lexeme)
            case "template":
                self._put(literal(self._filled(lexeme.text[2:-1].replace("''", "'"), lexeme, _IN_TEMPLATE)), lexeme)
            case "string" if "@{" in lexeme.text:
                self._put(literal(self._filled(lexeme.text[1:-1].replace("''", "'"), lexeme, _IN_STRING)), lexeme)
            case "escaped" if "@{" in lexeme.text:
                self._put(self._escaped(lexeme), lexeme)
            case "quoted" if "@" in lexeme.text and lexeme.text[0] == '"':
                made = self._filled(lexeme.text[1:-1].replace('""', '"'), lexeme, _IN_TEMPLATE)
                self._put('"' + made.replace('"', '""') + '"', lexeme)
            case "word" if lexeme.lower in self._scope.bare and not self._is_qualified(at):
                self._put(self._fitting(to_sql(plain_value(self._scope.locals[lexeme.lower])), at, at + 1), lexeme)
            case "sign" if lexeme.text == "<@":
                self._check_operator(at)
                self._keep(lexeme)
            case _:
                self._keep(lexeme)
        return at + 1

    # -- output ----------------------------------------------------------------------------------------------------
    def _keep(self, lexeme: Lexeme) -> None:
        self._out.append(self._text.slice(lexeme.start, lexeme.end))

    def _put(self, text: str, first: Lexeme, last: Lexeme | None = None) -> None:
        self._out.append(Mapped.at(text, self._place(first, last)))

    def _place(self, first: Lexeme, last: Lexeme | None = None) -> tuple[int, int]:
        return self._text.place(first.start, (last or first).end)

    # -- around ----------------------------------------------------------------------------------------------------
    def _before(self) -> str:
        """The last word or sign of what was put out, in lower case."""
        for part in reversed(self._out):
            for lexeme in reversed(lex(part.text)):
                if lexeme.kind not in SKIPPED:
                    found = _LAST.search(lexeme.lower)
                    return lexeme.lower if lexeme.kind in ("sign", "word") or found is None else found[1]
        return ""

    def _after(self, at: int) -> Lexeme | None:
        """The next lexeme from ``at`` on that is neither space nor comment."""
        while at < len(self._lexemes):
            if self._lexemes[at].kind not in SKIPPED:
                return self._lexemes[at]
            at += 1
        return None

    def _is_qualified(self, at: int) -> bool:
        """Whether a bare word belongs to a name of several parts, or is called."""
        before = self._lexemes[at - 1] if at else None
        after = self._lexemes[at + 1] if at + 1 < len(self._lexemes) else None
        return any(
            x is not None and x.kind == "sign" and x.text in signs for x, signs in ((before, "."), (after, ".("))
        )

    def _touches_dot(self, at: int) -> bool:
        before = self._lexemes[at - 1] if at else None
        after = self._lexemes[at + 1] if at + 1 < len(self._lexemes) else None
        return any(x is not None and x.is_sign(".") for x in (before, after))

    def _fitting(self, text: str, begin: int, end: int) -> str:
        """SQL in parentheses where what stands around it would take a part of it."""
        if is_whole(text):
            return text
        before, after = self._before(), self._after(end)
        follows = after.lower if after is not None and after.kind in ("sign", "word") else ""
        if before in _OPERATORS | _OPERATOR_WORDS or follows in _OPERATORS | _OPERATOR_WORDS:
            return f"({text})"
        return text

    # -- variables -------------------------------------------------------------------------------------------------
    def _known(self, lexeme: Lexeme, name: str) -> Local:
        return self._e.known(name, self._scope, self._place(lexeme))

    def _is_list(self, lexeme: Lexeme) -> bool:
        """Whether ``@x (`` is a variable and not a call: where there is such a variable, and no such macro."""
        name = lexeme.lower[1:]
        if is_built_in(name) or isinstance(self._scope.locals.get(name), Function) or name in self._e.around.python:
            return False
        return self._e.lookup(name, self._scope)[0]

    def _variable(self, at: int) -> str:
        lexeme = self._lexemes[at]
        value = self._known(lexeme, lexeme.text[1:])
        if isinstance(value, Moment):
            return moment_sql(value.name)
        if isinstance(value, Function):
            hint = f"call it: {lexeme.text}(…)"
            self._e.fail(f"{lexeme.text} is a function", self._place(lexeme), hint)
        if isinstance(value, str):
            text, before = to_text(value), self._before()
            if self._touches_dot(at):
                return identifier(text, alone=True)
            if not isinstance(value, Sql):
                if before == "as":
                    return identifier(text)
                if (before in _NAMED or (self._e.in_header and before in ("name", "kind"))) and is_dotted(text):
                    return text
        return self._fitting(to_sql(value), at, at + 1)

    def _as_text(self, value: Local, lexeme: Lexeme, *, in_string: bool = False) -> str:
        if isinstance(value, Function):
            self._e.fail(f"{lexeme.text} is a function, no part of a name", self._place(lexeme))
        if isinstance(value, Moment):
            if not in_string:
                message = f"@{value.name} isn't known before the build, and can't be part of a name"
                self._e.fail(message, self._place(lexeme), f"write @{value.name}, or '@{{{value.name}}}' in a string")
            return sentinel(value.name)
        return to_text(value)

    def _filled(self, text: str, lexeme: Lexeme, pattern: re.Pattern[str]) -> str:
        """The inside of a string or of a quoted name."""

        def put_in(found: re.Match[str]) -> str:
            name = found[1]
            if name is None:
                name = found[2]
                if not self._e.lookup(name, self._scope)[0]:
                    return found[0]
            return self._as_text(self._known(lexeme, name), lexeme, in_string=lexeme.kind != "quoted")

        return pattern.sub(put_in, text)

    def _escaped(self, lexeme: Lexeme) -> str:
        def put_in(found: re.Match[str]) -> str:
            text = self._as_text(self._known(lexeme, found[1]), lexeme, in_string=True)
            return text.replace("\\", "\\\\").replace("'", "''")

        return _IN_STRING.sub(put_in, lexeme.text)

    def _embedded(self, at: int) -> int:
        """Puts out a name with variables in it (``favorite_@number``, ``@{customer}_orders``); the index just behind
        it, or ``at`` where there is none."""
        end, variables = at, 0
        while end < len(self._lexemes):
            lexeme = self._lexemes[end]
            if lexeme.kind == "brace" or (lexeme.kind == "macro" and end > at):
                variables += 1
            elif lexeme.kind != "word" and not (lexeme.kind == "number" and end > at and lexeme.text.isdigit()):
                break
            end += 1
        if not variables or end - at < 2:
            return at
        run = self._lexemes[at:end]
        parts = [x.text if x.kind in ("word", "number") else self._as_text(self._known(x, _name(x)), x) for x in run]
        self._put(identifier("".join(parts)), run[0], run[-1])
        return end

    def _check_operator(self, at: int) -> None:
        """``a <@start_ds`` is an operator to the engine, and was hardly meant."""
        lexeme = self._lexemes[at]
        following = self._lexemes[at + 1] if at + 1 < len(self._lexemes) else None
        if following is not None and following.kind == "word" and self._e.lookup(following.text, self._scope)[0]:
            hint = f"put a space between: < @{following.text}"
            self._e.fail(f"<@ before {following.text} is an operator", self._place(lexeme, following), hint)

    # -- calls -----------------------------------------------------------------------------------------------------
    def _call(self, at: int) -> int:
        name = self._lexemes[at]
        close = closing(self._lexemes, at + 1)
        if close is None:
            self._e.fail(f"the parenthesis of {name.text} isn't closed", self._place(name), "close it with )")
        args: list[Mapped] = []
        named: dict[str, Mapped] = {}
        for part in split(self._lexemes[at + 2 : close]):
            words = significant(part)
            if len(words) > 1 and words[0].kind == "word" and words[1].text in (":=", "=>"):
                named[words[0].lower] = self._text.slice(words[1].end, part[-1].end)
            elif part:
                args.append(self._text.slice(part[0].start, part[-1].end))
            else:
                self._e.fail(f"an argument of {name.text} is missing", self._place(name, self._lexemes[close]))
        place = self._place(name, self._lexemes[close])
        call = Call(name.text[1:], args, named, place, self._scope, self._depth)
        if call.name.lower() in CLAUSES:
            return self._clause(call, close + 1)
        made = self._e.call(call)
        if not made.text.strip():
            return self._without(close + 1)
        if len(made.text) > 1 and call.name.lower() not in ("sql",):
            fitting = self._fitting(made.text, at, close + 1)
            if fitting != made.text:
                made = join([Mapped.at("(", place), made, Mapped.at(")", place)])
        self._out.append(made)
        return close + 1

    def _clause(self, call: Call, following: int) -> int:
        """``@WHERE(condition) …``: the clause's word, or the clause is left out."""
        if len(call.args) != 1 or call.named:
            self._e.fail(f"@{call.name} takes one condition", call.place, f"write @{call.name}(condition) …")
        if self._e.holds(call.args[0], self._scope, self._depth + 1):
            self._out.append(Mapped.at(CLAUSES[call.name.lower()], call.place))
            return following
        if call.name.lower() == "join":
            while self._out and (not self._out[-1].text.strip() or self._out[-1].text.lower() in JOIN_WORDS):
                self._out.pop()
            self._out.append(Mapped.at(" ", call.place))
        return clause_end(self._lexemes, following, call.name.lower())

    def _without(self, following: int) -> int:
        """An item of a list that came out empty takes its comma with it."""
        before, after = self._before(), self._after(following)
        if before not in _BEFORE_ITEM:
            return following
        if after is not None and after.is_sign(","):
            if before == "":
                return following
            return next(i for i in range(following, len(self._lexemes)) if self._lexemes[i] is after) + 1
        if before == ",":
            while self._out and self._out[-1].text.strip() != ",":
                last = self._out[-1].text
                if not last.strip() or last.lstrip().startswith(("--", "/*")):
                    self._out.pop()
                    continue
                self._out[-1] = self._out[-1].slice(0, last.rindex(","))
                return following
            if self._out:
                self._out.pop()
            self._out.append(Mapped.at("\n", self._text.place(self._lexemes[following - 1].start)))
        return following


def is_built_in(name: str) -> bool:
    """Whether a macro, by its name in lower case, is one of SQLMesh's."""
    from anabranch.sql.macros.builtins import BUILTINS

    return name in BUILTINS or name in CLAUSES or name in LATER


def _name(lexeme: Lexeme) -> str:
    return lexeme.text.strip("@{} \t\r\n")


def plain_value(value: Local) -> Value:
    """As conditions and Python macros see it."""
    if isinstance(value, Moment):
        return Sql(moment_sql(value.name))
    return Sql(value.body.text) if isinstance(value, Function) else value


def as_value(text: str) -> Value:
    """A text of SQL as a value: of a literal, or of a list of them; else it stays SQL."""
    text = text.strip()
    found = significant(lex(text))
    if len(found) == 1 and (found[0].kind in ("string", "number") or found[0].lower in ("true", "false", "null")):
        try:
            return evaluate(text)
        except Undecidable:
            return Sql(text)
    if found and found[0].text in ("[", "(") and closing(found, 0) == len(found) - 1:
        members = [as_value(text[p[0].start : p[-1].end]) for p in split(found[1:-1]) if p]
        if found[0].text == "[" or len(members) > 1:
            return members
    return Sql(text)


def as_function(text: Mapped) -> Function | None:
    """``x -> body``, ``(x, y) -> body``."""
    found = significant(lex(text.text))
    arrow = next((i for i, x in enumerate(found) if x.is_sign("->")), None)
    if arrow is None:
        return None
    head = found[:arrow]
    if len(head) > 1 and head[0].is_sign("(") and head[-1].is_sign(")"):
        head = head[1:-1]
    params = head[::2]
    if not params or any(p.kind != "word" for p in params) or any(not c.is_sign(",") for c in head[1::2]):
        return None
    return Function(tuple(p.lower for p in params), text.slice(found[arrow].end, len(text.text)).strip())


def listed(text: Mapped) -> list[Mapped]:
    """The members of ``[a, b]``, ``(a, b)`` or ``a, b``; one alone is a list of one, and NULL is an empty list."""
    found = significant(lex(text.text))
    if found and found[0].lower in ("array", "list") and len(found) > 1 and found[1].is_sign("["):
        found = found[1:]
    if found and found[0].text in ("[", "(") and closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    elif len(found) == 1 and found[0].lower == "null":
        return []
    return [text.slice(p[0].start, p[-1].end) for p in split(found) if p]


def is_whole(text: str) -> bool:
    """Whether nothing around it can take a part of it (a literal, a name, a call, something in parentheses), or it
    can't stand in parentheses at all."""
    found = significant(lex(text))
    if len(found) < 2:
        return True
    first, last = found[0].lower, found[-1].lower
    if (first == "case" and last == "end") or first in _HALVES or last in _HALVES:
        return True
    if first in OPENING:
        return closing(found, 0) == len(found) - 1
    at = 0
    while at + 2 < len(found) and found[at + 1].is_sign("."):
        at += 2
    if at == len(found) - 1:
        return True
    if found[at].kind in ("word", "quoted") and found[at + 1].is_sign("("):
        return closing(found, at + 1) == len(found) - 1
    return len(split(found)) > 1 or any(x.lower == "as" for x in _outer(found))


def _outer(found: Sequence[Lexeme]) -> list[Lexeme]:
    """What stands in no parentheses."""
    depth = 0
    outer: list[Lexeme] = []
    for lexeme in found:
        if lexeme.kind == "sign":
            depth += (lexeme.text in OPENING) - (lexeme.text in CLOSING)
        if not depth:
            outer.append(lexeme)
    return outer
