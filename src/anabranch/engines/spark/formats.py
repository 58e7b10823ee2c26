"""What a table is to Spark: Delta or Iceberg. How one is made, cloned and dropped, and what its metadata says."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from anabranch.engines.common import only
from anabranch.engines.spark.errors import is_missing
from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import Cloning, Held, Past
from anabranch.ports.engine import Relation

if TYPE_CHECKING:
    from anabranch.engines.spark.session import SparkSession

_NO_TABLE = ("EXPECT_TABLE_NOT_VIEW", "DELTA_TABLE_ONLY_OPERATION", "DELTA_MISSING_DELTA_TABLE")
"""Kinds that say that a relation is a view, or of another format."""


class Format(Protocol):
    """One table format."""

    @property
    def capabilities(self) -> Mapping[Capability, Support]: ...

    def create(self, session: SparkSession, table: Relation, query: str) -> None:
        """Makes ``table`` from ``query``: wholly, or not at all."""
        ...

    def drop(self, session: SparkSession, table: Relation) -> None:
        """Drops a table, and the files that are its own."""
        ...

    def clone(self, session: SparkSession, source: Relation, clone: Relation, how: Cloning) -> None: ...

    def version(self, session: SparkSession, table: Relation) -> str | None: ...

    def held(self, session: SparkSession, table: Relation) -> Held | None: ...


class Delta:
    """Delta Lake. A shallow clone is a table of its own that reads the source's files until it writes its own.

    Outside Unity Catalog nobody keeps count of who reads a file. A clone breaks when its source is dropped, when VACUUM
    runs on the source after its rows have changed, and when the source is renamed in a catalog that keeps its tables
    in folders of their names, as a Hive metastore does (until it has its name again).
    """

    capabilities: Mapping[Capability, Support] = {
        Capability.CLONE_TABLE: Support.PARTLY,  # it breaks with its source, and a table with rows isn't replaced
        Capability.TIME_TRAVEL: Support.FULL,
    }

    def __init__(self, *, is_databricks: bool = False) -> None:
        """Databricks' own Delta also copies (DEEP), and replaces a table that has rows."""
        self._is_databricks = is_databricks

    def create(self, session: SparkSession, table: Relation, query: str) -> None:
        made = f"CREATE TABLE {session.named(table)} USING delta"
        try:
            session.execute(f"{made} AS {query}")
        except StatementFailed as failure:
            if failure.kind != "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES":
                raise
            # names that Parquet doesn't take: only then, for older readers don't know such tables
            session.execute(f"{made} TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS {query}")

    def drop(self, session: SparkSession, table: Relation) -> None:
        session.execute(f"DROP TABLE IF EXISTS {session.named(table)}")

    def clone(self, session: SparkSession, source: Relation, clone: Relation, how: Cloning) -> None:
        known = ["at", "properties", "location", *(["is_deep", "replace"] if self._is_databricks else [])]
        wish = only(how, *known)
        if wish is not None:
            session.refuse(f"clone {source} with {wish}")
        at = "" if how.at is None else f" {self._past(session, source, how.at)}"
        try:
            session.execute(self.cloning(session, source, clone, how, at))
        except StatementFailed as failure:
            if failure.kind != "DELTA_TIMESTAMP_GREATER_THAN_COMMIT" or how.at is None:
                raise
            latest = self._latest(session, source)
            if latest is None:
                raise
            # since its latest version the source hasn't changed: that is what it was then
            session.execute(self.cloning(session, source, clone, how, f" VERSION AS OF {latest[0]}"))

    def cloning(self, session: SparkSession, source: Relation, clone: Relation, how: Cloning, at: str) -> str:
        """The statement."""
        literal = session.grammar.literal
        properties = ", ".join(f"{literal(k)} = {literal(v)}" for k, v in how.properties.items())
        return (
            f"CREATE {'OR REPLACE ' if how.replace else ''}TABLE {session.named(clone)}"
            f" {'DEEP' if how.is_deep else 'SHALLOW'} CLONE {session.named(source)}{at}"
            f"{f' TBLPROPERTIES ({properties})' if properties else ''}"
            f"{f' LOCATION {literal(how.location)}' if how.location else ''}"
        )

    def _past(self, session: SparkSession, source: Relation, past: Past) -> str:
        if past.statement is not None or past.before:
            session.refuse(f"clone {source} as it was before or at a statement")
        if past.version is not None:
            return f"VERSION AS OF {past.version:d}"
        return f"TIMESTAMP AS OF {session.grammar.literal(moment(past).strftime('%Y-%m-%d %H:%M:%S.%f'))}"

    def _latest(self, session: SparkSession, table: Relation) -> tuple[object, object] | None:
        """Its version and when that was made."""
        try:
            found = session.query(f"DESCRIBE HISTORY {session.named(table)} LIMIT 1")
        except StatementFailed as failure:
            if is_missing(failure) or failure.kind.startswith(_NO_TABLE):
                return None
            raise
        if not found.rows:
            return None
        told = dict(zip(found.columns, found.rows[0], strict=True))
        return told["version"], told["timestamp"]

    def version(self, session: SparkSession, table: Relation) -> str | None:
        latest = self._latest(session, table)
        if latest is None:
            return None
        number, made = latest
        return f"{number}@{made.isoformat() if isinstance(made, datetime) else made}"

    def held(self, session: SparkSession, table: Relation) -> Held | None:
        try:
            found = session.query(f"DESCRIBE DETAIL {session.named(table)}")
        except StatementFailed as failure:
            if is_missing(failure) or failure.kind.startswith(_NO_TABLE):
                return None
            raise
        told = dict(zip(found.columns, found.rows[0], strict=True))
        total = int(str(told["sizeInBytes"]))
        return Held(total, self._own(session, table, str(told["location"])))

    def _own(self, session: SparkSession, table: Relation, location: str) -> int | None:
        """Of a clone: the bytes of the files that it has written itself. Of another table it can't be told, for nobody
        keeps count of its clones."""
        files = session.files(table)
        if files is None:
            return None
        inside = [f for f in files if _path(f).startswith(_path(location) + "/")]
        if len(inside) == len(files):
            return None
        if not inside:
            return 0
        names = ", ".join(session.grammar.literal(f.rsplit("/", 1)[1]) for f in inside)
        found = session.query(
            f"SELECT sum(size) FROM (SELECT DISTINCT _metadata.file_name AS file, _metadata.file_size AS size"
            f" FROM {session.named(table)}) WHERE file IN ({names})"
        )
        return int(str(found.rows[0][0] or 0))


def moment(past: Past) -> datetime:
    """In UTC, which is the sessions' time zone."""
    if past.time is not None:
        return past.time.astimezone(UTC)
    return datetime.now(UTC) - timedelta(seconds=past.seconds or 0)


def _path(url: str) -> str:
    """Of an address of files, what comes after the scheme, decoded: ``file:/a%20b`` and ``file:///a b`` are one."""
    from urllib.parse import unquote

    scheme, colon, rest = url.partition(":")
    return "/" + unquote(rest if colon and "/" not in scheme else url).strip("/")
