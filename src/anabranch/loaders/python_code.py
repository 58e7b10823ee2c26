"""What a function of the project depends on, told from the text of its modules: nothing is imported for it.

What counts is the function and all that it refers to, near and far, in the project's own modules: functions, classes,
constants, imports, and the statements that may do anything when a module is imported. Comments, layout and docstrings
don't count. Packages that are installed don't either.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from anabranch.domain.ids import canonical
from anabranch.errors import ModelError, Where
from anabranch.python.importing import module_name

LIBRARY = "lib"
_IMPORTERS = frozenset({"import_module", "__import__"})


@dataclass(slots=True)
class Module:
    """``bound``: the statements that define each name; ``always``: those that may do anything."""

    name: str
    path: str
    text: str
    tree: ast.Module
    bound: dict[str, list[ast.stmt]] = field(default_factory=dict)
    always: list[ast.stmt] = field(default_factory=list)


def read_module(root: Path, path: str, text: str) -> Module:
    """Raises ``ModelError`` where the text isn't Python."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        where = Where(root / path, getattr(error, "lineno", None) or 1, getattr(error, "offset", None) or 1)
        message = f"{path} isn't Python: {getattr(error, 'msg', None) or error}"
        raise ModelError(message, where=where, hint="mend the file") from error
    module = Module(module_name(path), path, text, tree)
    for statement in tree.body:
        names = list(_names(statement))
        for name in names:
            module.bound.setdefault(name, []).append(statement)
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not names and not is_text:
            module.always.append(statement)
    return module


def _names(statement: ast.stmt) -> Iterator[str]:
    """What a statement defines, where that is all it does."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        parts = [part for target in targets for part in ast.walk(target)]
        if not any(isinstance(part, ast.Attribute | ast.Subscript) for part in parts):  # else something else changes
            yield from (part.id for part in parts if isinstance(part, ast.Name))
    elif isinstance(statement, ast.Import | ast.ImportFrom):
        for alias in statement.names:
            if alias.name != "*":
                yield alias.asname or alias.name.partition(".")[0]


@dataclass(slots=True)
class Reach:
    """What was found from a function on. ``read`` gives a file's text, None where there is none; ``known``: all paths
    that there are."""

    root: Path
    read: Callable[[str], str | None]
    known: Collection[str]
    looked: set[str] = field(default_factory=set)
    """Paths that were looked for, whether they are there or not."""
    notes: list[str] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    """The top-level names of what is installed and imported directly."""
    nodes: list[ast.stmt] = field(default_factory=list)
    """The statements that count."""
    _modules: dict[str, Module | None] = field(default_factory=dict)
    _seen: set[tuple[str, str | None]] = field(default_factory=set)
    _counted: set[int] = field(default_factory=set)

    def again(self) -> Reach:
        """For another function: what was parsed is shared, and so are the paths that were looked for."""
        return Reach(self.root, self.read, self.known, self.looked, _modules=self._modules)

    def module(self, name: str) -> Module | None:
        """A module of the project, by its name. Raises ``ModelError`` where it isn't Python."""
        if name not in self._modules:
            self._modules[name] = None
            for path in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                self.looked.add(path)
                text = self.read(path) if path in self.known else None
                if text is not None:
                    self._modules[name] = read_module(self.root, path, text)
        return self._modules[name]

    def texts(self, module: Module) -> dict[str, str]:
        """``module`` and all modules that importing it may import, by path."""
        found: dict[str, str] = {}
        stack = [module]
        while stack:
            each = stack.pop()
            if each.path in found:
                continue
            found[each.path] = each.text
            names = [".".join(each.name.split(".")[:i]) for i in range(1, each.name.count(".") + 1)]
            for node in ast.walk(each.tree):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    for target, part in self._targets(each, node):
                        names += [".".join(target.split(".")[:i]) for i in range(1, target.count(".") + 2)]
                        names += [f"{target}.{part}"] if part else []
            stack += [m for m in map(self.module, names) if m is not None]
        return dict(sorted(found.items()))

    def follow(self, module: Module, name: str | None) -> None:
        """Takes in all that ``name`` depends on; the whole module where it is None. Raises ``ModelError``."""
        if (module.name, name) in self._seen or (module.name, None) in self._seen:
            return
        self._seen.add((module.name, name))
        for i in range(1, module.name.count(".") + 1):  # the packages around it are imported first
            above = self.module(".".join(module.name.split(".")[:i]))
            if above is not None:
                self.follow(above, "")
        statements = list(module.always)
        for each, bound in module.bound.items():
            if name is None or each == name:
                statements += bound
        for statement in statements:
            if id(statement) not in self._counted:
                self._counted.add(id(statement))
                self.nodes.append(statement)
            only = name if isinstance(statement, ast.Import | ast.ImportFrom) else None
            self._look_into(module, statement, only)

    def _look_into(self, module: Module, statement: ast.stmt, only: str | None) -> None:
        for node in ast.walk(statement):
            if isinstance(node, ast.Import | ast.ImportFrom):
                self._imported(module, node, only)
            elif isinstance(node, ast.Name) and node.id in module.bound:
                self.follow(module, node.id)
            elif isinstance(node, ast.Call) and self._is_by_name(node):
                self.notes.append("imports modules by name, so all of its file counts as its code")
                self.follow(module, None)
            elif isinstance(node, ast.Call) and self._is_dynamic(module, node):
                self.notes.append("looks names up in modules, so all of its file counts as its code")
                self.follow(module, None)

    def _imported(self, module: Module, node: ast.Import | ast.ImportFrom, only: str | None) -> None:
        for target, part in self._targets(module, node, only):
            found = self.module(target)
            top = target.partition(".")[0]
            if found is not None:
                self.follow(found, part)
            inner = self.module(f"{target}.{part}") if part else None
            if inner is not None:
                self.follow(inner, None)
            if found is None and inner is None and not self._is_own(top):
                self.packages.add(top)

    def _is_own(self, top: str) -> bool:
        return any(path.startswith(f"{top}/") for path in self.known)

    def _targets(
        self, module: Module, node: ast.Import | ast.ImportFrom, only: str | None = None
    ) -> Iterator[tuple[str, str | None]]:
        """The modules that an import names, each with the name taken from it; None for all of it."""
        for alias in node.names:
            if only and alias.name != "*" and only != (alias.asname or alias.name.partition(".")[0]):
                continue
            if isinstance(node, ast.Import):
                yield alias.name, None
                continue
            base = node.module or ""
            if node.level:
                parts = module.name.split(".")
                up = node.level - module.path.endswith("__init__.py")
                base = ".".join([*parts[: len(parts) - up], *filter(None, [base])])
            yield base, None if alias.name == "*" else alias.name

    @staticmethod
    def _is_by_name(node: ast.Call) -> bool:
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return called in _IMPORTERS

    def _is_dynamic(self, module: Module, node: ast.Call) -> bool:
        """``getattr`` of a module, or its names as a whole."""
        called = getattr(node.func, "id", "")
        if called == "globals":
            return True
        given = node.args[0] if node.args else None
        if called not in ("getattr", "vars") or not isinstance(given, ast.Name):
            return False
        return any(isinstance(s, ast.Import | ast.ImportFrom) for s in module.bound.get(given.id, ()))

    def said(self, without: ast.AST | None = None) -> bytes:
        """What counts, in the same form on every version of Python. ``without``: a decorator that doesn't."""
        return canonical([_said(node, without) for node in self.nodes])


def _said(node: object, without: ast.AST | None) -> object:
    """A tree without places, comments and docstrings."""
    if isinstance(node, ast.AST):
        found: list[object] = [type(node).__name__]
        for name, value in ast.iter_fields(node):
            if name in ("ctx", "type_comment", "kind", "type_ignores") or value is None or value == []:
                continue
            if name == "body" and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.append([name, _said(_without_docstring(value), without)])
                continue
            found.append([name, _said(value, without)])
        return found
    if isinstance(node, list):
        return [_said(each, without) for each in node if each is not without]
    if node is None or isinstance(node, str | bool):
        return node
    return [type(node).__name__, repr(node)]


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0]
    is_text = (
        isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    )
    return body[1:] if is_text else body
