"""anabranch apply"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli import plans
from anabranch.cli.context import environment_argument, json_option, yes_option
from anabranch.cli.running import run_plan


@click.command("apply", epilog="Example: git switch -c feature/new-price && anabranch apply")
@environment_argument()
@yes_option
@click.option(
    "--merged",
    is_flag=True,
    help="Say that the trunk's changes are in the files: what both changed stays as it is there.",
)
@click.option("--all", "everything", is_flag=True, help="Show every asset, however many.")
@json_option
@click.pass_context
def command(
    context: click.Context, env: str | None, *, yes: bool, merged: bool, everything: bool, as_json: bool
) -> None:
    """Make ENV what the project's files say: build what isn't built yet, then point at it, at once.

    ENV is an environment or a git branch; by default the branch that is checked out. A new environment begins as a
    complete copy of the trunk that costs nothing.

    After a conflict: git merge main, resolve, then apply --merged.
    """

    def tell(applied: Applied) -> list[str]:
        if applied.plan.settings and applied.plan.settings.protected:
            return plans.done(applied)
        named = f" {env}" if env else ""
        return [*plans.done(applied), f"next: anabranch diff{named} · anabranch promote{named}"]

    run_plan(
        context,
        lambda w: w.plan_apply(w.resolve(env), merged=merged),
        as_json=as_json,
        yes=yes,
        everything=everything,
        tell=tell,
    )
