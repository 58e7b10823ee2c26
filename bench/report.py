"""Writes docs/benchmarks.md from the results."""

from __future__ import annotations

from collections.abc import Sequence

import generate
import targets
from machine import Machine
from results import Entry
from steps import ABOUT, Step
from targets import Entries
from tools import Tool

_NONE = "–"
_UNMEASURED = "not measured"


def render(entries: Entries, tools: Sequence[Tool], machine: Machine) -> str:
    """The page. ``tools`` are in the order of its columns, ours first."""
    sizes = sorted({size for _, size, _ in entries})
    parts = [
        _INTRODUCTION,
        _headline(entries, tools, sizes),
        _targets(entries),
        *(_size(entries, tools, size) for size in sizes),
        _built(entries, tools, sizes),
        _failures(entries, tools),
        _machine(entries, tools, machine),
        _commands(tools),
        _METHOD,
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the columns after the first ``left`` are figures."""
    rule = [":--" if number < left else "--:" for number in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _cell(found: Entry | None, known: bool) -> str:
    if found is None:
        return _UNMEASURED if known else _NONE
    if found.failed:
        return "failed"
    return f"{_seconds(found.cpu_s)} / {_seconds(found.wall_s)} / {found.memory_mb:.0f}"


def _times(peer: Entry | None, ours: Entry | None) -> str:
    if not peer or not ours or peer.failed or ours.failed:
        return _NONE
    ratio = peer.cpu_s / ours.cpu_s
    return f"{ratio:.1f}×" if ratio < 10 else f"{ratio:.0f}×"


def _headline(entries: Entries, tools: Sequence[Tool], sizes: Sequence[int]) -> str:
    """What nothing costs, by size: the price of every other command."""
    rows = []
    for size in sizes:
        found = [entries.get((tool.name, size, Step.NOOP_PLAN.value)) for tool in tools]
        if any(found):
            cells = [_seconds(one.cpu_s) if one and not one.failed else _NONE for one in found]
            rows.append([f"{size:,}", *cells])
    if not rows:
        return ""
    head = ["models", *(tool.title for tool in tools)]
    return f"## A plan when nothing changed, CPU s\n\n{_table(head, rows, left=0)}"


def _targets(entries: Entries) -> str:
    marks = {True: "yes", False: "**no**", None: _UNMEASURED}
    rows = [[one.title, one.target, one.measured, marks[one.met]] for one in targets.outcomes(entries)]
    title = f"## Targets, at {targets.SIZE:,} models"
    return f"{title}\n\n{_table(['Anabranch', 'target', 'measured', 'met'], rows)}"


def _size(entries: Entries, tools: Sequence[Tool], size: int) -> str:
    shown = [tool for tool in tools if any(key[:2] == (tool.name, size) for key in entries)]
    ours = next((tool for tool in shown if tool.flavour is generate.Flavour.ANABRANCH), None)
    others = [tool for tool in shown if tool is not ours]
    rows = []
    for step in Step:
        found = {tool.name: entries.get((tool.name, size, step.value)) for tool in shown}
        if not any(found.values()):
            continue
        row = [ABOUT[step].title]
        row += [_cell(found[tool.name], step in tool.commands) for tool in shown]
        row += [_times(found[tool.name], found[ours.name]) for tool in others if ours]
        rows.append(row)
    head = ["step", *(tool.title for tool in shown), *(f"{tool.title} / ours" for tool in others if ours)]
    return f"## {size:,} models\n\nCPU s / wall s / peak MB; the ratios are of CPU seconds.\n\n{_table(head, rows)}"


def _built(entries: Entries, tools: Sequence[Tool], sizes: Sequence[int]) -> str:
    """How many tables a step built: what its cost would be on real data."""
    rows = []
    for step in (Step.LEAF_APPLY, Step.PROMOTE, Step.ROOT_APPLY, Step.COMMENT_APPLY, Step.REFACTOR_APPLY):
        for size in sizes:
            found = [entries.get((tool.name, size, step.value)) for tool in tools]
            if any(one and one.built is not None for one in found):
                cells = [_NONE if not one or one.built is None else str(one.built) for one in found]
                rows.append([ABOUT[step].title, f"{size:,}", *cells])
    if not rows:
        return ""
    head = ["step", "models", *(tool.title for tool in tools)]
    return (
        "## Tables built\n\nHere a table has at most 1,000 rows and is built in milliseconds. On real data, what a step "
        f"builds is what it costs.\n\n{_table(head, rows)}"
    )


def _failures(entries: Entries, tools: Sequence[Tool]) -> str:
    titles = {tool.name: tool.title for tool in tools}
    failed = [one for one in entries.values() if one.failed and one.tool in titles]
    if not failed:
        return ""
    lines = [
        f"- {titles[one.tool]}, {one.size:,} models, {ABOUT[Step(one.step)].title}: {one.failed.splitlines()[0]}"
        for one in failed
    ]
    return "## Failed\n\nA step whose check failed has no figure.\n\n" + "\n".join(lines)


def _machine(entries: Entries, tools: Sequence[Tool], machine: Machine) -> str:
    dates = sorted({one.date for one in entries.values()})
    lines = [
        f"- {machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB of memory",
        f"- {machine.system}, Python {machine.python}",
    ]
    for tool in tools:
        versions = {tuple(one.versions) for one in entries.values() if one.tool == tool.name}
        shown = " or ".join(", ".join(version.replace("==", " ") for version in each) for each in sorted(versions))
        lines.append(f"- {tool.title}: {shown or _UNMEASURED}")
    if dates:
        lines.append(f"- measured {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else ""))
    return "## Machine and versions\n\n" + "\n".join(lines)


def _commands(tools: Sequence[Tool]) -> str:
    rows = []
    for step in Step:
        commands = [tool.commands.get(step) for tool in tools]
        rows.append([ABOUT[step].title, *(f"`{' '.join(one)}`" if one else _NONE for one in commands)])
    head = ["step", *(tool.title for tool in tools)]
    return f"## Commands\n\n{_table(head, rows, left=len(head))}\n\n{_COMMANDS_NOTE}"


_INTRODUCTION = f"""
<!-- Made by bench/run.py; change that. -->

# Benchmarks

What Anabranch costs by itself, beside SQLMesh and dbt on the same project, the same engine and the same machine. The
project is generated: {generate.LAYERS} layers of FULL models, about three upstreams each, over a seed of
{generate.SEED_ROWS:,} rows, so that next to nothing of the time is the engine's, and nearly all the tool's own.

`make bench` measures everything again; `make bench ARGS="--sizes 100 --tools anabranch"` takes a minute.
"""

_COMMANDS_NOTE = """
SQLMesh's plan of a change compares, and with `--auto-apply` applies; where nothing changed there is nothing to apply. Its
default environment holds only what changed, hence `--include-unmodified`, once: an environment that is complete stays so.
dbt has no plan (`ls` names what changed, without running it), no environment that follows prod (`clone` makes a copy of
views), no promote (it builds again in prod; done between the steps, not measured) and no undo. Each of dbt's targets has
a parse cache of its own, warm before the step, for dbt discards the cache when the target changes.
"""

_METHOD = """
## Method

- Every step is a fresh process in the project's folder, in the order of the tables, on the state that the step before
  left. Byte code is compiled before. Telemetry is off; all else is each tool's default: DuckDB's settings too, the same
  version of it for all. SQLMesh runs one task at a time on DuckDB; so does dbt here, for which two cost no less time and
  more CPU. SQLMesh keeps its state in the same DuckDB file, and parses with sqlglot in pure Python: it doesn't start with
  the compiled one.
- **CPU seconds** are the figure to compare: user and system time of all processes that a command started, from the kernel,
  including those that it left to others (a process whose time got lost fails the step). Wall time depends on what else the
  machine does.
- **Peak MB** is the larger of the largest process's peak (from the kernel, exact) and the largest sum over all processes
  alive together, by proportional set size, in which a page that forked processes share counts once (sampled each 50 ms,
  while there is more than one process). Neither overstates. The plain sum of resident sizes would.
- A step that costs less than 15 CPU s runs as often as `--repeat` says, each time on a copy of the same folder: median
  times, largest memory. A dearer one runs once.
- **After each step the warehouse is read**: every model, by its name in prod and in the environment, must hold the rows
  that plain DuckDB makes of the same SQL, with the edit where it was made and without it where not; a plan must leave the
  warehouse as it was; the number of tables built must be what the tool promises. A figure whose check fails is not shown.
- Raw figures, each run, with all versions: `.bench/results.json`. Logs of each command: `.bench/logs/`.
"""
