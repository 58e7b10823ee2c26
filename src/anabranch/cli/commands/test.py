"""anabranch test, anabranch test create"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from anabranch.cli.context import emit, json_option, workspace
from anabranch.cli.text import count
from anabranch.errors import AnabranchError, NotFound, Refused

if TYPE_CHECKING:
    from rich.progress import Progress

    from anabranch.app.unit_tests import Outcome
    from anabranch.app.workspace import Workspace
    from anabranch.bootstrap import UnitTests
    from anabranch.domain.names import AssetName, EnvironmentName

_LONG = 20
"""From so many tests on, a terminal gets a bar."""


class _WithCreate(click.Command):
    """``test create …`` is a command of its own; all else are tests to select."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and args[0] == "create":
            return create.make_context("test create", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([("create", "Make a test of a model from rows that an environment has.")])

    @property
    def commands(self) -> dict[str, click.Command]:
        """As a group has them."""
        return {"create": create}


@click.command("test", cls=_WithCreate, epilog="Example: anabranch test marts.top tests/test_orders.yaml::test_empty")
@click.argument("select", nargs=-1)
@click.option("-k", "pattern", metavar="PATTERN", default=None, help="Only tests with PATTERN in their name.")
@click.option("-x", "--fail-fast", is_flag=True, help="End with the first test that doesn't pass.")
@click.option("-v", "--verbose", is_flag=True, help="Show each test, and more rows.")
@click.option("--junit", type=click.Path(dir_okay=False, path_type=Path), default=None, metavar="FILE",
              help="Write the results to FILE too, as JUnit's XML.")  # fmt: skip
@json_option
@click.pass_context
def command(
    context: click.Context,
    select: tuple[str, ...],
    pattern: str | None,
    junit: Path | None,
    *,
    fail_fast: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Run the unit tests of models: those in tests/, in memory, without the warehouse.

    SELECT is a file, a folder, FILE::TEST, a test's name or a model's; without it, all are run. Exits with 1 where a
    test fails, and with 2 where one can't be run as it stands.
    """
    from anabranch import bootstrap
    from anabranch.app import unit_tests
    from anabranch.cli import unit_report

    began = time.perf_counter()
    with bootstrap.open_unit_tests(Path(context.find_root().obj or ".").resolve()) as opened:
        tests = opened.load(_files(opened, select))
        chosen = unit_tests.select(tests, select, pattern) if tests or select or pattern else []
        bar = _Bar(len(chosen), quiet=as_json)

        def tell(outcome: Outcome) -> None:
            bar.step()
            if not as_json and (verbose or outcome.verdict is not unit_tests.Verdict.PASSED):
                bar.say(unit_report.lines(outcome, verbose=verbose))

        try:
            found = unit_tests.run(chosen, opened.bench, opened.assets, fail_fast=fail_fast, tell=tell)
        finally:
            bar.end()
    took = time.perf_counter() - began
    if junit is not None:
        try:
            unit_report.write_junit(junit, found, took)
        except OSError as error:
            raise Refused(f"{junit} can't be written: {error.strerror}", hint="name another file") from error
    if as_json:
        emit(unit_report.as_dict(found, took))
    else:
        _finish(found, took)
    numbers = unit_tests.tally(found)
    return 2 if numbers[unit_tests.Verdict.MISTAKE] else 1 if numbers[unit_tests.Verdict.FAILED] else 0


def _files(opened: UnitTests, select: Sequence[str]) -> list[str] | None:
    """The files that have to be read, where only files are asked for: a mistake elsewhere doesn't matter then."""
    wanted = [each.partition("::")[0].removeprefix("./") for each in select]
    if not wanted or any(each not in opened.files for each in wanted):
        return None
    return [f for f in opened.files if f in wanted]


def _finish(found: Sequence[Outcome], took: float) -> None:
    from anabranch.cli import unit_report

    if not found:
        click.echo("there are no tests yet\nnext: anabranch test create MODEL")
        return
    for note in dict.fromkeys(f"{o.test.file}:{o.test.where.line}  {n}" for o in found for n in o.notes):
        click.echo(f"note: {note}", err=True)
    click.echo(unit_report.summary(found, took))


class _Bar:
    """On a terminal, where there is much to do; elsewhere nothing."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._bar: Progress | None = None
        if quiet or total < _LONG or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("  testing"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def step(self) -> None:
        if self._bar is not None:
            self._bar.advance(self._task)

    def say(self, lines: Sequence[str]) -> None:
        """On standard output, above the bar."""
        if self._bar is not None:
            self._bar.stop()
        for line in lines:
            click.echo(line)
        if self._bar is not None:
            self._bar.start()

    def end(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@click.command("create", epilog="Example: anabranch test create marts.top -q stg.orders 'from stg.orders where id < 5'")
@click.argument("model")
@click.option("-q", "--query", "queries", nargs=2, multiple=True, metavar="UPSTREAM SQL",
              help="Which rows of UPSTREAM the test gives; by default its first ten.")  # fmt: skip
@click.option("-e", "--env", default=None, help="Where the queries run; by default the current branch's environment.")
@click.option("-n", "--name", default=None, help="The test's name; by default test_ and the model's.")
@click.option("--path", default=None, metavar="FILE", help="The file under tests/; by default it has the test's name.")
@click.option("--ctes", is_flag=True, help="Expect the rows of common table expressions too.")
@click.option("--overwrite", is_flag=True, help="Write the file even if it is there.")
@json_option
@click.pass_context
def create(
    context: click.Context,
    model: str,
    queries: tuple[tuple[str, str], ...],
    env: str | None,
    name: str | None,
    path: str | None,
    *,
    ctes: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Make a test of MODEL from rows that an environment has: what the model gives over them is what the test expects.

    Read it before you commit it: it says what the model does, not what it should do.
    """
    from anabranch import bootstrap
    from anabranch.app.unit_test_making import Request, make

    with (
        workspace(context) as w,
        bootstrap.open_unit_tests(Path(context.find_root().obj or ".").resolve(), w) as opened,
    ):
        asset = _asset(opened, model)
        wanted = {_asset(opened, upstream): query for upstream, query in queries}
        told = name or f"test_{asset.rpartition('.')[2]}"
        file = _file(opened, path or f"{told}.yaml")
        if (opened.root / file).exists() and not overwrite:
            raise Refused(f"{file} exists", hint="add --overwrite, or name another file: --path FILE")
        expressions, moment = _analyse(opened, asset)
        request = Request(told, file, asset, wanted, expressions if ctes else (), moment)
        environment = _environment(w, env)
        made = make(request, lambda q: w.query(environment, q, None), opened.bench, opened.assets, opened.parse)
        _write(opened.root / file, file, made.text)
    if as_json:
        emit({"file": file, "test": told, "model": asset, "environment": environment, "rows": made.rows,
              "inputs": dict(made.given)})  # fmt: skip
        return
    given = ", ".join(f"{count(n, 'row')} of {a}" for a, n in made.given.items()) or "nothing"
    click.echo(f"{file}: {asset} gives {count(made.rows, 'row')} over {given}")
    if not made.rows:
        click.echo("it gives none; choose rows that go together: --query UPSTREAM SQL", err=True)
    click.echo(f"next: read it, then anabranch test {file}")


def _asset(opened: UnitTests, text: str) -> AssetName:
    from anabranch.domain.names import asset_name, nearest

    name = asset_name(text if "." in text else f"{opened.default_schema}.{text}")
    if name not in opened.assets:
        near = nearest(name, sorted(opened.assets))
        raise NotFound(
            f"there is no {name}", hint=f"did you mean {near}?" if near else "anabranch plan --all lists all"
        )
    return name


def _file(opened: UnitTests, path: str) -> str:
    """Below tests/, and named so that it is found."""
    plain = path.removeprefix("./").removeprefix("tests/")
    last = plain.rpartition("/")[2]
    inside = (opened.root / "tests" / plain).resolve().is_relative_to((opened.root / "tests").resolve())
    if not inside or not last.startswith("test") or not last.endswith((".yaml", ".yml")):
        raise Refused(f"{path} would not be found as a test", hint="name it test….yaml, under tests/")
    return f"tests/{plain}"


def _environment(w: Workspace, env: str | None) -> EnvironmentName:
    """The one that is named; else the branch's, or the trunk where that isn't there."""
    if env is not None:
        return w.resolve(env)
    if w.here.branch is None:
        return w.rules.trunk
    name = w.resolve(None)
    return name if w.state.environment(name) is not None else w.rules.trunk


def _analyse(opened: UnitTests, asset: AssetName) -> tuple[list[str], datetime | None]:
    """The model's common table expressions; and the present, where its query asks for it."""
    from anabranch.domain.snapshot import PYTHON, Kind
    from anabranch.sql.unit_query import asks_for_present, cte_names

    snapshot = opened.assets[asset]
    if snapshot.kind in (Kind.SEED, Kind.EXTERNAL):
        raise Refused(f"{asset} is no model", asset=asset, hint="a test is of a model")
    present = datetime.now(UTC).replace(microsecond=0)
    if snapshot.definition.dialect == PYTHON:
        return [], present
    stack, seen = [asset], {asset}
    asks = False
    while stack:
        definition = opened.assets[stack.pop()]
        asks = asks or asks_for_present(definition.definition.text, definition.definition.dialect)
        inner = {u for u in definition.upstreams if opened.assets[u].kind is Kind.EMBEDDED} - seen
        seen |= inner
        stack += inner
    names = cte_names(snapshot.definition.text, snapshot.definition.dialect)
    return names, present if asks else None


def _write(path: Path, told: str, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AnabranchError(f"{told} can't be written: {error.strerror}", hint="check who may write there") from error
