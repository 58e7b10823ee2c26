"""Runs the functions of models in Python: in this process, with the code that the model was defined with."""

from __future__ import annotations

import ctypes
import inspect
import io
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

from anabranch.domain.intervals import Span, moment
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.snapshot import Function, Snapshot
from anabranch.errors import AnabranchError, ModelError, Where
from anabranch.ports.engine import ArrowStream, Relation, Session
from anabranch.providers.expressions import Expressions, OpenSession
from anabranch.providers.python_rows import parts
from anabranch.python.importing import Code, code

_TOLD = 5
"""So many of the last lines that a function printed are told when it fails."""


@dataclass(frozen=True, slots=True)
class PythonRun:
    """Computes one snapshot. ``session`` writes; ``reading`` opens others, that only read; ``sources``: a query for
    each asset that may be read; ``now`` in seconds since 1970."""

    session: Session
    reading: OpenSession
    snapshot: Snapshot
    root: Path
    sources: Mapping[AssetName, str]
    default_schema: str
    now: int
    dialect: str
    """The engine's."""

    @property
    def function(self) -> Function:
        return Function.decode(self.snapshot.definition.text)

    def empty(self, table: Relation) -> None:
        """Makes ``table`` without rows; nothing is run."""
        self.session.load_arrow(table, (), self.function.columns)

    def load(self, table: Relation, span: Span | None) -> int:
        """Makes ``table`` with the rows that the function gives for ``span``, and says how many.

        Raises:
            ModelError: the function fails, with its line; or it gives something else than the declared columns.
            StatementFailed: a value doesn't have the declared type.
        """
        function = self.function
        modules = code(self.root, function.modules)
        printed = io.StringIO()
        try:
            with ExitStack() as stack, _captured(printed), _interruptible():
                return self.session.load_arrow(table, self._parts(function, modules, span, stack), function.columns)
        except AnabranchError as error:
            error.where = error.where or self._where(error, function, modules)
            raise
        except (Exception, SystemExit) as error:
            lines = printed.getvalue().splitlines()[-_TOLD:]
            told = "".join(f"\n  it printed: {line}" for line in lines)
            message = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            where = self._where(error, function, modules)
            raise ModelError(message + told, asset=self.snapshot.asset, where=where, hint=_hint(error)) from error

    def _parts(self, function: Function, modules: Code, span: Span | None, stack: ExitStack) -> Iterator[ArrowStream]:
        """Runs the function when the first part is asked for."""
        call: Callable[..., object] = getattr(modules.load(function.module), function.function)
        begin, end = span or (0, self.now)
        given: dict[str, object] = {
            "start": moment(begin),
            "end": moment(end) - timedelta(microseconds=1),
            "execution_time": moment(self.now),
        }
        asset = self.snapshot.asset
        expressions = Expressions(self.dialect, self.reading, stack)
        context = _Context(asset, self.sources, self.default_schema, self.reading, stack, expressions)
        accepted = inspect.signature(call).parameters
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in accepted.values()):
            given = {name: value for name, value in given.items() if name in accepted}
        yield from parts(call(context, **given), function.columns, asset, expressions.compute)

    def _where(self, error: BaseException, function: Function, modules: Code) -> Where:
        place = modules.place(error)
        return Where(*place) if place else Where(self.root / self.snapshot.definition.path, function.line)


def _hint(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"install {error.name.partition('.')[0]} where Anabranch runs"
    return "correct the function"


class _Context:
    """See :class:`anabranch.python.Context`."""

    def __init__(
        self,
        asset: str,
        sources: Mapping[AssetName, str],
        default_schema: str,
        reading: OpenSession,
        stack: ExitStack,
        expressions: Expressions,
    ) -> None:
        self._expressions = expressions
        self._asset = asset
        self._sources = sources
        self._default_schema = default_schema
        self._reading = reading
        self._stack = stack

    def table(self, name: str, columns: Sequence[str] | None = None) -> _Rows:
        query = self._source(name)
        if columns is not None:
            with self._reading() as session:
                query = f"SELECT {session.grammar.columns(columns)} FROM ({query}\n) AS anabranch_rows"
        return _Rows(name, query, self._reading, self._stack, self._expressions)

    def resolve_table(self, name: str) -> str:
        return f"({self._source(name)}\n)"

    def fetchdf(self, query: str) -> Any:
        with self._reading() as session:
            return _arrow(session.read_arrow(query)).to_pandas()

    def _source(self, name: str) -> str:
        full = AssetName((name if "." in name else f"{self._default_schema}.{name}").strip().lower())
        if full not in self._sources:
            near = nearest(full, list(self._sources))
            hint = f"did you mean {near}?" if near else f'add it to the decorator: depends_on=["{full}"]'
            raise ModelError(f"{self._asset} reads {full}, which it doesn't declare", asset=self._asset, hint=hint)
        return self._sources[full]


class _Rows:
    """See :class:`anabranch.python.Table`."""

    def __init__(self, name: str, query: str, reading: OpenSession, stack: ExitStack, expressions: Expressions) -> None:
        self._expressions = expressions
        self.name = name
        self._query = query
        self._reading = reading
        self._stack = stack
        self._whole: Any = None

    def arrow(self) -> Any:
        if self._whole is None:
            with self._reading() as session:
                self._whole = _arrow(session.read_arrow(self._query))
        return self._whole

    def reader(self, rows: int = 0) -> ArrowStream:
        return self._stack.enter_context(self._reading()).read_arrow(self._query, rows)

    def pandas(self) -> Any:
        return self.arrow().to_pandas()

    def polars(self) -> Any:
        import polars

        return polars.from_arrow(self.arrow())

    def ibis(self) -> Any:
        return self._expressions.table(self._query)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.reader().__arrow_c_stream__(requested_schema)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.arrow(), name)

    def __getitem__(self, key: object) -> Any:
        return self.arrow()[key]

    def __len__(self) -> int:
        return len(self.arrow())


def _arrow(stream: ArrowStream) -> Any:
    import pyarrow

    return pyarrow.table(stream)


# -- what the process shares -------------------------------------------------------------------------------------------

_LOCK = threading.Lock()
_RUNNING: dict[int, int] = {}
"""How many functions each thread is running."""
_PRINTING: dict[int, TextIO] = {}


def interrupt() -> None:
    """Stops the functions that run in this process: ``KeyboardInterrupt`` is raised in them."""
    with _LOCK:
        for thread in _RUNNING:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))


@contextmanager
def _interruptible() -> Iterator[None]:
    thread = threading.get_ident()
    with _LOCK:
        _RUNNING[thread] = _RUNNING.get(thread, 0) + 1
    try:
        yield
    finally:
        with _LOCK:
            _RUNNING[thread] -= 1
            if not _RUNNING[thread]:
                del _RUNNING[thread]


class _Split(io.TextIOBase):
    """Standard output: what threads that run functions write goes to where they are captured."""

    def __init__(self, usual: TextIO) -> None:
        self.usual = usual

    def write(self, text: str) -> int:
        return (_PRINTING.get(threading.get_ident()) or self.usual).write(text)

    def flush(self) -> None:
        (_PRINTING.get(threading.get_ident()) or self.usual).flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usual, name)


@contextmanager
def _captured(into: TextIO) -> Iterator[None]:
    """What this thread prints goes to ``into``: a command's output is its own."""
    thread = threading.get_ident()
    with _LOCK:
        if not _PRINTING:
            sys.stdout, sys.stderr = _Split(sys.stdout), _Split(sys.stderr)
        _PRINTING[thread] = into
    try:
        yield
    finally:
        with _LOCK:
            del _PRINTING[thread]
            if not _PRINTING:
                for name in ("stdout", "stderr"):
                    stream = getattr(sys, name)
                    if isinstance(stream, _Split):
                        setattr(sys, name, stream.usual)
