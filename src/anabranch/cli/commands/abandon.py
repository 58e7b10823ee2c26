"""anabranch abandon"""

from __future__ import annotations

import click

from anabranch.cli.context import emit, json_option, workspace


@click.command("abandon", epilog="Example: anabranch abandon")
@click.argument("plan", required=False)
@json_option
@click.pass_context
def command(context: click.Context, plan: str | None, *, as_json: bool) -> None:
    """End what was interrupted without going on. What was built stays until the next gc.

    What had been published already can't be abandoned: it is carried forward, and `anabranch undo` takes it back.
    """
    with workspace(context) as w:
        found = w.find_open(plan)
        forward = w.abandon(found)
    name = found.plan.environment
    if as_json:
        emit({"environment": name, "plan": found.plan.id, "forward": forward})
    elif forward:
        click.echo(f"{name} had been published and was carried forward\nundo: anabranch undo {name}")
    else:
        click.echo(f"{name} is as it was before")
