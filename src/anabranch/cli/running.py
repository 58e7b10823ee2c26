"""What every command that applies a plan does: heal, plan, show, ask, apply, tell."""

from __future__ import annotations

from collections.abc import Callable

import click

from anabranch.app.apply import Applied
from anabranch.app.state import OpenPlan
from anabranch.app.workspace import Workspace
from anabranch.cli import plans
from anabranch.cli.context import confirm, emit, heal, workspace
from anabranch.cli.progress import Reporter
from anabranch.domain.plan import Plan

MakePlan = Callable[[Workspace], Plan]


def run_plan(
    context: click.Context,
    make: MakePlan,
    *,
    as_json: bool,
    yes: bool,
    dry_run: bool = False,
    everything: bool = False,
    tell: Callable[[Applied], list[str]] = plans.done,
    show: bool = True,
    ended: Callable[[Workspace, list[OpenPlan]], None] = lambda w, plans: None,
) -> None:
    """``tell`` says what was done, and what to type next; ``ended`` hears of interrupted plans that it ended first."""
    reporter = Reporter(quiet=as_json)
    with workspace(context, reporter) as w:
        if not dry_run:
            ended(w, heal(w))
        plan = make(w)
        if dry_run or plan.is_empty:
            _show(w.priced(plan) if dry_run else plan, as_json=as_json, everything=everything)
            context.exit(1 if plan.failures else 0)
        if show and not as_json:
            for line in plans.lines(plan, everything=everything):
                click.echo(line, err=True)
        confirm(w, plan.environment, "Go on?", yes=yes)
        reporter.begin(len(plan.builds) + len(plan.refreshes))
        try:
            applied = w.apply(plan)
        finally:
            reporter.end()
    if as_json:
        emit(plans.applied_as_dict(applied))
    else:
        for line in tell(applied):
            click.echo(line)
    if plan.failures:
        context.exit(1)


def _show(plan: Plan, *, as_json: bool, everything: bool) -> None:
    if as_json:
        emit({"applied": False, **plans.as_dict(plan)})
        return
    for line in plans.lines(plan, everything=everything):
        click.echo(line)
