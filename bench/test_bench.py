"""The benchmark's own tests: `.venv/bin/python -m pytest bench`.

They hold that what is measured is measured right, that the project is one and the same for all tools, and that a step
which doesn't do what it promises yields no figure.
"""

from __future__ import annotations

import hashlib
import stat
import sys
import time
from pathlib import Path

import generate
import machine
import measure
import page
import pytest
import report
import rows
import run
import targets
import tools
from checks import reference
from generate import Edit, Flavour
from measure import MeasureError, Measurement
from results import Entry, Results, entry
from session import Figure, Session
from steps import ABOUT, Step, needed

# --- what a command costs ----------------------------------------------------------------------------------------

BURN = "import time\nstart = time.process_time()\nwhile time.process_time() - start < {}: pass\n"
FORK = "import os, time\nfor _ in range(3):\n  if os.fork() == 0:\n{}    os._exit(0)\n"
WAIT = "for _ in range(3): os.wait()\n"


def measured(folder: Path, code: str, timeout: float = 60.0) -> Measurement:
    return measure.run([sys.executable, "-c", code], folder, folder / "log", timeout=timeout)


def indented(code: str) -> str:
    return "".join(f"    {line}\n" for line in code.splitlines())


def test_one_process(tmp_path: Path) -> None:
    found = measured(tmp_path, BURN.format(0.5))
    assert found.cpu_s == pytest.approx(0.5, abs=0.15)
    assert found.processes == 1


def test_sleep_costs_wall_only(tmp_path: Path) -> None:
    found = measured(tmp_path, "import time; time.sleep(0.5)")
    assert found.wall_s >= 0.5
    assert found.cpu_s < 0.2


def test_children_that_are_waited_for(tmp_path: Path) -> None:
    found = measured(tmp_path, FORK.format(indented(BURN.format(0.3))) + WAIT)
    assert found.cpu_s == pytest.approx(0.9, abs=0.25)
    assert found.processes >= 3


def test_orphans_count(tmp_path: Path) -> None:
    found = measured(tmp_path, FORK.format(indented(BURN.format(0.3))))
    assert found.cpu_s == pytest.approx(0.9, abs=0.25)


def test_lost_time_is_an_error(tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    until_gone = "try:\n    os.wait()\nexcept ChildProcessError:\n    pass\n"
    with pytest.raises(MeasureError, match="a process was lost"):
        measured(tmp_path, ignore + FORK.format(indented(BURN.format(0.5))) + until_gone)


def test_memory_of_a_child_is_its_own(tmp_path: Path) -> None:
    ballast = bytearray(200_000_000)
    assert measured(tmp_path, "pass").memory_mb < 40
    del ballast


def test_memory_of_several_counts_shared_pages_once(tmp_path: Path) -> None:
    apart = measured(tmp_path, FORK.format("    x = bytearray(50_000_000); time.sleep(0.5)\n") + WAIT)
    shared = measured(tmp_path, "x = bytearray(50_000_000)\n" + FORK.format("    time.sleep(0.5)\n") + WAIT)
    assert apart.memory_mb == pytest.approx(150, abs=25)
    assert shared.memory_mb == pytest.approx(55, abs=20)


def test_failure_is_an_error_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(MeasureError, match=r"ended with 3\n    why"):
        measured(tmp_path, "print('why'); raise SystemExit(3)")


def test_timeout(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(MeasureError, match="not done after"):
        measured(tmp_path, "import time; time.sleep(30)", timeout=0.3)
    assert time.monotonic() - started < 10


# --- the project -------------------------------------------------------------------------------------------------


def test_project_is_the_one_that_figures_are_of() -> None:
    texts = [text for _, text in generate.files(generate.generate(100), Flavour.ANABRANCH)]
    digest = hashlib.sha256("".join(texts).encode()).hexdigest()[:12]
    # Another digest is another project, whose figures stand beside no others: raise SCHEME.
    assert (generate.SCHEME, digest) == (1, "14512ad341b1")


def test_project_has_the_promised_shape() -> None:
    project = generate.generate(100)
    assert len({model.name for model in project.models}) == 100
    assert {model.layer for model in project.models} == set(range(10))
    known = {generate.SEED_NAME}
    for model in project.models:
        assert set(model.upstreams) <= known
        assert len(model.columns) in (4, 5, 6)
        known.add(model.name)
    assert not [model for model in project.models if project.leaf.name in model.upstreams]
    assert [model for model in project.models if project.root.name in model.upstreams]


def test_same_sql_for_all_tools() -> None:
    for model in generate.generate(50).models:
        ours = generate.model_text(Flavour.ANABRANCH, model)
        assert ours == generate.model_text(Flavour.SQLMESH, model)
        theirs = generate.model_text(Flavour.DBT, model)
        for upstream in model.upstreams:
            theirs = theirs.replace(f"{{{{ ref('{upstream.partition('.')[2]}') }}}}", upstream)
        assert ours.partition(";\n\n")[2] == theirs


@pytest.mark.parametrize("size", [20, 100, 500, 1_000, 5_000], ids=str)
def test_edits_change_what_they_say(size: int) -> None:
    project = generate.generate(size)
    plain = {model.name: generate.query(model, str) for model in (project.root, project.leaf)}
    for edit in Edit:
        model = project.edited(edit)
        assert generate.query(model, str, edit) != plain[model.name]
    commented = generate.query(project.root, str, Edit.ROOT_COMMENT)
    assert commented.replace(f"{generate.ROOT_COMMENT}\n", "") == plain[project.root.name]


def test_reference() -> None:
    project = generate.generate(100)
    known = reference(project)
    assert len(known.models) == 100
    assert min(content.rows for content in known.models.values()) > 100
    assert known.edited_leaf.hash != known.models[project.leaf.name].hash
    assert known.edited_root.columns[-1] == generate.ROOT_COLUMN
    assert known == reference(project)


# --- the steps: by a stand-in that keeps its promises, and by ones that break one each ---------------------------


def play(folder: Path, lie: str = "", repeat: int = 1) -> dict[Step, Figure]:
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "anabranch"
    fake = Path(__file__).with_name("fake_anabranch.py")
    program.write_text(f"#!{sys.executable}\nimport runpy, sys\nrunpy.run_path({str(fake)!r}, run_name='__main__')\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "lie").write_text(lie)
    project = generate.generate(20)
    session = Session(
        tools.anabranch(programs),
        project,
        reference(project),
        folder / "project",
        folder / "logs",
        repeat,
        tell=lambda line: None,
    )
    return {figure.step: figure for figure in session.play(list(Step))}


def test_all_steps(tmp_path: Path) -> None:
    figures = play(tmp_path, repeat=2)
    assert {figure.step: figure.failed for figure in figures.values() if figure.failed} == {}
    assert list(figures) == list(Step)
    assert {len(figure.runs) for figure in figures.values()} == {2}
    assert [figure.built for step, figure in figures.items() if ABOUT[step].changes] == [20, 0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("lie", "step", "reason"),
    [
        ("exit apply", Step.FIRST_APPLY, "ended with 3"),
        ("exit promote", Step.PROMOTE, "ended with 3"),
        ("another's rows", Step.FIRST_APPLY, "expected Content"),
        ("no cache", Step.LOAD_COLD, "to delete"),
        ("plan writes", Step.NOOP_PLAN, "the warehouse changed"),
        ("plan is never empty", Step.NOOP_PLAN, "though nothing changed"),
        ("incomplete", Step.ENV_NEW, "1 models missing"),
        ("leaks", Step.LEAF_APPLY, "layer9.m0020 holds"),
        ("no promote", Step.PROMOTE, "layer9.m0020 holds"),
        ("builds on a comment", Step.COMMENT_APPLY, "1 tables were built, 0 were promised"),
        ("builds readers", Step.REFACTOR_APPLY, "2 tables were built, 1 were promised"),
    ],
)
def test_a_broken_promise_is_no_figure(tmp_path: Path, lie: str, step: Step, reason: str) -> None:
    failed = next(figure for figure in play(tmp_path, lie).values() if figure.failed)
    assert failed.step is step
    assert reason in failed.failed
    assert failed.runs == ()


def test_a_tool_that_is_not_there(tmp_path: Path) -> None:
    project = generate.generate(20)
    tool = tools.anabranch(tmp_path / "nowhere")
    session = Session(
        tool, project, reference(project), tmp_path / "project", tmp_path / "logs", tell=lambda line: None
    )
    figures = list(session.play(list(Step)))
    assert [figure.step for figure in figures] == [Step.HELP]


def test_steps_that_others_stand_on() -> None:
    assert needed(frozenset({Step.NOOP_PLAN})) == [Step.FIRST_APPLY, Step.NOOP_PLAN]
    assert needed(frozenset({Step.HELP})) == [Step.HELP]


# --- results and report ------------------------------------------------------------------------------------------


def entries(cpu: float, tool: tools.Tool, sizes: tuple[int, ...]) -> list[Entry]:
    runs = tuple(Measurement(cpu * factor, 1.0, 90.0, 0.0, 1) for factor in (3.0, 1.0, 0.5))
    key = machine.describe().key
    return [entry(tool, size, Figure(step, runs, 0), key, "2026-01-01") for size in sizes for step in tool.commands]


def test_results_merge(tmp_path: Path) -> None:
    ours, path = tools.anabranch(tmp_path), tmp_path / "results.json"
    for one in entries(0.2, ours, (100,)):
        Results(path).put(one)
    Results(path).put(entries(0.3, ours, (100,))[0])
    found = Results(path).comparable(machine.describe().key)
    assert len(found) == len(ours.commands)
    assert sorted({one.cpu_s for one in found.values()}) == [0.2, 0.3]
    assert Results(path).comparable("another machine") == {}


def test_page(tmp_path: Path) -> None:
    ours, peer = tools.anabranch(tmp_path), tools.sqlmesh(tmp_path)
    every = [*entries(0.19, ours, (1_000, 5_000)), *entries(38.0, peer, (1_000,))]
    known = {one.key: one for one in every}
    assert {outcome.met for outcome in targets.outcomes(known)} == {True}
    page = report.render(known, [ours, peer], machine.describe())
    assert "| plan, nothing changed | 0.19 / 1.00 / 90 | 38.0 / 1.00 / 90 | 200× |" in page
    assert str(tmp_path) not in page
    slow = {one.key: one for one in entries(7.0, ours, (1_000, 5_000))}
    assert "**no**" in report.render(slow, [ours], machine.describe())


def test_what_failed_has_no_figure(tmp_path: Path) -> None:
    ours = tools.anabranch(tmp_path)
    failed = entry(ours, 100, Figure(Step.PROMOTE, failed="prod holds other rows\nmore"), "m", "2026-01-01")
    page = report.render({failed.key: failed}, [ours], machine.describe())
    assert "| promote it to prod | failed |" in page
    assert "prod holds other rows" in page


def test_report_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert run.main(["--report-only", "--no-peers", "--home", str(tmp_path), "--out", str(page)]) == 0
    assert "not measured" in page.read_text()


def test_a_report_keeps_what_other_programs_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "page.md"
    parts = {title: f"{title}\n\n| a | b |\n\n" for title in page.TITLES}
    write = ["--report-only", "--no-peers", "--home", str(tmp_path), "--out", str(out)]
    assert run.main(write) == 0
    plain = out.read_text()
    monkeypatch.setattr(page, "PAGE", out)
    for title in reversed(page.TITLES):
        page.write(parts[title])
    both = plain.replace("## Machine and versions", f"{''.join(parts.values())}## Machine and versions")
    assert out.read_text() == both
    assert run.main(write) == 0
    assert out.read_text() == both
    for title, part in parts.items():
        page.write(part.replace("| a |", "| c |"))
        assert page.section(title, out.read_text()) == part.replace("| a |", "| c |")
        assert out.read_text().count(title) == 1


@pytest.mark.parametrize(
    ("said", "keyed"),
    [
        ("~ marts.orders   20,000 rows, 2 added, 2 removed, 220 changed by key\n", True),
        ('{"assets": [{"rows": {"added": 2, "removed": 2, "changed": 220}}]}\n', True),
        ("~ marts.keyless   20,000 rows, 222 added, 222 removed\n", False),
    ],
)
def test_an_answer_about_rows_is_checked(said: str, keyed: bool) -> None:
    rows._check(said, 20_000, keyed=keyed)
    with pytest.raises(measure.MeasureError):
        rows._check(said.replace("2", "3"), 20_000, keyed=keyed)
