"""Clones of sources: their writers' rows reach nobody else, whatever fails meanwhile."""

from collections.abc import Collection
from datetime import timedelta
from typing import cast

import pytest
from tests.support.project import Model
from tests.support.site import FEATURE, PROD, Process, Site

from anabranch.app.clones import CloneKeeper
from anabranch.domain.commit import Action
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Verb
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import Refused, StatementFailed
from anabranch.ports.clones import Clones
from anabranch.providers.memory.world import Moment

U, A, B = AssetName("raw.u"), AssetName("s.a"), AssetName("s.b")
MODELS = {"raw.u": Model("u", kind=Kind.EXTERNAL), "s.a": Model("a", ("raw.u",)), "s.b": Model("b")}


@pytest.fixture
def ann(site: Site) -> Process:
    ann = site.process(MODELS)
    ann.apply(PROD)
    ann.create(FEATURE)
    return ann


def clone(process: Process, *, reset: bool = False) -> dict[AssetName, Verb]:
    applied = process.run(lambda w: w.plan_clone(FEATURE, ["raw.u"], reset=reset))
    assert applied is not None
    return {d.asset: d.verb for d in applied.plan.decisions}


def entry(process: Process) -> Snapshot:
    return process.w.assets(FEATURE)[U]


def write(site: Site, process: Process, value: str) -> None:
    site.world.load(entry(process).location, value)


def seen(site: Site, name=FEATURE) -> dict[AssetName, object]:
    return {a: value for a, (_, value) in site.world.see(name).values.items()}


def test_a_clone_has_readers_of_its_own_once_it_was_written_to(site: Site, ann: Process):
    before = seen(site, PROD)
    assert clone(ann) == {U: Verb.CLONE}
    assert ann.w.state.commit(ann.head(FEATURE)).action is Action.CLONE
    assert seen(site) == before
    assert ann.apply(FEATURE) is None
    write(site, ann, "mine")
    applied = ann.apply(FEATURE)
    assert applied is not None
    assert applied.report.built == (A,)
    assert seen(site)[U] == "mine"
    assert seen(site)[A] != before[A]
    assert seen(site, PROD) == before
    with pytest.raises(Refused, match="clones in memory stay there"):
        ann.promote()
    assert clone(ann, reset=True) == {U: Verb.DEFINE, A: Verb.REUSE}
    assert seen(site) == before
    site.check()


def test_one_that_fails_leaves_everything_as_it_was(site: Site, ann: Process):
    """At each moment, also where pointers move one by one."""
    before, head = seen(site), ann.head(FEATURE)
    for transactions in (True, False):
        for moment in (Moment.PREPARE, Moment.COMMIT, Moment.POINT):
            if moment is Moment.POINT and transactions:
                continue

            waiting = [moment]

            def fail(now: Moment, name: str, waiting: list[Moment] = waiting) -> None:
                if now in waiting:
                    waiting.remove(now)
                    raise StatementFailed("as asked for")

            other = site.process(MODELS, hook=fail, transactions=transactions)
            with pytest.raises(StatementFailed):
                clone(other)
            assert seen(site) == before
            assert ann.head(FEATURE) == head
            site.check()
    assert clone(ann) == {U: Verb.CLONE}


def test_nothing_is_asked_of_a_provider_in_which_nothing_changed(site: Site, ann: Process, monkeypatch):
    clone(ann)
    ann.apply(FEATURE)
    asked: list[int] = []
    provider = cast(Clones, ann.w._providers["memory"])
    tokens = provider.tokens

    def counted(clones: Collection[Snapshot]) -> dict[str, str]:
        asked.append(len(clones))
        return tokens(clones)

    monkeypatch.setattr(provider, "tokens", counted)
    for _ in range(3):
        assert ann.apply(FEATURE) is None
    assert len(asked) <= 1
    write(site, ann, "mine")
    assert ann.apply(FEATURE) is not None
    assert asked


def test_gc_drops_what_no_environment_has_any_more(site: Site, ann: Process):
    clone(ann)
    location = entry(ann).location
    assert location not in ann.gc()
    ann.drop()
    later = site.process(MODELS, retention=timedelta(0))
    assert location in later.gc()
    assert location not in site.world.tables
    assert "raw.u" in site.world.tables


def test_the_trunk_has_none(ann: Process):
    keeper = ann.w._clones
    assert isinstance(keeper, CloneKeeper)
    assert keeper.of(ann.w.state.require(PROD)) == {}
    with pytest.raises(Refused):
        ann.run(lambda w: w.plan_clone(PROD, ["raw.u"]))
