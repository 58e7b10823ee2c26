"""anabranch run"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.app.restating import Restatement
from anabranch.cli import plans
from anabranch.cli.context import environment_argument, json_option, selecting, span_of, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.commit import Action
from anabranch.domain.names import AssetName
from anabranch.domain.plan import Verb
from anabranch.domain.selection import Selection


@click.command("run", epilog="Example: anabranch run prod --yes")
@environment_argument()
@selecting
@click.option("--ignore-cron", is_flag=True, help="Also what isn't due yet.")
@click.option(
    "--restate",
    multiple=True,
    metavar="NAME",
    help="Compute this model again, and all that reads it; may be given again.",
)
@click.option("--start", metavar="DATE", help="With --restate: from this day on.")
@click.option("--end", metavar="DATE", help="With --restate: up to this day.")
@click.option("--dry-run", is_flag=True, help="Show what is due; change nothing.")
@click.option("--all", "everything", is_flag=True, help="Show every asset, however many.")
@yes_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    env: str | None,
    *,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    ignore_cron: bool,
    restate: tuple[str, ...],
    start: str | None,
    end: str | None,
    dry_run: bool,
    everything: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Bring ENV's data up to date: fill what is due by now, and compute again what is computed as a whole.

    Everything is computed beside what readers see, and becomes visible at once. An undo brings the earlier data back.
    Data that ENV shares with the trunk is left to the trunk's own runs.
    """
    if (start or end) and not restate:
        raise click.UsageError("--start and --end belong to --restate; a run fills what is due")
    again = Restatement([AssetName(a) for a in restate], span_of(start, end)) if restate else None
    run_plan(
        context,
        lambda w: w.plan_run(
            w.resolve(env),
            selection=Selection(select, exclude),
            ignore_cron=ignore_cron,
            restate=again,
        ),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        everything=everything,
        tell=tell,
    )


def tell(applied: Applied) -> list[str]:
    """What moved on."""
    plan = applied.plan
    if plan.action is not Action.RUN:  # a restatement of data that others have too
        return plans.done(applied)
    head = click.style(at(plan.environment, applied.commit), bold=True)
    number = plan.tally()[Verb.REFRESH]
    return [
        f"{head}   {count(number, 'model')} refreshed, {seconds(applied.seconds)}",
        f"undo: anabranch undo {plan.environment}",
    ]
