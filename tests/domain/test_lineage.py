"""Walks up and down are inverses, and lose nothing on the way."""

from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.lineage import ROWS, WHOLE, Decides, Lineage, Part, of_assets, turned, walk
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Kind

ASSETS = [AssetName(f"s.{n}") for n in "abcdef"]
VALUES = Decides.VALUES


def part(asset: AssetName, column: str) -> Part:
    return Part(asset, column)


@st.composite
def lineages(draw) -> Lineage:
    """Models whose columns and rows are made of any parts of earlier ones, a few of them told as wholes; and what a
    loader adds: whoever reads anything of an asset reads its rows, and rows decide the columns."""
    parts: dict[Part, dict[Part, Decides]] = {}
    reads: dict[AssetName, list[AssetName]] = {}
    whole: dict[AssetName, str] = {}
    for number, asset in enumerate(ASSETS):
        upstreams = draw(st.lists(st.sampled_from(ASSETS[:number]), unique=True, max_size=3)) if number else []
        reads[asset] = upstreams
        columns = [part(asset, c) for c in "xy"]
        rows, all_of_it = part(asset, ROWS), part(asset, WHOLE)
        if upstreams and draw(st.integers(0, 4)) == 0:
            whole[asset] = "PIVOT"
            parts |= {p: {all_of_it: Decides.WHOLE} for p in (*columns, rows)}
            parts[all_of_it] = {part(u, WHOLE): Decides.WHOLE for u in upstreams}
            continue
        below = [part(u, c) for u in upstreams for c in "xy"]
        some = st.lists(st.sampled_from(below), unique=True, max_size=3) if below else st.just([])
        parts[rows] = dict.fromkeys([*draw(some), *(part(u, ROWS) for u in upstreams)], Decides.ROWS)
        for column in columns:
            parts[column] = dict.fromkeys(draw(some), VALUES) | {rows: Decides.ROWS}
        parts[all_of_it] = dict.fromkeys([*columns, rows], Decides.WHOLE)
    return Lineage(reads, dict.fromkeys(ASSETS, Kind.FULL), dict.fromkeys(ASSETS, ("x", "y")), parts, whole)


def assets(parts) -> set[AssetName]:
    return {p.asset for p in parts}


@given(lineages())
def test_down_is_up_backwards(lineage: Lineage):
    back = turned(lineage.parts)
    assert turned(back) == lineage.parts
    up = {p: walk(p, lineage.parts.__getitem__).distances for p in lineage.parts}
    down = {p: walk(p, back.__getitem__).distances for p in lineage.parts}
    for one in lineage.parts:
        for other in lineage.parts:
            assert up[one].get(other) == down[other].get(one)


@given(lineages())
def test_what_is_told_by_asset_is_what_there_is(lineage: Lineage):
    """Passing over what lies within an asset loses no asset that is reached, in either direction."""
    back = turned(lineage.parts)
    for start in lineage.parts:
        told = assets(walk(start, lineage.upstreams).distances)
        assert told == assets(walk(start, lineage.parts.__getitem__).distances)
        told = assets(walk(start, lambda p: lineage.readers(p, back)).distances)
        assert told == assets(walk(start, back.__getitem__).distances)


@given(lineages())
def test_readers_by_asset_are_the_reads_backwards(lineage: Lineage):
    down = of_assets(lineage.reads, down=True)
    up = of_assets(lineage.reads)
    assert {(u, a) for a, each in up.items() for u in each} == {(a, r) for a, each in down.items() for r in each}


@given(lineages(), st.integers(1, 4))
def test_a_walk_of_some_depth_is_the_beginning_of_the_whole(lineage: Lineage, depth: int):
    for start in lineage.parts:
        whole, cut = walk(start, lineage.upstreams), walk(start, lineage.upstreams, depth)
        assert cut.distances == {p: d for p, d in whole.distances.items() if d <= depth}
        assert cut.edges == {e: how for e, how in whole.edges.items() if whole.distances[e[0]] < depth}
        assert cut.is_cut == (max(whole.distances.values()) > depth)


A, B, C = ASSETS[:3]
CHAIN = Lineage(
    {A: (), B: (A,), C: (B,)},
    dict.fromkeys((A, B, C), Kind.FULL),
    parts={
        part(A, "x"): {part(A, ROWS): Decides.ROWS},
        part(A, "f"): {part(A, ROWS): Decides.ROWS},
        part(A, ROWS): {},
        part(A, WHOLE): dict.fromkeys((part(A, "x"), part(A, "f"), part(A, ROWS)), Decides.WHOLE),
        part(B, "x"): {part(A, "x"): VALUES, part(B, ROWS): Decides.ROWS},
        part(B, ROWS): {part(A, ROWS): Decides.ROWS, part(A, "f"): Decides.ROWS},
        part(B, WHOLE): dict.fromkeys((part(B, "x"), part(B, ROWS)), Decides.WHOLE),
        part(C, ROWS): {part(C, WHOLE): Decides.WHOLE},
        part(C, WHOLE): {part(B, WHOLE): Decides.WHOLE},
    },
    whole={C: "PIVOT"},
)


def test_a_column_is_decided_by_values_and_by_rows():
    assert CHAIN.upstreams(part(B, "x")) == {part(A, "x"): VALUES, part(A, "f"): Decides.ROWS}


def test_what_decides_rows_is_told_once_for_each_reader():
    assert CHAIN.readers(part(A, "f"), turned(CHAIN.parts)) == {part(B, ROWS): Decides.ROWS}
    assert CHAIN.readers(part(A, "x"), turned(CHAIN.parts)) == {part(B, "x"): VALUES}


def test_a_model_that_counts_as_a_whole_leads_to_the_whole_of_what_it_reads():
    assert CHAIN.upstreams(CHAIN.part(C, "anything")) == {part(B, WHOLE): Decides.WHOLE}
    assert CHAIN.readers(part(B, "x"), turned(CHAIN.parts)) == {part(C, WHOLE): Decides.WHOLE}
