"""What observing drift obeys with every Provider: a part of :mod:`anabranch.testing.provider_suite`."""

from __future__ import annotations

from collections.abc import Collection

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.ports.provider import Drift, Expectation, Fault
from anabranch.testing.provider_helpers import FEATURE, A, B, Rig, build, show, state


class ObservingSuite:
    def test_where_all_is_well_nothing_is_observed(self, rig: Rig) -> None:
        for environment in (rig.trunk, FEATURE):
            assert _observe(rig, _stage(rig, environment)) == []

    def test_what_is_gone_or_altered_is_observed(self, rig: Rig) -> None:
        expectation = _stage(rig, FEATURE)
        a, b = (expectation.snapshots[asset] for asset in (A, B))
        rig.alter(a.location)
        rig.unpoint(FEATURE, B)
        rig.remove(b.location)
        drifts = _observe(rig, expectation)
        assert _faults(drifts) == {(Fault.ALTERED, A), (Fault.MISSING, B), (Fault.UNPOINTED, B)}
        assert all(d.detail for d in drifts)
        assert {d.fault for d in drifts if d.is_physical} == {Fault.ALTERED, Fault.MISSING}

    def test_what_leads_elsewhere_is_observed_and_mended(self, rig: Rig) -> None:
        for environment in (rig.trunk, FEATURE):
            expectation = _stage(rig, environment)
            before = rig.read(environment, [A, B])
            other = rig.snapshot(B, 7)
            provider = rig.open()
            build(provider, other)
            rig.unpoint(environment, A)
            rig.repoint(environment, B, other)
            assert _faults(_observe(rig, expectation)) == {(Fault.UNPOINTED, A), (Fault.REPOINTED, B)}
            show(provider, environment, expectation.shown, {a: (s, s) for a, s in expectation.snapshots.items()})
            assert _observe(rig, expectation) == []
            assert rig.read(environment, [A, B]) == before

    def test_an_environment_that_shows_another_state_is_observed(self, rig: Rig) -> None:
        expectation = _stage(rig, FEATURE)
        show(rig.open(), FEATURE, state(5), {})
        assert _faults(_observe(rig, expectation)) == {(Fault.BEHIND, None)}
        show(rig.open(), FEATURE, None, {a: (s, None) for a, s in expectation.snapshots.items()})
        assert (Fault.BEHIND, None) in _faults(_observe(rig, expectation))

    def test_a_build_mends_what_was_altered(self, rig: Rig) -> None:
        expectation = _stage(rig, FEATURE)
        a = expectation.snapshots[A]
        before = rig.read(FEATURE, [A])
        rig.alter(a.location)
        provider = rig.open()
        build(provider, a)
        show(provider, FEATURE, expectation.shown, {A: (a, a)})
        assert _observe(rig, expectation) == []
        assert rig.read(FEATURE, [A]) == before

    def test_what_vanished_by_hand_can_vanish_again(self, rig: Rig) -> None:
        expectation = _stage(rig, FEATURE)
        rig.unpoint(FEATURE, A)
        show(rig.open(), FEATURE, None, {a: (s, None) for a, s in expectation.snapshots.items()})
        assert rig.read(FEATURE, [A, B]) == {}


def _stage(rig: Rig, environment: EnvironmentName) -> Expectation:
    """An environment that shows A, and B over it."""
    provider = rig.open()
    a = rig.snapshot(A, 1)
    b = rig.snapshot(B, 1, a)
    built = build(provider, a, b)
    show(provider, environment, state(1), {A: (None, a), B: (None, b)})
    return Expectation(environment, state(1), {A: a, B: b}, {a.location: built[0], b.location: built[1]})


def _observe(rig: Rig, expectation: Expectation) -> list[Drift]:
    provider = rig.open()
    try:
        return provider.observe(expectation)
    finally:
        provider.close()


def _faults(drifts: Collection[Drift]) -> set[tuple[Fault, AssetName | None]]:
    return {(d.fault, d.asset) for d in drifts}
