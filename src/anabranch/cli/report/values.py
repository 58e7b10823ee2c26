"""How two environments differ, as values for JSON: all that is known. docs/json.md describes each field."""

from __future__ import annotations

from dataclasses import asdict

from anabranch.app.diff import AssetDiff, EnvironmentDiff
from anabranch.ports.rows import ColumnDiff, Profile, RowDiff, Sample


def as_dict(found: EnvironmentDiff) -> dict[str, object]:
    """All of it."""
    options = found.options
    return {
        "environment": found.after.name,
        "head": found.after.head,
        "other": found.before.name,
        "other_head": found.before.head,
        "where": options.where or None if options else None,
        "tolerance": options.tolerance if options else None,
        "same": found.same,
        "assets": [_asset(a) for a in found.assets],
    }


def _asset(asset: AssetDiff) -> dict[str, object]:
    status = "changed" if asset.before and asset.after else "added" if asset.after else "removed"
    return {
        "asset": asset.asset,
        "status": "described" if asset.same_data else status,
        "before": asset.before.id if asset.before else None,
        "after": asset.after.id if asset.after else None,
        "columns": [{"name": c.name, "before": c.before, "after": c.after} for c in asset.columns],
        "rows_before": asset.rows_before,
        "rows_after": asset.rows_after,
        "rows": _rows(asset.rows) if asset.rows else None,
    }


def _rows(found: RowDiff) -> dict[str, object]:
    return {
        "before": found.rows_before,
        "after": found.rows_after,
        "by": found.by,
        "keys": list(found.keys),
        "same": found.same,
        "added": found.added,
        "removed": found.removed,
        "changed": found.changed,
        "common": found.common,
        "columns": [_column(found, c) for c in found.columns],
        "repeated": asdict(found.repeated) if found.repeated else None,
        "sample": _sample(found.sample),
        "notes": list(found.notes),
    }


def _column(found: RowDiff, column: ColumnDiff) -> dict[str, object]:
    return {
        "name": column.name,
        "type_before": column.before_type,
        "type_after": column.after_type,
        "key": column.is_key,
        "as_text": column.as_text,
        "differing": column.differing,
        "match_rate": found.match_rate(column),
        "profile_before": _profile(column.before),
        "profile_after": _profile(column.after),
        "top": [asdict(t) for t in column.top],
    }


def _profile(profile: Profile | None) -> dict[str, object] | None:
    if profile is None:
        return None
    return {
        "nulls": profile.nulls,
        "distinct": profile.distinct,
        "exact": profile.is_exact,
        "min": profile.minimum,
        "max": profile.maximum,
        "mean": profile.mean,
    }


def _sample(sample: Sample) -> dict[str, object]:
    lone = ((sample.added_columns, sample.added), (sample.removed_columns, sample.removed))
    added, removed = ({"columns": list(columns), "rows": [list(r) for r in rows]} for columns, rows in lone)
    changed = [
        {"key": list(row.key), "values": [{"column": c, "before": b, "after": a} for c, b, a in row.values]}
        for row in sample.changed
    ]
    return {"added": added, "removed": removed, "changed": changed}
