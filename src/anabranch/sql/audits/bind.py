"""From a call and what it calls to an audit that can be run: arguments are put in, and what it reads is found."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anabranch.domain.audit import Audit
from anabranch.domain.names import AssetName, nearest
from anabranch.errors import ModelError, Where
from anabranch.sql.audits.calls import Argument, Call, Definition, Place
from anabranch.sql.audits.library import BUILT_IN, NON_BLOCKING, OWN_COLUMNS, BuiltIn, Given, Takes, find
from anabranch.sql.guard import check_start, check_tree
from anabranch.sql.macros.moments import MOMENTS, moment_sql
from anabranch.sql.qualifiers import quoted as quoted_in
from anabranch.sql.reads import find_reads
from anabranch.sql.rewrite import make_template
from anabranch.sql.syntax import Source, parse, split, tokenize

THIS_MODEL = "this_model"
_NAME = re.compile(r'(\w+|"[^"]+")(\.(\w+|"[^"]+")){0,2}')


@dataclass(frozen=True, slots=True)
class Model:
    """The model that is audited. ``path``: the file that the call stands in; ``columns``: None where they aren't
    known."""

    name: str
    path: Path
    columns: tuple[str, ...] | None
    dialect: str
    default_schema: str

    def error(self, at: Place, message: str, hint: str | None = None) -> ModelError:
        """About a place in its file."""
        return ModelError(message, asset=self.name, where=Where(self.path, *at), hint=hint)


def bind(call: Call, model: Model, definitions: Mapping[str, tuple[Path, Definition]]) -> Audit | None:
    """The audit that ``call`` asks for; None where it is to be skipped. ``definitions``: the user's own, with the file
    of each; they go before those built in.

    Raises:
        ModelError: there is no such audit, an argument is unknown or missing, a column isn't there, or the query can't
            be used; with the place.
    """
    blocking = _blocking(call, model)
    call = Call(call.name, {n: a for n, a in call.arguments.items() if n != "blocking"}, call.at)
    if call.name in definitions:
        path, definition = definitions[call.name]
        if definition.skip:
            return None
        return _custom(call, model, path, definition, definition.blocking if blocking is None else blocking)
    found = find(call.name)
    if found is None:
        names = [*definitions, *BUILT_IN, *(n + NON_BLOCKING for n in BUILT_IN)]
        near = nearest(call.name, names)
        hint = f"did you mean {near}?" if near else "define it in audits/, or take a built-in one"
        raise model.error(call.at, f"there is no audit {call.name}", hint)
    built_in, blocks = found
    _check(call, model, built_in)
    this = quoted_in(model.name.split("."), model.dialect)
    last = quoted_in(model.name.split(".")[-1:], model.dialect)
    text = built_in.make(Given(this, last, model.dialect, call.arguments))
    try:
        return _audit(
            call, model, Source(text, model.dialect, None, model.name), blocks if blocking is None else blocking
        )
    except ModelError as error:  # what the user wrote stands in the arguments
        what = error.message.partition(" (line ")[0]
        raise model.error(call.at, f"{call.name} can't be read with these arguments: {what}", error.hint) from error


def _blocking(call: Call, model: Model) -> bool | None:
    said = call.arguments.get("blocking")
    if said is None:
        return None
    word = said.text().lower()
    if word not in ("true", "false"):
        raise model.error(said.at, f"blocking is true or false, not {said.text()}")
    return word == "true"


# -- built in ----------------------------------------------------------------------------------------------------------


def _check(call: Call, model: Model, built_in: BuiltIn) -> None:
    for name, argument in call.arguments.items():
        takes = built_in.argument(name)
        if takes is None:
            raise _unknown(call, model, name, built_in.names)
        several = takes in (Takes.COLUMNS, Takes.VALUES)
        if len(argument.items) > 1 and not several:
            raise model.error(argument.at, f"{name} of {call.name} takes one value, not {len(argument.items)}")
        if takes is Takes.FLAG and argument.items[0].text.lower() not in ("true", "false"):
            raise model.error(argument.at, f"{name} is true or false, not {argument.text()}")
        if takes is Takes.TABLE and (argument.listed or not _NAME.fullmatch(argument.items[0].text)):
            raise model.error(argument.at, f"{name} takes a model's name, not {argument.text()}")
        if takes in (Takes.COLUMN, Takes.COLUMNS):
            for item in argument.items:
                if name in OWN_COLUMNS.get(call.name.removesuffix(NON_BLOCKING), ()):
                    if item.column is None:
                        raise model.error(item.at, f"{name} takes a column, not {item.text}")
                else:
                    _check_column(model, item.column, item.at)
    missing = [n for n in built_in.needs if n not in call.arguments]
    if not missing and built_in.any_of and not set(built_in.any_of) & set(call.arguments):
        missing = [" or ".join(built_in.any_of)]
    if missing:
        first = missing[0].split(" ")[0]
        hint = f"write {call.name}({', '.join([*call.arguments, first])} := …)" if not call.arguments else None
        raise model.error(call.at, f"{call.name} needs {missing[0]}", hint or f"add {first} := …")


def _check_column(model: Model, column: str | None, at: Place) -> None:
    if column is None or model.columns is None or column in (c.lower() for c in model.columns):
        return
    near = nearest(column, [c.lower() for c in model.columns])
    hint = f"did you mean {near}?" if near else f"its columns are {', '.join(model.columns)}"
    raise model.error(at, f"{model.name} has no column {column}", hint)


def _unknown(call: Call, model: Model, name: str, known: Sequence[str]) -> ModelError:
    near = nearest(name, list(known))
    hint = f"did you mean {near}?" if near else f"it takes {', '.join(known)}"
    return model.error(call.arguments[name].at, f"{call.name} has no argument {name}", hint)


# -- the user's own ----------------------------------------------------------------------------------------------------


def _custom(call: Call, model: Model, path: Path, definition: Definition, blocking: bool) -> Audit:
    known = [p for p in definition.parameters if p != THIS_MODEL and p not in MOMENTS]
    for name in call.arguments:
        if name not in known and name not in definition.defaults:
            raise _unknown(call, model, name, [*dict.fromkeys([*known, *definition.defaults]), "blocking"])
    text = _Text(definition, model, path)
    for at, piece in enumerate(definition.pieces):
        if at % 2 == 0:
            text.add(piece, at)
        else:
            text.add(_put_in(call, model, definition, text, at), at)
    try:
        return _audit(call, model, Source(text.made, model.dialect, path, model.name), blocking)
    except ModelError as error:
        raise text.placed(error) from error


def _put_in(call: Call, model: Model, definition: Definition, text: _Text, at: int) -> str:
    """What stands for the name after ``@``."""
    name = definition.pieces[at]
    if definition.pieces[at + 1].startswith("("):
        raise text.error(at, f"the macro @{name} can't be used in an audit", "write plain SQL")
    if name == THIS_MODEL:
        return quoted_in(model.name.split("."), model.dialect)
    argument: Argument | None = call.arguments.get(name, definition.defaults.get(name))
    if argument is not None:
        return argument.sql()
    if name in MOMENTS:
        return moment_sql(name)
    near = nearest(name, [THIS_MODEL, *call.arguments, *definition.defaults])
    if near and near == THIS_MODEL:
        raise text.error(at, f"@{name} means nothing here", f"did you mean @{near}?")
    hint = f"write {call.name}({name} := …), or give it a default: defaults ({name} = …)"
    raise model.error(call.at, f"{call.name} needs {name}", hint)


class _Text:
    """The query with its arguments put in, that knows where each part stood in the file."""

    def __init__(self, definition: Definition, model: Model, path: Path) -> None:
        self.made = ""
        self._definition = definition
        self._model = model
        self._path = path
        self._starts: list[int] = []
        """Where each piece begins in what was made."""

    def add(self, text: str, at: int) -> None:
        self._starts.append(len(self.made))
        self.made += text

    def _original(self, at: int) -> int:
        """Where a piece begins in the query as written."""
        return sum(len(p) + (n % 2) for n, p in enumerate(self._definition.pieces[:at]))

    def _where(self, offset: int, length: int) -> Where:
        pieces = self._definition.pieces
        written = "".join(p if n % 2 == 0 else f"@{p}" for n, p in enumerate(pieces))
        line, column = Source(written, self._model.dialect).position(offset)
        first, indent = self._definition.start
        return Where(self._path, first + line - 1, column + (indent - 1 if line == 1 else 0), max(1, length))

    def error(self, at: int, message: str, hint: str) -> ModelError:
        """About the name after an ``@``."""
        where = self._where(self._original(at), len(self._definition.pieces[at]) + 1)
        return ModelError(message, asset=self._model.name, where=where, hint=hint)

    def placed(self, error: ModelError) -> ModelError:
        """An error about what was made, with the place in the file."""
        where = error.where
        if where is None or where.line is None or where.column is None:
            return error
        lines = self.made.split("\n")
        offset = sum(len(line) + 1 for line in lines[: where.line - 1]) + where.column - 1
        at = max(0, bisect_right(self._starts, offset) - 1)
        piece = self._definition.pieces[at]
        inside, length = (offset - self._starts[at], where.length) if at % 2 == 0 else (0, len(piece) + 1)
        return type(error)(
            error.message, asset=error.asset, where=self._where(self._original(at) + inside, length), hint=error.hint
        )


# -- both --------------------------------------------------------------------------------------------------------------


def _audit(call: Call, model: Model, source: Source, blocking: bool) -> Audit:
    statements = split(tokenize(source))
    if not statements:
        raise source.error(ModelError, f"the audit {call.name} holds no query", hint="write one SELECT")
    try:
        check_start(source, statements[0], ModelError)
    except ModelError as error:
        message, hint = error.message.replace("a model", "an audit"), "write one SELECT that returns what is wrong"
        raise type(error)(message, asset=error.asset, where=error.where, hint=hint) from error
    if len(statements) > 1:
        token = statements[1][0]
        raise source.error(ModelError, "a second statement begins here; an audit is one query", token.start)
    statement = parse(source, statements[0])
    check_tree(statement, ModelError)
    found = find_reads(statement).reads
    names = [r.asset(model.default_schema) for r in found]
    if model.name not in names:
        message = f"the audit {call.name} doesn't read @{THIS_MODEL}"
        raise source.error(ModelError, message, statement.start, hint=f"write FROM @{THIS_MODEL}")
    reads = tuple(AssetName(n) for n in dict.fromkeys(names) if n != model.name)
    template = make_template(statement, found, model.default_schema)
    return Audit(call.name, call.text(), blocking, statement.text, reads, template)
