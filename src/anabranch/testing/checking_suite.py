"""What the look before a plan obeys with every Provider: a part of :mod:`anabranch.testing.provider_suite`."""

from __future__ import annotations

from functools import partial

from anabranch.domain.names import AssetName
from anabranch.errors import ModelError, Refused
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, B, Rig, build, error_of, show, shown_by, state


class CheckingSuite:
    def test_what_is_free_may_be_added(self, rig: Rig) -> None:
        provider = rig.open()
        for environment in (rig.trunk, FEATURE):
            provider.check(environment, {A: rig.snapshot(A, 1), SOURCE: rig.source(SOURCE)})
            provider.check(environment, {})
            assert shown_by(provider, environment) is None
        assert provider.locations() == set()

    def test_what_is_shown_already_may_be_added_again(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        build(provider, snapshot)
        for environment in (rig.trunk, FEATURE):
            show(provider, environment, state(1), {A: (None, snapshot)})
            provider.check(environment, {A: rig.snapshot(A, 2)})

    def test_a_missing_source_is_found(self, rig: Rig) -> None:
        provider = rig.open()
        rig.source(AssetName("raw.other"))  # there is a world at all
        error = error_of(lambda: provider.check(rig.trunk, {SOURCE: rig.source(SOURCE, missing=True)}))
        assert isinstance(error, ModelError)
        assert error.asset == SOURCE
        assert error.hint

    def test_a_place_that_is_taken_is_found(self, rig: Rig) -> None:
        provider = rig.open()
        for environment in (rig.trunk, FEATURE):
            rig.take(environment, A)
            error = error_of(partial(provider.check, environment, {A: rig.snapshot(A, 1)}))
            assert isinstance(error, Refused)
            assert error.hint

    def test_what_is_not_ours_is_never_replaced(self, rig: Rig) -> None:
        provider = rig.open()
        snapshots = rig.snapshot(A, 1), rig.snapshot(B, 1)
        build(provider, *snapshots)
        for environment in (rig.trunk, FEATURE):
            rig.take(environment, A)
            before = rig.read(environment, [A, B])
            error_of(partial(show, provider, environment, state(1), {s.asset: (None, s) for s in snapshots}))
            assert rig.read(environment, [A, B]) == before
            assert shown_by(provider, environment) is None
