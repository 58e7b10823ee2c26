"""Plans as bytes: what a journal keeps, so that another process can go on."""

from __future__ import annotations

import json
from typing import Any

from anabranch.domain.commit import Action, decode_environment, encode_environment
from anabranch.domain.ids import canonical
from anabranch.domain.plan import Build, Decision, Plan, Point, Reason, Requirement, Step, Verb


def encode(plan: Plan) -> bytes:
    """As stored."""
    source = plan.requires.source
    return canonical(
        {
            "id": plan.id,
            "action": plan.action,
            "environment": plan.environment,
            "requires": {"head": plan.requires.head, "source": list(source) if source else None},
            "before": plan.before,
            "tree": plan.tree,
            "parents": list(plan.parents),
            "decisions": [[d.asset, d.before, d.after, d.verb, d.reason, d.because] for d in plan.decisions],
            "steps": [_encode_step(s) for s in plan.steps],
            "total": plan.total,
            "settings": encode_environment(plan.settings).decode() if plan.settings else None,
            "author": plan.author,
            "message": plan.message,
            "restores": plan.restores,
            "repairs": list(plan.repairs),
            "notes": list(plan.notes),
        }
    )


def decode(data: bytes) -> Plan:
    """The inverse of :func:`encode`."""
    raw: dict[str, Any] = json.loads(data)
    source = raw["requires"]["source"]
    return Plan(
        id=raw["id"],
        action=Action(raw["action"]),
        environment=raw["environment"],
        requires=Requirement(raw["requires"]["head"], (source[0], source[1]) if source else None),
        before=raw["before"],
        tree=raw["tree"],
        parents=tuple(raw["parents"]),
        decisions=tuple(Decision(a, b, c, Verb(v), Reason(r), w) for a, b, c, v, r, w in raw["decisions"]),
        steps=tuple(_decode_step(s) for s in raw["steps"]),
        total=raw["total"],
        settings=decode_environment(raw["settings"].encode()) if raw["settings"] else None,
        author=raw["author"],
        message=raw["message"],
        restores=raw["restores"],
        repairs=tuple(raw["repairs"]),
        notes=tuple(raw["notes"]),
    )


def _encode_step(step: Step) -> list[object]:
    if isinstance(step, Build):
        return ["build", step.id, step.provider, step.asset, step.snapshot, list(step.needs), step.again]
    return ["point", step.id, step.provider, step.environment]


def _decode_step(raw: list[Any]) -> Step:
    if raw[0] == "build":
        _, identifier, provider, asset, snapshot, needs, again = raw
        return Build(identifier, provider, asset, snapshot, tuple(needs), again)
    return Point(*raw[1:])
