"""What docs/models.md and docs/fingerprints.md say, as they say it."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import Block, blocks, page
from tests.loaders.projects import loader, write

from anabranch.config import settings
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind
from anabranch.errors import UnknownUpstream
from anabranch.loaders.native import NativeLoader, SeedSettings, SourceSettings
from anabranch.sql.properties import USED

MODELS = page("docs/models.md")
FINGERPRINTS = page("docs/fingerprints.md")


def path_of(block: Block) -> str:
    """The file that the line above a block names."""
    found = re.findall(r"`((?:models|seeds)/[^`]+)`", block.before)
    assert found, f"line {block.line} names no file"
    return str(found[-1])


@pytest.fixture
def project(tmp_path: Path) -> NativeLoader:
    for language in ("sql", "csv"):
        for block in blocks(MODELS, language):
            write(tmp_path, {path_of(block): block.text})
    write(tmp_path, {"seeds/rates.csv": "currency,rate\neur,1\n"})
    yaml = "\n".join(block.text for block in blocks(MODELS, "yaml"))
    write(tmp_path, {"anabranch.yaml": f"project: shop\n{yaml}\n"})
    found = settings.load(tmp_path)
    return loader(
        tmp_path,
        sources={n: SourceSettings(s.columns, s.description) for n, s in found.sources.items()},
        seeds={n: SeedSettings(s.columns, s.key) for n, s in found.seeds.items()},
    )


def test_the_examples_are_a_project(project: NativeLoader) -> None:
    found = project.load()
    assert {name: s.kind for name, s in found.assets.items()} == {
        "raw.customers": Kind.EXTERNAL,
        "raw.orders": Kind.EXTERNAL,
        "seeds.countries": Kind.SEED,
        "shop.customers": Kind.VIEW,
        "shop.daily": Kind.FULL,
        "shop.orders": Kind.FULL,
        "shop.paid": Kind.EMBEDDED,
        "shop.rates": Kind.SEED,
    }
    assert found.assets[AssetName("shop.daily")].keys == ("day", "country")
    assert found.assets[AssetName("shop.rates")].keys == ("currency",)
    assert found.notes == ()
    assert found.assets[AssetName("shop.daily")].properties["cron"] == "@daily"


def test_the_error_is_as_shown(project: NativeLoader) -> None:
    (shown,) = blocks(MODELS, "text")
    write(project.root, {"models/shop/daily.sql": "select 1 as x\nfrom shop.ordres"})
    with pytest.raises(UnknownUpstream) as caught:
        project.load()
    where = str(caught.value.where).replace(f"{project.root}/", "")
    assert shown.text.splitlines()[0] == f"✗ {where}  {caught.value.message}"
    assert shown.text.endswith(f"{'~' * 11} {caught.value.hint}")


def table(path: Path, heading: str) -> list[list[str]]:
    """The first table under a heading: its rows as lists of cells."""
    text = path.read_text(encoding="utf-8").split(f"{heading}\n", 1)[1]
    found = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert found is not None
    return [[c.strip() for c in line.strip("|").split(" | ")] for line in found[0].splitlines()[2:]]


def code(cell: str) -> str:
    return "\n".join(re.findall(r"`([^`]+)`", cell))


def test_names_are_as_shown(tmp_path: Path) -> None:
    rows = table(MODELS, "## Names")
    assert len(rows) == 5
    for i, (file, name) in enumerate(rows):
        found = loader(tmp_path / str(i), {code(file): "select 1 as x"}).load()
        assert list(found.assets) == [code(name)]


def test_all_properties_are_told() -> None:
    assert {code(row[0]) for row in table(MODELS, "## Properties")} | {"grains"} == set(USED)


def fingerprint(folder: Path, query: str) -> str:
    sources = {AssetName(n): SourceSettings() for n in ("s.t", "s.u")}
    sources[AssetName("s.d")] = SourceSettings({"a": "int", "b": "int"})
    found = loader(folder, {"models/m.sql": query}, sources=sources).load()
    assert not found.unanalysed
    return found.assets[AssetName("main.m")].fingerprint


def test_what_is_the_same(tmp_path: Path) -> None:
    rows = table(FINGERPRINTS, "## Queries")
    assert len(rows) == 12
    for _, one, other in rows:
        assert fingerprint(tmp_path, code(one)) == fingerprint(tmp_path, code(other)), one


def test_what_differs(tmp_path: Path) -> None:
    text = FINGERPRINTS.read_text(encoding="utf-8")
    rows = [r.strip("|").split(" | ") for r in text.split("| differs from |")[1].split("\n\n")[0].splitlines()[2:]]
    assert len(rows) == 9
    for _, one, other in rows:
        assert fingerprint(tmp_path, code(one)) != fingerprint(tmp_path, code(other)), one
