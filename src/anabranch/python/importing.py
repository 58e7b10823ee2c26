"""Imports a project's modules from their text, apart from those of other versions of the project.

A table of ``prod`` is computed by the code that ``prod`` was applied with, whatever is checked out. So several versions
of ``lib/rates.py`` may be in use at once, in one process and in several threads. Each version's modules get names of
their own, and an ``import`` in one of them finds the others of its version. Everything else is imported as usual.
"""

from __future__ import annotations

import builtins
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

from anabranch.domain.ids import canonical, digest

_LOCK = threading.Lock()
_KNOWN: dict[str, Code] = {}


def module_name(path: str) -> str:
    """``models/a/b.py`` is ``models.a.b``."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def code(root: Path, texts: Mapping[str, str]) -> Code:
    """The modules of these files; the same object for the same texts, so that each is imported once a process."""
    key = digest(canonical([str(root), dict(texts)]))
    with _LOCK:
        if key not in _KNOWN:
            _KNOWN[key] = Code(root, texts, f"_anabranch_{key[:16]}")
        return _KNOWN[key]


class Code:
    """``texts``: of the modules, by path below ``root``; ``prefix``: what their names begin with in this process."""

    def __init__(self, root: Path, texts: Mapping[str, str], prefix: str) -> None:
        self._root = root
        self._prefix = prefix
        self._texts = {module_name(path): (path, text) for path, text in texts.items()}
        self._folders = {".".join(n.split(".")[:i]) for n in self._texts for i in range(1, n.count(".") + 1)}
        self._folders |= {n for n, (path, _) in self._texts.items() if path.endswith("__init__.py")}
        self._tops = {n.partition(".")[0] for n in self._texts}
        self._lock = threading.RLock()
        sys.modules.setdefault(prefix, ModuleType(prefix))

    def load(self, name: str) -> ModuleType:
        """A module, imported where it isn't yet. Raises ``ModuleNotFoundError``, and whatever its statements raise."""
        full = f"{self._prefix}.{name}"
        with self._lock:
            if full in sys.modules:
                return sys.modules[full]
            parent, _, last = name.rpartition(".")
            above = self.load(parent) if parent else None
            if full not in sys.modules:  # else the package above has imported it
                self._execute(name, full)
            if above is not None:
                setattr(above, last, sys.modules[full])
            return sys.modules[full]

    def _execute(self, name: str, full: str) -> None:
        if name not in self._texts and name not in self._folders:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        module = ModuleType(full)
        is_package = name in self._folders
        module.__package__ = full if is_package else full.rpartition(".")[0]
        if is_package:
            module.__path__ = []
        own: dict[str, object] = {**vars(builtins), "__import__": self._import}
        vars(module)["__builtins__"] = own
        sys.modules[full] = module
        if name not in self._texts:
            return
        path, text = self._texts[name]
        module.__file__ = str(self._root / path)
        try:
            exec(compile(text, module.__file__, "exec"), vars(module))  # noqa: S102  # the project's own code, to be run
        except BaseException:
            del sys.modules[full]
            raise

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # as __import__ calls it
        locals: Mapping[str, object] | None = None,  # noqa: A002  # likewise
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """As ``__import__``."""
        if not level and name.partition(".")[0] not in self._tops:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        absolute = self._absolute(name, str((globals or {}).get("__package__", "")), level) if level else name
        module = self.load(absolute)
        if not fromlist:
            return module if level else self.load(name.partition(".")[0])
        wanted = [*fromlist, *getattr(module, "__all__", ())] if "*" in fromlist else fromlist
        for each in wanted:
            inner = f"{absolute}.{each}"
            if not hasattr(module, each) and (inner in self._texts or inner in self._folders):
                self.load(inner)
        return module

    def _absolute(self, name: str, package: str, level: int) -> str:
        parts = package.split(".")[1:]
        if len(parts) < level:
            raise ImportError("attempted relative import beyond the project's folders")
        return ".".join([*parts[: len(parts) - level + 1], *filter(None, [name])])

    def place(self, error: BaseException) -> tuple[Path, int] | None:
        """The innermost line of the project that an error came through; None where it came through none."""
        files = {str(self._root / path) for path, _ in self._texts.values()}
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
        return (Path(frames[-1].filename), frames[-1].lineno or 1) if frames else None
