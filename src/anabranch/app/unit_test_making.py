"""Making a unit test of a model from rows that an environment has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from anabranch.app.unit_tests import Verdict, run_one
from anabranch.domain.cells import naive
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import Snapshot
from anabranch.domain.spelling import spell, spell_rows
from anabranch.domain.unit_test import QUERY, Fixture, UnitTest
from anabranch.errors import AnabranchError, Refused, StatementFailed, UnitTestError, Where
from anabranch.ports.provider import Answer
from anabranch.ports.unit_tests import Bench

DEFAULT_ROWS = 10
Parse = Callable[[str, str], list[UnitTest]]
"""From a file's path and text to its tests."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted. ``path``: of the file, relative to the project's folder; ``queries``: of upstreams, by which
    their rows are chosen; ``ctes``: the common table expressions whose rows the test shall expect too; ``moment``: what
    the query shall take for the present, in UTC, where that is to be written down."""

    name: str
    path: str
    model: AssetName
    queries: Mapping[AssetName, str]
    ctes: Sequence[str] = ()
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Sample:
    """Rows of an upstream. ``types``: of its columns, where the warehouse tells."""

    answer: Answer
    types: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Made:
    """``text``: of the file; ``rows``: how many the query gave; ``given``: how many each input has."""

    text: str
    rows: int
    given: Mapping[AssetName, int]


def make(
    request: Request, ask: Callable[[str], Answer], bench: Bench, assets: Mapping[AssetName, Snapshot], parse: Parse
) -> Made:
    """The file of a test that passes. ``ask`` runs a query on the environment.

    Raises:
        Refused: a query can't be run there, or the model doesn't give the same rows twice.
        UnitTestError: a query is given for what the model doesn't read.
        StatementFailed: the model's query fails over these rows.
    """
    samples = {asset: _sample(ask, query) for asset, query in _queries(request, bench).items()}
    columns = _needed(request, samples, bench, parse)
    given = _text(request, samples, columns, {})
    results = _results(bench, request, parse(request.path, given)[0])
    text = _text(request, samples, columns, results)
    outcome = run_one(parse(request.path, text)[0], bench, assets)
    if outcome.verdict is not Verdict.PASSED:
        raise Refused(
            f"{request.model} gives other rows each time it is run over the same ones",
            asset=request.model,
            hint="take out what is random, or write the test by hand, with partial: true",
        )
    return Made(text, len(results[QUERY][1]), {a: len(s.answer.rows) for a, s in samples.items()})


def _stub(request: Request) -> UnitTest:
    nowhere = Where(Path(request.path))
    inputs = {asset: Fixture(nowhere) for asset in request.queries}
    return UnitTest(request.name, request.path, nowhere, request.model, inputs, None, {})


def _queries(request: Request, bench: Bench) -> dict[AssetName, str]:
    reads = [AssetName(r) for r in bench.reads(_stub(request))]
    for asset in request.queries:
        if asset not in reads:
            listed = ", ".join(reads) or "nothing"
            raise UnitTestError(f"{request.model} doesn't read {asset}", hint=f"it reads {listed}")
    return {r: request.queries.get(r, f"from {r} limit {DEFAULT_ROWS}") for r in reads}


def _sample(ask: Callable[[str], Answer], query: str) -> _Sample:
    answer = ask(query)
    try:
        described = ask(f"describe {query}")
    except AnabranchError:  # an engine that doesn't describe queries; then values tell their types
        return _Sample(answer, {})
    return _Sample(answer, {str(row[0]): str(row[1]) for row in described.rows})


def _needed(
    request: Request, samples: Mapping[AssetName, _Sample], bench: Bench, parse: Parse
) -> dict[AssetName, Mapping[str, str]]:
    """The types that have to be written down, because neither the values nor the project tell them."""
    everything: dict[AssetName, Mapping[str, str]] = {a: s.types for a, s in samples.items()}
    try:
        (test,) = parse(request.path, _text(request, samples, {}, {}))
        found = bench.answer(_unchecked(test)).types
    except (UnitTestError, StatementFailed):
        return everything
    needed: dict[AssetName, Mapping[str, str]] = {}
    for asset, types in everything.items():
        loaded = {n.lower(): kind for n, kind in found[asset].items()}
        needed[asset] = {n: kind for n, kind in types.items() if loaded.get(n.lower()) != kind}
    return needed


def _unchecked(test: UnitTest, ctes: Sequence[str] = ()) -> UnitTest:
    return replace(test, query=Fixture(test.where), ctes={name: Fixture(test.where) for name in ctes})


Results = Mapping[str, tuple[tuple[str, ...], Sequence[Sequence[object]]]]
"""Columns and rows, by :data:`QUERY` or the expression's name."""


def _results(bench: Bench, request: Request, test: UnitTest) -> Results:
    answers = bench.answer(_unchecked(test, request.ctes))
    return {c.name: (c.got.columns, c.got.rows) for c in answers.checked}


def _text(
    request: Request,
    samples: Mapping[AssetName, _Sample],
    columns: Mapping[AssetName, Mapping[str, str]],
    results: Results,
) -> str:
    lines = [f"{request.name}:", f"  model: {request.model}"]
    if samples:
        lines.append("  inputs:")
    for asset, sample in samples.items():
        lines.append(f"    {asset}:")
        types = columns.get(asset, {})
        if types:
            lines.append(f"      columns: {spell(types)}")
        lines += spell_rows(sample.answer.columns, sample.answer.rows, 6)
    lines.append("  outputs:")
    if len(results) > 1:
        lines.append("    ctes:")
        for name in request.ctes:
            lines += [f"      {spell(name)}:", *spell_rows(*results[name], 8)]
    lines += ["    query:", *spell_rows(*results.get(QUERY, ((), ())), 6)]
    if request.moment is not None:
        lines += ["  vars:", f"    execution_time: {spell(naive(request.moment).replace(microsecond=0))}"]
    return "\n".join([*lines, ""])
