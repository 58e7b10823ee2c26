"""anabranch plan"""

from __future__ import annotations

import click

from anabranch.cli import plans
from anabranch.cli.context import (
    emit,
    environment_argument,
    json_option,
    merged_option,
    require_whole,
    selecting,
    workspace,
)
from anabranch.domain.selection import Selection


@click.command("plan", epilog="Example: anabranch plan --explain")
@environment_argument()
@selecting
@merged_option
@click.option("--explain", is_flag=True, help="Say what changed in each definition.")
@click.option("--all", "everything", is_flag=True, help="Show every asset, however many.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    env: str | None,
    *,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    merged: bool,
    explain: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Show what apply would do to ENV, and why. Nothing is changed.

    ENV is an environment or a git branch; by default the branch that is checked out.
    """
    selection = Selection(select, exclude)
    require_whole(selection, merged=merged)
    with workspace(context) as w:
        plan = w.priced(w.plan_apply(w.resolve(env), merged=merged, explain=explain, selection=selection))
    if as_json:
        emit(plans.as_dict(plan))
        return
    for line in plans.lines(plan, explain=explain, everything=everything):
        click.echo(line)
    if not plan.is_empty:
        said = f"{f' {env}' if env else ''}{' --merged' if merged else ''}{f' {selection}' if selection else ''}"
        click.echo(f"next: anabranch apply{said}")
