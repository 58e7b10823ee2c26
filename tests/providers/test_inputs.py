"""Seeds, embedded models and sources, as a provider of models meets them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.providers.models_rig import PROD, refused

from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind
from anabranch.engines.duckdb import DuckDBSession
from anabranch.errors import ModelError, StalePlan, StatementFailed, WarehouseUnavailable
from anabranch.ports.engine import Relation
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, build, show, state

# --- seeds


def test_a_seed(models):
    provider = models.open()
    seed = models.seed(A, "id,code\n1,007\n", {"code": "VARCHAR"})
    (built,) = build(provider, seed)
    assert built.rows == 1
    assert built.columns == (("id", "BIGINT"), ("code", "VARCHAR"))
    show(provider, PROD, state(1), {A: (None, seed)})
    assert models.read(PROD, [A]) == {A: [(1, "007")]}


def test_a_seed_that_changes_between_plan_and_build(models):
    seed = models.seed(A, "id\n1\n")
    file = models.root / "seeds" / "a.csv"
    file.write_text("id\n2\n")
    error = refused(build, models.open(), seed)
    assert isinstance(error, StalePlan)
    assert error.message == "seeds/a.csv is no longer what seed sales.a was planned from"
    assert error.hint == "plan again; to go back to an earlier state, first bring that version of the file back"
    assert error.where is not None
    assert error.where.path == file
    assert models.open().probe(seed) is Outcome.NOT_APPLIED


def test_a_seed_that_changes_while_it_is_read(models, monkeypatch):
    provider = models.open()
    seed = models.seed(A, "id\n1\n")
    load = DuckDBSession.load_csv

    def slowly(self: DuckDBSession, table: Relation, path: Path, columns: Mapping[str, str]) -> int:
        rows = load(self, table, path, columns)
        path.write_text("id\n2\n")
        return rows

    monkeypatch.setattr("anabranch.engines.duckdb.session.DuckDBSession.load_csv", slowly)
    assert isinstance(refused(build, provider, seed), StalePlan)
    assert provider.probe(seed) is Outcome.NOT_APPLIED


def test_a_seed_that_is_gone(models):
    seed = models.seed(A, "id\n1\n")
    (models.root / "seeds" / "a.csv").unlink()
    error = refused(build, models.open(), seed)
    assert isinstance(error, ModelError)
    assert error.message == "seed sales.a can't be read: No such file or directory"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("id,name\n1,a\n2,b,c\n", 3, "line 3 has another number of values (3) than the header (2)"),
        ('id,name\n1,"a\n', 2, "line 2 can't be read: unexpected end of data"),
    ],
)
def test_a_seed_that_is_no_csv(models, content, line, message):
    error = refused(build, models.open(), models.seed(A, content))
    assert isinstance(error, StatementFailed)
    assert error.message == message
    assert error.asset == A
    assert error.where is not None
    assert str(error.where) == f"{models.root / 'seeds' / 'a.csv'}:{line}"


def test_a_seed_of_another_type_than_declared(models):
    error = refused(build, models.open(), models.seed(A, "id,name\n1,a\n", {"name": "INTEGER"}))
    assert isinstance(error, StatementFailed)
    assert "INTEGER" in error.message.upper()
    assert error.asset == A


# --- embedded models and sources


def test_embedded_models_within_each_other(models):
    provider = models.open()
    source = models.source(SOURCE)
    inner = models.model(
        AssetName("sales.within"), "SELECT content || '!' AS content FROM raw.source", source, kind=Kind.EMBEDDED
    )
    outer = models.model(
        AssetName("sales.around"),
        "WITH source AS (SELECT * FROM sales.within) SELECT content FROM source",
        inner,
        kind=Kind.EMBEDDED,
    )
    reader = models.model(A, "SELECT o.content FROM sales.around AS o JOIN sales.within USING (content)", outer, inner)
    inputs = {s.asset: s for s in (source, inner, outer)}
    provider.build(reader, inputs)
    show(provider, FEATURE, state(1), {s.asset: (None, s) for s in (source, inner, outer, reader)})
    assert models.relations("sales__feature", "raw__feature") == {"sales__feature.a", "raw__feature.source"}
    assert models.read(FEATURE, [A]) == {A: [("loaded!",)]}
    assert provider.query("SELECT * FROM sales.around", {**inputs, A: reader}, None).rows == (("loaded!",),)


def test_sources(models):
    provider = models.open()
    source = models.source(SOURCE)
    provider.check(FEATURE, {SOURCE: source})
    show(provider, FEATURE, state(1), {SOURCE: (None, source)})
    assert models.read(FEATURE, [SOURCE]) == {SOURCE: [("loaded",)]}, "the environment is complete"
    assert show(provider, PROD, state(1), {SOURCE: (None, source)}) == 0, "it stands there under its own name"
    assert models.read(PROD, [SOURCE]) == {SOURCE: [("loaded",)]}
    show(provider, PROD, None, {SOURCE: (source, None)})
    show(provider, FEATURE, None, {SOURCE: (source, None)})
    assert models.relations("raw") == {"raw.source"}


def test_a_source_that_is_missing(models):
    models.run("CREATE SCHEMA raw")
    error = refused(models.open().check, PROD, {SOURCE: models.source(SOURCE, missing=True)})
    assert isinstance(error, ModelError)
    assert error.message == f"source raw.source isn't in {models.engine.place}"
    assert error.hint == "load it, or correct sources: raw.source in anabranch.yaml"
    assert error.asset == SOURCE


def test_a_source_that_lacks_a_column(models):
    error = refused(models.open().check, PROD, {SOURCE: models.source(SOURCE, columns="CONTENT,amount")})
    assert isinstance(error, ModelError)
    assert error.message == "source raw.source has no column amount"
    assert error.hint == "correct sources: raw.source in anabranch.yaml; it has content"


def test_sources_without_a_warehouse(models):
    source = models.source(SOURCE, missing=True)
    error = refused(models.open().check, PROD, {SOURCE: source})
    assert isinstance(error, WarehouseUnavailable)
    assert error.message == f"{models.engine.place} doesn't exist, and raw.source should be in it"
    assert not models.engine.exists(), "looking makes nothing"
    models.open().check(PROD, {A: models.snapshot(A, 1)})
    assert not models.engine.exists()
