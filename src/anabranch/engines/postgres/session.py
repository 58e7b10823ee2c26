"""One session on Postgres: statements, tables, rights, and what a relation holds as one hash. Views are in
:mod:`anabranch.engines.postgres.views`, Arrow is in :mod:`anabranch.engines.postgres.arrow`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from anabranch.domain.names import OWN_PREFIX, SEPARATOR, shorten
from anabranch.engines.common import UNSUPPORTED, CommonSession, signed
from anabranch.engines.postgres import catalog
from anabranch.engines.postgres.catalog import GRAMMAR, GRANT_OPTION
from anabranch.engines.postgres.errors import Lost
from anabranch.engines.postgres.link import Link
from anabranch.engines.postgres.views import Views
from anabranch.engines.postgres.wire import LONGEST, PAUSES
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Held
from anabranch.ports.engine import ArrowStream, Found, Grant, Relation, Result, transaction

T = TypeVar("T")

_RIGHTS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"})
_SALT = 4_242_424_242
"""Of the second hash of a row."""


class PostgresSession(CommonSession):
    """See :class:`anabranch.ports.engine.Session`."""

    engine_name = "Postgres"
    grammar = GRAMMAR
    transacts = True

    def __init__(self, link: Link) -> None:
        self._link = link
        self._views = Views(link)

    # -- names -----------------------------------------------------------------------------------------------------
    def named(self, relation: Relation) -> str:
        here = self._here(relation)
        for part in (here.schema, here.name):
            self._require_short(part)
        return super().named(here)

    def _require_short(self, name: str) -> None:
        if not catalog.is_short(name):
            raise StatementFailed(
                f"{name!r} is too long for Postgres, or has a character 0 in it",
                kind=UNSUPPORTED,
                hint=f"at most {LONGEST} bytes",
            )

    def _here(self, relation: Relation) -> Relation:
        """Without the name of the session's database. Raises ``StatementFailed`` where it is another's, into which no
        statement of Postgres reaches."""
        if relation.catalog not in (None, self._link.database):
            self.refuse(f"reach {relation} in another database")
        return Relation(relation.schema, relation.name)

    def _all_here(self, relations: Iterable[Relation]) -> dict[Relation, Relation]:
        """Those that can be in the session's database, and what they are asked by."""
        return {Relation(r.schema, r.name): r for r in relations if r.catalog in (None, self._link.database)}

    # -- transactions ----------------------------------------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        """As a comment before each statement: what is running (``pg_stat_activity``) and the server's log show it
        whole, where ``application_name`` has room for 63 bytes, and would cost a round trip."""
        self._link.tag(about)

    def begin(self) -> None:
        self._link.begin()
        self._views.begin()

    def commit(self) -> None:
        try:
            if self._link.in_transaction:
                self._views.finish()
            self._link.commit()
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        if self._link.in_transaction:
            self._views.rollback()
        self._link.rollback()

    def lock(self, table: Relation) -> None:
        """Who comes second waits, and then sees what the first has written. Without it he would go on from what he saw
        before: transactions are READ COMMITTED, for one that keeps to an older state sees no rows of newer tables."""
        if self._link.in_transaction:
            self._link.script([f"LOCK TABLE {self.named(table)} IN SHARE ROW EXCLUSIVE MODE"])

    def _whole(self) -> contextlib.AbstractContextManager[None]:
        """What is done within happens wholly or not at all."""
        return contextlib.nullcontext() if self._link.in_transaction else transaction(self)

    def _done(self, work: Callable[[], T]) -> T:
        """``work`` as a whole. Where the connection is lost meanwhile, nothing of it has happened, and it is done
        again."""
        for pause in (*PAUSES, None):
            is_mine = not self._link.in_transaction
            try:
                with self._whole():
                    return work()
            except Lost:
                if pause is None or not is_mine:
                    raise
                time.sleep(pause)
        raise AssertionError("the last round returns or raises")

    # -- statements ------------------------------------------------------------------------------------------------
    def execute(self, statement: str) -> None:
        self._link.execute(statement)

    def query(self, statement: str, most: int | None = None) -> Result:
        columns, rows = self._link.query(statement) if most is None else self._first(statement, most)
        return Result(columns, rows)

    def _first(self, statement: str, most: int) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
        """By a cursor, so that no more is computed than is wanted; what can't have one (EXPLAIN) is read as a whole."""
        cursor = "anabranch_rows"
        with self._whole():
            try:
                with self._link.attempt():
                    self._link.query(f"DECLARE {cursor} NO SCROLL CURSOR FOR {statement}")
            except StatementFailed as failure:
                if failure.kind not in ("SyntaxError", "FeatureNotSupported", "InvalidCursorDefinition"):
                    raise
                columns, rows = self._link.query(statement)
                return columns, rows[:most]
            found = self._link.query(f"FETCH FORWARD {int(most)} FROM {cursor}")
            self._link.script([f"CLOSE {cursor}"])
        return found

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        found = self._link.described(query)
        kinds = catalog.types(self._link, [(oid, modifier) for _, oid, modifier in found])
        return tuple((name, kind) for (name, *_), kind in zip(found, kinds, strict=True))

    # -- the catalog -----------------------------------------------------------------------------------------------
    def schemas(self) -> list[str]:
        return catalog.schemas(self._link)

    def find(self, schemas: Collection[str]) -> list[Found]:
        return [f for f in catalog.find(self._link, schemas) if not self._views.is_gone(f.relation)]

    def describe(self, relation: Relation) -> Found | None:
        found = [f for here in self._all_here([relation]) if (f := catalog.describe(self._link, here))]
        return replace(found[0], relation=relation) if found else None

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        found = [catalog.columns(self._link, here) for here in self._all_here([relation])]
        return found[0] if found else None

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        found = catalog.targets(self._link, schemas)
        return {view: target for view, target in found.items() if not self._views.is_gone(view)}

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        asked = self._all_here(tables)
        return {asked[here]: held for here, held in catalog.held(self._link, asked).items()}

    def create_schemas(self, schemas: Collection[str]) -> None:
        """Where another session makes the same schema at the same time, it is there as well."""
        wanted = set(schemas)
        for schema in wanted:
            self._require_short(schema)
        missing = sorted(wanted - catalog.existing(self._link, wanted)) if wanted else []
        if not missing:
            return
        with self._whole():
            for schema in missing:
                try:
                    with self._link.attempt():
                        self._link.script([f"CREATE SCHEMA IF NOT EXISTS {GRAMMAR.identifier(schema)}"])
                except StatementFailed as failure:
                    if failure.kind not in ("UniqueViolation", "DuplicateSchema"):
                        raise

    def drop_schemas(self, schemas: Collection[str]) -> None:
        """Those of another role are left as they are, too."""
        empty = catalog.empty_schemas(self._link, schemas) if schemas else []
        if not empty:
            return
        with self._whole():
            for schema in empty:
                try:
                    with self._link.attempt():
                        self._link.script([f"DROP SCHEMA IF EXISTS {GRAMMAR.identifier(schema)}"])
                except StatementFailed as failure:
                    if failure.kind != "DependentObjectsStillExist":  # somebody has just put something into it
                        raise

    # -- tables ----------------------------------------------------------------------------------------------------
    def create_table(self, table: Relation, query: str) -> int:
        statement = f"CREATE TABLE {self.named(table)} AS {query}"

        def work() -> int:
            rows = self._link.execute(statement)
            self._views.has([self._here(table)])
            return rows

        return self._done(work)

    def create_materialized_view(self, view: Relation, query: str) -> None:
        statement = f"CREATE MATERIALIZED VIEW {self.named(view)} AS {query}"

        def work() -> None:
            self._link.execute(statement)
            self._views.has([self._here(view)])

        self._done(work)

    def rename(self, table: Relation, name: str) -> None:
        """What reads the table goes on reading it, until something else has its name: see
        :mod:`anabranch.engines.postgres.views`."""
        new = Relation(table.schema, name)
        statement = f"ALTER TABLE {self.named(table)} RENAME TO {GRAMMAR.identifier(name)}"
        self._require_short(name)

        def work() -> None:
            self._views.leaves(self._here(table))
            self._link.script([statement])
            self._views.has([new])

        self._done(work)

    def swap(self, one: Relation, other: Relation) -> None:
        if one.schema != other.schema:
            self.refuse(f"move {one} to another schema")
        spare = Relation(one.schema, shorten(f"{OWN_PREFIX}{SEPARATOR}swap_{one.name}", 48))

        def work() -> None:
            self.rename(one, spare.name)
            self.rename(other, one.name)
            self.rename(spare, other.name)

        self._done(work)

    def drop(self, relations: Collection[Relation]) -> None:
        """Postgres has no views that lead nowhere: what others read is refused. Within a transaction only at its end,
        for something else may have got the name by then."""
        if relations:
            self._views.drop({self._here(r) for r in relations}, may_step_aside=self._link.in_transaction)

    def count(self, table: Relation) -> int:
        return int(str(self._link.query(f"SELECT count(*) FROM {self.named(table)}", safe=True)[1][0][0]))

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        """One statement on all versions. Rows with all keys are found by ``=``, which may use an index; those with a
        NULL by what equality of keys is elsewhere. Two rows of one key are refused."""
        base, new, names, told = self.named(table), self.named(rows), GRAMMAR.identifier, GRAMMAR.columns
        pairs = [(f"b.{names(k)}", f"n.{names(k)}") for k in keys]
        equal = " AND ".join(f"{b} = {n}" for b, n in pairs)
        same = " AND ".join(GRAMMAR.same.format(b, n) for b, n in pairs)
        lacks = " OR ".join(f"{n} IS NULL" for _, n in pairs)
        which = "SELECT b.tableoid AS part, b.ctid AS place, n.anabranch_row FROM new AS n JOIN"
        others = [names(c) for c in columns if c not in keys]
        is_row = f" AND n.{names(mark)}" if mark else ""
        remove = (
            f", gone AS (DELETE FROM {base} AS b USING found AS f JOIN new AS n USING (anabranch_row)"
            f" WHERE b.ctid = f.place AND b.tableoid = f.part AND NOT n.{names(mark)})"
            if mark
            else ""
        )
        update = (
            f", changed AS (UPDATE {base} AS b SET {', '.join(f'{c} = n.{c}' for c in others)}"
            " FROM found AS f JOIN new AS n USING (anabranch_row) WHERE b.ctid = f.place AND b.tableoid = f.part"
            f"{is_row})"
        )

        def work() -> None:
            if self._link.query(f"SELECT 1 FROM {new} GROUP BY {told(keys)} HAVING count(*) > 1 LIMIT 1")[1]:
                raise StatementFailed(f"{rows} has several rows of one key", kind="CardinalityViolation")
            self.lock(table)
            self._link.execute(
                f"WITH new AS MATERIALIZED (SELECT {told([*columns, *([mark] if mark else [])])}, row_number() OVER ()"
                f" AS anabranch_row FROM {new}),"
                f" found AS MATERIALIZED ({which} {base} AS b ON {equal}"
                f" UNION ALL {which} {base} AS b ON {same} WHERE {lacks}){remove}{update if others else ''}"
                f" INSERT INTO {base} ({told(columns)}) SELECT {told(columns, 'n.')} FROM new AS n"
                f" WHERE NOT EXISTS (SELECT FROM found AS f WHERE f.anabranch_row = n.anabranch_row){is_row}"
            )

        self._done(work)

    # -- views -----------------------------------------------------------------------------------------------------
    def create_view(self, view: Relation, query: str) -> None:
        self.named(view)
        self._done(lambda: self._views.create(self._here(view), query))

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        for view, target in pointers.items():
            self._here(view)
            if target is not None:
                self.named(view)
                self.named(target)
        wanted = {self._here(v): t if t is None else self._here(t) for v, t in pointers.items()}
        if wanted:
            self._done(lambda: self._views.point(wanted))

    # -- rights ----------------------------------------------------------------------------------------------------
    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        """``PUBLIC`` is everybody. A right that may be passed on ends in ``WITH GRANT OPTION``. Rights on single
        columns aren't told, and stay where views are pointed elsewhere."""
        asked = self._all_here(relations)
        return {asked[here]: granted for here, granted in catalog.grants(self._link, asked).items()}

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        statements = []
        for each in sorted(grants):
            right = each.right.removesuffix(GRANT_OPTION)
            if right not in _RIGHTS:
                self.refuse(f"grant {each.right!r} on {relation}")
            option = GRANT_OPTION if right != each.right else ""
            statements.append(f"GRANT {right} ON {self.named(relation)} TO {catalog.role(each.grantee)}{option}")
        self._link.script(statements)

    # -- content ---------------------------------------------------------------------------------------------------
    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        place = self.named(relation)
        types = dict(self._required(relation, columns)) if columns else {}
        values = [
            f"{c} AT TIME ZONE 'UTC'" if types[name] == "timestamp with time zone" else c
            for name, c in ((name, GRAMMAR.identifier(name)) for name in columns)
        ]
        figures = "count(*)"
        if columns:
            # the text of a row tells NULL from '', and where a value ends; a sum counts equal rows, an xor would not
            row = f"""ROW({", ".join(f"({v})::text" for v in values)})::text COLLATE "C\""""
            figures += "".join(f", sum(hashtextextended({row}, {salt})::numeric)" for salt in (0, _SALT))
        (found,) = self._link.query(f"SELECT {figures} FROM {place}", safe=True)[1]
        return signed([(c, types[c]) for c in columns], found)

    def _required(self, relation: Relation, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
        found = self.columns(relation)
        if found is None:
            raise StatementFailed(f"there is no {relation}", kind="UndefinedTable")
        there = dict(found)
        for column in columns:
            if column not in there:
                raise StatementFailed(f"there is no column {column} in {relation}", kind="UndefinedColumn")
            yield column, there[column]

    # -- Arrow -----------------------------------------------------------------------------------------------------
    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        from anabranch.engines.postgres.arrow import read

        return read(self._link, query, rows)

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        from anabranch.engines.postgres.arrow import load

        for column in columns:
            self._require_short(column)
        self.named(table)
        with self._whole():
            rows = load(self._link, self._here(table), parts, columns)
            self._views.has([table])
        return rows
