"""anabranch log"""

from __future__ import annotations

import click

from anabranch.cli.context import emit, environment_argument, json_option, workspace
from anabranch.cli.text import ago, count, table
from anabranch.domain.ids import short


@click.command("log", epilog="Example: anabranch log prod -n 5")
@environment_argument()
@click.option("-n", "limit", type=click.IntRange(min=1), default=20, show_default=True, help="How many commits.")
@json_option
@click.pass_context
def command(context: click.Context, env: str | None, limit: int, *, as_json: bool) -> None:
    """Show ENV's history, newest first. Before its first change it is that of the environment it began from."""
    with workspace(context) as w:
        name = w.resolve(env)
        entries = w.log(name, limit)
        now = w.now()
    if as_json:
        emit(
            [
                {
                    "commit": e.id,
                    "environment": e.commit.environment,
                    "action": e.commit.action.value,
                    "author": e.commit.author,
                    "at": e.commit.at.isoformat(),
                    "message": e.commit.message,
                    "changed": e.changed,
                    "refreshed": len(e.commit.refreshed),
                    "parents": list(e.commit.parents),
                    "restores": e.commit.restores,
                }
                for e in entries
            ]
        )
        return
    rows = []
    for e in entries:
        what = e.commit.message or e.commit.action.value
        where = "" if e.commit.environment == name else f"(in {e.commit.environment})"
        refreshed = len(e.commit.refreshed)
        changed = "" if e.changed is None else count(e.changed, "asset")
        if refreshed:
            changed = f"{changed}, data of {refreshed}" if e.changed else f"data of {refreshed}"
        rows.append(
            (
                click.style(short(e.id), fg="yellow"),
                ago(e.commit.at, now),
                e.commit.author,
                changed,
                f"{what} {where}".strip(),
            )
        )
    for line in table(rows, indent=0):
        click.echo(line)
