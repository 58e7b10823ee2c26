"""--select and --exclude, as people type them."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from click.shell_completion import ShellComplete
from inline_snapshot import snapshot

from anabranch.cli.main import cli


@pytest.fixture
def edited(applied):
    """Two changes on a branch that don't touch each other, and one upstream of both."""
    shutil.rmtree(applied.root / ".git")
    for command in ("init -q -b main", "add anabranch.yaml models seeds", "commit -q -m begin", "switch -q -c feature"):
        subprocess.run(["git", *command.split()], cwd=applied.root, check=True)
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    applied.replace("models/core/valid.sql", "amount > 0", "amount > 1")
    return applied


def test_plan_says_what_is_left_and_what_to_type(edited, anabranch):
    said = anabranch("plan", "--select", "core.*+", "--exclude", "marts.t?p")
    assert said.code == 1
    assert edited.plain(said.err) == snapshot("""\
✗ marts.revenue is selected, but not marts.top, which reads it and would go on with what was before
  next: add what belongs to it: --select marts.revenue+
""")
    said = anabranch("plan", "--select", "core.*+")
    assert edited.plain(said.out) == snapshot("""\
feature is new, from prod @ <commit>

  build    marts.revenue   reads the rows of core.valid
  build    marts.top       changed
  define   core.valid      changed
  reuse   3 assets as they are

  shares <size>, holds 0 B alone (a copy: <size>)
  2 to build, 3 reused, 1 defined
next: anabranch apply --select 'core.*+'
""")


def test_apply_takes_the_selected_change_alone(edited, anabranch):
    edited.replace("models/core/valid.sql", "amount > 1", "amount > 0")
    edited.replace("models/stg/orders.sql", "SELECT id", "SELECT DISTINCT id")
    said = anabranch("apply", "--select", "marts.top")
    assert said.code == 1, "marts.top reads what reads the change"
    assert anabranch("apply", "--select", "git:main").code == 1
    edited.replace("models/stg/orders.sql", "SELECT DISTINCT id", "SELECT id")
    said = anabranch("apply", "--select", "git:main", "--json")
    assert json.loads(said.out)["built"] == ["marts.top"]
    assert json.loads(anabranch("diff", "--select", "+marts.top", "--json").out)["same"] == 5
    assert json.loads(anabranch("diff", "--select", "marts.revenue", "--json").out)["assets"] == []
    shown = json.loads(anabranch("env", "show", "--select", "kind:view", "--json").out)
    assert [a["asset"] for a in shown["assets"]] == ["stg.orders"]


def test_a_mistake_shows_its_place(edited, anabranch):
    said = anabranch("run", "prod", "--select", "marts.*,^marts.topp")
    assert said.code == 2
    assert said.err == snapshot("""\
✗ no asset is called marts.topp
  marts.*,^marts.topp
           ~~~~~~~~~~
  next: did you mean marts.top?
Nothing was changed.
""")
    for command in ("apply", "plan"):
        assert anabranch(command, "--merged", "--select", "marts.top").code == 2


def test_run_refreshes_what_is_selected(applied, anabranch):
    said = anabranch("run", "prod", "--ignore-cron", "--select", "tag:x")
    assert said.code == 2
    said = anabranch("run", "prod", "--ignore-cron", "--select", "marts.revenue", "--yes", "--json")
    assert [d["asset"] for d in json.loads(said.out)["plan"]["decisions"]] == ["marts.revenue"]


def test_names_are_completed(applied, monkeypatch):
    completed = ShellComplete(cli, {}, "anabranch", "_ANABRANCH_COMPLETE").get_completions(
        ["plan", "--select"], "seeds.*,+marts.t"
    )
    assert [c.value for c in completed] == ["seeds.*,+marts.top"]
