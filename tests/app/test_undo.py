"""Undo and restore: every change is taken back by a change."""

from datetime import timedelta

import pytest
from tests.app.daily import CHANGED, MODELS, rehearse
from tests.support.project import Model
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.domain.plan import Reason
from anabranch.errors import NotFound, Refused


def test_an_undo_takes_a_promotion_back_and_builds_nothing(site: Site, ann: Process):
    bob = rehearse(site)
    bob.promote()
    applied = ann.undo(PROD)
    assert applied is not None
    assert applied.plan.builds == ()
    assert {d.reason for d in applied.plan.decisions} == {Reason.RESTORED}
    assert site.shown(PROD) == expected(MODELS)
    assert site.shown(FEATURE) == expected(CHANGED)
    site.check()


def test_an_undo_again_goes_further_back_and_ends_where_it_began(site: Site, ann: Process):
    versions = [MODELS, CHANGED, {**CHANGED, "s.z": Model("2")}, {**MODELS, "s.z": Model("3")}]
    for models in versions[1:]:
        ann.models = models
        ann.apply(PROD)
    for models in reversed(versions[:-1]):
        ann.undo(PROD)
        assert site.shown(PROD) == expected(models)
        site.check()
    with pytest.raises(Refused, match="nothing to undo"):
        ann.undo(PROD)


def test_an_undo_after_a_change_after_an_undo(site: Site, ann: Process):
    second, third = {**MODELS, "s.z": Model("2")}, {**MODELS, "s.z": Model("3")}
    for models in (second, third):
        ann.models = models
        ann.apply(PROD)
    ann.undo(PROD)
    ann.models = CHANGED
    ann.apply(PROD)
    for models in (second, MODELS):
        ann.undo(PROD)
        assert site.shown(PROD) == expected(models)


def test_an_environment_is_undone_to_its_beginning_and_no_further(site: Site, ann: Process):
    ann.models = {**MODELS, "s.z": Model("2")}
    ann.apply(PROD)
    bob = rehearse(site)
    bob.undo(FEATURE)
    assert site.shown(FEATURE) == expected(ann.models)
    with pytest.raises(Refused, match="nothing to undo in feature"):
        bob.undo(FEATURE)
    site.check()


def test_a_change_of_nothing_can_be_undone_too(site: Site, ann: Process):
    """Two promote the same at once; the second one's commit changes nothing."""
    bob = rehearse(site)
    cem = rehearse(site, name=OTHER, author="cem")
    plans = [bob.w.plan_promote(FEATURE, PROD), cem.w.plan_promote(OTHER, PROD)]
    bob.w.apply(plans[0])
    cem.w.apply(plans[1])
    assert site.shown(PROD) == expected(CHANGED)
    for _ in range(2):
        ann.undo(PROD)
    assert site.shown(PROD) == expected(MODELS)
    site.check()


def test_restoring_any_state(site: Site, ann: Process):
    first = ann.head(PROD)
    bob = rehearse(site)
    bob.promote()
    promoted = ann.head(PROD)
    ann.undo(PROD)
    applied = ann.restore(PROD, promoted)
    assert applied is not None
    assert applied.plan.builds == ()
    assert site.shown(PROD) == expected(CHANGED)
    ann.run(lambda w: w.plan_restore(PROD, first[:8]))
    assert site.shown(PROD) == expected(MODELS)
    ann.undo(PROD)
    assert site.shown(PROD) == expected(CHANGED)
    with pytest.raises(NotFound, match="is not in the history of prod"):
        ann.run(lambda w: w.plan_restore(PROD, "ffffffff"))
    with pytest.raises(NotFound, match=r"is not (unique )?in the history of prod"):
        ann.run(lambda w: w.plan_restore(PROD, ""))
    site.check()


def test_what_was_undone_can_be_promoted_again(site: Site, ann: Process):
    bob = rehearse(site)
    bob.promote()
    ann.undo(PROD)
    bob.models = {**CHANGED, "s.new": Model("better", reads=("s.z",))}
    bob.apply(FEATURE)
    bob.promote()
    assert site.shown(PROD) == expected(bob.models)
    site.check()


def test_an_undo_is_not_taken_back_by_somebody_elses_promotion(site: Site, ann: Process):
    """Cem began when prod had bob's change. It was undone since, and cem never touched it."""
    bob = rehearse(site)
    bob.promote()
    cem = rehearse(site, {**CHANGED, "s.z2": Model("2")}, OTHER, "cem")
    ann.undo(PROD)
    cem.promote(OTHER)
    assert site.shown(PROD) == expected({**MODELS, "s.z2": Model("2")})
    site.check()


def test_an_undo_that_reaches_beyond_the_retention_builds_again(site: Site):
    ann = site.process(MODELS, retention=timedelta())
    ann.apply(PROD)
    ann.models = CHANGED
    ann.apply(PROD)
    assert len(ann.gc()) == 2
    plan = ann.w.plan_undo(PROD)
    assert {b.asset for b in plan.builds} == {"s.b", "s.v"}
    assert any("must be built again" in note for note in plan.notes)
    ann.w.apply(plan)
    assert site.shown(PROD) == expected(MODELS)
    site.check()
