"""Stops a command at every line of its journal, and looks at what is left.

Run as a program, ``python -m tests.crash.zygote SCENARIO PART OF MORE`` prints one JSON object. It imports everything once and opens nothing, so
that each case costs a fork: the scenario's project is prepared once, then copied for every case.

1. A run that nobody stops counts the *events*: every call of the store, every statement that the engine gives to DuckDB,
   every closing of the database.
2. A copy is run that kills itself (SIGKILL) right before an event, right after one that writes, or, from another thread,
   some fraction of the time into a statement that writes.
3. What is left is looked at from outside: every environment's readers see wholly what was shown before or wholly what is
   shown after, and never more than the state's ref says. Then the same command is given again, and must lead to where the
   run that nobody stopped has led. Then all is collected that no environment reaches: exactly the rest is left.

After an event that only reads, or writes within a transaction, the world is as before it, and right after one as right
before the next. A statement that commits by itself has happened or not. So the cases that differ are: before each event
that follows one that writes, after the last, and within the ends of transactions and checkpoints. They all are run; of
the others, a few.

The commands are in ``scenarios``, events and deaths in ``watching``, what is asked of the rest in ``checking``, which reads
it with ``left``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import sqlglot.dialects.duckdb  # noqa: F401  # imported once, here
from tests.crash.checking import Wrong, check_end, must, verify
from tests.crash.left import refs, seen
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.watching import Event, Point, Watch, choose, points, watch
from tests.support.plain import IS_PLAIN, open_plain_engine

from anabranch import bootstrap
from anabranch.cli.commands import adopt, apply, env, gc, promote, restore, resume, undo  # noqa: F401  # imported once, here
from anabranch.loaders import native  # noqa: F401  # imported once, here
from anabranch.sql import guard, model_file, rewrite  # noqa: F401  # imported once, here

TORN = "computed checksum"
"""What DuckDB says of a file whose catalog it was writing over, in place, at the instant of the kill: see
``test_duckdb_writes_its_catalog_in_place``. Such a case is run again; a scenario may have ``MAY_TEAR`` of them."""
MAY_TEAR = 2


def in_child(work: Callable[[], Any], log: Path) -> tuple[int, Any]:
    """``work`` in a process of its own; how it ended, and what it returned. All that it says goes to ``log``."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        code = 1
        try:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            answer: Any = work()
            code = 0
        except BaseException as error:  # noqa: BLE001  # told to the parent
            answer = f"{type(error).__name__}: {error}"
            if not isinstance(error, Wrong):
                answer += f"\n{traceback.format_exc()}"
        sys.stdout.flush()
        with os.fdopen(theirs, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return status, json.loads(text) if text else None


def sure(work: Callable[[], Any], log: Path) -> Any:
    status, answer = in_child(work, log)
    if status:
        raise RuntimeError(f"{answer}\n{log.read_text()}")
    return answer


def prepare(scenario: Scenario, folder: Path) -> None:
    folder.mkdir()
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for step in scenario.prepare:
        must(step(folder) == 0, "preparing failed")


if IS_PLAIN:
    vars(bootstrap)["open_engine"] = open_plain_engine


def main(name: str, part: int, of: int, more: int) -> dict[str, Any]:
    """Runs every ``of``-th of the chosen cases, from the ``part``-th; for ``more``, see :func:`choose`."""
    scenario = SCENARIOS[name]
    os.environ["GIT_AUTHOR_NAME"] = "Ada"
    os.environ["GIT_CEILING_DIRECTORIES"] = "/"
    memory = Path("/dev/shm")
    top = Path(tempfile.mkdtemp(prefix="anabranch-crash-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        prepared, log = top / "prepared", top / "log"
        sure(lambda: prepare(scenario, prepared), log)
        straight = top / "straight"
        shutil.copytree(prepared, straight)

        def count() -> dict[str, Any]:
            watching = Watch()
            watch(watching)
            must(scenario.command(straight) == 0, "the command itself fails")
            return {"events": [asdict(e) for e in watching.events]}

        events = [Event(**e) for e in sure(count, log)["events"]]
        expected = {
            "old": sure(lambda: seen(prepared), log),
            "new": sure(lambda: seen(straight), log),
            "old_refs": sure(lambda: refs(prepared), log),
            "new_refs": sure(lambda: refs(straight), log),
        }
        sure(lambda: check_end(straight, expected["new"], expected["new_refs"]), log)
        chosen = choose(events, more)
        failures, ended, torn = [], 0, 0
        waiting = chosen[part::of][::-1]
        while waiting:
            point, case = waiting.pop(), top / "case"
            shutil.copytree(prepared, case)

            def crash(point: Point = point, case: Path = case) -> int:
                watch(Watch(kill=point))
                return scenario.command(case)

            status, answer = in_child(crash, top / "crash.log")
            ended += not os.WIFSIGNALED(status)
            told = f"{point}: {events[point.number].kind} {events[point.number].what}"
            may_end = point.when == "in" or not scenario.steady
            if not os.WIFSIGNALED(status) and not (may_end and status == 0 and answer == 0):
                failures.append(f"{told}: it didn't die, and answered {answer}\n{(top / 'crash.log').read_text()}")
            status, answer = in_child(partial(verify, scenario, case, expected), top / "verify.log")
            if status and may_end and TORN in str(answer) and torn < MAY_TEAR:
                torn += 1
                waiting.append(point)
            elif status:
                failures.append(f"{told}: {answer}\n{(top / 'verify.log').read_text()}")
            shutil.rmtree(case)
        return {
            "scenario": name,
            "events": len(events),
            "writes": sum(e.writes for e in events),
            "cases": len(points(events)),
            "chosen": len(chosen),
            "run": len(chosen[part::of]),
            "ended_before_it_was_killed": ended,
            "torn": torn,
            "failures": failures,
            "told": [f"{e.kind} {e.what}{' !' if e.writes else ''}" for e in events],
        }
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    click.echo(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
