"""Audits: queries over a model's rows that shall return nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName

TEMPLATE_SCHEME = 1
"""Counts the rules by which templates of audits are made."""


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit of one model, with its arguments put in.

    ``query`` passes where it returns no row. It names the model itself where the rows to audit are meant; all else that
    it names is in ``reads``.
    """

    name: str
    arguments: str
    """As they were written, for people."""
    blocking: bool
    query: str
    reads: tuple[AssetName, ...] = ()
    template: tuple[str, ...] = ()
    """The query with holes for what it reads, text and asset by turns. Derived from ``query``."""

    @property
    def key(self) -> str:
        """What it asks: equal keys are the same audit, however it is called."""
        return digest(canonical([self.blocking, self.query]))

    def said(self) -> list[object]:
        """What of it is part of its snapshot's id."""
        return [self.name, self.arguments, self.blocking, self.query]

    def __str__(self) -> str:
        return f"{self.name}({self.arguments})" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class Finding:
    """What an audit found. ``count``: rows that fail, 0 where it passed; ``rows``: some of them, with ``columns``."""

    audit: Audit
    count: int
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[object, ...], ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.count

    @property
    def blocks(self) -> bool:
        """Whether nothing may point at the rows."""
        return self.audit.blocking and not self.passed


def audited_key(audit: Audit, places: Mapping[AssetName, str]) -> str:
    """What a pass is recorded under: the audit, and where what it reads besides its model stands (``places``)."""
    read = {str(a): places.get(a, "") for a in audit.reads}
    return digest(canonical([audit.key, read]))[:16] if read else audit.key[:16]


def difference(before: Collection[Audit], after: Collection[Audit]) -> str:
    """What changed between two lists of audits, as a phrase; ``""`` where nothing did."""
    old, new = _by_name(before), _by_name(after)
    phrases = []
    for name in sorted({*old, *new}):
        if old.get(name) == new.get(name):
            continue
        what = "is new" if name not in old else "is gone" if name not in new else "changed"
        phrases.append((what, name))
    told = []
    for what in ("is new", "changed", "is gone"):
        names = [n for w, n in phrases if w == what]
        verb = "are" + what.removeprefix("is") if len(names) > 1 and what.startswith("is") else what
        if names:
            told.append(f"audit{'s' if len(names) > 1 else ''} {', '.join(names)} {verb}")
    return "; ".join(told)


def _by_name(audits: Collection[Audit]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for audit in audits:
        found.setdefault(audit.name, []).append(audit.key)
    return {name: sorted(keys) for name, keys in found.items()}


def encode(audit: Audit) -> list[object]:
    """As stored with its snapshot."""
    template = [TEMPLATE_SCHEME, *audit.template]
    return [*audit.said(), [str(r) for r in audit.reads], template]


def decode(raw: Sequence[Any]) -> Audit:
    """The inverse of :func:`encode`. A template made by other rules is left out: it is made again from the query."""
    name, arguments, blocking, query, reads, template = raw
    made = tuple(template[1:]) if template and template[0] == TEMPLATE_SCHEME else ()
    return Audit(name, arguments, blocking, query, tuple(AssetName(r) for r in reads), made)
