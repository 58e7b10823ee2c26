"""One connection to the ClickHouse within this process."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from anabranch.engines.clickhouse.errors import decoded, told
from anabranch.engines.clickhouse.house import FAILURES, HOUSE
from anabranch.engines.clickhouse.native import blocks
from anabranch.engines.clickhouse.settings import assigned
from anabranch.engines.clickhouse.transport import Answer
from anabranch.errors import WarehouseUnavailable

_WHOLE = re.compile(r"\s*(SHOW|DESCRIBE|DESC|EXPLAIN|EXISTS)\b", re.IGNORECASE)
"""Statements whose answers can't be streamed. What else can't is found out, which takes a new connection."""


class Embedded:
    """See :class:`anabranch.engines.clickhouse.transport.Transport`."""

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
            except FAILURES as error:
                self.close()
                raise told(decoded(error), str(self._path)) from error

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """After a failure, or Ctrl-C, the connection is made anew: else the next answer begins with what the failed
        one had written so far."""
        if HOUSE.is_forked or self._connection is None:
            raise WarehouseUnavailable(f"the connection to {self._path} is gone", hint="run the command again")
        try:
            yield
        except KeyboardInterrupt:
            self._connect()
            raise
        except FAILURES as error:
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
        if _WHOLE.match(statement):
            yield self._whole(statement, form)
            return
        with self._errors():
            try:
                self._stream = stream = self._connection.send_query(statement, form)
                part = stream.fetch()
            except FAILURES as error:
                if "Streaming query is not supported" not in decoded(error):
                    raise
                self._connect()
                stream = None
        if stream is None:
            yield self._whole(statement, form)
            return
        while part is not None:
            yield part.bytes()
            if self._stream is not stream:
                raise told("Code: 394. DB::Exception: the answer was let go (QUERY_WAS_CANCELLED)", str(self._path))
            with self._errors():
                part = stream.fetch()
        self._stream = None

    def _whole(self, statement: str, form: str) -> bytes:
        with self._errors():
            return bytes(self._connection.query(statement, form).bytes())

    def arrow(self, query: str) -> tuple[Any, Iterator[Any]]:
        import pyarrow

        chunks = self._chunks(query, "ArrowStream")
        first = next(chunks, b"")
        if not first:  # there are no rows: asked at once, ClickHouse tells the columns all the same
            first = self._whole(query, "ArrowStream")
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
