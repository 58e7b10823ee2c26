"""Comparing two versions of a model, inside the engine."""

from __future__ import annotations

from collections.abc import Collection

from anabranch.ports.engine import Found, Relation, Session
from anabranch.ports.provider import RowDiff
from anabranch.sql import compare as sql


def compare(session: Session, before: Found, after: Found, keys: Collection[str], sample: int) -> RowDiff:
    """By key where ``keys`` tell rows apart on both sides, else by count."""
    old, new = session.qualify(before.relation), session.qualify(after.relation)
    rows = session.count(old), session.count(new)
    olds, news = dict(before.columns), dict(after.columns)
    wanted = list(keys)
    if not wanted:
        return RowDiff(*rows, note="no key is declared (grain), so rows are compared by count")
    if lacking := [k for k in wanted if k not in olds or k not in news]:
        return RowDiff(*rows, note=f"key column {lacking[0]} isn't on both sides, so rows are compared by count")
    for relation in (old, new):
        if _number(session, sql.duplicate_keys(relation, wanted)):
            return RowDiff(*rows, note=f"key ({', '.join(wanted)}) isn't unique, so rows are compared by count")
    values = [c for c in news if c in olds and c not in wanted]
    added, removed, changed, *each = (int(str(n)) for n in session.query(sql.counts(old, new, wanted, values)).rows[0])
    columns = {c: n for c, n in zip(values, each, strict=True) if n}
    shown = (
        _sample(session, old, new, wanted, list(columns), sample) if sample and (added or removed or changed) else ()
    )
    return RowDiff(*rows, added, removed, changed, columns, shown)


def _sample(
    session: Session, old: Relation, new: Relation, keys: list[str], values: list[str], limit: int
) -> tuple[tuple[tuple[object, ...], str, object, object], ...]:
    found: list[tuple[tuple[object, ...], str, object, object]] = []
    for row in session.query(sql.sample(old, new, keys, values, limit)).rows:
        key, rest = row[: len(keys)], row[len(keys) :]
        there_before, there_after, *pairs = rest
        if not there_before or not there_after:
            found.append((key, "", "" if there_before else None, "" if there_after else None))
            continue
        for i, column in enumerate(values):
            was, now = pairs[2 * i], pairs[2 * i + 1]
            if was != now:
                found.append((key, column, was, now))
    return tuple(found)


def _number(session: Session, query: str) -> int:
    return int(str(session.query(query).rows[0][0]))
