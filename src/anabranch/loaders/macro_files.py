"""A project's ``macros/`` folder: Python macros, imported where one is called first, and files of Jinja macros."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from anabranch.domain.ids import digest
from anabranch.errors import ModelError, Where
from anabranch.loaders.macro_index import FOLDER, index
from anabranch.macros import MARK
from anabranch.python.importing import module_name

if TYPE_CHECKING:
    from anabranch.sql.macros.scope import PythonMacro

SUFFIXES = (".py", ".sql", ".jinja", ".j2")
_IMPORTS = threading.RLock()
"""One project at a time calls its modules ``macros``."""


class MacroFiles:
    """``hashes``: of the files in ``macros/``, by path; ``read``: their texts."""

    def __init__(self, root: Path, hashes: Mapping[str, str], read: Callable[[str], str | None]) -> None:
        self._root = root
        self._hashes = hashes
        self._read = read
        self._index: dict[str, str] | None = None
        self.python = _Python(self)

    @property
    def key(self) -> str:
        """Changes with any of the files."""
        return digest("\0".join(["macros", *(f"{p}\0{h}" for p, h in sorted(self._hashes.items()))]).encode())

    @property
    def jinja_key(self) -> str:
        """Changes with any file that isn't Python."""
        said = (f"{p}\0{h}" for p, h in sorted(self._hashes.items()) if not p.endswith(".py"))
        return digest("\0".join(["jinja", *said]).encode())

    def jinja(self) -> dict[str, str]:
        """The texts of files with Jinja macros."""
        found = {p: self._read(p) for p in self._hashes if not p.lower().endswith(".py")}
        return {path: text for path, text in found.items() if text is not None}

    def macro_key(self, name: str) -> str:
        """Changes with all that the macro depends on. Raises ``ModelError``."""
        return self.indexed().get(name) or f"{name}\0{self.key}"

    def indexed(self) -> dict[str, str]:
        """The digest of each macro. Raises ``ModelError`` where a file isn't Python."""
        if self._index is None:
            self._index = index(self._root, self._python_texts())
        return self._index

    @property
    def is_indexed(self) -> bool:
        """Whether anybody asked."""
        return self._index is not None

    def remember(self, text: str | None) -> bool:
        """Takes the index over as :meth:`said` wrote it; False where it isn't that."""
        try:
            found = json.loads(text or "")
        except ValueError:
            return False
        if not isinstance(found, dict):
            return False
        self._index = {str(k): str(v) for k, v in found.items()}
        return True

    def said(self) -> str:
        """The index, to be kept."""
        return json.dumps(self.indexed())

    def _python_texts(self) -> dict[str, str]:
        found = {p: self._read(p) for p in self._hashes if p.lower().endswith(".py")}
        return {path: text for path, text in found.items() if text is not None}

    def load(self) -> dict[str, PythonMacro]:
        """All Python macros.

        Raises:
            ModelError: a file fails when it is imported, or two macros have one name.
        """
        from anabranch.sql.macros.builtins import BUILTINS
        from anabranch.sql.macros.clauses import CLAUSES
        from anabranch.sql.macros.python import Adapted

        found: dict[str, PythonMacro] = {}
        places: dict[str, str] = {}
        paths = sorted(self._python_texts())
        if not paths:
            return found
        for path, module in zip(paths, self._imported(paths), strict=True):
            for value in list(vars(module).values()):
                name = getattr(value, MARK, None)
                if not isinstance(name, str) or getattr(value, "__module__", "") != module.__name__:
                    continue
                where = Where(self._root / path, value.__code__.co_firstlineno)
                if name in BUILTINS or name in CLAUSES:
                    raise ModelError(f"@{name} is built in", where=where, hint="choose another name for the macro")
                if name in found:
                    message = f"@{name} is defined in {places[name]} and in {path}"
                    raise ModelError(message, where=where, hint="rename one of them")
                found[name], places[name] = Adapted(value, self._root), path
        return found

    def _imported(self, paths: list[str]) -> list[ModuleType]:
        with _IMPORTS:
            for name in [n for n in sys.modules if n == FOLDER or n.startswith(f"{FOLDER}.")]:
                del sys.modules[name]
            sys.modules[FOLDER] = _package(self._root / FOLDER)
            importlib.invalidate_caches()
            keep, sys.dont_write_bytecode = sys.dont_write_bytecode, True
            try:
                return [self._import(path) for path in paths]
            finally:
                sys.dont_write_bytecode = keep

    def _import(self, path: str) -> ModuleType:
        try:
            module = importlib.import_module(module_name(path))
            if module.__name__ == FOLDER and module.__spec__ and module.__spec__.loader:
                module.__spec__.loader.exec_module(module)
            return module
        except (Exception, SystemExit) as error:  # a user's code may raise anything
            line, file = _line(error, self._root)
            hint = "mend the file"
            if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] == "sqlmesh":
                hint = "write: from anabranch.macros import macro"
            message = f"{path} can't be imported: {type(error).__name__}: {error}"
            raise ModelError(message, where=Where(file or self._root / path, line), hint=hint) from error


class _Python(Mapping[str, "PythonMacro"]):
    """The macros by name, imported when one is looked up."""

    def __init__(self, files: MacroFiles) -> None:
        self._files = files
        self._found: dict[str, PythonMacro] | None = None

    def _all(self) -> dict[str, PythonMacro]:
        if self._found is None:
            self._found = self._files.load()
        return self._found

    def __getitem__(self, name: str) -> PythonMacro:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _package(folder: Path) -> ModuleType:
    """``macros`` itself, whatever else on the path is called so; not executed yet."""
    init = folder / "__init__.py"
    if init.is_file():
        spec = importlib.util.spec_from_file_location(FOLDER, init, submodule_search_locations=[str(folder)])
        if spec is not None:
            return importlib.util.module_from_spec(spec)
    package = ModuleType(FOLDER)
    package.__path__ = [str(folder)]
    return package


def _line(error: BaseException, root: Path) -> tuple[int | None, Path | None]:
    """Where in the project an import failed."""
    if isinstance(error, SyntaxError):
        return error.lineno, Path(error.filename) if error.filename else None
    line, file, trace = None, None, error.__traceback__
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(root / FOLDER):
            line, file = trace.tb_lineno, path
        trace = trace.tb_next
    return line, file
