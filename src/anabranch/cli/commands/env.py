"""anabranch env"""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from anabranch.app.apply import Applied
from anabranch.app.workspace import Workspace
from anabranch.cli import plans
from anabranch.cli.clones import clone_lines, clones_as_dicts
from anabranch.cli.commands.clone import summary
from anabranch.cli.context import emit, environment_argument, json_option, moment_of, selecting, workspace, yes_option
from anabranch.cli.running import run_plan
from anabranch.cli.text import ago, at, count, seconds, table
from anabranch.config.reader import span
from anabranch.domain.commit import Environment
from anabranch.domain.plan import Plan
from anabranch.domain.selection import Selection


def _span(context: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A length of time."""
    try:
        return span(value) if value is not None else None
    except ValueError as error:
        raise click.BadParameter(f"{error}: write it as 14d, 12h, 30m or 2w", context, parameter) from error


@click.group("env", invoke_without_command=True, epilog="Example: anabranch env create what_if --from prod --ttl 3d")
@click.pass_context
def command(context: click.Context) -> None:
    """List, create, show and drop environments."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=False)


@command.command("list", epilog="Example: anabranch env list --json")
@json_option
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List all environments."""
    with workspace(context) as w:
        found = sorted(w.state.environments().values(), key=lambda e: (e.name != w.rules.trunk, e.name))
        described = [_as_dict(w, e) for e in found]
        now = w.now()
    if as_json:
        emit(described)
        return
    if not found:
        click.echo("no environments yet\nnext: anabranch apply prod")
        return
    rows = [
        (
            click.style(e.name, bold=True),
            e.head[:7],
            f"changed {ago(datetime.fromisoformat(str(d['changed_at'])), now)}",
            e.owner,
            _ahead(e, d),
            _expiry(e, now, protected=bool(d["protected"])),
        )
        for e, d in zip(found, described, strict=True)
    ]
    for line in table(rows, indent=0):
        click.echo(line)


@command.command("show", epilog="Example: anabranch env show feature_new_price")
@environment_argument()
@selecting
@json_option
@click.pass_context
def show(
    context: click.Context, env: str | None, *, select: tuple[str, ...], exclude: tuple[str, ...], as_json: bool
) -> None:
    """Show one environment: what it has, and where its data stands."""
    with workspace(context) as w:
        environment = w.state.require(w.resolve(env))
        described = _as_dict(w, environment)
        assets = w.assets(environment.name, Selection(select, exclude))
        clones = w.clones(environment.name)
        now = w.now()
    if as_json:
        listed = [
            {"asset": a, "kind": s.kind.value, "snapshot": s.id, "location": s.location} for a, s in assets.items()
        ]
        emit({**described, "assets": listed, "clones": clones_as_dicts(clones)})
        return
    click.echo(
        f"{click.style(at(environment.name, environment.head), bold=True)}   {_ahead(environment, described)}".rstrip()
    )
    facts = [
        ("from", environment.base or "–"),
        ("branch", environment.branch or "–"),
        ("owner", environment.owner or "–"),
        ("made", ago(environment.created_at, now)),
        ("expires", f"{environment.expires_at:%Y-%m-%d %H:%M} UTC" if environment.expires_at else "never"),
    ]
    for line in table(facts):
        click.echo(line)
    if clones:
        click.echo("")
        for line in clone_lines(clones, now):
            click.echo(line)
    click.echo("")
    for line in table([(s.kind.value, a, s.location if s.location != a else "") for a, s in assets.items()]):
        click.echo(line)


@command.command("create", epilog="Example: anabranch env create what_if --from prod --ttl 3d")
@click.argument("env")
@click.option("--from", "base", default=None, help="The environment to begin from; by default the trunk (prod).")
@click.option(
    "--ttl", callback=_span, metavar="TIME", default=None, help="How long it lives: 14d, 12h. Expired ones go with gc."
)
@click.option(
    "--at", "past", metavar="TIME", callback=moment_of, help="Its clones hold what their sources held then, in UTC."
)
@json_option
@click.pass_context
def create(
    context: click.Context,
    env: str,
    base: str | None,
    ttl: timedelta | None,
    past: datetime | None,
    *,
    as_json: bool,
) -> None:
    """Create ENV: complete, and at no cost. It begins as the other environment is now.

    Sources that say `branch: clone` are cloned for it, and so is what the other environment has clones of.
    """

    def make(w: Workspace) -> Plan:
        plan = w.plan_create(w.resolve(env), w.resolve(base) if base else None, ttl, past=past)
        if plan.builds and not as_json:
            for line in plans.lines(plan):
                click.echo(line, err=True)
        return plan

    def tell(applied: Applied) -> list[str]:
        plan = applied.plan
        head = click.style(at(plan.environment, applied.commit), bold=True)
        told = "nothing copied" if not plan.builds else summary(applied)
        return [f"{head}   {count(plan.total, 'asset')}, {told}, {seconds(applied.seconds)}"]

    run_plan(context, make, as_json=as_json, yes=True, tell=tell, show=False)


@command.command("drop", epilog="Example: anabranch env drop feature_new_price")
@environment_argument(required=True)
@click.option("--dry-run", is_flag=True, help="Show what would go; change nothing.")
@yes_option
@json_option
@click.pass_context
def drop(context: click.Context, env: str, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Drop ENV: its views go at once; what only it reaches goes with the next gc."""
    run_plan(context, lambda w: w.plan_drop(w.resolve(env)), as_json=as_json, yes=yes, dry_run=dry_run, show=False)


def _as_dict(w: Workspace, environment: Environment) -> dict[str, object]:
    commit = w.state.commit(environment.head)
    trunk = w.state.environment(w.rules.trunk)
    differ = None
    if trunk is not None and environment.name != trunk.name:
        differ = len(w.state.trees.diff(w.state.commit(trunk.head).tree, commit.tree))
    return {
        "environment": environment.name,
        "head": environment.head,
        "base": environment.base,
        "branch": environment.branch,
        "owner": environment.owner,
        "created_at": environment.created_at.isoformat(),
        "changed_at": commit.at.isoformat(),
        "expires_at": environment.expires_at.isoformat() if environment.expires_at else None,
        "protected": w.is_protected(environment.name),
        "assets": w.state.trees.count(commit.tree),
        "differs_from_trunk": differ,
    }


def _ahead(environment: Environment, described: dict[str, object]) -> str:
    differ = described["differs_from_trunk"]
    total = count(int(str(described["assets"])), "asset")
    return total if differ is None else f"{total}, {differ} differ from the trunk"


def _expiry(environment: Environment, now: datetime, *, protected: bool) -> str:
    if protected:
        return "protected"
    if environment.expires_at is None:
        return ""
    return "expired" if environment.is_expired(now) else f"expires {environment.expires_at:%Y-%m-%d}"
