"""How two environments differ, on a terminal: a line for each asset, and below it what there is to see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from anabranch.app.diff import AssetDiff, ColumnChange, EnvironmentDiff
from anabranch.cli.report.cells import NOTHING, cell, distinct, figures, headline, hidden, nulls, of_repeated, share
from anabranch.cli.text import at, count, table
from anabranch.ports.rows import By, ColumnDiff, RowDiff

IN_A_LINE = 3
"""Columns that differ are told in one line up to so many."""
COLUMNS = 12
"""Of them in a table at most."""
PROFILED = 40
"""Columns in a profile at most."""
OF_A_ROW = 6
"""Columns of one row at most."""
WIDTH = 40
"""Characters of a value at most."""


def lines(found: EnvironmentDiff, *, profile: bool = False) -> list[str]:
    """All of it; the columns' ``profile`` too, if asked."""
    before, after = (at(e.name, e.head) for e in (found.before, found.after))
    if not found.assets:
        return [f"{after} is {before}: {count(found.same, 'asset')}, all the same"]
    told: list[str] = []
    for asset in found.assets:
        told += _asset(asset, found.before.name, found.after.name, profile=profile)
    differ = "differs" if len(found.assets) == 1 else "differ"
    told.append(f"{count(len(found.assets), 'asset')} {differ} from {before}, {found.same:,} are the same")
    if found.options is None and any(a.before and a.after and not a.same_data for a in found.assets):
        told.append("next: anabranch diff --rows")
    return told


def _asset(asset: AssetDiff, before: str, after: str, *, profile: bool) -> Iterator[str]:
    name = f"{asset.asset:<32}"
    if asset.before is None:
        rows = "" if asset.rows_after is None else count(asset.rows_after, "row")
        yield f"{click.style('+', fg='green')} {name}new   {rows}".rstrip()
    elif asset.after is None:
        yield f"{click.style('-', fg='yellow')} {name}gone"
    elif asset.same_data:
        yield f"{click.style('~', fg='cyan')} {name}same data, described anew"
    else:
        yield f"{click.style('~', fg='yellow')} {name}{headline(asset)}".rstrip()
        yield from (f"    {_column(c)}" for c in asset.columns)
        if asset.rows is not None:
            yield from _rows(asset.rows, before, after)
            if profile:
                yield from _profile(asset.rows, before, after)


def _column(change: ColumnChange) -> str:
    if change.before is None:
        return click.style(f"+ {change.name} {change.after}", fg="green")
    if change.after is None:
        return click.style(f"- {change.name} {change.before}", fg="yellow")
    return click.style(f"~ {change.name} {change.before} → {change.after}", fg="yellow")


def _rows(found: RowDiff, before: str, after: str) -> Iterator[str]:
    differing = found.differing
    if differing and len(differing) <= IN_A_LINE:
        yield "    changed: " + ", ".join(f"{cell(c.name)} in {count(c.differing or 0, 'row')}" for c in differing)
    elif differing:
        rows = [("column", "match", "changed in")]
        rows += [
            (cell(c.name, WIDTH), share(found.match_rate(c)), count(c.differing or 0, "row"))
            for c in differing[:COLUMNS]
        ]
        yield from table(rows, indent=4, right=(1, 2))
        yield from _more(len(differing), COLUMNS, "column")
    if found.repeated is not None:
        yield f"    repeated: {of_repeated(found.repeated, before, after)}"
    yield from (f"    note: {note}" for note in found.notes)
    yield from _by_key(found, before, after) if found.by is By.KEY else _whole(found)


def _by_key(found: RowDiff, before: str, after: str) -> Iterator[str]:
    sample, keys = found.sample, len(found.keys)
    rows: list[tuple[str, ...]] = []
    for row in sample.changed:
        key = tuple(cell(k, WIDTH) for k in row.key)
        rows += [(*key, cell(c, WIDTH), cell(b, WIDTH), cell(a, WIDTH)) for c, b, a in row.values[:OF_A_ROW]]
        if told := hidden(len(row.values), OF_A_ROW, "column"):
            rows.append((*key, told, "", ""))
    lone = ((sample.removed, "(row is gone)"), (sample.added, "(row is new)"))
    rows += [(*(cell(k, WIDTH) for k in row[:keys]), told, "", "") for side, told in lone for row in side]
    if rows:
        yield from table(
            [(*map(cell, found.keys), "column", before, after), *rows], indent=4, right=(keys + 1, keys + 2)
        )


def _whole(found: RowDiff) -> Iterator[str]:
    sample = found.sample
    names = sample.removed_columns or sample.added_columns
    rows = [("-", *_few(row)) for row in sample.removed] + [("+", *_few(row)) for row in sample.added]
    if rows:
        yield from table([("", *_few(names)), *rows], indent=4, gap=2)
        yield from _more(len(names), OF_A_ROW, "column")


def _few(row: Sequence[object]) -> tuple[str, ...]:
    return tuple(cell(v, WIDTH) for v in row[:OF_A_ROW])


def _profile(found: RowDiff, before: str, after: str) -> Iterator[str]:
    yield f"    profile ({before} → {after} where they differ)"
    rows: list[tuple[str, ...]] = [("column", "match", "nulls", "distinct", "min", "max", "mean")]
    rows += [_profiled(found, column) for column in found.columns[:PROFILED]]
    yield from table(rows, indent=4, right=(1, 2, 3, 4, 5, 6))
    yield from _more(len(found.columns), PROFILED, "column")


def _profiled(found: RowDiff, column: ColumnDiff) -> tuple[str, ...]:
    old, new = column.before, column.after
    told = [
        (share(nulls(old, found.rows_before)), share(nulls(new, found.rows_after))),
        (distinct(old), distinct(new)),
        *(figures(getattr(old, f, None), getattr(new, f, None), 20) for f in ("minimum", "maximum", "mean")),
    ]
    both = old is not None and new is not None
    cells = [was if was == now or not new else f"{was} → {now}" if both else now for was, now in told]
    return (
        cell(column.name, WIDTH),
        share(found.match_rate(column)) if column.differing is not None else NOTHING,
        *cells,
    )


def _more(total: int, shown: int, what: str) -> Iterator[str]:
    if told := hidden(total, shown, what):
        yield f"    {told}: --html or --json has them all"
