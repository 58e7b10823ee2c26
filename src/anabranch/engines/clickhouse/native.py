"""Rows in ClickHouse's own form, ``Native``, as Python's values: by the decoder of clickhouse-connect."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from anabranch.engines.clickhouse.errors import told
from anabranch.engines.clickhouse.transport import Answer
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Row


class _Source:
    """Parts of an answer, as the decoder reads them. ``exception_tag``: around an error that came amid the rows."""

    def __init__(self, parts: Iterator[bytes], tag: str | None) -> None:
        self.exception_tag = tag
        self.last_message: bytes | None = None
        self.gen = self._noted(parts)

    def _noted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        for part in parts:
            if part:
                self.last_message = part
                yield part

    def close(self) -> None:
        return None


def blocks(parts: Iterator[bytes], place: str, tag: str | None = None) -> Answer:
    """Columns and rows of an answer that comes in ``parts``. An error that ``parts`` raises passes."""
    from clickhouse_connect.driver.ctypes import RespBuffCls
    from clickhouse_connect.driver.exceptions import Error
    from clickhouse_connect.driver.query import QueryContext
    from clickhouse_connect.driver.transform import NativeTransform

    def failed(error: Any) -> Exception:
        text = str(error)
        return told(text, place) if "Code:" in text else StatementFailed(text, kind=type(error).__name__)

    decoder: Any = NativeTransform
    buffer: Any = RespBuffCls
    context: Any = QueryContext(query="SELECT", tz_mode="schema", streaming=True)
    try:
        result: Any = decoder.parse_response(buffer(_Source(parts, tag)), context)
    except Error as error:
        raise failed(error) from error

    def rows() -> Iterator[Sequence[Row]]:
        try:
            with result.row_block_stream as stream:
                yield from stream
        except Error as error:
            raise failed(error) from error

    columns = tuple(str(c) for c in result.column_names)
    return columns, rows() if columns else iter(())


def exception_in(tail: bytes) -> str:
    """The error that stands at the end of an answer, or ``""``. After it come its length, a tag, and a mark."""
    begins = [m.start() for m in re.finditer(rb"Code: \d+\. DB::Exception", tail)]
    said = tail[begins[-1] :].partition(b"\r\n__exception__")[0].decode(errors="replace") if begins else ""
    return re.sub(r"\n\d+ \S+\s*\Z", "", said).strip()
