"""Statements of Spark SQL, whoever carries them: tables and views, and what a relation holds as one hash."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from anabranch.domain.names import OWN_PREFIX, SEPARATOR, shorten
from anabranch.engines.arrow import Batch, batches, require_arrow
from anabranch.engines.common import CommonSession, merging, signed
from anabranch.engines.retrying import retried
from anabranch.engines.spark.arrow import plain, sliced
from anabranch.engines.spark.catalog import Catalog
from anabranch.engines.spark.connect import Transport
from anabranch.engines.spark.errors import is_conflict, is_missing, is_outpaced
from anabranch.engines.spark.formats import Format
from anabranch.engines.spark.grammar import SPARK
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import PLAIN, Cloning, Held
from anabranch.ports.engine import ArrowStream, Found, Relation, Result

_T = TypeVar("_T")
_R = TypeVar("_R")

_WAITS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0)
"""Seconds before each further attempt, where others write to the same table: who fails is late for one of them."""
_LOOKS = (0.0, 0.1, 0.2, 0.5)
"""Seconds before each further look at what others drop or replace meanwhile."""
_OWN_SCHEMAS = frozenset({"information_schema"})
_READS = re.compile(r"\s*(SHOW|DESCRIBE|DESC|EXPLAIN)\b", re.IGNORECASE)
_EXACT = re.compile(
    r"(boolean|tinyint|smallint|int|bigint|decimal\(.*\)|string|binary|date|timestamp|timestamp_ntz|char\(.*\)"
    r"|varchar\(.*\))\Z"
)
"""Types whose values hash alike only if they are the same."""
_FORMAT = "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"


class SparkSession(CommonSession):
    """See :class:`anabranch.ports.engine.Session`. There are no transactions: each statement commits by itself."""

    engine_name = "Spark"
    grammar = SPARK

    def __init__(
        self, transport: Transport, tables: Format, catalog: Catalog, own_catalog: str, *, guarded: bool = False
    ) -> None:
        """``guarded``: the session must not write. Spark has no such mode: what isn't a query isn't sent."""
        self._transport = transport
        self._format = tables
        self._catalog = catalog
        self.own_catalog = own_catalog
        """Where relations are that name no catalog."""
        self._guarded = guarded

    # -- statements ------------------------------------------------------------------------------------------------
    def qualify(self, relation: Relation) -> Relation:
        """With its catalog, for the first of two parts may be the name of one."""
        return Relation(relation.schema, relation.name, relation.catalog or self.own_catalog)

    def named_schema(self, schema: str) -> str:
        """A schema, quoted."""
        return self.grammar.name(self.own_catalog, schema)

    def tag(self, about: Mapping[str, str]) -> None:
        self._transport.tag(about)

    def execute(self, statement: str) -> None:
        if self._guarded:
            self.refuse("write in a session that only reads")
        retried(lambda: self._transport.execute(statement), is_conflict, waits=_WAITS)

    def query(self, statement: str, most: int | None = None) -> Result:
        guarded = self._guard(statement)
        return retried(lambda: self._transport.query(guarded, most), is_outpaced, waits=_LOOKS)

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        return self._transport.described(query)

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        require_arrow(self.engine_name)
        return self._transport.stream(self._guard(query), rows)

    def _guard(self, statement: str) -> str:
        """Within parentheses only a query can stand."""
        if not self._guarded or _READS.match(statement):
            return statement
        return f"SELECT * FROM (\n{statement.strip().removesuffix(';')}\n)"

    def each(self, call: Callable[[_T], _R], items: Collection[_T]) -> list[_R]:
        """What ``call`` gives for each, several at a time where the transport lets them. All are tried; raises the
        first failure."""
        if len(items) < 2 or self._transport.parallel < 2:
            return [call(item) for item in items]
        with ThreadPoolExecutor(min(self._transport.parallel, len(items))) as pool:
            started = [pool.submit(call, item) for item in items]
        return [future.result() for future in started]

    # -- schemas ---------------------------------------------------------------------------------------------------
    def create_schemas(self, schemas: Collection[str]) -> None:
        for schema in sorted(schemas):
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {self.named_schema(schema)}")

    def drop_schemas(self, schemas: Collection[str]) -> None:
        for schema in sorted(set(schemas) & set(self.schemas())):
            if not self.kinds(schema):
                try:
                    self.execute(f"DROP SCHEMA IF EXISTS {self.named_schema(schema)} RESTRICT")
                except StatementFailed as failure:  # functions, or a table that was made just now
                    if failure.kind not in ("SCHEMA_NOT_EMPTY", "NamespaceNotEmptyException"):
                        raise

    def schemas(self) -> list[str]:
        found = self.query(f"SHOW SCHEMAS IN {self.grammar.identifier(self.own_catalog)}").rows
        return sorted({_unquoted(str(r[0])) for r in found} - _OWN_SCHEMAS)

    # -- tables and views ------------------------------------------------------------------------------------------
    def create_table(self, table: Relation, query: str) -> int:
        self._format.create(self, table, query)
        return self.count(table)

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        require_arrow(self.engine_name)
        if self._guarded:
            self.refuse("write in a session that only reads")
        if self.columns(table) is not None:
            raise StatementFailed(f"{table} is there already", kind="TABLE_OR_VIEW_ALREADY_EXISTS")
        cast = ", ".join(f"CAST({self.grammar.identifier(c)} AS {k}) AS {self.grammar.identifier(c)}"
                         for c, k in columns.items())  # fmt: skip
        spare = Relation(table.schema, shorten(f"{OWN_PREFIX}{SEPARATOR}load_{table.name}"), table.catalog)
        rows, made, waiting = 0, False, None
        try:
            for batch in self._staging(parts):
                if waiting is not None:
                    self._put(spare, waiting, cast, is_new=not made)
                    made = True
                waiting = batch
                rows += batch.num_rows
            if not made:  # all in one statement, which happens wholly or not at all
                self._load(table, waiting, cast, columns)
                return rows
            if waiting is not None:
                self._put(spare, waiting, cast, is_new=False)
            self.rename(spare, table.name)
        except BaseException:
            if made:
                self.drop([spare])
            raise
        return rows

    def _staging(self, parts: Iterable[ArrowStream]) -> Iterable[Batch]:
        for batch in batches(parts):
            yield from sliced(plain(batch), self._transport.most_rows, self._transport.most_bytes)

    def _load(self, table: Relation, batch: Batch | None, cast: str, columns: Mapping[str, str]) -> None:
        if batch is None:
            nothing = ", ".join(f"CAST(NULL AS {k}) AS {self.grammar.identifier(c)}" for c, k in columns.items())
            self._format.create(self, table, f"SELECT {nothing} WHERE false")
            return
        with self._transport.staged(batch) as source:
            self._format.create(self, table, f"SELECT {cast} FROM {source}")

    def _put(self, spare: Relation, batch: Batch, cast: str, *, is_new: bool) -> None:
        if is_new:
            self.drop([spare])  # left by a process that was killed
        with self._transport.staged(batch) as source:
            if is_new:
                self._format.create(self, spare, f"SELECT {cast} FROM {source}")
            else:
                self.execute(f"INSERT INTO {self.named(spare)} SELECT {cast} FROM {source}")

    def rename(self, table: Relation, name: str) -> None:
        new = self.grammar.name(table.schema, name)  # a third part isn't taken everywhere
        self.execute(f"ALTER TABLE {self.named(table)} RENAME TO {new}")

    def drop(self, relations: Collection[Relation]) -> None:
        if not relations:
            return
        if self._guarded:
            self.refuse("write in a session that only reads")
        there = {s: self.kinds(s) for s in {r.schema for r in relations}}
        tables = [r for r in sorted(relations) if there[r.schema].get(self._stored(r.name)) is False]
        views = [r for r in sorted(relations) if there[r.schema].get(self._stored(r.name)) is True]
        self.each(lambda view: self.execute(f"DROP VIEW IF EXISTS {self.named(view)}"), views)
        self.each(lambda table: self._format.drop(self, table), tables)

    def kinds(self, schema: str) -> dict[str, bool]:
        """All relations of a schema, and of each whether it is a view."""
        return self._catalog.kinds(self, schema)

    def _stored(self, name: str) -> str:
        return name.lower() if self._catalog.is_lower else name

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        if self._guarded and pointers:
            self.refuse("write in a session that only reads")
        gone = [view for view, target in pointers.items() if target is None]
        there = {s: self.kinds(s) for s in {v.schema for v in gone}}
        for view in gone:
            if there[view.schema].get(self._stored(view.name)) is False:
                raise StatementFailed(f"{view} is a table, not a view", kind="EXPECT_VIEW_NOT_TABLE")
        known = [v for v in gone if self._stored(v.name) in there[v.schema]]
        shown = {v: t for v, t in pointers.items() if t is not None}
        first = [(v, t) for v, t in shown.items() if t not in shown]
        self.each(lambda pair: self._show(*pair), first)
        for view, target in shown.items():  # those that show other pointers, in their order
            if target in shown:
                self._show(view, target)
        self.each(lambda view: self.execute(f"DROP VIEW IF EXISTS {self.named(view)}"), known)

    def _show(self, view: Relation, target: Relation) -> None:
        self.execute(self._catalog.pointer(self, view, target))

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        found: dict[Relation, Relation | None] = {}
        for schema in sorted(set(schemas)):
            for name, target in self._catalog.targets(self, schema).items():
                own = target is not None and target.catalog == self.own_catalog
                found[Relation(schema, name)] = Relation(target.schema, target.name) if target and own else target
        return found

    # -- what there is ---------------------------------------------------------------------------------------------
    def find(self, schemas: Collection[str]) -> list[Found]:
        found = []
        for schema in sorted(set(schemas)):
            found += self._catalog.find(self, schema)
        return sorted(found, key=lambda f: f.relation)

    def describe(self, relation: Relation) -> Found | None:
        return self._catalog.describe(self, relation)

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        try:
            return self._transport.described(f"SELECT * FROM {self.named(relation)}")
        except StatementFailed as failure:
            if is_missing(failure):
                return None
            raise

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        names = self.grammar.columns(columns)
        found = self._transport.described(f"SELECT {names or '1'} FROM {self.named(relation)}")
        types = [kind for _, kind in found] if columns else []
        values = ", ".join(
            v for c, t in zip(columns, types, strict=True) for v in _hashed(self.grammar.identifier(c), t)
        )
        # Sums, for an xor would cancel two equal rows; a second one with a salt, for one row may well hash to 0.
        salted = f"'anabranch', {values}"
        sums = [f"sum(CAST(xxhash64({v}) AS DECIMAL(38, 0)))" for v in (values, salted)] if values else []
        (row,) = self.query(f"SELECT {', '.join(['count(*)', *sums])} FROM {self.named(relation)}").rows
        return signed(list(zip(columns, types, strict=True)), row)

    # -- what the table format has ---------------------------------------------------------------------------------
    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        self._format.clone(self, source, clone, how)

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        self.execute(merging(self, table, rows, keys, columns, mark))

    def version(self, table: Relation) -> str | None:
        return self._format.version(self, table)

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        wanted = sorted(tables)
        found = self.each(lambda table: self._format.held(self, table), wanted)
        return {t: h for t, h in zip(wanted, found, strict=True) if h is not None}

    def files(self, table: Relation) -> list[str] | None:
        """Of which files a table is read, None where that isn't told."""
        return self._transport.files(f"SELECT * FROM {self.named(table)}")


def _unquoted(name: str) -> str:
    """A schema as SHOW SCHEMAS tells it: in backticks where its name isn't a plain one."""
    return name[1:-1].replace("``", "`") if name.startswith("`") and name.endswith("`") else name


def _hashed(column: str, kind: str) -> list[str]:
    """What of a column goes into a hash. Spark's ``xxhash64`` passes over NULL, in a list too, has one value for 0.0
    and -0.0, and takes no maps. Whether it is NULL comes first, so that no two rows have the same sequence."""
    is_null = f"isnull({column})"
    if _EXACT.match(kind):
        return [is_null, column]
    if kind.startswith("string"):  # with a collation, by which other texts may be equal
        return [is_null, f"CAST({column} AS BINARY)"]
    if kind in ("double", "float"):
        return [is_null, column, f"({column} = 0 AND CAST({column} AS STRING) = '-0.0')"]
    moments, times = SPARK.literal(f"{_FORMAT}XXX"), SPARK.literal(_FORMAT)
    options = f"'ignoreNullFields', 'false', 'timestampFormat', {moments}, 'timestampNTZFormat', {times}"
    return [is_null, f"to_json(named_struct('v', {column}), map({options}))", f"CAST({column} AS STRING)"]
