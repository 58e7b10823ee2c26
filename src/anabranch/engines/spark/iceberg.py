"""Iceberg tables in Spark: a clone is a second table that begins with the source's metadata."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anabranch.domain.names import OWN_PREFIX, SEPARATOR, shorten
from anabranch.engines.common import only, signed
from anabranch.engines.spark.errors import is_missing
from anabranch.engines.spark.formats import moment
from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import Cloning, Held
from anabranch.ports.engine import Relation

if TYPE_CHECKING:
    from anabranch.engines.spark.session import SparkSession


class Iceberg:
    """Apache Iceberg. A metadata file names every file of a table, so that a second table registered with the same one
    holds the same rows, and goes its own way from there: each commit writes a new metadata file.

    The clone gets a folder of its own and ``gc.enabled = false``, so that it deletes nothing of its source's. It breaks
    when the source is dropped with its files, or when its snapshots expire, for nobody keeps count of who reads a file.
    What the clone has written itself stays when it is dropped. Catalogs that allow a metadata file only once (some REST
    catalogs) refuse it.
    """

    capabilities: Mapping[Capability, Support] = {
        # it breaks with its source, and no table is replaced in the same step; seen with a JDBC catalog alone
        Capability.CLONE_TABLE: Support.PARTLY,
        Capability.TIME_TRAVEL: Support.PARTLY,
    }

    def create(self, session: SparkSession, table: Relation, query: str) -> None:
        session.execute(f"CREATE TABLE {session.named(table)} USING iceberg AS {query}")

    def drop(self, session: SparkSession, table: Relation) -> None:
        """Without PURGE, Spark would leave the files."""
        statement = f"DROP TABLE IF EXISTS {session.named(table)}"
        try:
            session.execute(f"{statement} PURGE")
        except StatementFailed as failure:
            if "GC is disabled" not in failure.message:
                raise
            session.execute(statement)  # a clone, whose files aren't its own

    def clone(self, session: SparkSession, source: Relation, clone: Relation, how: Cloning) -> None:
        wish = only(how, "at", "properties", "location")
        if wish is not None:
            session.refuse(f"clone {source} with {wish}")
        if how.at is not None and (how.at.statement is not None or how.at.before):
            session.refuse(f"clone {source} as it was before or at a statement")
        if session.columns(clone) is not None:
            raise StatementFailed(f"{clone} is there already", kind="TABLE_OR_VIEW_ALREADY_EXISTS")
        file = str(self._metadata(session, source, "metadata_log_entries", "file")[-1][0])
        location = how.location or self._location(session, clone)
        snapshot = None if how.at is None else self._snapshot(session, source, how)
        # under another name until it is all that a clone is: writes go to its own folder, and it deletes nothing
        spare = Relation(clone.schema, shorten(f"{OWN_PREFIX}{SEPARATOR}clone_{clone.name}"), clone.catalog)
        self._unregister(session, spare)
        catalog = session.grammar.identifier(session.qualify(clone).catalog or "")
        address = session.grammar.literal(session.grammar.name(spare.schema, spare.name))
        literal = session.grammar.literal
        try:
            session.execute(
                f"CALL {catalog}.system.register_table(table => {address}, metadata_file => {literal(file)})"
            )
            session.execute(f"ALTER TABLE {session.named(spare)} SET LOCATION {literal(location)}")
            properties = {**how.properties, "gc.enabled": "false"}
            told = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in properties.items())
            session.execute(f"ALTER TABLE {session.named(spare)} SET TBLPROPERTIES ({told})")
            if snapshot is not None:
                session.execute(
                    f"CALL {catalog}.system.set_current_snapshot(table => {address}, snapshot_id => {snapshot})"
                )
            session.rename(spare, clone.name)
        except BaseException:
            self._unregister(session, spare)
            raise

    def _unregister(self, session: SparkSession, table: Relation) -> None:
        """Never with PURGE: its files are the source's."""
        session.execute(f"DROP TABLE IF EXISTS {session.named(table)}")

    def _metadata(self, session: SparkSession, table: Relation, part: str, columns: str) -> list[tuple[object, ...]]:
        """One of the tables that tell of ``table``, in the order of its entries."""
        name = f"{session.named(table)}.{session.grammar.identifier(part)}"
        return [tuple(r) for r in session.query(f"SELECT {columns} FROM {name}").rows]

    def _snapshot(self, session: SparkSession, source: Relation, how: Cloning) -> int:
        """The id of the one that was current then."""
        assert how.at is not None
        if how.at.version is not None:
            return how.at.version
        then = moment(how.at)
        entries = self._metadata(session, source, "history", "made_current_at, snapshot_id")
        found = [n for at, n in entries if at is not None and at <= then]  # type: ignore[operator]
        if not found:
            raise StatementFailed(f"{source} has no snapshot as old as {then:%Y-%m-%d %H:%M:%S}", kind="NoSuchSnapshot")
        return int(str(found[-1]))

    def _location(self, session: SparkSession, clone: Relation) -> str:
        """A folder of its own, where the catalog puts the schema's tables."""
        rows = session.query(f"DESCRIBE SCHEMA {session.named_schema(clone.schema)}").rows
        told = {str(r[0]): str(r[1]) for r in rows}
        if not told.get("Location"):
            session.refuse(f"tell where {clone.schema} keeps its tables: say where the clone's files go")
        plain = re.sub(r"[^A-Za-z0-9_]", "_", clone.name)[:100]
        return f"{told['Location'].rstrip('/')}/{plain}-{uuid.uuid4().hex[:12]}"

    def _properties(self, session: SparkSession, table: Relation) -> dict[str, str] | None:
        try:
            rows = session.query(f"SHOW TBLPROPERTIES {session.named(table)}").rows
        except StatementFailed as failure:
            if is_missing(failure):
                return None
            raise
        return {str(r[0]): str(r[1]) for r in rows}

    def version(self, session: SparkSession, table: Relation) -> str | None:
        snapshot = (self._properties(session, table) or {}).get("current-snapshot-id")
        if snapshot is None:
            return None
        columns = session.columns(table)  # they may change without a snapshot
        return f"{snapshot}@{signed(columns or (), ())[:16]}"

    def held(self, session: SparkSession, table: Relation) -> Held | None:
        properties = self._properties(session, table)
        if properties is None or "current-snapshot-id" not in properties:
            return None
        files = self._metadata(session, table, "files", "file_path, file_size_in_bytes")
        total = sum(int(str(size)) for _, size in files)
        if properties.get("gc.enabled") != "false":
            return Held(total)  # nobody keeps count of its clones
        rows = session.query(f"DESCRIBE TABLE EXTENDED {session.named(table)}").rows
        location = next((str(r[1]) for r in rows if r[0] == "Location"), "")
        own = sum(int(str(size)) for path, size in files if location and str(path).startswith(f"{location}/"))
        return Held(total, own)
