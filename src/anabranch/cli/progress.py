"""Progress: one line for each build; on a terminal with a bar, elsewhere plain."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from anabranch.app import events
from anabranch.cli import audits
from anabranch.cli.text import count, seconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.progress import Progress, TaskID

    from anabranch.domain.audit import Finding
    from anabranch.domain.names import AssetName

MOST = 50
"""Builds that get a line each; beyond, only the bar moves, and without a terminal every hundredth is told."""


class Reporter:
    """Listens to a plan being applied. Quiet where the answer is JSON."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._total = 0
        self._done = 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, total: int) -> None:
        """``total`` builds are about to begin."""
        self._total, self._done = total, 0
        if self._quiet or not total or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (
            TextColumn("  building"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def end(self) -> None:
        """The bar goes; the lines stay."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, event: events.Event) -> None:
        if self._quiet:
            return
        match event:
            case events.BuildBegan(asset=asset):
                if self._bar is not None and self._task is not None:
                    self._bar.update(self._task, description=asset)
            case events.BuildEnded(asset=asset, built=built, reused=reused):
                self._advance()
                if self._total <= MOST:
                    rows = "" if built.rows is None else f"{built.rows:>12,} rows"
                    mark, took = ("=", "reused") if reused else ("✓", seconds(built.seconds))
                    self._say(f"  {click.style(mark, fg='green')} {asset:<32}{rows:<18}{took:>8}")
                elif self._bar is None and self._done % 100 == 0:
                    self._say(f"  {self._done:,} of {self._total:,}")
            case events.BuildKept(asset=asset):
                self._advance()
                if self._total <= MOST:
                    self._say(f"  {click.style('=', fg='green')} {asset:<32}reused: same data")
            case events.BuildBroke(asset=asset):
                self._advance()
                self._say(f"  {click.style('✗', fg='red')} {asset}")
            case events.BuildSkipped(asset=asset, because=because):
                self._advance()
                self._say(f"  {click.style('–', fg='yellow')} {asset:<32}skipped: reads {because}")
            case events.Audited(asset=asset, findings=findings, seconds=took):
                self._audited(asset, findings, took)
            case events.Waiting(what=what, holder=holder):
                self._say(f"  … {what} is being built by {holder}: waiting")
            case events.Pointed(moved=moved, seconds=took, gone=gone):
                self.end()
                what = f"{count(moved, 'view')} {'removed' if gone else 'repointed'}"
                self._say(f"  {click.style('✓', fg='green')} {what:<50}{seconds(took):>8}")
            case events.HooksRan(what=what, number=number, seconds=took):
                told = f"{what}: {count(number, 'statement')}"
                self._say(f"  {click.style('✓', fg='green')} {told:<50}{seconds(took):>8}")
            case events.Healed(environment=environment, action=action, forward=forward):
                how = "had been published, and was carried forward" if forward else "was ended; its builds are kept"
                self._say(f"an interrupted {action} of {environment} {how}")

    def _audited(self, asset: AssetName, findings: Sequence[Finding], took: float) -> None:
        """The rows that fail an audit which blocks are told by the error that ends the plan."""
        bad = [f for f in findings if not f.passed]
        if any(f.blocks for f in bad):
            blocking = sum(f.blocks for f in bad)
            self._say(
                f"  {click.style('✗', fg='red')} {asset:<32}{blocking:>12,} of {count(len(findings), 'audit')} failed"
            )
        elif bad:
            self._say(f"  {click.style('!', fg='yellow')} {asset}")
        elif self._total <= MOST:
            self._say(f"  {click.style('✓', fg='green')} {asset:<32}{_passed(len(findings)):<18}{seconds(took):>8}")
        for finding in bad:
            if not finding.blocks:
                for line in audits.lines(finding, indent=6):
                    self._say(line)

    def _advance(self) -> None:
        self._done += 1
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)

    def _say(self, line: str) -> None:
        if self._bar is not None:
            self._bar.console.print(line, highlight=False, markup=False)
        else:
            click.echo(line, err=True)


def _passed(number: int) -> str:
    return f"{number:>12,} audit{'s' if number != 1 else ''} passed"
