"""Audits of tables and views: each a query over the rows, run where they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from anabranch.domain.audit import Audit, Finding
from anabranch.domain.snapshot import Definition
from anabranch.errors import AnabranchError
from anabranch.providers.making import Maker
from anabranch.providers.turns import new_rows

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
        rows = {snapshot.asset: new_rows(maker.session, maker.turns, own)} if own is not None else {}
        spans = maker.work.spans
        return asking.query((spans[0][0], spans[-1][1]) if spans else (0, max(1, maker.work.now)), rows)
