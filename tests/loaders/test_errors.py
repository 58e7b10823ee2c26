"""What is said of a project that is wrong: the whole message, the place, the way out."""

from pathlib import Path
from typing import Any

import pytest
from tests.loaders.projects import loader

from anabranch.domain.names import AssetName
from anabranch.errors import (
    DependencyCycle,
    DuplicateAsset,
    InvalidName,
    ModelError,
    ProjectError,
    SqlSyntaxError,
    UnknownUpstream,
    Where,
)
from anabranch.loaders.native import SeedSettings, SourceSettings

YAML = Where(Path("anabranch.yaml"), 7)
SOURCES = {AssetName("raw.orders"): SourceSettings(where=YAML)}


def told(root: Path, files: dict[str, str | bytes], **settings: Any) -> tuple[ProjectError, str, str | None]:
    """The error, its place and message as people see them, and its hint."""
    with pytest.raises(ProjectError) as caught:
        loader(root, files, **settings).load()
    error = caught.value
    place = str(error.where).replace(f"{root}/", "") + "  " if error.where else ""
    length = f" ~{error.where.length}" if error.where and error.where.column else ""
    return error, f"{place}{error.message}{length}".replace(f"{root}/", ""), error.hint


@pytest.mark.parametrize(
    ("files", "kind", "asset", "message", "hint"),
    [
        (
            {"models/marts/league.sql": "with a as (\n  select 1 as x)\nselect x frm a"},
            SqlSyntaxError,
            "marts.league",
            "models/marts/league.sql:3:14  'a' doesn't fit here ~1",
            "did you mean from?",
        ),
        (
            {
                "models/marts/league.sql": "select *\nfrom marts.delays_by_huor",
                "models/marts/delays_by_hour.sql": "select 1 as x",
            },
            UnknownUpstream,
            "marts.league",
            "models/marts/league.sql:2:6  marts.league reads marts.delays_by_huor, which doesn't exist ~20",
            "did you mean marts.delays_by_hour?",
        ),
        (
            {"models/a.sql": "from elsewhere.things"},
            UnknownUpstream,
            "main.a",
            "models/a.sql:1:6  main.a reads elsewhere.things, which doesn't exist ~16",
            "declare it under sources: in anabranch.yaml, if something else makes it",
        ),
        (
            {"models/a.sql": "from orders"},
            UnknownUpstream,
            "main.a",
            "models/a.sql:1:6  main.a reads main.orders, which doesn't exist ~6",
            "did you mean raw.orders? A name without a schema stands in main",
        ),
        (
            {"models/a.sql": "from lake.raw.orders"},
            UnknownUpstream,
            "main.a",
            "models/a.sql:1:6  main.a reads lake.raw.orders, which doesn't exist ~15",
            "write raw.orders: names here have no catalog",
        ),
        (
            {"models/a.sql": "from b", "models/b.sql": "MODEL (enabled false); select 1 as x"},
            UnknownUpstream,
            "main.a",
            "models/a.sql:1:6  main.a reads main.b, which doesn't exist ~1",
            "models/b.sql says enabled false",
        ),
        (
            {"models/a.sql": 'from "My Table"'},
            UnknownUpstream,
            "main.a",
            "models/a.sql:1:6  main.a reads main.my table, which doesn't exist ~10",
            "declare it under sources: in anabranch.yaml, if something else makes it",
        ),
        (
            {
                "models/a/x.sql": "from b.y",
                "models/b/y.sql": "select *\nfrom c.z",
                "models/c/z.sql": "from a.x, raw.orders",
            },
            DependencyCycle,
            "a.x",
            (
                "models/a/x.sql:1:6  models read each other in a circle: a.x → b.y → c.z → a.x\n"
                "  models/a/x.sql:1:6  a.x reads b.y\n"
                "  models/b/y.sql:2:6  b.y reads c.z\n"
                "  models/c/z.sql:1:6  c.z reads a.x ~3"
            ),
            "take one of these reads out",
        ),
        (
            {"models/a/x.sql": "select * from a.x"},
            DependencyCycle,
            "a.x",
            "models/a/x.sql:1:15  a.x reads itself ~3",
            "read what it is made from instead",
        ),
        (
            {
                "models/sales/orders.sql": "select 1 as x",
                "models/z.sql": "MODEL (\n  name sales.orders\n); select 1 as x",
            },
            DuplicateAsset,
            "sales.orders",
            "models/z.sql:2:8  sales.orders is defined by models/sales/orders.sql and by models/z.sql ~12",
            "rename one of them",
        ),
        (
            {"models/s/a/x.sql": "select 1 as x", "models/s/b/x.sql": "select 1 as x"},
            DuplicateAsset,
            "s.x",
            "models/s/b/x.sql:1:1  s.x is defined by models/s/a/x.sql and by models/s/b/x.sql ~1",
            "rename one of them",
        ),
        (
            {"models/seeds/x.sql": "select 1 as x", "seeds/x.csv": "x\n"},
            DuplicateAsset,
            "seeds.x",
            "seeds/x.csv  seeds.x is defined by models/seeds/x.sql and by seeds/x.csv",
            "rename one of them",
        ),
        (
            {"models/raw/orders.sql": "select 1 as x"},
            DuplicateAsset,
            "raw.orders",
            "models/raw/orders.sql:1:1  raw.orders is defined by models/raw/orders.sql, and declared as a source ~1",
            "drop one of them",
        ),
        (
            {"models/My Model.sql": "select 1 as x"},
            InvalidName,
            None,
            "models/My Model.sql  models/My Model.sql can't name a model: 'my model' is not a plain identifier",
            "use letters, digits and underscores, and begin with a letter or an underscore",
        ),
        (
            {"models/v1.2/x.sql": "select 1 as x"},
            InvalidName,
            None,
            "models/v1.2/x.sql  models/v1.2/x.sql can't name a model: there is a dot in it",
            "rename the folder",
        ),
        (
            {"seeds/2024.csv": "x\n"},
            InvalidName,
            None,
            "seeds/2024.csv  seeds/2024.csv can't name a seed: '2024' is not a plain identifier",
            "use letters, digits and underscores, and begin with a letter or an underscore",
        ),
        (
            {"models/x.sql": "MODEL (name anabranch.x); select 1 as x"},
            InvalidName,
            None,
            (
                "models/x.sql:1:13  models/x.sql names its model 'anabranch.x': "
                "'anabranch.x' lies in a schema that Anabranch keeps for itself ~11"
            ),
            "choose another schema",
        ),
        (
            {"models/information_schema/x.sql": "select 1 as x"},
            InvalidName,
            None,
            (
                "models/information_schema/x.sql  models/information_schema/x.sql can't name a model: "
                "'information_schema.x' lies in a schema of the warehouse's own"
            ),
            "choose another schema",
        ),
        (
            {"models/x.sql": b"select 'caf\xe9' as x,\n 1 as y"},
            ModelError,
            None,
            "models/x.sql:1:12  models/x.sql isn't UTF-8: byte 0xe9 is no character ~1",
            "save it as UTF-8",
        ),
        (
            {"models/s/x.sql": "MODEL (kind SEED (path 'x.csv'));"},
            ModelError,
            None,
            "models/s/x.sql:1:24  x.csv doesn't lie in seeds/ ~7",
            "move it into seeds/",
        ),
        (
            {"models/s/x.sql": "MODEL (kind SEED (path '../../seeds/regoins.csv'));", "seeds/regions.csv": "x\n"},
            ModelError,
            None,
            "models/s/x.sql:1:24  there is no seeds/regoins.csv ~25",
            "did you mean seeds/regions.csv?",
        ),
        (
            {"models/x.sql": "MODEL (\n  kind MANAGED\n); select 1 as x"},
            ModelError,
            "main.x",
            "models/x.sql:2:8  kind MANAGED isn't supported yet ~7",
            "FULL builds the same rows",
        ),
    ],
)
def test_mistakes(
    tmp_path: Path, files: dict[str, str | bytes], kind: type[ProjectError], asset: str | None, message: str, hint: str
) -> None:
    error, said, way_out = told(tmp_path, files, sources=SOURCES)
    assert said == message
    assert way_out == hint
    assert type(error) is kind
    assert error.asset == asset


def test_settings_of_a_seed_that_isnt_there(tmp_path: Path) -> None:
    seeds = {AssetName("seeds.regoins"): SeedSettings(where=YAML)}
    _, said, hint = told(tmp_path, {"seeds/regions.csv": "x\n"}, seeds=seeds)
    assert said == "anabranch.yaml:7  anabranch.yaml speaks of the seed seeds.regoins, which doesn't exist"
    assert hint == "did you mean seeds.regions?"


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {f"models/m{i}.sql": f"select {i} as x from nowhere{i}.t" for i in range(7)}
    error, said, hint = told(tmp_path, files)
    assert said == (
        "models/m0.sql:1:20  main.m0 reads nowhere0.t, which doesn't exist\n"
        "and 6 more:\n"
        "  models/m1.sql:1:20  main.m1 reads nowhere1.t, which doesn't exist\n"
        "  models/m2.sql:1:20  main.m2 reads nowhere2.t, which doesn't exist\n"
        "  models/m3.sql:1:20  main.m3 reads nowhere3.t, which doesn't exist\n"
        "  models/m4.sql:1:20  main.m4 reads nowhere4.t, which doesn't exist\n"
        "  and 2 more ~10"
    )
    assert error.asset == "main.m0"
    assert hint == "declare it under sources: in anabranch.yaml, if something else makes it"


def test_two_mistakes(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "models/b.sql": "selct 1",
        "models/a.sql": "select 1;\nselect 2",
        "models/c.sql": "from b",
    }
    error, said, hint = told(tmp_path, files)
    assert said == (
        "models/a.sql:2:1  a second statement begins here; a model is one query\n"
        "and one more:\n"
        "  models/b.sql:1:1  a model can't begin with 'selct' ~6"
    )
    assert type(error) is ModelError
    assert hint == "make it a model of its own"


def test_mistakes_are_told_in_the_order_of_the_files(tmp_path: Path) -> None:
    _, said, _ = told(tmp_path, {"models/b.sql": "select 1 +", "models/a b.sql": "select 1 as x"})
    assert said.splitlines()[0] == "models/a b.sql  models/a b.sql can't name a model: 'a b' is not a plain identifier"
    assert said.splitlines()[2] == "  models/b.sql:1:10  something is missing after '+'"


def test_each_missing_upstream_is_told_once_a_model(tmp_path: Path) -> None:
    _, said, _ = told(tmp_path, {"models/a.sql": "from x.y, x.y as z"})
    assert said == "models/a.sql:1:6  main.a reads x.y, which doesn't exist ~3"


def test_what_parses_is_remembered_though_another_file_doesnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache.db"
    files: dict[str, str | bytes] = {"models/a.sql": "select 1 as x", "models/b.sql": "selct"}
    with pytest.raises(ModelError):
        loader(tmp_path, files, cache=cache).load()
    import anabranch.sql.model_file

    parsed: list[str] = []
    real = anabranch.sql.model_file.parse_model

    def parse(text: str, *args: Any, **kwargs: Any) -> object:
        parsed.append(text)
        return real(text, *args, **kwargs)

    monkeypatch.setattr(anabranch.sql.model_file, "parse_model", parse)
    loader(tmp_path, {"models/b.sql": "select 2 as x"}, cache=cache).load()
    assert parsed == ["select 2 as x"]
