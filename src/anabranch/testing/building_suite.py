"""What building and dropping obey with every Provider: a part of :mod:`anabranch.testing.provider_suite`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from anabranch.domain.journal import Outcome
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.ports.provider import Built
from anabranch.testing.provider_helpers import SOURCE, A, B, C, Entries, Rig, build, error_of, show, state


class BuildingSuite:
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
