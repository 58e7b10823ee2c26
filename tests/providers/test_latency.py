"""What an environment costs where every statement takes long and commits by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.plain import CloningDuckDB, PlainDuckDB

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import physical_location
from anabranch.domain.snapshot import Definition, Kind, Snapshot
from anabranch.ports.provider import Move
from anabranch.providers.models import ModelsProvider
from anabranch.providers.standing import relation
from anabranch.testing.provider_helpers import show, shown_by, state

PROD, FEATURE = EnvironmentName("prod"), EnvironmentName("feature")
VIEWS, CONNECTIONS = 240, 32


def model(number: int, version: int = 1) -> Snapshot:
    asset = AssetName(f"sales.t{number}")
    fingerprint = Fingerprint(digest(f"{asset} {version}".encode()))
    location = physical_location(asset, fingerprint)
    return Snapshot(asset, Kind.FULL, "models", fingerprint, fingerprint, location, definition=Definition("SELECT 1"))


def provider_on(engine: PlainDuckDB, root: Path) -> ModelsProvider:
    return ModelsProvider(engine, root=root, trunk=PROD, default_schema="main", connections=CONNECTIONS)


def stand(engine: PlainDuckDB, *snapshots: Snapshot) -> None:
    """Has a table stand at each location."""
    with engine.session() as session:
        session.create_schemas({relation(s.location).schema for s in snapshots})
        for each in snapshots:
            session.create_table(relation(each.location), "SELECT 1 AS x")


def targets(engine: PlainDuckDB, schema: str) -> dict[str, str]:
    with engine.session(read_only=True) as session:
        return {view.name: str(target) for view, target in session.targets([schema]).items()}


def test_views_are_made_many_at_a_time_by_a_statement_each(tmp_path: Path):
    engine = PlainDuckDB(tmp_path / "w.duckdb")
    models = [model(n) for n in range(VIEWS)]
    stand(engine, *models)
    provider = provider_on(engine, tmp_path)
    engine.statements, engine.most, engine.delay = 0, 0, 0.05
    assert show(provider, FEATURE, state(1), {m.asset: (None, m) for m in models}) == VIEWS
    assert engine.most > CONNECTIONS / 2
    assert engine.statements < VIEWS + 25
    engine.delay = 0
    assert targets(engine, "sales__feature") == {f"t{n}": m.location for n, m in enumerate(models)}
    assert shown_by(provider, FEATURE) == state(1)


def test_what_stands_already_is_not_set_again(tmp_path: Path):
    engine = PlainDuckDB(tmp_path / "w.duckdb")
    models = [model(n) for n in range(VIEWS)]
    stand(engine, *models)
    provider = provider_on(engine, tmp_path)
    with engine.session() as session:  # as a command left them that was killed
        session.create_schemas(["sales__feature"])
        session.point({provider.shown_at(FEATURE, m.asset): relation(m.location) for m in models[:200]})
    engine.statements = 0
    assert show(provider, FEATURE, state(1), {m.asset: (None, m) for m in models}) == VIEWS
    assert engine.statements < 40 + 25
    assert len(targets(engine, "sales__feature")) == VIEWS


def test_a_schema_of_views_is_cloned_whole(tmp_path: Path):
    engine = CloningDuckDB(tmp_path / "w.duckdb")
    models = [model(n) for n in range(VIEWS)]
    mine = [model(0, 2), *models[1:-1]]  # one differs, one isn't there
    stand(engine, *models, mine[0])
    provider = provider_on(engine, tmp_path)
    show(provider, PROD, state(1), {m.asset: (None, m) for m in models})
    engine.statements = 0
    assert show(provider, FEATURE, state(2), {m.asset: (None, m) for m in mine}) == VIEWS - 1
    assert engine.statements < 40
    assert targets(engine, "sales__feature") == {m.asset.split(".")[1]: m.location for m in mine}


def test_a_schema_with_a_table_in_it_is_not_cloned(tmp_path: Path):
    engine = CloningDuckDB(tmp_path / "w.duckdb")
    models = [model(n) for n in range(10)]
    stand(engine, *models)
    provider = provider_on(engine, tmp_path)
    show(provider, PROD, state(1), {m.asset: (None, m) for m in models})
    with engine.session() as session:
        session.create_table(provider.shown_at(PROD, AssetName("sales.mine")), "SELECT 1 AS x")
    show(provider, FEATURE, state(2), {m.asset: (None, m) for m in models})
    with engine.session() as session:
        assert session.describe(provider.shown_at(FEATURE, AssetName("sales.mine"))) is None
    assert len(targets(engine, "sales__feature")) == 10


@pytest.mark.parametrize("stops", [1, 7, 13, 20])
def test_a_move_that_breaks_off_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: int):
    engine = PlainDuckDB(tmp_path / "w.duckdb")
    models = [model(n) for n in range(12)]
    stand(engine, *models)
    provider = provider_on(engine, tmp_path)
    left = stops

    class Stopped(Exception):
        pass

    real = engine.counted

    def counted():
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        return real()

    with provider.prepare(FEATURE, lambda before: Move(state(1), {m.asset: (None, m) for m in models})) as prepared:
        monkeypatch.setattr(engine, "counted", counted)
        with pytest.raises(Stopped):
            prepared.commit()
    monkeypatch.undo()
    assert shown_by(provider, FEATURE) is None, "it isn't said to be shown before it is"
    show(provider, FEATURE, state(1), {m.asset: (None, m) for m in models})
    assert len(targets(engine, "sales__feature")) == 12
    assert shown_by(provider, FEATURE) == state(1)
