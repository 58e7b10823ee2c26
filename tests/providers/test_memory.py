import threading
from collections.abc import Collection
from typing import assert_never

import pytest

from anabranch.domain.audit import Audit
from anabranch.domain.content import first
from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import physical_location
from anabranch.domain.snapshot import Input, Kind, Snapshot
from anabranch.errors import StatementFailed, WarehouseBusy
from anabranch.ports.provider import Move, Over, Provider, Tables, Work
from anabranch.ports.rows import RowOptions
from anabranch.providers.memory import MemoryProvider
from anabranch.providers.memory.world import Moment, World
from anabranch.testing.provider_helpers import FEATURE, SOURCE, A, B, Rig, build, show, state
from anabranch.testing.provider_suite import ProviderSuite

PROD = EnvironmentName("prod")


class MemoryRig:
    """See :class:`anabranch.testing.provider_helpers.Rig`."""

    trunk = PROD

    def __init__(self, *, transactions: bool = True, exclusive: bool = False) -> None:
        self.world = World()
        self.transactions = transactions
        self.exclusive = exclusive
        self.breaking: set[AssetName] = set()

    def open(self) -> Tables:
        return MemoryProvider(self.world, transactions=self.transactions, exclusive=self.exclusive, hook=self._hook)

    def _hook(self, moment: Moment, name: str) -> None:
        if moment is Moment.BUILD and name in self.breaking:
            raise StatementFailed("as asked for", asset=name)

    def snapshot(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        return self._snapshot(asset, version, Kind.FULL, upstreams)

    def embedded(self, asset: AssetName, version: int, *upstreams: Snapshot) -> Snapshot:
        return self._snapshot(asset, version, Kind.EMBEDDED, upstreams)

    def _snapshot(self, asset: AssetName, version: int, kind: Kind, upstreams: Collection[Snapshot]) -> Snapshot:
        logic = Fingerprint(digest(b"%d" % version))
        over = {u.asset: Input(u.fingerprint) for u in upstreams}
        fingerprint = Fingerprint(digest(repr((asset, logic, over)).encode()))
        location = physical_location(asset, fingerprint) if kind is Kind.FULL else ""
        return Snapshot(asset, kind, "memory", fingerprint, logic, location, over)

    def broken(self, asset: AssetName) -> Snapshot:
        self.breaking.add(asset)
        return self.snapshot(asset, 0)

    def source(self, asset: AssetName, *, missing: bool = False) -> Snapshot:
        if not missing:
            self.world.load(asset, "loaded")
        fingerprint = Fingerprint(digest(asset.encode()))
        return Snapshot(asset, Kind.EXTERNAL, "memory", fingerprint, fingerprint, asset)

    def read(self, environment: EnvironmentName, assets: Collection[AssetName]) -> dict[AssetName, object]:
        seen = self.world.see(environment).values
        return {a: seen[a][1] for a in assets if a in seen}

    def write(self, environment: EnvironmentName, asset: AssetName, content: str) -> None:
        location = self.world.see(environment).values[asset][0]
        self.world.load(location, f"{self.world.tables[location].value}, {content}")

    def lose(self, environment: EnvironmentName, asset: AssetName) -> None:
        self.world.remove(self.world.see(environment).values[asset][0])

    def remove(self, location: str) -> None:
        self.world.remove(location)

    def alter(self, location: str) -> None:
        self.world.alter(location)

    def unpoint(self, environment: EnvironmentName, asset: AssetName) -> None:
        self.world.point(environment, asset, None)

    def repoint(self, environment: EnvironmentName, asset: AssetName, snapshot: Snapshot) -> None:
        self.world.point(environment, asset, snapshot.location)

    def take(self, environment: EnvironmentName, asset: AssetName) -> None:
        self.world.take(environment, asset)


class TestMemoryProvider(ProviderSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig()


class TestWithoutTransactions(ProviderSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(transactions=False)


class TestOneAtATime(ProviderSuite):
    @pytest.fixture
    def rig(self) -> Rig:
        return MemoryRig(exclusive=True)


def test_without_transactions_readers_can_see_a_mix_and_the_provider_says_so():
    rig = MemoryRig(transactions=False)
    seen: list[dict[AssetName, object]] = []
    provider = MemoryProvider(
        rig.world,
        transactions=False,
        hook=lambda moment, name: seen.append(rig.read(FEATURE, [A, B])) if moment is Moment.POINT else None,
    )
    snapshots = [rig.snapshot(A, 1), rig.snapshot(B, 1)]
    build(provider, *snapshots)
    show(provider, FEATURE, state(1), {s.asset: (None, s) for s in snapshots})
    assert [len(each) for each in seen] == [0, 1]
    assert provider.window == "memory has no transactions: pointers move one by one"


def test_a_failure_can_be_placed_at_every_moment():
    rig = MemoryRig()
    snapshot = rig.snapshot(A, 1)
    for wrong in Moment:

        def fail(moment: Moment, name: str, wrong: Moment = wrong) -> None:
            if moment is wrong:
                raise StatementFailed(f"{moment.value} {name}")

        provider = MemoryProvider(rig.world, hook=fail)
        match wrong:
            case Moment.BUILD:
                with pytest.raises(StatementFailed, match=r"^build sales.a$"):
                    build(provider, snapshot)
                assert provider.locations() == set()
            case Moment.PREPARE | Moment.COMMIT:
                build(MemoryProvider(rig.world), snapshot)
                with pytest.raises(StatementFailed, match=f"^{wrong.value} feature$"):
                    show(provider, FEATURE, state(1), {A: (None, snapshot)})
                assert rig.world.see(FEATURE).shown is None
            case Moment.POINT:
                assert show(provider, FEATURE, state(1), {A: (None, snapshot)}) == 1
                one_by_one = MemoryProvider(rig.world, hook=fail, transactions=False)
                with pytest.raises(StatementFailed):
                    show(one_by_one, FEATURE, None, {A: (snapshot, None)})
            case Moment.DROP:
                with pytest.raises(StatementFailed):
                    provider.drop([snapshot.location])
                assert provider.locations() == {snapshot.location}
            case Moment.AUDIT:
                build(MemoryProvider(rig.world), snapshot)
                with pytest.raises(StatementFailed, match=r"^audit sales.a:x$"):
                    provider.audit(snapshot, {}, [Audit("x", "", True, "")], Over())
            case Moment.STAGE:
                content = first((), 0.0)
                with pytest.raises(StatementFailed):
                    provider.stage(snapshot, content, {}, {}, Work())
            case _:
                assert_never(wrong)


def test_whoever_waits_too_long_is_told():
    world = World()
    first: Provider = MemoryProvider(world)
    second = MemoryProvider(world, acquire=lambda lock: lock.acquire(timeout=0.01))
    with first.prepare(FEATURE, lambda _: Move(state(1))), pytest.raises(WarehouseBusy):
        show(second, PROD, state(1), {})
    assert show(second, PROD, state(1), {}) == 0
    alone = [MemoryProvider(world, exclusive=True, acquire=lambda lock: lock.acquire(timeout=0.01)) for _ in range(2)]
    with alone[0].opened(), pytest.raises(WarehouseBusy):
        alone[1].build(MemoryRig().snapshot(A, 1), {})


def test_an_interrupted_build_fails_and_leaves_nothing():
    world = World()
    began, going_on = threading.Event(), threading.Event()

    def hook(moment: Moment, name: str) -> None:
        began.set()
        assert going_on.wait(10)

    provider = MemoryProvider(world, hook=hook)
    errors: list[StatementFailed] = []

    def run() -> None:
        try:
            build(provider, MemoryRig().snapshot(A, 1))
        except StatementFailed as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert began.wait(10)
    provider.interrupt()
    going_on.set()
    thread.join(10)
    assert [e.message for e in errors] == ["the build of sales.a was interrupted"]
    assert world.tables == {}


def test_a_build_over_something_that_is_not_there_fails():
    rig = MemoryRig()
    source = rig.source(SOURCE, missing=True)
    with pytest.raises(StatementFailed, match="isn't there"):
        build(rig.open(), source, rig.snapshot(B, 1, source))


def test_pointing_at_something_that_is_not_there_fails():
    rig = MemoryRig()
    with pytest.raises(StatementFailed, match="isn't there"):
        show(rig.open(), FEATURE, state(1), {A: (None, rig.snapshot(A, 1))})


def test_a_query_is_the_name_of_an_asset():
    rig = MemoryRig()
    provider = rig.open()
    one, two = rig.snapshot(A, 1), rig.snapshot(A, 2)
    build(provider, one)
    build(provider, two)
    answer = provider.query("sales.a", {A: one}, 10)
    assert (answer.columns, len(answer.rows), answer.more) == (("value",), 1, False)
    assert provider.query("sales.a", {A: one}, 0).more
    assert provider.compare(one, two, RowOptions()).changed == 1
    assert provider.compare(one, one, RowOptions()).changed == 0
