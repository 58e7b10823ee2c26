"""What Anabranch has set itself. The figures are CPU seconds, all processes, unless said otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from results import Entry
from steps import Step

Key = tuple[str, int, str]
Entries = Mapping[Key, Entry]

SIZE = 1_000
LARGE = 5_000
_OURS = "anabranch"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One target beside what was measured; ``met`` is None while something it needs is not measured."""

    title: str
    target: str
    measured: str
    met: bool | None


def outcomes(entries: Entries) -> list[Outcome]:
    """Every target."""
    return [
        *(_seconds(entries, step, limit) for step, limit in _LIMITS.items()),
        _first_apply(entries),
        _memory(entries),
        _growth(entries),
    ]


_LIMITS = {
    Step.HELP: 0.2,
    Step.LOAD_WARM: 0.4,
    Step.NOOP_PLAN: 0.6,
    Step.ENV_NEW: 1.1,
    Step.LEAF_APPLY: 1.0,
    Step.PROMOTE: 0.7,
}
_TITLES = {
    Step.HELP: "`anabranch --help`",
    Step.LOAD_WARM: "`anabranch status`, warm",
    Step.NOOP_PLAN: "plan, nothing changed",
    Step.ENV_NEW: "new complete environment",
    Step.LEAF_APPLY: "edit of one leaf, applied",
    Step.PROMOTE: "promote",
}


def _get(entries: Entries, tool: str, size: int, step: Step) -> Entry | None:
    found = entries.get((tool, size, step.value))
    return found if found and not found.failed else None


def _seconds(entries: Entries, step: Step, limit: float) -> Outcome:
    found = _get(entries, _OURS, SIZE, step)
    title = f"{_TITLES[step]}, CPU s"
    if not found:
        return Outcome(title, f"≤ {limit}", "–", None)
    return Outcome(title, f"≤ {limit}", f"{found.cpu_s:.2f}", found.cpu_s <= limit)


def _ratio(title: str, target: str, above: Entry | None, below: Entry | None, met: Callable[[float], bool]) -> Outcome:
    if not above or not below:
        return Outcome(title, target, "–", None)
    ratio = above.cpu_s / below.cpu_s
    return Outcome(title, target, f"{ratio:.1f} ({above.cpu_s:.2f} / {below.cpu_s:.2f})", met(ratio))


def _first_apply(entries: Entries) -> Outcome:
    peer = _get(entries, "sqlmesh", SIZE, Step.FIRST_APPLY)
    ours = _get(entries, _OURS, SIZE, Step.FIRST_APPLY)
    return _ratio("first apply: SQLMesh's CPU s / ours", "≥ 10", peer, ours, lambda ratio: ratio >= 10)


def _memory(entries: Entries) -> Outcome:
    figures = [found.memory_mb for step in Step if (found := _get(entries, _OURS, SIZE, step))]
    if not figures:
        return Outcome("peak memory of any step, MB", "≤ 200", "–", None)
    return Outcome("peak memory of any step, MB", "≤ 200", f"{max(figures):.0f}", max(figures) <= 200)


def _growth(entries: Entries) -> Outcome:
    large, normal = (_get(entries, _OURS, size, Step.NOOP_PLAN) for size in (LARGE, SIZE))
    title = f"plan, nothing changed: {LARGE:,} models / {SIZE:,} models"
    return _ratio(title, "≤ 3", large, normal, lambda ratio: ratio <= 3)
