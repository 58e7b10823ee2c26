"""anabranch gc"""

from __future__ import annotations

import click

from anabranch.cli.context import emit, heal, json_option, workspace
from anabranch.cli.progress import Reporter
from anabranch.cli.text import count, size, table


@click.command("gc", epilog="Example: anabranch gc --dry-run")
@click.option("--dry-run", is_flag=True, help="Show what would go; delete nothing.")
@json_option
@click.pass_context
def command(context: click.Context, *, dry_run: bool, as_json: bool) -> None:
    """Drop expired environments, and delete the data that no environment and no retained history can reach.

    Only what Anabranch made is ever deleted.
    """
    with workspace(context, Reporter(quiet=as_json)) as w:
        if not dry_run:
            heal(w)
        before = w.tables.size()
        garbage, expired = w.garbage() if dry_run else w.collect()
        w.release()
        after = w.tables.size()
    if as_json:
        emit(
            {
                "dry_run": dry_run,
                "environments": [e.name for e in expired],
                "locations": dict(garbage.locations),
                "rows": garbage.rows,
                "objects": garbage.objects,
                "unknown": list(garbage.unknown),
                "bytes_before": before,
                "bytes_after": after,
            }
        )
        return
    for environment in expired:
        click.echo(f"  expired   {environment.name}")
    for line in table([("drop", location, asset or "") for location, asset in garbage.locations.items()]):
        click.echo(line)
    for location in garbage.unknown:
        click.echo(f"  left alone   {location}: not known to be ours")
    verb = "would be dropped" if dry_run else "dropped"
    click.echo(f"{count(len(garbage.locations), 'table')} {verb}, {count(garbage.rows, 'row')}; database {size(after)}")
    if dry_run and (garbage.locations or expired):
        click.echo("next: anabranch gc")
