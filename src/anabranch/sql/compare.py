"""The SQL that compares two relations by key. Standard SQL with quoted identifiers; no parser is needed."""

from __future__ import annotations

from collections.abc import Sequence

from anabranch.ports.engine import Relation, quoted


def name(relation: Relation) -> str:
    """A relation, quoted."""
    return quoted(p for p in (relation.catalog, relation.schema, relation.name) if p)


def duplicate_keys(relation: Relation, keys: Sequence[str]) -> str:
    """How many keys stand for more than one row (one row, one column)."""
    columns = ", ".join(quoted([k]) for k in keys)
    return f"SELECT count(*) FROM (SELECT 1 FROM {name(relation)} GROUP BY {columns} HAVING count(*) > 1) AS twice"


def counts(before: Relation, after: Relation, keys: Sequence[str], values: Sequence[str]) -> str:
    """One row: rows added, removed, changed, and of each of ``values`` in how many common rows it differs."""
    both = "b.anabranch_there AND a.anabranch_there"
    differs = [f"b.{quoted([v])} IS DISTINCT FROM a.{quoted([v])}" for v in values]
    changed = f"{both} AND ({' OR '.join(differs)})" if differs else "false"
    selected = [
        _count("b.anabranch_there IS NULL"),
        _count("a.anabranch_there IS NULL"),
        _count(changed),
        *(_count(f"{both} AND {d}") for d in differs),
    ]
    return f"SELECT {', '.join(selected)} {_joined(before, after, keys)}"


def sample(before: Relation, after: Relation, keys: Sequence[str], values: Sequence[str], limit: int) -> str:
    """Rows that differ, in the order of their keys: the keys, whether each side has the row, and each of ``values``
    before and after."""
    differs = [f"b.{quoted([v])} IS DISTINCT FROM a.{quoted([v])}" for v in values]
    where = " OR ".join(["b.anabranch_there IS NULL", "a.anabranch_there IS NULL", *differs])
    selected = [
        *(f"coalesce(b.{quoted([k])}, a.{quoted([k])})" for k in keys),
        "b.anabranch_there",
        "a.anabranch_there",
        *(f"{side}.{quoted([v])}" for v in values for side in ("b", "a")),
    ]
    order = ", ".join(str(i + 1) for i in range(len(keys)))
    return f"SELECT {', '.join(selected)} {_joined(before, after, keys)} WHERE {where} ORDER BY {order} LIMIT {limit}"


def _joined(before: Relation, after: Relation, keys: Sequence[str]) -> str:
    on = " AND ".join(f"b.{quoted([k])} IS NOT DISTINCT FROM a.{quoted([k])}" for k in keys)
    sides = [f"(SELECT *, true AS anabranch_there FROM {name(r)}) AS {s}" for r, s in ((before, "b"), (after, "a"))]
    return f"FROM {sides[0]} FULL JOIN {sides[1]} ON {on}"


def _count(condition: str) -> str:
    return f"count(CASE WHEN {condition} THEN 1 END)"
