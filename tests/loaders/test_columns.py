"""Columns, from the files to the snapshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Input, Snapshot
from anabranch.loaders.native import SeedSettings, SourceSettings

SOURCES = {AssetName("raw.t"): SourceSettings({"id": "int", "x": "int"}), AssetName("raw.open"): SourceSettings()}
FILES = {
    "models/stg/t.sql": "select id, x, x + 1 as y from raw.t",
    "models/stg/v.sql": "MODEL (kind VIEW); select * from stg.t",
    "models/stg/e.sql": "MODEL (kind EMBEDDED); select id, y from stg.v where x > 1",
    "models/mart/a.sql": "select id, y from stg.e",
    "models/mart/b.sql": "select s.name from stg.v as v join seeds.names as s on s.id = v.id",
    "models/mart/c.sql": "select z from raw.open where w > 1",
    "models/mart/d.sql": "select * from raw.open",
    "models/mart/f.sql": "select now() as at, id from stg.t",
    "seeds/names.csv": "id,name\n1,one\n",
}


def assets(folder: Path, files: dict[str, str] | None = None, **settings: Any) -> dict[str, Snapshot]:
    found = loader(folder, {**FILES, **(files or {})}, **({"sources": SOURCES} | settings)).load()
    return {str(a): s for a, s in found.assets.items()}


def changed(before: dict[str, Snapshot], after: dict[str, Snapshot]) -> set[str]:
    return {a for a in after if before[a].fingerprint != after[a].fingerprint}


def test_what_is_read_is_recorded(tmp_path: Path) -> None:
    found = assets(tmp_path)
    assert found["mart.a"].upstreams == {
        "stg.e": Input(found["mart.a"].upstreams[AssetName("stg.e")].fingerprint, ("id", "y"))
    }
    assert {a: i.columns for a, i in found["mart.b"].upstreams.items()} == {
        "seeds.names": ("id", "name"),
        "stg.v": ("id",),
    }
    assert found["mart.c"].upstreams[AssetName("raw.open")].columns == ("w", "z")
    assert found["mart.d"].upstreams == {"raw.open": Input(found["raw.open"].fingerprint)}
    assert found["stg.v"].upstreams == {"stg.t": Input(found["stg.t"].fingerprint)}
    for snapshot in found.values():
        for upstream, read in snapshot.upstreams.items():
            assert read.holds(found[upstream])


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("models/stg/t.sql", "select id, x, x + 2 as y from raw.t", {"stg.t", "stg.v", "stg.e", "mart.a"}),
        ("models/stg/t.sql", "select id + 0 as id, x, x + 1 as y from raw.t", {"stg.t", "stg.v", "stg.e", "mart.a", "mart.b", "mart.f"}),
        ("models/stg/t.sql", "select id, x, x + 1 as y, 1 as new from raw.t", {"stg.t", "stg.v", "stg.e"}),
        ("models/stg/t.sql", "select t.id, t.x, (1 + 0) * 1 + t.x as y from raw.t as t", {"stg.t", "stg.v", "stg.e", "mart.a"}),
        ("models/stg/t.sql", "with q as (select * from raw.t) select id, x, x + 1 as y from q", set()),
        ("models/stg/v.sql", "MODEL (kind FULL); select * from stg.t", {"stg.v", "stg.e"}),
        ("models/stg/e.sql", "MODEL (kind EMBEDDED); select v.y, v.id from stg.v where x > 1", {"stg.e"}),
        ("models/stg/e.sql", "MODEL (kind EMBEDDED); select y, id from stg.v where x > 2", {"stg.e", "mart.a"}),
        ("models/stg/t.sql", "MODEL (stamp 2); select id, x, x + 1 as y from raw.t",
         {"stg.t", "stg.v", "stg.e", "mart.a", "mart.b", "mart.f"}),
        ("seeds/names.csv", "id,name,more\n1,one,2\n", {"seeds.names", "mart.b"}),
    ],
)  # fmt: skip
def test_what_a_change_builds(tmp_path: Path, file: str, text: str, expected: set[str]) -> None:
    assert changed(assets(tmp_path), assets(tmp_path, {file: text})) == expected


def test_a_type_is_that_of_its_column(tmp_path: Path) -> None:
    other = {**SOURCES, AssetName("raw.t"): SourceSettings({"id": "int", "x": "double"})}
    both = assets(tmp_path), assets(tmp_path, sources=other)
    assert changed(*both) == {"raw.t", "stg.t", "stg.v", "stg.e", "mart.a"}
    more = {**SOURCES, AssetName("raw.t"): SourceSettings({"id": "int", "x": "int", "new": "int"})}
    assert changed(both[0], assets(tmp_path, sources=more)) == {"raw.t"}
    typed = {AssetName("seeds.names"): SeedSettings({"id": "int"})}
    assert changed(both[0], assets(tmp_path, seeds=typed)) == {"seeds.names", "mart.b"}


def test_what_counts_as_a_whole_is_told_of_and_so_is_what_depends_on_the_time(tmp_path: Path) -> None:
    found = loader(tmp_path, FILES, sources=SOURCES).load()
    assert found.unanalysed == {"mart.d": "a star over columns that aren't known"}
    assert found.notes == ("now() is used, so that the rows depend on when they are made (mart.f)",)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("id,name", {"id", "name"}),
        ("\ufeffID,Name", {"id", "name"}),
        ('"id","full name"', {"id", "full name"}),
        ("id,id", None),
        ("id,", None),
        ("id,a-b", None),
        ("", None),
    ],
)
def test_the_columns_of_a_seed_are_those_of_its_first_line(
    tmp_path: Path, header: str, columns: set[str] | None
) -> None:
    found = loader(tmp_path, {"seeds/s.csv": f"{header}\n1,2\n"}).load().assets[AssetName("seeds.s")]
    assert (None if found.published.columns is None else set(found.published.columns)) == columns


def test_an_analysis_is_kept_for_each_state_of_what_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache.db"
    one, other = FILES["models/stg/t.sql"], "select id, x, x + 1 as y, 1 as new from raw.t"
    states = [one, other]
    known = []
    for text in states:
        write(tmp_path, {**FILES, "models/stg/t.sql": text})
        known.append(loader(tmp_path, cache=cache, sources=SOURCES).load())

    def fail(*_: object) -> None:
        raise AssertionError("analysed again")

    monkeypatch.setattr("anabranch.sql.columns.analysis.analyse", fail)
    for text, before in zip(states, known, strict=True):
        write(tmp_path, {"models/stg/t.sql": text})
        assert loader(tmp_path, cache=cache, sources=SOURCES).load() == before
