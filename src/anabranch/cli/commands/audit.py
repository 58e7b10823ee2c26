"""anabranch audit"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from anabranch.cli import audits, failures
from anabranch.cli.context import emit, environment_argument, json_option, selecting, workspace
from anabranch.cli.text import count
from anabranch.domain.selection import Selection

if TYPE_CHECKING:
    from anabranch.app.auditing import Outcome


@click.command("audit", epilog="Example: anabranch audit prod --select marts.top")
@environment_argument()
@selecting
@json_option
@click.pass_context
def command(
    context: click.Context, env: str | None, *, select: tuple[str, ...], exclude: tuple[str, ...], as_json: bool
) -> int:
    """Run all audits of ENV over what it shows now. Changes nothing.

    Exits with 1 where an audit that blocks fails, or one can't be run.
    """
    with workspace(context) as w:
        name = w.resolve(env)
        found = w.audit(name, Selection(select, exclude))
    if as_json:
        emit({"environment": name, "audits": [_as_dict(o) for o in found]})
    else:
        for line in _lines(found):
            click.echo(line)
    return 1 if any(o.failed for o in found) else 0


def _lines(found: Sequence[Outcome]) -> list[str]:
    told: list[str] = []
    for outcome in found:
        bad = [f for f in outcome.findings if not f.passed]
        if outcome.error is not None:
            told += failures.lines(outcome.error)
        elif bad:
            told.append(f"  {outcome.asset}")
            told += [line for f in bad for line in audits.lines(f, indent=6)]
        else:
            told.append(f"  {click.style('✓', fg='green')} {outcome.asset:<32}{count(len(outcome.findings), 'audit')}")
    findings = [f for o in found for f in o.findings]
    parts = [f"{sum(f.passed for f in findings):,} passed"]
    parts += [f"{n:,} failed"] if (n := sum(f.blocks for f in findings)) else []
    parts += [f"{n:,} with warnings"] if (n := sum(not f.passed and not f.blocks for f in findings)) else []
    parts += [f"{n:,} not run"] if (n := sum(o.error is not None for o in found)) else []
    return [*told, ", ".join(parts)] if found else ["there are no audits yet"]


def _as_dict(outcome: Outcome) -> dict[str, object]:
    error = failures.as_dict(outcome.error) if outcome.error is not None else None
    return {"asset": outcome.asset, "error": error, "findings": [audits.as_dict(f) for f in outcome.findings]}
