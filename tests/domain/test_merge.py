from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import Nodes, edits, projects
from tests.support.project import SOURCE, Model, Models, snapshots

from anabranch.domain.ids import Fingerprint, SnapshotId, TreeId
from anabranch.domain.merge import Cause, Conflict, Merged, incoherent, merge
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.tree import EMPTY, Trees


class Repository:
    """Trees of projects."""

    def __init__(self) -> None:
        self.trees: Trees = Nodes().fresh()
        self.snapshots: dict[SnapshotId, Snapshot] = {}

    def read(self, ids: Collection[SnapshotId]) -> Mapping[SnapshotId, Snapshot]:
        return {i: self.snapshots[i] for i in ids}

    def tree(self, models: Models) -> TreeId:
        found = snapshots(models)
        self.snapshots.update({s.id: s for s in found.values()})
        return self.trees.build({a: s.id for a, s in found.items()})

    def merge(self, base: Models, ours: Models, theirs: Models) -> Merged:
        return merge(self.trees, self.read, *(self.tree(m) for m in (base, ours, theirs)))

    def data(self, tree: TreeId) -> dict[AssetName, Fingerprint]:
        """What a tree says about data, descriptions aside."""
        return {a: self.snapshots[i].fingerprint for a, i in self.trees.entries(tree).items()}

    def id(self, models: Models, asset: str) -> SnapshotId:
        return snapshots(models)[AssetName(asset)].id


def merged_by_hand(base: Models, ours: Models, theirs: Models) -> dict[str, Model] | None:
    """Each model as the side that changed it has it; None where both changed one, each in its own way."""
    result = dict(ours)
    for name in base.keys() | theirs.keys():
        b, o, t = (side.get(name) for side in (base, ours, theirs))
        if t in (b, o):
            continue
        if o != b:
            return None
        if t is None:
            del result[name]
        else:
            result[name] = t
    return result


@st.composite
def three_projects(draw: st.DrawFn) -> tuple[dict[str, Model], dict[str, Model], dict[str, Model]]:
    base = draw(projects())
    return base, draw(edits(draw(edits(base)))), draw(edits(draw(edits(base))))


# -- identities --------------------------------------------------------------------------------------------------------


@given(three_projects())
def test_who_changed_nothing_gets_what_the_other_has(sides):
    base, ours, _ = sides
    repository = Repository()
    assert repository.merge(base, base, ours).tree == repository.tree(ours)
    assert repository.merge(base, base, ours).conflicts == ()
    kept = repository.merge(base, ours, base)
    assert (kept.tree, kept.changes, kept.conflicts) == (repository.tree(ours), (), ())
    same = repository.merge(base, ours, ours)
    assert (same.tree, same.changes, same.conflicts) == (repository.tree(ours), (), ())


@given(three_projects())
def test_what_merges_is_what_the_merged_project_says(sides):
    base, ours, theirs = sides
    repository = Repository()
    merged = repository.merge(base, ours, theirs)
    if merged.conflicts:
        return
    plain = [{n: m.but(wording="", description="") for n, m in side.items()} for side in sides]
    by_hand = merged_by_hand(*plain)
    assert by_hand is not None
    assert repository.data(merged.tree) == repository.data(repository.tree(by_hand))


@given(three_projects())
def test_both_ways_agree(sides):
    base, ours, theirs = sides
    repository = Repository()
    one, other = repository.merge(base, ours, theirs), repository.merge(base, theirs, ours)
    assert bool(one.conflicts) == bool(other.conflicts)
    both = [c for c in one.conflicts if c.cause is Cause.BOTH_CHANGED]
    turned = [c for c in other.conflicts if c.cause is Cause.BOTH_CHANGED]
    assert [(c.asset, c.base, c.ours, c.theirs) for c in both] == [(c.asset, c.base, c.theirs, c.ours) for c in turned]
    if one.conflicts and not both:
        # readers further down are told of too, by what was tried last; what they have in common is the cause
        assert {c.asset for c in one.conflicts} & {c.asset for c in other.conflicts}
    if not one.conflicts:
        assert repository.data(one.tree) == repository.data(other.tree)


@given(three_projects())
def test_a_merged_tree_is_coherent(sides):
    repository = Repository()
    merged = repository.merge(*sides)
    if not merged.conflicts:
        names = list(repository.trees.entries(merged.tree))
        assert incoherent(repository.trees, repository.read, merged.tree, names, (EMPTY, EMPTY, EMPTY)) == []


@given(three_projects())
def test_a_conflict_is_told_only_where_the_result_was_rehearsed_by_nobody(sides):
    plain = [{n: m.but(wording="", description="") for n, m in side.items()} for side in sides]
    repository = Repository()
    by_hand = merged_by_hand(*plain)
    if by_hand is None or any(u not in by_hand for m in by_hand.values() for u in m.reads):
        return
    result = repository.data(repository.tree(by_hand))
    _, ours, theirs = (repository.data(repository.tree(side)) for side in plain)
    rehearsed = all(fingerprint in (ours.get(a), theirs.get(a)) for a, fingerprint in result.items())
    assert (repository.merge(*plain).conflicts == ()) == rehearsed


@given(three_projects())
def test_nothing_that_either_side_changed_is_lost(sides):
    base, ours, theirs = sides
    repository = Repository()
    merged = repository.merge(base, ours, theirs)
    if merged.conflicts:
        return
    was, result = snapshots(base), repository.trees.entries(merged.tree)
    logics = {asset: repository.snapshots[i].logic for asset, i in result.items()}
    for side in (ours, theirs):
        now = snapshots(side)
        for asset in was.keys() | now.keys():
            before, after = (found[asset].logic if asset in found else None for found in (was, now))
            if before != after:
                assert logics.get(asset) == after


@given(st.integers(0, 40), st.data())
def test_disjoint_changes_always_merge(count: int, data: st.DataObject):
    base = {f"s.m{n}": Model() for n in range(count)}
    names = [*base, "s.new1", "s.new2"]
    mine = data.draw(st.sets(st.sampled_from(names)))
    ours = {**base, **{n: Model("mine") for n in mine}}
    theirs = {**base, **{n: Model("theirs") for n in names if n not in mine}}
    repository = Repository()
    merged = repository.merge(base, ours, theirs)
    assert merged.conflicts == ()
    assert merged.tree == repository.tree({n: ours[n] if n in mine else theirs[n] for n in names})
    assert {c.asset for c in merged.changes} == {AssetName(n) for n in names if n not in mine}


# -- conflicts ---------------------------------------------------------------------------------------------------------

BASE = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",)), "s.b": Model(reads=("s.a",)), "s.z": Model()}


def test_what_both_changed_is_a_conflict_that_shows_all_three():
    ours, theirs = {**BASE, "s.z": Model("ours")}, {**BASE, "s.z": Model("theirs"), "s.b": Model("2", ("s.a",))}
    repository = Repository()
    merged = repository.merge(BASE, ours, theirs)
    b, o, t = (repository.id(side, "s.z") for side in (BASE, ours, theirs))
    assert merged.conflicts == (Conflict(AssetName("s.z"), b, o, t, Cause.BOTH_CHANGED),)
    assert [c.asset for c in merged.changes] == ["s.b"]


def test_changed_here_and_removed_there_is_a_conflict():
    changed = {**BASE, "s.z": Model("ours")}
    removed = {n: m for n, m in BASE.items() if n != "s.z"}
    repository = Repository()
    for ours, theirs in ((changed, removed), (removed, changed)):
        (conflict,) = repository.merge(BASE, ours, theirs).conflicts
        assert (conflict.asset, conflict.cause) == ("s.z", Cause.BOTH_CHANGED)
        assert None in (conflict.ours, conflict.theirs)
        assert conflict.base is not None
    assert repository.merge(BASE, removed, removed).conflicts == ()


def test_added_by_both_in_the_same_way_is_none_and_else_one():
    ours = {**BASE, "s.new": Model("1")}
    repository = Repository()
    assert repository.merge(BASE, ours, {**BASE, "s.new": Model("1", wording="-- hello")}).conflicts == ()
    (conflict,) = repository.merge(BASE, ours, {**BASE, "s.new": Model("2")}).conflicts
    assert (conflict.asset, conflict.base) == ("s.new", None)


def test_the_same_data_described_twice_is_no_conflict():
    ours, theirs = ({**BASE, "s.a": Model("2", ("raw.u",)), "s.z": Model(description=d)} for d in ("by us", "by them"))
    repository = Repository()
    merged = repository.merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert merged.tree == repository.tree(theirs), "theirs is taken"


def test_a_description_that_only_one_side_changed_is_kept():
    ours, theirs = {**BASE, "s.z": Model(description="by us")}, {**BASE, "s.new": Model()}
    repository = Repository()
    for pair in ((ours, theirs), (theirs, ours)):
        assert repository.merge(BASE, *pair).tree == repository.tree({**ours, **theirs, "s.z": ours["s.z"]})


def test_a_new_reader_of_something_that_the_other_side_changed_is_a_conflict():
    ours = {**BASE, "s.a": Model("2", ("raw.u",))}
    theirs = {**BASE, "s.new": Model(reads=("s.a",))}
    repository = Repository()
    for pair in ((ours, theirs), (theirs, ours)):
        (conflict,) = repository.merge(BASE, *pair).conflicts
        assert (conflict.asset, conflict.cause, conflict.upstream) == ("s.new", Cause.UPSTREAM_MOVED, "s.a")
        assert conflict.base is None
        assert {conflict.ours, conflict.theirs} == {None, repository.id(theirs, "s.new")}


COLUMNS = {**BASE, "s.k": Model(columns={"x": "1", "y": "1"})}


def test_a_new_reader_of_other_columns_than_the_other_side_changed_is_none():
    theirs = {**COLUMNS, "s.new": Model(reads=("s.k",), uses={"s.k": ("x",)})}
    repository = Repository()
    for columns in ({"x": "1", "y": "2"}, {"x": "1", "y": "1", "z": "1"}, {"x": "1"}):
        ours = {**COLUMNS, "s.k": Model(columns=columns)}
        for pair in ((ours, theirs), (theirs, ours)):
            result = repository.merge(COLUMNS, *pair)
            assert result.conflicts == ()
            assert repository.data(result.tree) == {
                a: s.fingerprint for a, s in snapshots({**ours, **theirs, "s.k": ours["s.k"]}).items()
            }


def test_a_new_reader_of_a_column_or_of_rows_that_the_other_side_changed_is_a_conflict():
    theirs = {**COLUMNS, "s.new": Model(reads=("s.k",), uses={"s.k": ("x",)})}
    repository = Repository()
    for changed in (
        Model(columns={"x": "2", "y": "1"}),
        Model("2", columns={"x": "1", "y": "1"}),
        Model(columns={"y": "1"}),
    ):
        ours = {**COLUMNS, "s.k": changed}
        for pair in ((ours, theirs), (theirs, ours)):
            (conflict,) = repository.merge(COLUMNS, *pair).conflicts
            assert (conflict.asset, conflict.cause, conflict.upstream) == ("s.new", Cause.UPSTREAM_MOVED, "s.k")


def test_a_new_reader_of_something_that_the_other_side_removed_is_a_conflict():
    ours = {n: m for n, m in BASE.items() if n != "s.z"}
    theirs = {**BASE, "s.new": Model(reads=("s.z",))}
    repository = Repository()
    for pair in ((ours, theirs), (theirs, ours)):
        (conflict,) = repository.merge(BASE, *pair).conflicts
        assert (conflict.asset, conflict.cause, conflict.upstream) == ("s.new", Cause.UPSTREAM_MOVED, "s.z")


def test_a_new_reader_of_something_that_the_other_side_only_described_is_none():
    ours = {**BASE, "s.a": Model(reads=("raw.u",), description="by us")}
    theirs = {**BASE, "s.new": Model(reads=("s.a",))}
    repository = Repository()
    assert repository.merge(BASE, ours, theirs).conflicts == ()
    assert repository.merge(BASE, theirs, ours).conflicts == ()


def test_a_changed_upstream_meets_a_changed_reader():
    """Nobody has built the reader as it would be."""
    ours, theirs = {**BASE, "s.a": Model("2", ("raw.u",))}, {**BASE, "s.b": Model("2", ("s.a",))}
    for pair in ((ours, theirs), (theirs, ours)):
        (conflict,) = Repository().merge(BASE, *pair).conflicts
        assert (conflict.asset, conflict.cause, conflict.upstream) == ("s.b", Cause.UPSTREAM_MOVED, "s.a")


def test_a_changed_reader_that_was_rehearsed_over_the_changed_upstream_is_taken():
    ours = {**BASE, "s.a": Model("2", ("raw.u",))}
    theirs = {**ours, "s.b": Model("2", ("s.a",))}
    repository = Repository()
    for pair in ((ours, theirs), (theirs, ours)):
        merged = repository.merge(BASE, *pair)
        assert (merged.tree, merged.conflicts) == (repository.tree(theirs), ())


def test_of_two_that_only_follow_the_one_that_fits_is_taken():
    """Both sides have changed what ``s.b`` reads; only one has all of it."""
    ours = {**BASE, "s.a": Model("2", ("raw.u",))}
    theirs = {**BASE, "s.a": Model("2", ("raw.u",), wording="-- both"), "raw.u": SOURCE.but(logic="2")}
    repository = Repository()
    for pair in ((ours, theirs), (theirs, ours)):
        merged = repository.merge(BASE, *pair)
        assert (repository.data(merged.tree), merged.conflicts) == (repository.data(repository.tree(theirs)), ())


def test_a_description_is_kept_where_the_other_side_only_follows():
    """Both have changed what it reads, and alike: its data is the same."""
    changed = {**BASE, "s.a": Model("2", ("raw.u",))}
    ours = {**changed, "s.b": Model(reads=("s.a",), description="by us")}
    repository = Repository()
    for pair in ((ours, changed), (changed, ours)):
        merged = repository.merge(BASE, *pair)
        assert (merged.tree, merged.conflicts) == (repository.tree(ours), ())


def test_a_description_is_a_definition_too():
    """It would be lost where the other side's build is taken."""
    ours = {**BASE, "s.a": Model("2", ("raw.u",)), "s.b": Model(reads=("s.a",), description="by us")}
    theirs = {**BASE, "s.a": Model("2", ("raw.u",)), "s.b": Model("2", ("s.a",))}
    (conflict,) = Repository().merge(BASE, ours, theirs).conflicts
    assert (conflict.asset, conflict.cause) == ("s.b", Cause.BOTH_CHANGED)


def test_a_change_of_one_asset_in_many_reads_few_nodes():
    nodes = Nodes()
    trees = nodes.fresh()
    repository = Repository()
    repository.trees = trees
    base = {f"s.m{n}": Model() for n in range(3000)}
    ours, theirs = {**base, "s.m1": Model("2")}, {**base, "s.m2": Model("2")}
    ids = [repository.tree(m) for m in (base, ours, theirs)]
    expected = repository.tree({**ours, "s.m2": Model("2")})
    nodes.keep(trees)
    fresh = nodes.fresh()
    assert merge(fresh, repository.read, *ids).tree == expected
    assert len(nodes.read) < 60
