"""A session on BigQuery: statements, the catalog, tables and views. There is no connection to hold: sessions of one
engine share a client, and several statements of one session may be under way at a time."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from anabranch.engines.arrow import ROWS, require_arrow
from anabranch.engines.bigquery import rows as bigquery_rows
from anabranch.engines.bigquery.catalog import CLONE_DEPTH, BigQueryCatalog
from anabranch.engines.bigquery.errors import errors, failed
from anabranch.engines.bigquery.jobs import PAGE, REQUEST
from anabranch.engines.bigquery.sql import cloning, hashing, kind, labels, pointing
from anabranch.engines.common import merging, signed
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import PLAIN, Cloning
from anabranch.ports.engine import ArrowStream, Grant, Relation, Result

_QUERY = re.compile(r"SELECT\b|WITH\b|\(", re.IGNORECASE)
_WHOLE = re.compile(r"\bORDER\s+BY\b|\bRECURSIVE\b|;", re.IGNORECASE)
"""What of a query may mean something else, or nothing, in another: an order is lost there."""


class BigQuerySession(BigQueryCatalog):
    """See :class:`anabranch.ports.engine.Session`."""

    # -- statements ------------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        self._labels = labels(about)

    def execute(self, statement: str) -> None:
        self._guard(statement)
        self._jobs.run(statement, self._labels)

    def query(self, statement: str, most: int | None = None) -> Result:
        self._guard(statement)
        return self._ask(statement, most)

    def _ask(self, statement: str, most: int | None = None) -> Result:
        plain = statement.strip().rstrip(";")
        if most and _QUERY.match(plain) and not _WHOLE.search(plain):
            # BigQuery answers when it has all rows; it stops early only where it is told how many are wanted
            statement = f"SELECT * FROM (\n{plain}\n) LIMIT {int(most)}"
        page = PAGE if most is None else max(1, min(most, PAGE))
        _, found = self._jobs.run(statement, self._labels, page, most or None)
        with errors(self._place):
            rows = [] if most == 0 else [tuple(row[i] for i in range(len(row))) for row in found]
        return Result(tuple(field.name for field in found.schema), rows)

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        job = self._jobs.look_at(query)
        if job.statement_type != "SELECT" or not job.schema:
            self.refuse(f"describe what is no query ({job.statement_type})")
        return tuple((field.name, kind(field)) for field in job.schema)

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        require_arrow(self._place)
        self._guard(query)
        _, found = self._jobs.run(query, self._labels, rows or ROWS)
        return bigquery_rows.stream(found, self._place)

    def _guard(self, statement: str) -> None:
        """BigQuery has no sessions that only read: it is asked beforehand what a statement is."""
        if self._read_only:
            told = self._jobs.look_at(statement).statement_type
            if told != "SELECT":
                self._require_writing(f"run a statement of the kind {told}")

    # -- schemas ---------------------------------------------------------------------------------------------------
    def create_schemas(self, schemas: Collection[str]) -> None:
        from google.cloud.bigquery import Dataset

        self._require_writing("make datasets")

        def make(schema: str) -> None:
            dataset = Dataset(self._dataset(schema))
            dataset.location = self._location
            with errors(self._place):
                self._client.create_dataset(dataset, exists_ok=True, retry=self._jobs.retry, timeout=REQUEST)

        self._together(make, sorted(schemas))

    def drop_schemas(self, schemas: Collection[str]) -> None:
        self._require_writing("drop datasets")

        def drop(schema: str) -> None:
            with errors(self._place):
                self._client.delete_dataset(
                    self._dataset(schema),
                    delete_contents=False,
                    not_found_ok=True,
                    retry=self._jobs.retry,
                    timeout=REQUEST,
                )

        for schema in sorted(s for s in schemas if self._identifiers.takes_schema(s)):
            try:
                drop(schema)
            except StatementFailed as failure:
                if failure.kind != "resourceInUse":  # it isn't empty
                    raise

    # -- tables and views ------------------------------------------------------------------------------------------
    def create_table(self, table: Relation, query: str) -> int:
        self.execute(f"CREATE TABLE {self.named(table)} AS {query}")
        return self._rows(table)

    def create_materialized_view(self, view: Relation, query: str) -> None:
        self.execute(f"CREATE MATERIALIZED VIEW {self.named(view)} AS {query}")

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        require_arrow(self._place)
        self._require_writing(f"load rows into {table}")
        if self._table(table) is not None:
            raise failed("duplicate", f"Already Exists: Table {table}")
        spare = Relation(table.schema, bigquery_rows.spare_name(), table.catalog)
        loading = bigquery_rows.Loading(self._jobs, self._place, self._location, self._labels)
        return loading.load(self._reference(table), self._reference(spare), columns, parts)

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        def point(pointer: tuple[Relation, Relation | None]) -> None:
            view, target = pointer
            if target is not None:
                self.execute(pointing(self.named(view), self.named(target)))
                return
            try:
                self.execute(f"DROP VIEW IF EXISTS {self.named(view)}")
            except StatementFailed as failure:
                if failure.kind != "notFound":  # nor is its dataset
                    raise

        self._together(point, list(pointers.items()))

    def drop(self, relations: Collection[Relation]) -> None:
        self._require_writing("drop tables")

        def drop(relation: Relation) -> None:
            with errors(self._place):
                self._client.delete_table(
                    self._reference(relation), not_found_ok=True, retry=self._jobs.retry, timeout=REQUEST
                )

        self._together(drop, sorted(r for r in relations if self._is_possible(r)))

    # -- clones and merges -----------------------------------------------------------------------------------------
    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        try:
            statement = cloning(self.named(source), self.named(clone), how)
        except ValueError as wish:
            self.refuse(str(wish))
        table = self._table(source)
        if table is not None and table.table_type not in ("TABLE", "SNAPSHOT"):
            self.refuse(f"clone {source}, which is a {table.table_type.lower().replace('_', ' ')}")
        if table is not None and not how.is_deep and self._depth(table) >= CLONE_DEPTH:
            self.refuse(f"clone {source}, which is a clone of a clone of a clone: it has to be copied (is_deep)")
        self.execute(statement)

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        self.execute(merging(self, table, rows, keys, columns, mark))

    # -- rights ----------------------------------------------------------------------------------------------------
    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        table = self._table(relation) if grants else None
        what = "VIEW" if table is not None and table.table_type == "VIEW" else "TABLE"
        for right in sorted({g.right for g in grants}):
            to = ", ".join(self.grammar.literal(g.grantee) for g in sorted(grants) if g.right == right)
            self.execute(f"GRANT {self.grammar.identifier(right)} ON {what} {self.named(relation)} TO {to}")

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        fields = []
        if columns:
            selected = self.grammar.columns(columns)
            fields = list(self._jobs.look_at(f"SELECT {selected} FROM {self.named(relation)}").schema or ())
        (figures,) = self.query(hashing(self.named(relation), fields)).rows
        return signed([(c, kind(f)) for c, f in zip(columns, fields, strict=True)], figures)

    def _rows(self, table: Relation) -> int:
        """Of a table that was just made."""
        found = self._table(table)
        return self.count(table) if found is None or found.num_rows is None else int(found.num_rows)
