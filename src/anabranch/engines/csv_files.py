"""CSV files: what engines ask about one before they load it, or after they couldn't; and its rows, for engines that
read no files themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream, Relation, quoted
from anabranch.ports.grammar import Grammar


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


@contextmanager
def read(path: Path, columns: Mapping[str, str], grammar: Grammar) -> Iterator[tuple[dict[str, str], ArrowStream]]:
    """The rows of a file with a header line, and all its columns with types as ``grammar`` has them: those in
    ``columns`` as they are given there, their values as texts, the others inferred from all rows.

    Raises:
        StatementFailed: the file isn't as it should be; the message names the line.
        WarehouseError: Arrow isn't installed.
    """
    from anabranch.engines.duckdb import DuckDBEngine

    memory = DuckDBEngine(Path(":memory:"))
    file = Relation("main", "anabranch_file")
    try:
        with memory.session() as session:
            session.load_csv(file, path, dict.fromkeys(columns, "VARCHAR"))
            there = session.columns(file) or ()
            given = {name.lower(): kind for name, kind in columns.items()}
            known = {
                "BIGINT": grammar.integer,
                "DOUBLE": grammar.double,
                "BOOLEAN": grammar.boolean,
                "DATE": grammar.date,
                "TIMESTAMP": grammar.timestamp,
            }
            kinds = {name: given.get(name.lower()) or known.get(kind, grammar.text) for name, kind in there}
            told = [
                quoted([name]) if kind in known else f"CAST({quoted([name])} AS VARCHAR) AS {quoted([name])}"
                for name, kind in there
            ]
            yield kinds, session.read_arrow(f"SELECT {', '.join(told)} FROM {quoted([file.schema, file.name])}")
    finally:
        memory.close()
