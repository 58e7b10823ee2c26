import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import Nodes, assets, entries, similar_entries, snapshot_id, snapshot_ids

from anabranch.domain.ids import TreeId, canonical, digest
from anabranch.domain.names import AssetName
from anabranch.domain.tree import EMPTY, EMPTY_DATA, LEAF, Change, Entries, Trees

HUNDRED_THOUSAND = 100_000


def many(count: int) -> Entries:
    return {AssetName(f"s{n % 50}.t{n}"): snapshot_id(str(n)) for n in range(count)}


def changes(before: Entries, after: Entries) -> list[Change]:
    names = sorted(before.keys() | after.keys())
    found = (Change(n, before.get(n), after.get(n)) for n in names)
    return [c for c in found if c.before != c.after]


# -- laws --------------------------------------------------------------------------------------------------------------


@given(similar_entries())
def test_a_patch_with_the_difference_gives_the_other(pair: tuple[Entries, Entries]):
    trees = Nodes().fresh()
    before, after = map(trees.build, pair)
    found = trees.diff(before, after)
    assert found == changes(*pair)
    assert trees.patch(before, found) == after


@given(entries, entries)
def test_a_difference_of_strangers_is_right_too(one: Entries, other: Entries):
    trees = Nodes().fresh()
    assert trees.diff(trees.build(one), trees.build(other)) == changes(one, other)


@given(entries, st.randoms(use_true_random=False))
def test_the_shape_depends_on_the_content_alone(content: Entries, shuffler: random.Random):
    trees = Nodes().fresh()
    built = trees.build(content)
    names = list(content)
    shuffler.shuffle(names)
    assert trees.build({n: content[n] for n in names}) == built
    assert trees.patch(EMPTY, [Change(n, None, content[n]) for n in names]) == built
    one_by_one = EMPTY
    for name in names:
        one_by_one = trees.patch(one_by_one, [Change(name, None, content[name])])
    assert one_by_one == built
    for name in names:
        one_by_one = trees.patch(one_by_one, [Change(name, content[name], None)])
    assert one_by_one == EMPTY


@given(entries)
def test_what_was_built_is_read_back_by_anybody(content: Entries):
    nodes = Nodes()
    trees = nodes.fresh()
    built = trees.build(content)
    nodes.keep(trees)
    other = nodes.fresh()
    assert other.entries(built) == dict(sorted(content.items()))
    assert list(other.entries(built)) == sorted(content)
    assert other.count(built) == len(content)
    assert {n: nodes.fresh().get(built, n) for n in content} == content
    assert other.get(built, AssetName("not.there")) is None
    assert other.snapshots([built]) == set(content.values())


@given(entries, assets, snapshot_ids)
def test_equal_content_has_an_equal_id_and_other_content_another(content: Entries, name, snapshot):
    trees = Nodes().fresh()
    other = {**content, name: snapshot}
    assert (trees.build(content) == trees.build(other)) == (content == other)


@given(entries, entries)
def test_a_patch_changes_what_it_names_and_nothing_else(content: Entries, new: Entries):
    trees = Nodes().fresh()
    tree = trees.build(content)
    patched = trees.patch(tree, [Change(n, None, s) for n, s in new.items()])
    assert trees.entries(patched) == {**content, **new}
    assert trees.count(patched) == len({**content, **new})
    gone = trees.patch(tree, [Change(n, s, None) for n, s in new.items()])
    assert trees.entries(gone) == {n: s for n, s in content.items() if n not in new}
    assert trees.patch(tree, []) == tree


@given(entries, st.integers(0, LEAF))
def test_a_tree_that_shrinks_has_the_shape_of_a_small_one(content: Entries, rest: int):
    trees = Nodes().fresh()
    small = dict(list(content.items())[:rest])
    shrunk = trees.patch(trees.build(content), changes(content, small))
    assert shrunk == trees.build(small)


@given(similar_entries(), st.data())
def test_every_count_is_that_of_what_is_below(pair: tuple[Entries, Entries], data: st.DataObject):
    nodes = Nodes()
    trees = nodes.fresh()
    tree = trees.patch(trees.build(pair[0]), changes(*pair))
    nodes.keep(trees)

    def below(node: TreeId) -> int:
        count, own, children = json.loads(nodes.kept[node]) if node != EMPTY else (0, {}, {})
        assert len(own) <= LEAF
        assert not (own and children)
        assert count == len(own) + sum(map(below, children.values()))
        assert not children or count > LEAF
        return int(count)

    assert below(tree) == len(pair[1])


# -- cost, in nodes ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> tuple[Nodes, TreeId]:
    nodes = Nodes()
    trees = nodes.fresh()
    tree = trees.build(many(HUNDRED_THOUSAND))
    nodes.keep(trees)
    return nodes, tree


def test_another_environment_of_the_same_tree_costs_no_node(large):
    nodes, tree = large
    trees = nodes.fresh()
    assert trees.diff(tree, tree) == []
    assert trees.patch(tree, []) == tree
    assert nodes.read == []
    assert trees.fresh == {}
    assert trees.count(tree) == HUNDRED_THOUSAND
    assert nodes.read == [tree]


def test_a_change_of_one_asset_touches_one_path(large):
    nodes, tree = large
    name = AssetName("s1.t1")
    for change in (
        Change(name, None, snapshot_id("new")),
        Change(AssetName("new.asset"), None, snapshot_id("new")),
        Change(name, None, None),
    ):
        trees = nodes.fresh()
        changed = trees.patch(tree, [change])
        depth = len(trees.fresh)
        assert depth <= 6
        assert len(nodes.read) <= 16 * depth, "a level's children, for their counts"
        assert nodes.trips <= 2 * depth
        nodes.keep(trees)

        trees = nodes.fresh()
        (found,) = trees.diff(tree, changed)
        assert (found.asset, found.after) == (change.asset, change.after)
        assert len(nodes.read) <= 2 * depth
        assert nodes.trips <= depth

        trees = nodes.fresh()
        assert trees.get(changed, change.asset) == change.after
        assert len(nodes.read) <= depth


def test_a_difference_never_reads_what_both_share(large):
    nodes, tree = large
    trees = nodes.fresh()
    some = [Change(AssetName(f"s{n % 50}.t{n}"), None, snapshot_id("new")) for n in range(0, HUNDRED_THOUSAND, 5000)]
    changed = trees.patch(tree, some)
    nodes.keep(trees)
    shared = nodes.fresh().nodes([tree]) & nodes.fresh().nodes([changed])
    trees = nodes.fresh()
    assert len(trees.diff(tree, changed)) == len(some)
    assert not shared & set(nodes.read)
    assert len(nodes.read) == len(set(nodes.read)), "nothing is read twice"


def test_a_level_is_one_trip(large):
    nodes, tree = large
    trees = nodes.fresh()
    assert len(trees.entries(tree)) == HUNDRED_THOUSAND
    assert nodes.trips <= 6
    trees.entries(tree)
    assert nodes.trips <= 6, "what was read is kept"


# -- edges -------------------------------------------------------------------------------------------------------------


def test_the_empty_tree_needs_no_storing():
    trees = Nodes().fresh()
    assert trees.build({}) == EMPTY
    assert trees.fresh == {}
    assert trees.entries(EMPTY) == {}
    assert trees.count(EMPTY) == 0
    assert canonical([0, {}, {}]) == EMPTY_DATA
    assert digest(b"tree" + EMPTY_DATA) == EMPTY


def test_a_node_that_is_not_kept_is_a_key_error():
    trees = Trees(Nodes())
    with pytest.raises(KeyError):
        trees.entries(TreeId(digest(b"unknown")))


def test_a_leaf_splits_when_it_is_full():
    trees = Nodes().fresh()
    assert len(Nodes().fresh().nodes([])) == 0
    full = trees.build(many(LEAF))
    assert trees.nodes([full]) == {full}
    split = trees.build(many(LEAF + 1))
    assert len(trees.nodes([split])) > 1


def test_a_branch_that_loses_entries_is_a_leaf_again():
    trees = Nodes().fresh()
    content = many(LEAF + 3)
    tree = trees.build(content)
    for name in list(content)[:3]:
        del content[name]
        tree = trees.patch(tree, [Change(name, None, None)])
        assert tree == trees.build(content)
    assert trees.nodes([tree]) == {tree}


def test_what_is_made_again_is_written_again():
    """It may have been swept since it was read or made: whoever needs it says so by writing it."""
    nodes = Nodes()
    trees = nodes.fresh()
    content = many(100)
    built = trees.build(content)
    made = nodes.keep(trees)
    assert made == len(trees.nodes([built]))
    assert trees.build(content) == built
    assert nodes.keep(trees) == made
