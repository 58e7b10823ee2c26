"""What showing an environment obeys with every Provider: a part of :mod:`anabranch.testing.provider_suite`."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from anabranch.domain.names import EnvironmentName
from anabranch.errors import AnabranchError
from anabranch.ports.provider import Built, Move, Shown
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, B, C, Rig, build, show, shown_by, state


class Stop(Exception):
    """Raised by the tests themselves."""


class ShowingSuite:
    def test_nothing_is_shown_at_first(self, rig: Rig) -> None:
        assert shown_by(rig.open(), rig.trunk) is None
        assert rig.read(rig.trunk, [A]) == {}

    def test_what_is_prepared_is_seen_after_commit_and_not_before(self, rig: Rig) -> None:
        provider = rig.open()
        one, two, other = rig.snapshot(A, 1), rig.snapshot(A, 2), rig.snapshot(B, 1)
        build(provider, one, two, other)
        for environment in (rig.trunk, FEATURE):
            with provider.prepare(environment, lambda _: Move(state(1), {A: (None, one)})) as prepared:
                assert rig.read(environment, [A]) == {}
                prepared.commit()
            first = rig.read(environment, [A, B])
            assert first.keys() == {A}
            with provider.prepare(environment, lambda _: Move(state(2), {A: (one, two), B: (None, other)})) as prepared:
                assert rig.read(environment, [A, B]) == first
                prepared.commit()
            then = rig.read(environment, [A, B])
            assert then.keys() == {A, B}
            assert then[A] != first[A]
            assert shown_by(rig.open(), environment) == state(2)

    def test_what_is_left_without_commit_is_taken_back(self, rig: Rig) -> None:
        provider = rig.open()
        one, two = rig.snapshot(A, 1), rig.snapshot(A, 2)
        build(provider, one, two)
        for environment in (rig.trunk, FEATURE):
            with provider.prepare(environment, lambda _: Move(state(1), {A: (None, one)})):
                pass
            assert shown_by(provider, environment) is None
            assert rig.read(environment, [A]) == {}
            show(provider, environment, state(1), {A: (None, one)})
            before = rig.read(environment, [A])
            try:
                with provider.prepare(environment, lambda _: Move(state(2), {A: (one, two)})):
                    raise Stop
            except Stop:
                pass
            assert rig.read(environment, [A]) == before
            assert shown_by(provider, environment) == state(1)

    def test_a_decision_that_fails_changes_nothing(self, rig: Rig) -> None:
        provider = rig.open()
        one = rig.snapshot(A, 1)
        build(provider, one)
        show(provider, FEATURE, state(1), {A: (None, one)})

        def fail(shown: Shown | None) -> Move:
            raise Stop

        try:
            with provider.prepare(FEATURE, fail):
                raise AssertionError("it went on")
        except Stop:
            pass
        assert shown_by(provider, FEATURE) == state(1)
        assert rig.read(FEATURE, [A]).keys() == {A}

    def test_a_decision_is_given_what_is_shown(self, rig: Rig) -> None:
        one, other = rig.open(), rig.open()
        snapshot = rig.snapshot(A, 1)
        build(one, snapshot)
        show(one, FEATURE, state(1), {A: (None, snapshot)})
        assert shown_by(other, FEATURE) == state(1)
        assert shown_by(other, rig.trunk) is None
        show(other, FEATURE, state(2), {})
        assert shown_by(one, FEATURE) == state(2)
        assert rig.read(FEATURE, [A]).keys() == {A}, "what isn't named stays as it is"

    def test_moves_are_counted(self, rig: Rig) -> None:
        provider = rig.open()
        one, two, other = rig.snapshot(A, 1), rig.snapshot(A, 2), rig.snapshot(B, 1)
        build(provider, one, two, other)
        assert show(provider, FEATURE, state(1), {A: (None, one), B: (None, other)}) == 2
        assert show(provider, FEATURE, state(2), {A: (one, two)}) == 1
        assert show(provider, FEATURE, state(3), {}) == 0

    def test_an_asset_and_an_environment_vanish(self, rig: Rig) -> None:
        provider = rig.open()
        one, other = rig.snapshot(A, 1), rig.snapshot(B, 1)
        build(provider, one, other)
        for environment in (rig.trunk, FEATURE):
            show(provider, environment, state(1), {A: (None, one), B: (None, other)})
            show(provider, environment, state(2), {A: (one, None)})
            assert rig.read(environment, [A, B]).keys() == {B}
        show(provider, FEATURE, None, {B: (other, None)})
        assert rig.read(FEATURE, [A, B]) == {}
        assert shown_by(provider, FEATURE) is None
        assert rig.read(rig.trunk, [A, B]).keys() == {B}, "the other environment stays"
        assert isinstance(provider.probe(other), Built), "and so does the data"
        show(provider, FEATURE, state(3), {A: (None, one)})
        assert rig.read(FEATURE, [A, B]).keys() == {A}

    def test_environments_share_data_and_nothing_else(self, rig: Rig) -> None:
        provider = rig.open()
        one, two = rig.snapshot(A, 1), rig.snapshot(A, 2)
        build(provider, one, two)
        show(provider, rig.trunk, state(1), {A: (None, one)})
        show(provider, FEATURE, state(1), {A: (None, one)})
        assert rig.read(rig.trunk, [A]) == rig.read(FEATURE, [A])
        show(provider, FEATURE, state(2), {A: (one, two)})
        assert rig.read(rig.trunk, [A]) != rig.read(FEATURE, [A])
        show(provider, rig.trunk, state(2), {A: (one, two)})
        assert rig.read(rig.trunk, [A]) == rig.read(FEATURE, [A])

    def test_a_source_is_shown_in_every_environment(self, rig: Rig) -> None:
        provider = rig.open()
        source = rig.source(SOURCE)
        for environment in (rig.trunk, FEATURE):
            show(provider, environment, state(1), {SOURCE: (None, source)})
        assert rig.read(FEATURE, [SOURCE]).keys() == {SOURCE}
        assert rig.read(FEATURE, [SOURCE]) == rig.read(rig.trunk, [SOURCE])
        show(provider, FEATURE, None, {SOURCE: (source, None)})
        assert rig.read(FEATURE, [SOURCE]) == {}
        assert rig.read(rig.trunk, [SOURCE]).keys() == {SOURCE}, "the source itself stays"

    def test_no_decision_is_lost(self, rig: Rig) -> None:
        """Two at once: the later one decides over what the earlier one showed, or fails. Where readers can see a mix of
        old and new, the callers take turns."""
        providers = [rig.open(), rig.open()]
        if providers[0].window is not None:
            return
        snapshots = [rig.snapshot(A, n) for n in range(2)]
        build(providers[0], *snapshots)
        show(providers[0], FEATURE, state(0), {A: (None, snapshots[0])})
        steps: list[tuple[Shown | None, Shown]] = []

        def work(me: int) -> int:
            done = 0
            for turn in range(200):
                mine = state(1000 * (me + 1) + turn)
                seen: list[Shown | None] = []

                def decide(
                    shown: Shown | None, mine: Shown = mine, seen: list[Shown | None] = seen, turn: int = turn
                ) -> Move:
                    seen[:] = [shown]
                    return Move(mine, {A: (snapshots[1 - turn % 2], snapshots[turn % 2])})

                try:
                    with providers[me].prepare(FEATURE, decide) as prepared:
                        prepared.commit()
                except AnabranchError:
                    continue
                steps.append((seen[0], mine))
                done += 1
                if done == 5:
                    break
            return done

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(work, range(2))) == [5, 5]
        following = dict(steps)
        assert len(following) == 10, "two decided over the same state"
        at: Shown | None = state(0)
        for _ in range(10):
            at = following[at]
        assert shown_by(providers[0], FEATURE) == at

    def test_readers_never_see_a_mix(self, rig: Rig) -> None:
        """Unless the provider says that they may."""
        provider = rig.open()
        if provider.window is not None:
            assert len(provider.window) > 10, "a phrase that says so"
            return
        versions = [{asset: rig.snapshot(asset, n) for asset in (A, B, C)} for n in range(2)]
        legal = []
        for number, version in enumerate(versions):
            build(provider, *version.values())
            environment = EnvironmentName(f"e{number}")
            show(provider, environment, state(number), {a: (None, s) for a, s in version.items()})
            legal.append(rig.read(environment, [A, B, C]))
        show(provider, FEATURE, state(0), {a: (None, s) for a, s in versions[0].items()})
        done = threading.Event()

        def look() -> int:
            looks = 0
            while not done.is_set():
                assert rig.read(FEATURE, [A, B, C]) in legal
                looks += 1
            return looks

        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            try:
                for turn in range(1, 11):
                    old, new = versions[1 - turn % 2], versions[turn % 2]
                    show(provider, FEATURE, state(turn), {a: (old[a], new[a]) for a in (A, B, C)})
            finally:
                done.set()
            assert looking.result() > 0
