"""Several mistakes, told as one error: who mends one wants to know of the others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from anabranch.errors import ProjectError, Where

SHOWN = 5
"""So many are told; the rest is counted."""


class Problems:
    """Collects mistakes while a project is read."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._found: list[ProjectError] = []

    def add(self, problem: ProjectError) -> None:
        """Keeps it for later."""
        self._found.append(problem)

    def stop(self) -> None:
        """Goes on only where nothing was found.

        Raises:
            ProjectError: the first mistake, whose message lists the others.
        """
        if self._found:
            raise _combined(sorted(self._found, key=_place), self._root)


def _combined(problems: Sequence[ProjectError], root: Path) -> ProjectError:
    """The first of ``problems``, telling of the others."""
    first, *others = problems
    if not others:
        return first
    lines = [first.message, f"and {len(others)} more:" if len(others) > 1 else "and one more:"]
    for other in others[: SHOWN - 1]:
        place = f"{_shown(other.where, root)}  " if other.where else ""
        lines.append(f"  {place}{other.message.splitlines()[0]}")
    if len(others) >= SHOWN:
        lines.append(f"  and {len(others) - SHOWN + 1} more")
    return type(first)("\n".join(lines), asset=first.asset, where=first.where, hint=first.hint)


def _place(problem: ProjectError) -> tuple[str, int, int, str]:
    where = problem.where
    if where is None:
        return ("", 0, 0, problem.message)
    return (str(where.path), where.line or 0, where.column or 0, problem.message)


def _shown(where: Where, root: Path) -> str:
    path = where.path.relative_to(root) if where.path.is_relative_to(root) else where.path
    return str(Where(path, where.line, where.column))
