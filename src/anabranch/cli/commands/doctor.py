"""anabranch doctor"""

from __future__ import annotations

import platform

import click

from anabranch import __version__
from anabranch.app.doctor import examine
from anabranch.cli.context import emit, json_option, workspace

MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "yellow")}


@click.command("doctor", epilog="Example: anabranch doctor")
@json_option
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> int:
    """Check the project, its state, the warehouse and every environment, and say what to mend. Nothing is changed.

    Exits with 1 where something is wrong.
    """
    with workspace(context) as w:
        checks = examine(w)
    if as_json:
        listed = [{"name": c.name, "ok": c.ok, "detail": c.detail, "hint": c.hint} for c in checks]
        emit({"version": __version__, "python": platform.python_version(), "checks": listed})
    else:
        click.echo(f"  anabranch {__version__}, Python {platform.python_version()}, {platform.system()}")
        for check in checks:
            mark, colour = MARKS[check.ok]
            click.echo(f"{click.style(mark, fg=colour)} {check.name}: {check.detail}")
            if check.hint and check.ok is not True:
                click.echo(f"    {check.hint}")
    return 1 if any(c.ok is False for c in checks) else 0
