"""What came of unit tests: for people, as JSON, and as JUnit's XML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import click

from anabranch.app.unit_tests import Outcome, Verdict, tally
from anabranch.cli import failures
from anabranch.cli.text import count, seconds, table
from anabranch.domain.matching import Mismatch, Row
from anabranch.domain.unit_test import QUERY

MOST = 10
"""Rows of a mismatch that are shown; with --verbose ten times as many."""
_WIDEST = 40
"""Characters of a value that are shown."""
_MARKS = {Verdict.PASSED: ("✓", "green"), Verdict.FAILED: ("✗", "red"), Verdict.MISTAKE: ("!", "red")}


def line(outcome: Outcome) -> str:
    """One test, in one line."""
    mark, colour = _MARKS[outcome.verdict]
    test = outcome.test
    place = f"{test.file}:{test.where.line or 1}"
    return f"{click.style(mark, fg=colour)} {click.style(test.name, bold=True)}   {test.model}   {place}"


def lines(outcome: Outcome, *, verbose: bool = False) -> list[str]:
    """One test, with what is wrong."""
    found = [line(outcome)]
    if outcome.test.description and (verbose or outcome.verdict is not Verdict.PASSED):
        found += [f"    {each}" for each in outcome.test.description.splitlines()]
    if outcome.error is not None:
        found += [f"    {each}" for each in failures.lines(outcome.error) if each != "Nothing was changed."]
    for name, mismatch in outcome.mismatches.items():
        found += _mismatch(name, mismatch, MOST * 10 if verbose else MOST)
    return found


def summary(outcomes: Sequence[Outcome], took: float) -> str:
    """``12 passed, 1 failed, 0.3 s``."""
    numbers = tally(outcomes)
    told = [click.style(f"{numbers[Verdict.PASSED]:,} passed", fg="green")]
    if numbers[Verdict.FAILED]:
        told.append(click.style(f"{numbers[Verdict.FAILED]:,} failed", fg="red"))
    if numbers[Verdict.MISTAKE]:
        told.append(click.style(f"{count(numbers[Verdict.MISTAKE], 'test')} can't be run", fg="red"))
    return ", ".join([*told, seconds(took)])


def describe(name: str, mismatch: Mismatch) -> str:
    """A mismatch, in one line."""
    what = "the query" if name == QUERY else f"expression {name}"
    if mismatch.lacking:
        listed = ", ".join(mismatch.lacking)
        return f"{what} gives no column {listed}; it gives {', '.join(mismatch.columns)}"
    differ, missing, unexpected = mismatch.count()
    told = [f"{count(differ, 'row')} {'differs' if differ == 1 else 'differ'}"] if differ else []
    told += [f"{missing:,} missing"] if missing else []
    told += [f"{unexpected:,} unexpected"] if unexpected else []
    return f"{what}: {', '.join(told)}"


def _mismatch(name: str, mismatch: Mismatch, most: int) -> list[str]:
    found = [f"    {describe(name, mismatch)}"]
    if mismatch.lacking:
        return found
    rows = [("", *(click.style(c, bold=True) for c in mismatch.columns))]
    for pair in mismatch.pairs[:most]:
        if pair.expected is not None and pair.got is not None:
            rows += [("expected", *_cells(pair.expected)), ("got", *_cells(pair.got, pair.differs, pair.expected))]
        elif pair.expected is not None:
            rows.append((click.style("missing", fg="yellow"), *_cells(pair.expected)))
        elif pair.got is not None:
            rows.append((click.style("unexpected", fg="yellow"), *_cells(pair.got)))
    found += table(rows, indent=6)
    more = len(mismatch.pairs) - most
    if more > 0:
        found.append(f"      and {count(more, 'more row')}")
    if mismatch.unnamed:
        listed = ", ".join(mismatch.unnamed)
        found.append(f"      no expected row names {listed}, so NULL is expected there; partial: true leaves it aside")
    return found


def _cells(row: Row, marked: Sequence[int] = (), beside: Row = ()) -> list[str]:
    found = []
    for i, value in enumerate(row):
        if i not in marked:
            found.append(_cell(value))
            continue
        told = _cell(value)
        if told == _cell(beside[i]) and type(value) is not type(beside[i]):
            told = f"{told} ({type(value).__name__}, not {type(beside[i]).__name__})"
        found.append(click.style(f"{told} *", fg="red"))
    return found


def _cell(value: object) -> str:
    text = "–" if value is None else re.sub(r"\s", " ", str(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


# -- machines ----------------------------------------------------------------------------------------------------------


def as_dict(outcomes: Sequence[Outcome], took: float) -> dict[str, object]:
    """The answer of ``--json``."""
    numbers = tally(outcomes)
    return {
        "passed": numbers[Verdict.PASSED],
        "failed": numbers[Verdict.FAILED],
        "mistakes": numbers[Verdict.MISTAKE],
        "seconds": round(took, 3),
        "tests": [_as_dict(o) for o in outcomes],
    }


def _as_dict(outcome: Outcome) -> dict[str, object]:
    test, error = outcome.test, outcome.error
    where = error.where if error is not None else None
    return {
        "test": test.id,
        "model": test.model,
        "file": test.file,
        "line": test.where.line,
        "verdict": outcome.verdict.value,
        "seconds": round(outcome.seconds, 4),
        "error": error.message if error is not None else None,
        "error_file": _relative(where.path, outcome) if where is not None else None,
        "error_line": where.line if where is not None else None,
        "hint": error.hint if error is not None else None,
        "mismatches": [
            {
                "of": name,
                "columns": list(m.columns),
                "lacking": list(m.lacking),
                "rows": [
                    {
                        "expected": None if p.expected is None else list(p.expected),
                        "got": None if p.got is None else list(p.got),
                        "differs": [m.columns[i] for i in p.differs],
                    }
                    for p in m.pairs
                ],
            }
            for name, m in outcome.mismatches.items()
        ],
        "notes": list(outcome.notes),
    }


def _relative(path: Path, outcome: Outcome) -> str:
    """From the project's folder, where it lies in it."""
    root = outcome.test.where.path.as_posix().removesuffix(outcome.test.file)
    return path.as_posix().removeprefix(root)


def write_junit(path: Path, outcomes: Sequence[Outcome], took: float) -> None:
    """A file that CI systems show: a suite for each file of tests. Raises ``OSError``."""
    from xml.etree import ElementTree

    numbers = tally(outcomes)
    top = ElementTree.Element("testsuites", _attributes(numbers, took))
    for file in dict.fromkeys(o.test.file for o in outcomes):
        own = [o for o in outcomes if o.test.file == file]
        suite = ElementTree.SubElement(
            top, "testsuite", {"name": file, **_attributes(tally(own), sum(o.seconds for o in own))}
        )
        for o in own:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                {
                    "classname": o.test.model,
                    "name": o.test.name,
                    "file": file,
                    "line": str(o.test.where.line or 1),
                    "time": f"{o.seconds:.3f}",
                },
            )
            if o.verdict is Verdict.PASSED:
                continue
            told = [describe(n, m) for n, m in o.mismatches.items()]
            message = o.error.message.splitlines()[0] if o.error is not None else "; ".join(told)
            kind = "error" if o.error is not None else "failure"
            body = ElementTree.SubElement(case, kind, {"message": _legal(message), "type": o.verdict.value})
            body.text = _legal("\n".join(click.unstyle(each) for each in lines(o)))
    ElementTree.indent(top)
    path.parent.mkdir(parents=True, exist_ok=True)
    ElementTree.ElementTree(top).write(path, encoding="utf-8", xml_declaration=True)


def _attributes(numbers: dict[Verdict, int], took: float) -> dict[str, str]:
    return {
        "tests": str(sum(numbers.values())),
        "failures": str(numbers[Verdict.FAILED]),
        "errors": str(numbers[Verdict.MISTAKE]),
        "time": f"{took:.3f}",
    }


def _legal(text: str) -> str:
    """Without the characters that XML can't have."""
    return re.sub(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]", "�", text)
