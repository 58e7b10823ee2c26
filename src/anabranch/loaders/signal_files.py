"""A project's ``signals/`` folder: functions that say whether data may be computed yet. They are imported where one is
asked first, as they stand in the folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from anabranch.domain.intervals import Span, Spans, common, moment, normal, seconds
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.signals import Call
from anabranch.errors import AnabranchError, ModelError, Where
from anabranch.loaders.files import scan, unreadable
from anabranch.loaders.python_code import LIBRARY
from anabranch.python import SIGNAL
from anabranch.python.importing import Code, code, module_name

FOLDER = "signals"
Signal = Callable[..., object]


class SignalFiles:
    """Implements :class:`anabranch.ports.signals.Signals`. ``root``: the project's folder."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._found: tuple[Code, dict[str, Signal]] | None = None

    def require(self, asset: AssetName, call: Call) -> None:
        self._signal(asset, call)

    def _signal(self, asset: AssetName, call: Call) -> Signal:
        signals = self._load()[1]
        if call.name not in signals:
            near = nearest(call.name, list(signals))
            hint = f"did you mean {near}?" if near else f"write it into {FOLDER}/, with @signal()"
            raise ModelError(f"{asset} waits for signal {call.name}, which doesn't exist", asset=asset, hint=hint)
        return signals[call.name]

    def ready(self, asset: AssetName, call: Call, due: Sequence[Span]) -> Spans:
        signal, modules = self._signal(asset, call), self._load()[0]
        batch = [(moment(begin), moment(end)) for begin, end in due]
        try:
            answer = signal(batch, **call.arguments)
            if inspect.isgenerator(answer):
                answer = list(answer)
        except AnabranchError:
            raise
        except (Exception, SystemExit) as error:
            told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise self._failed(asset, call, told, modules.place(error)) from error
        if isinstance(answer, bool):
            return normal(due) if answer else ()
        spans = _spans(answer)
        if spans is None:
            told = f"it returned {'nothing' if answer is None else f'a {type(answer).__name__}'}"
            raise self._failed(asset, call, told + ", not True, False or a list of intervals", None)
        return common(due, spans)

    def _failed(self, asset: AssetName, call: Call, told: str, place: tuple[Path, int] | None) -> ModelError:
        where = Where(*place) if place else None
        at = f" ({where.path.relative_to(self._root)}:{where.line})" if where else ""
        message = f"signal {call.name} of {asset} failed: {told}{at}"
        return ModelError(message, asset=asset, where=where, hint="correct the signal")

    def _load(self) -> tuple[Code, dict[str, Signal]]:
        """Raises ``ModelError``: a file fails when it is imported, or two signals have one name."""
        if self._found is None:
            own, library = (sorted(scan(self._root, folder, ".py")) for folder in (FOLDER, LIBRARY))
            modules = code(self._root, {path: self._text(path) for path in (*own, *library)})
            found: dict[str, Signal] = {}
            places: dict[str, str] = {}
            for path in own:
                for name, signal in self._signals(modules, path):
                    if name in found:
                        message = f"signal {name} is defined in {places[name]} and in {path}"
                        raise ModelError(message, where=Where(self._root / path), hint="rename one of them")
                    found[name], places[name] = signal, path
            self._found = modules, found
        return self._found

    def _signals(self, modules: Code, path: str) -> list[tuple[str, Signal]]:
        try:
            module = modules.load(module_name(path))
        except (Exception, SystemExit) as error:
            file, line = modules.place(error) or (self._root / path, getattr(error, "lineno", None) or 1)
            hint = "correct the file"
            if isinstance(error, ModuleNotFoundError) and (error.name or "").startswith("sqlmesh"):
                hint = "write: from anabranch import signal"
            message = f"{path} can't be imported: {type(error).__name__}: {error}"
            raise ModelError(message, where=Where(file, line), hint=hint) from error
        own = [v for v in vars(module).values() if getattr(v, "__module__", "") == module.__name__]
        return [(name, v) for v in own if isinstance(name := getattr(v, SIGNAL, None), str)]

    def _text(self, path: str) -> str:
        try:
            return (self._root / path).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise unreadable(self._root, path, error) from error
        except UnicodeDecodeError as error:
            raise ModelError(f"{path} isn't UTF-8", where=Where(self._root / path), hint="save it as UTF-8") from error


def _spans(answer: object) -> list[Span] | None:
    """What a signal returned, as spans; None where it is something else."""
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        return None
    found: list[Span] = []
    for each in answer:
        if not isinstance(each, Sequence) or len(each) != 2 or not all(isinstance(at, datetime) for at in each):
            return None
        found.append((seconds(each[0]), seconds(each[1])))
    return found
