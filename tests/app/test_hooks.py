"""before_all and after_all: around changes, at least once, and never half."""

from __future__ import annotations

import pytest
from tests.support.project import SOURCE, Model
from tests.support.site import FEATURE, PROD, Process, Site

from anabranch.app import events
from anabranch.app.apply import Applier
from anabranch.app.hooks import HookRunner
from anabranch.domain.hooks import Hook, Hooks
from anabranch.errors import HookFailed, StatementFailed

MODELS = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",))}


def with_hooks(process: Process, before: tuple[str, ...] = (), after: tuple[str, ...] = (), hidden: str = "") -> list:
    """Gives a process hooks; the events that it tells of them."""
    heard: list[events.Event] = []
    secrets = (hidden,) if hidden else ()
    hooks = Hooks(*(tuple(Hook(text, None, secrets) for text in part) for part in (before, after)))
    runner = HookRunner(process.w.tables, hooks, heard.append)
    process.w._hooks = process.w._applier._hooks = runner
    return heard


def loaded(site: Site, name: str) -> str | None:
    table = site.world.tables.get(name)
    return table.value if table else None


def test_they_run_around_what_changes_something():
    site = Site()
    process = site.process(MODELS)
    heard = with_hooks(process, ("load before @this_env",), ("load after @this_env", "load after2 x"))
    assert process.w.plan_apply(PROD).notes == ("hooks: 1 statement before and 2 statements after",)
    process.apply(PROD)
    assert (loaded(site, "before"), loaded(site, "after"), loaded(site, "after2")) == ("prod", "prod", "x")
    assert [(e.what, e.number) for e in heard] == [("before_all", 1), ("after_all", 2)]
    heard.clear()
    process.create(FEATURE)
    assert heard == [], "a new environment changes none"
    process.models = {**MODELS, "s.b": Model()}
    process.apply(FEATURE)
    process.w.apply(process.w.plan_promote(FEATURE, PROD))
    assert [e.what for e in heard] == ["before_all", "after_all"] * 2
    heard.clear()
    process.w.apply(process.w.plan_undo(PROD))
    assert heard == []
    assert process.w.plan_apply(FEATURE).notes == (), "nothing to do, no hooks"
    site.check()


def test_where_before_fails_nothing_is_changed():
    site = Site()
    process = site.process(MODELS)
    with_hooks(process, ("load before x", "boom"), ("load after x",))
    with pytest.raises(
        HookFailed, match=r"before_all \(statement 2 of 2\) failed: .*boom; prod is as it was"
    ) as raised:
        process.apply(PROD)
    assert raised.value.unchanged
    assert site.state().environment(PROD) is None
    assert site.state().open_plans() == {}
    assert loaded(site, "after") is None
    with_hooks(process)
    process.apply(PROD)
    site.check()


def test_where_after_fails_the_environment_has_moved():
    site = Site()
    process = site.process(MODELS)
    with_hooks(process, (), ("load after x", "boom", "load later x"))
    with pytest.raises(HookFailed, match=r"prod has moved, but after_all \(statement 2 of 3\) failed") as raised:
        process.apply(PROD)
    assert not raised.value.unchanged
    assert PROD in site.state().environments()
    assert site.state().open_plans() == {}
    assert (loaded(site, "after"), loaded(site, "later")) == ("x", None)
    assert process.w.plan_apply(PROD).is_empty
    site.check()


def test_after_runs_again_for_who_was_interrupted_in_it(monkeypatch):
    site = Site()
    process = site.process(MODELS)
    with_hooks(process, (), ("load after x",))

    def killed(plan):
        raise KeyboardInterrupt

    monkeypatch.setattr(process.w._hooks, "after", killed)
    with pytest.raises(KeyboardInterrupt):
        process.apply(PROD)
    assert loaded(site, "after") is None
    site.kill(process)
    other = site.process(MODELS)
    with_hooks(other, (), ("load after x",))
    assert len(other.w.heal()) == 1
    assert loaded(site, "after") == "x"
    assert site.state().open_plans() == {}
    site.check()


def test_a_build_that_fails_runs_no_after(monkeypatch):
    site = Site()
    process = site.process(MODELS)
    with_hooks(process, ("load before x",), ("load after x",))

    def fail(self, plan, heartbeat):
        raise StatementFailed("no")

    monkeypatch.setattr(Applier, "_build", fail)
    with pytest.raises(StatementFailed):
        process.apply(PROD)
    assert (loaded(site, "before"), loaded(site, "after")) == ("x", None)


def test_values_from_outside_are_not_shown():
    process = Site().process(MODELS)
    with_hooks(process, ("create secret sesame",), hidden="sesame")
    with pytest.raises(HookFailed) as raised:
        process.apply(PROD)
    assert raised.value.message == "before_all failed: this is no statement: create secret …; prod is as it was"
    assert "sesame" not in repr(Hook("x sesame", None, ("sesame",)))
