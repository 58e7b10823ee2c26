"""Leads one tool through the steps on one project: prepares, measures, checks."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import generate
import measure
from checks import CheckError, Reference, Snapshot, holds, snapshot
from generate import Edit, Project
from measure import MeasureError, Measurement
from steps import ABOUT, Step
from tools import Command, Tool, environment

#: A step that costs more CPU seconds than this is measured once: the noise is small beside it.
REPEAT_BELOW_S = 15.0
#: What a plan's JSON may list of what would be done.
_PLANNED = ("steps", "builds", "points", "decisions", "changes")


@dataclass(frozen=True, slots=True)
class Figure:
    """What came of one step: its runs, or why there is no figure."""

    step: Step
    runs: tuple[Measurement, ...] = ()
    #: How many tables it built, where that can be told.
    built: int | None = None
    failed: str = ""


@dataclass(slots=True)
class Session:
    """One tool, one project, one folder."""

    tool: Tool
    project: Project
    reference: Reference
    folder: Path
    logs: Path
    repeat: int = 1
    timeout: float = 3600.0
    tell: Callable[[str], None] = print
    _environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self._environment = environment(self.tool.programs, self.folder.parent / "home")

    @property
    def database(self) -> Path:
        return self.folder / generate.DATABASE

    def play(self, steps: list[Step]) -> Iterator[Figure]:
        """Go through the steps on a fresh project; stop where a step that later ones stand on has failed."""
        shutil.rmtree(self.folder, ignore_errors=True)
        generate.write(self.project, self.tool.flavour, self.folder)
        try:
            self._run(self.tool.commands[Step.HELP], self.logs / "warm-up.log")
        except MeasureError as error:
            unusable = Figure(Step.HELP, failed=str(error))
            self.tell(f"  {_summary(unusable)}")
            yield unusable
            return
        for step in steps:
            figure = self._step(step)
            if figure is None:
                self.tell(f"  {step.value:14} –")
                continue
            self.tell(f"  {step.value:14} {_summary(figure)}")
            yield figure
            if figure.failed and ABOUT[step].changes:
                return

    def _step(self, step: Step) -> Figure | None:
        about = ABOUT[step]
        try:
            self._prepare(step, about.restore, about.edit)
        except (MeasureError, CheckError) as error:
            return Figure(step, failed=f"before the step: {error}")
        command = self.tool.commands.get(step)
        if command is None:
            return None
        is_new = about.changes or step is Step.LOAD_COLD
        spare = self._spare() if self.repeat > 1 and is_new else None  # a copy's files would be read again
        runs: list[Measurement] = []
        built: int | None = None
        try:
            while not runs or (len(runs) < self.repeat and runs[0].cpu_s < REPEAT_BELOW_S):
                if runs and spare:
                    self._rewind(spare)
                before = snapshot(self.database)
                log = self.logs / f"{step.value}.log"
                measured = self._run(command, log)
                built = self._check(step, before, log)
                runs.append(measured)
        except (MeasureError, CheckError) as error:
            return Figure(step, failed=str(error))
        finally:
            if spare:
                shutil.rmtree(spare)
        return Figure(step, tuple(runs), built)

    def _prepare(self, step: Step, restore: Edit | None, edit: Edit | None) -> None:
        if restore:
            generate.restore(self.project, self.tool.flavour, self.folder, restore)
        for number, command in enumerate(self.tool.before.get(step, ())):
            self._run(command, self.logs / f"{step.value}.before{number}.log")
        if edit:
            generate.apply_edit(self.project, self.tool.flavour, self.folder, edit)
        if step is Step.LOAD_COLD:
            for pattern in self.tool.caches:
                found = list(self.folder.glob(pattern))
                if not found:
                    raise CheckError(f"no {pattern} to delete: a load without a cache can't be told from another")
                for path in found:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _run(self, command: Command, log: Path) -> Measurement:
        return measure.run(self.tool.resolve(command), self.folder, log, self._environment, self.timeout)

    def _spare(self) -> Path:
        """A copy of the folder, from which a step can start again."""
        spare = self.folder.with_name(self.folder.name + "-spare")
        shutil.rmtree(spare, ignore_errors=True)
        shutil.copytree(self.folder, spare, symlinks=True)
        return spare

    def _rewind(self, spare: Path) -> None:
        shutil.rmtree(self.folder)
        shutil.copytree(spare, self.folder, symlinks=True)

    # --- checks ------------------------------------------------------------------------------------------------------

    def _check(self, step: Step, before: Snapshot, log: Path) -> int | None:
        """Raise unless the step made what it promises; return how many tables it built, where that can be told."""
        after = snapshot(self.database)
        self._check_output(step, log)
        if not ABOUT[step].changes:
            if after.logical() != before.logical():
                raise CheckError("the warehouse changed, though nothing was to be applied")
            return None
        self._check_content(step)
        built = self._built(step, before, after)
        promised = self.tool.builds.get(step)
        if promised is not None and built != promised:
            raise CheckError(f"{built} tables were built, {promised} were promised")
        return built

    def _check_output(self, step: Step, log: Path) -> None:
        text = log.read_text(encoding="utf-8", errors="replace")
        if not text.strip():
            raise CheckError("it printed nothing")
        wanted = self.tool.says.get(step)
        if wanted and not re.search(wanted, text):
            raise CheckError(f"its output does not say {wanted!r}:\n{measure.tail(log)}")
        if step is Step.NOOP_PLAN and "--json" in self.tool.commands[step]:
            _check_empty_plan(text)

    def _check_content(self, step: Step) -> None:
        """The data that prod and the environment must hold after a step."""
        plain, leaf = self.reference.models, self.reference.with_leaf()
        prod, environment = {
            Step.FIRST_APPLY: (plain, None),
            Step.ENV_NEW: (plain, plain),
            Step.LEAF_APPLY: (plain, leaf),
            Step.PROMOTE: (leaf, leaf),
            Step.ROOT_APPLY: (leaf, self.reference.with_both()),
            Step.COMMENT_APPLY: (leaf, leaf),
            Step.REFACTOR_APPLY: (leaf, leaf),
            Step.UNDO: (plain, leaf),
        }[step]
        holds(self.database, prod, environment=False)
        if environment:
            holds(self.database, environment, environment=True)

    def _built(self, step: Step, before: Snapshot, after: Snapshot) -> int | None:
        if self.tool.physical:
            return len(after.tables(self.tool.physical) - before.tables(self.tool.physical))
        if results := self.tool.run_results.get(step):
            entries = json.loads((self.folder / results).read_text(encoding="utf-8"))["results"]
            return len([entry for entry in entries if entry["status"] == "success"])
        return None


def _check_empty_plan(text: str) -> None:
    """The plan's JSON names nothing that would be built, pointed or otherwise done."""
    try:
        plan = json.loads(text)
    except ValueError as error:
        raise CheckError(f"its plan is not JSON: {error}") from error
    found = [key for key in _PLANNED if isinstance(plan, dict) and key in plan]
    if not found:
        raise CheckError(f"its plan has none of {', '.join(_PLANNED)}")
    if full := [key for key in found if plan[key]]:
        raise CheckError(f"its plan has {', '.join(full)}, though nothing changed")


def _summary(figure: Figure) -> str:
    if figure.failed:
        return f"FAILED  {figure.failed}"
    middle = sorted(figure.runs, key=lambda run: run.cpu_s)[len(figure.runs) // 2]
    built = "" if figure.built is None else f", {figure.built} built"
    times = f" (middle of {len(figure.runs)})" if len(figure.runs) > 1 else ""
    return f"{middle.cpu_s:8.2f} CPU s {middle.wall_s:8.2f} s {middle.memory_mb:6.0f} MB{built}{times}"
