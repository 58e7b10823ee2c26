"""anabranch init"""

from __future__ import annotations

import json
from pathlib import Path

import click

from anabranch.cli.context import emit, json_option
from anabranch.config.settings import FILE, FOLDER
from anabranch.domain.names import shorten
from anabranch.errors import Refused

PROJECT = """\
# What is on and how it is named: see docs/configuration.md. Only `project` is required.
project: {name}
warehouse: {{engine: duckdb, database: {database}}}
environments: {{trunk: prod, ttl: 14d}}
# sources:                      # tables that Anabranch doesn't build
#   raw.orders: {{columns: {{id: integer, amount: double}}}}
"""
SEED = "id,name\n1,one\n2,two\n3,three\n"
MODEL = """\
MODEL (name marts.example, kind FULL, grain id);

SELECT
  id,
  upper(name) AS name
FROM seeds.example
"""


@click.command("init", epilog="Example: anabranch init --database warehouse.duckdb")
@click.option("--name", default=None, help="The project's name; by default the folder's.")
@click.option("--database", default="warehouse.duckdb", show_default=True, help="The DuckDB file, made when needed.")
@click.option("--bare", is_flag=True, help="Only the project file, no example model.")
@json_option
@click.pass_context
def command(context: click.Context, name: str | None, database: str, *, bare: bool, as_json: bool) -> None:
    """Begin a project in this folder: the project file, and a first model on a first seed. Nothing is overwritten."""
    root = Path(context.find_root().obj or ".").resolve()
    if (root / FILE).exists():
        raise Refused(f"{FILE} is here already", hint="anabranch status")
    quoted = json.dumps(shorten(name or root.name or "project")), json.dumps(database)
    files = {FILE: PROJECT.format(name=quoted[0], database=quoted[1])}
    if not bare:
        files |= {"seeds/example.csv": SEED, "models/marts/example.sql": MODEL}
    written = []
    for path, text in files.items():
        target = root / path
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            written.append(path)
    if _ignore(root):
        written.append(".gitignore")
    if as_json:
        emit({"root": str(root), "written": written})
        return
    for path in written:
        click.echo(f"  {click.style('+', fg='green')} {path}")
    click.echo("next: anabranch apply prod")


def _ignore(root: Path) -> bool:
    """Keeps state and databases out of git; whether a line was added."""
    file = root / ".gitignore"
    there = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    wanted = [line for line in (f"{FOLDER}/", "*.duckdb", "*.duckdb.wal") if line not in there]
    if wanted:
        file.write_text("\n".join([*there, *wanted]) + "\n", encoding="utf-8")
    return bool(wanted)
