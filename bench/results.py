"""Keeps the raw figures in one file, so that tools and sizes can be measured at different times."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from generate import SCHEME
from session import Figure
from tools import Tool


@dataclass(frozen=True, slots=True)
class Entry:
    """One step of one tool at one size: the middle of its runs, or why there is no figure."""

    tool: str
    size: int
    step: str
    cpu_s: float
    wall_s: float
    memory_mb: float
    built: int | None
    failed: str
    runs: list[dict[str, Any]]
    versions: list[str]
    machine: str
    date: str
    scheme: int = SCHEME

    @property
    def key(self) -> tuple[str, int, str]:
        return self.tool, self.size, self.step


def entry(tool: Tool, size: int, figure: Figure, machine: str, date: str) -> Entry:
    """Reduce a figure's runs: the median of times, the largest memory."""
    runs = figure.runs
    return Entry(
        tool=tool.name,
        size=size,
        step=figure.step.value,
        cpu_s=statistics.median(run.cpu_s for run in runs) if runs else 0.0,
        wall_s=statistics.median(run.wall_s for run in runs) if runs else 0.0,
        memory_mb=max((run.memory_mb for run in runs), default=0.0),
        built=figure.built,
        failed=figure.failed,
        runs=[run._asdict() for run in runs],
        versions=list(tool.versions()),
        machine=machine,
        date=date,
    )


class Results:
    """The file of entries. A new one replaces the one of the same tool, size and step."""

    def __init__(self, path: Path) -> None:
        self._path = path
        stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        self._entries = {one.key: one for one in (Entry(**fields) for fields in stored)}

    def put(self, one: Entry) -> None:
        """Store an entry and write the file, so that what was measured survives a stop."""
        self._entries[one.key] = one
        text = json.dumps([asdict(each) for each in self._entries.values()], indent=1)
        new = self._path.with_suffix(".new")
        new.write_text(text + "\n", encoding="utf-8")
        new.replace(self._path)

    def comparable(self, machine: str) -> dict[tuple[str, int, str], Entry]:
        """The entries of this machine and of the project as it is generated now."""
        return {key: one for key, one in self._entries.items() if one.machine == machine and one.scheme == SCHEME}
