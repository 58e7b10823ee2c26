from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import Suffix, physical_location
from anabranch.domain.snapshot import Definition, Input, Kind, SeedSource, Snapshot
from anabranch.engines.duckdb import DuckDBEngine, DuckDBSession
from anabranch.errors import (
    AnabranchError,
    ModelError,
    Refused,
    StalePlan,
    StatementFailed,
    UnknownUpstream,
    WarehouseUnavailable,
)
from anabranch.ports.engine import Relation, Session, quoted
from anabranch.ports.provider import Built, Expectation, Fault, Move
from anabranch.providers.models import ModelsProvider
from anabranch.providers.standing import relation
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, B, Rig, build, show, shown_by, state
from anabranch.testing.provider_suite import ProviderSuite

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
        self.engine = DuckDBEngine(root / database, patience=5)

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
                    found[asset] = session.query(f"SELECT * FROM {name(session, place)}").rows
            session.rollback()
            return found

    def remove(self, location: str) -> None:
        with self.engine.session() as session:
            session.drop([relation(location)])

    def alter(self, location: str) -> None:
        with self.engine.session() as session:
            place = name(session, relation(location))
            if self.kind is Kind.VIEW:
                session.execute(f"CREATE OR REPLACE VIEW {place} AS SELECT 'by hand' AS content, 1 AS more")
            else:
                session.execute(f"ALTER TABLE {place} ADD COLUMN more INTEGER")

    def unpoint(self, environment: EnvironmentName, asset: AssetName) -> None:
        with self.engine.session() as session:
            session.execute(f"DROP VIEW {name(session, self.place(environment, asset))}")

    def repoint(self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        with self.engine.session() as session:
            session.point({self.place(environment, asset): relation(snapshot.location)})

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        with self.engine.session() as session:
            place = self.place(environment, asset)
            session.create_schemas([place.schema])
            session.create_table(place, "SELECT 'mine' AS content")

    # --- eyes

    def relations(self, *schemas: str) -> set[str]:
        with self.engine.session(read_only=True) as session:
            return {str(f.relation) for f in session.find(schemas or session.schemas())}

    def schemas(self) -> set[str]:
        with self.engine.session(read_only=True) as session:
            return set(session.schemas())


def name(session: Session, address: Relation) -> str:
    full = session.qualify(address)
    return quoted(p for p in (full.catalog, full.schema, full.name) if p)


@pytest.fixture
def models(tmp_path: Path) -> ModelsRig:
    return ModelsRig(tmp_path)


class TestModels(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path)


class TestModelsAsViews(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, kind=Kind.VIEW)


class TestModelsWithSuffixOnTables(ProviderSuite):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, suffix=Suffix.TABLE)


class TestModelsInADatabaseNamedAsTheirSchema(ProviderSuite):
    """sales.duckdb with schema sales."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, database="sales.duckdb")


class TestModelsInADatabaseNamedAsOurs(ProviderSuite):
    """anabranch.duckdb with schema anabranch."""

    @pytest.fixture
    def rig(self, tmp_path: Path) -> Rig:
        return ModelsRig(tmp_path, database="anabranch.duckdb")


def refused(call: object, *arguments: object) -> AnabranchError:
    assert callable(call)
    with pytest.raises(AnabranchError) as caught:
        call(*arguments)
    return caught.value


# --- names


def test_where_things_are(models):
    provider = models.open()
    snapshot = models.model(AssetName("sales.orders"), "SELECT 1 AS id")
    (built,) = build(provider, snapshot)
    assert built == Built(1, (("id", "INTEGER"),), "", built.seconds)
    assert snapshot.location == f"anabranch__sales.orders__{snapshot.fingerprint[:12]}"
    feature = EnvironmentName("feature_new_price")
    for environment in (PROD, feature):
        show(provider, environment, state(1), {snapshot.asset: (None, snapshot)})
    assert models.relations() == {
        snapshot.location,
        "sales.orders",
        "sales__feature_new_price.orders",
        "anabranch.environments",
    }
    with models.engine.session(read_only=True) as session:
        target = relation(snapshot.location)
        assert session.targets(["sales", "sales__feature_new_price"]) == {
            Relation("sales", "orders"): target,
            Relation("sales__feature_new_price", "orders"): target,
        }
        assert session.query("SELECT * FROM anabranch.environments ORDER BY environment").rows == [
            ("feature_new_price", state(1).commit, state(1).tree),
            ("prod", state(1).commit, state(1).tree),
        ]


def test_the_suffix_on_tables(tmp_path):
    models = ModelsRig(tmp_path, suffix=Suffix.TABLE)
    provider = models.open()
    snapshot = models.model(AssetName("sales.orders"), "SELECT 1 AS id")
    build(provider, snapshot)
    show(provider, FEATURE, state(1), {snapshot.asset: (None, snapshot)})
    assert models.relations("sales") == {"sales.orders__feature"}
    show(provider, FEATURE, None, {snapshot.asset: (snapshot, None)})
    assert models.relations("sales") == set()
    assert "sales" in models.schemas(), "others' models are shown there too"


def test_long_names(models):
    provider = models.open()
    long = AssetName(f"{'s' * 63}.{'t' * 63}")
    other = AssetName(f"{'s' * 63}.{'t' * 62}u")
    snapshots = [models.model(a, "SELECT 1 AS id") for a in (long, other)]
    assert all(len(part) <= 63 for s in snapshots for part in s.location.split("."))
    build(provider, *snapshots)
    for environment in (PROD, EnvironmentName("e" * 32)):
        show(provider, environment, state(1), {s.asset: (None, s) for s in snapshots})
        assert len(models.read(environment, [long, other])) == 2
    provider.drop([s.location for s in snapshots])


def test_an_environments_schema_goes_with_its_last_view(models):
    provider = models.open()
    a, b = models.snapshot(A, 1), models.snapshot(B, 1)
    build(provider, a, b)
    show(provider, FEATURE, state(1), {A: (None, a), B: (None, b)})
    show(provider, FEATURE, state(2), {A: (a, None)})
    assert models.relations("sales__feature") == {"sales__feature.b"}
    models.run("CREATE TABLE sales__feature.mine AS SELECT 1 AS id")
    models.run("CREATE SEQUENCE sales__feature.numbers")
    show(provider, FEATURE, None, {B: (b, None)})
    assert models.relations("sales__feature") == {"sales__feature.mine"}
    models.run("DROP TABLE sales__feature.mine")
    show(provider, FEATURE, state(3), {A: (None, a)})
    show(provider, FEATURE, None, {A: (a, None)})
    assert "sales__feature" in models.schemas(), "there is a sequence in it"
    models.run("DROP SEQUENCE sales__feature.numbers")
    show(provider, FEATURE, state(3), {A: (None, a)})
    show(provider, FEATURE, None, {A: (a, None)})
    assert "sales__feature" not in models.schemas()


# --- what isn't ours


@pytest.mark.parametrize("environment", [PROD, FEATURE])
@pytest.mark.parametrize(
    "own",
    [
        "TABLE {0} AS SELECT 1 AS id",
        "VIEW {0} AS SELECT 1 AS id",
        "VIEW {0} AS SELECT * FROM raw.data",
        "VIEW {0} AS SELECT * FROM anabranch_mine.data",
    ],
)
@pytest.mark.parametrize("spelled", ["a", '"A"'])
def test_a_users_own_relation_is_never_replaced(models, environment, own, spelled):
    provider = models.open()
    schema = models.place(environment, A).schema
    for each in ("raw", "anabranch_mine"):
        models.run(f"CREATE SCHEMA {each}")
        models.run(f"CREATE TABLE {each}.data AS SELECT 1 AS id")
    models.run(f'CREATE SCHEMA "{schema.title() if spelled == chr(34) + "A" + chr(34) else schema}"')
    models.run(f"CREATE {own.format(f'{schema}.{spelled}')}")
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    what = own.split()[0].lower()
    for call in (
        lambda: provider.check(environment, {A: snapshot}),
        lambda: show(provider, environment, state(1), {A: (None, snapshot)}),
    ):
        error = refused(call)
        assert isinstance(error, Refused)
        assert error.message == f"{schema}.a is a {what} that Anabranch didn't make, so sales.a can't be shown there"
        or_adopt = ", or take it over: anabranch adopt sales.a" if (what, schema) == ("table", "sales") else ""
        assert error.hint == f"rename that {what} or the model{or_adopt}"
        assert error.asset == A
    with models.engine.session(read_only=True) as session:
        assert session.query(f"SELECT * FROM {schema}.a").rows == [(1,)]
    assert shown_by(provider, environment) is None


def test_a_table_put_in_a_views_place_is_never_dropped(models):
    provider = models.open()
    one, two = models.snapshot(A, 1), models.snapshot(A, 2)
    build(provider, one, two)
    show(provider, PROD, state(1), {A: (None, one)})
    models.unpoint(PROD, A)
    models.take(PROD, A)
    for after in (two, one, None):
        error = refused(show, provider, PROD, state(2), {A: (one, after)})
        assert isinstance(error, Refused)
        assert error.message == "sales.a is a table that Anabranch didn't make"
        assert error.hint == "rename that table"
    assert models.read(PROD, [A]) == {A: [("mine",)]}
    assert shown_by(provider, PROD) == state(1)


def test_what_it_would_point_at_is_gone(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    models.remove(snapshot.location)
    error = refused(show, provider, FEATURE, state(1), {A: (None, snapshot)})
    assert error.message == f"{snapshot.location} is gone, so it can't be shown as sales__feature.a"
    assert "anabranch apply" in str(error.hint)
    assert shown_by(provider, FEATURE) is None


def test_an_environment_never_takes_the_place_of_another(models):
    """In prod there is sales__x.a; the environment x would show sales.a there."""
    provider, x = models.open(), EnvironmentName("x")
    in_prod = models.snapshot(AssetName("sales__x.a"), 1)
    mine = models.snapshot(A, 1)
    build(provider, in_prod, mine)
    show(provider, PROD, state(1), {in_prod.asset: (None, in_prod)})
    before = models.read(PROD, [in_prod.asset])
    for call in (
        lambda: provider.check(x, {A: mine}),
        lambda: show(provider, x, state(2), {A: (None, mine)}),
    ):
        error = refused(call)
        assert isinstance(error, Refused)
        assert error.message.startswith("sales__x.a shows another model already (over anabranch__sales__x.a__")
        assert error.hint == "rename one of them, or choose another environment's name"
    assert models.read(PROD, [in_prod.asset]) == before
    show(provider, PROD, None, {in_prod.asset: (in_prod, None)})
    show(provider, x, state(2), {A: (None, mine)})
    error = refused(show, provider, PROD, state(3), {in_prod.asset: (None, in_prod)})
    assert isinstance(error, Refused), "nor the other way round"
    assert models.read(x, [A]) == {A: [("1",)]}


def test_an_asset_named_as_if_it_lay_in_an_environment(models):
    provider, x = models.open(), EnvironmentName("x")
    plain, odd = models.snapshot(A, 1), models.snapshot(AssetName("sales__x.other"), 1)
    build(provider, plain, odd)
    show(provider, PROD, state(1), {A: (None, plain), odd.asset: (None, odd)})
    both = {A: (None, plain), odd.asset: (None, odd)}
    message = "sales__x.other is named like what environment x shows: sales__x ends in __x"
    for call in (lambda: provider.check(x, {odd.asset: odd}), lambda: show(provider, x, state(1), both)):
        error = refused(call)
        assert isinstance(error, Refused)
        assert (error.message, error.asset) == (message, odd.asset)
        assert error.hint == "rename the asset, or choose another environment's name"
    show(provider, PROD, state(2), {odd.asset: (odd, None)})
    show(provider, x, state(1), {A: (None, plain)})
    for call in (
        lambda: provider.check(PROD, {odd.asset: odd}),
        lambda: show(provider, PROD, state(3), {odd.asset: (None, odd)}),
    ):
        assert refused(call).message == message
    assert shown_by(provider, PROD) == state(2)


def test_views_that_were_set_before_the_state_was_lost(models):
    provider = models.open()
    one, two = models.snapshot(A, 1), models.snapshot(A, 2)
    source = models.source(SOURCE)
    build(provider, one, two)
    show(provider, FEATURE, state(1), {A: (None, one), SOURCE: (None, source)})
    show(provider, FEATURE, state(2), {A: (None, two), SOURCE: (None, source)})
    assert models.read(FEATURE, [A]) == {A: [("2",)]}


def test_only_what_is_among_the_physical_tables_is_dropped(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    build(provider, snapshot)
    models.take(PROD, A)
    models.run("CREATE TABLE anabranch__sales.mine AS SELECT 1 AS id")
    models.run("CREATE VIEW anabranch__sales.mine_too AS SELECT 1 AS id")
    provider.drop([snapshot.location, "sales.a", "main.nothing", "anabranch.environments"])
    assert models.relations() >= {"sales.a", "anabranch__sales.mine", "anabranch__sales.mine_too"}
    assert snapshot.location not in models.relations()
    assert provider.locations() == {"anabranch__sales.mine", "anabranch__sales.mine_too"}


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

    monkeypatch.setattr("anabranch.engines.duckdb.DuckDBSession.load_csv", slowly)
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


# --- builds


def test_a_build_that_fails_names_asset_and_file(models):
    error = refused(build, models.open(), models.broken(A))
    assert isinstance(error, StatementFailed)
    assert "as asked for" in error.message
    assert error.asset == A
    assert error.where is not None
    assert error.where.path == models.root / "models/sales/a.sql"


def test_a_model_that_reads_what_is_not_among_its_inputs(models):
    error = refused(build, models.open(), models.model(A, "SELECT * FROM sales.nothing"))
    assert isinstance(error, UnknownUpstream)
    assert error.asset == A


def test_views_are_probed_with_their_definition(models):
    provider = models.open()
    upstream = models.snapshot(A, 1)
    view = models.model(B, "SELECT content, 1 AS one FROM sales.a", upstream, kind=Kind.VIEW)
    _, built = build(provider, upstream, view)
    assert built.rows is None
    assert "content" in built.definition
    assert provider.probe(view) == Built(None, built.columns, built.definition)


def test_a_build_over_something_of_another_kind(models):
    provider = models.open()
    snapshot = models.snapshot(A, 1)
    models.run("CREATE SCHEMA anabranch__sales")
    models.run(f"CREATE VIEW {snapshot.location} AS SELECT 1 AS id")
    assert build(provider, snapshot)[0].rows == 1
    assert models.relations("anabranch__sales") == {snapshot.location}


def test_a_build_can_be_interrupted(models):
    provider = models.open()
    slow = models.model(A, "SELECT a.range + b.range AS n FROM range(1000000) AS a, range(1000000) AS b")
    outcome: list[BaseException] = []

    def work() -> None:
        try:
            build(provider, slow)
        except AnabranchError as error:
            outcome.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.2)
        provider.interrupt()
    assert isinstance(outcome[0], StatementFailed)
    assert provider.probe(slow) is Outcome.NOT_APPLIED


# --- drift


def expectation(models: ModelsRig, environment: EnvironmentName, *snapshots: Snapshot) -> Expectation:
    provider = models.open()
    built = dict(zip([s.location for s in snapshots if s.is_physical], build(provider, *snapshots), strict=True))
    show(provider, environment, state(1), {s.asset: (None, s) for s in snapshots})
    return Expectation(environment, state(1), {s.asset: s for s in snapshots}, built)


@pytest.mark.parametrize("environment", [PROD, FEATURE])
@pytest.mark.parametrize(
    ("by_hand", "fault", "detail"),
    [
        ("DROP VIEW {shown}", Fault.UNPOINTED, "view {shown} is gone"),
        ("CREATE OR REPLACE VIEW {shown} AS SELECT 1 AS id", Fault.REPOINTED, "view {shown} was replaced"),
        (
            "CREATE OR REPLACE VIEW {shown} AS SELECT * FROM {physical} LIMIT 1",
            Fault.REPOINTED,
            "view {shown} was replaced",
        ),
        ("DROP TABLE {physical}", Fault.MISSING, "{physical} is gone"),
        (
            "ALTER TABLE {physical} ADD COLUMN more INTEGER",
            Fault.ALTERED,
            "{physical} was altered: column more is INTEGER, was not there",
        ),
        (
            "ALTER TABLE {physical} DROP COLUMN two",
            Fault.ALTERED,
            "{physical} was altered: column two is gone, was INTEGER",
        ),
        (
            "ALTER TABLE {physical} ALTER COLUMN two TYPE VARCHAR",
            Fault.ALTERED,
            "{physical} was altered: column two is VARCHAR, was INTEGER",
        ),
        (
            "CREATE OR REPLACE TABLE {physical} AS SELECT 2 AS two, 1 AS one",
            Fault.ALTERED,
            "{physical} was altered: its columns have another order",
        ),
    ],
)
def test_each_kind_of_drift(models, environment, by_hand, fault, detail):
    a = models.model(A, "SELECT 1 AS one, 2 AS two")
    b = models.model(B, "SELECT 3 AS three")
    expected = expectation(models, environment, a, b)
    assert models.open().observe(expected) == []
    names = {"shown": str(models.place(environment, A)), "physical": a.location}
    models.run(by_hand.format(**names))
    (drift,) = models.open().observe(expected)
    assert (drift.fault, drift.asset, drift.detail) == (fault, A, detail.format(**names))
    assert drift.is_physical is (fault in (Fault.MISSING, Fault.ALTERED))


def test_a_physical_view_that_was_replaced(models):
    a = models.model(A, "SELECT 1 AS one")
    view = models.model(B, "SELECT one FROM sales.a", a, kind=Kind.VIEW)
    expected = expectation(models, FEATURE, a, view)
    assert models.open().observe(expected) == []
    models.run(f"CREATE OR REPLACE VIEW {view.location} AS SELECT 2 AS one")
    (drift,) = models.open().observe(expected)
    assert (drift.fault, drift.asset) == (Fault.ALTERED, B)
    assert drift.detail == f"{view.location} was altered: its definition is another"


def test_an_environment_that_shows_another_state(models):
    expected = expectation(models, FEATURE, models.snapshot(A, 1))
    provider = models.open()
    show(provider, FEATURE, state(2), {})
    (drift,) = provider.observe(expected)
    assert (drift.fault, drift.asset) == (Fault.BEHIND, None)
    assert drift.detail == f"readers see @ {state(2).commit[:7]}, not @ {state(1).commit[:7]}"
    models.run("DROP TABLE anabranch.environments")
    (drift,) = provider.observe(expected)
    assert drift.detail == f"readers see nothing, not @ {state(1).commit[:7]}"


def test_a_warehouse_that_is_gone(models):
    expected = expectation(models, FEATURE, models.snapshot(A, 1))
    provider = models.open()
    provider.close()
    for file in models.root.glob("warehouse.duckdb*"):
        file.unlink()
    error = refused(provider.observe, expected)
    assert isinstance(error, WarehouseUnavailable)
    assert error.message == f"{models.engine.place} doesn't exist, but feature is in it"
    assert error.hint == "check warehouse.database in anabranch.yaml, or put the file back"
    assert provider.locations() == set()


# --- one transaction


def test_readers_see_all_views_move_at_once(models):
    provider = models.open()
    old = [models.snapshot(AssetName(f"sales.t{n}"), 1) for n in range(20)]
    new = [models.snapshot(s.asset, 2) for s in old]
    assets = [s.asset for s in old]
    build(provider, *old)
    build(provider, *new)
    show(provider, PROD, state(1), {s.asset: (None, s) for s in old})
    before = models.read(PROD, assets)
    entries = {o.asset: (o, n) for o, n in zip(old, new, strict=True)}
    with provider.prepare(PROD, lambda _: Move(state(2), entries)) as prepared:
        assert prepared.moved == 20
        assert models.read(PROD, assets) == before
        prepared.commit()
        after = models.read(PROD, assets)
    assert all(after[a] == [("2",)] for a in assets)
    assert provider.window is None


# --- queries


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
