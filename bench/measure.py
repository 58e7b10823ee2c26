"""Runs one command in a fresh process and measures what all its processes cost.

This file is a module and a program. ``run()`` starts *this file* as a small supervisor, and the supervisor starts the
command: the kernel counts a child's peak memory from the moment of the fork, so that a child of a large process could
never measure smaller than its parent. The supervisor weighs about 12 MB, the floor of every figure.

What is measured (Linux only, from the kernel and ``/proc``):

- *CPU seconds*: user and system time of the command, of every process that it waited for, and of every process that it
  left behind. The supervisor adopts orphans (``PR_SET_CHILD_SUBREAPER``) and waits for them too. As a cross-check,
  the processes' own counters are sampled; where the sampled sum exceeds what was waited for, CPU time has been lost
  (a process nobody waited for), and the measurement fails.
- *wall*: from the start of the command to its end.
- *memory*: the larger of two figures, neither of which overstates. ``largest_mb`` is the kernel's exact peak of resident
  memory of the largest process. ``tree_mb`` is the largest sampled sum of the *proportional* set sizes (PSS) of
  all processes alive together, so that pages shared by forked processes count once. It is sampled while there is more
  than one process; with one, the first figure is exact, and sampling would only disturb.

A command that fails, runs out of time or leaves a process running is an error, never a figure.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

_SAMPLE_SECONDS = 0.05
_ORPHAN_SECONDS = 10.0
_PR_SET_CHILD_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")
_RESULT_MARK = "measured: "


class MeasureError(Exception):
    """The command did not do what would make its figures mean something. The text ends with the log's last lines."""


class Measurement(NamedTuple):
    """What one command cost."""

    cpu_s: float
    wall_s: float
    #: Peak resident memory of the largest process.
    largest_mb: float
    #: Peak of the summed proportional memory of all processes; 0 where there was never more than one.
    tree_mb: float
    #: The most processes seen alive together.
    processes: int

    @property
    def memory_mb(self) -> float:
        """The figure to report: neither part overstates, so the larger is nearer the truth."""
        return max(self.largest_mb, self.tree_mb)


def run(
    command: Sequence[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 3600.0,
) -> Measurement:
    """Run a command in a folder, its output written to ``log``; raise ``MeasureError`` unless it exits with 0."""
    log.parent.mkdir(parents=True, exist_ok=True)
    supervisor = [sys.executable, "-I", "-S", str(Path(__file__).resolve())]
    options = ["--folder", str(folder), "--log", str(log.resolve()), "--timeout", str(timeout)]
    done = subprocess.run(
        [*supervisor, *options, "--", *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=None if environment is None else dict(environment),
        check=False,
    )
    marked = [line for line in done.stdout.splitlines() if line.startswith(_RESULT_MARK)]
    if done.returncode != 0 or len(marked) != 1:
        reason = done.stderr.strip() or f"the supervisor ended with {done.returncode}"
        shown = " ".join((Path(command[0]).name, *command[1:]))
        raise MeasureError(f"{shown}: {reason}\n{tail(log)}")
    return Measurement(**json.loads(marked[0][len(_RESULT_MARK) :]))


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return "    (no output)"
    text = log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
    return "\n".join(f"    {line}" for line in text[-lines:])


# --- the supervisor --------------------------------------------------------------------------------------------------


class _Tree:
    """Samples the processes below this one."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self.most = 0
        self._cpu: dict[tuple[int, str], float] = {}

    @property
    def cpu_s(self) -> float:
        """The CPU seconds that the processes seen had used by themselves when last seen."""
        return sum(self._cpu.values())

    @property
    def seen(self) -> int:
        return len(self._cpu)

    def sample(self) -> None:
        alive = list(_below(os.getpid()))
        self.most = max(self.most, len(alive))
        for process in alive:
            self._note_cpu(process)
        if len(alive) > 1:
            self.peak_mb = max(self.peak_mb, sum(_proportional_mb(process) for process in alive))

    def _note_cpu(self, process: int) -> None:
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return
        # Counted from the field after the name: 11 and 12 are the user and system time, 19 is the start time.
        self._cpu[process, fields[19]] = (int(fields[11]) + int(fields[12])) / _TICKS


def _below(process: int) -> Iterator[int]:
    """The living descendants of a process."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return
    for child in children:
        yield child
        yield from _below(child)


def _proportional_mb(process: int) -> float:
    try:
        with Path(f"/proc/{process}/smaps_rollup").open() as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def _fail(reason: str) -> NoReturn:
    sys.exit(reason)


def _stop(first: int) -> None:
    """End the command and all it started; it leads a process group of its own."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(first, signal.SIGKILL)
    for process in list(_below(os.getpid())):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _supervise(command: Sequence[str], folder: str, log: str, timeout: float) -> Measurement:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        _fail("this system can't adopt orphans, and would lose their CPU time")
    tree = _Tree()
    with Path(log).open("wb") as output:
        started = time.monotonic()
        try:
            child = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            _fail(f"can't be started: {error.strerror}")
        handle = os.pidfd_open(child.pid)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        while not poll.poll(_SAMPLE_SECONDS * 1000):
            tree.sample()
            if time.monotonic() - started > timeout:
                _stop(child.pid)
                _fail(f"not done after {timeout:.0f} s")
        wall = time.monotonic() - started
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu, largest = usage.ru_utime + usage.ru_stime, usage.ru_maxrss
    for orphan in _orphans(tree):
        cpu, largest = cpu + orphan.ru_utime + orphan.ru_stime, max(largest, orphan.ru_maxrss)
    if child.returncode != 0:
        _fail(f"ended with {child.returncode}")
    if tree.cpu_s > cpu * 1.02 + 0.05 + 0.02 * tree.seen:
        _fail(f"{tree.cpu_s:.2f} CPU s were seen, but only {cpu:.2f} waited for: a process was lost")
    return Measurement(cpu, wall, largest / 1024, tree.peak_mb, max(tree.most, 1))


def _orphans(tree: _Tree) -> Iterator[resource.struct_rusage]:
    """Wait for what the command left running."""
    until = time.monotonic() + _ORPHAN_SECONDS
    while True:
        try:
            process, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if process:
            yield usage
            continue
        if time.monotonic() > until:
            left = list(_below(os.getpid()))
            for process in left:
                os.kill(process, signal.SIGKILL)
            _fail(f"left {len(left)} process(es) running, whose cost would not be counted")
        tree.sample()
        time.sleep(_SAMPLE_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run a command and print what it cost, as JSON.")
    parser.add_argument("--folder", default=".")
    parser.add_argument("--log", required=True)
    parser.add_argument("--timeout", type=float, default=3600.0)
    parser.add_argument("command", nargs="+")
    chosen = parser.parse_args()
    measured = _supervise(chosen.command, chosen.folder, chosen.log, chosen.timeout)
    print(_RESULT_MARK + json.dumps(measured._asdict()))


if __name__ == "__main__":
    main()
