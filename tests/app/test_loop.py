"""The daily loop: apply, branch, promote, drop, and what each costs."""

import pytest
from tests.app.daily import CHANGED, MODELS, rehearse
from tests.support.project import Model, snapshots
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.domain.commit import Action
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.plan import Reason, Verb
from anabranch.domain.selection import Selection
from anabranch.domain.snapshot import Kind
from anabranch.errors import ModelError, NotFound, Refused, SelectionError
from anabranch.ports.rows import RowOptions

# -- apply -------------------------------------------------------------------------------------------------------------


def test_the_first_apply_builds_everything(site: Site):
    applied = site.process(MODELS).apply(PROD)
    assert applied is not None
    assert set(applied.report.built) == {"s.a", "s.b", "s.v", "s.z"}
    assert applied.moved == 5
    assert site.shown(PROD) == expected(MODELS)
    site.check()
    head = site.state().commit(site.state().require(PROD).head)
    assert (head.action, head.author, head.parents, head.plan) == (Action.APPLY, "ann", (), applied.plan.id)
    assert head.id == applied.commit


def test_an_apply_of_nothing_new_does_nothing(site: Site, ann: Process):
    assert ann.apply(PROD) is None
    before = site.store.scan("")
    assert site.process(MODELS).apply(PROD) is None
    assert site.store.scan("") == before


def test_only_what_changed_is_built(site: Site, ann: Process):
    ann.models = CHANGED
    applied = ann.apply(PROD)
    assert applied is not None
    assert set(applied.report.built) == {"s.b", "s.v", "s.new"}
    assert site.shown(PROD) == expected(CHANGED)
    site.check()


def test_other_words_build_nothing(site: Site, ann: Process):
    ann.models = {**MODELS, "s.a": Model(reads=("raw.u",), wording="-- a comment")}
    assert ann.apply(PROD) is None
    ann.models = {**MODELS, "s.a": Model(reads=("raw.u",), description="for people")}
    applied = ann.apply(PROD)
    assert applied is not None
    assert [(d.asset, d.verb, d.reason) for d in applied.plan.decisions] == [("s.a", Verb.DESCRIBE, Reason.DESCRIBED)]
    assert applied.report.built == ()
    assert ann.w.assets(PROD)[AssetName("s.a")].properties == {"description": "for people"}
    site.check()


def test_what_is_removed_is_no_longer_shown(site: Site, ann: Process):
    ann.models = {n: m for n, m in MODELS.items() if n not in ("s.v", "s.z")}
    assert ann.apply(PROD) is not None
    assert site.shown(PROD) == expected(ann.models)
    site.check()


def test_a_model_becomes_embedded_and_back(site: Site, ann: Process):
    for kind in (Kind.EMBEDDED, Kind.FULL):
        ann.models = {**MODELS, "s.a": Model(reads=("raw.u",), kind=kind)}
        ann.apply(PROD)
        assert site.shown(PROD) == expected(ann.models)
        site.check()


def test_an_empty_project(site: Site):
    process = site.process({})
    assert process.apply(PROD) is not None
    assert site.shown(PROD) == {}
    site.check()
    process.models = MODELS
    process.apply(PROD)
    process.models = {}
    process.apply(PROD)
    assert site.shown(PROD) == {}
    site.check()


def test_a_project_that_cannot_be_read_changes_nothing(site: Site, ann: Process):
    before = site.store.scan("")
    ann.loader.error = ModelError("s.a doesn't parse")
    with pytest.raises(ModelError):
        ann.apply(PROD)
    assert site.store.scan("") == before


def test_a_missing_source_is_found_before_anything_starts(site: Site):
    process = site.process(MODELS)
    site.world.remove("raw.u")
    with pytest.raises(ModelError, match=r"raw\.u isn't there"):
        process.apply(PROD)
    assert site.built() == set()
    assert site.store.scan("") == {}


def test_a_place_that_is_taken_is_found_before_anything_starts(site: Site):
    site.world.take(PROD, AssetName("s.z"))
    with pytest.raises(Refused):
        site.process(MODELS).apply(PROD)
    assert site.built() == set()
    assert site.store.scan("") == {}


def test_where_readers_may_see_a_mix_the_plan_says_so(site: Site):
    process = site.process(MODELS, transactions=False)
    told = "memory has no transactions: pointers move one by one"
    assert told not in process.w.plan_apply(PROD).notes, "there are no readers yet"
    process.apply(PROD)
    assert told not in process.w.plan_apply(PROD).notes, "nothing moves"
    changed = site.process(CHANGED, transactions=False)
    assert told in changed.w.plan_apply(PROD).notes
    changed.apply(PROD)
    site.check()


# -- environments ------------------------------------------------------------------------------------------------------


def test_a_new_environment_is_complete_and_builds_nothing(site: Site, ann: Process):
    built = site.built()
    applied = ann.create(FEATURE)
    assert applied is not None
    assert applied.plan.decisions == ()
    assert applied.commit == ann.head(PROD), "it begins as the other is, without a commit"
    assert site.shown(FEATURE) == site.shown(PROD) == expected(MODELS)
    assert site.built() == built
    site.check()


def test_a_feature_environment_builds_what_it_changes(site: Site, ann: Process):
    bob = site.process(CHANGED, author="bob", branch="Feature")
    applied = bob.apply(bob.w.resolve(None))
    assert applied is not None
    assert set(applied.report.built) == {"s.b", "s.v", "s.new"}
    assert site.shown(FEATURE) == expected(CHANGED)
    assert site.shown(PROD) == expected(MODELS)
    environment = site.state().require(FEATURE)
    assert (environment.base, environment.branch, environment.owner) == (PROD, "Feature", "bob")
    assert environment.began == ann.head(PROD)
    site.check()


def test_the_same_change_in_another_environment_builds_nothing(site: Site, ann: Process):
    rehearse(site)
    applied = site.process(CHANGED, author="cem").apply(OTHER)
    assert applied is not None
    assert applied.report.built == ()
    assert {d.verb for d in applied.plan.decisions} == {Verb.REUSE}
    assert site.shown(OTHER) == expected(CHANGED)
    site.check()


def test_an_environment_that_exists_is_not_created_again(site: Site, ann: Process):
    ann.create(FEATURE)
    with pytest.raises(Refused, match="feature exists already"):
        ann.create(FEATURE)
    with pytest.raises(NotFound) as caught:
        ann.create(OTHER, EnvironmentName("fature"))
    assert caught.value.hint == "did you mean feature?"


def test_an_environment_begins_from_any_other(site: Site, ann: Process):
    rehearse(site)
    ann.create(OTHER, FEATURE)
    assert site.shown(OTHER) == expected(CHANGED)
    assert site.state().require(OTHER).base == FEATURE
    site.check()


def test_dropping(site: Site, ann: Process):
    bob = rehearse(site)
    built = site.built()
    applied = bob.drop(FEATURE)
    assert applied is not None
    assert applied.commit is None
    assert site.shown(FEATURE) == {}
    assert site.built() == built, "data goes with the next collection"
    assert site.shown(PROD) == expected(MODELS)
    site.check()
    with pytest.raises(NotFound):
        bob.drop(FEATURE)
    with pytest.raises(Refused, match="prod is protected"):
        bob.drop(PROD)
    applied = bob.apply(FEATURE)
    assert applied is not None
    assert applied.report.built == ()
    site.check()


# -- promote -----------------------------------------------------------------------------------------------------------


def test_a_promotion_points_at_what_was_tested_and_builds_nothing(site: Site, ann: Process):
    bob = rehearse(site)
    changes = site.world.tables.copy()
    before = ann.head(PROD)
    applied = bob.promote()
    assert applied is not None
    assert applied.plan.builds == ()
    assert {d.asset: d.verb for d in applied.plan.decisions} == dict.fromkeys(("s.b", "s.v", "s.new"), Verb.REUSE)
    assert site.world.tables == changes
    assert site.shown(PROD) == site.shown(FEATURE) == expected(CHANGED)
    commit = site.state().commit(ann.head(PROD))
    assert commit.parents == (before, bob.head(FEATURE))
    assert (commit.action, commit.message, commit.author) == (Action.PROMOTE, "promote feature", "bob")
    site.check()


def test_a_promotion_again_does_nothing(site: Site, ann: Process):
    bob = rehearse(site)
    bob.promote()
    assert bob.promote() is None
    with pytest.raises(Refused, match="into itself"):
        bob.promote(PROD)


def test_after_a_promotion_the_files_are_what_prod_is(site: Site, ann: Process):
    bob = rehearse(site)
    bob.promote()
    ann.models = CHANGED
    assert ann.apply(PROD) is None, "main, after the merge in git"


def test_work_goes_on_after_a_promotion(site: Site, ann: Process):
    bob = rehearse(site)
    bob.promote()
    bob.models = {**CHANGED, "s.z": Model("2"), "s.new": Model("3", reads=("s.z",))}
    bob.apply(FEATURE)
    applied = bob.promote()
    assert applied is not None
    assert {d.asset for d in applied.plan.decisions} == {"s.z", "s.new"}
    assert site.shown(PROD) == expected(bob.models)
    site.check()


def test_a_promotion_into_another_environment(site: Site, ann: Process):
    bob = rehearse(site)
    ann.create(OTHER)
    bob.promote(FEATURE, OTHER)
    assert site.shown(OTHER) == expected(CHANGED)
    assert site.shown(PROD) == expected(MODELS)
    bob.promote(OTHER, PROD)
    assert site.shown(PROD) == expected(CHANGED)
    assert bob.promote(FEATURE, PROD) is None, "it is all there, by way of the other"
    site.check()


def test_a_promotion_says_what_must_be_built_again(site: Site, ann: Process):
    """Nothing can have cleaned it up while an environment reaches it, except by hand in the state."""
    bob = rehearse(site)
    (location,) = {s.location for a, s in snapshots(CHANGED).items() if a == "s.new"}
    site.store.swap({}, {f"physical/{location}": None})
    plan = bob.w.plan_promote(FEATURE, PROD)
    assert [b.asset for b in plan.builds] == ["s.new"]
    assert any("s.new" in note and "built again" in note for note in plan.notes)
    bob.w.apply(plan)
    site.check()


# -- looking -----------------------------------------------------------------------------------------------------------


def test_status_diff_and_log(site: Site, ann: Process):
    bob = rehearse(site)
    before = site.store.scan("")
    status = bob.w.status(FEATURE)
    assert (status.plan.is_empty, status.ahead, status.inspection.drifts) == (True, 3, ())
    assert (status.interrupted, status.running) == ((), ())
    found = bob.w.diff(FEATURE, PROD, rows=RowOptions())
    assert {a.asset: (a.before is None, a.after is None) for a in found.assets} == {
        "s.b": (False, False),
        "s.v": (False, False),
        "s.new": (True, False),
    }
    assert found.same == 4
    assert [a.rows.changed if a.rows else None for a in found.assets] == [1, None, 1]
    some = bob.w.diff(FEATURE, PROD, selection=Selection(("s.b", "s.z")))
    assert ([a.asset for a in some.assets], some.same, some.options) == (["s.b"], 1, None)
    with pytest.raises(SelectionError, match=r"s\.bb") as raised:
        bob.w.diff(FEATURE, PROD, selection=Selection(("s.b", "s.bb")))
    assert raised.value.hint == "did you mean s.b?"
    assert [(e.commit.environment, e.changed) for e in bob.w.log(FEATURE, 10)] == [(FEATURE, 3), (PROD, 6)]
    assert len(bob.w.log(FEATURE, 1)) == 1
    assert bob.w.query(FEATURE, "s.new", None).rows == ((expected(CHANGED)[AssetName("s.new")],),)
    assert bob.w.latest() == PROD
    remembered = ("verified/", "size/", "cost/")
    after = {k: v for k, v in site.store.scan("").items() if not k.startswith(remembered)}
    assert after == {k: v for k, v in before.items() if not k.startswith(remembered)}, "looking changes nothing"


def test_status_before_anything_is_there(site: Site):
    process = site.process(MODELS)
    status = process.w.status(PROD)
    assert (status.environment, status.trunk, status.ahead) == (None, None, 0)
    assert len(status.plan.builds) == 4
    assert site.store.scan("") == {}
    with pytest.raises(NotFound):
        process.w.latest()
