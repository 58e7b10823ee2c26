"""Models in Python files, read without running them: decorators by their literals, code by its text."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from anabranch.domain.names import nearest
from anabranch.domain.snapshot import Function
from anabranch.errors import ModelError, Where
from anabranch.loaders.python_code import Module, Reach
from anabranch.python.importing import module_name
from anabranch.sql.macros.scope import Use
from anabranch.sql.parsed import ParsedModel, Read
from anabranch.sql.properties import Meaning
from anabranch.sql.python_model import column_type, make_model, read_header, reads_of

READERS = ("table", "resolve_table")
"""Methods of the context whose first argument names an asset."""
_COLUMNS = "columns={'id': 'bigint'}"


class PythonFile:
    """One file in ``models/``; ``reach`` finds the project's other modules."""

    def __init__(self, root: Path, path: str, asset: str, reach: Reach, *, dialect: str, default_schema: str) -> None:
        self._root = root
        self._path = path
        self._asset = asset
        self._reach = reach
        self._dialect = dialect
        self._default_schema = default_schema

    def models(self) -> tuple[list[ParsedModel], set[Use]]:
        """Its models (none in a file that others import), and the files that they depend on.

        Raises:
            ModelError: it isn't Python, or a decorator can't be read.
        """
        module = self._reach.module(module_name(self._path))
        if module is None:
            return [], set()
        self._lines = _Lines(module.text)
        found: list[ParsedModel] = []
        for function in module.tree.body:
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                said = [d for d in function.decorator_list if self._is_model(module, d)]
                found += [self._model(module, function, d) for d in said]
        return found, {("module", path) for path in self._reach.looked - {self._path}}

    def _is_model(self, module: Module, decorator: ast.expr) -> bool:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        origin = _origin(module, called)
        if origin == "sqlmesh.model":
            raise self._error("a model's decorator is Anabranch's", decorator, "write: from anabranch import model")
        return origin == "anabranch.model"

    # -- one model -------------------------------------------------------------------------------------------------
    def _model(
        self, module: Module, function: ast.FunctionDef | ast.AsyncFunctionDef, decorator: ast.expr
    ) -> ParsedModel:
        if isinstance(function, ast.AsyncFunctionDef):
            raise self._error("a model is a plain function, not an async one", function, "write def")
        if not isinstance(decorator, ast.Call):
            raise self._error("@model is called", decorator, f"write @model('shop.orders', {_COLUMNS})")
        properties, columns = self._said(decorator)
        try:
            meaning = read_header(
                properties,
                module.text,
                self._root / self._path,
                dialect=self._dialect,
                default_schema=self._default_schema,
                asset=self._asset,
                place=self._lines.place(decorator),
            )
        except ValueError as error:
            raise self._error(f"the decorator can't be read: {error}", decorator, "write literals") from error
        if meaning.name:
            self._asset = meaning.name
        self._check_columns(meaning, columns, decorator)
        return self._made(module, function, decorator, meaning, columns)

    def _made(
        self,
        module: Module,
        function: ast.FunctionDef,
        decorator: ast.Call,
        meaning: Meaning,
        columns: Mapping[str, str],
    ) -> ParsedModel:
        reach = self._reach.again()
        reach.follow(module, function.name)
        texts = reach.texts(module)
        for each in filter(None, map(reach.module, map(module_name, texts))):
            reach.follow(each, "")  # what runs when it is imported
        given = function.args.posonlyargs + function.args.args
        contexts = {"context", *(a.arg for a in given[:1])}
        at = next((k.value for k in decorator.keywords if k.arg == "depends_on"), decorator)
        reads = reads_of(meaning, self._default_schema, self._lines.span(at))
        reads += self._reads(module, reach, contexts, self._lines.span(function))
        meaning.notes += dict.fromkeys(reach.notes)
        packages = {p: _version(p) for p in sorted(reach.packages - sys.stdlib_module_names - {"anabranch"})}
        names = tuple(sorted({r.name for r in reads}))
        found = Function(module.name, function.name, function.lineno, columns, names, texts, packages)
        code = reach.said(decorator)
        return make_model(meaning, columns=columns, reads=reads, code=code, definition=found.encode())

    def _said(self, decorator: ast.Call) -> tuple[list[tuple[str, object, tuple[int, int]]], dict[str, str]]:
        """A decorator's properties, and its columns."""
        given: list[tuple[str, ast.expr]] = [("name", a) for a in decorator.args]
        for keyword in decorator.keywords:
            if keyword.arg is None:
                raise self._error("what @model says is written out", keyword.value, "write key=value for each")
            given.append((keyword.arg, keyword.value))
        properties: list[tuple[str, object, tuple[int, int]]] = []
        columns: dict[str, str] = {}
        for name, node in given:
            try:
                value = _literal(node)
            except ValueError as error:
                message = f"{name} isn't a literal, and files aren't run to be read"
                raise self._error(message, node, "write its value out") from error
            if name == "is_sql" and value:
                raise self._error("a function that returns SQL isn't a model here", node, "write a .sql file")
            if name == "columns":
                columns = self._columns(node, value)
            elif name == "kind" and isinstance(value, str):
                properties.append((name, {"name": value}, self._lines.place(node)))
            elif value not in (None, [], (), {}) and name != "is_sql":
                properties.append((name, value, self._lines.place(node)))
        return properties, columns

    def _columns(self, node: ast.expr, value: object) -> dict[str, str]:
        found: dict[str, str] = {}
        if not isinstance(value, dict):
            raise self._error("columns are names with types", node, f"write {_COLUMNS}")
        for name, kind in value.items():
            if not isinstance(name, str) or not name or not isinstance(kind, str) or not kind.strip():
                raise self._error("columns are names with types, both as texts", node, f"write {_COLUMNS}")
            if name.lower() in found:
                raise self._error(f"column {name} is there twice; case doesn't matter", node, "drop one")
            try:
                found[name.lower()] = column_type(kind, self._dialect)
            except ValueError as error:
                raise self._error(f"column {name}: {error}", node, f"write a type of {self._dialect}") from error
        return found

    def _check_columns(self, meaning: Meaning, columns: Mapping[str, str], decorator: ast.expr) -> None:
        if not columns:
            raise self._error("a model in Python says its columns", decorator, f"add {_COLUMNS}")
        named = [
            meaning.settings.get(s, "") for s in ("time_column", "unique_key", "partitioned_by", "updated_at_name")
        ]
        named.append(meaning.settings.get("tracked", "").replace("*", ""))
        for column in filter(None, ",".join(named).split(",")):
            if column not in columns and column != meaning.settings.get("valid_from_name"):
                near = nearest(column, list(columns))
                hint = f"did you mean {near}?" if near else f"columns are {', '.join(columns)}"
                raise self._error(f"its kind names {column}, which isn't one of its columns", decorator, hint)

    def _reads(
        self, module: Module, reach: Reach, contexts: Collection[str], elsewhere: tuple[int, int, int]
    ) -> Iterator[Read]:
        """Names of assets in calls of the context; those in other files are told at the function's own place."""
        own = {id(s) for s in module.tree.body}
        for statement in reach.nodes:
            for node in ast.walk(statement):
                name = _named(node, contexts)
                if name is None:
                    continue
                at = self._lines.span(name) if id(statement) in own else elsewhere
                text = str(name.value).strip().lower()
                yield Read(text if "." in text else f"{self._default_schema}.{text}", *at, "." not in text)

    def _error(self, message: str, node: ast.AST, hint: str) -> ModelError:
        line, column, length = self._lines.span(node)
        return ModelError(
            message, asset=self._asset, where=Where(self._root / self._path, line, column, length), hint=hint
        )


def _named(node: ast.AST, contexts: Collection[str]) -> ast.Constant | None:
    """The literal name in ``context.table("name")``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in READERS:
        return None
    if not isinstance(node.func.value, ast.Name) or node.func.value.id not in contexts:
        return None
    given = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "name")]
    found = given[0] if given else None
    return found if isinstance(found, ast.Constant) and isinstance(found.value, str) else None


def _origin(module: Module, called: ast.expr) -> str:
    """Where a decorator comes from: ``anabranch.model``."""
    if isinstance(called, ast.Attribute):
        return f"{_origin(module, called.value)}.{called.attr}"
    if not isinstance(called, ast.Name):
        return ""
    for statement in module.bound.get(called.id, ()):
        if isinstance(statement, ast.ImportFrom | ast.Import):
            for alias in statement.names:
                if (alias.asname or alias.name) == called.id:
                    return f"{statement.module}.{alias.name}" if isinstance(statement, ast.ImportFrom) else alias.name
    return ""


def _literal(node: ast.expr) -> object:
    """A literal's value; ``ModelKindName.FULL``, as SQLMesh writes it, is its own name. Raises ``ValueError``."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ModelKindName":
        return node.attr
    if isinstance(node, ast.Dict):
        if any(k is None for k in node.keys):
            raise ValueError("not a literal")
        return {_literal(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        if any(k.arg is None for k in node.keywords):
            raise ValueError("not a literal")
        return {k.arg: _literal(k.value) for k in node.keywords}
    if isinstance(node, ast.List):
        return [_literal(e) for e in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(e) for e in node.elts)
    return ast.literal_eval(node)


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:  # not there, or its distribution is called otherwise
        return ""


class _Lines:
    """From the places of Python's parser, lines and bytes, to characters."""

    def __init__(self, text: str) -> None:
        self._lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
        self._begins = [0]
        for line in self._lines:
            self._begins.append(self._begins[-1] + len(line))

    def place(self, node: ast.AST) -> tuple[int, int]:
        """Where it begins and ends: offsets."""
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
        start = self._offset(line, column)
        end = self._offset(getattr(node, "end_lineno", line), getattr(node, "end_col_offset", column))
        return start, max(end, start + 1)

    def span(self, node: ast.AST) -> tuple[int, int, int]:
        """Its line, its column from 1, and how many characters of that line it is."""
        start, end = self.place(node)
        line = getattr(node, "lineno", 1)
        begin, until = self._begins[line - 1], self._begins[line]
        return line, start - begin + 1, max(1, min(end, until - 1) - start)

    def _offset(self, line: int, column: int) -> int:
        return self._begins[line - 1] + len(self._lines[line - 1].encode()[:column].decode(errors="ignore"))
