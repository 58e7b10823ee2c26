"""A crash at any instant loses nothing: at every call of every command the process dies, and the next one goes on."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from itertools import count
from typing import NamedTuple, cast

import pytest
from tests.support.project import SOURCE, Model, Models, snapshots
from tests.support.proxies import Crash, Disk, Doom, ProxyProvider, ProxyStore, VolatileStore
from tests.support.site import FEATURE, OTHER, PROD, Process, Site, expected

from anabranch.app.state import OPEN
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Kind
from anabranch.ports.store import Store
from anabranch.stores.memory import MemoryStore

MODELS = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.e": Model(kind=Kind.EMBEDDED, reads=("s.a",)),
    "s.b": Model(reads=("s.e",)),
    "s.z": Model(),
}
CHANGED = {**MODELS, "s.b": Model("2", reads=("s.e",)), "s.new": Model(reads=("s.z",))}
FURTHER = {**MODELS, "s.z": Model("3")}
States = Mapping[EnvironmentName, Models]
"""What each environment shows."""


class Command(NamedTuple):
    """``run`` leads from ``before`` to ``after`` (other states aren't seen by anybody). ``again``: running it once more
    where it was done already is harmless."""

    models: Models
    run: Callable[[Process], object]
    before: States
    after: States
    again: bool = True
    retention: timedelta = timedelta(days=30)


def established(site: Site, states: States) -> None:
    """Each environment as given, prod with a history."""
    process = site.process()
    for name, models in states.items():
        process.models = models
        if name == PROD:
            process.models = FURTHER
            process.apply(PROD)
            process.models = models
        process.apply(name)


ONE: States = {PROD: MODELS}
TWO: States = {PROD: MODELS, FEATURE: CHANGED}
NOW = timedelta()

COMMANDS = {
    "first apply": Command(MODELS, lambda p: p.apply(PROD), {}, ONE),
    "apply": Command(CHANGED, lambda p: p.apply(PROD), ONE, {PROD: CHANGED}),
    "apply that removes": Command(
        {n: MODELS[n] for n in ("raw.u", "s.a")}, lambda p: p.apply(PROD), ONE, {PROD: {n: MODELS[n] for n in ("raw.u", "s.a")}}
    ),
    "apply in a new environment": Command(CHANGED, lambda p: p.apply(FEATURE), ONE, TWO),
    "apply in a new environment, all built": Command(
        CHANGED, lambda p: p.apply(OTHER), TWO, {**TWO, OTHER: CHANGED}
    ),
    "create": Command(MODELS, lambda p: p.create(FEATURE), ONE, {PROD: MODELS, FEATURE: MODELS}, again=False),
    "promote": Command(CHANGED, lambda p: p.promote(), TWO, {PROD: CHANGED, FEATURE: CHANGED}),
    "undo": Command(MODELS, lambda p: p.undo(PROD), ONE, {PROD: FURTHER}, again=False),
    "undo that builds": Command(
        MODELS, lambda p: (p.gc(), p.undo(PROD)), ONE, {PROD: FURTHER}, again=False, retention=NOW
    ),
    "drop": Command(MODELS, lambda p: p.drop(FEATURE), TWO, ONE, again=False),
    "gc": Command(MODELS, lambda p: p.gc(), TWO, TWO, retention=NOW),
    "drop and gc": Command(
        MODELS,
        lambda p: (p.drop(FEATURE) if FEATURE in p.w.state.environments() else None, p.gc()),
        TWO,
        ONE,
        retention=NOW,
    ),
}  # fmt: skip


def doomed(site: Site, command: Command, doom: Doom, disk: Disk | None = None) -> Process:
    """A process that dies at some call."""

    def wrap(store: Store) -> Store:
        inner = cast(MemoryStore, store)
        return cast(Store, VolatileStore(inner, doom, disk) if disk else ProxyStore(inner, doom))

    return site.process(
        command.models,
        author="doomed",
        retention=command.retention,
        wrap=wrap,
        providers={"memory": ProxyProvider(site.world, doom)},
    )


def shown(site: Site) -> dict[EnvironmentName, dict[AssetName, str | None]]:
    return {name: site.shown(name) for name in site.world.shown}


def promised(states: States) -> dict[EnvironmentName, dict[AssetName, str]]:
    return {name: expected(models) for name, models in states.items()}


def check_whole(site: Site, command: Command) -> None:
    """Readers see the old or the new state of each environment, and of no other one."""
    before, after = promised(command.before), promised(command.after)
    now = shown(site)
    assert now.keys() <= before.keys() | after.keys()
    for name in before.keys() | after.keys():
        assert now.get(name) in (before.get(name), after.get(name)), name
    assert site.world.pointers.keys() <= now.keys()


def go_on(site: Site, command: Command, process: Process) -> None:
    """The next command ends what was under way; then it is as planned, and nothing is left."""
    process.w.heal()
    assert site.store.scan(OPEN) == {}
    now = shown(site)
    assert now in (promised(command.before), promised(command.after))
    for name, environment in site.state().environments().items():
        assert site.world.shown[name].commit == environment.head
        assert site.shown(name) == site.promised(name)
    if command.again or now == promised(command.before):
        command.run(process)
    assert shown(site) == promised(command.after)


def check_nothing_is_left(site: Site) -> None:
    """With one environment left and no history, a collection leaves what that one reaches."""
    collector = site.process(retention=timedelta())
    collector.w.heal()
    for name in site.state().environments().keys() - {PROD}:
        collector.drop(name)
    collector.gc()
    site.check_nothing_is_left()


def crash(site: Site, command: Command, at: int) -> Doom:
    established(site, command.before)
    doom = Doom(at)
    process = doomed(site, command, doom)
    try:
        command.run(process)
    except Crash:
        assert doom.is_dead
    site.kill(process)
    return doom


def crashes(command: Command) -> Iterator[tuple[Site, Doom]]:
    """What is left where the process dies at its first call, at its second, and so on; at last where it doesn't die."""
    for at in count(1):
        site = Site()
        doom = crash(site, command, at)
        yield site, doom
        if not doom.is_dead:
            return


@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_every_call(name: str):
    command = COMMANDS[name]
    at, calls = 0, list[str]()
    for site, doom in crashes(command):
        at, calls = at + 1, doom.calls
        check_whole(site, command)
        go_on(site, command, site.process(command.models, retention=command.retention))
        check_nothing_is_left(site)
    assert len(calls) > 10
    assert at == len(calls) + 1


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("again", [True, False])
def test_a_power_failure_at_every_call(name: str, again: bool):
    """What the store was not told to keep at once is gone; what the warehouse has committed stays. Also where nobody
    wants what was under way any more, the janitor knows whose it is."""
    command = COMMANDS[name]
    at = 0
    while True:
        at += 1
        site = Site()
        established(site, command.before)
        disk, doom = Disk(site.store), Doom(at)
        process = doomed(site, command, doom, disk)
        try:
            command.run(process)
        except Crash:
            assert doom.is_dead
        disk.fail()
        site.kill(process)
        check_whole(site, command)
        if again:
            go_on(site, command, site.process(command.models, retention=command.retention))
        check_nothing_is_left(site)
        if not doom.is_dead:
            break


@pytest.mark.parametrize("name", ["apply in a new environment", "promote", "drop"])
def test_a_crash_while_ending_what_a_crash_left(name: str):
    """Only where the ref has moved and readers have not, or a claim was left: there is something to end."""
    command = COMMANDS[name]
    first = 0
    while True:
        first += 1
        site = Site()
        doom = crash(site, command, first)
        if not doom.is_dead:
            break
        if doom.calls[-1] not in ("commit", "build s.new", "world.commit prod") and not doom.calls[-1].startswith(
            "leave"
        ):
            continue
        second = 0
        while True:
            second += 1
            site = Site()
            crash(site, command, first)
            again = Doom(second)
            process = doomed(site, command, again)
            try:
                go_on(site, command, process)
            except Crash:
                site.kill(process)
            check_whole(site, command)
            if not again.is_dead:
                break
            go_on(site, command, site.process(command.models))
            check_nothing_is_left(site)


def test_drift_that_is_being_mended():
    """The environment's tables are what they were, or whole again; whoever comes next sees that one isn't trusted."""
    at = 0
    while True:
        at += 1
        site = Site()
        command = COMMANDS["apply"]._replace(models=MODELS)
        established(site, ONE)
        location = snapshots(MODELS)[AssetName("s.a")].location
        site.world.alter(location)
        site.world.point(PROD, AssetName("s.z"), None)
        doom = Doom(at)
        process = doomed(site, command, doom)
        try:
            process.apply(PROD)
        except Crash:
            site.kill(process)
        later = site.process(MODELS)
        later.apply(PROD)
        assert len(site.world.tables[location].columns) == 1
        assert site.shown(PROD) == expected(MODELS)
        assert later.w.inspect(later.w.state.require(PROD)).drifts == ()
        check_nothing_is_left(site)
        if not doom.is_dead:
            break


def test_an_expired_environment_that_is_being_dropped():
    at = 0
    while True:
        at += 1
        site = Site()
        established(site, ONE)
        site.process(CHANGED, ttl=timedelta(days=1)).apply(FEATURE)
        site.clock.advance(days=2)
        doom = Doom(at)
        process = doomed(site, COMMANDS["gc"], doom)
        try:
            process.gc()
        except Crash:
            site.kill(process)
        check_whole(site, COMMANDS["drop"])
        site.process(retention=timedelta()).gc()
        assert shown(site) == promised(ONE)
        check_nothing_is_left(site)
        if not doom.is_dead:
            break


# -- resume and abandon ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["apply", "apply in a new environment", "promote", "undo", "drop"])
def test_an_interrupted_plan_is_resumed(name: str):
    command = COMMANDS[name]
    resumed = set[bool]()
    for site, _ in crashes(command):
        process = site.process({})
        if process.w.interrupted():
            found = process.w.find_open(None)
            assert process.w.find_open(found.plan.id[:4]) == found
            resumed.add(process.w.resume(found) is None)
            assert shown(site) == promised(command.after)
            site.check()
    assert resumed == {True, False}


@pytest.mark.parametrize("name", ["apply", "promote", "drop"])
def test_an_interrupted_plan_is_abandoned(name: str):
    command = COMMANDS[name]
    forward = set[bool]()
    for site, _ in crashes(command):
        process = site.process({})
        if process.w.interrupted():
            went_forward = process.w.abandon(process.w.find_open(None))
            forward.add(went_forward)
            assert shown(site) == promised(command.after if went_forward else command.before)
            check_nothing_is_left(site)
    assert forward == {True, False}
