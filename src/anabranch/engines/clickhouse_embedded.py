"""ClickHouse within this process, by the package chdb: one folder at a time, which no other process opens meanwhile.

The package holds one server a process, whatever asks for it: :data:`HOUSE` says whose folder that is, and who is in it.
Verified against chdb 4.4 (ClickHouse 26.9).
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anabranch.engines.clickhouse_errors import decoded, told
from anabranch.engines.clickhouse_native import blocks
from anabranch.engines.clickhouse_settings import assigned
from anabranch.engines.clickhouse_transport import Answer
from anabranch.errors import WarehouseBusy, WarehouseUnavailable

Patience = Callable[[str], None]
"""Told once, by whom the folder is held, when a session has to wait."""

_AT_ONCE = "database_atomic_delay_before_drop_table_sec=0"
"""A dropped table's files go at once, not after 8 minutes that this process won't live."""
_FAILURES = (RuntimeError, UnicodeDecodeError)
"""What chdb raises; the second where its message holds bytes that aren't UTF-8."""


class House:
    """This process's ClickHouse. Its lock is held for moments only, never while somebody waits."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.path: Path | None = None
        self.keepers: set[object] = set()
        """Who wants it kept open."""
        self.inside: dict[object, int] = {}
        """Sessions, and by which thread."""
        self.is_forked = False
        self.connections: set[Any] = set()
        self._anchor: Any = None
        self._lock: int | None = None
        self._was_open = False
        self._is_tidy = False

    def enter(self, session: object, keeper: object, path: Path, wait: Callable[[str], bool]) -> None:
        """Opens ``path`` for a session, if need be. ``wait``: told who is in the way; waits a moment, and says whether
        to try on."""
        while True:
            with self.changed:
                holder = self._enter(session, keeper, path)
                if holder is None:
                    return
            if not wait(holder):
                raise WarehouseBusy(
                    f"{path} is held by {holder}",
                    hint="close that process, or wait until it is done, and run the command again",
                )

    def _enter(self, session: object, keeper: object, path: Path) -> str | None:
        """Says who is in the way."""
        if self.is_forked:
            raise WarehouseUnavailable(
                f"{path} can't be opened by a process that was forked from one that had opened ClickHouse",
                hint="start processes anew (multiprocessing's method spawn)",
            )
        if self.path not in (None, path):
            if threading.get_ident() in self.inside.values():
                raise WarehouseBusy(f"{self.path} is in use by this process, which now wants {path} as well")
            if self.inside:
                return f"this process, which uses {self.path}"
            self._shut()
        if self.path is None:
            path.mkdir(exist_ok=True)
            self._lock, holder = _locked(path)
            if self._lock is None:
                return holder
            self._was_open = True
            try:
                self._anchor = self.connect(path)
            except BaseException:
                self._unlock()
                raise
            self.path, self._is_tidy = path, False
        self.keepers.add(keeper)
        self.inside[session] = threading.get_ident()
        return None

    def tidied(self, tidy: Callable[[], None]) -> None:
        """Calls ``tidy`` once since the folder was opened, before anybody writes to it."""
        with self.changed:
            if not self._is_tidy:
                tidy()
                self._is_tidy = True

    def leave(self, session: object) -> None:
        with self.changed:
            self.inside.pop(session, None)
            self.changed.notify_all()

    def release(self, keeper: object, sessions: int) -> None:
        """Closes the folder if nobody else wants it; with ``sessions`` of its own open, the keeper keeps it."""
        with self.changed:
            if not sessions:
                self.keepers.discard(keeper)
                if not self.keepers and not self.inside:
                    self._shut()

    def _shut(self) -> None:
        if self._anchor is not None:
            self.disconnect(self._anchor)
        self._anchor, self.path = None, None
        self.keepers.clear()
        self._unlock()
        self.changed.notify_all()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def connect(self, path: Path) -> Any:
        """Another connection to ``path``."""
        connection = _connected(path)
        self.connections.add(connection)
        return connection

    def disconnect(self, connection: Any) -> None:
        if not self.is_forked:
            self.connections.discard(connection)
            connection.close()

    def forked(self) -> None:
        """In a child: the server's threads weren't forked with its memory, and closing it would wait for them forever.
        What is left of it is kept, never touched."""
        self.changed = threading.Condition(threading.RLock())
        self._unlock()
        if self._was_open:
            import ctypes

            self.is_forked = True
            for connection in self.connections:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


HOUSE = House()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HOUSE.forked)


def _connected(path: Path) -> Any:
    import chdb

    driver: Any = chdb
    try:
        return driver.connect(f"{path}?{_AT_ONCE}")
    except _FAILURES as error:
        text = decoded(error)
        other = re.search(r"already initialized with path '([^']*)'", text)
        if other:
            raise WarehouseBusy(
                f"this process has ClickHouse open at {other.group(1)}, and can't open {path} as well",
                hint="close that connection of chdb first",
            ) from error
        raise WarehouseUnavailable(
            f"{path} can't be opened: {told(text, str(path)).message}",
            hint="ClickHouse wrote the reason to the terminal, and nowhere else",
        ) from error


def require_driver() -> None:
    """Raises ``WarehouseUnavailable`` where chdb or the reader of its rows isn't installed."""
    try:
        import chdb  # noqa: F401  # whether it is there
        import clickhouse_connect  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise WarehouseUnavailable(
            "ClickHouse can't be used without its drivers", hint="pip install 'anabranch[clickhouse]'"
        ) from error


def _locked(path: Path) -> tuple[int | None, str]:
    """A lock on the folder, as a descriptor to close, or who holds it. Anabranch has a file of its own for it: where
    ClickHouse doesn't get its own lock, on ``status``, it tells the terminal and nobody else. That is looked at too."""
    mine = _flocked(path / "anabranch.lock", os.O_RDWR | os.O_CREAT)
    if mine is None:
        return None, _process(path / "anabranch.lock")
    theirs = _flocked(path / "status", os.O_RDWR) if (path / "status").exists() else -1
    if theirs is None:
        os.close(mine)
        return None, _process(path / "status")
    if theirs >= 0:
        os.close(theirs)
    os.ftruncate(mine, 0)
    os.pwrite(mine, f"PID: {os.getpid()}\n".encode(), 0)
    return mine, ""


def _flocked(file: Path, how: int) -> int | None:
    import fcntl

    descriptor = os.open(file, how, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _process(lock: Path) -> str:
    """The process that a lock's file names."""
    text = program = ""
    with contextlib.suppress(OSError):
        text = lock.read_text(errors="replace")
    match = re.search(r"PID:\s*(\d+)", text)
    if match is None:
        return "another process"
    with contextlib.suppress(OSError):
        program = str(Path(f"/proc/{match.group(1)}/exe").readlink())
    return f"process {match.group(1)} ({program})" if program else f"process {match.group(1)}"


class Embedded:
    """See :class:`anabranch.engines.clickhouse_transport.Transport`."""

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self._path = path
        self._settings = dict(settings)
        self._stream: Any = None
        self._connection: Any = None
        self._connect()

    def _connect(self) -> None:
        self.close()
        self._connection = HOUSE.connect(self._path)
        if self._settings:
            try:
                self._connection.query(f"SET {assigned(self._settings)}", "Null")
            except _FAILURES as error:
                self.close()
                raise told(decoded(error), str(self._path)) from error

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """After a failure, or Ctrl-C, the connection is made anew: the answer to the next query would begin with what the
        failed one had written so far."""
        if HOUSE.is_forked or self._connection is None:
            raise WarehouseUnavailable(f"the connection to {self._path} is gone", hint="run the command again")
        try:
            yield
        except KeyboardInterrupt:
            self._connect()
            raise
        except _FAILURES as error:
            self._connect()
            raise told(decoded(error), str(self._path)) from error

    def set(self, settings: Mapping[str, str]) -> None:
        changed = {k: v for k, v in settings.items() if self._settings.get(k) != v}
        if changed:
            self.run(f"SET {assigned(changed)}")
            self._settings.update(changed)

    def run(self, statement: str) -> None:
        self.end()
        with self._errors():
            self._connection.query(statement, "Null")

    def rows(self, statement: str) -> Answer:
        return blocks(self._chunks(statement, "Native"), str(self._path))

    def _chunks(self, statement: str, form: str) -> Iterator[bytes]:
        """The answer's parts, each whole in itself. What can't be streamed (SHOW, DESCRIBE) is answered at once: it is
        refused before anything of it was done."""
        self.end()
        with self._errors():
            try:
                self._stream = stream = self._connection.send_query(statement, form)
                part = stream.fetch()
            except _FAILURES as error:
                if "Streaming query is not supported" not in decoded(error):
                    raise
                self._connect()
                yield self._connection.query(statement, form).bytes()
                return
        while part is not None:
            yield part.bytes()
            if self._stream is not stream:
                raise told("Code: 394. DB::Exception: the answer was let go (QUERY_WAS_CANCELLED)", str(self._path))
            with self._errors():
                part = stream.fetch()
        self._stream = None

    def arrow(self, query: str) -> tuple[Any, Iterator[Any]]:
        import pyarrow

        chunks = self._chunks(query, "ArrowStream")
        first = next(chunks, b"")
        if not first:  # there are no rows: asked at once, ClickHouse tells the columns all the same
            with self._errors():
                first = self._connection.query(query, "ArrowStream").bytes()
        reader = pyarrow.ipc.open_stream(first)

        def all_of_it() -> Iterator[Any]:
            yield from reader
            for chunk in chunks:
                yield from pyarrow.ipc.open_stream(chunk)

        return reader.schema, all_of_it()

    def insert(self, into: str, values: str, structure: str, data: bytes) -> None:
        with tempfile.NamedTemporaryFile(prefix="anabranch-", suffix=".arrow") as file:
            file.write(data)
            file.flush()
            name, told_structure = (_literal(text) for text in (file.name, structure))
            self.run(f"INSERT INTO {into} SELECT {values} FROM file({name}, 'ArrowStream', {told_structure})")

    def end(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None and not HOUSE.is_forked:
            with self._errors():
                stream.close()

    def close(self) -> None:
        connection, self._connection, self._stream = self._connection, None, None
        if connection is not None:
            HOUSE.disconnect(connection)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def waiting(patience: float, on_wait: Patience, is_stopped: Callable[[], bool]) -> Callable[[str], bool]:
    """See ``wait`` of :meth:`House.enter`."""
    deadline = time.monotonic() + patience
    delay, was_told = 0.005, False

    def wait(holder: str) -> bool:
        nonlocal delay, was_told
        if time.monotonic() > deadline or is_stopped():
            return False
        if not was_told:
            was_told = True
            on_wait(holder)
        time.sleep(delay)
        delay = min(delay * 1.5, 0.25)
        return True

    return wait


def stored(path: Path) -> int:
    """The bytes of all files in ``path``; those that several tables share count once."""
    seen: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                found = (Path(folder) / name).lstat()
                seen[found.st_dev, found.st_ino] = found.st_size
    return sum(seen.values())


def alone(folders: Sequence[str]) -> int:
    """The bytes of the files in ``folders`` that have no other name, as files have that clones share."""
    total = 0
    for folder in folders:
        with contextlib.suppress(OSError):
            total += sum(f.stat().st_size for f in os.scandir(folder) if f.is_file() and f.stat().st_nlink == 1)
    return total
