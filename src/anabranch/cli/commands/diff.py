"""anabranch diff"""

from __future__ import annotations

from pathlib import Path

import click

from anabranch.cli.context import emit, environment_argument, json_option, selecting, workspace
from anabranch.domain.selection import Selection
from anabranch.errors import AnabranchError
from anabranch.ports.rows import RowOptions


@click.command("diff", epilog="Example: anabranch diff feature_new_price prod --rows")
@environment_argument()
@click.argument("other", required=False)
@click.option("--against", metavar="ENV", help="The same as OTHER.")
@selecting
@click.option("--rows", is_flag=True, help="Compare rows too: by key where one is declared, else as wholes.")
@click.option("--key", "keys", metavar="COLUMNS", help="Columns that tell rows apart: country,day. Compares rows.")
@click.option("--where", metavar="CONDITION", default="", help="Compare only rows of which this holds, on both sides.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=0.0, help="By how much floating-point numbers may differ."
)
@click.option("--sample", type=click.IntRange(0, 1000), default=5, show_default=True, help="Rows to show of each sort.")
@click.option("--profile", is_flag=True, help="Describe columns on both sides: nulls, distinct, min, max, mean.")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write all of it to a page of its own.",
)
@click.option("--exit-code", is_flag=True, help="Exit with 1 where they differ.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    env: str | None,
    other: str | None,
    *,
    against: str | None,
    select: tuple[str, ...],
    exclude: tuple[str, ...],
    rows: bool,
    keys: str | None,
    where: str,
    tolerance: float,
    sample: int,
    profile: bool,
    html: Path | None,
    exit_code: bool,
    as_json: bool,
) -> int:
    """Show how ENV differs from OTHER (by default the trunk): assets, columns and, with --rows, rows.

    Equal pointers are equal data, and cost nothing to compare. Rows are compared inside the warehouse. --key, --where,
    --tolerance, --profile and --html imply --rows.
    """
    if other and against:
        raise click.UsageError("OTHER and --against are the same: give one", context)
    wanted = tuple(k.strip() for k in (keys or "").split(",") if k.strip())
    if keys is not None and not wanted:
        raise click.BadParameter("name at least one column", context, param_hint="--key")
    asked = context.get_parameter_source("where") is not click.core.ParameterSource.DEFAULT
    options = None
    if rows or wanted or asked or tolerance or profile or html:
        if asked and not where.strip():
            raise click.BadParameter("there is no condition", context, param_hint="--where")
        described = profile or as_json or html is not None
        options = RowOptions(wanted, where, sample, tolerance, described)
    with workspace(context) as w:
        name = w.resolve(env)
        target = other or against
        compared = w.resolve(target) if target else w.rules.trunk
        found = w.diff(name, compared, rows=options, selection=Selection(select, exclude))
    if html:
        from anabranch.cli.report.html import render

        _write(html, render(found))
    if as_json:
        from anabranch.cli.report.values import as_dict

        emit(as_dict(found))
    else:
        from anabranch.cli.report.terminal import lines

        for line in lines(found, profile=profile):
            click.echo(line)
        if html:
            click.echo(f"written: {html}")
    return 1 if exit_code and found.assets else 0


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnabranchError(
            f"{path} can't be written: {error.strerror}", hint="give --html another path", unchanged=True
        ) from error
