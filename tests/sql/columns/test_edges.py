"""What lineage and lint say of queries is true: random graphs of models, run on DuckDB."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from random import Random

import duckdb
import pytest
from tests.sql.columns.graphs import DATA, SOURCES, Generator, Models, Writer
from tests.sql.columns.linking import Made, make, source

from anabranch.domain.lineage import ROWS, Decides, Part, walk
from anabranch.domain.names import AssetName
from anabranch.domain.remarks import Sort
from anabranch.sql.columns.edges import Deciding, edges
from anabranch.sql.columns.remarks import remarks
from anabranch.sql.columns.values import Listing
from anabranch.sql.syntax import single

ROUNDS = int(os.environ.get("ANABRANCH_FUZZ", "40"))
UPSTREAMS = {name: source(name, dict.fromkeys(columns, "")) for name, columns in SOURCES.items()}
LISTINGS = {AssetName(name): Listing(columns, is_closed=True) for name, columns in SOURCES.items()}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def texts(models: Models) -> dict[str, str]:
    writer = Writer(None)
    return {name: writer.model(model) for name, model in models.items()}


def build(connection: duckdb.DuckDBPyConnection, queries: dict[str, str], changed: Part | None) -> None:
    """All tables anew; of one column of a source, other values."""
    for schema in ("raw", "m"):
        connection.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
    for name, query in DATA.items():
        more = ""
        if changed is not None and changed.asset == name:
            column = changed.column
            other = (
                f"case {column} when 'p' then 'q' else 'p' end" if column == "s" else f"coalesce({column}, 3) % 4 + 1"
            )
            more = f" replace ({other} as {column})"
        connection.execute(f"create table {name} as select *{more} from ({query})")
    for name, query in queries.items():
        connection.execute(f"create table {name} as {query}")


def graph(made: Made) -> dict[Part, dict[Part, Decides]]:
    def of(deciding: Deciding) -> dict[Part, Decides]:
        return {Part(AssetName(a), c): how for (a, c), how in deciding.items()}

    parts: dict[Part, dict[Part, Decides]] = {}
    for name, analysis in made.analyses.items():
        found, rows = edges(analysis), Part(AssetName(name), ROWS)
        parts[rows] = of(found.rows)
        parts |= {Part(rows.asset, c): {**of(d), rows: Decides.ROWS} for c, d in found.columns.items()}
    return parts


def decides(parts: Mapping[Part, Mapping[Part, Decides]], column: Part) -> Collection[Part]:
    return walk(column, lambda part: parts.get(part, {})).distances


def steady(made: Made) -> list[str]:
    """Models that give the same each time, as all do that they read."""
    found: list[str] = []
    for name, analysis in made.analyses.items():
        unstable = analysis.has_unstable_rows or any(o.is_unstable for o in analysis.outputs)
        if not unstable and all(u in found or u in SOURCES for u in analysis.reads):
            found.append(name)
    return found


def values(connection: duckdb.DuckDBPyConnection, part: Part) -> Counter[str]:
    return Counter(map(repr, connection.execute(f'select "{part.column}" from {part.asset}').fetchall()))


def test_what_does_not_decide_a_column_does_not_change_it(warehouse: duckdb.DuckDBPyConnection) -> None:
    untouched = touched = 0
    for seed in range(ROUNDS):
        random = Random(seed)
        queries = texts(Generator(random).project())
        made = make(queries, UPSTREAMS, {str(n): listing for n, listing in LISTINGS.items()})
        asset = random.choice(sorted(SOURCES))
        changed = Part(AssetName(asset), random.choice(SOURCES[asset]))
        parts = graph(made)
        columns = [Part(AssetName(n), o.name) for n in steady(made) for o in made.analyses[n].outputs]
        try:
            build(warehouse, queries, None)
            before = {c: values(warehouse, c) for c in columns}
            build(warehouse, queries, changed)
        except duckdb.Error:  # types that don't go together
            continue
        for column in columns:
            is_same = values(warehouse, column) == before[column]
            if changed not in decides(parts, column):
                assert is_same, f"seed {seed}: {changed} changes {column} of\n" + "\n".join(queries.values())
                untouched += 1
            touched += not is_same
    assert untouched > ROUNDS
    assert touched > ROUNDS / 10


def test_wrong_columns_are_told_of_queries_only_that_the_engine_refuses(warehouse: duckdb.DuckDBPyConnection) -> None:
    build(warehouse, {}, None)
    words = re.compile(r"(?<![\w'.\"])(?:\w+\.)?(?:id|[xyswk])(?![\w'(.\"])")
    told = silent = 0
    for seed in range(ROUNDS):
        random = Random(seed)
        (query, *_) = texts(Generator(random).project()).values()  # the first reads sources alone
        try:
            warehouse.execute(f"explain {query}")
        except duckdb.Error:  # types that don't go together
            continue
        for text in (query, *(_renamed(query, words, random) for _ in range(4))):
            found = [s for s in _remarks(text) if s in (Sort.UNKNOWN_COLUMN, Sort.AMBIGUOUS_COLUMN)]
            if found:
                with pytest.raises((duckdb.BinderException, duckdb.NotImplementedException)):
                    warehouse.execute(f"explain {text}")
                told += 1
            else:
                silent += 1
    assert told > ROUNDS / 4
    assert silent > ROUNDS / 4


def _renamed(query: str, words: re.Pattern[str], random: Random) -> str:
    """With the name of one column replaced by another's."""
    places = list(words.finditer(query))
    if not places:
        return query
    place = random.choice(places)
    return f"{query[: place.start()]}{random.choice(['id', 'x', 'w', 'zz'])}{query[place.end() :]}"


def _remarks(text: str) -> list[Sort]:
    statement = single(text, "duckdb")
    from anabranch.sql.columns.analysis import analyse

    analysis = analyse(statement, "main", LISTINGS)
    return [s.sort for s in remarks(statement, "main", LISTINGS, analysis)]
