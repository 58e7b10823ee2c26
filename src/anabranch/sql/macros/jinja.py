"""Jinja in queries: ``JINJA_QUERY_BEGIN; … JINJA_END;``, and whatever else holds ``{{ … }}`` or ``{% … %}``.

Templates run in Jinja's sandbox, and what isn't defined is an error. The place of each line is kept by rendering twice:
once as it is, and once with marks at the beginning of every line of the template. Where the marks make a difference (a
template may measure or compare its own text), all that it makes stands at its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes
from jinja2.sandbox import SandboxedEnvironment

from anabranch.domain.names import nearest
from anabranch.sql.macros.moments import MOMENTS, moment_sql, sentinel
from anabranch.sql.macros.text import Mapped, Piece
from anabranch.sql.macros.values import Value
from anabranch.sql.words import word_set

_PLACE = "\x03"
"""Marks both ends of an offset, in the second rendering. Refused in users' text."""
_MARK = re.compile(rf"{_PLACE}(\d+){_PLACE}")
_UNDEFINED = re.compile(r"'(\w+)' is undefined")
_NUMBERS = ("epoch", "millis", "hour")
_FRAME = "<template>"


class TemplateFailed(ValueError):
    """A template can't be rendered. ``line`` counts from 1 in the template; None where it is in another file."""

    def __init__(self, message: str, line: int | None, hint: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.hint = hint


class _Moment:
    """Can be put out, and nothing else: its value isn't known yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        is_number = self._name.rpartition("_")[2] in _NUMBERS
        return moment_sql(self._name) if is_number else sentinel(self._name)

    def _refuse(self, *_: object) -> NoReturn:
        message = f"{self._name} isn't known before the build: it can be put into the query, and nothing else"
        raise TemplateFailed(message, None, f"write '{{{{ {self._name} }}}}'")


_REFUSED = word_set("eq ne lt le gt ge bool len iter int float getitem hash contains add radd sub mod")
for _name in _REFUSED:
    setattr(_Moment, f"__{_name}__", _Moment._refuse)


def render(
    text: str,
    look: Callable[[str], tuple[bool, Value]],
    macros: Mapping[str, str],
    on_macro: Callable[[], None] = lambda: None,
) -> Mapped:
    """What a template makes, whose places are offsets in ``text``. ``look``: the value of a variable, and whether there
    is one; ``macros``: texts of files with macros, by path; ``on_macro`` is called where one of them is used.

    Raises:
        TemplateFailed: it doesn't parse, or fails.
    """
    environment = SandboxedEnvironment(
        undefined=StrictUndefined, extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], keep_trailing_newline=True
    )
    names = _globals(environment, look, macros, on_macro)
    made = _rendered(environment, text, names)
    try:
        marked = _rendered(environment, _marked(environment, text), names)
    except TemplateFailed:
        marked = ""
    if _MARK.sub("", marked) == made:
        return _placed(marked, text)
    return Mapped([Piece(made, 0, max(1, len(text.partition("\n")[0])))])


def _rendered(environment: SandboxedEnvironment, text: str, names: dict[str, object]) -> str:
    try:
        return environment.from_string(text, globals=names).render()
    except TemplateSyntaxError as error:
        raise TemplateFailed(f"the template doesn't parse: {error.message}", error.lineno) from error
    except TemplateFailed as error:
        if error.line is None:
            error.line = _line(error)
        raise
    except TemplateError as error:
        message = error.message or type(error).__name__
        found = _UNDEFINED.search(message)
        near = nearest(found[1], [*names]) if found else None
        hint = (
            f"did you mean {near}?" if near else "set it under variables:, and read it by var('…')" if found else None
        )
        raise TemplateFailed(f"the template fails: {message}", _line(error), hint) from error
    except RecursionError as error:
        raise TemplateFailed("the template calls itself without an end", _line(error)) from error
    except (ArithmeticError, LookupError, OverflowError, TypeError, ValueError, AttributeError) as error:
        raise TemplateFailed(f"the template fails: {type(error).__name__}: {error}", _line(error)) from error


def _line(error: BaseException) -> int | None:
    """The line of the template in which it was raised: Jinja puts its own frames there."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FRAME:
            found = trace.tb_lineno
        trace = trace.tb_next
    return found


def _globals(
    environment: SandboxedEnvironment,
    look: Callable[[str], tuple[bool, Value]],
    macros: Mapping[str, str],
    on_macro: Callable[[], None],
) -> dict[str, object]:
    def var(name: str, default: Value = None) -> Value:
        found, value = look(name)
        return value if found else default

    names: dict[str, object] = {m: _Moment(m) for m in MOMENTS}
    names |= {"var": var, "blueprint_var": var}
    for name in ("this_env", "gateway", "runtime_stage", "this_model", "model_kind_name"):
        names[name] = _Lazy(look, name)
    for path, source in sorted(macros.items()):
        for macro in _macro_names(environment, path, source):
            names[macro] = _Macro(environment, path, source, macro, names, on_macro)
    return names


class _Lazy:
    """A variable that counts as used where it is used."""

    def __init__(self, look: Callable[[str], tuple[bool, Value]], name: str) -> None:
        self._look, self._name = look, name

    def _value(self) -> str:
        return str(self._look(self._name)[1])

    def __str__(self) -> str:
        return self._value()

    def __eq__(self, other: object) -> bool:
        return self._value() == str(other)

    def __hash__(self) -> int:
        return hash(self._value())

    def __contains__(self, part: str) -> bool:
        return part in self._value()

    def __len__(self) -> int:
        return len(self._value())

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._value(), name)


class _Macro:
    """A macro of another file, which is read when it is first called."""

    def __init__(
        self,
        environment: SandboxedEnvironment,
        path: str,
        source: str,
        name: str,
        names: dict[str, object],
        on_macro: Callable[[], None],
    ) -> None:
        self._environment, self._path, self._source, self._name = environment, path, source, name
        self._names, self._on_macro = names, on_macro

    def __call__(self, *args: object, **named: object) -> str:
        self._on_macro()
        module = self._environment.from_string(self._source, globals=self._names).module
        return str(getattr(module, self._name)(*args, **named))


def _macro_names(environment: SandboxedEnvironment, path: str, source: str) -> Sequence[str]:
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        raise TemplateFailed(f"{path}:{error.lineno} doesn't parse: {error.message}", None) from error
    return [node.name for node in tree.find_all(nodes.Macro)]


def _marked(environment: SandboxedEnvironment, text: str) -> str:
    """The template with a mark before each expression and each line of its own text."""
    parts: list[str] = []
    at = 0
    for _, kind, value in environment.lex(text):
        begin = text.find(value, at)
        if begin < 0:
            return text
        if kind == "data":
            for line in value.splitlines(keepends=True):
                parts += [f"{_PLACE}{begin}{_PLACE}", line]
                begin += len(line)
            at = begin
            continue
        if kind == "variable_begin":
            parts.append(f"{_PLACE}{begin}{_PLACE}")
        elif not text[at:begin].strip():
            parts.append(text[at:begin])
        parts.append(value)
        at = begin + len(value)
    return "".join(parts)


def _placed(marked: str, text: str) -> Mapped:
    """A rendering with marks, as text with places: each piece begins where the mark before it says."""
    pieces: list[Piece] = []
    parts = _MARK.split(marked)
    if parts[0]:
        pieces.append(Piece(parts[0], 0, min(1, len(text))))
    for at, part in zip(map(int, parts[1::2]), parts[2::2], strict=True):
        is_own = text[at : at + len(part)] == part
        end = at + len(part) if is_own else text.find("}}", at) + 2
        pieces.append(Piece(part, at, end if end > at else at + 1, is_own))
    return Mapped(pieces)
