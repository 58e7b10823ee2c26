"""What every Provider obeys, as tests. An adapter's own test is a few lines and a rig::

    class TestMyProvider(ProviderSuite):
        @pytest.fixture
        def rig(self, tmp_path):
            return MyRig(tmp_path)

``rig`` is a fixture that gives a :class:`Rig`: one world, empty before the test, that any number of providers act on,
with hands to read what readers see and to damage what stands there.
``pytest.register_assert_rewrite("anabranch.testing")`` in a conftest.py has pytest explain the assertions.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from anabranch.domain.ids import CommitId, TreeId, digest
from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AnabranchError, ModelError, Refused
from anabranch.ports.provider import Built, Drift, Expectation, Fault, Move, Provider, Shown

A, B, C = AssetName("sales.a"), AssetName("sales.b"), AssetName("stock.c")
SOURCE = AssetName("raw.source")
FEATURE = EnvironmentName("feature")
Entries = Mapping[AssetName, tuple[Snapshot | None, Snapshot | None]]


class Rig(Protocol):
    """One world, and what the suite needs to know about it. Snapshots are made here and built by the suite."""

    @property
    def trunk(self) -> EnvironmentName:
        """The environment that shows assets under their own names, where there is one."""
        ...

    def open(self) -> Provider:
        """Another provider on the world, as another process has one."""
        ...

    def snapshot(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        """A physical one. Its content differs by ``version`` and by that of ``upstreams``."""
        ...

    def embedded(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        """One that its readers contain."""
        ...

    def broken(self, asset: AssetName) -> Snapshot:
        """One whose build fails, as late as may be."""
        ...

    def source(self, asset: AssetName, *, missing: bool = False) -> Snapshot:
        """One that Anabranch doesn't build. It stands in the world, unless ``missing``."""
        ...

    def read(self, environment: EnvironmentName, assets: Collection[AssetName]) -> dict[AssetName, object]:
        """The content that readers see at one moment; an asset that isn't shown is left out."""
        ...

    def remove(self, location: str) -> None:
        """Drops by hand what stands there."""
        ...

    def alter(self, location: str) -> None:
        """Gives by hand one more column to what stands there."""
        ...

    def unpoint(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Takes the pointer away by hand."""
        ...

    def repoint(self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        """Makes the pointer lead elsewhere by hand."""
        ...

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        """Puts something that isn't Anabranch's where ``asset`` would be shown."""
        ...


def state(number: int) -> Shown:
    """Some state of an environment, different for each number."""
    return Shown(CommitId(digest(b"commit %d" % number)), TreeId(digest(b"tree %d" % number)))


def build(provider: Provider, *snapshots: Snapshot) -> list[Built]:
    """Builds them in order; each may read those before it."""
    known = {s.asset: s for s in snapshots}
    return [provider.build(s, known) for s in snapshots if s.is_physical]


def show(provider: Provider, environment: EnvironmentName, shown: Shown | None, entries: Entries) -> int:
    """Shows it, whatever was shown before; says how many pointers moved."""
    with provider.prepare(environment, lambda before: Move(shown, entries)) as prepared:
        prepared.commit()
    return prepared.moved


def shown_by(provider: Provider, environment: EnvironmentName) -> Shown | None:
    """What a decision is given."""
    found: list[Shown | None] = []

    def look(shown: Shown | None) -> Move:
        found.append(shown)
        return Move(shown)

    with provider.prepare(environment, look):
        pass
    return found[0]


def error_of(call: Callable[[], object]) -> AnabranchError:
    """The error that it raises; it must."""
    try:
        call()
    except AnabranchError as error:
        return error
    raise AssertionError("nothing was raised")


class Stop(Exception):
    """Raised by the tests themselves."""


class ProviderSuite:
    # --- building

    def test_nothing_is_there_before_it_is_built(self, rig: Rig) -> None:
        provider = rig.open()
        assert provider.probe(rig.snapshot(A, 1)) is Outcome.NOT_APPLIED
        assert provider.locations() == set()

    def test_a_build_can_be_probed_from_anywhere(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        (built,) = build(provider, snapshot)
        assert built.columns
        assert built.seconds >= 0
        for each in (provider, rig.open()):
            there = each.probe(snapshot)
            assert isinstance(there, Built)
            assert (there.rows, there.columns, there.definition) == (built.rows, built.columns, built.definition)
            assert each.locations() == {snapshot.location}

    def test_a_build_that_fails_leaves_nothing(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.broken(A)
        error = error_of(lambda: build(provider, snapshot))
        assert error.asset == A
        assert provider.probe(snapshot) is Outcome.NOT_APPLIED
        assert provider.locations() == set()

    def test_a_build_replaces_what_stands_there(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        before = build(provider, snapshot)
        rig.alter(snapshot.location)
        damaged = provider.probe(snapshot)
        assert isinstance(damaged, Built)
        assert damaged.columns != before[0].columns
        build(provider, snapshot)
        there = provider.probe(snapshot)
        assert isinstance(there, Built)
        assert there.columns == before[0].columns

    def test_a_build_is_of_its_inputs(self, rig: Rig) -> None:
        provider = rig.open()
        contents = []
        for number, version in enumerate((1, 2, 1)):
            upstream = rig.snapshot(A, version)
            reader = rig.snapshot(B, 1, upstream)
            build(provider, upstream, reader)
            environment = EnvironmentName(f"e{number}")
            show(provider, environment, state(number), {A: (None, upstream), B: (None, reader)})
            contents.append(rig.read(environment, [B])[B])
        assert contents[0] != contents[1]
        assert contents[0] == contents[2]

    def test_embedded_inputs_are_seen_through(self, rig: Rig) -> None:
        provider = rig.open()
        contents = []
        for number, (version, embedded_version) in enumerate([(1, 1), (2, 1), (1, 2), (1, 1)]):
            upstream = rig.snapshot(A, version)
            embedded = rig.embedded(C, embedded_version, upstream)
            reader = rig.snapshot(B, 1, embedded)
            build(provider, upstream, embedded, reader)
            environment = EnvironmentName(f"e{number}")
            entries: Entries = {A: (None, upstream), C: (None, embedded), B: (None, reader)}
            show(provider, environment, state(number), entries)
            seen = rig.read(environment, [A, B, C])
            assert seen.keys() == {A, B}, "an embedded asset has no place of its own"
            contents.append(seen[B])
        assert contents[0] == contents[3]
        assert len(set(map(str, contents))) == 3

    def test_builds_of_different_snapshots_at_once(self, rig: Rig) -> None:
        provider = rig.open()
        assert provider.workers >= 1
        snapshots = [rig.snapshot(AssetName(f"sales.t{n}"), n) for n in range(3 * provider.workers)]
        with ThreadPoolExecutor(provider.workers) as pool:
            list(pool.map(lambda s: build(provider, s), snapshots))
        assert all(isinstance(provider.probe(s), Built) for s in snapshots)
        assert provider.locations() == {s.location for s in snapshots}

    def test_builds_and_drops_while_it_is_held_open(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        with provider.opened():
            build(provider, snapshot)
            with provider.opened():
                assert provider.locations() == {snapshot.location}
            provider.drop([snapshot.location])
        assert rig.open().locations() == set()

    def test_interrupting_nothing_is_harmless(self, rig: Rig) -> None:
        provider = rig.open()
        provider.interrupt()
        assert build(provider, rig.snapshot(A, 1))

    # --- dropping

    def test_dropping(self, rig: Rig) -> None:
        provider = rig.open()
        going, staying = rig.snapshot(A, 1), rig.snapshot(B, 1)
        build(provider, going, staying)
        provider.drop([going.location, rig.snapshot(A, 9).location])
        assert provider.probe(going) is Outcome.NOT_APPLIED
        assert isinstance(provider.probe(staying), Built)
        assert provider.locations() == {staying.location}
        provider.drop([])
        provider.drop([going.location])
        assert isinstance(build(provider, going)[0], Built), "it can be built again"

    def test_sources_are_not_among_the_locations(self, rig: Rig) -> None:
        provider = rig.open()
        source = rig.source(SOURCE)
        reader = rig.snapshot(A, 1, source)
        build(provider, source, reader)
        assert provider.locations() == {reader.location}

    # --- before a plan

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
            error = error_of(lambda e=environment: provider.check(e, {A: rig.snapshot(A, 1)}))  # type: ignore[misc]
            assert isinstance(error, Refused)
            assert error.hint

    def test_what_is_not_ours_is_never_replaced(self, rig: Rig) -> None:
        provider = rig.open()
        snapshots = rig.snapshot(A, 1), rig.snapshot(B, 1)
        build(provider, *snapshots)
        for environment in (rig.trunk, FEATURE):
            rig.take(environment, A)
            before = rig.read(environment, [A, B])
            error_of(lambda e=environment: show(provider, e, state(1), {s.asset: (None, s) for s in snapshots}))  # type: ignore[misc]
            assert rig.read(environment, [A, B]) == before
            assert shown_by(provider, environment) is None

    # --- showing

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
        """Two at once: the later one decides over what the earlier one showed, or fails."""
        providers = [rig.open(), rig.open()]
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

    # --- observing

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

    # --- the rest

    def test_equal_revisions_mean_that_nothing_changed(self, rig: Rig) -> None:
        provider = rig.open()
        snapshot = rig.snapshot(A, 1)
        changes: list[Callable[[], object]] = [
            lambda: build(provider, snapshot),
            lambda: show(provider, FEATURE, state(1), {A: (None, snapshot)}),
            lambda: rig.unpoint(FEATURE, A),
            lambda: show(provider, FEATURE, None, {A: (snapshot, None)}),
            lambda: provider.drop([snapshot.location]),
        ]
        for change in changes:
            before = provider.revision()
            change()
            provider.close()
            after = provider.revision()
            assert before is None or after is None or before != after

    def test_what_was_closed_opens_again(self, rig: Rig) -> None:
        provider = rig.open()
        provider.close()
        provider.close()
        snapshot = rig.snapshot(A, 1)
        build(provider, snapshot)
        show(provider, FEATURE, state(1), {A: (None, snapshot)})
        provider.close()
        assert shown_by(provider, FEATURE) == state(1)
        assert provider.locations() == {snapshot.location}
        assert provider.name == rig.open().name


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
