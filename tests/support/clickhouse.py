"""A server that speaks ClickHouse's HTTP interface, for tests, where no server can be had: no package that the registries
carry holds one. Behind it is ClickHouse itself, embedded by chdb.

What it shows: that statements, settings, formats, errors and streams go rightly through the real client, and what the
real SQL engine makes of them. What it doesn't: access control (there is one password, which this module compares), the
real server's timing and compression, replication. What chdb lacks is written here by the protocol's description: the
marks around an error amid an answer, and ``input()``, which reads a file here.

Run as a program, this module is the server; it ends with its standard input, or after its time limit.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import select
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TIME_LIMIT = 1200
"""Seconds that a server lives at most."""
START_LIMIT = 60
USER, PASSWORD = "secretive", "pa:ss/wörd@%?"
TAG = "anabranchfortests"
_TRANSPORT = frozenset(
    [
        "query",
        "database",
        "default_format",
        "query_id",
        "wait_end_of_query",
        "session_id",
        "client_protocol_version",
        "compress",
        "decompress",
        "buffer_size",
        "quota_key",
        "role",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "enable_http_compression",
        "cancel_http_readonly_queries_on_client_close",
    ]
)
_INPUT = re.compile(rb"\binput\(('(?:[^'\\]|\\.)*')\) FORMAT ArrowStream\n", re.DOTALL)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*\Z", re.IGNORECASE)


@contextmanager
def server(*options: str) -> Iterator[str]:
    """The address of a running server, without user and password. ``options``: ``version=25.8`` has it say that it is of
    that version."""
    from tests.support.keepers import kept  # not in the server, which knows nothing but itself

    folder = Path(tempfile.mkdtemp(prefix="anabranch-clickhouse-"))
    try:
        with kept([sys.executable, "-I", __file__, folder / "data", *options], START_LIMIT) as answer:
            assert answer.get("port"), f"no server: {answer or 'it says nothing'}"
            yield f"http://127.0.0.1:{answer['port']}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is several writes, and each would wait for the one before
    path_of_data = ""
    version = ""

    def log_message(self, *_: Any) -> None:
        return None

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n")
        else:
            self.do_POST()

    def do_POST(self) -> None:
        body = self._body()
        if not self._is_let_in():
            self._refuse(f"Code: 516. DB::Exception: {USER}: Authentication failed. (AUTHENTICATION_FAILED)")
            return
        said = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        statement = "\n".join([*([said["query"]] if said.get("query") else []), ""]).encode() + body
        try:
            self._run(statement, said)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _is_let_in(self) -> bool:
        kind, _, told = self.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return True
        user, _, password = base64.b64decode(told).decode().partition(":")
        return user == "default" or (user, password) == (USER, PASSWORD)

    # -- statements ------------------------------------------------------------------------------------------------
    def _run(self, statement: bytes, said: dict[str, str]) -> None:
        import chdb

        with contextlib.ExitStack() as stack:
            connection = chdb.connect(f"{self.path_of_data}?database_atomic_delay_before_drop_table_sec=0")
            stack.callback(connection.close)
            given = _INPUT.search(statement)
            if given:
                file = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".arrow"))
                file.write(statement[given.end() :])
                file.flush()
                statement = (
                    statement[: given.start()] + f"file('{file.name}', 'ArrowStream', ".encode() + given.group(1) + b")"
                )
            text = statement.decode()
            if self.version:
                text = text.replace("version()", f"'{self.version}'")
            found = _FORMAT.search(text)
            form = found.group(1) if found else said.get("default_format", "TabSeparated")
            settings = {k: v for k, v in said.items() if k not in _TRANSPORT}
            try:
                if settings:
                    assigned = ", ".join(f"{k} = {_literal(v)}" for k, v in settings.items())
                    connection.query(f"SET {assigned}", "Null")
                if said.get("database"):
                    connection.query(f"USE `{said['database']}`", "Null")
                parts = _parts(connection, text, form)
                if said.get("wait_end_of_query") == "1":
                    self._answer(200, b"".join(parts), form)
                    return
                first = next(parts, b"")
            except (RuntimeError, UnicodeDecodeError) as error:
                self._refuse(str(error))
                return
            self._stream(first, parts, form)

    def _stream(self, first: bytes, parts: Iterator[bytes], form: str) -> None:
        self.send_response(200)
        self._headers(form)
        self.send_header("X-ClickHouse-Exception-Tag", TAG)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self._chunk(first)
            for part in parts:
                self._chunk(part)
        except (RuntimeError, UnicodeDecodeError) as error:
            text = f"{error} (version 26.9.2.1 (official build))\n"
            self._chunk(f"\r\n__exception__\r\n{TAG}\r\n{text}{len(text)} {TAG}\r\n__exception__\r\n".encode())
            self.close_connection = True  # amid the answer, as the server does
            return
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, part: bytes) -> None:
        if part:
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")

    def _headers(self, form: str) -> None:
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("X-ClickHouse-Format", form)
        self.send_header("X-ClickHouse-Summary", "{}")

    def _answer(self, status: int, body: bytes, form: str = "TabSeparated", code: str = "") -> None:
        self.send_response(status)
        self._headers(form)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, text: str) -> None:
        code = re.search(r"Code: (\d+)", text)
        self._answer(
            403 if "(AUTHENTICATION_FAILED)" in text else 500,
            f"{text} (version 26.9.2.1 (official build))\n".encode(errors="replace"),
            code=code.group(1) if code else "1000",
        )


def _parts(connection: Any, statement: str, form: str) -> Iterator[bytes]:
    try:
        stream = connection.send_query(statement, form)
        part = stream.fetch()
    except RuntimeError as error:
        if "Streaming query is not supported" not in str(error):
            raise
        yield connection.query(statement, form).bytes()
        return
    if form == "ArrowStream":
        yield from _one_stream(connection, statement, part, stream)
        return
    while part is not None:
        yield part.bytes()
        part = stream.fetch()


def _one_stream(connection: Any, statement: str, part: Any, stream: Any) -> Iterator[bytes]:
    """chdb's parts are whole streams each; a server's answer is one."""
    import pyarrow

    if part is None:
        yield connection.query(statement, "ArrowStream").bytes()
        return
    sink = io.BytesIO()
    writer = pyarrow.ipc.new_stream(sink, pyarrow.ipc.open_stream(part.bytes()).schema)
    while part is not None:
        for batch in pyarrow.ipc.open_stream(part.bytes()):
            writer.write_batch(batch)
        yield _taken(sink)
        part = stream.fetch()
    writer.close()
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    told = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return told


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def main(arguments: Sequence[str]) -> None:
    Handler.path_of_data, *options = arguments
    Handler.version = dict(o.split("=") for o in options).get("version", "")
    import chdb

    kept_open = chdb.connect(f"{Handler.path_of_data}?database_atomic_delay_before_drop_table_sec=0")
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    print(json.dumps({"port": http.server_address[1]}), flush=True)
    select.select([sys.stdin], [], [], TIME_LIMIT)
    del kept_open
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
