"""anabranch sql"""

from __future__ import annotations

import csv
import sys

import click

from anabranch.cli.context import emit, json_option, workspace
from anabranch.cli.text import count, table


@click.command("sql", epilog="Example: anabranch sql -e feature_new_price 'select * from sales.orders'")
@click.argument("query")
@click.option("-e", "--env", default=None, help="The environment; by default the current branch's.")
@click.option("-n", "limit", type=click.IntRange(min=0), default=50, show_default=True, help="Most rows; 0 for all.")
@click.option("--csv", "as_csv", is_flag=True, help="Answer as CSV.")
@json_option
@click.pass_context
def command(context: click.Context, query: str, env: str | None, limit: int, *, as_csv: bool, as_json: bool) -> None:
    """Query ENV: names of assets mean what they are there. Nothing can be written."""
    text = sys.stdin.read() if query == "-" else query
    with workspace(context) as w:
        answer = w.query(w.resolve(env), text, limit or None)
    if as_json:
        emit({"columns": list(answer.columns), "rows": [list(r) for r in answer.rows], "more": answer.more})
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
        return
    numeric = [i for i in range(len(answer.columns)) if answer.rows and isinstance(answer.rows[0][i], int | float)]
    rows = [tuple(click.style(c, bold=True) for c in answer.columns), *(tuple(map(_cell, r)) for r in answer.rows)]
    for line in table(rows, indent=0, gap=2, right=numeric):
        click.echo(line)
    more = f"; there are more (-n {len(answer.rows) * 10}, or -n 0 for all)" if answer.more else ""
    click.echo(f"({count(len(answer.rows), 'row')}{more})", err=True)


def _cell(value: object) -> str:
    return "–" if value is None else str(value)
