"""anabranch adopt"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli.context import json_option, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.plan import Verb


@click.command("adopt", epilog="Example: anabranch adopt marts.league 'staging.*' --dry-run")
@click.argument("names", nargs=-1, metavar="[SCHEMA.TABLE]...")
@click.option(
    "--all", "everything", is_flag=True, help="Every table that a model describes and that nobody manages yet."
)
@click.option("--no-check", is_flag=True, help="Don't look whether declared keys are unique.")
@click.option("--dry-run", is_flag=True, help="Show what would be adopted; change nothing.")
@yes_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    *,
    everything: bool,
    no_check: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Take tables over that another tool made, as they stand: nothing is copied, nothing computed.

    Each gets a physical name, and a view its old one, in one transaction: readers see the same rows throughout. The
    columns must be those of the model. Names may be patterns: 'marts.*'. Undo gives the tables back.
    """
    if everything == bool(names):
        raise click.UsageError("name what to adopt, or say --all")
    run_plan(
        context,
        lambda w: w.plan_adopt(names or ("*",), check=not no_check),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        everything=True,
        tell=tell,
    )


def tell(applied: Applied) -> list[str]:
    """What was adopted, and what to do next."""
    plan = applied.plan
    head = click.style(at(plan.environment, applied.commit), bold=True)
    number = plan.tally()[Verb.ADOPT]
    return [
        f"{head}   {count(number, 'table')} adopted, nothing copied, {seconds(applied.seconds)}",
        f"next: anabranch apply {plan.environment} · back: anabranch undo {plan.environment}",
    ]
