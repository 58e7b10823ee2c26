"""What a project's Python macros depend on, told from their text: nothing is imported for it.

A macro's digest covers its function, and all that it refers to in ``macros/``: functions, classes, constants, imports,
also those of other files there. So a change in one macro leaves models alone that use others. Comments and layout don't
count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from anabranch.domain.ids import digest
from anabranch.loaders.python_code import Module, read_module
from anabranch.python.importing import module_name

FOLDER = "macros"


def index(root: Path, texts: Mapping[str, str]) -> dict[str, str]:
    """The digest of each macro, by its name, of files by path (``macros/a.py``).

    Raises:
        ModelError: a file doesn't parse.
    """
    modules = {module_name(path): read_module(root, path, text) for path, text in sorted(texts.items())}
    found: dict[str, str] = {}
    for module in modules.values():
        for macro, function in _macros(module):
            parts = dict.fromkeys(_closure(modules, module, function, set()))
            found[macro] = digest("\0".join(parts).encode())
    return found


def _macros(module: Module) -> Iterator[tuple[str, str]]:
    """The names of a module's macros, and their functions."""
    for statement in module.tree.body:
        if isinstance(statement, ast.FunctionDef):
            for decorator in statement.decorator_list:
                if (macro := _macro(decorator, statement.name)) is not None:
                    yield macro.lower(), statement.name


def _macro(decorator: ast.expr, function: str) -> str | None:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if name != "macro":
        return None
    given = [*decorator.args, *(k.value for k in decorator.keywords)] if isinstance(decorator, ast.Call) else []
    if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str):
        return given[0].value
    return function


def _closure(
    modules: Mapping[str, Module], module: Module, name: str | None, seen: set[tuple[str, str | None]]
) -> Iterator[str]:
    """The text of all that ``name`` depends on; of the whole module where it is None."""
    if (module.name, name) in seen:
        return
    seen.add((module.name, name))
    statements = list(module.always)
    for each, bound in module.bound.items():
        if name is None or each == name:
            statements += bound
    for statement in statements:
        yield ast.unparse(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield from _imported(modules, module, statement, name, seen)
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and node.id in module.bound:
                yield from _closure(modules, module, node.id, seen)


def _imported(
    modules: Mapping[str, Module],
    module: Module,
    statement: ast.Import | ast.ImportFrom,
    name: str | None,
    seen: set[tuple[str, str | None]],
) -> Iterator[str]:
    """What an import brings in from the project's own files."""
    for alias in statement.names:
        if name not in (None, alias.asname or alias.name.partition(".")[0]) and alias.name != "*":
            continue
        if isinstance(statement, ast.Import):
            wanted: list[tuple[str, str | None]] = [(alias.name, None)]
        else:
            base = statement.module or ""
            if statement.level:
                package = module.name.rsplit(".", statement.level)[0]
                base = f"{package}.{base}" if base else package
            wanted = [(base, None if alias.name == "*" else alias.name), (f"{base}.{alias.name}", None)]
        for target, part in wanted:
            if target in modules:
                yield from _closure(modules, modules[target], part, seen)
