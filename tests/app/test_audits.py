"""Audits come before anything points at what they look at: builds, what is reused, refreshes, crashes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from tests.support.project import SOURCE, MemoryLoader, Model, Models, snapshots
from tests.support.site import FEATURE, PROD, Process, Site, expected

from anabranch.app import events
from anabranch.app.auditing import Auditor
from anabranch.domain.audit import Audit
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Audits, Build, Verb
from anabranch.domain.restated import Restated
from anabranch.domain.selection import Selection
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import AuditFailed, BuildFailed
from anabranch.ports.loader import NOTHING, Project
from anabranch.providers.memory.world import BadRows, Moment

MODELS: Models = {
    "raw.u": SOURCE,
    "s.a": Model(reads=("raw.u",)),
    "s.b": Model(reads=("s.a",)),
    "s.z": Model(),
}
CHANGED = {**MODELS, "s.a": Model(reads=("raw.u",), logic="2")}


def audit(name: str, *reads: str, blocking: bool = True, version: int = 1) -> Audit:
    return Audit(name, "", blocking, f"{name} {version}", tuple(AssetName(r) for r in reads))


class Audited(MemoryLoader):
    """A loader whose models have audits."""

    audits: Mapping[str, tuple[Audit, ...]] = {}

    def load(self, environment: str = "", restated: Mapping[AssetName, Restated] = NOTHING) -> Project:
        found = super().load(environment, restated)
        said = {a: _with(s, self.audits.get(a, ())) for a, s in found.assets.items()}
        return Project(said, f"{found.digest}{self.audits}", found.notes)


def _with(snapshot: Snapshot, audits: tuple[Audit, ...]) -> Snapshot:
    from dataclasses import replace

    return replace(snapshot, audits=audits)


class Log:
    """A hook that fails some audits and remembers in which order things were done."""

    def __init__(self, *bad: str) -> None:
        self.bad = set(bad)
        self.done: list[str] = []

    def __call__(self, moment: Moment, name: str) -> None:
        if moment in (Moment.BUILD, Moment.STAGE, Moment.AUDIT):
            self.done.append(f"{moment.value} {name}")
        if moment is Moment.AUDIT and name.rpartition(":")[2] in self.bad:
            raise BadRows

    @property
    def audited(self) -> list[str]:
        return sorted(d.removeprefix("audit ") for d in self.done if d.startswith("audit "))


def process(
    site: Site,
    audits: Mapping[str, tuple[Audit, ...]],
    models: Models = MODELS,
    hook: Callable[[Moment, str], None] | None = None,
    listen: events.Listener = events.silent,
) -> Process:
    found = site.process(models, hook=hook or Log(), listen=listen, workers=2)
    loader = Audited(models)
    loader.audits = audits
    found.w.loader = loader
    return found


ONE = {"s.a": (audit("one"),)}


def test_an_audit_runs_once_after_its_build_and_before_the_readers(site: Site) -> None:
    log = Log()
    applied = process(site, ONE, hook=log).apply()
    assert applied is not None
    assert log.done.index("build s.a") < log.done.index("audit s.a:one") < log.done.index("build s.b")
    assert [(a, f.audit.name, f.passed) for a, f in applied.report.audited] == [("s.a", "one", True)]
    again = Log()
    assert process(site, ONE, hook=again).apply() is None
    assert again.done == []
    site.check()


def test_what_fails_is_not_pointed_at_and_stays_to_be_audited_again(site: Site) -> None:
    process(site, {}).apply()
    before, told = site.world.see(PROD), list[events.Event]()
    bad = process(site, ONE, CHANGED, Log("one"), told.append)
    with pytest.raises(BuildFailed) as caught:
        bad.apply()
    assert caught.value.message == "s.a failed its audits; prod is as it was"
    ((asset, error),) = caught.value.failures
    assert isinstance(error, AuditFailed)
    assert (asset, error.message) == ("s.a", "s.a fails one: 1 row")
    assert [f.count for f in error.findings] == [1]
    assert site.world.see(PROD) == before
    assert [(e.asset, e.because) for e in told if isinstance(e, events.BuildSkipped)] == [("s.b", "s.a")]
    assert not [e for e in told if isinstance(e, events.BuildBroke)], "the audit's own event tells it"
    log = Log("one")
    with pytest.raises(BuildFailed):
        process(site, ONE, CHANGED, log).apply()
    assert log.done == ["audit s.a:one"], "the table is reused, and audited again"
    mended = Log()
    process(site, ONE, CHANGED, mended).apply()
    assert mended.done == ["audit s.a:one", "build s.b"]
    assert site.shown(PROD) == expected(CHANGED)
    site.check()


def test_a_warning_goes_through_and_is_told(site: Site) -> None:
    log = Log("soft")
    warned = process(site, {"s.a": (audit("soft", blocking=False),)}, hook=log)
    applied = warned.apply()
    assert applied is not None
    assert [(a, f.audit.name, f.count) for a, f in applied.report.audited] == [("s.a", "soft", 1)]
    assert warned.apply() is None, "it isn't told again and again"


def test_a_new_audit_describes_the_model_anew_and_runs_over_what_is_there(site: Site) -> None:
    process(site, {}).apply()
    log = Log()
    again = process(site, ONE, hook=log)
    plan = again.w.plan_apply(PROD)
    assert [(d.asset, d.verb, d.because) for d in plan.decisions] == [("s.a", Verb.DESCRIBE, "audit one is new")]
    assert [a.asset for a in plan.audits] == ["s.a"]
    again.w.apply(plan)
    assert log.done == ["audit s.a:one"]
    changed, second = {"s.a": (audit("one", version=2),)}, Log("one")
    with pytest.raises(BuildFailed):
        process(site, changed, hook=second).apply()
    gone = process(site, {}, hook=(third := Log()))
    assert [d.because for d in gone.w.plan_apply(PROD).decisions] == ["audit one is gone"]
    gone.apply()
    assert third.done == []
    site.check()


def test_only_what_is_new_is_run(site: Site) -> None:
    process(site, ONE).apply()
    log = Log()
    process(site, {"s.a": (audit("one"), audit("two"))}, hook=log).apply()
    assert log.audited == ["s.a:two"]


def test_a_promotion_runs_nothing_again(site: Site) -> None:
    process(site, {}).apply()
    rehearsal = process(site, ONE, CHANGED)
    rehearsal.apply(FEATURE)
    log = Log("one")
    promoting = process(site, ONE, CHANGED, log)
    promoting.promote()
    assert log.done == []
    assert site.shown(PROD) == expected(CHANGED)


def test_the_way_back_is_not_barred(site: Site) -> None:
    process(site, ONE).apply()
    process(site, ONE, CHANGED).apply()
    log = Log("one")
    process(site, ONE, CHANGED, log).undo()
    assert log.done == []
    assert site.shown(PROD) == expected(MODELS)


def test_a_rebuilt_table_is_audited_again(site: Site) -> None:
    process(site, ONE).apply()
    (location,) = [s.location for a, s in snapshots(MODELS).items() if a == "s.a"]
    site.world.remove(location)
    log = Log()
    process(site, ONE, hook=log).apply()
    assert log.done == ["build s.a", "audit s.a:one"]


# -- what else an audit reads ------------------------------------------------------------------------------------------


def test_an_audit_waits_for_all_that_it_reads(site: Site) -> None:
    log = Log()
    process(site, {"s.a": (audit("one", "s.z"),)}, hook=log).apply()
    assert log.done.index("build s.z") < log.done.index("audit s.a:one") < log.done.index("build s.b")


def test_an_audit_that_reads_a_reader_of_its_model_comes_after_it(site: Site) -> None:
    log = Log()
    process(site, {"s.a": (audit("one", "s.b"),), "s.b": (audit("two", "s.a"),)}, hook=log).apply()
    assert log.done.index("build s.b") < log.done.index("audit s.a:one")
    assert log.audited == ["s.a:one", "s.b:two"]
    site.check()


def test_two_audits_that_wait_for_each_others_models_make_no_circle(site: Site) -> None:
    models = {
        name: Model(reads=reads) for name, reads in {"s.a": (), "s.c": ("s.a",), "s.b": (), "s.d": ("s.b",)}.items()
    }
    log = Log()
    process(site, {"s.a": (audit("one", "s.d"),), "s.b": (audit("two", "s.c"),)}, models, log).apply()
    assert log.audited == ["s.a:one", "s.b:two"]
    site.check()


def test_another_version_of_what_it_reads_asks_again(site: Site) -> None:
    """In the environment the audit passed over another ``s.z`` than the one it is promoted to."""
    audits = {"s.a": (audit("one", "s.z"),)}
    process(site, {}).apply()
    process(site, audits, CHANGED).apply(FEATURE)
    process(site, {}, {**MODELS, "s.z": Model(logic="9")}).apply()
    log = Log("one")
    promoting = process(site, audits, CHANGED, log)
    with pytest.raises(BuildFailed):
        promoting.promote()
    assert log.done == ["audit s.a:one"]
    site.check()


# -- runs --------------------------------------------------------------------------------------------------------------


def run(found: Process) -> None:
    found.run(lambda w: w.plan_run(PROD))


def test_a_refresh_is_audited_before_it_is_swapped_in(site: Site) -> None:
    process(site, ONE).apply()
    site.clock.advance(days=1)
    before = site.world.see(PROD)
    told: list[events.Event] = []
    with pytest.raises(BuildFailed) as caught:
        run(process(site, ONE, hook=Log("one"), listen=told.append))
    assert caught.value.message == "s.a failed its audits; prod is as it was"
    assert site.world.see(PROD) == before
    assert [e.asset for e in told if isinstance(e, events.BuildSkipped)] == ["s.b"]
    log = Log()
    run(process(site, ONE, hook=log))
    assert log.done.index("stage s.a") < log.done.index("audit s.a:one") < log.done.index("stage s.b")
    assert site.world.see(PROD) != before
    again = Log()
    assert process(site, ONE, hook=again).apply() is None
    state = site.state()
    ((location, passed),) = [(k, v) for k, v in state.audited([s.location for s in snapshots(MODELS).values()]).items()]
    assert set(passed) == {0, state.contents([location])[location].current}


# -- crashes -----------------------------------------------------------------------------------------------------------


def test_who_dies_between_a_build_and_its_audit_leaves_the_audit_to_the_next(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = process(site, ONE)

    def die(self: Auditor, step: Audits) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(Auditor, "run", die)
        with pytest.raises(SystemExit):
            dying.apply()
    site.kill(dying)
    log = Log("one")
    with pytest.raises(BuildFailed):
        process(site, ONE, hook=log).apply()
    assert "build s.a" not in log.done
    assert log.audited == ["s.a:one"]
    assert PROD not in site.world.shown
    process(site, ONE).apply()
    site.check()


def test_who_builds_the_same_for_itself_audits_it_first(site: Site) -> None:
    """Another environment reuses the table that failed, and is told the same."""
    process(site, {}).apply()
    with pytest.raises(BuildFailed):
        process(site, ONE, CHANGED, Log("one")).apply(FEATURE)
    log = Log("one")
    with pytest.raises(BuildFailed):
        process(site, ONE, CHANGED, log).apply()
    assert log.done == ["audit s.a:one"]


def test_gc_forgets_what_was_audited(site: Site) -> None:
    process(site, ONE).apply()
    process(site, {}, {"s.z": Model()}).apply()
    site.clock.advance(days=31)
    collecting = process(site, {}, {"s.z": Model()})
    assert collecting.gc()
    assert list(site.store.scan("audited/")) == []


def test_an_audited_environment_is_looked_at_as_it_is(site: Site) -> None:
    audits = {**ONE, "s.z": (audit("soft", blocking=False),)}
    process(site, audits).apply()
    log = Log("one", "soft")
    found = process(site, audits, hook=log).w.audit(PROD)
    assert [(o.asset, o.failed) for o in found] == [("s.a", True), ("s.z", False)]
    assert process(site, audits, hook=log).w.audit(PROD, Selection(("s.z",)))[0].findings[0].count == 1
    site.check()


def test_a_plan_with_audits_is_kept_as_it_was(site: Site) -> None:
    from anabranch.domain import plan_codec

    plan = process(site, {"s.a": (audit("one", "s.z"),)}).w.plan_apply(PROD)
    assert plan_codec.decode(plan_codec.encode(plan)) == plan
    assert {a.id for a in plan.audits} <= {n for s in plan.steps if isinstance(s, Build) for n in s.needs}
