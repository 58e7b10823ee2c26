"""What clones obey on every Provider that has them: a part of :mod:`anabranch.testing.provider_suite`."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from anabranch.domain.clones import Begun, clone_id, cloned, differs, mark_of, marked
from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.journal import Outcome
from anabranch.domain.names import EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError
from anabranch.ports.clones import Clones
from anabranch.ports.provider import Built, Expectation, Fault, Work
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, Rig, build, error_of, show, state

OTHER = EnvironmentName("other")


def clone_of(provider: Clones, source: Snapshot, name: EnvironmentName = FEATURE, number: int = 1) -> Snapshot:
    """A clone that isn't made yet."""
    identifier = clone_id(name, str(number))
    return cloned(source, Begun(identifier, provider.clone_location(name, source.asset, identifier), 0))


class CloningSuite:
    @pytest.fixture
    def provider(self, rig: Rig) -> Clones:
        return cast(Clones, rig.open())

    def test_what_is_written_to_a_clone_and_to_its_source_stays_there(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        show(provider, FEATURE, state(1), {SOURCE: (None, source)})
        before = rig.read(FEATURE, [SOURCE])
        clone = clone_of(provider, source)
        built = provider.build(clone, {})
        assert built.token
        assert rig.read(FEATURE, [SOURCE]) == before
        show(provider, FEATURE, state(2), {SOURCE: (source, clone)})
        assert rig.read(FEATURE, [SOURCE]) == before
        assert provider.tokens([clone]) == {clone.location: built.token}
        rig.write(FEATURE, SOURCE, "written")
        assert provider.tokens([clone])[clone.location] != built.token
        written = rig.read(FEATURE, [SOURCE])
        assert written != before
        assert rig.read(rig.trunk, [SOURCE]) in ({}, before), "the source is as it was"
        other = clone_of(provider, source, OTHER)
        assert provider.build(other, {}).token == built.token, "the other one begins as the source is"
        show(provider, OTHER, state(1), {SOURCE: (None, other)})
        assert rig.read(OTHER, [SOURCE]) == before
        assert rig.read(FEATURE, [SOURCE]) == written

    def test_a_clone_that_comes_and_goes_keeps_what_was_written(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        one, two = (clone_of(provider, source, number=n) for n in (1, 2))
        build(provider, one)
        build(provider, two)
        show(provider, FEATURE, state(1), {SOURCE: (None, source)})
        loaded = rig.read(FEATURE, [SOURCE])
        show(provider, FEATURE, state(2), {SOURCE: (source, one)})
        rig.write(FEATURE, SOURCE, "one")
        written = rig.read(FEATURE, [SOURCE])
        number = 3
        for before, after, seen in (
            (one, source, loaded), (source, one, written), (one, two, loaded), (two, one, written), (one, None, {}),
            (None, one, written), (one, one, written), (one, source, loaded),
        ):  # fmt: skip
            for _ in range(2):  # the second time it is so already
                show(provider, FEATURE, state(number), {SOURCE: (before, after)})
                assert rig.read(FEATURE, [SOURCE]) == seen
            number += 1

    def test_another_mark_moves_nothing(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        clone = clone_of(provider, source)
        built = provider.build(clone, {})
        show(provider, FEATURE, state(1), {SOURCE: (None, clone)})
        rig.write(FEATURE, SOURCE, "written")
        again = marked(clone, mark_of(clone, provider.tokens([clone])[clone.location], built.token))
        assert differs(again)
        seen = rig.read(FEATURE, [SOURCE])
        assert show(provider, FEATURE, state(2), {SOURCE: (clone, again)}) in (0, 1)
        assert rig.read(FEATURE, [SOURCE]) == seen

    def test_readers_of_a_clone_that_was_written_to_read_it(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        clone = clone_of(provider, source)
        build(provider, clone)
        show(provider, FEATURE, state(1), {SOURCE: (None, clone)})
        rig.write(FEATURE, SOURCE, "written")
        written = marked(clone, "0" * 16)
        over_source, over_clone, over_written = (
            rig.snapshot(A, 1, replace(s, fingerprint=Fingerprint(digest(s.id.encode()))))
            for s in (source, clone, written)
        )
        for reader, read in ((over_source, source), (over_clone, clone), (over_written, written)):
            provider.build(reader, {SOURCE: read})
        assert provider.same(over_source, over_clone), "one nobody is known to have written to is read as its source"
        assert not provider.same(over_source, over_written)
        show(provider, FEATURE, state(2), {SOURCE: (clone, source)})
        assert not provider.same(over_source, over_written), "wherever it stands"

    def test_a_clone_of_a_clone(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        first, second = clone_of(provider, source), clone_of(provider, source, OTHER)
        build(provider, first)
        show(provider, FEATURE, state(1), {SOURCE: (None, first)})
        rig.write(FEATURE, SOURCE, "written")
        written = rig.read(FEATURE, [SOURCE])
        provider.build(second, {}, Work(previous=first))
        show(provider, OTHER, state(1), {SOURCE: (None, second)})
        rig.write(FEATURE, SOURCE, "again")
        assert rig.read(OTHER, [SOURCE]) == written

    def test_a_clone_that_nobody_can_tell_of_is_probed(self, rig: Rig, provider: Clones) -> None:
        clone = clone_of(provider, rig.source(SOURCE))
        assert provider.probe(clone) is Outcome.NOT_APPLIED
        built = provider.build(clone, {})
        found = provider.probe(clone)
        assert isinstance(found, Built)
        assert (found.token, found.columns) == (built.token, built.columns)

    def test_a_source_that_is_not_there_leaves_nothing(self, rig: Rig, provider: Clones) -> None:
        clone = clone_of(provider, rig.source(SOURCE, missing=True))
        assert isinstance(error_of(lambda: provider.build(clone, {})), AnabranchError)
        assert provider.probe(clone) is Outcome.NOT_APPLIED
        assert provider.tokens([clone]) == {}

    def test_dropping_one_that_is_not_shown(self, rig: Rig, provider: Clones) -> None:
        source = rig.source(SOURCE)
        clone = clone_of(provider, source)
        build(provider, clone)
        show(provider, FEATURE, state(1), {SOURCE: (None, clone)})
        assert provider.locations() == set(), "a clone is none of the tables that are built"
        show(provider, FEATURE, None, {SOURCE: (clone, None)})
        provider.drop([clone.location])
        assert provider.probe(clone) is Outcome.NOT_APPLIED
        assert rig.read(FEATURE, [SOURCE]) == {}

    def test_only_a_clone_that_is_gone_has_drifted(self, rig: Rig, provider: Clones) -> None:
        clone = clone_of(provider, rig.source(SOURCE))
        built = provider.build(clone, {})
        show(provider, FEATURE, state(1), {SOURCE: (None, clone)})
        expectation = Expectation(FEATURE, state(1), {SOURCE: clone}, {clone.location: built})
        assert provider.observe(expectation) == []
        rig.write(FEATURE, SOURCE, "written")
        assert provider.observe(expectation) == []
        rig.lose(FEATURE, SOURCE)
        assert Fault.MISSING in [d.fault for d in provider.observe(expectation)]

    def test_what_a_clone_costs_is_told(self, rig: Rig, provider: Clones) -> None:
        weight = provider.weigh(rig.source(SOURCE))
        assert bool(weight.why) == provider.copies_clone(1)
        assert weight.rows == 1 or not weight.why
