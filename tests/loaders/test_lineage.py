"""What decides each column, found out from the files."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.loaders.projects import loader

from anabranch.domain.lineage import ROWS, WHOLE, Lineage, Part
from anabranch.domain.names import AssetName
from anabranch.loaders.native import SourceSettings

SOURCES = {
    AssetName("raw.t"): SourceSettings({"id": "int", "k": "int", "x": "int", "y": "int"}),
    AssetName("raw.u"): SourceSettings({"id": "int", "k": "int", "z": "int"}),
    AssetName("raw.open"): SourceSettings(),
}


def lineage(folder: Path, query: str, **more: str) -> Lineage:
    files = {"models/m.sql": query, **{f"models/{n}.sql": text for n, text in more.items()}}
    return loader(folder, files, sources=SOURCES).lineage()


def said(found: Lineage, column: str, asset: str = "main.m") -> dict[str, str]:
    beside = found.upstreams(found.part(AssetName(asset), column))
    return {f"{p.asset}.{p.column}" if p.column else p.asset: how.value for p, how in beside.items()}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("select x as n from raw.t", {"raw.t.x": "values"}),
        ("select x + y as n from raw.t", {"raw.t.x": "values", "raw.t.y": "values"}),
        ("select x as n from raw.t where k > 1", {"raw.t.x": "values", "raw.t.k": "rows"}),
        ("select x as n from raw.t where x > 1", {"raw.t.x": "values"}),
        ("select x as n, y from raw.t", {"raw.t.x": "values"}),
        ("select 1 as n from raw.t", {"raw.t": "rows"}),
        ("select count(*) as n from raw.t", {"raw.t": "rows"}),
        ("select count(*) as n from raw.t where k = 1", {"raw.t.k": "rows"}),
        ("select sum(x) as n from raw.t group by k", {"raw.t.x": "values", "raw.t.k": "rows"}),
        ("select sum(x) as n from raw.t group by k having max(y) > 1", {"raw.t.x": "values", "raw.t.k": "rows", "raw.t.y": "rows"}),
        ("select sum(x) filter (where y = 1) as n from raw.t", {"raw.t.x": "values", "raw.t.y": "values"}),
        ("select x as n from raw.t order by y", {"raw.t.x": "values"}),
        ("select x as n from raw.t order by y limit 1", {"raw.t.x": "values", "raw.t.y": "rows"}),
        ("select distinct x as n, y from raw.t", {"raw.t.x": "values", "raw.t.y": "rows"}),
        ("select distinct on (k) x as n from raw.t order by y", {"raw.t.x": "values", "raw.t.k": "rows", "raw.t.y": "rows"}),
        ("select rank() over (partition by k order by x) as n from raw.t", {"raw.t.k": "values", "raw.t.x": "values"}),
        ("select x as n from raw.t qualify row_number() over (partition by k order by y) = 1", {"raw.t.x": "values", "raw.t.k": "rows", "raw.t.y": "rows"}),
        ("select z as n from raw.t as a join raw.u as b on a.id = b.id", {"raw.u.z": "values", "raw.t.id": "rows", "raw.u.id": "rows"}),
        ("select z as n from raw.t join raw.u using (id)", {"raw.u.z": "values", "raw.t.id": "rows", "raw.u.id": "rows"}),
        ("select id as n from raw.t left join raw.u using (id)", {"raw.t.id": "values", "raw.u.id": "values"}),
        ("select x as n from raw.t where k in (select k from raw.u where z = 1)", {"raw.t.x": "values", "raw.t.k": "rows", "raw.u.k": "rows", "raw.u.z": "rows"}),
        ("select x as n from raw.t where exists (select 1 from raw.u where u.id = t.id)", {"raw.t.x": "values", "raw.t.id": "rows", "raw.u.id": "rows"}),
        ("select (select max(z) from raw.u where k = 1) as n from raw.t", {"raw.t": "rows", "raw.u.z": "values", "raw.u.k": "rows"}),
        ("with c as (select x as a, y as b from raw.t where k = 1) select a as n from c where b = 2", {"raw.t.x": "values", "raw.t.k": "rows", "raw.t.y": "rows"}),
        ("with c as (select k, sum(x) as a from raw.t where y > 0 group by k) select max(a) as n from c", {"raw.t.x": "values", "raw.t.k": "rows", "raw.t.y": "rows"}),
        ("select x as n from raw.t union all select z from raw.u", {"raw.t.x": "values", "raw.u.z": "values"}),
        ("select x as n, y from raw.t union select z, k from raw.u", {"raw.t.x": "values", "raw.u.z": "values", "raw.t.y": "rows", "raw.u.k": "rows"}),
        ("select case when k = 1 then x else 0 end as n from raw.t", {"raw.t.k": "values", "raw.t.x": "values"}),
        ("select v as n from raw.open where w = 1", {"raw.open.v": "values", "raw.open.w": "rows"}),
    ],
)  # fmt: skip
def test_what_decides_a_column(tmp_path: Path, query: str, expected: dict[str, str]) -> None:
    assert said(lineage(tmp_path, query), "n") == expected


def test_through_views_and_embedded_models(tmp_path: Path) -> None:
    found = lineage(
        tmp_path,
        "select a as n from main.v",
        v="MODEL (kind VIEW); select * from main.e where b = 1",
        e="MODEL (kind EMBEDDED); select x as a, y as b from raw.t",
    )
    assert said(found, "n") == {"main.v.a": "values"}
    assert said(found, "a", "main.v") == {"main.e.a": "values", "main.e.b": "rows"}
    assert said(found, "b", "main.e") == {"raw.t.y": "values"}


def test_what_counts_as_a_whole_leads_to_the_whole(tmp_path: Path) -> None:
    found = lineage(
        tmp_path,
        "select n from main.w",
        w="with recursive r as (select x as n from raw.t) select n from r where n in (select id from main.b)",
        b="select id, z from raw.u",
    )
    assert found.whole == {"main.w": "WITH RECURSIVE"}
    assert said(found, "n") == {"main.w.n": "values"}
    assert said(found, "n", "main.w") == {"main.b.*": "whole", "raw.t.*": "whole"}
    assert said(found, "*", "main.b") == {"raw.u.*": "whole"}


def test_what_is_only_said_to_be_read_counts_as_a_whole(tmp_path: Path) -> None:
    found = lineage(tmp_path, "MODEL (depends_on (main.b)); select x as n from raw.t", b="select id from raw.u")
    assert said(found, "n") == {"raw.t.x": "values", "main.b.*": "whole"}


def test_the_key_decides_which_rows_a_table_has_that_is_filled_by_and_by(tmp_path: Path) -> None:
    found = lineage(
        tmp_path, "MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key key)); select id + k as key, x as n from raw.t"
    )
    assert said(found, "n") == {"raw.t.x": "values", "raw.t.id": "rows", "raw.t.k": "rows"}


def test_each_change_of_a_history_is_a_row(tmp_path: Path) -> None:
    found = lineage(
        tmp_path,
        "MODEL (kind SCD_TYPE_2_BY_COLUMN (unique_key id, columns [n])); select id, x as n from raw.t where k = 1",
    )
    assert said(found, "valid_from") == {"raw.t.id": "rows", "raw.t.x": "rows", "raw.t.k": "rows"}


def test_every_part_is_there_and_none_leads_in_a_circle(tmp_path: Path) -> None:
    found = lineage(tmp_path, "select v as n from raw.open join raw.t on true", w="from main.m")
    assert {there for deciding in found.parts.values() for there in deciding} <= found.parts.keys()
    for asset in found.reads:
        assert {Part(asset, ROWS), Part(asset, WHOLE)} <= found.parts.keys()
    import graphlib

    graphlib.TopologicalSorter(found.parts).prepare()


def test_of_an_environment_it_is_what_its_definitions_say(tmp_path: Path) -> None:
    """Whatever became of the files since."""
    reading = loader(
        tmp_path,
        {
            "models/m.sql": "select x as n from raw.t where k = 1",
            "models/w.sql": "from main.m",
            "seeds/s.csv": "a\n1\n",
        },
        sources=SOURCES,
    )
    before, assets = reading.lineage(), reading.load().assets
    (tmp_path / "models/m.sql").write_text("select y as n from raw.t")
    (tmp_path / "models/w.sql").unlink()
    assert reading.lineage().parts != before.parts
    assert reading.lineage_of(assets) == before


def test_it_is_the_same_from_the_cache(tmp_path: Path) -> None:
    folder, cache = tmp_path / "project", tmp_path / "cache.db"
    files = {"models/m.sql": "select sum(x) as n from raw.t where k = 1"}
    first = loader(folder, files, cache=cache, sources=SOURCES).lineage()
    assert loader(folder, cache=cache, sources=SOURCES).lineage() == first
    assert said(first, "n") == {"raw.t.x": "values", "raw.t.k": "rows"}
