"""One pass over a text, lexeme by lexeme: what is a macro is replaced, all else is kept with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from anabranch.sql.macros.clauses import CLAUSES, JOIN_WORDS, clause_end
from anabranch.sql.macros.lexer import SKIPPED, Lexeme, closing, lex, significant, split
from anabranch.sql.macros.moments import moment_sql, sentinel
from anabranch.sql.macros.scope import Call, Function, Local, Moment, Scope
from anabranch.sql.macros.shapes import OPERATOR_WORDS, OPERATORS, is_whole, plain_value
from anabranch.sql.macros.text import Mapped, join
from anabranch.sql.macros.values import Sql, identifier, is_dotted, literal, to_sql, to_text

if TYPE_CHECKING:
    from anabranch.sql.macros.expand import Expander

_IN_STRING = re.compile(r"@\{\s*(\w+)\s*\}")
_IN_TEMPLATE = re.compile(r"@\{\s*(\w+)\s*\}|@([A-Za-z_]\w*)")
_LAST = re.compile(r"(\w+|\S)\s*\Z")
_BEFORE_ITEM = frozenset(["", ",", "(", "[", "select", "by", "distinct", "all"])
_NAMED = frozenset(["from", "join", "as"])


class Run:
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
        if before in OPERATORS | OPERATOR_WORDS or follows in OPERATORS | OPERATOR_WORDS:
            return f"({text})"
        return text

    # -- variables -------------------------------------------------------------------------------------------------
    def _known(self, lexeme: Lexeme, name: str) -> Local:
        return self._e.known(name, self._scope, self._place(lexeme))

    def _is_list(self, lexeme: Lexeme) -> bool:
        """Whether ``@x (`` is a variable and not a call: where there is such a variable, and no such macro."""
        name = lexeme.lower[1:]
        if (
            self._e.is_built_in(name)
            or isinstance(self._scope.locals.get(name), Function)
            or name in self._e.around.python
        ):
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
                if text == lexeme.lower:  # "@this_model" of a statement stands for itself until the build
                    return text
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


def _name(lexeme: Lexeme) -> str:
    return lexeme.text.strip("@{} \t\r\n")
