"""What ClickHouse says of its tables and views: its catalog, their sizes, versions and rights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from anabranch.domain.names import OWN_PREFIX, SEPARATOR
from anabranch.engines.clickhouse.embedded import alone
from anabranch.engines.common import CommonSession
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Held
from anabranch.ports.engine import Found, Grant, Relation
from anabranch.ports.grammar import Grammar

SPARE = f"{OWN_PREFIX}{SEPARATOR}spare_"
"""Begins the name that a table has until it is whole. Such a table is shown to nobody."""
_REPLACING = "_tmp_replace_"
"""The same of what ClickHouse makes by itself."""
OWN_SCHEMAS = frozenset({"system", "information_schema", "INFORMATION_SCHEMA"})
_VIEWS = frozenset({"View", "MaterializedView", "LiveView", "WindowView"})
_IDENTIFIER = r"(?:`((?:[^`\\]|\\.)*)`|([A-Za-z_][A-Za-z0-9_]*))"
_POINTER = re.compile(rf"SELECT \* FROM {_IDENTIFIER}\.{_IDENTIFIER}\Z", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "a": "\a", "v": "\v"}
_RIGHT = re.compile(r"[A-Z]+(?: [A-Z]+)*\Z")

GRAMMAR = Grammar(
    quote="`",
    escapes=True,
    text="String",
    boolean="Bool",
    integer="Int64",
    double="Float64",
    date="Date32",
    timestamp="DateTime64(6)",
    zoned="DateTime64(6, 'UTC')",
    nullable="Nullable({})",
    prefix="leftUTF8({}, {})",
    approximate_distinct="uniq({})",
)


class Catalog(CommonSession):
    """The part of a session that reads."""

    engine_name = "ClickHouse"
    grammar = GRAMMAR
    is_embedded = False

    def schemas(self) -> list[str]:
        return [s for s in self._schemas() if not s.startswith(SPARE)]

    def _schemas(self) -> list[str]:
        found = self.query(f"SELECT name FROM system.databases WHERE name NOT IN ({self._list(OWN_SCHEMAS)})")
        return sorted(str(r[0]) for r in found.rows)

    def kinds(self, schemas: Collection[str], names: Collection[str] = ()) -> dict[Relation, str]:
        """The engine of each relation that exists; of all, or of those of some name."""
        only = f" AND name IN ({self._list(names)})" if names else ""
        found = self.query(
            f"SELECT database, name, engine FROM system.tables WHERE database IN ({self._list(schemas)}){only}"
        )
        return {Relation(str(s), str(n)): str(e) for s, n, e in found.rows}

    def kind(self, relation: Relation) -> str | None:
        return self.kinds([relation.schema], [relation.name]).get(relation)

    def find(self, schemas: Collection[str]) -> list[Found]:
        return self._found(f"IN ({self._list(schemas)})") if schemas else []

    def describe(self, relation: Relation) -> Found | None:
        found = self._found(f"= {self.grammar.literal(relation.schema)}", relation.name)
        return found[0] if found else None

    def _found(self, schema: str, name: str | None = None) -> list[Found]:
        table, column = (
            f" AND {c} = {self.grammar.literal(name)}" if name is not None else "" for c in ("name", "table")
        )
        columns: dict[Relation, list[tuple[str, str]]] = {}
        for where, relation, each, kind in self.query(
            f"SELECT database, table, name, type FROM system.columns WHERE database {schema}{column}"
            " ORDER BY database, table, position"
        ).rows:
            columns.setdefault(Relation(str(where), str(relation)), []).append((str(each), str(kind)))
        found = self.query(
            "SELECT database, name, engine, as_select FROM system.tables"
            f" WHERE database {schema}{table} AND NOT is_temporary AND {self._shown} ORDER BY database, name"
        )
        return [
            Found(
                place := Relation(str(s), str(n)),
                is_view := str(engine) in _VIEWS,
                tuple(columns.get(place, ())),
                str(query) if is_view else "",
            )
            for s, n, engine, query in found.rows
        ]

    @property
    def _shown(self) -> str:
        """What isn't being made just now, and isn't left of what was."""
        begins = " OR ".join(f"startsWith(name, {self.grammar.literal(b)})" for b in (SPARE, _REPLACING, ".inner"))
        return f"NOT ({begins})"

    def left_over(self, condition: str) -> list[Relation]:
        """Tables that nobody came to complete."""
        begins = " OR ".join(f"startsWith(name, {self.grammar.literal(b)})" for b in (SPARE, _REPLACING))
        found = self.query(f"SELECT database, name FROM system.tables WHERE ({begins}) AND {condition}")
        return [Relation(str(s), str(n)) for s, n in found.rows]

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        found = self.describe(relation)
        if found is None:
            return None
        if found.is_view:
            try:
                self.query(f"EXPLAIN SELECT 1 FROM {self.named(relation)}")
            except StatementFailed as failure:
                if failure.kind in ("UNKNOWN_TABLE", "UNKNOWN_DATABASE"):
                    return None
                raise
        return found.columns

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        if not schemas:
            return {}
        found = self.query(
            "SELECT database, name, as_select, create_table_query FROM system.tables"
            f" WHERE database IN ({self._list(schemas)}) AND engine IN ({self._list(_VIEWS)}) AND {self._shown}"
        )
        return {Relation(str(s), str(n)): _pointed(str(query), str(whole)) for s, n, query, whole in found.rows}

    # -- what the metadata says ------------------------------------------------------------------------------------
    def version(self, table: Relation) -> str | None:
        """Made of what only changes of rows and columns change: which blocks of rows were written, how many rows there
        are, which mutation was the last. Merges, which ClickHouse does by itself, leave it as it is; where they may
        drop rows or values, each merge is another version."""
        where = f"database = {self.grammar.literal(table.schema)} AND {{}} = {self.grammar.literal(table.name)}"
        found = self.query(
            "SELECT toString(uuid), engine, position(create_table_query, ' TTL ') > 0 FROM system.tables"
            f" WHERE {where.format('name')}"
        ).rows
        if not found or not str(found[0][1]).endswith("MergeTree"):
            return None
        uuid, engine, expires = found[0]
        is_plain = engine in ("MergeTree", "ReplicatedMergeTree", "SharedMergeTree") and not expires
        # a part's name ends with its last mutation, if there was one: min_max_level_mutation
        mutation = "toUInt64OrZero(extract(name, '_[0-9]+_[0-9]+_[0-9]+_([0-9]+)$'))"
        each = f"sum(rows), max(max_block_number), max({mutation})"
        merged = "" if is_plain else ", groupArray((name, hash_of_all_files))"
        parts = self.query(
            f"SELECT toString(cityHash64(groupArray(p))) FROM (SELECT (partition_id, {each}{merged}) AS p FROM"
            " (SELECT partition_id, rows, max_block_number, name, hash_of_all_files FROM system.parts"
            f" WHERE {where.format('table')} AND active ORDER BY name) GROUP BY partition_id ORDER BY partition_id)"
        ).rows[0][0]
        columns = self.query(
            "SELECT toString(cityHash64(groupArray((name, type, default_kind, default_expression)))) FROM"
            f" (SELECT * FROM system.columns WHERE {where.format('table')} ORDER BY position)"
        ).rows[0][0]
        return f"{uuid}.{parts}.{columns}"

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        if not tables:
            return {}
        schemas, names = self._list({t.schema for t in tables}), self._list({t.name for t in tables})
        found = self.query(
            "SELECT database, name, total_bytes FROM system.tables"
            f" WHERE database IN ({schemas}) AND name IN ({names}) AND total_bytes IS NOT NULL"
        )
        totals = {Relation(str(s), str(n)): int(str(size)) for s, n, size in found.rows}
        folders: dict[Relation, list[str]] = {}
        if self.is_embedded:  # else the files, which clones share, are on another machine
            for schema, name, path in self.query(
                "SELECT database, table, path FROM system.parts"
                f" WHERE database IN ({schemas}) AND table IN ({names}) AND active"
            ).rows:
                folders.setdefault(Relation(str(schema), str(name)), []).append(str(path))
        return {
            table: Held(total, alone(folders.get(table, ())) if self.is_embedded else None)
            for table, total in totals.items()
            if table in tables
        }

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        if self.is_embedded or not relations:
            return {}
        there = self.kinds({r.schema for r in relations}, {r.name for r in relations})
        given: dict[Relation, set[Grant]] = {r: set() for r in relations if r in there}
        for schema, name, right, user, role in self.query(
            "SELECT database, table, toString(access_type), user_name, role_name FROM system.grants"
            " WHERE column IS NULL AND NOT is_partial_revoke"
            f" AND database IN ({self._list({r.schema for r in relations})})"
        ).rows:
            relation = Relation(str(schema), str(name))
            if relation in given:
                given[relation].add(Grant(str(right), str(user or role)))
        return {relation: tuple(sorted(found)) for relation, found in given.items()}

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        if grants and self.is_embedded:
            self.refuse(f"grant rights on {relation} where it is embedded")
        for each in sorted(grants):
            if not _RIGHT.match(each.right):
                raise StatementFailed(f"{each.right!r} is not a right", kind="SYNTAX_ERROR")
            grantee = self.grammar.identifier(each.grantee)
            self.execute(f"GRANT {each.right} ON {self.named(relation)} TO {grantee}")

    def _list(self, texts: Iterable[str]) -> str:
        return ", ".join(self.grammar.literal(t) for t in sorted(texts))


def _pointed(query: str, whole: str) -> Relation | None:
    """Where a view points, by its query and the whole statement that makes it, as ClickHouse tells them."""
    match = _POINTER.match(query)
    if match is None:
        return None
    before = whole.rpartition(f" AS {query}")[0]
    if re.search(r"\) \([^()]*\)\Z", before):  # columns are renamed
        return None
    quoted_schema, schema, quoted_name, name = match.groups()
    return Relation(
        schema if quoted_schema is None else _unescaped(quoted_schema),
        name if quoted_name is None else _unescaped(quoted_name),
    )


def _unescaped(identifier: str) -> str:
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m.group(1), m.group(1)), identifier, flags=re.DOTALL)
