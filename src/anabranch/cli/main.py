"""The entry point. Commands are imported when called, so that ``--help`` costs next to nothing."""

from __future__ import annotations

import gc
import importlib
import sys

import click

from anabranch import __version__

COMMANDS = {
    "init": "Begin a project in this folder.",
    "status": "Show where things stand.",
    "plan": "Show what apply would do, and why.",
    "apply": "Make an environment what the files say.",
    "adopt": "Take tables over that another tool made.",
    "clone": "Give an environment clones of sources, to write to.",
    "run": "Bring an environment's data up to date.",
    "lineage": "Show what decides an asset or a column, and who reads it.",
    "diff": "Show how an environment differs from another.",
    "promote": "Point an environment at what was built and tested in another.",
    "undo": "Take the last change back.",
    "restore": "Bring back an earlier state.",
    "log": "Show an environment's history.",
    "sql": "Query an environment by logical names.",
    "audit": "Run the audits of an environment's rows.",
    "test": "Run the unit tests of models, or make one.",
    "lint": "Check models against rules, without building anything.",
    "env": "List, create, show and drop environments.",
    "resume": "Go on with what was interrupted.",
    "abandon": "End what was interrupted without going on.",
    "gc": "Delete what nobody can reach any more.",
    "doctor": "Check the set-up, and say what to mend.",
    "demo": "Show the whole loop on real data, in a minute.",
}


_RARELY = 100_000, 20, 20
"""For the garbage collector: a project of thousands of models is a hundred thousand objects, all of which stay, and
looking for circles among them again and again is a fifth of a plan's time."""


class LazyGroup(click.Group):
    """Knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"anabranch.cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and name not in COMMANDS and not name.startswith("-"):
            from anabranch.domain.names import nearest

            near = nearest(name, list(COMMANDS))
            hint = f"did you mean {near}?" if near else "anabranch --help lists the commands"
            raise click.UsageError(f"there is no command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="The daily loop: git switch -c feature; anabranch apply; anabranch diff; anabranch promote; anabranch undo",
)
@click.version_option(__version__, prog_name="anabranch")
@click.option(
    "-C", "--project", "folder", type=click.Path(exists=True, file_okay=False), default=".", show_default=True,
    help="Run as if started in this folder.",
)  # fmt: skip
@click.pass_context
def cli(context: click.Context, folder: str) -> None:
    """Every git branch gets its own virtual data environment over production data.

    An environment costs no copy and no recomputation, a promotion moves pointers to what was already built and tested,
    and every step can be undone.
    """
    context.obj = folder


def main() -> None:
    """Runs the command line and exits: 0 done, 1 failed, 2 usage or project error, 3 conflict or stale plan;
    130 after Ctrl-C, 143 after SIGTERM."""
    from anabranch.cli.failures import heed_signals, run

    gc.set_threshold(*_RARELY)
    heed_signals()
    sys.exit(run(cli, sys.argv[1:]))
