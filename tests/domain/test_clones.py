"""Clones as values: what they publish, and where they stand."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from anabranch.domain.clones import (
    AT,
    Begun,
    as_clone,
    clone_id,
    cloned,
    clones_among,
    differs,
    mark_of,
    marked,
    uncloned,
)
from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import PART_LENGTH, AssetName
from anabranch.domain.places import clone_location, is_adopted, is_clone
from anabranch.domain.plan import Reason, Verb
from anabranch.domain.planner import decide
from anabranch.domain.restated import PROPERTY, marks
from anabranch.domain.snapshot import Kind, Snapshot, decode, encode
from anabranch.domain.tree import Change

ASSET = AssetName("raw.orders")
SAID = Fingerprint(digest(b"raw.orders"))
SOURCE = Snapshot(ASSET, Kind.EXTERNAL, "models", SAID, SAID, ASSET, properties={"columns": "id"})
LOCATION = clone_location("raw__feature.orders", clone_id("feature"))
BEGUN = Begun(clone_id("feature"), LOCATION, 100)


def test_a_clone_publishes_what_its_source_does() -> None:
    clone = cloned(SOURCE, BEGUN)
    assert (clone.fingerprint, clone.published) == (SOURCE.fingerprint, SOURCE.published)
    assert clone.is_physical
    assert not differs(clone)
    assert uncloned(clone) == SOURCE
    assert uncloned(clone).id == SOURCE.id
    assert decode(encode(clone)).id == clone.id
    assert clones_among({ASSET: clone, AssetName("a.b"): SOURCE}) == {ASSET: clone}


def test_one_that_was_written_to_has_a_mark_of_its_own() -> None:
    clone = cloned(SOURCE, BEGUN)
    assert mark_of(clone, "as made", "as made") is None
    one, two = (mark_of(clone, content, "as made") for content in ("written", "again"))
    other = mark_of(cloned(SOURCE, replace(BEGUN, id=clone_id("other"))), "written", "as made")
    assert len({one, two, other}) == 3
    written = marked(clone, one)
    assert differs(written)
    assert marks({ASSET: written})[ASSET].mark == one
    assert marks({ASSET: written})[ASSET].belongs_to(Fingerprint("declared otherwise by now"), "other columns")
    assert uncloned(written).properties == {"columns": "id", PROPERTY: one}
    assert marked(written, mark_of(written, "as made", "as made")) == clone


def test_one_that_begins_otherwise_than_its_source_has_one_at_once() -> None:
    for begun in (replace(BEGUN, past="2026-01-01T00:00:00+00:00"), replace(BEGUN, origin="other")):
        clone = cloned(SOURCE, begun)
        assert differs(clone)
        assert marked(clone, mark_of(clone, "as made", "as made")) == clone
        assert marked(clone, mark_of(clone, "written", "as made")) != clone


def test_what_is_said_of_its_source_is_kept() -> None:
    """A source may have a mark itself, by which it is told from what it was before."""
    source = replace(SOURCE, properties={**SOURCE.properties, PROPERTY: "moved"})
    clone = cloned(source, BEGUN)
    assert not differs(clone)
    assert marks({ASSET: clone})[ASSET].mark == "moved"
    assert marked(marked(clone, "mine"), None) == clone
    assert uncloned(clone) == source
    again = cloned(marked(clone, "mine"), replace(BEGUN, id=clone_id("again")))
    assert marks({ASSET: again})[ASSET].mark == "moved", "a clone of it isn't known to hold what was written"
    declared = as_clone(replace(source, properties={"columns": "id,more", PROPERTY: "moved"}), clone)
    assert declared.properties["columns"] == "id,more"
    assert (declared.location, declared.properties[AT]) == (LOCATION, "100")


@given(*[st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)] * 2)
def test_locations_of_clones_are_told_from_all_others(schema: str, name: str) -> None:
    location = clone_location(f"{schema}.{name}", clone_id(schema, name))
    assert is_clone(location) or schema.startswith("anabranch__")
    assert not is_adopted(location)
    assert len(location.rpartition(".")[2]) <= PART_LENGTH
    assert location != clone_location(f"{schema}.{name}", clone_id(name, schema, "other"))


def test_what_a_plan_says_of_clones() -> None:
    clone = cloned(SOURCE, BEGUN)
    written = marked(clone, "mine")
    moved = replace(written, fingerprint=Fingerprint(digest(b"marked")))
    other = cloned(SOURCE, replace(BEGUN, id=clone_id("b"), location=clone_location("raw__b.orders", clone_id("b"))))
    cases = [
        (SOURCE, clone, (), Verb.BUILD, Reason.CLONED),
        (None, clone, (), Verb.BUILD, Reason.CLONED),
        (clone, moved, (LOCATION,), Verb.REUSE, Reason.WRITTEN),
        (clone, other, (LOCATION,), Verb.BUILD, Reason.CLONED),
        (SOURCE, clone, (LOCATION,), Verb.REUSE, Reason.CLONED),
        (clone, SOURCE, (LOCATION,), Verb.DEFINE, Reason.CHANGED),
        (clone, replace(clone, properties={**clone.properties, "description": "x"}), (LOCATION,), Verb.DESCRIBE, Reason.DESCRIBED),
        (clone, None, (LOCATION,), Verb.REMOVE, Reason.REMOVED),
    ]  # fmt: skip
    for before, after, built, verb, reason in cases:
        known = {s.id: s for s in (before, after) if s is not None}
        change = Change(ASSET, before.id if before else None, after.id if after else None)
        (decision,) = decide([change], known, built)
        assert (decision.verb, decision.reason) == (verb, reason), (before, after)
