"""anabranch lint"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from anabranch.cli.context import emit, json_option
from anabranch.cli.failures import DONE, FAILED
from anabranch.cli.text import count

if TYPE_CHECKING:
    from anabranch.linting import Finding


@click.command("lint", epilog="Example: anabranch lint --rule no-star")
@click.option(
    "--rule", "rules", multiple=True, metavar="RULE", help="Only this rule, also where it is off. Repeatable."
)
@json_option
@click.pass_context
def command(context: click.Context, rules: tuple[str, ...], *, as_json: bool) -> int:
    """Check the project's models against rules. Nothing is built, and the warehouse isn't opened.

    Exit code 1 where there are errors; warnings alone are 0. Rules are set under lint in anabranch.yaml.
    """
    from anabranch import bootstrap
    from anabranch.linting.values import Level

    linter = bootstrap.open_linter(Path(context.find_root().obj or ".").resolve())
    found = linter.run(rules)
    errors = sum(f.level is Level.ERROR for f in found)
    if as_json:
        emit({"errors": errors, "warnings": len(found) - errors, "findings": [_as_dict(f, linter.root) for f in found]})
        return FAILED if errors else DONE
    for each in found:
        is_error = each.level is Level.ERROR
        mark = click.style("✗" if is_error else "!", fg="red" if is_error else "yellow")
        place = f"{click.style(_place(each, linter.root), fg='cyan')}  " if each.where else ""
        click.echo(f"{mark} {place}{each.message}  {click.style(f'[{each.rule}]', dim=True)}")
        if each.hint:
            click.echo(f"    {each.hint}")
    told = [count(n, what) for n, what in ((errors, "error"), (len(found) - errors, "warning")) if n]
    click.echo(", ".join(told) if told else "nothing found")
    return FAILED if errors else DONE


def _place(found: Finding, root: Path) -> str:
    where = found.where
    if where is None:
        return ""
    return ":".join([_file(where.path, root), *(str(n) for n in (where.line, where.column) if n is not None)])


def _file(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _as_dict(found: Finding, root: Path) -> dict[str, object]:
    where = found.where
    return {
        "rule": found.rule,
        "level": found.level.value,
        "asset": found.asset,
        "file": _file(where.path, root) if where else None,
        "line": where.line if where else None,
        "column": where.column if where else None,
        "message": found.message,
        "hint": found.hint,
    }
