"""anabranch apply"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli import plans
from anabranch.cli.context import (
    environment_argument,
    json_option,
    merged_option,
    require_whole,
    selecting,
    span_of,
    yes_option,
)
from anabranch.cli.running import run_plan
from anabranch.domain.selection import Selection


@click.command("apply", epilog="Example: git switch -c feature/new-price && anabranch apply")
@environment_argument()
@selecting
@yes_option
@merged_option
@click.option("--start", metavar="DATE", help="A preview: build models with intervals from this day on.")
@click.option("--end", metavar="DATE", help="A preview: build models with intervals up to this day.")
@click.option("--all", "everything", is_flag=True, help="Show every asset, however many.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    env: str | None,
    *,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    yes: bool,
    merged: bool,
    start: str | None,
    end: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Make ENV what the project's files say: build what isn't built yet, then point at it, at once.

    ENV is an environment or a git branch; by default the branch that is checked out. A new environment begins as a
    complete copy of the trunk that costs nothing.

    With --select, only the selected assets change, and all others stay as they are in ENV.

    After a conflict: git merge main, resolve, then apply --merged.

    With --start and --end, what must be built is built for that time only, as a preview; promote completes it.
    """
    window = span_of(start, end)
    selection = Selection(select, exclude)
    require_whole(selection, merged=merged)

    def tell(applied: Applied) -> list[str]:
        if applied.plan.settings and applied.plan.settings.protected:
            return plans.done(applied)
        named = f" {env}" if env else ""
        return [*plans.done(applied), f"next: anabranch diff{named} · anabranch promote{named}"]

    run_plan(
        context,
        lambda w: w.plan_apply(w.resolve(env), merged=merged, window=window, selection=selection),
        as_json=as_json,
        yes=yes,
        everything=everything,
        tell=tell,
    )
