"""anabranch undo"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli.context import environment_argument, json_option, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.ids import short
from anabranch.domain.plan import Verb


@click.command("undo", epilog="Example: anabranch undo prod --yes")
@environment_argument()
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@yes_option
@json_option
@click.pass_context
def command(context: click.Context, env: str | None, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Take the last change of ENV back. Again takes the one before it back.

    Without ENV: of the trunk and the current branch's environment, the one that changed last. History is kept: an undo
    is a change like any other, and `restore` brings back any state, also the undone one.
    """
    run_plan(
        context,
        lambda w: w.plan_undo(w.resolve(env) if env else w.latest()),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        tell=tell,
    )


def tell(applied: Applied) -> list[str]:
    """What was brought back, and how to go forth again."""
    plan = applied.plan
    head = f"{at(plan.environment, plan.requires.head)} → {short(applied.commit or '')}"
    what = f"{count(len(plan.decisions), 'asset')} as before, {len(applied.report.built)} rebuilt"
    released = [d.asset for d in plan.decisions if d.verb is Verb.RELEASE]
    again = (
        f"adopt {' '.join(released)}" if released else f"restore {plan.environment} {short(plan.requires.head or '')}"
    )
    return [
        f"{click.style(head, bold=True)}   {what}, {seconds(applied.seconds)}",
        f"and back: anabranch {again}",
    ]
