"""Names, holders, checks: what stands around the use cases."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.app.test_crashes import COMMANDS, crash, doomed, established
from tests.support.gates import Gate, behind
from tests.support.project import SOURCE, Model
from tests.support.proxies import Crash, Doom
from tests.support.site import FEATURE, PROD, Process, Site

from anabranch.app.doctor import examine
from anabranch.app.holder import Holder, _started, describe
from anabranch.app.state import OPEN, State
from anabranch.domain.names import EnvironmentName
from anabranch.errors import InvalidName, ModelError, NotFound, ProjectError, Refused
from anabranch.stores.memory import MemoryStore

MODELS = {"raw.u": SOURCE, "s.a": Model(reads=("raw.u",))}


# -- which environment is meant ----------------------------------------------------------------------------------------


def test_the_branch_that_is_checked_out_says_which(site: Site):
    assert site.process(branch="feature/New-Price").w.resolve(None) == "feature_new_price"
    assert site.process(branch="main").w.resolve(None) == PROD
    with pytest.raises(ProjectError, match="not a git checkout"):
        site.process().w.resolve(None)


def test_a_name_or_a_branch_says_which(site: Site):
    w = site.process().w
    assert w.resolve("feature") == FEATURE
    assert w.resolve("main") == PROD
    assert w.resolve("feature/New-Price") == "feature_new_price"
    assert w.resolve("feature/x; drop schema").startswith("feature_x_drop_schema_")
    with pytest.raises(InvalidName):
        w.resolve("  ")


def test_a_branch_never_gets_the_trunk_or_another_branchs_environment(site: Site):
    site.process(MODELS).apply(PROD)
    first = site.process({**MODELS, "s.b": Model()}, branch="Feature")
    first.apply(first.w.resolve(None))
    assert first.w.resolve(None) == FEATURE
    second = site.process(MODELS, branch="feature")
    name = second.w.resolve(None)
    assert name.startswith("feature_")
    assert name != FEATURE
    assert site.process(branch="prod").w.resolve(None) != PROD
    second.apply(name)
    assert site.state().require(name).branch == "feature"
    site.check()


def test_an_environment_without_a_branch_may_become_a_branchs(site: Site):
    process = site.process(MODELS)
    process.apply(PROD)
    process.create(FEATURE)
    assert site.state().require(FEATURE).branch is None
    bob = site.process({**MODELS, "s.b": Model()}, branch="feature")
    bob.apply(bob.w.resolve(None))
    assert site.state().require(FEATURE).branch == "feature"


def test_an_undo_without_a_name_means_what_changed_last(site: Site):
    site.process(MODELS).apply(PROD)
    bob = site.process({**MODELS, "s.b": Model()}, branch="feature")
    assert bob.w.latest() == PROD
    bob.apply(FEATURE)
    assert bob.w.latest() == FEATURE
    site.process({**MODELS, "s.c": Model()}).apply(PROD)
    assert bob.w.latest() == PROD


def test_a_protected_environment_is_not_dropped(site: Site):
    process = site.process(MODELS, protected=[FEATURE])
    process.apply(PROD)
    process.create(FEATURE)
    with pytest.raises(Refused, match="protected"):
        process.w.plan_drop(FEATURE)
    with pytest.raises(Refused, match="protected"):
        site.process(MODELS).w.plan_drop(FEATURE)  # another checkout, whose file doesn't say it


# -- interrupted plans -------------------------------------------------------------------------------------------------


def test_nothing_was_interrupted(site: Site):
    with pytest.raises(NotFound, match="nothing was interrupted"):
        site.process().w.find_open(None)


def test_what_is_under_way_is_not_resumed(site: Site):
    gate = Gate("s.a")
    running = site.process(MODELS, hook=gate)
    done = behind(lambda: running.apply(PROD))
    assert gate.began.wait(10)
    other = site.process(MODELS)
    (identifier,) = other.w.state.open_plans()
    assert [o.plan.id for o in other.w.status(PROD).running] == [identifier]
    for name in (None, identifier[:3]):
        with pytest.raises(Refused, match="under way in process 1 on here"):
            other.w.find_open(name)
    gate.open.set()
    done.result(10)


def test_where_several_were_interrupted_one_must_be_named(site: Site):
    command = COMMANDS["apply in a new environment"]
    established(site, command.before)
    for name in ("one", "two"):
        doom = Doom()
        process = doomed(site, command, doom)

        def die(process: Process = process, doom: Doom = doom, name: str = name) -> None:
            plan = process.w.plan_apply(EnvironmentName(name))
            doom.at = len(doom.calls) + 12
            process.w.apply(plan)

        with pytest.raises(Crash):
            die()
        site.kill(process)
    later = site.process(command.models)
    with pytest.raises(Refused, match="2 plans were interrupted") as caught:
        later.w.find_open(None)
    assert all(i in str(caught.value.hint) for i in later.w.state.open_plans())
    assert len(later.w.status(PROD).interrupted) == 2
    assert len(later.w.heal()) == 2
    assert site.store.scan(OPEN) == {}


# -- holders -----------------------------------------------------------------------------------------------------------


def test_a_process_knows_itself_and_the_dead():
    me = Holder.here()
    assert not me.knows_dead(me.token)
    assert not Holder.here().knows_dead(me.token), "another use case of this process"
    assert describe(me.token) == f"process {os.getpid()} on {me.host}"
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        token = replace(me, pid=child.pid, started=_started(child.pid)).token
        assert not me.knows_dead(token)
        assert me.knows_dead(replace(me, pid=child.pid, started="1").token), "a later process of the same number"
    finally:
        child.communicate(b"\n", timeout=10)
    assert me.knows_dead(token)
    assert not me.knows_dead(replace(me, host="elsewhere", pid=child.pid).token), "that can't be known from here"


def test_a_state_is_held_by_this_process_unless_said_otherwise():
    state = State(MemoryStore())
    assert state.holder.pid == os.getpid()
    assert state.is_dead("", 0.0)
    assert not state.is_dead(state.holder.token, 0.0)
    assert state.is_dead("elsewhere 1 - x", state.store.now() - 31)
    assert not state.is_dead("elsewhere 1 - x", state.store.now() - 29)


# -- the doctor --------------------------------------------------------------------------------------------------------


def test_a_doctor_finds_all_well(site: Site):
    process = site.process(MODELS, branch="feature")
    process.apply(PROD)
    found = {c.name: c for c in examine(process.w)}
    assert {name: c.ok for name, c in found.items()} == dict.fromkeys(
        ("state", "project", "warehouse", "git", "interrupted", "drift in prod"), True
    )
    assert found["state"].detail == "memory: 1 environment"


def test_a_doctor_says_what_is_wrong_and_what_to_do(site: Site):
    command = COMMANDS["apply"]
    crash(site, command, 40)
    process = site.process(command.models)
    process.loader.error = ModelError("s.a doesn't parse", hint="mend it")
    site.world.alter(next(iter(site.pointed())))
    found = {c.name: c for c in examine(process.w)}
    assert {name for name, c in found.items() if c.ok is False} == {"project", "interrupted", "drift in prod"}
    assert all(c.hint for c in found.values() if c.ok is False)
    assert found["git"].ok is None
