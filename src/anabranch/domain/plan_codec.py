"""Plans as bytes: what a journal keeps, so that another process can go on."""

from __future__ import annotations

import json
from typing import Any

from anabranch.domain.commit import Action, decode_environment, encode_environment
from anabranch.domain.content import Content
from anabranch.domain.ids import canonical
from anabranch.domain.intervals import Spans
from anabranch.domain.plan import (
    Adopt,
    Audits,
    Build,
    Decision,
    Merge,
    Plan,
    Point,
    Reason,
    Refresh,
    Release,
    Requirement,
    Return,
    Step,
    Verb,
)


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
            "now": plan.now,
            "partial": plan.partial,
            "same": dict(plan.same),
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
        now=raw.get("now", 0),
        partial=raw.get("partial", False),
        same=raw.get("same", {}),
    )


def _encode_step(step: Step) -> list[object]:
    if isinstance(step, Build):
        more = [list(step.needs), step.again, step.spans, step.previous, step.keeps, step.anew]
        return ["build", step.id, step.provider, step.asset, step.snapshot, *more]
    if isinstance(step, Refresh):
        return ["refresh", step.id, step.provider, step.asset, step.snapshot, step.spans, list(step.needs)]
    if isinstance(step, Return):
        return ["return", step.id, step.provider, step.asset, step.snapshot, step.to]
    if isinstance(step, Merge):
        told = [step.clone, step.content.encode()]
        return ["merge", step.id, step.provider, step.asset, step.snapshot, *told]
    if isinstance(step, Audits):
        return ["audit", step.id, step.provider, step.asset, step.snapshot, list(step.needs), step.late]
    if isinstance(step, Adopt):
        content = step.content.encode() if step.content is not None else None
        found = [step.rows, [list(c) for c in step.columns], content]
        return ["adopt", step.id, step.provider, step.asset, step.snapshot, *found]
    if isinstance(step, Release):
        return ["release", step.id, step.provider, step.asset, step.snapshot]
    return ["point", step.id, step.provider, step.environment]


def _decode_step(raw: list[Any]) -> Step:
    if raw[0] == "build":
        _, identifier, provider, asset, snapshot, needs, again, spans, previous, keeps, anew = raw
        work = _spans(spans), previous, keeps, _spans(anew)
        return Build(identifier, provider, asset, snapshot, tuple(needs), again, *work)
    if raw[0] == "refresh":
        _, identifier, provider, asset, snapshot, spans, needs = raw
        return Refresh(identifier, provider, asset, snapshot, _spans(spans), tuple(needs))
    if raw[0] == "return":
        return Return(*raw[1:])
    if raw[0] == "merge":
        _, identifier, provider, asset, snapshot, clone, content = raw
        return Merge(identifier, provider, asset, snapshot, clone, Content.decode(content))
    if raw[0] == "audit":
        _, identifier, provider, asset, snapshot, needs, late = raw
        return Audits(identifier, provider, asset, snapshot, tuple(needs), late)
    if raw[0] == "adopt":
        _, identifier, provider, asset, snapshot, rows, columns, content = raw
        found = tuple((name, kind) for name, kind in columns)
        held = Content.decode(content) if content is not None else None
        return Adopt(identifier, provider, asset, snapshot, rows, found, held)
    if raw[0] == "release":
        return Release(*raw[1:])
    return Point(*raw[1:])


def _spans(raw: list[list[int]]) -> Spans:
    return tuple((begin, end) for begin, end in raw)
