"""A plan, as people and machines see it."""

from __future__ import annotations

import click

from anabranch.app.apply import Applied
from anabranch.cli import audits
from anabranch.cli.text import COLOURS, at, count, seconds, size, table
from anabranch.domain.commit import Action
from anabranch.domain.plan import Cost, Decision, Plan, Reason, Verb

MOST = 20
"""Lines of assets that are shown unless all are asked for."""


def headline(plan: Plan) -> str:
    """What the plan is about."""
    source = plan.requires.source
    if plan.action is Action.DROP:
        return f"drop {at(plan.environment, plan.requires.head)}"
    if plan.action is Action.PROMOTE and source is not None:
        return f"promote {at(source[0], source[1])} into {at(plan.environment, plan.requires.head)}"
    if plan.requires.head is None:
        return f"{plan.environment} is new" + (f", from {at(source[0], source[1])}" if source else "")
    return at(plan.environment, plan.requires.head) + (f": {plan.message}" if plan.message else "")


def lines(plan: Plan, *, explain: bool = False, everything: bool = False) -> list[str]:
    """The whole plan; the number that matters last."""
    found = [headline(plan), ""]
    decisions = sorted(plan.decisions, key=lambda d: (list(Verb).index(d.verb), d.asset))
    shown = decisions if everything else decisions[:MOST]
    found += table([_row(d, explain=explain) for d in shown])
    if len(shown) < len(decisions):
        found.append(f"  … and {len(decisions) - len(shown):,} more (--all shows them)")
    rest = plan.total - sum(1 for d in plan.decisions if d.after is not None)
    if rest and decisions and plan.action is not Action.RUN:
        found.append(f"  {click.style('reuse', fg='cyan')}   {count(rest, 'asset')} as they are")
    if plan.repairs:
        found.append(f"  {click.style('mend', fg='yellow')}    {count(len(plan.repairs), 'asset')} changed by hand")
    if decisions or plan.repairs:
        found.append("")
    found += [f"  note: {note}" for note in plan.notes]
    found += [f"  {line}" for line in cost_lines(plan.cost)]
    return [*found, f"  {summary(plan)}"]


def cost_lines(cost: Cost | None) -> list[str]:
    """``shares 1.2 GB, holds 34.0 MB alone (a copy: 1.3 GB)``; nothing where no size is known."""
    if cost is None or not cost.copied:
        return []
    told = f"shares {size(cost.shared)}, holds {size(cost.alone)} alone (a copy: {size(cost.copied)})"
    return [told + (f"; the size of {count(cost.unknown, 'table')} isn't known" if cost.unknown else "")]


def cost_as_dict(cost: Cost | None) -> dict[str, int] | None:
    """For machines: bytes, and the number of tables whose size isn't known."""
    if cost is None:
        return None
    return {"shared": cost.shared, "alone": cost.alone, "copied": cost.copied, "unknown": cost.unknown}


def summary(plan: Plan) -> str:
    """``2 built, 11 reused``."""
    if plan.action is Action.DROP:
        return (
            f"{count(plan.total or len(plan.decisions), 'pointer')} removed; what only it reaches goes with the next gc"
        )
    if plan.is_empty and plan.action is Action.RUN:
        return "nothing is due"
    if plan.is_empty and plan.action is Action.ADOPT:
        return "nothing to adopt"
    if plan.is_empty:
        return f"nothing to do: {count(plan.total, 'asset')} as they should be"
    tally = plan.tally()
    if plan.action is Action.RUN:
        return f"{count(tally[Verb.REFRESH], 'model')} to refresh"
    parts = [f"{tally[Verb.BUILD]:,} to build", f"{tally[Verb.REUSE]:,} reused"]
    if tally[Verb.CLONE]:
        parts.insert(0, f"{tally[Verb.CLONE]:,} to clone")
    if tally[Verb.COPY]:
        parts.insert(0, f"{tally[Verb.COPY]:,} to copy")
    if tally[Verb.MERGE]:
        parts.insert(0, f"{tally[Verb.MERGE]:,} to merge")
    if tally[Verb.REFRESH]:
        parts.append(f"{tally[Verb.REFRESH]:,} completed")
    if tally[Verb.RETURN]:
        parts.append(f"{tally[Verb.RETURN]:,} with earlier data")
    if tally[Verb.ADOPT]:
        parts.append(f"{tally[Verb.ADOPT]:,} adopted")
    if tally[Verb.RELEASE]:
        parts.append(f"{tally[Verb.RELEASE]:,} given back")
    if tally[Verb.DEFINE]:
        parts.append(f"{tally[Verb.DEFINE]:,} defined")
    if tally[Verb.DESCRIBE]:
        parts.append(f"{tally[Verb.DESCRIBE]:,} described anew")
    if tally[Verb.REMOVE]:
        parts.append(f"{tally[Verb.REMOVE]:,} removed")
    if plan.audits:
        parts.append(f"{len(plan.audits):,} to audit")
    return ", ".join(parts)


def _row(decision: Decision, *, explain: bool) -> tuple[str, str, str]:
    verb = click.style(decision.verb.value, fg=COLOURS[decision.verb])
    return verb, decision.asset, why(decision, explain=explain)


def why(decision: Decision, *, explain: bool = False) -> str:
    """The reason, as a phrase."""
    if decision.reason is Reason.UPSTREAM_CHANGED:
        return decision.because
    if decision.reason is Reason.CHANGED:
        return f"changed: {decision.because}" if explain else "changed"
    return decision.because or decision.reason.value


def done(applied: Applied) -> list[str]:
    """What was done, one line, and what to do next."""
    plan, report = applied.plan, applied.report
    if plan.action is Action.DROP:
        return [f"{plan.environment} dropped: {count(applied.moved, 'view')} removed, {seconds(applied.seconds)}"]
    head = at(plan.environment, applied.commit)
    tally = plan.tally()
    reused = plan.total - len(report.built) - tally[Verb.DEFINE]
    return [
        f"{click.style(head, bold=True)}   {len(report.built):,} built, {reused:,} reused, {seconds(applied.seconds)}"
    ]


def as_dict(plan: Plan) -> dict[str, object]:
    """For machines."""
    tally = plan.tally()
    source = plan.requires.source
    return {
        "plan": plan.id,
        "action": plan.action.value,
        "environment": plan.environment,
        "head": plan.requires.head,
        "source": {"environment": source[0], "commit": source[1]} if source else None,
        "new": plan.requires.head is None,
        "empty": plan.is_empty,
        "total": plan.total,
        "counts": {verb.value: number for verb, number in tally.items()},
        "decisions": [
            {
                "asset": d.asset,
                "verb": d.verb.value,
                "reason": d.reason.value,
                "because": d.because,
                "before": d.before,
                "after": d.after,
            }
            for d in plan.decisions
        ],
        "audits": [a.asset for a in plan.audits],
        "repairs": list(plan.repairs),
        "cost": cost_as_dict(plan.cost),
        "notes": list(plan.notes),
    }


def applied_as_dict(applied: Applied) -> dict[str, object]:
    """For machines."""
    return {
        "environment": applied.plan.environment,
        "commit": applied.commit,
        "built": sorted(applied.report.built),
        "reused_builds": sorted(applied.report.reused),
        "audits": audits.as_dicts(applied.report.audited),
        "kept": sorted(applied.report.kept),
        "moved": applied.moved,
        "seconds": round(applied.seconds, 3),
        "plan": as_dict(applied.plan),
    }
