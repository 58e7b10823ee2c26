"""anabranch restore"""

from __future__ import annotations

import click

from anabranch.cli.commands.undo import tell
from anabranch.cli.context import environment_argument, json_option, yes_option
from anabranch.cli.running import run_plan


@click.command("restore", epilog="Example: anabranch restore prod 7f3c2a1")
@environment_argument(required=True)
@click.argument("commit")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@yes_option
@json_option
@click.pass_context
def command(context: click.Context, env: str, commit: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Make ENV what it was at COMMIT (the first digits of its id, see `anabranch log`)."""
    run_plan(
        context,
        lambda w: w.plan_restore(w.resolve(env), commit),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        tell=tell,
    )
