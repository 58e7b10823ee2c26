"""How two environments differ, as one page of HTML that needs nothing else: no script, no request, one file to send.

Everything that comes from data or names goes through :func:`_text`; a content security policy forbids all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from anabranch import __version__
from anabranch.app.diff import AssetDiff, EnvironmentDiff
from anabranch.cli.report.cells import NOTHING, cell, distinct, figures, headline, hidden, nulls, of_repeated, share
from anabranch.cli.report.charts import bar, bars, distribution
from anabranch.cli.report.style import CSS
from anabranch.cli.text import at, count
from anabranch.ports.rows import By, ColumnDiff, RowDiff

CHARTS = 60
"""Columns whose values are drawn, at most."""
OPEN = 12
"""Of them in sight from the start; the rest are unfolded."""


def render(found: EnvironmentDiff) -> str:
    """The page."""
    before, after = (at(e.name, e.head) for e in (found.before, found.after))
    title = f"{found.after.name} against {found.before.name}"
    differ = "differs" if len(found.assets) == 1 else "differ"
    summary = f"{count(len(found.assets), 'asset')} {differ}, {found.same:,} are the same"
    body = [
        f"<h1>{_text(found.after.name)} <span class=soft>against</span> {_text(found.before.name)}</h1>",
        f"<p class=soft>{_text(after)} against {_text(before)} · {_text(summary)}</p>",
        *(f"<p class=note>{_text(told)}</p>" for told in _asked(found)),
        _contents(found),
        *(_asset(number, a, found) for number, a in enumerate(found.assets)),
        f"<footer>made by Anabranch {_text(__version__)}</footer>",
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return escape(cell(value))


def _asked(found: EnvironmentDiff) -> Iterable[str]:
    if found.options and found.options.where:
        yield f"only rows of which this holds: {found.options.where}"
    if found.options and found.options.tolerance:
        yield f"floating-point numbers may differ by {found.options.tolerance:g}"


def _status(asset: AssetDiff) -> tuple[str, str]:
    """A word and its class."""
    if asset.before is None:
        return "new", "added"
    if asset.after is None:
        return "gone", "removed"
    return ("same data, described anew", "soft") if asset.same_data else ("changed", "changed")


def _contents(found: EnvironmentDiff) -> str:
    rows = []
    for number, asset in enumerate(found.assets):
        word, kind = _status(asset)
        told = headline(asset) if kind == "changed" else _lone_rows(asset)
        link = f'<a href="#a{number}">{_text(asset.asset)}</a>'
        rows.append(f"<tr><td class=name>{link}</td><td class={kind}>{word}</td><td>{_text(told)}</td></tr>")
    return f"<section><div class=scroll><table>{''.join(rows)}</table></div></section>" if rows else ""


def _lone_rows(asset: AssetDiff) -> str:
    rows = asset.rows_before if asset.after is None else asset.rows_after
    return "" if rows is None or asset.same_data else count(rows, "row")


def _asset(number: int, asset: AssetDiff, found: EnvironmentDiff) -> str:
    word, kind = _status(asset)
    parts = [f'<h2 id="a{number}">{_text(asset.asset)}<span class="tag {kind}">{word}</span></h2>']
    if asset.rows is None:
        parts.append(f"<p>{_text(headline(asset) if kind == 'changed' else _lone_rows(asset))}</p>")
    else:
        parts.append(_figures(asset.rows))
        parts += [f"<p class=note>{_text(note)}</p>" for note in asset.rows.notes]
        if asset.rows.repeated:
            told = of_repeated(asset.rows.repeated, found.before.name, found.after.name)
            parts.append(f"<p class=note>repeated: {_text(told)}</p>")
    parts.append(_schema(asset))
    if asset.rows is not None:
        parts += [_columns(asset.rows, found), _charts(asset.rows, found), *_samples(asset.rows, found)]
    return f"<section>{''.join(parts)}</section>"


def _figures(found: RowDiff) -> str:
    counts = [("added", found.added), ("removed", found.removed), ("changed", found.changed)]
    if found.by is By.ROW:
        counts = counts[:2]
    told = [(name, f"{n:,}" if n is not None else NOTHING, name if n else "zero") for name, n in counts]
    if found.by is By.COUNT:
        said = {True: "yes", False: "no", None: "not known"}[found.same]
        told = [("same rows", said, "zero" if found.same is None else "")]
    rows = [("rows before", f"{found.rows_before:,}", ""), ("rows after", f"{found.rows_after:,}", "")]
    by = [("compared by", ", ".join(found.keys) if found.keys else {By.ROW: "whole rows"}.get(found.by, "count"), "")]
    return "<dl class=figures>" + "".join(
        f'<div><dt>{name}</dt><dd class="{kind}">{_text(value)}</dd></div>' for name, value, kind in [*told, *rows, *by]
    ) + "</dl>"  # fmt: skip


def _schema(asset: AssetDiff) -> str:
    if not asset.columns:
        return ""
    rows = []
    for change in asset.columns:
        kind = "added" if change.before is None else "removed" if change.after is None else "changed"
        word = {"added": "new column", "removed": "gone", "changed": "other type"}[kind]
        types = " → ".join(_text(t) for t in (change.before, change.after) if t is not None)
        name = f"<td class=value>{_text(change.name)}</td>"
        rows.append(f"<tr>{name}<td class={kind}>{word}</td><td><code>{types}</code></td></tr>")
    return f"<h3>Schema</h3><div class=scroll><table class=narrow>{''.join(rows)}</table></div>"


def _columns(found: RowDiff, environments: EnvironmentDiff) -> str:
    if not found.columns:
        return ""
    heads = [
        ("column", ""),
        ("type", ""),
        ("match", ""),
        ("rows that differ", "number"),
        ("nulls", ""),
        ("distinct", "number"),
    ]
    heads += [("min", ""), ("max", ""), ("mean", "number")]
    head = "".join(f'<th class="{kind}">{name}</th>' for name, kind in heads)
    rows = "".join(_column(found, c) for c in sorted(found.columns, key=lambda c: -(c.differing or 0)))
    return f"<h3>Columns</h3>{_legend(environments)}<div class=scroll><table><tr>{head}</tr>{rows}</table></div>"


def _column(found: RowDiff, column: ColumnDiff) -> str:
    old, new = column.before, column.after
    kinds = list(dict.fromkeys(_text(t) for t in (column.before_type, column.after_type) if t))
    text = " <span class=soft>as text</span>" if column.as_text else ""
    rate = found.match_rate(column)
    match = "<span class=soft>key</span>" if column.is_key else NOTHING
    if rate is not None:
        match = f"{bar(rate)} {_text(share(rate))}"
    shares = [nulls(old, found.rows_before), nulls(new, found.rows_after)]
    there = (old, new)
    cells = [
        ("value name", _text(column.name)),
        ("", f"<code>{' → '.join(kinds)}</code>{text}"),
        ("name", match),
        ("number", NOTHING if column.differing is None else f"{column.differing:,}"),
        ("name", bars(shares) + _pair(share(shares[0]), share(shares[1]), there)),
        ("number", _pair(distinct(old), distinct(new), there)),
    ]
    for name, kind in (("minimum", "value"), ("maximum", "value"), ("mean", "number")):
        was, now = figures(getattr(old, name, None), getattr(new, name, None), 24)
        cells.append((kind, _pair(was, now, there)))
    return "<tr>" + "".join(f'<td class="{kind}">{told}</td>' for kind, told in cells) + "</tr>"


def _pair(before: str, after: str, there: tuple[object, object]) -> str:
    """Both where they differ, the one below the other; else one."""
    if there[0] is None or there[1] is None or before == after:
        return _text(before if there[1] is None else after)
    return f"<span class=pair>{_text(before)}</span><span class=pair>{_text(after)}</span>"


def _legend(found: EnvironmentDiff) -> str:
    return f"<p class=legend><i class=b></i>{_text(found.before.name)}<i class=a></i>{_text(found.after.name)}</p>"


def _charts(found: RowDiff, environments: EnvironmentDiff) -> str:
    """Values of columns that have few; those that moved most come first."""
    listed = sorted((c for c in found.columns if c.top), key=lambda c: -_moved(found, c))
    if not listed:
        return ""
    drawn = [_chart(found, c) for c in listed[:CHARTS]]
    parts = [f"<h3>Values</h3>{_legend(environments)}<div class=charts>{''.join(drawn[:OPEN])}</div>"]
    if drawn[OPEN:]:
        rest = f"<div class=charts>{''.join(drawn[OPEN:])}</div>"
        parts.append(f"<details><summary>{count(len(drawn[OPEN:]), 'more column')}</summary>{rest}</details>")
    if more := hidden(len(listed), CHARTS, "column"):
        parts.append(f"<p class=soft>{_text(more)}</p>")
    return "".join(parts)


def _moved(found: RowDiff, column: ColumnDiff) -> float:
    """Which share of rows has another value now, at least."""
    return sum(
        abs(t.after / max(found.rows_after, 1) - t.before / max(found.rows_before, 1)) for t in column.top
    )  # fmt: skip


def _chart(found: RowDiff, column: ColumnDiff) -> str:
    values = [(cell(t.value, 16), t.before, t.after) for t in column.top]
    chart = distribution(values, found.rows_before, found.rows_after)
    return f"<figure><figcaption>{_text(column.name)}</figcaption>{chart}</figure>"


def _samples(found: RowDiff, environments: EnvironmentDiff) -> Iterable[str]:
    sample, keys = found.sample, [cell(k) for k in found.keys]
    if sample.changed:
        heads = [*keys, "column", environments.before.name, environments.after.name]
        rows = [(*r.key, column, was, now) for r in sample.changed for column, was, now in r.values]
        yield _fold(f"Changed rows, {len(sample.changed):,} of {found.changed:,}", heads, rows)
    lone = (
        ("Added rows", sample.added_columns, sample.added, found.added),
        ("Removed rows", sample.removed_columns, sample.removed, found.removed),
    )
    for title, columns, side, total in lone:
        if side:
            yield _fold(f"{title}, {len(side):,} of {total:,}", columns, side)


def _fold(title: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{_text(h)}</th>" for h in heads)
    body = "".join(f"<tr>{''.join(f'<td class=value>{_text(v)}</td>' for v in row)}</tr>" for row in rows)
    table = f"<div class=scroll><table><tr>{head}</tr>{body}</table></div>"
    return f"<details open><summary>{_text(title)}</summary>{table}</details>"
