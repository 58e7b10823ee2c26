"""What a project's files come to."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.ids import digest
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Input, Kind, SeedSource, Snapshot
from anabranch.errors import Where
from anabranch.loaders.native import NativeLoader, NativeSettings, SeedSettings, SourceSettings

FILES = {
    "models/stg/orders.sql": "MODEL (kind VIEW, grain id); select id, amount from raw.orders",
    "models/stg/big.sql": "MODEL (kind EMBEDDED); select * from stg.orders where amount > 10",
    "models/marts/totals.sql": """MODEL (description 'Sums', owner ann, tags (x, y));
        select r.name, sum(b.amount) as total from stg.big as b join seeds.regions as r using (id) group by all""",
    "models/report.sql": "select * from marts.totals",
    "seeds/regions.csv": "id,name\n1,north\n",
}
SOURCES = {AssetName("raw.orders"): SourceSettings({"id": "bigint", "amount": "DOUBLE"}, "As loaded")}


@pytest.fixture
def project(tmp_path: Path) -> NativeLoader:
    return loader(tmp_path, FILES, cache=tmp_path / ".anabranch" / "cache.db", sources=SOURCES)


REPORT = AssetName("main.report")


def assets(root: Path, files: dict[str, str | bytes] | None = None, **settings: Any) -> dict[AssetName, Snapshot]:
    return dict(loader(root, {**FILES, **(files or {})}, **{"sources": SOURCES, **settings}).load().assets)


def test_a_project(project: NativeLoader) -> None:
    found = project.load()
    assert list(found.assets) == ["main.report", "marts.totals", "raw.orders", "seeds.regions", "stg.big", "stg.orders"]
    assert found.notes == ()
    assert found.digest == project.digest()

    orders = found.assets[AssetName("stg.orders")]
    assert (orders.kind, orders.provider, orders.keys) == (Kind.VIEW, "models", ("id",))
    assert orders.location == f"anabranch__stg.orders__{orders.fingerprint[:12]}"
    assert orders.upstreams == {"raw.orders": Input(found.assets[AssetName("raw.orders")].fingerprint)}  # a view
    assert orders.definition.text == "select id, amount from raw.orders"
    assert (orders.definition.dialect, orders.definition.path) == ("duckdb", "models/stg/orders.sql")

    totals = found.assets[AssetName("marts.totals")]
    assert totals.properties == {"description": "Sums", "owner": "ann", "tags": "x,y"}
    assert set(totals.upstreams) == {"stg.big", "seeds.regions"}

    big = found.assets[AssetName("stg.big")]
    assert (big.kind, big.location) == (Kind.EMBEDDED, "")

    source = found.assets[AssetName("raw.orders")]
    assert (source.kind, source.location, source.upstreams) == (Kind.EXTERNAL, "raw.orders", {})
    assert source.properties == {"columns": "id,amount", "description": "As loaded"}
    assert json.loads(source.definition.text) == {"columns": {"amount": "double", "id": "bigint"}}

    seed = found.assets[AssetName("seeds.regions")]
    assert (seed.kind, seed.definition.path, seed.definition.dialect) == (Kind.SEED, "seeds/regions.csv", "")
    assert SeedSource.decode(seed.definition.text) == SeedSource(digest(b"id,name\n1,north\n"), {})


def test_an_empty_folder_is_an_empty_project(tmp_path: Path) -> None:
    assert loader(tmp_path).load().assets == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("models/orders.sql", "select 1 as x", "main.orders"),
        ("models/sales/orders.sql", "select 1 as x", "sales.orders"),
        ("models/sales/eu/old/orders.sql", "select 1 as x", "sales.orders"),
        ("models/Sales/Orders.SQL", "select 1 as x", "sales.orders"),
        ("models/any where.sql", "MODEL (name a.b); select 1 as x", "a.b"),
        ("models/x.sql", "MODEL (name B); select 1 as x", "main.b"),
        ("models/x.sql", "MODEL (name c.a.b); select 1 as x", "c.a.b"),
        ("models/x.sql", "\ufeffselect 1 as x", "main.x"),
        ("seeds/a.csv", "x\n1\n", "seeds.a"),
        ("seeds/s/a.csv", "x\n1\n", "s.a"),
        ("seeds/s/t/a.csv", "x\n1\n", "s.a"),
    ],
)
def test_names(tmp_path: Path, path: str, text: str, name: str) -> None:
    assert list(loader(tmp_path, {path: text}).load().assets) == [name]


def test_the_default_schema_is_a_setting(tmp_path: Path) -> None:
    found = loader(tmp_path, {"models/a.sql": "from b", "models/b.sql": "select 1 as x"}, default_schema="x").load()
    assert set(found.assets) == {"x.a", "x.b"}
    assert set(found.assets[AssetName("x.a")].upstreams) == {"x.b"}


@pytest.mark.parametrize(
    "path",
    ["models/.hidden.sql", "models/.#orders.sql", "models/orders.sql~", "models/#orders.sql#", "models/.git/a.sql",
     "models/orders.sql.bak", "models/notes.md", "other/a.sql", "a.sql", "seeds/.a.csv", "seeds/a.csv~", "seeds/a.sql"],
)  # fmt: skip
def test_other_files_are_left_alone(tmp_path: Path, path: str) -> None:
    project = loader(tmp_path)
    before = project.digest()
    write(tmp_path, {path: b"\xff this is no SQL ("})
    assert project.digest() == before
    assert project.load().assets == {}


# -- what decides ------------------------------------------------------------------------------------------------------


def changed(before: dict[AssetName, Snapshot], after: dict[AssetName, Snapshot]) -> set[str]:
    return {n for n in {**before, **after} if n not in before or n not in after or before[n] != after[n]}


def rebuilt(before: dict[AssetName, Snapshot], after: dict[AssetName, Snapshot]) -> set[str]:
    return {n for n in after if n not in before or before[n].fingerprint != after[n].fingerprint}


ALL = {"main.report", "marts.totals", "raw.orders", "seeds.regions", "stg.big", "stg.orders"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"models/stg/orders.sql": "MODEL (kind VIEW, grain id);\n-- all\nSELECT id,\n  amount FROM raw.orders;"}, set()),
        ({"models/stg/orders.sql": "MODEL (kind VIEW); select id, amount + 1 as amount from raw.orders"}, ALL - {"raw.orders", "seeds.regions"}),
        # What only contains it has to be made anew, but shows the same as before to those who read it.
        ({"models/stg/orders.sql": "MODEL (kind FULL); select id, amount from raw.orders"}, {"stg.orders", "stg.big"}),
        ({"models/stg/orders.sql": "MODEL (kind VIEW); select id, amount, 1 as one from raw.orders"}, {"stg.orders", "stg.big"}),
        ({"models/stg/orders.sql": "MODEL (kind VIEW); select o.amount, o.id from raw.orders as o"}, {"stg.orders", "stg.big"}),
        ({"models/stg/big.sql": "MODEL (kind EMBEDDED); select * from stg.orders where amount > 9"}, {"stg.big", "marts.totals", "main.report"}),
        ({"models/report.sql": "select * from marts.totals where total > 1"}, {"main.report"}),
        ({"seeds/regions.csv": "id,name\n1,south\n"}, {"seeds.regions", "marts.totals", "main.report"}),
        ({"seeds/regions.csv": b"id,name\r\n1,north\r\n"}, {"seeds.regions", "marts.totals", "main.report"}),
    ],
)  # fmt: skip
def test_what_a_change_of_a_file_rebuilds(tmp_path: Path, files: dict[str, str | bytes], expected: set[str]) -> None:
    before = assets(tmp_path)
    after = assets(tmp_path, files)
    assert rebuilt(before, after) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"sources": {AssetName("raw.orders"): SourceSettings({"amount": "double", "ID": "BIGINT"}, "Other")}}, set()),
        ({"sources": {AssetName("raw.orders"): SourceSettings({"id": "int", "amount": "double"})}}, ALL - {"seeds.regions"}),
        ({"seeds": {AssetName("seeds.regions"): SeedSettings(key=("id",))}}, set()),
        ({"seeds": {AssetName("seeds.regions"): SeedSettings({"id": "int"})}}, {"seeds.regions", "marts.totals", "main.report"}),
        ({"salt": "another engine"}, ALL),
    ],
)  # fmt: skip
def test_what_a_change_of_settings_rebuilds(tmp_path: Path, settings: dict[str, Any], expected: set[str]) -> None:
    before = assets(tmp_path)
    assert rebuilt(before, assets(tmp_path, **settings)) == expected
    one, other = loader(tmp_path, sources=SOURCES), loader(tmp_path, **{"sources": SOURCES, **settings})
    assert one.digest() != other.digest()


def test_a_description_is_another_snapshot_of_the_same_data(tmp_path: Path) -> None:
    before = assets(tmp_path)
    after = assets(tmp_path, {"models/report.sql": "MODEL (description 'All'); select * from marts.totals"})
    assert rebuilt(before, after) == set()
    assert changed(before, after) == {"main.report"}
    assert before[REPORT].location == after[REPORT].location


def test_where_a_file_stands_doesnt_matter(tmp_path: Path) -> None:
    before = assets(tmp_path)
    (tmp_path / "models" / "report.sql").unlink()
    moved = {"models/x/y.sql": "MODEL (name main.report); select * from marts.totals"}
    after = dict(loader(tmp_path, moved, sources=SOURCES).load().assets)
    assert before[REPORT].id == after[REPORT].id
    assert after[REPORT].definition.path == "models/x/y.sql"


def test_the_same_query_twice_is_the_same_data_in_two_places(tmp_path: Path) -> None:
    found = assets(tmp_path, {"models/again.sql": "select * from marts.totals"})
    one, other = found[REPORT], found[AssetName("main.again")]
    assert one.fingerprint == other.fingerprint
    assert one.location != other.location


def test_fingerprints_are_of_all_that_is_read_in_whatever_order(tmp_path: Path) -> None:
    files = {
        "models/a.sql": "select 1 as x",
        "models/b.sql": "select 2 as x",
        "models/c.sql": "from a, b",
        "models/d.sql": "from b, a",
    }
    found = loader(tmp_path, files).load().assets
    assert len({s.fingerprint for s in found.values()}) == 4


# -- seeds, notes, switches --------------------------------------------------------------------------------------------


def test_a_seed_with_a_model_file(tmp_path: Path) -> None:
    header = "MODEL (name ref.regions, kind SEED (path '../seeds/regions.csv'), columns (id INT), grain id, description 'Where');"
    files = {"models/regions.sql": header, "seeds/regions.csv": "id\n1\n", "seeds/other.csv": "x\n"}
    settings = {AssetName("ref.regions"): SeedSettings({"ID": "bigint", "name": "text"}, ("name",))}
    found = loader(tmp_path, files, seeds=settings).load().assets
    assert set(found) == {"ref.regions", "seeds.other"}
    seed = found[AssetName("ref.regions")]
    assert seed.definition.path == "seeds/regions.csv"
    assert SeedSource.decode(seed.definition.text).columns == {"id": "INT", "name": "text"}
    assert seed.properties == {"key": "id", "description": "Where"}


@pytest.mark.parametrize("path", ["$root/seeds/a/x.csv", "../../seeds/a/x.csv", "./../../seeds/b/../a/x.csv"])
def test_where_a_seeds_file_may_be_said_to_stand(tmp_path: Path, path: str) -> None:
    files = {"models/s/x.sql": f"MODEL (kind SEED (path '{path}'));", "seeds/a/x.csv": "x\n"}
    assert set(loader(tmp_path, files).load().assets) == {"s.x"}


def test_seed_settings(tmp_path: Path) -> None:
    settings = {AssetName("seeds.regions"): SeedSettings({"id": "int"}, ("id", "name"))}
    found = assets(tmp_path, seeds=settings)[AssetName("seeds.regions")]
    assert found.properties == {"key": "id,name"}
    assert SeedSource.decode(found.definition.text).columns == {"id": "int"}


def test_notes_are_told_once(tmp_path: Path) -> None:
    files = {f"models/m{i}.sql": f"MODEL (gateway x); select {i} as x" for i in range(5)}
    files["models/f.sql"] = "from 'x.csv'"
    assert loader(tmp_path, files).load().notes == (
        "gateway isn't used: a project has one warehouse (main.m0, main.m1, main.m2 and 2 more)",
        "reads files outside the environment, whose changes aren't seen (main.f)",
    )


def test_disabled_models_arent_there(tmp_path: Path) -> None:
    files = {"models/a.sql": "MODEL (enabled false); select 1 as x", "models/b.sql": "select 1 as x"}
    assert set(loader(tmp_path, files).load().assets) == {"main.b"}


def test_depends_on_is_an_upstream(tmp_path: Path) -> None:
    files = {"models/a.sql": "select 1 as x", "models/b.sql": "MODEL (depends_on (a)); select 1 as x"}
    assert set(loader(tmp_path, files).load().assets[AssetName("main.b")].upstreams) == {"main.a"}


# -- digests and laziness ----------------------------------------------------------------------------------------------


def test_the_digest_follows_every_file(project: NativeLoader, tmp_path: Path) -> None:
    seen = {project.digest()}
    for path, text in [
        ("models/report.sql", "select * from marts.totals -- all"),
        ("seeds/regions.csv", "id,name\n2,north\n"),
        ("models/new.sql", "select 1 as x"),
    ]:
        write(tmp_path, {path: text})
        seen.add(project.digest())
    assert len(seen) == 4
    (tmp_path / "models" / "new.sql").unlink()
    assert project.digest() in seen
    assert project.load().digest == project.digest()


def test_the_digest_is_the_same_in_another_folder(tmp_path: Path) -> None:
    one = loader(tmp_path / "a", FILES, sources=SOURCES)
    where = Where(Path("elsewhere.yaml"), 3)
    moved = {n: SourceSettings(s.columns, s.description, where=where) for n, s in SOURCES.items()}
    other = loader(tmp_path / "b", FILES, sources=moved)
    assert one.load().digest == other.load().digest
    assert {n: s.id for n, s in one.load().assets.items()} == {n: s.id for n, s in other.load().assets.items()}


def test_an_unchanged_project_is_loaded_once(project: NativeLoader) -> None:
    assert project.load() is project.load()


def test_a_broken_file_and_its_repair(project: NativeLoader, tmp_path: Path) -> None:
    before = project.load()
    write(tmp_path, {"models/report.sql": "selct"})
    with pytest.raises(Exception, match=r"did you mean|begin"):
        project.load()
    write(tmp_path, {"models/report.sql": FILES["models/report.sql"]})
    assert project.load().assets == before.assets


def test_a_warm_load_neither_reads_files_nor_loads_sqlglot(project: NativeLoader, tmp_path: Path) -> None:
    """In a process of its own, with files whose times are settled."""
    for file in [*tmp_path.rglob("*.sql"), *tmp_path.rglob("*.csv")]:
        os.utime(file, (1_600_000_000, 1_600_000_000))
    code = f"""
import builtins, io, sys, time
from pathlib import Path
from typing import Any
from anabranch.domain.names import AssetName
from anabranch.loaders.cache import ParseCache
from anabranch.loaders.native import NativeLoader, NativeSettings, SourceSettings
sources = {{AssetName("raw.orders"): SourceSettings({{"id": "bigint", "amount": "DOUBLE"}}, "As loaded")}}
root = Path({str(tmp_path)!r})
later = lambda: time.time_ns() + 3_000_000_000
project = lambda: NativeLoader(root, NativeSettings(sources=sources), ParseCache(root / ".anabranch" / "cache.db", later))
cold = project().load()
print("sqlglot" in sys.modules)
opened = []
real = io.open
Path.open = lambda self, *a, **k: opened.append(self) or real(self, *a, **k)
warm = project()
print(warm.digest() == cold.digest, warm.load() == cold, [p for p in opened if p.suffix != ".py"])
"""
    for expected in ("True", "False"):
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert said.splitlines() == [expected, "True True []"]


def test_settings_are_what_snapshots_depend_on() -> None:
    assert NativeSettings().said() == NativeSettings().said()
    assert NativeSettings(provider="x").said() != NativeSettings().said()
