"""What engines ask about a CSV file before they load it, or after they couldn't."""

from __future__ import annotations

import contextlib
from pathlib import Path

from anabranch.errors import StatementFailed


def require_header(path: Path) -> None:
    """Raises ``StatementFailed`` where the file has no columns; an engine may make one of its own then."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if not file.readline().removeprefix(b"\xef\xbb\xbf").strip():
            raise StatementFailed("it doesn't begin with a line of column names", hint="name the columns in line 1")


def find_fault(path: Path) -> tuple[int, str] | None:
    """The first line that can't be read as the header says, and what is wrong with it: an engine may not tell."""
    import csv  # only errors need it

    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            for row in reader:
                if row and len(row) != len(header):
                    return reader.line_num, f"has another number of values ({len(row)}) than the header ({len(header)})"
        except csv.Error as error:
            return reader.line_num, f"can't be read: {error}"
    return None
