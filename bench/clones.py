"""How long a clone of ten million rows takes, and how much room, beside a copy: on ClickHouse (chdb), Delta and Iceberg.

    .venv/bin/python bench/clones.py [--rows 10000000] [--times 12] [--write]

For Delta and Iceberg it starts a Spark server of its own, which needs Java and Maven. Each engine clones a table of two
rows and the large one in turn; the last clone and the copy are read, and must hold what their source holds. ``--write``
puts the figures into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import page
from measure import MeasureError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import spark

from anabranch.engines.clickhouse import ClickHouseEngine
from anabranch.engines.spark import SparkEngine
from anabranch.ports.engine import Engine, Relation, Session

SCHEMA = "bench"
COLUMNS = ("id", "name")


@dataclass(frozen=True, slots=True)
class Case:
    """An engine and how its large table is made."""

    engine: Engine
    query: str
    then: str = ""
    """A statement that leaves nothing to be done to the table in the background."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds and bytes of one engine."""

    engine: str
    first: float
    """Of the first clone of all."""
    small: float
    """Of a table of two rows, the median of the second half."""
    large: float
    """Of the large table, the median of the second half."""
    copy: float
    size: int
    """Of the large table."""
    held: int
    """By its clone alone."""

    def row(self) -> str:
        """Of the page's table."""
        return (
            f"| {self.engine} | {self.first:.2f} | {self.small:.2f} | {self.large:.2f} | {self.held / 1000:,.0f} |"
            f" {self.copy:.1f} | {self.size / 1e6:,.0f} |"
        )


def main() -> int:
    """Measures each engine."""
    parser = argparse.ArgumentParser(prog="bench/clones.py", description="Measure clones beside copies.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=12, help="clones of each table")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    given = parser.parse_args()
    if missing := spark.missing():
        parser.error(missing)
    figures = []
    for name, started in ENGINES.items():
        with tempfile.TemporaryDirectory(prefix="anabranch-bench-") as folder, started(Path(folder)) as case:
            figures.append(_measured(name, case, given.rows, Path(folder), given.times))
        print(figures[-1], flush=True)
    if given.write:
        page.write(_section(figures, given.rows, given.times))
    return 0


@contextmanager
def _clickhouse(folder: Path) -> Iterator[Case]:
    engine = ClickHouseEngine.embedded(folder / "warehouse")
    try:
        query = "SELECT number AS id, toString(number * 7919 % 1000003) AS name FROM numbers({rows})"
        yield Case(engine, query, f"OPTIMIZE TABLE {SCHEMA}.large FINAL")
    finally:
        engine.close()


def _spark(kind: str) -> Callable[[Path], AbstractContextManager[Case]]:
    @contextmanager
    def started(folder: Path) -> Iterator[Case]:
        with spark.own_server(folder, quick_start=False) as address:
            catalog = "ice" if kind == "iceberg" else None
            yield Case(
                SparkEngine(address, table_format=kind, catalog=catalog),
                "SELECT id, CAST(id * 7919 % 1000003 AS STRING) AS name FROM range({rows})",
            )

    return started


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Case]]] = {
    "ClickHouse, embedded": _clickhouse,
    "Spark, Delta": _spark("delta"),
    "Spark, Iceberg": _spark("iceberg"),
}


def _measured(name: str, case: Case, rows: int, folder: Path, times: int) -> Figures:
    small, large = Relation(SCHEMA, "small"), Relation(SCHEMA, "large")
    with case.engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(small, "SELECT 1 AS id, 'a' AS name UNION ALL SELECT 2, 'b'")
        session.create_table(large, case.query.format(rows=rows))
        if case.then:
            session.execute(case.then)
        taken: dict[Relation, list[float]] = {small: [], large: []}
        clone = large
        for number in range(times):
            for source, seconds in taken.items():
                clone = Relation(SCHEMA, f"{source.name}_{number}")
                before = _size(folder)
                seconds.append(_timed(session, source, clone))
        held = _size(folder) - before
        copy = Relation(SCHEMA, "copied")
        began = time.perf_counter()
        session.create_table(copy, f"SELECT * FROM {session.qualify(large)}")
        copied = time.perf_counter() - began
        expected = session.content_hash(large, COLUMNS)
        if {session.content_hash(one, COLUMNS) for one in (clone, copy)} != {expected}:
            raise MeasureError(f"{name}: the clone or the copy holds other rows")
        size = session.held([large])[large].total
    half = times // 2
    return Figures(
        name,
        taken[small][0],
        statistics.median(taken[small][half:]),
        statistics.median(taken[large][half:]),
        copied,
        size,
        held,
    )


def _timed(session: Session, source: Relation, clone: Relation) -> float:
    began = time.perf_counter()
    session.clone(source, clone)
    return time.perf_counter() - began


def _size(folder: Path) -> int:
    """Bytes of all files below it, one with several names once."""
    return sum({(s.st_dev, s.st_ino): s.st_size for s in (p.lstat() for p in folder.rglob("*"))}.values())


def _section(figures: list[Figures], rows: int, times: int) -> str:
    return "\n".join(
        [
            page.CLONES,
            "",
            f"A clone of {rows:,} rows and of two rows, {times} times in turn, beside a copy of the large table. A server loads",
            "and compiles its code with its first clones: that is the first column; the next two are medians of the second half.",
            "`.venv/bin/python bench/clones.py --write` measures it again, and checks that clone and copy hold their source's",
            f"rows. On {page.where()}.",
            "",
            "| engine | first clone s | 2 rows s | all rows s | clone's own kB | copy s | table MB |",
            "| :-- | --: | --: | --: | --: | --: | --: |",
            *(one.row() for one in figures),
            "",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
