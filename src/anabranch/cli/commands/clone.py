"""anabranch clone"""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli.context import (
    complete_sources,
    environment_option,
    json_option,
    moment_of,
    yes_option,
)
from anabranch.cli.running import run_plan
from anabranch.cli.text import at, count, seconds
from anabranch.domain.plan import Verb


@click.command("clone", epilog="Example: anabranch clone raw.flights -e feature_new_price")
@click.argument("tables", nargs=-1, required=True, metavar="SCHEMA.TABLE...", shell_complete=complete_sources)
@environment_option
@click.option("--at", "past", metavar="TIME", callback=moment_of, help="The source as it was then, in UTC: 2026-03-01.")
@click.option("--reset", is_flag=True, help="Give the clones up: the environment reads the sources again.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and what it costs; change nothing.")
@yes_option
@json_option
@click.pass_context
def command(
    context: click.Context,
    tables: tuple[str, ...],
    env: str | None,
    *,
    past: object,
    reset: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Give an environment clones of sources, to write to: what is written there reaches nobody else.

    A clone costs nothing until it is written to, where the engine has clones; elsewhere the rows are copied, and the
    plan says how many. The next apply builds in this environment what reads a clone that was written to. A clone that
    was made before is replaced by a new one; undo brings it back.
    """
    from datetime import datetime

    if past is not None and reset:
        raise click.UsageError("--at is for new clones, --reset gives them up")
    moment = past if isinstance(past, datetime) else None
    run_plan(
        context,
        lambda w: w.plan_clone(w.resolve(env), tables, past=moment, reset=reset),
        as_json=as_json,
        yes=yes,
        dry_run=dry_run,
        everything=True,
        tell=tell,
    )


def tell(applied: Applied) -> list[str]:
    """What the environment has now, and what to do next."""
    plan = applied.plan
    head = click.style(at(plan.environment, applied.commit), bold=True)
    return [
        f"{head}   {summary(applied)}, {seconds(applied.seconds)}",
        f"undo: anabranch undo {plan.environment}",
    ]


def summary(applied: Applied) -> str:
    """``1 table cloned, nothing copied``."""
    tally = applied.plan.tally()
    told = []
    if tally[Verb.CLONE]:
        told.append(f"{count(tally[Verb.CLONE], 'table')} cloned, nothing copied")
    if tally[Verb.COPY]:
        told.append(f"{count(tally[Verb.COPY], 'table')} copied")
    built = len(applied.report.built) - tally[Verb.CLONE] - tally[Verb.COPY]
    if built > 0:
        told.append(f"{built:,} built")
    if not tally[Verb.CLONE] and not tally[Verb.COPY]:
        told.insert(0, f"{count(tally[Verb.DEFINE], 'source')} read again")
    return ", ".join(told)
