"""What audits found, as people and machines see it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from anabranch.cli.text import count, table
from anabranch.domain.audit import Finding
from anabranch.domain.names import AssetName

WIDEST = 40
"""Characters of a value that are shown."""


def lines(finding: Finding, *, indent: int = 4) -> list[str]:
    """An audit that didn't pass: how many rows, and some of them."""
    mark = click.style("✗", fg="red") if finding.blocks else click.style("!", fg="yellow")
    found = [f"{' ' * (indent - 2)}{mark} {finding.audit}: {count(finding.count, 'row')}"]
    if finding.rows:
        cells = [[click.style(c, dim=True) for c in finding.columns]]
        cells += [[_shown(value) for value in row] for row in finding.rows]
        found += table(cells, indent=indent + 2)
    more = finding.count - len(finding.rows)
    return [*found, f"{' ' * (indent + 2)}… and {more:,} more"] if more > 0 else found


def _shown(value: object) -> str:
    text = "NULL" if value is None else " ".join(str(value).split())
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def as_dict(finding: Finding) -> dict[str, object]:
    """For machines."""
    return {
        "audit": finding.audit.name,
        "arguments": finding.audit.arguments,
        "blocking": finding.audit.blocking,
        "passed": finding.passed,
        "count": finding.count,
        "columns": list(finding.columns),
        "rows": [list(row) for row in finding.rows],
        "seconds": round(finding.seconds, 3),
    }


def as_dicts(findings: Sequence[tuple[AssetName, Finding]]) -> list[dict[str, object]]:
    """For machines, each with its asset."""
    return [{"asset": asset, **as_dict(finding)} for asset, finding in findings]
