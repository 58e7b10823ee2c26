"""anabranch lineage"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from anabranch.cli import lineages
from anabranch.cli.context import emit, json_option, workspace
from anabranch.errors import NotFound

if TYPE_CHECKING:
    from anabranch.domain.lineage import Lineage
    from anabranch.domain.names import AssetName


@click.command("lineage", epilog="Example: anabranch lineage marts.delays_by_hour.mean_delay --up")
@click.argument("name", metavar="MODEL[.COLUMN]")
@click.option("--up", is_flag=True, help="Only what it reads.")
@click.option("--down", is_flag=True, help="Only who reads it.")
@click.option("--depth", type=click.IntRange(min=1), help="So many steps and no further.")
@click.option("--mermaid", is_flag=True, help="Answer as a Mermaid flowchart.")
@click.option("-e", "--env", help="What an environment has, instead of what the files say.")
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    *,
    up: bool,
    down: bool,
    depth: int | None,
    mermaid: bool,
    env: str | None,
    as_json: bool,
) -> None:
    """Show what MODEL reads and who reads it; for a COLUMN, which columns decide it and which it decides.

    What decides nothing but which rows there are (a filter, a join, a grouping) is marked as rows.
    """
    if mermaid and as_json:
        raise click.UsageError("--mermaid and --json are two forms of the answer: choose one")
    from anabranch import bootstrap

    found, loader = bootstrap.open_files(Path(context.find_root().obj or ".").resolve())
    if env is None:
        lineage = loader.lineage()
    else:
        with workspace(context) as w:
            lineage = w.loader.lineage_of(w.assets(w.resolve(env)))
    asset, column = _find(lineage, name, found.warehouse.schema)
    both = up == down
    seen = lineages.look(lineage, asset, column, up=up or both, down=down or both, depth=depth)
    if as_json:
        emit(lineages.as_dict(seen))
        return
    for line in lineages.mermaid(seen) if mermaid else lineages.lines(seen):
        click.echo(line)


def _find(lineage: Lineage, text: str, schema: str) -> tuple[AssetName, str | None]:
    """An asset, or a column of one. Raises ``NotFound``, with what is nearest."""
    from anabranch.domain.names import AssetName, nearest

    plain = text.strip().lower()
    before, _, last = plain.rpartition(".")
    for asset in (plain, f"{schema}.{plain}"):
        if asset in lineage.reads:
            return AssetName(asset), None
    for asset in (before, f"{schema}.{before}"):
        if before and asset in lineage.reads:
            found = AssetName(asset)
            known = lineage.columns.get(found, ())
            if last in known or (found in lineage.whole and not known):
                return found, last
            near = nearest(last, list(known))
            hint = f"did you mean {found}.{near}?" if near else _listed(known)
            raise NotFound(f"{found} has no column {last}", asset=found, hint=hint)
    names: list[str] = list(lineage.reads)
    whole = plain if "." in plain else f"{schema}.{plain}"
    near = nearest(whole, names) or (nearest(before, names) if before else None)
    raise NotFound(
        f"there is no {text}", hint=f"did you mean {near}?" if near else "name it as schema.name or schema.name.column"
    )


def _listed(columns: tuple[str, ...]) -> str:
    return f"it has {', '.join(columns[:12])}{', …' if len(columns) > 12 else ''}" if columns else "none is known"
