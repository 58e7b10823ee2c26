"""One session with ClickHouse: statements, tables and views.

ClickHouse has no transactions over them. So a table is made under a name that nobody sees, and has its own when it is
whole: by one renaming, which happens or doesn't.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from anabranch.engines.arrow import batches, require_arrow
from anabranch.engines.clickhouse.arrow import cast, in_text, nullable, packed, picked, readable, reader
from anabranch.engines.clickhouse.catalog import OWN_SCHEMAS, SPARE, Catalog
from anabranch.engines.clickhouse.settings import MEANING, assigned
from anabranch.engines.clickhouse.transport import Transport
from anabranch.engines.common import only, signed
from anabranch.errors import StatementFailed, WarehouseError, WarehouseUnavailable
from anabranch.ports.cloning import PLAIN, Cloning
from anabranch.ports.engine import ArrowStream, Relation, Result, Row

_ASIDE = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`(?:[^`\\]|\\.)*`|--[^\n]*|#[! ][^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$",
    re.DOTALL,
)
"""Texts, quoted names and comments."""
_READS = re.compile(r"[\s(]*(SELECT|WITH|FROM|VALUES|SHOW|DESCRIBE|DESC|EXPLAIN|EXISTS)\b", re.IGNORECASE)
_WRITES = re.compile(r"\bINTO\s+OUTFILE\b|\bINSERT\s+INTO\b|;\s*\S", re.IGNORECASE)
_ABANDONED = 3
"""Days after which a table that isn't whole will never be: whoever made it is gone."""


class ClickHouseSession(Catalog):
    """See :class:`anabranch.ports.engine.Session`."""

    def __init__(
        self,
        transport: Transport,
        place: str,
        mark: str,
        settings: Mapping[str, str],
        *,
        guarded: bool = False,
        is_embedded: bool = False,
    ) -> None:
        """``mark``: in the log's comment of all statements, by which they are found. ``settings``: those that the
        transport has. ``guarded``: it must not write."""
        self._transport = transport
        self._place = place
        self._mark = mark
        self._meaning = assigned({k: settings[k] for k in MEANING})
        self._guarded = guarded
        self.is_embedded = is_embedded
        self._about: Mapping[str, str] = {}

    # -- statements ------------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        self._about = dict(about)
        self._transport.set({"log_comment": comment(self._about, self._mark)})

    @contextlib.contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """What runs here isn't stopped."""
        self._transport.set({"log_comment": comment(self._about)})
        try:
            yield
        finally:
            self.tag(self._about)

    def execute(self, statement: str) -> None:
        self._require_query(statement)
        self._transport.run(statement)

    def query(self, statement: str, most: int | None = None) -> Result:
        self._require_query(statement)
        columns, blocks = self._transport.rows(_one(statement))
        rows: list[Row] = []
        for block in blocks:
            rows.extend(block)
            if most is not None and len(rows) >= most:
                self._transport.end()
                break
        return Result(columns or self._names(statement), rows[:most])

    def _names(self, statement: str) -> tuple[str, ...]:
        """The columns of a query that gave no rows, with which ClickHouse gives no names."""
        try:
            return tuple(name for name, _ in self.describe_query(statement))
        except StatementFailed:
            return ()  # it isn't a query

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        self._require_query(query)
        _, blocks = self._transport.rows(f"DESCRIBE (\n{_one(query)}\n)")
        return tuple((str(row[0]), str(row[1])) for block in blocks for row in block)

    def _require_query(self, text: str) -> None:
        """In a session that only reads ClickHouse still writes files. Raises ``StatementFailed``."""
        if not self._guarded:
            return
        told = _ASIDE.sub(" ", text)
        if not _READS.match(told) or _WRITES.search(told):
            raise StatementFailed("only one query can be read, nothing else", kind="READONLY", hint="write one SELECT")

    # -- schemas ---------------------------------------------------------------------------------------------------
    def create_schemas(self, schemas: Collection[str]) -> None:
        for schema in sorted(schemas):
            self.execute(f"CREATE DATABASE IF NOT EXISTS {self.grammar.identifier(schema)}")

    def drop_schemas(self, schemas: Collection[str]) -> None:
        wanted = sorted(set(schemas) & set(self.schemas()) - OWN_SCHEMAS - {"default"})
        if not wanted:
            return
        used = {r.schema for r in self.kinds(wanted)}
        for schema in wanted:
            if schema not in used:
                self._drop_schema(schema)

    def _drop_schema(self, schema: str) -> None:
        """DROP DATABASE drops what is in it. So it is put aside first, where nobody makes anything in it any more."""
        aside, name = (self.grammar.identifier(n) for n in (self._spare(), schema))
        self.execute(f"RENAME DATABASE {name} TO {aside}")
        if self.query(f"SHOW TABLES FROM {aside}").rows:
            self.execute(f"RENAME DATABASE {aside} TO {name}")
        else:
            self.execute(f"DROP DATABASE IF EXISTS {aside}")

    # -- tables ----------------------------------------------------------------------------------------------------
    @staticmethod
    def _spare() -> str:
        return f"{SPARE}{uuid.uuid4().hex[:12]}"

    @contextlib.contextmanager
    def _made(self, table: Relation, *, replace: bool = False) -> Iterator[str]:
        """A name, quoted, under which a table is made within; at the end it has its own. On an error nothing is
        left."""
        there = self.kind(table)
        if there is not None and not replace:
            raise StatementFailed(f"{table} exists already", kind="TABLE_ALREADY_EXISTS")
        if not self.is_embedded and not self._guarded:
            self.sweep(table.schema)
        relation = Relation(table.schema, self._spare())
        spare = self.named(relation)
        try:
            yield spare
            if there is None:
                self._rename(relation, table)
            else:
                self.execute(f"EXCHANGE TABLES {spare} AND {self.named(table)}")
        except BaseException:
            self._forget(spare)
            raise
        if there is not None:
            self._forget(spare)

    def _rename(self, old: Relation, new: Relation) -> None:
        try:
            self.execute(f"RENAME TABLE {self.named(old)} TO {self.named(new)}")
        except WarehouseUnavailable:  # it may have been done, and the answer lost
            found = self.kinds([old.schema], [old.name, new.name])
            if old in found or new not in found:
                raise

    def _forget(self, spare: str) -> None:
        with contextlib.suppress(WarehouseError), self._undisturbed():
            self.execute(f"DROP TABLE IF EXISTS {spare}")

    def sweep(self, schema: str | None = None) -> None:
        """Drops what processes left that were killed at work: tables of some days ago in one schema; or all of it,
        where there is no other process."""
        old = f"metadata_modification_time < now() - INTERVAL {_ABANDONED} DAY"
        left = self.left_over("1" if schema is None else f"database = {self.grammar.literal(schema)} AND {old}")
        for relation in left:
            if schema is None or relation.name.startswith(SPARE):
                self.execute(f"DROP TABLE IF EXISTS {self.named(relation)}")
        spare = [s for s in self._schemas() if s.startswith(SPARE)] if schema is None else []
        used = {r.schema for r in self.kinds(spare)} if spare else set()
        for each in spare:
            if each not in used:
                self.execute(f"DROP DATABASE IF EXISTS {self.grammar.identifier(each)}")

    def create_table(self, table: Relation, query: str) -> int:
        with self._made(table) as spare:
            self.execute(f"CREATE TABLE {spare} EMPTY AS {_one(query)}")
            self.execute(f"INSERT INTO {spare} {_one(query)}")
        return self.count(table)

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        require_arrow(self._place)
        columns = self.describe_query(query)
        schema, found = self._transport.arrow(readable(_one(query), columns, self.grammar))
        stream: ArrowStream = reader(schema, found, columns, rows)
        return stream

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        require_arrow(self._place)
        kinds = {name: nullable(kind) for name, kind in columns.items()}
        declared = ", ".join(f"{self.grammar.identifier(c)} {kind}" for c, kind in kinds.items())
        rows, known = 0, dict[object, tuple[str, str]]()
        with self._made(table) as spare:
            self.execute(f"CREATE TABLE {spare} ({declared})")
            for part in batches(parts):
                batch = picked(part, kinds)
                if batch.schema not in known:
                    known[batch.schema] = self._casts(packed(batch.schema.empty_table()), kinds)
                into = f"{spare} ({self.grammar.columns(kinds)})"
                self._transport.insert(into, *known[batch.schema], packed(batch))
                rows += batch.num_rows
        return rows

    def _casts(self, nothing: bytes, kinds: Mapping[str, str]) -> tuple[str, str]:
        """What is selected of a stream of Arrow to have these ``kinds``, and its columns as ClickHouse reads them."""
        found = self.query(f"DESCRIBE TABLE format(ArrowStream, {in_text(nothing)})").rows
        said = [(self.grammar.identifier(str(row[0])), str(row[1])) for row in found]
        casts = [cast(c, t, kind, self.grammar) for (c, t), kind in zip(said, kinds.values(), strict=True)]
        return ", ".join(casts), ", ".join(f"{c} {t}" for c, t in said)

    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        """Not by CLONE AS, which is two steps inside, and which makes an empty table of a replicated one."""
        if only(how, "replace", "is_deep"):
            self.refuse(f"clone {source} so: {only(how, 'replace', 'is_deep')}")
        name = self.named(source)
        with self._made(clone, replace=how.replace) as spare:
            self.execute(f"CREATE TABLE {spare} AS {name}")
            if how.is_deep:
                self.execute(f"INSERT INTO {spare} SELECT * FROM {name}")
            else:
                self.execute(f"ALTER TABLE {spare} ATTACH PARTITION ALL FROM {name}")

    def rename(self, table: Relation, name: str) -> None:
        self._rename(table, Relation(table.schema, name))

    def swap(self, one: Relation, other: Relation) -> None:
        self.execute(f"EXCHANGE TABLES {self.named(one)} AND {self.named(other)}")

    def drop(self, relations: Collection[Relation]) -> None:
        there = self.kinds({r.schema for r in relations}, {r.name for r in relations}) if relations else {}
        for relation in sorted(r for r in relations if r in there):
            what = {"View": "VIEW", "Dictionary": "DICTIONARY"}.get(there[relation], "TABLE")
            self.execute(f"DROP {what} IF EXISTS {self.named(relation)}")

    # -- views -----------------------------------------------------------------------------------------------------
    def create_view(self, view: Relation, query: str) -> None:
        """With the settings that decide its meaning: it is read in sessions that have others."""
        self._view(view, f"SELECT * FROM (\n{_one(query)}\n) SETTINGS {self._meaning}", self.kind(view))

    def _view(self, view: Relation, query: str, there: str | None) -> None:
        """CREATE OR REPLACE VIEW would replace a table too."""
        self._require_view(view, there)
        self.execute(f"CREATE {'OR REPLACE ' if there else ''}VIEW {self.named(view)} AS {query}")

    @staticmethod
    def _require_view(view: Relation, there: str | None) -> None:
        if there not in (None, "View"):
            raise StatementFailed(f"{view} is a table ({there}), not a view", kind="TABLE_ALREADY_EXISTS")

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        there = self.kinds({v.schema for v in pointers}) if pointers else {}
        for view in pointers:
            self._require_view(view, there.get(view))
        for view, target in pointers.items():
            if target is not None:
                self._view(view, f"SELECT * FROM {self.named(target)}", there.get(view))
            elif view in there:
                self.execute(f"DROP VIEW IF EXISTS {self.named(view)}")

    # -- content ---------------------------------------------------------------------------------------------------
    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        name, listed = self.named(relation), self.grammar.columns(columns)
        kinds = self.describe_query(f"SELECT {listed} FROM {name}") if columns else ()
        # Each row as bytes that no other row of these types has, hashed in two ways; sums, for the order doesn't count.
        # ClickHouse's hashes of values pass over NULL, and over where one value ends and the next begins.
        row = f"formatRow('RowBinary', {listed})" if columns else "''"
        (figures,) = self.query(
            f"SELECT count(), sum(cityHash64(r)), sum(xxh3(r)) FROM (SELECT {row} AS r FROM {name})"
        ).rows
        return signed(kinds, figures)


def comment(about: Mapping[str, str], mark: str = "") -> str:
    """What the server's log says of a statement, in ``log_comment``."""
    return json.dumps({**about, "session": mark} if mark else dict(about))


def _one(query: str) -> str:
    """A query without what ends it, to stand within another."""
    return query.rstrip().rstrip(";")
