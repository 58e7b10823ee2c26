"""What Snowflake's catalog says: relations, where views point, versions, sizes and rights.

One query serves any number of relations: INFORMATION_SCHEMA rather than a SHOW for each. Names go in as Snowflake keeps
them and come out as Anabranch says them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from anabranch.engines.snowflake.errors import MISSING
from anabranch.engines.snowflake.link import Link
from anabranch.engines.snowflake.types import spelled
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Found, Grant, Relation
from anabranch.ports.grammar import Grammar

_IDENTIFIER = r'(?:"(?:[^"]|"")*"|[A-Za-z_][A-Za-z0-9_$]*)'
_POINTER = re.compile(
    rf"\s*(?:CREATE\s+(?:OR\s+REPLACE\s+)?VIEW\s+(?:{_IDENTIFIER}\.)*{_IDENTIFIER}\s+(?:COPY\s+GRANTS\s+)?AS\s+)?"
    rf"SELECT\s+\*\s+FROM\s+((?:{_IDENTIFIER}\.){{1,2}}{_IDENTIFIER})\s*;?\s*\Z",
    re.IGNORECASE,
)
_CONTENTS = (
    *("OBJECTS", "STAGES", "SEQUENCES", "FILE FORMATS", "USER FUNCTIONS", "PROCEDURES"),
    *("STREAMS", "TASKS", "PIPES"),
)
"""What may be in a schema. OBJECTS are tables and views of all kinds."""


class Catalog:
    """Of one database."""

    def __init__(self, link: Link, database: str, grammar: Grammar) -> None:
        self._link = link
        self._database = database
        self._grammar = grammar

    # -- relations -------------------------------------------------------------------------------------------------
    def schemas(self) -> list[str]:
        rows = self._link.ask(f"SELECT schema_name FROM {self._view('schemata')}")
        return sorted({self._grammar.told(str(r[0])) for r in rows if r[0] != "INFORMATION_SCHEMA"})

    def is_empty(self, schema: str) -> bool:
        """Whether a schema has nothing in it; DROP SCHEMA would take it all along."""
        name, stored = self._grammar.name(self._database, schema), self._grammar.stored(schema)
        return not any(
            row.get("schema_name", stored) == stored  # what is built in has none
            for kind in _CONTENTS
            for row in self._link.show(f"SHOW {kind} IN SCHEMA {name}")
        )

    def kinds_of(self, relations: Collection[Relation]) -> dict[Relation, str]:
        """What those are that exist, as DROP calls it: TABLE, VIEW or MATERIALIZED VIEW."""
        name = next(iter(relations)).name if len(relations) == 1 else None
        there = self._relations({r.schema for r in relations}, name)
        return {r: there[self._plain(r)][0] for r in relations if self._plain(r) in there}

    def is_transient(self, kind: str, *names: str) -> bool:
        """Whether a TABLE or SCHEMA of that name, or the DATABASE itself, isn't kept after its time travel."""
        view, columns = {
            "TABLE": ("tables", ("table_schema", "table_name")),
            "SCHEMA": ("schemata", ("schema_name",)),
            "DATABASE": ("databases", ("database_name",)),
        }[kind]
        asked = " AND ".join(
            f"{c} = {self._literal(n)}" for c, n in zip(columns, names or (self._database,), strict=True)
        )
        return self._link.ask(f"SELECT is_transient FROM {self._view(view)} WHERE {asked}") == [("YES",)]

    def find(self, schemas: Collection[str], name: str | None = None) -> list[Found]:
        relations = self._relations(schemas, name)
        if not relations:
            return []
        asked = self._spelled(schemas)
        columns: dict[Relation, list[tuple[str, str]]] = {relation: [] for relation in relations}
        for schema, table, column, kind, length, precision, scale, fraction in self._link.ask(
            "SELECT table_schema, table_name, column_name, data_type, character_maximum_length, numeric_precision,"
            f" numeric_scale, datetime_precision FROM {self._view('columns')}"
            f" WHERE {self._within('table', schemas, name)} ORDER BY table_schema, table_name, ordinal_position"
        ):
            relation = self._relation(schema, table, asked)
            if relation in columns:
                scaled = scale if fraction is None else fraction
                told = spelled(str(kind), length, precision, scaled)
                columns[relation].append((self._grammar.told(str(column)), told))
        return [
            Found(relation, kind != "TABLE", tuple(columns[relation]), definition)
            for relation, (kind, definition) in sorted(relations.items())
        ]

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        if not schemas:
            return {}
        rows = self._link.ask(
            f"SELECT table_schema, table_name, view_definition FROM {self._view('views')}"
            f" WHERE {self._within('table', schemas)}"
        )
        asked = self._spelled(schemas)
        return {self._relation(s, v, asked): self._pointed(str(text or "")) for s, v, text in rows}

    def _relations(self, schemas: Collection[str], name: str | None) -> dict[Relation, tuple[str, str]]:
        """What each is, and the text of views."""
        if not schemas:
            return {}
        within = self._within("table", schemas, name)
        rows = self._link.ask(
            f"SELECT table_schema, table_name, 'VIEW', view_definition FROM {self._view('views')} WHERE {within}"
            " UNION ALL SELECT table_schema, table_name, table_type, ''"
            f" FROM {self._view('tables')} WHERE {within} AND table_type <> 'VIEW'"
        )
        asked, found = self._spelled(schemas), dict[Relation, tuple[str, str]]()
        for schema, table, kind, text in sorted(rows, key=lambda row: str(row[2]) == "VIEW"):
            relation = self._relation(schema, table, asked)
            is_view = str(kind) in ("VIEW", "MATERIALIZED VIEW")
            known = found.get(relation)  # a materialized view may stand among the views as well
            found[relation] = (known[0] if known else str(kind) if is_view else "TABLE", str(text or ""))
        return found

    def _pointed(self, text: str) -> Relation | None:
        match = _POINTER.match(text)
        if match is None:
            return None
        *catalog, schema, name = [self._unquoted(p) for p in re.findall(_IDENTIFIER, match.group(1))]
        own = not catalog or self._grammar.stored(catalog[0]) == self._grammar.stored(self._database)
        return Relation(schema, name, None if own else catalog[0])

    def _unquoted(self, identifier: str) -> str:
        if identifier.startswith('"'):
            return self._grammar.told(identifier[1:-1].replace('""', '"'))
        return identifier.lower()

    # -- versions, sizes, rights -----------------------------------------------------------------------------------
    def version(self, table: str) -> str | None:
        """Of a table, quoted. The time of its last change in the catalog isn't it: that stays where rows change within
        a transaction that began earlier."""
        try:
            rows = self._link.ask(f"SELECT SYSTEM$LAST_CHANGE_COMMIT_TIME({self._grammar.literal(table)})")
        except StatementFailed as failure:
            if failure.kind in MISSING:
                return None
            raise
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        """``own`` is what Snowflake bills this table for. It isn't told to everybody (only to ACCOUNTADMIN), and of a
        table that was cloned nobody can tell how much of it its clones share."""
        if not tables:
            return {}
        schemas = {t.schema for t in tables}
        asked, within = self._spelled(schemas), self._within("table", schemas)
        try:
            own = {
                self._relation(schema, table, asked): (active if is_clone or members == 1 else None)
                for schema, table, active, is_clone, members in self._link.ask(
                    "SELECT table_schema, table_name, active_bytes, id <> clone_group_id,"
                    f" COUNT(*) OVER (PARTITION BY clone_group_id) FROM {self._view('table_storage_metrics')}"
                    f" WHERE table_dropped IS NULL QUALIFY {within} AND table_catalog = {self._literal(self._database)}"
                )
            }
        except StatementFailed as failure:
            if failure.kind not in MISSING:
                raise
            own = {}  # this role may not look there
        found = {
            self._relation(schema, table, asked): total
            for schema, table, total in self._link.ask(
                f"SELECT table_schema, table_name, bytes FROM {self._view('tables')}"
                f" WHERE {within} AND bytes IS NOT NULL"
            )
        }
        plain = {self._plain(t): t for t in tables}
        return {
            plain[table]: Held(int(str(total)), None if own.get(table) is None else int(str(own[table])))
            for table, total in found.items()
            if table in plain
        }

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        if not relations:
            return {}
        schemas = {r.schema for r in relations}
        asked, plain = self._spelled(schemas), {self._plain(r) for r in relations}
        found: dict[Relation, set[Grant]] = {}
        for schema, name, right, kind, grantee in self._link.ask(
            "SELECT object_schema, object_name, privilege_type, granted_to, grantee"
            f" FROM {self._view('object_privileges')} WHERE {self._within('object', schemas)}"
            f" AND object_catalog = {self._literal(self._database)}"
            " AND object_type IN ('TABLE', 'VIEW', 'MATERIALIZED VIEW') AND privilege_type <> 'OWNERSHIP'"
        ):
            relation = self._relation(schema, name, asked)
            if relation in plain:
                to = f"{str(kind).replace('_', ' ')} {self._grammar.told(str(grantee))}"
                found.setdefault(relation, set()).add(Grant(str(right), to))
        return {r: tuple(sorted(found.get(self._plain(r), ()))) for r in self.kinds_of(relations)}

    # -- names -----------------------------------------------------------------------------------------------------
    def _view(self, name: str) -> str:
        return f"{self._grammar.identifier(self._database)}.information_schema.{name}"

    def _within(self, kind: str, schemas: Collection[str], name: str | None = None) -> str:
        listed = ", ".join(sorted({self._literal(s) for s in schemas}))
        named = "" if name is None else f" AND {kind}_name = {self._literal(name)}"
        return f"{kind}_schema IN ({listed}){named}"

    def _literal(self, name: str) -> str:
        return self._grammar.literal(self._grammar.stored(name))

    def _spelled(self, schemas: Collection[str]) -> dict[str, str]:
        """How each was asked for, by how Snowflake keeps it."""
        return {self._grammar.stored(s): s for s in schemas}

    def _plain(self, relation: Relation) -> Relation:
        """``relation`` as the catalog's answers are told: ORDERS and orders are the same."""
        return Relation(relation.schema, self._grammar.told(self._grammar.stored(relation.name)))

    def _relation(self, schema: object, name: object, asked: Mapping[str, str]) -> Relation:
        return Relation(asked[str(schema)], self._grammar.told(str(name)))
