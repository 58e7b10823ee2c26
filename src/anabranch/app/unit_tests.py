"""Running the unit tests of models: which, side by side, and what came of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from anabranch.domain.matching import Mismatch, match
from anabranch.domain.names import AssetName, nearest
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.unit_test import UnitTest
from anabranch.errors import AnabranchError, NotFound, UnitTestError
from anabranch.ports.unit_tests import Answers, Bench

MOST_WORKERS = 4
_WILD = frozenset("*?[")


class Verdict(StrEnum):
    """What came of a test. ``MISTAKE``: the test itself can't be run as it stands."""

    PASSED = "passed"
    FAILED = "failed"
    MISTAKE = "mistake"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test. ``mismatches``: by :data:`anabranch.domain.unit_test.QUERY`, or the name of an expression of the
    query's WITH; ``error``: why it couldn't be compared at all."""

    test: UnitTest
    verdict: Verdict
    seconds: float
    mismatches: Mapping[str, Mismatch]
    error: AnabranchError | None = None
    notes: tuple[str, ...] = ()


def select(tests: Sequence[UnitTest], wanted: Sequence[str], pattern: str | None) -> list[UnitTest]:
    """Those that ``wanted`` names (a file, a folder, ``file::test``, a test, a model; ``*`` stands for anything;
    nothing means all) and whose name has ``pattern`` in it.

    Raises:
        NotFound: one of ``wanted`` names none, or none has ``pattern`` in its name.
    """
    found: dict[str, UnitTest] = {} if wanted else {t.id: t for t in tests}
    for each in wanted:
        chosen = {t.id: t for t in tests if _is_meant(t, each)}
        if not chosen:
            known = {n for t in tests for n in (t.id, t.file, t.name, t.model)}
            near = nearest(_tidy(each), sorted(known))
            hint = f"did you mean {near}?" if near else "anabranch test --verbose lists the tests"
            raise NotFound(f"there is no test {each}", hint=hint)
        found |= chosen
    if pattern is not None:
        wild = pattern.lower() if _WILD & set(pattern) else f"*{pattern.lower()}*"
        found = {i: t for i, t in found.items() if fnmatchcase(t.name.lower(), wild)}
        if not found:
            raise NotFound(f"no test has {pattern!r} in its name", hint="anabranch test --verbose lists the tests")
    return [t for t in tests if t.id in found]


def _tidy(text: str) -> str:
    return text.removeprefix("./").rstrip("/")


def _is_meant(test: UnitTest, text: str) -> bool:
    tidy = _tidy(text)
    if "::" in tidy:
        file, _, name = tidy.partition("::")
        return (test.file == file or test.file.endswith(f"/{file}")) and fnmatchcase(test.name, name)
    if test.file == tidy or test.file.startswith(f"{tidy}/") or test.file.endswith(f"/{tidy}"):
        return True
    return fnmatchcase(test.name, tidy) or fnmatchcase(test.model, tidy.lower())


def run(
    tests: Sequence[UnitTest],
    bench: Bench,
    assets: Mapping[AssetName, Snapshot],
    *,
    fail_fast: bool = False,
    tell: Callable[[Outcome], None] = lambda outcome: None,
    workers: int | None = None,
) -> list[Outcome]:
    """Runs ``tests`` side by side; the outcomes are in the order of ``tests``, whoever ended first. ``tell`` hears of
    each as it ends, in this thread. With ``fail_fast`` none is begun after one that didn't pass."""
    number = max(1, min(workers or os.cpu_count() or 1, MOST_WORKERS, len(tests)))
    done: dict[int, Outcome] = {}
    waiting = list(enumerate(tests))
    running: dict[Future[Outcome], int] = {}
    stop = False
    with ThreadPoolExecutor(number) as pool:
        while running or (waiting and not stop):
            while waiting and not stop and len(running) < 2 * number:
                at, test = waiting.pop(0)
                running[pool.submit(run_one, test, bench, assets)] = at
                if fail_fast:
                    break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                outcome = future.result()
                done[running.pop(future)] = outcome
                tell(outcome)
                stop = stop or (fail_fast and outcome.verdict is not Verdict.PASSED)
    return [done[at] for at in sorted(done)]


def run_one(test: UnitTest, bench: Bench, assets: Mapping[AssetName, Snapshot]) -> Outcome:
    """Runs one."""
    began = time.perf_counter()
    mismatches: dict[str, Mismatch] = {}
    error: AnabranchError | None = None
    answers = Answers(())
    try:
        answers = bench.answer(test)
        keys = assets[test.model].keys
        for each in answers.checked:
            found = match(each.expected, each.got, partial=each.partial, keys=keys)
            if found:
                mismatches[each.name] = found
    except AnabranchError as problem:
        error = problem
    verdict = Verdict.FAILED if mismatches or error else Verdict.PASSED
    if isinstance(error, UnitTestError):
        verdict = Verdict.MISTAKE
    return Outcome(test, verdict, time.perf_counter() - began, mismatches, error, answers.notes)


def tally(outcomes: Collection[Outcome]) -> dict[Verdict, int]:
    """How many of each."""
    return {verdict: sum(o.verdict is verdict for o in outcomes) for verdict in Verdict}
