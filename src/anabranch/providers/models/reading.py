"""Rows, as they are asked for and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.snapshot import Kind, Snapshot
from anabranch.errors import (
    StatementFailed,
)
from anabranch.ports.engine import Found, Session
from anabranch.ports.provider import (
    Answer,
)
from anabranch.ports.rows import RowDiff, RowOptions
from anabranch.providers.comparing import compare
from anabranch.providers.models.base import Base
from anabranch.providers.standing import relation


class Reading(Base):
    """See :class:`anabranch.ports.provider.Tables`."""

    @property
    def place(self) -> str:
        return self.engine.place

    def size(self) -> int | None:
        return self.engine.size()

    def query(self, text: str, assets: Mapping[AssetName, Snapshot], limit: int | None) -> Answer:
        from anabranch.sql.guard import require_read_only  # needs the parser
        from anabranch.sql.rewrite import render

        require_read_only(text, self.engine.dialect)
        with self._session(read_only=True) as session:
            targets = {
                a: session.qualify(relation(s.location)) for a, s in assets.items() if s.kind is not Kind.EMBEDDED
            }
            embedded = {a: s.definition.text for a, s in assets.items() if s.kind is Kind.EMBEDDED}
            rendered = render(text, self.engine.dialect, targets, embedded, self._default_schema)
            found = session.query(rendered, None if limit is None else limit + 1)
            return Answer(found.columns, tuple(found.rows[:limit]), limit is not None and len(found.rows) > limit)

    def same(self, one: Snapshot, other: Snapshot) -> bool:
        with self._session(read_only=True) as session:
            found = [session.describe(relation(s.location)) for s in (one, other)]
            if found[0] is None or found[1] is None or found[0].columns != found[1].columns:
                return False
            names = [n for n, _ in found[0].columns]
            hashes = [session.content_hash(f.relation, names) for f in found if f is not None]
            return hashes[0] == hashes[1]

    def execute(self, environment: EnvironmentName, statements: Iterable[str]) -> None:
        from anabranch.sql.statements import put_environment  # needs the parser

        with self._session() as session:
            for statement in statements:
                session.execute(put_environment(statement, self.engine.dialect, environment))

    def compare(self, before: Snapshot, after: Snapshot, options: RowOptions) -> RowDiff:
        with self._session(read_only=True) as session:
            old, new = (self._existing(session, s) for s in (before, after))
            return compare(session, old, new, options, self.engine.dialect)

    def _existing(self, session: Session, snapshot: Snapshot) -> Found:
        found = session.describe(relation(snapshot.location))
        if found is None:
            raise StatementFailed(
                f"{snapshot.location} is gone", asset=snapshot.asset, hint="anabranch apply builds it again"
            )
        return found
