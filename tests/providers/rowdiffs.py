"""What the tests of compared rows share."""

from typing import Any

from anabranch.engines.duckdb import DuckDBSession
from anabranch.ports.engine import Relation, Session
from anabranch.ports.rows import RowDiff, RowOptions
from anabranch.providers import comparing

BEFORE, AFTER = Relation("main", "before"), Relation("main", "after")


class Bench:
    def __init__(self, session: DuckDBSession) -> None:
        self.session = session

    def diff(self, before: str, after: str, *keys: str, sample: int = 5, **options: Any) -> RowDiff:
        """Of what two queries return."""
        self.session.drop([BEFORE, AFTER])
        self.session.create_table(BEFORE, before)
        self.session.create_table(AFTER, after)
        return compare(self.session, RowOptions(keys=keys, sample=sample, **options))


def compare(session: Session, asked: RowOptions) -> RowDiff:
    """What stands there as before and after."""
    before, after = session.describe(BEFORE), session.describe(AFTER)
    assert before is not None
    assert after is not None
    return comparing.compare(session, before, after, asked, "duckdb")


def values(columns: str, *rows: str) -> str:
    return f"SELECT * FROM (VALUES {', '.join(f'({r})' for r in rows)}) AS t({columns})"


def figures(found: RowDiff) -> tuple[object, ...]:
    return found.by, found.added, found.removed, found.changed, found.common, found.same


def differing(found: RowDiff) -> dict[str, int | None]:
    return {c.name: c.differing for c in found.differing}
