"""Models in DuckDB: a rig for the providers' suite, with more hands than the suite needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest
from tests.support.plain import PlainDuckDB

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import Suffix, physical_location
from anabranch.domain.snapshot import Definition, Input, Kind, SeedSource, Snapshot
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import AnabranchError
from anabranch.ports.engine import Relation, Session
from anabranch.providers.models import ModelsProvider
from anabranch.providers.standing import relation
from anabranch.testing.engine_helpers import text

PROD = EnvironmentName("prod")


class ModelsRig:
    """See :class:`anabranch.testing.provider_helpers.Rig`. All its providers share one engine, as a file has one in a
    process."""

    trunk = PROD

    def __init__(
        self,
        root: Path,
        *,
        kind: Kind = Kind.FULL,
        suffix: Suffix = Suffix.SCHEMA,
        database: str = "warehouse.duckdb",
    ) -> None:
        self.root = root
        self.kind = kind
        self.suffix = suffix
        self.engine = self.open_engine(root / database)

    def open_engine(self, path: Path) -> DuckDBEngine:
        return DuckDBEngine(path, patience=5)

    def open(self) -> ModelsProvider:
        return ModelsProvider(
            self.engine, root=self.root, trunk=PROD, default_schema="main", suffix=self.suffix, workers=4
        )

    # --- snapshots

    def snapshot(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        return self.model(asset, self._query(version, upstreams), *upstreams, kind=self.kind)

    def embedded(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        return self.model(asset, self._query(version, upstreams), *upstreams, kind=Kind.EMBEDDED)

    def broken(self, asset: AssetName) -> Snapshot:
        late = "SELECT if(n = 200000, error('as asked for'), 'fine') AS content FROM range(200001) AS r(n)"
        return self.model(asset, late)

    def source(self, asset: AssetName, *, missing: bool = False, columns: str = "content") -> Snapshot:
        if not missing:
            self.run(f"CREATE SCHEMA IF NOT EXISTS {asset.split('.')[0]}")
            self.run(f"CREATE TABLE IF NOT EXISTS {asset} AS SELECT 'loaded' AS content")
        fingerprint = Fingerprint(digest(asset.encode()))
        return Snapshot(
            asset, Kind.EXTERNAL, "models", fingerprint, fingerprint, asset, properties={"columns": columns}
        )

    def seed(self, asset: AssetName, content: str, columns: Mapping[str, str] | None = None) -> Snapshot:
        path = f"seeds/{asset.split('.')[1]}.csv"
        file = self.root / path
        file.parent.mkdir(exist_ok=True)
        file.write_text(content)
        source = SeedSource(digest(content.encode()), columns or {})
        fingerprint = Fingerprint(digest(source.encode().encode()))
        location = physical_location(asset, fingerprint)
        definition = Definition(source.encode(), "", path)
        return Snapshot(asset, Kind.SEED, "models", fingerprint, fingerprint, location, definition=definition)

    def model(self, asset: AssetName, query: str, *upstreams: Snapshot, kind: Kind = Kind.FULL) -> Snapshot:
        over = {u.asset: Input(u.fingerprint) for u in upstreams}
        logic = Fingerprint(digest(query.encode()))
        fingerprint = Fingerprint(digest(repr((asset, logic, kind, over)).encode()))
        location = "" if kind is Kind.EMBEDDED else physical_location(asset, fingerprint)
        definition = Definition(query, "duckdb", f"models/{asset.replace('.', '/')}.sql")
        return Snapshot(asset, kind, "models", fingerprint, logic, location, over, definition=definition)

    def _query(self, version: int, upstreams: Collection[Snapshot]) -> str:
        read = [f"(SELECT max(content) FROM {u.asset})" for u in upstreams]
        return f"SELECT concat_ws(' ', {', '.join([str(version), *read])}) AS content"

    # --- hands

    def run(self, statement: str) -> None:
        with self.engine.session() as session:
            session.execute(statement)

    def place(self, environment: EnvironmentName, asset: AssetName) -> Relation:
        return self.open().shown_at(environment, asset)

    def read(self, environment: EnvironmentName, assets: Collection[AssetName]) -> dict[AssetName, object]:
        with self.engine.session(read_only=self.engine.exists()) as session:
            session.begin()
            found: dict[AssetName, object] = {}
            for asset in assets:
                place = self.place(environment, asset)
                if session.describe(place) is not None:
                    found[asset] = session.query(f"SELECT * FROM {text(session, place)}").rows
            session.rollback()
            return found

    def write(self, environment: EnvironmentName, asset: AssetName, content: str) -> None:
        with self.engine.session() as session:
            place = text(session, self.place(environment, asset))
            session.execute(f"INSERT INTO {place} VALUES ({session.grammar.literal(content)})")

    def lose(self, environment: EnvironmentName, asset: AssetName) -> None:
        with self.engine.session() as session:
            session.drop([self.place(environment, asset)])

    def remove(self, location: str) -> None:
        with self.engine.session() as session:
            session.drop([relation(location)])

    def alter(self, location: str) -> None:
        with self.engine.session() as session:
            place = text(session, self.holds(session, relation(location)))
            if self.kind is Kind.VIEW:
                session.execute(f"CREATE OR REPLACE VIEW {place} AS SELECT 'by hand' AS content, 1 AS more")
            else:
                session.execute(f"ALTER TABLE {place} ADD COLUMN more INTEGER")

    def unpoint(self, environment: EnvironmentName, asset: AssetName) -> None:
        with self.engine.session() as session:
            session.execute(f"DROP VIEW {text(session, self.place(environment, asset))}")

    def repoint(self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        with self.engine.session() as session:
            session.point({self.place(environment, asset): relation(snapshot.location)})

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        with self.engine.session() as session:
            place = self.place(environment, asset)
            session.create_schemas([place.schema])
            session.create_table(place, "SELECT 'mine' AS content")

    def holds(self, session: Session, place: Relation) -> Relation:
        """The table that stands at a location."""
        return place

    # --- eyes

    def relations(self, *schemas: str) -> set[str]:
        with self.engine.session(read_only=True) as session:
            return {str(f.relation) for f in session.find(schemas or session.schemas())}

    def schemas(self) -> set[str]:
        with self.engine.session(read_only=True) as session:
            return set(session.schemas())


def refused(call: object, *arguments: object) -> AnabranchError:
    assert callable(call)
    with pytest.raises(AnabranchError) as caught:
        call(*arguments)
    return caught.value


class PlainModelsRig(ModelsRig):
    """Models in a warehouse without transactions."""

    def open_engine(self, path: Path) -> DuckDBEngine:
        return PlainDuckDB(path)

    def holds(self, session: Session, place: Relation) -> Relation:
        return session.targets([place.schema]).get(place) or place
