"""How each tool does each step: commands and other facts, as data.

A step that a tool has no equivalent of is absent. Where a tool has several ways, the entry is the one that costs it the
least while doing what the step promises; the comments say which.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import peers
from generate import Flavour
from steps import Step

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool."""

    flavour: Flavour
    title: str
    #: The folder of its programs.
    programs: Path
    #: The packages whose versions matter.
    packages: tuple[str, ...]
    commands: Mapping[Step, Command]
    #: Commands that bring the project to where a step starts. They run before the step's edit and are not measured.
    before: Mapping[Step, tuple[Command, ...]] = field(default_factory=dict)
    #: What a step's output must contain, as regular expressions.
    says: Mapping[Step, str] = field(default_factory=dict)
    #: What to delete for a load without a cache, as globs; each must match, or the load was not cold.
    caches: tuple[str, ...] = ()
    #: The schemas of its physical tables, where a table is written once and a new one is a new name.
    physical: re.Pattern[str] | None = None
    #: Where it records what a step ran, for a tool that writes its tables in place.
    run_results: Mapping[Step, str] = field(default_factory=dict)
    #: How many tables a step must build, where the tool promises it.
    builds: Mapping[Step, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.flavour.value

    def versions(self) -> tuple[str, ...]:
        """The versions that matter, as ``name==version``."""
        if not (self.programs / "python").exists():
            return ()
        found = dict(line.split("==") for line in peers.installed(self.programs))
        return tuple(f"{name}=={found[name]}" for name in self.packages if name in found)

    def resolve(self, command: Command) -> Command:
        """The command, with its full path where it is the tool's own and not the system's."""
        return (str(self.programs / command[0]), *command[1:]) if command[0] == self.name else command


def environment(programs: Path, home: Path) -> dict[str, str]:
    """What commands run with: no telemetry, no settings of who runs the benchmark, no git repository around."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": str(home),
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
        "DO_NOT_TRACK": "1",
        "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
        "DBT_USE_COLORS": "0",
    }


def anabranch(programs: Path | None = None) -> Tool:
    """Ours, from the environment that runs the benchmark unless told."""
    return Tool(
        flavour=Flavour.ANABRANCH,
        title="Anabranch",
        programs=programs or Path(sys.executable).parent,
        packages=("anabranch", "sqlglot", "duckdb"),
        commands={
            Step.HELP: ("anabranch", "--help"),
            Step.FIRST_APPLY: ("anabranch", "apply", "prod", "--yes"),
            Step.LOAD_COLD: ("anabranch", "status"),
            Step.LOAD_WARM: ("anabranch", "status"),
            Step.NOOP_PLAN: ("anabranch", "plan", "prod", "--json"),
            Step.ENV_NEW: ("anabranch", "env", "create", "dev"),
            Step.LEAF_APPLY: ("anabranch", "apply", "dev", "--yes"),
            Step.PROMOTE: ("anabranch", "promote", "dev", "--yes"),
            Step.ROOT_PLAN: ("anabranch", "plan", "dev"),
            Step.ROOT_APPLY: ("anabranch", "apply", "dev", "--yes"),
            Step.COMMENT_APPLY: ("anabranch", "apply", "dev", "--yes"),
            Step.REFACTOR_APPLY: ("anabranch", "apply", "dev", "--yes"),
            Step.UNDO: ("anabranch", "undo", "prod", "--yes"),
        },
        before={Step.COMMENT_APPLY: (("anabranch", "apply", "dev", "--yes"),)},
        says={Step.ROOT_PLAN: r"layer0\.m0001"},
        caches=(".anabranch/cache.db*",),
        physical=re.compile(r"anabranch__layer\d+"),
        builds={
            Step.ENV_NEW: 0,
            Step.LEAF_APPLY: 1,
            Step.PROMOTE: 0,
            Step.ROOT_APPLY: 1,
            Step.COMMENT_APPLY: 0,
            Step.REFACTOR_APPLY: 1,
            Step.UNDO: 0,
        },
    )


def sqlmesh(folder: Path) -> Tool:
    """SQLMesh, as installed by ``peers`` under ``folder``."""
    apply: Command = ("--auto-apply", "--no-prompts")
    return Tool(
        flavour=Flavour.SQLMESH,
        title="SQLMesh",
        programs=peers.programs(peers.SQLMESH, folder),
        packages=("sqlmesh", "sqlglot", "duckdb"),
        commands={
            Step.HELP: ("sqlmesh", "--help"),
            Step.FIRST_APPLY: ("sqlmesh", "plan", *apply),
            # Without the check of the connection: only loading is asked for.
            Step.LOAD_COLD: ("sqlmesh", "info", "--skip-connection"),
            Step.LOAD_WARM: ("sqlmesh", "info", "--skip-connection"),
            Step.NOOP_PLAN: ("sqlmesh", "plan", *apply),
            Step.ENV_NEW: ("sqlmesh", "plan", "dev", "--include-unmodified", *apply),
            # An environment that is complete stays so without the flag, at the same cost.
            Step.LEAF_APPLY: ("sqlmesh", "plan", "dev", *apply),
            Step.PROMOTE: ("sqlmesh", "plan", *apply),
            Step.ROOT_PLAN: ("sqlmesh", "plan", "dev", "--explain"),
            Step.ROOT_APPLY: ("sqlmesh", "plan", "dev", *apply),
            Step.COMMENT_APPLY: ("sqlmesh", "plan", "dev", *apply),
            Step.REFACTOR_APPLY: ("sqlmesh", "plan", "dev", *apply),
        },
        before={Step.COMMENT_APPLY: (("sqlmesh", "plan", "dev", *apply),)},
        says={
            Step.LOAD_COLD: r"Models: \d+",
            Step.LOAD_WARM: r"Models: \d+",
            Step.NOOP_PLAN: "No changes to plan",
            Step.ROOT_PLAN: r"layer0__dev\.m0001",
        },
        caches=(".cache",),
        physical=re.compile(r"sqlmesh__layer\d+"),
        builds={
            Step.ENV_NEW: 0,
            Step.LEAF_APPLY: 1,
            Step.PROMOTE: 0,
            Step.ROOT_APPLY: 1,
            Step.COMMENT_APPLY: 0,
        },
    )


def dbt(folder: Path) -> Tool:
    """dbt, as installed by ``peers`` under ``folder``.

    Each target parses into a folder of its own and starts warm there, for dbt parses everything again when the target of
    a folder changes. One thread: more of them cost more CPU time here, and no less wall time.
    """
    prod: Command = ("--target", "prod", "--target-path", "target/prod")
    dev: Command = ("--target", "dev", "--target-path", "target/dev")
    changed: Command = ("--select", "state:modified+", "--state", "state")
    remember: tuple[Command, ...] = (("mkdir", "-p", "state"), ("cp", "target/prod/manifest.json", "state/"))
    return Tool(
        flavour=Flavour.DBT,
        title="dbt",
        programs=peers.programs(peers.DBT, folder),
        packages=("dbt-core", "dbt-duckdb", "duckdb"),
        commands={
            Step.HELP: ("dbt", "--help"),
            # The seed and the models, in one process.
            Step.FIRST_APPLY: ("dbt", "build", *prod),
            Step.LOAD_COLD: ("dbt", "parse", *prod),
            Step.LOAD_WARM: ("dbt", "parse", *prod),
            # Only says what changed: the nearest that dbt has to a plan.
            Step.NOOP_PLAN: ("dbt", "ls", *changed, *prod),
            Step.ENV_NEW: ("dbt", "clone", "--state", "state", *dev),
            Step.LEAF_APPLY: ("dbt", "run", *changed, "--defer", *dev),
            Step.ROOT_PLAN: ("dbt", "ls", *changed, *dev),
            Step.ROOT_APPLY: ("dbt", "run", *changed, "--defer", *dev),
            Step.COMMENT_APPLY: ("dbt", "run", *changed, "--defer", *dev),
            Step.REFACTOR_APPLY: ("dbt", "run", *changed, "--defer", *dev),
        },
        before={
            Step.NOOP_PLAN: remember,
            Step.ENV_NEW: (*remember, ("dbt", "parse", *dev)),
            # dbt has no promote: the edited leaf is built again in prod, and what prod holds now is remembered.
            Step.PROMOTE: (("dbt", "run", *changed, *prod), *remember),
        },
        says={Step.NOOP_PLAN: "No nodes selected", Step.ROOT_PLAN: r"layer0\.m0001"},
        caches=("target/prod/partial_parse.msgpack",),
        run_results=dict.fromkeys(
            (Step.LEAF_APPLY, Step.ROOT_APPLY, Step.COMMENT_APPLY, Step.REFACTOR_APPLY), "target/dev/run_results.json"
        ),
        builds={Step.LEAF_APPLY: 1},
    )
