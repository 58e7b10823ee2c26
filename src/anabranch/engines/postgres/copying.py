"""COPY: rows that go to Postgres and come from it, as they are written in a file."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from itertools import islice
from typing import TYPE_CHECKING

from anabranch.engines.postgres.errors import explain, is_lost, lost
from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.pool import driver
from anabranch.errors import StatementFailed

if TYPE_CHECKING:
    import psycopg

    from anabranch.engines.postgres.link import Connection


def copy_in(link: Link, statement: str, data: bytes) -> None:
    """Sends rows, by a COPY … FROM STDIN."""
    text = link.text(statement)

    def work(connection: Connection) -> None:
        with connection.cursor().copy(text) as copy:
            copy.write(data)

    link.run(work)


def copy_out(link: Link, statement: str, rows: int) -> Generator[bytes, None, None]:
    """What a COPY … TO STDOUT writes, in parts of so many ``rows``, until it is at its end or closed. Another statement
    of the session ends it, too; who reads on then gets an error."""
    text = link.text(statement)

    def work(connection: Connection, stack: contextlib.ExitStack) -> psycopg.Copy:
        return stack.enter_context(connection.cursor().copy(text))

    copy, stack = link.opened(work)
    return _parts(link, copy, stack, rows)


def _parts(link: Link, copy: psycopg.Copy, stack: contextlib.ExitStack, rows: int) -> Generator[bytes, None, None]:
    try:
        while True:
            if not link.is_open(stack):
                raise StatementFailed("the session was used for something else", kind="InvalidCursorState")
            link.running = True
            try:
                # Postgres sends row by row
                lines = [bytes(line) for line in islice(copy, rows)]
            except driver().Error as error:
                is_gone = is_lost(error, copy.connection)
                raise (lost if is_gone else explain)(error, link.address) from error
            finally:
                link.running = False
            if lines:
                yield b"".join(lines)
            if len(lines) < rows:
                return
    finally:
        if link.is_open(stack):
            link.end_stream()
