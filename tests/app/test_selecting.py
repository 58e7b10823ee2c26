"""apply --select: only what is selected changes, and nothing reads a version that isn't there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import edits, projects
from tests.support.project import SOURCE, Model, snapshots
from tests.support.site import FEATURE, PROD, Site

from anabranch.domain.merge import incoherent
from anabranch.domain.names import AssetName
from anabranch.domain.selection import Selection, candidates_of
from anabranch.errors import Refused, SelectionError

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.b": Model(reads=("s.a",)),
    "s.c": Model(reads=("raw.u",)),
}


def plan(process, *select, name=PROD, exclude=()):
    return process.w.plan_apply(name, selection=Selection(select, exclude))


def test_only_the_selected_assets_change():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    before = site.shown(PROD)
    process.models = {**MODELS, "s.b": Model("2", ("s.a",)), "s.c": Model("2", ("raw.u",)), "s.d": Model()}
    made = plan(process, "s.b")
    assert [d.asset for d in made.decisions] == ["s.b"]
    assert made.notes[-1] == "other assets have changed and stay as they are: s.c, s.d"
    process.w.apply(made)
    after = site.shown(PROD)
    assert {a for a in before.keys() | after.keys() if before.get(a) != after.get(a)} == {"s.b"}
    site.check()
    process.w.apply(plan(process, exclude=("s.d",)))
    assert "s.d" not in site.shown(PROD)
    assert site.shown(PROD)[AssetName("s.c")] != before[AssetName("s.c")]
    assert plan(process, "s.b").is_empty
    site.check()


def test_a_selected_asset_needs_what_it_reads():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    process.models = {**MODELS, "s.a": Model("2", ("raw.u",)), "s.b": Model("2", ("s.a",))}
    with pytest.raises(Refused) as raised:
        plan(process, "s.b")
    assert raised.value.message == "s.b is selected, but not s.a, which it reads and which has changed too"
    assert raised.value.hint == "add what belongs to it: --select +s.b"
    assert [d.asset for d in plan(process, "+s.b").decisions] == ["s.a", "s.b"]


def test_all_that_is_missing_is_told_at_once():
    site = Site()
    process = site.process({**MODELS, "s.e": Model(reads=("s.a",)), "s.f": Model(reads=("s.e", "s.c"))})
    process.apply(PROD)
    process.models = {**process.models, "s.a": Model("2", ("raw.u",)), "s.c": Model("2", ("raw.u",))}
    with pytest.raises(Refused) as raised:
        plan(process, "s.b")
    assert raised.value.hint == "add what belongs to it: --select +s.b --select s.a+ --select +s.f"
    process.w.apply(plan(process, "+s.b", "s.a+", "+s.f"))
    site.check()


def test_what_reads_a_selected_asset_belongs_to_it():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    process.models = {**MODELS, "s.a": Model("2", ("raw.u",))}
    with pytest.raises(Refused) as raised:
        plan(process, "s.a")
    assert raised.value.message == ("s.a is selected, but not s.b, which reads it and would go on with what was before")
    assert raised.value.hint == "add what belongs to it: --select s.a+"
    process.w.apply(plan(process, "s.a+"))
    site.check()


def test_an_asset_that_is_gone_from_the_files_can_be_selected():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    process.models = {n: m for n, m in MODELS.items() if n not in ("s.b", "s.c")}
    made = plan(process, "s.c")
    assert [(d.asset, d.verb.value) for d in made.decisions] == [("s.c", "remove")]
    process.w.apply(made)
    assert set(site.shown(PROD)) == {"raw.u", "s.a", "s.b"}
    site.check()


def test_a_new_environment_begins_as_the_trunk():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    process.models = {**MODELS, "s.b": Model("2", ("s.a",)), "s.c": Model("2", ("raw.u",))}
    process.w.apply(plan(process, "s.b", name=FEATURE))
    there, trunk = site.shown(FEATURE), site.shown(PROD)
    assert {a for a in there if there[a] != trunk[a]} == {"s.b"}
    site.check()


def test_the_first_environment_of_all():
    process = Site().process(MODELS)
    with pytest.raises(Refused, match="but not s"):
        plan(process, "s.b")
    process.w.apply(plan(process, "+s.b"))
    process.site.check()
    with pytest.raises(SelectionError, match="no asset is called"):
        plan(process, "s.x")


def test_diff_and_assets():
    site = Site()
    process = site.process(MODELS)
    process.apply(PROD)
    process.models = {**MODELS, "s.b": Model("2", ("s.a",)), "s.c": Model("2", ("raw.u",)), "s.d": Model()}
    process.apply(FEATURE)
    found = process.w.diff(FEATURE, PROD, selection=Selection(("s.b", "s.a", "s.d")))
    assert ([a.asset for a in found.assets], found.same) == (["s.b", "s.d"], 1)
    assert set(process.w.assets(FEATURE, Selection(("s.a+",)))) == {"s.a", "s.b"}


def both_of(state, tree, models):
    """The assets of an environment and of a project."""
    entries = state.trees.entries(tree)
    found = state.snapshots(list(entries.values()))
    return {**{a: found[i] for a, i in entries.items()}, **snapshots(models)}


@given(projects().flatmap(lambda p: st.tuples(st.just(p), edits(p))), st.data())
def test_whatever_is_selected_the_result_is_coherent_or_refused(both, data):
    before, after = both
    site = Site()
    process = site.process(before)
    process.apply(PROD)
    process.models = after
    names = sorted({*before, *after})
    wanted = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
    chosen = set(wanted)
    state = process.w.state
    was = state.commit(state.require(PROD).head).tree
    try:
        made = plan(process, *wanted)
    except Refused as refused:
        added = [word for word in (refused.hint or "").split() if word not in ("--select",) and "s." in word]
        made = plan(process, *wanted, *added)  # what it says to add is all that is needed
        chosen = {*Selection((*wanted, *added)).of(candidates_of(both_of(state, was, after)), lambda ref: ())}
    changed = {c.asset for c in state.trees.diff(was, made.tree)}
    assert changed <= chosen
    found = {d.asset for d in made.decisions}
    assert changed == found
    everything = list(state.trees.entries(made.tree))
    assert incoherent(state.trees, state.snapshots, made.tree, everything, (was, was, was)) == []
    wanted_now = snapshots(after)
    for asset in chosen & wanted_now.keys():
        assert state.trees.get(made.tree, asset) == wanted_now[asset].id
