"""Checks of the set-up: each says what is, and what to do where it isn't right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from anabranch.app.workspace import Workspace
from anabranch.errors import AnabranchError


@dataclass(frozen=True, slots=True)
class Check:
    """``ok`` is None where it is worth knowing but neither right nor wrong."""

    name: str
    ok: bool | None
    detail: str
    hint: str | None = None


def examine(w: Workspace) -> list[Check]:
    """All checks; none changes anything, and none stops the others."""
    return [
        _guarded("state", lambda: _state(w)),
        _guarded("project", lambda: _project(w)),
        _guarded("warehouse", lambda: _warehouse(w)),
        _guarded("git", lambda: _git(w)),
        _guarded("interrupted", lambda: _interrupted(w)),
        *_drift(w),
    ]


def _guarded(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except AnabranchError as error:
        where = f"{error.where}: " if error.where else ""
        return Check(name, False, where + error.message, error.hint)


def _state(w: Workspace) -> Check:
    number = len(w.state.environments())
    return Check("state", True, f"{w.state.store.place}: {number} environment{'' if number == 1 else 's'}")


def _project(w: Workspace) -> Check:
    project = w.project(w.rules.trunk)
    notes = f"; {project.notes[0]}" if project.notes else ""
    return Check("project", True, f"{len(project.assets)} assets{notes}")


def _warehouse(w: Workspace) -> Check:
    try:
        w.tables.locations()
    finally:
        w.release()
    size = w.tables.size()
    return Check("warehouse", True, f"{w.tables.place}" + (f", {size:,} bytes" if size else ", not made yet"))


def _git(w: Workspace) -> Check:
    if not w.here.in_git:
        return Check("git", None, "not a git checkout: name environments yourself")
    if w.here.branch is None:
        return Check("git", None, "no branch is checked out (detached HEAD): name environments yourself")
    return Check("git", True, f"branch {w.here.branch} is environment {w.resolve(None)}")


def _interrupted(w: Workspace) -> Check:
    found = w.interrupted()
    if not found:
        return Check("interrupted", True, "nothing")
    plan = found[0].plan
    return Check(
        "interrupted",
        False,
        f"{len(found)}: {plan.action.value} of {plan.environment}",
        "anabranch resume, or anabranch abandon; any changing command ends it too",
    )


def _drift(w: Workspace) -> list[Check]:
    found = []
    for name, environment in sorted(w.state.environments().items()):
        try:
            inspection = w.inspect(environment)
        except AnabranchError as error:
            found.append(Check(f"drift in {name}", False, error.message, error.hint))
            continue
        if inspection.unknown:
            found.append(Check(f"drift in {name}", None, inspection.unknown))
        elif inspection.drifts:
            detail = f"{len(inspection.drifts)}: {inspection.drifts[0].detail}"
            found.append(Check(f"drift in {name}", False, detail, f"anabranch apply {name}"))
        else:
            found.append(Check(f"drift in {name}", True, "none"))
    return found
