"""Errors, for people and for machines; the one place that maps them to exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from anabranch.cli import audits
from anabranch.errors import AnabranchError, AuditFailed, BuildFailed, MergeConflict, MovedOn, ProjectError, Where

DONE, FAILED, USAGE, CONFLICT, INTERRUPTED = 0, 1, 2, 3, 130
_POLITE = ("SIGTERM", "SIGHUP")
"""How a supervisor, or a terminal that is closed, asks a process to end."""


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end; handled like Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def heed_signals() -> None:
    """Lets the signals that ask a process to end stop it as Ctrl-C does: by default they kill it on the spot, in the
    midst of what an engine writes. One that is ignored (``nohup``) stays so."""

    def end(number: int, frame: object) -> None:
        raise Terminated(number)

    for name in _POLITE:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end)


def exit_code(error: AnabranchError) -> int:
    """1 failed, 2 usage or project error, 3 conflict or stale plan."""
    if isinstance(error, MovedOn):
        return CONFLICT
    return USAGE if isinstance(error, ProjectError) else FAILED


def run(command: click.Command, arguments: Sequence[str]) -> int:
    """Runs ``command`` and shows what goes wrong; the exit code."""
    as_json = "--json" in arguments
    try:
        answer = command.main(list(arguments), prog_name="anabranch", standalone_mode=False)
        return answer if isinstance(answer, int) else DONE
    except AnabranchError as error:
        show(error, as_json=as_json)
        return exit_code(error)
    except click.ClickException as error:
        if as_json:
            click.echo(
                json.dumps({"error": {"type": "UsageError", "message": error.format_message()}}, ensure_ascii=False)
            )
        else:
            error.show()
        return USAGE
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except (click.Abort, KeyboardInterrupt) as stop:
        click.echo("\nInterrupted. What was built is kept and reused; nothing else was changed.", err=True)
        asked = stop.__cause__ if isinstance(stop, click.Abort) else stop
        return 128 + asked.number if isinstance(asked, Terminated) else INTERRUPTED
    except (BrokenPipeError, SystemExit):  # the latter is how click ends where nobody reads any more
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  # whoever read has gone: be quiet about it
        return DONE


def show(error: AnabranchError, *, as_json: bool = False) -> None:
    """On standard error for people; as one object on standard output for machines."""
    if as_json:
        click.echo(json.dumps({"error": as_dict(error)}, default=str, ensure_ascii=False))
        return
    for line in lines(error):
        click.echo(line, err=True)


def as_dict(error: AnabranchError) -> dict[str, object]:
    """What a machine wants to know."""
    where = error.where
    found: dict[str, object] = {
        "type": type(error).__name__,
        "message": error.message,
        "asset": error.asset,
        "file": str(where.path) if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "hint": error.hint,
        "exit": exit_code(error),
    }
    if isinstance(error, MergeConflict):
        found["conflicts"] = [
            {
                "asset": c.asset,
                "base": c.base,
                "ours": c.ours,
                "theirs": c.theirs,
                "cause": c.cause.value,
                "upstream": c.upstream,
                "rows": list(c.rows),
            }
            for c in error.conflicts
        ]
    if isinstance(error, AuditFailed):
        found["findings"] = [audits.as_dict(f) for f in error.findings]
    if isinstance(error, BuildFailed):
        found["failures"] = [{"asset": asset, **as_dict(failure)} for asset, failure in error.failures]
    return found


def lines(error: AnabranchError) -> list[str]:
    """The error as people read it: what, where, what next."""
    prefix = f"{_shown(error.where)}  " if error.where else ""
    first, *rest = error.message.splitlines() or [""]
    found = [click.style("✗ ", fg="red") + prefix + click.style(first, bold=True), *(f"  {r}" for r in rest)]
    excerpt = _excerpt(error.where, error.hint)
    found += excerpt
    if isinstance(error, MergeConflict):
        for c in error.conflicts:
            found.append(
                click.style(f"  ✗ {c.asset}   {c.cause.value}", fg="red") + (f": {c.upstream}" if c.upstream else "")
            )
            if c.rows:
                found.append(f"      by key: {'; '.join(c.rows)}")
                continue
            base, ours, theirs = (i[:7] if i else "–" for i in (c.base, c.ours, c.theirs))
            found.append(f"      base {base}   yours {theirs}   there {ours}")
    if isinstance(error, AuditFailed):
        shown = [audits.lines(f) for f in error.findings]
        found += shown[0][1:] if len(shown) == 1 else [line for each in shown for line in each]
    if isinstance(error, BuildFailed):
        for _, failure in error.failures:
            found += [f"  {line}" for line in lines(failure)]
    if error.hint and not excerpt:
        found.append(f"  next: {error.hint}")
    if isinstance(error, MovedOn | ProjectError):
        found.append("Nothing was changed.")
    return found


def _shown(where: Where | None) -> str:
    if where is None:
        return ""
    path = where.path
    with contextlib.suppress(ValueError, OSError):
        path = path.resolve().relative_to(Path.cwd())
    return click.style(str(Where(path, where.line, where.column)), fg="cyan")


def _excerpt(where: Where | None, hint: str | None) -> list[str]:
    if where is None or where.line is None:
        return []
    try:
        text = where.path.read_text(encoding="utf-8").splitlines()[where.line - 1]
    except (OSError, UnicodeDecodeError, IndexError):
        return []
    number = f"{where.line:>5}"
    found = [f"{number} │ {text}"]
    if where.column is not None:
        marks = "~" * max(1, min(where.length, len(text) - where.column + 1))
        found.append(
            f"{' ' * len(number)} │ {' ' * (where.column - 1)}{click.style(marks, fg='red')} {hint or ''}".rstrip()
        )
    elif hint:
        found.append(f"{' ' * len(number)} │ {hint}")
    return found
