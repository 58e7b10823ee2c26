"""What commands share: opening the workspace, asking, ending."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from anabranch.app import events
from anabranch.errors import Refused

if TYPE_CHECKING:
    from anabranch.app.state import OpenPlan
    from anabranch.app.workspace import Workspace
    from anabranch.domain.names import EnvironmentName
    from anabranch.domain.selection import Selection

FAR = 253402300800
"""The end of the year 9999, in seconds since 1970."""
Decorated = TypeVar("Decorated", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for machines.")
yes_option = click.option("-y", "--yes", is_flag=True, help="Don't ask before a protected environment changes.")
merged_option = click.option(
    "--merged",
    is_flag=True,
    help="Say that the trunk's changes are in the files: what both changed stays as it is there.",
)


def require_whole(selection: Selection, *, merged: bool) -> None:
    """Raises ``UsageError`` where a part of the files is to say what the trunk changed."""
    if merged and selection:
        raise click.UsageError("--merged takes the files as a whole: leave --select and --exclude out")


def environment_argument(name: str = "env", *, required: bool = False) -> Callable[[Decorated], Decorated]:
    """An environment's name or a git branch, completed from those that exist."""
    return click.argument(name, required=required, default=None, shell_complete=_complete)


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    try:
        with workspace(context) as w:
            return [n for n in w.state.environments() if n.startswith(incomplete)]
    except Exception:  # noqa: BLE001  # completion must never disturb the shell
        return []


environment_option = click.option(
    "-e", "--env", default=None, shell_complete=_complete, help="The environment; by default the current branch's."
)


def complete_sources(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """The project's sources."""
    from anabranch.domain.snapshot import Kind

    try:
        with workspace(context) as w:
            assets = w.project(w.rules.trunk).assets
            return [a for a, s in assets.items() if s.kind is Kind.EXTERNAL and a.startswith(incomplete)]
    except Exception:  # noqa: BLE001  # completion must never disturb the shell
        return []


def selecting(function: Decorated) -> Decorated:
    """``--select`` and ``--exclude``, which the command gets as ``select`` and ``exclude``."""
    select = click.option(
        "--select", multiple=True, metavar="SELECTOR", shell_complete=_complete_selector,
        help="Only these assets: a name, marts.*, tag:x, kind:view, git:main; +x and x+ take what it reads and what"
        " reads it along. May be given again.",
    )  # fmt: skip
    exclude = click.option(
        "--exclude", multiple=True, metavar="SELECTOR", shell_complete=_complete_selector, help="All but these assets."
    )
    return select(exclude(function))


def _complete_selector(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from anabranch.domain.selection import candidates_of, completions

    try:
        with workspace(context) as w:
            return completions(incomplete, candidates_of(w.project(w.rules.trunk).assets))
    except Exception:  # noqa: BLE001  # completion must never disturb the shell
        return []


@contextmanager
def workspace(context: click.Context, listen: events.Listener = events.silent) -> Iterator[Workspace]:
    """The workspace of the folder that the command is run in."""
    from anabranch import bootstrap

    def waiting(holder: str) -> None:
        click.echo(f"waiting: the warehouse is held by {holder}", err=True)

    opened = bootstrap.open_workspace(Path(context.find_root().obj or ".").resolve(), listen=listen, on_wait=waiting)
    try:
        yield opened
    finally:
        opened.close()


def heal(w: Workspace) -> list[OpenPlan]:
    """Ends what was interrupted, and says what; whoever listens says so."""
    return w.heal()


def confirm(w: Workspace, name: EnvironmentName, question: str, *, yes: bool) -> None:
    """Asks where a protected environment is about to change. Raises ``Refused`` where nobody can be asked."""
    if yes or not w.is_protected(name):
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Refused(f"{name} is protected, and nobody can be asked here", hint="add --yes")
    w.release()  # others may use the warehouse while somebody thinks
    click.confirm(question, abort=True, err=True)


def span_of(start: str | None, end: str | None) -> tuple[int, int] | None:
    """The span between two dates that the user gave, the last day included. Raises ``UsageError``."""
    from anabranch.domain import schedule

    if start is None and end is None:
        return None
    try:
        begin = schedule.day(start) if start else 0
        last = schedule.last_day(end) if end else FAR
    except ValueError as error:
        raise click.UsageError(f"--start and --end take dates such as 2024-01-31: {error}") from error
    if begin >= last:
        raise click.UsageError(f"--end {end} lies before --start {start}")
    return begin, last


def moment_of(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    """A moment that the user gave, in UTC where it doesn't say otherwise."""
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no time: write it as 2026-03-01T08:00", context, parameter) from error
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if found > datetime.now(UTC):
        raise click.BadParameter(f"{value} lies ahead", context, parameter)
    return found


def emit(value: object) -> None:
    """One JSON object on standard output."""
    click.echo(json.dumps(value, default=str, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
