"""DuckDB's errors as Anabranch's, in plain words where people can do something about them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from anabranch.errors import StatementFailed, WarehouseUnavailable


def first_line(error: Exception) -> str:
    """What an error says first; its class where it says nothing."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def shut(place: str) -> WarehouseUnavailable:
    """``place`` could be opened, its folder can't be written."""
    return WarehouseUnavailable(
        f"{place} lies in a folder that can't be written", hint="DuckDB keeps its log beside the database"
    )


@contextlib.contextmanager
def errors(place: str) -> Iterator[None]:
    """Raises what DuckDB raises as an error of ours."""
    import duckdb  # already loaded here: there is a connection

    try:
        yield
    except duckdb.Error as error:
        text = str(error).strip()
        if "No space left" in text or "File too large" in text or "database or disk is full" in text:
            raise WarehouseUnavailable(
                f"no space left for {place}: {first_line(error)}",
                hint="make room (anabranch gc drops what nobody reads), then run it again",
            ) from error
        if f"{place}.wal" in text and ("Permission denied" in text or "Read-only file system" in text):
            raise shut(place) from error
        raise StatementFailed(text, kind=type(error).__name__) from error
