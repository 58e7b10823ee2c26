"""anabranch diff"""

from __future__ import annotations

import click

from anabranch.app.diff import AssetDiff, ColumnChange, EnvironmentDiff
from anabranch.cli.context import emit, environment_argument, json_option, selecting, workspace
from anabranch.cli.text import at, count, table
from anabranch.domain.selection import Selection
from anabranch.ports.provider import RowDiff


@click.command("diff", epilog="Example: anabranch diff feature_new_price prod --rows")
@environment_argument()
@click.argument("other", required=False)
@selecting
@click.option("--rows", is_flag=True, help="Compare rows too: by key where one is declared, else by count.")
@click.option("--sample", type=click.IntRange(0, 1000), default=5, show_default=True, help="Changed rows to show.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 where they differ.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    env: str | None,
    other: str | None,
    *,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    rows: bool,
    sample: int,
    exit_code: bool,
    as_json: bool,
) -> int:
    """Show how ENV differs from OTHER (by default the trunk): assets, columns and, with --rows, rows.

    Equal pointers are equal data, and cost nothing to compare.
    """
    with workspace(context) as w:
        name = w.resolve(env)
        against = w.resolve(other) if other else w.rules.trunk
        found = w.diff(name, against, rows=rows, sample=sample, selection=Selection(select, exclude))
    if as_json:
        emit(_as_dict(found))
    else:
        for line in _lines(found, rows=rows):
            click.echo(line)
    return 1 if exit_code and found.assets else 0


def _lines(found: EnvironmentDiff, *, rows: bool) -> list[str]:
    before, after = (at(e.name, e.head) for e in (found.before, found.after))
    if not found.assets:
        return [f"{after} is {before}: {count(found.same, 'asset')}, all the same"]
    lines = []
    for asset in found.assets:
        lines += _asset(asset, found.before.name, found.after.name)
    differ = "differs" if len(found.assets) == 1 else "differ"
    lines.append(f"{count(len(found.assets), 'asset')} {differ} from {before}, {found.same:,} are the same")
    if not rows and any(a.before and a.after and not a.same_data for a in found.assets):
        lines.append("next: anabranch diff --rows")
    return lines


def _asset(asset: AssetDiff, before: str, after: str) -> list[str]:
    name = f"{asset.asset:<32}"
    if asset.before is None:
        rows = "" if asset.rows_after is None else count(asset.rows_after, "row")
        return [f"{click.style('+', fg='green')} {name}new   {rows}".rstrip()]
    if asset.after is None:
        return [f"{click.style('-', fg='yellow')} {name}gone"]
    if asset.same_data:
        return [f"{click.style('~', fg='cyan')} {name}same data, described anew"]
    lines = [f"{click.style('~', fg='yellow')} {name}{_rows(asset)}".rstrip()]
    lines += [f"    {_column(c)}" for c in asset.columns]
    if asset.rows is not None:
        lines += _sample(asset.rows, asset.after.keys, before, after)
    return lines


def _rows(asset: AssetDiff) -> str:
    found = asset.rows
    if found is None:
        if asset.rows_before is None or asset.rows_after is None:
            return ""
        if asset.rows_before == asset.rows_after:
            return count(asset.rows_after, "row")
        return f"{asset.rows_before:,} → {count(asset.rows_after, 'row')}"
    if found.changed is None:
        total = found.rows_after - found.rows_before
        return f"{count(found.rows_after, 'row')}, {total:+,}   ({found.note})"
    told = (
        f"{count(found.rows_after, 'row')}, {found.added:,} added, {found.removed:,} removed, {found.changed:,} changed"
    )
    return f"{told} by key" if found.changed else told


def _column(change: ColumnChange) -> str:
    if change.before is None:
        return click.style(f"+ {change.name} {change.after}", fg="green")
    if change.after is None:
        return click.style(f"- {change.name} {change.before}", fg="yellow")
    return click.style(f"~ {change.name} {change.before} → {change.after}", fg="yellow")


def _sample(found: RowDiff, keys: tuple[str, ...], before: str, after: str) -> list[str]:
    lines = []
    if found.columns:
        lines.append("    changed: " + ", ".join(f"{c} in {count(n, 'row')}" for c, n in found.columns.items()))
    if found.sample:
        rows = [(*keys, "column", before, after)]
        for key, column, was, now in found.sample:
            told = column or ("(row is gone)" if now is None else "(row is new)")
            rows.append((*map(_cell, key), told, _cell(was) if column else "", _cell(now) if column else ""))
        lines += table(rows, indent=4, right=(len(keys) + 1, len(keys) + 2))
    return lines


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


def _as_dict(found: EnvironmentDiff) -> dict[str, object]:
    return {
        "environment": found.after.name,
        "head": found.after.head,
        "other": found.before.name,
        "other_head": found.before.head,
        "same": found.same,
        "assets": [_asset_as_dict(a) for a in found.assets],
    }


def _asset_as_dict(asset: AssetDiff) -> dict[str, object]:
    rows = asset.rows
    status = "changed" if asset.before and asset.after else "added" if asset.after else "removed"
    return {
        "asset": asset.asset,
        "status": "described" if asset.same_data else status,
        "before": asset.before.id if asset.before else None,
        "after": asset.after.id if asset.after else None,
        "columns": [{"name": c.name, "before": c.before, "after": c.after} for c in asset.columns],
        "rows_before": asset.rows_before,
        "rows_after": asset.rows_after,
        "rows": {
            "before": rows.rows_before,
            "after": rows.rows_after,
            "added": rows.added,
            "removed": rows.removed,
            "changed": rows.changed,
            "columns": dict(rows.columns),
            "sample": [{"key": list(k), "column": c, "before": b, "after": a} for k, c, b, a in rows.sample],
            "note": rows.note,
        }
        if rows
        else None,
    }
