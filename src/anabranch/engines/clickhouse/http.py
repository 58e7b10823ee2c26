"""ClickHouse by its HTTP interface, with the client clickhouse-connect: a server, or a cluster behind one address.

That client repeats by itself what only reads, where the connection broke or the server had no time.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from anabranch.engines.clickhouse.errors import told
from anabranch.engines.clickhouse.native import blocks, exception_in
from anabranch.engines.clickhouse.transport import Answer
from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable

OLDEST = (26, 3)
"""The first version that computes a WITH … AS MATERIALIZED once."""
_OPTIONS = frozenset({"verify", "ca_cert", "client_cert", "client_cert_key", "server_host_name", "tls_mode"})
"""What an address may say after its question mark, for the client."""
_SILENCE = 300
"""Seconds without a sign of life after which a connection counts as lost; a statement that runs gives one."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. Only ``place`` is for people's eyes."""

    place: str
    arguments: Mapping[str, Any] = field(repr=False)


def address(url: str) -> Address:
    """``http(s)://user:password@host:port/database``.

    Raises:
        WarehouseUnavailable: it isn't one; the message doesn't repeat it, for it may hold a password.
    """
    hint = "write warehouse.database as https://user:password@host:8443/"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise WarehouseUnavailable("the address of the ClickHouse server can't be read", hint=hint) from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WarehouseUnavailable("the address of the ClickHouse server can't be read", hint=hint)
    options = dict(parse_qsl(parts.query))
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise WarehouseUnavailable(
            f"the address of the ClickHouse server has an option that isn't known: {unknown[0]}",
            hint=f"known are {', '.join(sorted(_OPTIONS))}; settings go to warehouse.settings",
        )
    port = port or (8443 if parts.scheme == "https" else 8123)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(
        f"{parts.scheme}://{host}:{port}",
        {
            "interface": parts.scheme,
            "host": parts.hostname,
            "port": port,
            "username": unquote(parts.username or "default"),
            "password": unquote(parts.password or ""),
            "database": unquote(parts.path.strip("/")) or None,
            **options,
        },
    )


def connected(where: Address) -> Any:
    """A client, which several sessions may use at a time.

    Raises:
        WarehouseUnavailable: the server is out of reach, too old, or doesn't let this user in.
    """
    try:
        import clickhouse_connect
        from clickhouse_connect import common
    except ImportError as error:
        raise WarehouseUnavailable(
            "ClickHouse can't be used without its drivers", hint="pip install 'anabranch[clickhouse]'"
        ) from error
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # its errors are told by us
    common.set_setting("max_error_size", 0)
    with _errors(where.place):
        client = clickhouse_connect.get_client(
            **where.arguments, autogenerate_session_id=False, send_receive_timeout=_SILENCE, client_name="anabranch"
        )
    found = tuple(int(part) for part in str(client.server_version).split(".")[:2])
    if found < OLDEST:
        client.close()
        raise WarehouseUnavailable(
            f"{where.place} is ClickHouse {client.server_version}",
            hint=f"Anabranch needs {'.'.join(map(str, OLDEST))} or newer",
        )
    return client


@contextlib.contextmanager
def _errors(place: str) -> Iterator[None]:
    """Raises what the client raises as an error of ours."""
    from clickhouse_connect.driver.exceptions import Error

    try:
        yield
    except Error as error:
        raise _told(error, place) from error
    except OSError as error:
        raise _lost(error, place) from error
    except Exception as error:
        if not type(error).__module__.startswith("urllib3."):  # which the client uses, and lets through while it reads
            raise
        raise _lost(error, place) from error


def _told(error: Any, place: str) -> WarehouseError:
    text = str(error).partition(" (for url ")[0]
    if text.endswith(" is readonly"):  # by the client, which has read what this user may set
        return told(f"Code: 164. DB::Exception: {text} (READONLY)", place)
    if error.code is None and "Code:" not in text:
        is_wire = error.__cause__ is not None or "HTTP status" in text or "closed" in text
        return _lost(error, place) if is_wire else StatementFailed(text, kind=type(error).__name__)
    found = told(text, place)
    if isinstance(found, StatementFailed) and error.name:
        found.kind = str(error.name)
    return found


def _lost(error: BaseException, place: str) -> WarehouseUnavailable:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    reason = str(getattr(cause, "reason", None) or cause).partition(" (for url ")[0]
    reason = reason.rpartition(": ")[2] if "object at 0x" in reason else reason
    return WarehouseUnavailable(
        f"{place} can't be reached: {reason or type(cause).__name__}",
        hint="check that the server runs, and the address and port in warehouse.database; then run the command again",
    )


class Http:
    """See :class:`anabranch.engines.clickhouse.transport.Transport`."""

    def __init__(self, client: Any, settings: Mapping[str, str], place: str) -> None:
        self._client = client
        self._settings = dict(settings)
        self._place = place
        self._stream: Any = None

    def set(self, settings: Mapping[str, str]) -> None:
        self._settings.update(settings)

    def run(self, statement: str) -> None:
        self.end()
        with _errors(self._place):
            self._client.raw_query(statement, settings=self._settings)

    def _open(self, statement: str, form: str) -> Any:
        self.end()
        with _errors(self._place):
            self._stream = self._client.raw_stream(statement, settings=self._settings, fmt=form)
        return self._stream

    def rows(self, statement: str) -> Answer:
        stream = self._open(statement, "Native")
        return blocks(_Parts(stream, self._place).all(), self._place, stream.headers.get("X-ClickHouse-Exception-Tag"))

    def arrow(self, query: str) -> tuple[Any, Iterator[Any]]:
        import pyarrow

        parts = _Parts(self._open(query, "ArrowStream"), self._place)
        with parts.errors():
            reader = pyarrow.ipc.open_stream(parts)

        def all_of_it() -> Iterator[Any]:
            with parts.errors():
                yield from reader
            self.end()

        return reader.schema, all_of_it()

    def insert(self, into: str, values: str, structure: str, data: bytes) -> None:
        quoted = structure.replace("\\", "\\\\").replace("'", "\\'")
        statement = f"INSERT INTO {into} SELECT {values} FROM input('{quoted}') FORMAT ArrowStream\n"
        self.end()
        with _errors(self._place):
            self._client.raw_insert(insert_block=statement.encode() + data, settings=self._settings, fmt="ArrowStream")

    def end(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()  # not read to its end: the server stops

    def close(self) -> None:
        self.end()


class _Parts:
    """A response, part by part, or as a file. What came last is kept, for an error may stand in it."""

    closed = False

    def __init__(self, stream: Any, place: str) -> None:
        self._stream = stream
        self._place = place
        self._all = self.all()
        self._waiting = bytearray()
        self._last = b""

    def all(self) -> Iterator[bytes]:
        try:
            with _errors(self._place):
                for part in self._stream.stream(1 << 16, decode_content=True):
                    self._last = (self._last + part)[-(1 << 16) :]
                    yield bytes(part)
        except WarehouseUnavailable:
            self._raise_told()
            raise

    def _raise_told(self) -> None:
        said = exception_in(self._last)
        if said:
            raise told(said, self._place)

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what stands in the response, where Arrow couldn't read on."""
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError) as error:
            with contextlib.suppress(WarehouseUnavailable):
                self.read()
            self._raise_told()
            raise _lost(error, self._place) from error

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._waiting) < size:
            part = next(self._all, None)
            if part is None:
                break
            self._waiting += part
        end = len(self._waiting) if size < 0 else size
        told_part = bytes(self._waiting[:end])
        del self._waiting[:end]
        return told_part

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False
