"""What is asked of tables: clones of them, and their rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from anabranch.domain.content import Content
from anabranch.domain.ids import canonical, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import clone_location
from anabranch.domain.snapshot import Snapshot
from anabranch.errors import ModelError, Refused, StatementFailed
from anabranch.ports.clones import Merging, Weight
from anabranch.ports.cloning import Held
from anabranch.ports.provider import (
    Answer,
    Built,
    Staged,
)
from anabranch.ports.rows import By, ColumnDiff, RowDiff, RowOptions
from anabranch.providers.memory.base import Base
from anabranch.providers.memory.world import Table


class Reading(Base):
    """See :class:`anabranch.ports.clones.Clones` and :class:`anabranch.ports.provider.Tables`."""

    @property
    def place(self) -> str:
        return "memory"

    def size(self) -> int | None:
        return None

    def sizes(self, snapshots: Collection[Snapshot]) -> dict[str, Held]:
        return {}

    def query(self, text: str, assets: Mapping[AssetName, Snapshot], limit: int | None) -> Answer:
        """A query is the name of one asset, and tells its value."""
        snapshot = assets.get(AssetName(text))
        if snapshot is None:
            raise ModelError(f"there is no asset {text}", hint="a query in memory is an asset's name")
        with self.world.lock:
            table = self.world.tables.get(snapshot.location)
        if table is None:
            raise StatementFailed(f"{snapshot.location} isn't there", asset=snapshot.asset)
        rows = ((table.value,),)
        return Answer(("value",), rows if limit is None else rows[:limit], limit is not None and len(rows) > limit)

    def execute(self, environment: EnvironmentName, statements: Iterable[str]) -> None:
        """A statement is ``load LOCATION VALUE``, as :meth:`World.load`; all others fail."""
        for statement in statements:
            words = statement.replace("@this_env", environment).split()
            if len(words) != 3 or words[0] != "load":
                raise StatementFailed(f"this is no statement: {statement}", kind="ParserException")
            self.world.load(words[1], words[2])

    def compare(self, before: Snapshot, after: Snapshot, options: RowOptions) -> RowDiff:
        """A table has one value, which is taken for that of one row."""
        with self.world.lock:
            old, new = self.world.tables[before.location], self.world.tables[after.location]
        changed = int(old.value != new.value)
        columns = (ColumnDiff("value", "text", "text", differing=changed),)
        return RowDiff(old.rows, new.rows, By.KEY, (), 0, 0, changed, 1, not changed, columns)

    def revision(self) -> str | None:
        with self.world.lock:
            return str(self.world.changes)

    # -- clones --------------------------------------------------------------------------------------------------------
    def copies_clone(self, depth: int) -> bool:
        return False

    def clone_location(self, environment: EnvironmentName, asset: AssetName, identifier: str) -> str:
        return clone_location(str(asset).replace(".", f"__{environment}.", 1), identifier)

    def weigh(self, source: Snapshot, *, past: bool = False, is_copy: bool = False) -> Weight:
        if past:
            raise Refused(f"{source.asset} can't be cloned as it was earlier", asset=source.asset)
        return Weight()

    def tokens(self, clones: Collection[Snapshot]) -> dict[str, str]:
        with self.world.lock:
            found = {s.location: self.world.tables.get(s.location) for s in clones}
        return {location: token(table) for location, table in found.items() if table is not None}

    def own_bytes(self, clones: Collection[Snapshot]) -> dict[str, int]:
        return {}

    def weigh_merge(self, clone: Snapshot, made: Built) -> Merging:
        return Merging(why="clones in memory stay there", hint="give it up: anabranch clone --reset")

    def stage_merge(self, source: Snapshot, clone: Snapshot, made: Built, content: Content, now: int) -> Staged:
        raise Refused("clones in memory stay there", asset=source.asset)

    def check_return(self, source: Snapshot, content: Content, to: int) -> None:
        return None


def token(table: Table) -> str:
    return digest(canonical([table.value, [list(c) for c in table.columns]]))
