"""anabranch promote"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli.context import environment_argument, json_option, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.ids import short


@click.command("promote", epilog="Example: anabranch promote feature_new_price --dry-run")
@environment_argument()
@click.option("--into", default=None, help="The environment that shall have it; by default the trunk (prod).")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@yes_option
@json_option
@click.pass_context
def command(
    context: click.Context, env: str | None, into: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Point another environment at what was built and tested in ENV. Nothing is computed again.

    What both sides changed is a conflict (exit code 3), and nothing moves.
    """

    def tell(applied: Applied) -> list[str]:
        plan = applied.plan
        head = f"{at(plan.environment, plan.requires.head)} → {short(applied.commit or '')}"
        rebuilt = len(applied.report.built)
        what = f"{count(len(plan.decisions), 'asset')} repointed, {rebuilt} rebuilt, {seconds(applied.seconds)}"
        return [
            f"{click.style(head, bold=True)}   {what}",
            f"undo: anabranch undo {plan.environment}",
        ]

    run_plan(
        context,
        lambda w: w.plan_promote(w.resolve(env), w.resolve(into) if into else w.rules.trunk),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        tell=tell,
    )
