"""Audits of tables and views: each a query over the rows, run where they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.content import Write
from anabranch.domain.snapshot import Definition
from anabranch.errors import AnabranchError
from anabranch.ports.engine import Relation, Session, quoted
from anabranch.ports.provider import Staged
from anabranch.providers.generations import column_names, fresh, name
from anabranch.providers.making import Maker
from anabranch.providers.standing import relation
from anabranch.sql import writing

SHOWN = 5
"""So many of the rows that fail are shown."""


@dataclass(frozen=True, slots=True)
class TableAudit:
    """The audits of one snapshot, in one session. ``maker``: with the snapshot, what its audits read, and all that is
    staged."""

    maker: Maker

    def run(self, audit: Audit) -> Finding:
        """Raises ``AnabranchError``, which names the audit."""
        began = time.perf_counter()
        session = self.maker.session
        try:
            query = self._query(audit)
            found = session.query(query, SHOWN + 1)
            count = len(found.rows)
            if count > SHOWN:
                counted = session.query(f"SELECT COUNT(*) FROM (\n{query}\n) AS anabranch_failing").rows
                count = int(str(counted[0][0]))
        except AnabranchError as error:
            error.message = f"the audit {audit} can't be run: {error.message}"
            error.args = (error.message,)
            raise
        rows = tuple(tuple(row) for row in found.rows[:SHOWN])
        return Finding(audit, count, found.columns if rows else (), rows, time.perf_counter() - began)

    def _query(self, audit: Audit) -> str:
        """With the rows to audit in the place of the model's name, and the rest as the environment has it."""
        maker = self.maker
        snapshot = maker.snapshot
        own = maker.staged.get(snapshot.asset)
        others = {a: s for a, s in maker.staged.items() if a != snapshot.asset}
        said = snapshot.definition
        definition = Definition(audit.query, said.dialect, said.path, said.rules, audit.template)
        asking = replace(
            maker,
            snapshot=replace(snapshot, definition=definition),
            inputs={**maker.inputs, snapshot.asset: snapshot},
            staged=others,
        )
        rows = {snapshot.asset: _new_rows(maker.session, own)} if own is not None else {}
        spans = maker.work.spans
        return asking.query((spans[0][0], spans[-1][1]) if spans else (0, max(1, maker.work.now)), rows)


def _new_rows(session: Session, staged: Staged) -> str:
    """The rows of a generation that stands beside its table."""
    place: Relation = relation(staged.snapshot.location)
    beside = fresh(place, staged.number)
    table = name(session, beside)
    if staged.generation.write is not Write.KEYS:
        return table
    columns = [c for c in column_names(session, beside) if c != writing.MARK]
    return f"(SELECT {writing.column_list(columns)} FROM {table} WHERE {quoted([writing.MARK])})"
