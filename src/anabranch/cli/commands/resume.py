"""anabranch resume"""

from __future__ import annotations

import click

from anabranch.cli import plans
from anabranch.cli.context import emit, json_option, workspace
from anabranch.cli.progress import Reporter


@click.command("resume", epilog="Example: anabranch resume")
@click.argument("plan", required=False)
@json_option
@click.pass_context
def command(context: click.Context, plan: str | None, *, as_json: bool) -> None:
    """Go on with what was interrupted. PLAN (its first digits) is needed only where there are several."""
    reporter = Reporter(quiet=as_json)
    with workspace(context, reporter) as w:
        found = w.find_open(plan)
        reporter.begin(len(found.plan.builds))
        try:
            applied = w.resume(found)
        finally:
            reporter.end()
    if as_json:
        emit(plans.applied_as_dict(applied) if applied else {"environment": found.plan.environment, "forward": True})
    elif applied is None:
        click.echo(f"{found.plan.environment} shows what was published: done")
    else:
        for line in plans.done(applied):
            click.echo(line)
