"""Equal fingerprints mean equal data: random graphs of models, changed at random, run on DuckDB."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from random import Random

import duckdb
import pytest
from tests.sql.columns.graphs import DATA, SOURCES, Generator, Models, Writer
from tests.sql.columns.linking import Made, make, source

from anabranch.domain.snapshot import Published
from anabranch.sql.columns.values import Listing

ROUNDS = int(os.environ.get("ANABRANCH_FUZZ", "60"))
"""Graphs a test; more for a longer run."""
UPSTREAMS = {name: source(name, dict.fromkeys(columns, "")) for name, columns in SOURCES.items()}
LISTINGS = {name: Listing(columns, is_source=True) for name, columns in SOURCES.items()}


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute("create schema raw")
    for name, query in DATA.items():
        connection.execute(f"create table {name} as {query}")
    yield connection
    connection.close()


def texts(models: Models, random: Random | None = None) -> dict[str, str]:
    writer = Writer(random)
    return {name: writer.model(model) for name, model in models.items()}


def made_of(queries: dict[str, str]) -> Made:
    listings = {name: Listing(columns, is_closed=True) for name, columns in SOURCES.items()}
    return make(queries, UPSTREAMS, listings)


def build(
    connection: duckdb.DuckDBPyConnection, queries: dict[str, str], made: Made, there: dict[str, str], side: str
) -> dict[str, str]:
    """A table for each model, as an environment would have it. What isn't stable is shared with the other side, as tables
    are; what is stable is made again, so that it can be compared. ``there``: tables by fingerprint."""
    connection.execute("drop schema if exists m cascade")
    connection.execute("create schema m")
    tables: dict[str, str] = {}
    for name, query in queries.items():
        found, analysis = made.linked[name], made.analyses[name]
        unstable = analysis.has_unstable_rows or any(o.is_unstable for o in analysis.outputs)
        table = f"main.{side}_{name.split('.')[1]}"
        if unstable and found.fingerprint in there:
            table = there[found.fingerprint]
        else:
            connection.execute(f"create or replace table {table} as {query}")
        there[found.fingerprint] = table
        tables[name] = table
        connection.execute(f"create view {name} as select * from {table}")
    return tables


def rows(connection: duckdb.DuckDBPyConnection, table: str, columns: list[str]) -> Counter[str]:
    shown = ", ".join(f'"{c}"' for c in columns) or "1"
    return Counter(map(repr, connection.execute(f"select {shown} from {table}").fetchall()))


def check(connection: duckdb.DuckDBPyConnection, all_: list[tuple[str, Published]]) -> int:
    """Whatever has equal fingerprints has equal data, by columns together; gives how many pairs there were."""
    count = 0
    for i, (table, published) in enumerate(all_):
        for other_table, other in all_[i + 1 :]:
            if published.rows != other.rows or table == other_table:
                continue
            assert published.columns is not None
            assert other.columns is not None
            there = {f: c for c, f in other.columns.items() if c}
            common = [(c, there[f]) for c, f in published.columns.items() if c and f in there]
            one = rows(connection, table, [c for c, _ in common])
            two = rows(connection, other_table, [c for _, c in common])
            assert one == two, f"{table} and {other_table} differ in {common}"
            count += 1
    return count


def test_equal_fingerprints_mean_equal_data(warehouse: duckdb.DuckDBPyConnection) -> None:
    compared = wrong = 0
    for seed in range(ROUNDS):
        random = Random(seed)
        generator = Generator(random)
        before = generator.project()
        after = generator.mutated(generator.mutated(before) if random.random() < 0.3 else before)
        there: dict[str, str] = {}
        known: list[tuple[str, Published]] = [(n, u.published) for n, u in UPSTREAMS.items()]
        said = []
        for side, models in (("before", before), ("after", after)):
            queries = texts(models, random)
            said.append(queries)
            made = made_of(queries)
            try:
                tables = build(warehouse, queries, made, there, side)
            except duckdb.Error:  # types that don't go together
                wrong += 1
                continue
            known += [(tables[n], made.linked[n].published) for n in queries]
        try:
            compared += check(warehouse, known)
        except AssertionError as error:
            pytest.fail(f"seed {seed}: {error}\n" + "\n".join(f"{n}: {q}" for s in said for n, q in s.items()))
    assert compared > ROUNDS
    assert wrong < ROUNDS / 2


def test_what_cannot_matter_changes_nothing() -> None:
    for seed in range(ROUNDS):
        models = Generator(Random(seed)).project()
        plain, other = made_of(texts(models)), made_of(texts(models, Random(seed + 1)))
        for name in models:
            assert plain.linked[name] == other.linked[name], texts(models)[name]
            assert plain.analyses[name].logic == other.analyses[name].logic


def test_a_column_that_nobody_reads_changes_nobody() -> None:
    for seed in range(ROUNDS):
        random = Random(seed)
        models = Generator(random).project()
        target = random.choice(sorted(models))
        model = models[target]
        if (
            model.union
            or model.select.grouped is not None
            or model.select.distinct
            or any(
                s.star and s.sources[0].relation == target
                for m in models.values()
                for s in [m.select, *(c for _, c in m.ctes)]
            )
        ):
            continue
        item = (("num", 7), "not_read")
        changed = {**models, target: replace(model, select=replace(model.select, items=(*model.select.items, item)))}
        one, other = made_of(texts(models)), made_of(texts(changed))
        assert one.linked[target].fingerprint != other.linked[target].fingerprint
        unstable = one.analyses[target].has_unstable_rows or any(o.is_unstable for o in one.analyses[target].outputs)
        for name in models if not unstable else ():
            if name != target:
                assert one.linked[name] == other.linked[name], (target, texts(models))
