"""anabranch status"""

from __future__ import annotations

import click

from anabranch.app.holder import describe
from anabranch.app.state import OpenPlan
from anabranch.app.workspace import Status
from anabranch.cli import plans
from anabranch.cli.clones import clone_lines, clones_as_dicts
from anabranch.cli.context import emit, environment_argument, json_option, workspace
from anabranch.cli.text import ago, at, count
from anabranch.domain.plan import Plan, Verb


@click.command("status", epilog="Example: anabranch status")
@environment_argument()
@json_option
@click.pass_context
def command(context: click.Context, env: str | None, *, as_json: bool) -> None:
    """Show where things stand in ENV: what differs, what was interrupted, what drifted.

    By default that of the branch that is checked out; without one, the trunk.
    """
    with workspace(context) as w:
        status = w.status(w.resolve(env) if env or w.here.branch else w.rules.trunk)
    if as_json:
        emit(_as_dict(status))
        return
    trunk = status.trunk
    since = f"{at(trunk.name, trunk.head)}" if trunk else ""
    name = click.style(status.name, bold=True)
    if status.environment is not None:
        click.echo(
            f"{click.style(at(status.name, status.environment.head), bold=True)}   {_circumstances(status)}".rstrip()
        )
    elif trunk is not None and trunk.name != status.name:
        click.echo(f"{name}   not created yet, would start from {since}")
    else:
        click.echo(f"{name}   not created yet")
    for line in _state(status, f" {env}" if env else ""):
        click.echo(f"  {line}")


def _circumstances(status: Status) -> str:
    environment = status.environment
    if environment is None:
        return ""
    parts = [f"by {environment.owner}" if environment.owner else "", f"made {ago(environment.created_at)}"]
    if environment.expires_at is not None:
        parts.append(f"expires {environment.expires_at:%Y-%m-%d}")
    return ", ".join(p for p in parts if p)


def _state(status: Status, named: str) -> list[str]:
    plan = status.plan
    found = []
    if status.trunk is not None and status.trunk.name != status.name:
        differ = "differs" if status.ahead == 1 else "differ"
        there = at(status.trunk.name, status.trunk.head)
        found.append(f"{status.ahead:,} of {count(plan.total, 'asset')} {differ} from {there}")
    if plan.decisions:
        found.append(f"{count(len(plan.decisions), 'asset')} to apply: {plans.summary(plan)}")
        names = [f"{d.asset} ({plans.why(d)})" for d in plan.decisions[:5]]
        found += [f"  {n}" for n in names]
        if len(plan.decisions) > len(names):
            found.append(f"  … and {len(plan.decisions) - len(names):,} more")
    elif status.environment is not None:
        found.append(f"{count(plan.total, 'asset')} as the files say")
    found += clone_lines(status.clones)
    found += plans.cost_lines(status.cost)
    found += [click.style(f"drift: {d.detail}", fg="yellow") for d in status.inspection.drifts[:10]]
    if len(status.inspection.drifts) > 10:
        found.append(f"  … and {len(status.inspection.drifts) - 10} more")
    if status.inspection.unknown:
        found.append(f"drift was not looked for: {status.inspection.unknown}")
    found += [_open(o, "interrupted", "anabranch resume · anabranch abandon") for o in status.interrupted]
    found += [_open(o, f"under way in {describe(o.holder)}", "") for o in status.running]
    if not plan.is_empty:
        found.append(f"next: anabranch apply{named}")
    elif status.environment is not None and status.ahead:
        found.append(f"next: anabranch diff{named} · anabranch promote{named}")
    return found


def _open(found: OpenPlan, how: str, following: str) -> str:
    text = f"{found.plan.action.value} of {found.plan.environment} {how} (plan {found.plan.id})"
    return click.style(text, fg="yellow") + (f": {following}" if following else "")


def _as_dict(status: Status) -> dict[str, object]:
    environment, trunk = status.environment, status.trunk
    return {
        "environment": status.name,
        "head": environment.head if environment else None,
        "branch": environment.branch if environment else None,
        "expires_at": environment.expires_at if environment else None,
        "trunk": {"environment": trunk.name, "head": trunk.head} if trunk else None,
        "ahead": status.ahead,
        "to_build": _to_build(status.plan),
        "plan": plans.as_dict(status.plan),
        "clones": clones_as_dicts(status.clones),
        "cost": plans.cost_as_dict(status.cost),
        "drift": [{"fault": d.fault.value, "asset": d.asset, "detail": d.detail} for d in status.inspection.drifts],
        "drift_unknown": status.inspection.unknown,
        "interrupted": [_open_as_dict(o) for o in status.interrupted],
        "running": [_open_as_dict(o) for o in status.running],
    }


def _to_build(plan: Plan) -> list[str]:
    return [d.asset for d in plan.decisions if d.verb is Verb.BUILD]


def _open_as_dict(found: OpenPlan) -> dict[str, object]:
    return {
        "plan": found.plan.id,
        "action": found.plan.action.value,
        "environment": found.plan.environment,
        "holder": describe(found.holder),
    }
