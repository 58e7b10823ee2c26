"""Queries of a user: what they may read, and that they never write."""

from __future__ import annotations

import pytest
from tests.providers.models_rig import refused

from anabranch.errors import Refused, UnknownUpstream
from anabranch.testing.provider_helpers import A, build


def test_a_query_reads_no_more_than_it_shows(models):
    provider = models.open()
    long = models.model(A, "SELECT range AS n FROM range(1000)")
    build(provider, long)
    answer = provider.query("SELECT n FROM sales.a ORDER BY n", {A: long}, 3)
    assert answer.columns == ("n",)
    assert answer.rows == ((0,), (1,), (2,))
    assert answer.more
    assert not provider.query("SELECT n FROM sales.a", {A: long}, 1000).more
    assert len(provider.query("SELECT n FROM sales.a", {A: long}, None).rows) == 1000
    endless = "SELECT count(*) OVER () FROM sales.a LIMIT 2"
    assert len(provider.query(endless, {A: long}, 5).rows) == 2


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO sales.a VALUES (1)",
        "COPY sales.a TO '{root}/out.csv'",
        "ATTACH '{root}/other.duckdb'",
        "PRAGMA enable_profiling",
        "SET threads = 1",
        "DROP TABLE sales.a",
        "CREATE TABLE main.x AS SELECT 1",
        "SELECT 1; DROP TABLE sales.a",
        "WITH x AS (DELETE FROM sales.a RETURNING 1) SELECT * FROM x",
        "EXPORT DATABASE '{root}/out'",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "CHECKPOINT",
        "",
    ],
)
def test_queries_that_write_are_refused(models, query):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    provider.close()
    before = {p.name: p.stat().st_mtime_ns for p in models.root.iterdir()}
    error = refused(provider.query, query.format(root=models.root), {A: snapshot}, 10)
    assert isinstance(error, Refused), error
    provider.close()
    assert {p.name: p.stat().st_mtime_ns for p in models.root.iterdir()} == before


def test_what_a_query_may_read(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    assert provider.query("FROM sales.a", {A: snapshot}, 10).rows == (("1",),)
    assert provider.query("DESCRIBE sales.a", {A: snapshot}, 10).rows[0][:2] == ("content", "VARCHAR")
    error = refused(provider.query, "SELECT * FROM sales.b", {A: snapshot}, 10)
    assert isinstance(error, UnknownUpstream)
    assert "did you mean sales.a?" in str(error.hint)
