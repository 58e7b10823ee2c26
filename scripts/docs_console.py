"""Runs the console examples of README.md and docs/, and compares what they print or writes it anew.

    python scripts/docs_console.py [--write] [FILE ...]

An example is a fenced block of the language ``console`` right after a comment that says how to run it:

``<!-- run: flights -->``   in a new copy of examples/flights, a git checkout on branch main
``<!-- run: prod -->``      the same, with the data loaded and prod built
``<!-- run: empty -->``     in a new, empty folder
``<!-- run -->``            where the example before it in the same file ended
``<!-- do: COMMAND -->``    is run there too, but not shown (on a line of its own); $REPO is this repository

In a block, ``$ `` begins a command and ``> `` continues it; all else is what it prints, standard error included. A line
of ``…`` stands for any lines. A command that shall fail ends with ``# exit code N``.

What differs from run to run (ids, times, sizes, the order of parallel builds, the width of columns) is not compared. An id
in a command is replaced by the one that this run printed in its place.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "flights"
FIXTURES = ("empty", "flights", "prod")
PATIENCE = 120
"""Seconds that one command may take."""

_DIRECTIVE = re.compile(r"<!-- (run|do)(?:: (.*?))? -->\s*\Z")
_EXIT = re.compile(r"#.*\bexit code (\d+)\b")
_ANY = ("…", "...")


@dataclass(slots=True)
class Command:
    """One command of a block and what it is said to print."""

    text: str
    """As shown, prompts included."""
    output: list[str] = field(default_factory=list)

    @property
    def typed(self) -> str:
        return "\n".join(line[2:] for line in self.text.splitlines())

    @property
    def exit_code(self) -> int:
        found = _EXIT.search(self.text)
        return int(found.group(1)) if found else 0


@dataclass(slots=True)
class Example:
    """One block, or (``hidden``) a command that isn't shown. ``first`` and ``last``: the lines between its fences, from
    0, ``last`` excluded. ``fixture``: where it begins anew; None where it goes on."""

    fixture: str | None
    first: int
    last: int
    commands: list[Command]
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """What a command printed, against what the file says."""

    file: Path
    line: int
    command: str
    expected: list[str]
    actual: list[str]
    code: int
    wanted: int

    def __str__(self) -> str:
        told = f"{self.file}:{self.line}: $ {self.command}"
        if self.code != self.wanted:
            told += f"\n  ended with {self.code}, not {self.wanted}"
        lines = difflib.unified_diff(self.expected, self.actual, "the file", "this run", lineterm="", n=2)
        return "\n".join([told, *(f"  {line}" for line in lines)])


# -- reading -----------------------------------------------------------------------------------------------------------


def examples(lines: Sequence[str], file: Path) -> list[Example]:
    """All of a file's examples, in order. Raises ``ValueError`` where a directive leads nowhere."""
    found: list[Example] = []
    fence = ""
    for number, line in enumerate(lines):
        if fence:
            fence = "" if line.strip() == fence else fence
            continue
        opening = re.match(r"\s*(`{3,}|~{3,})", line)
        if opening:
            fence = opening.group(1)
            continue
        directive = _DIRECTIVE.match(line)
        if directive is None:
            continue
        kind, value = directive.groups()
        if kind == "do":
            found.append(Example(None, number, number, [Command(f"$ {value}")], hidden=True))
            continue
        if value is not None and value not in FIXTURES:
            raise ValueError(f"{file}:{number + 1}: no such fixture: {value}")
        first = number + 1
        while first < len(lines) and not lines[first].strip():
            first += 1
        if first == len(lines) or not lines[first].startswith("```console"):
            raise ValueError(f"{file}:{number + 1}: no console block follows")
        last = next(i for i in range(first + 1, len(lines)) if lines[i].strip() == "```")
        found.append(Example(value, first + 1, last, _commands(lines[first + 1 : last], file, first + 1)))
    return found


def _commands(lines: Sequence[str], file: Path, first: int) -> list[Command]:
    found: list[Command] = []
    for number, line in enumerate(lines):
        if line.startswith("$ "):
            found.append(Command(line))
        elif not found:
            raise ValueError(f"{file}:{first + number + 1}: a block begins with a command")
        elif line.startswith("> ") and not found[-1].output:
            found[-1].text += f"\n{line}"
        else:
            found[-1].output.append(line)
    return found


# -- running -----------------------------------------------------------------------------------------------------------


class FixtureFailed(Exception):
    """What examples begin from can't be made."""


class Shell:
    """A home of its own, with a folder in it that commands are run in, one after the other."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home
        bin_folder = str(Path(sys.executable).parent)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "ANABRANCH", "COV_", "PYTEST"))}
        who = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in _WHO.items()}
        self.environment = {
            **kept,
            **who,
            "HOME": str(home),
            "REPO": str(ROOT),
            "PATH": os.pathsep.join([bin_folder, kept.get("PATH", "")]),
            "GIT_CONFIG_NOSYSTEM": "1",
            "NO_COLOR": "1",
            "COLUMNS": "100",
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def run(self, text: str) -> tuple[int, list[str]]:
        """A command as typed: its exit code and what it prints."""
        where = self.home / ".pwd"
        script = 'eval "$1"; code=$?; pwd >"$2"; exit $code'
        done = subprocess.run(
            ["bash", "-c", script, "bash", text, str(where)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=PATIENCE,
            check=False,
        )
        if where.exists():
            self.folder = Path(where.read_text(encoding="utf-8").strip())
            where.unlink()
        printed = done.stdout.decode().replace(str(self.home), "~")
        return done.returncode, [line.rstrip() for line in printed.splitlines()]

    def must(self, *commands: str) -> None:
        """Commands of a fixture."""
        for text in commands:
            code, printed = self.run(text)
            if code:
                raise FixtureFailed("\n".join([f"$ {text}", *printed, f"ended with {code}"]))


_WHO = {"NAME": "you", "EMAIL": "you@example.org"}


def begin(fixture: str, home: Path) -> Shell:
    """A shell in a new folder."""
    home.mkdir()
    shell = Shell(home)
    if fixture == "empty":
        shell.must("mkdir project", "cd project", "git init --quiet --initial-branch=main")
        return shell
    ignored = shutil.ignore_patterns(".anabranch", "*.duckdb*", "__pycache__")
    shutil.copytree(EXAMPLE, home / "flights", ignore=ignored)
    shell.must("cd flights", "git init --quiet --initial-branch=main", "git add --all", "git commit --quiet -m Flights")
    if fixture == "prod":
        shell.must("python load.py", "anabranch apply prod --yes")
    return shell


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="docs-") as folder:
        yield Path(folder).resolve()


def check(file: Path) -> tuple[list[Difference], str]:
    """Runs all examples of ``file``: how they differ from what it says, and its text with what they print now.

    Where a command doesn't end as it should, that is the last difference, and the text is as it was.
    """
    before = file.read_text(encoding="utf-8")
    lines = before.splitlines()
    differences: list[Difference] = []
    replaced: list[tuple[Example, list[str]]] = []
    known: dict[str, str] = {}
    with _scratch() as scratch:
        for example, shell in _shells(examples(lines, file), scratch, file):
            written: list[str] = []
            for command in example.commands:
                code, printed = shell.run(renamed(command.typed, known))
                known.update(ids(command.output, printed))
                same = example.hidden or matches(command.output, printed)
                if code != command.exit_code or not same:
                    differences.append(_difference(file, example, command, code, printed))
                if code != command.exit_code:
                    return differences, before
                told = [renamed(line, known) for line in command.output] if same else printed
                written += renamed(command.text, known).splitlines() + told
            if not example.hidden:
                replaced.append((example, written))
    for example, written in reversed(replaced):
        lines[example.first : example.last] = written
    return differences, "\n".join(lines) + "\n"


def _shells(found: Sequence[Example], scratch: Path, file: Path) -> Iterator[tuple[Example, Shell]]:
    shell: Shell | None = None
    for number, example in enumerate(found):
        if example.fixture is not None:
            shell = begin(example.fixture, scratch / str(number))
        if shell is None:
            raise ValueError(f"{file}:{example.first}: the first example must name its fixture")
        yield example, shell


def _difference(file: Path, example: Example, command: Command, code: int, printed: list[str]) -> Difference:
    expected = [] if example.hidden else normalise(command.output)
    shown = command.typed.splitlines()[0]
    return Difference(file, example.first, shown, expected, normalise(printed), code, command.exit_code)


_ID = re.compile(r"(?<![0-9a-zA-Z,.])(?:[0-9a-f]{40}|[0-9a-f]{12}|[0-9a-f]{7})(?![0-9a-zA-Z])")


def ids(expected: Sequence[str], actual: Sequence[str]) -> dict[str, str]:
    """The ids in ``expected``, and those that stand in ``actual`` for them, as far as the lines' order tells."""
    found: dict[str, str] = {}
    ends = [list(zip(expected, actual, strict=False)), list(zip(reversed(expected), reversed(actual), strict=False))]
    for pairs in ends:
        for one, other in pairs:
            if one.strip() in _ANY:
                break
            if normalise([one]) == normalise([other]):
                found.update(zip(_ID.findall(one), _ID.findall(other), strict=True))
    return found


def renamed(text: str, known: Mapping[str, str]) -> str:
    """``text`` with the ids of this run."""
    return _ID.sub(lambda m: known.get(m.group(), m.group()), text)


# -- comparing ---------------------------------------------------------------------------------------------------------

_VOLATILE = [
    (_ID, "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|\+00:00)?"), "<time>"),
    (re.compile(r"(?<=expires )\d{4}-\d\d-\d\d"), "<time>"),
    (re.compile(r"just now|\d+ (?:min|h|days?) ago"), "<ago>"),
    (re.compile(r"process \d+(?: on \S+)?"), "<process>"),
    (re.compile(r"Python 3[.\d]+\S*, \w+"), "<system>"),
    (re.compile(r"\b\d+ min \d+ s\b|\b\d+(?:\.\d+)? s\b"), "<seconds>"),
    (re.compile(r"\b\d+(?:\.\d+)? (?:B|kB|MB|GB)\b|\b[\d,]+ bytes\b"), "<size>"),
    (re.compile(r'(?<="seconds": )[\d.e-]+|(?<="bytes_before": )\d+|(?<="bytes_after": )\d+'), "<number>"),
    (re.compile(r" {2,}"), " "),
]
_BUILT = re.compile(r" [✓=] \S+\.\S+ ")


def normalise(lines: Sequence[str]) -> list[str]:
    """``lines`` without what differs from run to run."""
    found = []
    for line in lines:
        text = line
        for pattern, stands_for in _VOLATILE:
            text = pattern.sub(stands_for, text)
        found.append(text.rstrip())
    while found and not found[-1]:
        found.pop()
    return _sorted_builds(found)


def _sorted_builds(lines: list[str]) -> list[str]:
    """Builds run side by side, and end in any order."""
    found: list[str] = []
    run: list[str] = []
    for line in lines:
        if _BUILT.match(line):
            run.append(line)
            continue
        found += [*sorted(run), line]
        run = []
    return found + sorted(run)


def matches(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Whether ``actual`` is what ``expected`` says; ``…`` there stands for any lines."""
    parts: list[list[str]] = [[]]
    for line in normalise(expected):
        if line.strip() in _ANY:
            parts.append([])
        else:
            parts[-1].append(line)
    rest = normalise(actual)
    if len(parts) == 1:
        return parts[0] == rest
    first, *middle, last = parts
    if rest[: len(first)] != first:
        return False
    at = len(first)
    for part in middle:
        found = next((i for i in range(at, len(rest) - len(part) + 1) if rest[i : i + len(part)] == part), None)
        if found is None:
            return False
        at = found + len(part)
    return len(rest) - len(last) >= at and rest[len(rest) - len(last) :] == last


# -- the command line --------------------------------------------------------------------------------------------------


def documents() -> list[Path]:
    """README.md and docs/, those with examples."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [f for f in files if f.exists() and "<!-- run" in f.read_text(encoding="utf-8")]


def main() -> None:
    """Exits with 1 where something differs; with ``--write`` the files then say what was printed."""
    parser = argparse.ArgumentParser(description="Run the console examples of README.md and docs/.")
    parser.add_argument("--write", action="store_true", help="write the output anew where it differs")
    parser.add_argument("files", nargs="*", type=Path, help="by default all")
    arguments = parser.parse_args()
    different = False
    for file in arguments.files or documents():
        try:
            differences, text = check(file.resolve())
        except (FixtureFailed, ValueError) as error:
            sys.exit(str(error))
        for difference in differences:
            print(difference)
        failed = bool(differences) and differences[-1].code != differences[-1].wanted
        if arguments.write and differences and not failed:
            file.write_text(text, encoding="utf-8")
            print(f"{file}: written anew, {len(differences)} commands differed")
        different = different or failed or bool(differences and not arguments.write)
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
