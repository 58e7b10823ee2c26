"""anabranch undo"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.app.state import OpenPlan
from anabranch.app.workspace import Workspace
from anabranch.cli.context import environment_argument, json_option, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.commit import Action
from anabranch.domain.ids import short
from anabranch.domain.plan import Verb
from anabranch.errors import Refused


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
        ended=lambda w, found: check_ended(w, found, env),
    )


def check_ended(w: Workspace, found: list[OpenPlan], env: str | None) -> None:
    """Raises ``Refused`` where an undo that was interrupted has just been carried forward: who asks for it once more
    means that one, and not the change before it."""
    for plan in [o.plan for o in found if o.plan.action is Action.UNDO]:
        there = w.state.environment(plan.environment)
        moved = there is not None and there.head != plan.requires.head
        if moved and (env is None or w.resolve(env) == plan.environment):
            raise Refused(
                f"the interrupted undo of {plan.environment} is done now; nothing else was undone",
                hint=f"to take back the change before it as well: anabranch undo {plan.environment}",
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
