"""`make bench`: measures Anabranch beside its peers and writes docs/benchmarks.md.

    bench/run.py [--sizes 100,500] [--tools anabranch,sqlmesh] [--steps noop-plan,promote] [--repeat 3]
                 [--no-peers] [--report-only] [--out FILE]

Figures are kept in .bench/results.json; what is measured again replaces what was, the rest stays in the report. It ends
with 1 if any step failed, and with 2 on a wrong option.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
from pathlib import Path

import generate
import machine
import page
import peers
import report
import tools
from checks import reference
from results import Results, entry
from session import Session
from steps import LARGE_STEPS, LARGEST_FOR_ALL, Step, needed
from tools import Tool

ROOT = Path(__file__).resolve().parent.parent
SIZES = (100, 500, 1_000, 5_000)
_VENVS = "venvs"
TOOLS = ("anabranch", "sqlmesh", "dbt")


def main(arguments: list[str] | None = None) -> int:
    """Measure what the options ask for and write the report."""
    chosen = _options().parse_args(arguments)
    home: Path = chosen.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitignore").write_text("*\n")
    here = machine.describe()
    results = Results(home / "results.json")
    known = {tool.name: tool for tool in _known(home, chosen.no_peers)}
    failures = 0
    if not chosen.report_only:
        measured = [known[name] for name in chosen.tools if name in known]
        try:
            for peer in (peers.PEERS[tool.name] for tool in measured if tool.name in peers.PEERS):
                peers.install(peer, home / _VENVS)
        except peers.PeerError as error:
            print(f"A peer can't be installed; --no-peers goes without.\n{error}", file=sys.stderr)
            return 1
        for size in chosen.sizes:
            for tool in measured:
                if size <= LARGEST_FOR_ALL or tool.name not in peers.PEERS:
                    failures += _measure(tool, size, chosen, home, results)
    entries = {key: one for key, one in results.comparable(here.key).items() if key[0] in known}
    out: Path = chosen.out
    out.parent.mkdir(parents=True, exist_ok=True)
    old = out.read_text(encoding="utf-8") if out.exists() else ""
    out.write_text(page.kept(old, report.render(entries, list(known.values()), here)), encoding="utf-8")
    print(f"written: {out}" + (f"; {failures} steps failed" if failures else ""))
    return 1 if failures else 0


def _measure(tool: Tool, size: int, chosen: argparse.Namespace, home: Path, results: Results) -> int:
    """Lead one tool through one size; return how many steps failed."""
    steps: frozenset[Step] = chosen.steps
    if size > LARGEST_FOR_ALL:
        steps &= LARGE_STEPS
    if not steps:
        return 0
    print(f"{tool.title}, {size:,} models", flush=True)
    project = generate.generate(size)
    name = f"{tool.name}-{size}"
    folder, logs = home / "work" / name, home / "logs" / name
    session = Session(tool, project, reference(project), folder, logs, chosen.repeat, tell=_tell)
    failures = 0
    for figure in session.play(needed(steps)):
        failures += bool(figure.failed)
        if figure.step in steps or figure.failed:
            date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            results.put(entry(tool, size, figure, machine.describe().key, date))
    if not failures:
        shutil.rmtree(folder)
    return failures


def _tell(line: str) -> None:
    print(line, flush=True)


def _known(home: Path, no_peers: bool) -> list[Tool]:
    """The tools in the order of the report."""
    ours = tools.anabranch()
    return [ours] if no_peers else [ours, tools.sqlmesh(home / _VENVS), tools.dbt(home / _VENVS)]


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench/run.py", description="Measure Anabranch beside its peers and write docs/benchmarks.md."
    )
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="numbers of models, by commas")
    parser.add_argument("--tools", type=_tools, default=TOOLS, help=f"of {','.join(TOOLS)}")
    parser.add_argument(
        "--steps", type=_steps, default=frozenset(Step), help=f"of {','.join(step.value for step in Step)}"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each cheap step (3)")
    parser.add_argument("--no-peers", action="store_true", help="neither install, measure nor show the peers")
    parser.add_argument("--report-only", action="store_true", help="write the report of what was measured before")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks.md", help="the report")
    parser.add_argument("--home", type=Path, default=ROOT / ".bench", help=argparse.SUPPRESS)
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(size) for size in text.split(",")))


def _tools(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(TOOLS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return names


def _steps(text: str) -> frozenset[Step]:
    try:
        return frozenset(Step(name) for name in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
