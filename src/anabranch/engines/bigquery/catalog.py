"""What BigQuery says of its datasets, tables and views, and who may read them. Catalogs are read by a query for each
dataset, single tables by a request, which is quicker and costs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar, cast

from anabranch.engines.bigquery.errors import errors, failed
from anabranch.engines.bigquery.jobs import REQUEST, Jobs
from anabranch.engines.bigquery.sql import GRAMMAR, MARKED, clone_base, kind, pointed
from anabranch.engines.common import CommonSession
from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Identifiers
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Found, Grant, Relation, Result

if TYPE_CHECKING:
    from google.cloud.bigquery import DatasetReference, Table, TableReference

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")

CLONE_DEPTH = 3
"""So many clones and snapshots stand on one another at most."""
_HELD = ("TABLE", "SNAPSHOT", "MATERIALIZED_VIEW")
_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]*\Z")


class BigQueryCatalog(CommonSession):
    """The part of a session that asks."""

    engine_name = "BigQuery"
    grammar = GRAMMAR

    def __init__(
        self,
        jobs: Jobs,
        project: str,
        place: str,
        location: str,
        identifiers: Identifiers,
        connections: int,
        *,
        read_only: bool = False,
    ) -> None:
        self._jobs = jobs
        self._client = jobs.client
        self._project = project
        self._place = place
        self._location = location
        self._identifiers = identifiers
        self._connections = connections
        self._read_only = read_only
        self._labels: dict[str, str] = {}

    def qualify(self, relation: Relation) -> Relation:
        """With its project: a query is resolved in the one that it is billed to, a view in its own."""
        return Relation(relation.schema, relation.name, relation.catalog or self._project)

    def schemas(self) -> list[str]:
        with errors(self._place):
            found = self._client.list_datasets(self._project, retry=self._jobs.retry, timeout=REQUEST)
            return sorted(str(d.dataset_id) for d in found)

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        def read(schema: str) -> dict[Relation, Relation | None]:
            views, options = (self.grammar.name(self._project, schema) + f".INFORMATION_SCHEMA.{n}" for n in
                              ("VIEWS", "TABLE_OPTIONS"))  # fmt: skip
            found = self._catalogued(
                f"SELECT v.table_name, v.view_definition, o.option_value FROM {views} AS v LEFT JOIN {options} AS o"
                " ON o.table_name = v.table_name AND o.option_name = 'labels'"
            )
            return {Relation(schema, str(v)): self._pointed(str(text), str(told)) for v, text, told in found}

        found: dict[Relation, Relation | None] = {}
        for each in self._together(read, self._asked(schemas)):
            found |= each
        return found

    def _pointed(self, query: str, labels: str) -> Relation | None:
        told = pointed(query) if MARKED in labels else None
        if told is None:
            return None
        project, dataset, table = told
        return Relation(dataset, table, None if project == self._project else project)

    def find(self, schemas: Collection[str]) -> list[Found]:
        return [found for each in self._together(self._found, self._asked(schemas)) for found in each]

    def _found(self, schema: str) -> list[Found]:
        tables, views, columns = (self.grammar.name(self._project, schema) + f".INFORMATION_SCHEMA.{n}" for n in
                                  ("TABLES", "VIEWS", "COLUMNS"))  # fmt: skip
        described: dict[str, tuple[bool, str, list[tuple[str, str]]]] = {}
        for name, told, definition, column, kind_ in self._catalogued(
            "SELECT t.table_name, t.table_type, IF(c.ordinal_position = 1, v.view_definition, NULL), c.column_name,"
            f" c.data_type FROM {tables} AS t LEFT JOIN {views} AS v ON v.table_name = t.table_name"
            f" LEFT JOIN {columns} AS c ON c.table_name = t.table_name AND c.is_hidden = 'NO'"
            " ORDER BY t.table_name, c.ordinal_position"
        ):
            is_view = told == "VIEW"  # a table's is one of several words, CLONE and SNAPSHOT among them
            there = described.setdefault(str(name), (is_view, str(definition or ""), []))
            if column is not None:
                there[2].append((str(column), str(kind_)))
        return [
            Found(Relation(schema, name), is_view, tuple(columns), definition if is_view else "")
            for name, (is_view, definition, columns) in described.items()
        ]

    def describe(self, relation: Relation) -> Found | None:
        table = self._table(relation)
        if table is None:
            return None
        is_view = table.table_type == "VIEW"
        definition = str(table.view_query) if is_view else ""
        return Found(relation, is_view, tuple((f.name, kind(f)) for f in table.schema), definition)

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        table = self._table(relation)
        return None if table is None else tuple((f.name, kind(f)) for f in table.schema)

    def version(self, table: Relation) -> str | None:
        """None of a view, whose rows are others', and while rows are being streamed in, which no figure tells."""
        found = self._table(table)
        if found is None or found.table_type != "TABLE" or found.streaming_buffer is not None or not found.modified:
            return None
        made, changed = (moment.timestamp() if moment else 0 for moment in (found.created, found.modified))
        return f"{made:.3f}.{changed:.3f}.{found.num_rows}.{found.num_bytes}"

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        """The bytes that a table's rows have, not those that are billed: of these, BigQuery doesn't say which table of
        several that share them is charged."""
        asked = sorted(tables)
        found = zip(asked, self._together(self._table, asked), strict=True)
        return {
            relation: Held(int(table.num_bytes))
            for relation, table in found
            if table is not None and table.table_type in _HELD and table.num_bytes is not None
        }

    def depth(self, table: Relation) -> int:
        """How many clones and snapshots ``table`` stands on, itself among them; 0 where it is none. What was dropped
        or made anew since it was cloned isn't known any more."""
        found = self._table(table)
        return 0 if found is None else self._depth(found)

    def _depth(self, table: Table) -> int:
        depth, found = 0, cast("Table | None", table)
        while found is not None and depth < CLONE_DEPTH:
            made = clone_base(found.to_api_repr())
            if made is None:
                break
            depth += 1
            base, taken = made
            found = self._table(base)
            if found is not None and found.created and found.created > taken:
                break
        return depth

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        """Roles that are bound to the relation itself, without a condition."""
        asked = sorted(r for r in relations if self._is_possible(r))

        def read(relation: Relation) -> tuple[Grant, ...] | None:
            from google.api_core.exceptions import NotFound

            with errors(self._place):
                try:
                    policy = self._client.get_iam_policy(
                        self._reference(relation), retry=self._jobs.retry, timeout=REQUEST
                    )
                except NotFound:
                    return None
            bound = [b for b in policy.bindings if not b.get("condition") and "_withcond_" not in b["role"]]
            return tuple(sorted(Grant(str(b["role"]), str(m)) for b in bound for m in b["members"]))

        found = zip(asked, self._together(read, asked), strict=True)
        return {relation: grants for relation, grants in found if grants is not None}

    def _ask(self, statement: str, most: int | None = None) -> Result:
        """Runs one query, whatever the session may do."""
        raise NotImplementedError

    # -- for sessions ----------------------------------------------------------------------------------------------
    def _require_writing(self, what: str) -> None:
        if self._read_only:
            raise StatementFailed(f"this session only reads, and can't {what}", kind="ReadOnly")

    def _table(self, relation: Relation) -> Table | None:
        from google.api_core.exceptions import NotFound

        if not self._is_possible(relation):
            return None
        with errors(self._place):
            try:
                return self._client.get_table(self._reference(relation), retry=self._jobs.retry, timeout=REQUEST)
            except NotFound:
                return None

    def _is_possible(self, relation: Relation) -> bool:
        """Names become parts of an address: one that BigQuery can't have is never asked for."""
        return (
            self._identifiers.takes(relation.name)
            and self._identifiers.takes_schema(relation.schema)
            and (relation.catalog is None or _PROJECT.match(relation.catalog) is not None)
        )

    def _reference(self, relation: Relation) -> TableReference:
        if not self._is_possible(relation):
            raise failed("invalid", f"{relation} can't be a table's name")
        return self._dataset(relation.schema, relation.catalog).table(relation.name)

    def _dataset(self, schema: str, project: str | None = None) -> DatasetReference:
        from google.cloud.bigquery import DatasetReference

        if not self._identifiers.takes_schema(schema):
            raise failed("invalid", f"{schema} can't be a dataset's name")
        return DatasetReference(project or self._project, schema)

    def _asked(self, schemas: Collection[str]) -> list[str]:
        return sorted(s for s in set(schemas) if self._identifiers.takes_schema(s))

    def _catalogued(self, query: str) -> Sequence[tuple[object, ...]]:
        """What INFORMATION_SCHEMA says; nothing where there is no such dataset."""
        try:
            return self._ask(query).rows
        except StatementFailed as failure:
            if failure.kind == "notFound":
                return []
            raise

    def _together(self, do: Callable[[Item], Outcome], items: Sequence[Item]) -> list[Outcome]:
        """``do`` for each, several at a time. After the first that fails, none is begun any more."""
        if len(items) <= 1:
            return [do(item) for item in items]
        with ThreadPoolExecutor(min(self._connections, len(items)), "bigquery") as pool:
            futures = [pool.submit(do, item) for item in items]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                for future in futures:
                    future.cancel()
            for future in futures:
                if not future.cancelled() and (error := future.exception()):
                    raise error
            return [future.result() for future in futures]
