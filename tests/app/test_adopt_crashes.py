"""Adoptions, and their undoing, that die, are resumed or fail: readers never notice."""

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple, cast

import pytest
from tests.app.adopting import ADOPTED_ONLY, MODELS, REST, A, B, by_name, foreign, is_free, promised
from tests.support.project import Models
from tests.support.proxies import Crash, Disk, Doom, ProxyProvider, ProxyStore, VolatileStore
from tests.support.site import PROD, Process, Site, expected

from anabranch.app.state import ADOPTED, CONTENT, PHYSICAL
from anabranch.errors import Refused
from anabranch.ports.store import Store
from anabranch.stores.memory import MemoryStore


class Command(NamedTuple):
    """``prepare`` comes before; ``done`` says by the readers' tree whether ``run`` is done."""

    prepare: Callable[[Site], object]
    run: Callable[[Process], object]
    before: Models
    after: Models
    models: Models = MODELS


def existing(site: Site) -> None:
    site.process(REST).apply(PROD)


def adopted(site: Site) -> None:
    existing(site)
    site.process(MODELS).adopt("s.a", "s.b")


COMMANDS = {
    "adopt, the first": Command(lambda s: None, lambda p: p.adopt("s.*"), {}, ADOPTED_ONLY),
    "adopt": Command(existing, lambda p: p.adopt("s.a", "s.b"), REST, MODELS),
    "undo an adoption": Command(adopted, lambda p: p.undo(), MODELS, REST),
}


def crash(command: Command, at: int, *, power: bool = False) -> tuple[Site, Doom]:
    site = Site()
    foreign(site, A, B)
    site.load(MODELS)
    command.prepare(site)
    doom, disk = Doom(at), Disk(site.store)

    def wrap(store: Store) -> Store:
        inner = cast(MemoryStore, store)
        return cast(Store, VolatileStore(inner, doom, disk) if power else ProxyStore(inner, doom))

    providers = {"memory": ProxyProvider(site.world, doom)}
    process = site.process(command.models, author="doomed", wrap=wrap, providers=providers)
    try:
        command.run(process)
    except Crash:
        assert doom.is_dead
    if power:
        disk.fail()
    site.kill(process)
    return site, doom


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_crash_at_every_call(name: str, power: bool):
    command = COMMANDS[name]
    at, forward = 0, set[bool]()
    while True:
        at += 1
        site, doom = crash(command, at, power=power)
        assert by_name(site) == promised()
        assert site.shown(PROD) in (expected(command.before), expected(command.after))
        process = site.process(command.models)
        process.w.heal()
        assert by_name(site) == promised()
        is_done = site.shown(PROD) == expected(command.after)
        forward.add(is_done)
        if not is_done:
            assert site.shown(PROD) == expected(command.before)
            command.run(process)
        assert by_name(site) == promised()
        assert site.shown(PROD) == expected(command.after)
        site.check()
        assert process.w.inspect(process.w.state.require(PROD)).drifts == ()
        site.process(retention=timedelta()).gc()
        site.check_nothing_is_left()
        assert by_name(site) == promised()
        if "undo" in name:
            assert is_free(site)
        if not doom.is_dead:
            break
    assert len(doom.calls) > 10
    assert forward == {True, False}


@pytest.mark.parametrize("name", COMMANDS)
def test_an_interrupted_one_is_resumed_or_abandoned(name: str):
    command = COMMANDS[name]
    at, ways = 0, set[tuple[str, bool]]()
    while True:
        at += 1
        for way in ("resume", "abandon"):
            site, doom = crash(command, at)
            process = site.process({})
            if not process.w.interrupted():
                continue
            found = process.w.find_open(None)
            if way == "resume":
                went = process.w.resume(found) is None
                assert site.shown(PROD) == expected(command.after)
            else:
                went = process.w.abandon(found)
                assert site.shown(PROD) == expected(command.after if went else command.before)
            ways.add((way, went))
            assert by_name(site) == promised()
            site.check()
        if not doom.is_dead:
            break
    assert ways == {(way, went) for way in ("resume", "abandon") for went in (True, False)}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commit_that_fails_changes_nothing(name: str):
    command = COMMANDS[name]
    site = Site()
    foreign(site, A, B)
    site.load(MODELS)
    command.prepare(site)
    cells = {k: v for k, v in site.store.scan("").items() if k.startswith((ADOPTED, CONTENT, PHYSICAL, "ref/"))}

    failed = list[str]()

    def fail(moment: str, name: str) -> None:
        if moment == "commit" and not failed:
            failed.append(name)
            raise Refused("no")

    process = site.process(command.models, hook=fail)
    with pytest.raises(Refused, match="no"):
        command.run(process)
    now = {k: v for k, v in site.store.scan("").items() if k.startswith((ADOPTED, CONTENT, PHYSICAL, "ref/"))}
    assert now == cells
    assert by_name(site) == promised()
    command.run(site.process(command.models))
    assert site.shown(PROD) == expected(command.after)
    site.check()
