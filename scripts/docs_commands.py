"""Writes docs/commands.md from the help of the commands themselves.

python scripts/docs_commands.py            # writes it
python scripts/docs_commands.py --check    # exits with 1 where it is out of date
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from anabranch.cli.main import COMMANDS, cli

FILE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"

INTRODUCTION = """\
# Commands

<!-- Written by scripts/docs_commands.py from the commands' own help. Change it there. -->

`anabranch COMMAND --help` says the same in the terminal. `-h` is short for `--help`.

- `ENV` is the name of an environment, or a git branch: `feature/New-Price` means `feature_new_price`. Without it, the
  branch that is checked out is meant. See [environments](environments.md).
- `--json` answers with one JSON object on standard output and never asks; [json](json.md) has the fields.
- Exit codes: 0 done, 1 failed, 2 usage or project error, 3 conflict or stale plan, 130 interrupted by
  Ctrl-C, 143 by SIGTERM.
- What a command answers is on standard output; plans, progress and questions are on standard error.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _index(), _section(cli, ["anabranch"], 2, "For every command")]
    for name in COMMANDS:
        command = cli.get_command(_context(cli), name)
        assert command is not None
        parts.append(_section(command, ["anabranch", name], 2))
        below: dict[str, click.Command] = getattr(command, "commands", {})
        parts += [_section(c, ["anabranch", name, n], 3) for n, c in below.items()]
    return "\n".join(parts)


def _index() -> str:
    rows = [f"| [`{name}`](#anabranch-{name}) | {told} |" for name, told in COMMANDS.items()]
    return "\n".join(["| command | |", "|---|---|", *rows, ""])


def _section(command: click.Command, path: list[str], level: int, title: str = "") -> str:
    context = _context(command, path[-1])
    pieces = " ".join([*path, *command.collect_usage_pieces(context)])
    text = inspect.cleandoc(command.help or "")
    lines = [f"{'#' * level} {title or ' '.join(path)}", "", "```", pieces, "```", "", text, ""]
    lines += _options(command, context)
    if command.epilog:
        said, _, example = command.epilog.partition(": ")
        lines += [f"{said}: `{example}`" if said == "Example" else command.epilog, ""]
    return "\n".join(lines)


def _context(command: click.Command, name: str = "anabranch") -> click.Context:
    """With the settings of the command line itself: click keeps the options for help that a command is first asked for."""
    return click.Context(command, info_name=name, **cli.context_settings)


def _options(command: click.Command, context: click.Context) -> list[str]:
    rows = list(_rows(command, context))
    return ["| option | |", "|---|---|", *rows, ""] if rows else []


def _rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or "--help" in parameter.opts:
            continue
        record = parameter.get_help_record(context)
        if record is not None:
            name, told = record
            yield f"| `{name}` | {told} |".replace("  [", " [")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Write docs/commands.md from the commands' help.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    wanted = page()
    if not parser.parse_args().check:
        FILE.write_text(wanted, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{FILE.name} is out of date: python scripts/docs_commands.py")


if __name__ == "__main__":
    main()
