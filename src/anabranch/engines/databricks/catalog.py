"""Unity Catalog: what a schema holds is asked of its information schema, for all relations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from anabranch.engines.spark.catalog import POINTER_PROPERTY, pointed, pointing
from anabranch.ports.engine import Found, Relation

if TYPE_CHECKING:
    from anabranch.engines.spark.session import SparkSession

_VIEWS = "table_name, view_definition"


class UnityCatalog:
    """See :class:`anabranch.engines.spark.catalog.Catalog`. It keeps names in small letters."""

    is_lower = True

    def _rows(
        self, session: SparkSession, table: str, columns: str, schema: str, name: str | None = None, order: str = ""
    ) -> list[tuple[object, ...]]:
        literal = session.grammar.literal
        only = "" if name is None else f" AND table_name = {literal(name.lower())}"
        source = session.grammar.name(session.own_catalog, "information_schema", table)
        found = session.query(
            f"SELECT {columns} FROM {source} WHERE table_schema = {literal(schema.lower())}{only}{order}"
        )
        return [tuple(r) for r in found.rows]

    def kinds(self, session: SparkSession, schema: str) -> dict[str, bool]:
        found = self._rows(session, "tables", "table_name, table_type", schema)
        return {str(name): "VIEW" in str(kind) for name, kind in found}

    def pointer(self, session: SparkSession, view: Relation, target: Relation) -> str:
        return pointing(session, view, target)

    def targets(self, session: SparkSession, schema: str) -> dict[str, Relation | None]:
        views = self._rows(session, "views", _VIEWS, schema)
        found = {str(name): pointed(str(text or "")) for name, text in views}
        columns = {s: self._columns(session, s) for s in {schema, *(t.schema for t in found.values() if t)}}
        for name, target in found.items():
            if target is None:
                continue
            mine, theirs = columns[schema].get(name), columns[target.schema].get(target.name)
            is_own = target.catalog == session.own_catalog and theirs is not None and _names(mine) == _names(theirs)
            # renamed columns, or a target that isn't there or has changed: the view itself tells
            if not is_own and not self._is_marked(session, Relation(schema, name)):
                found[name] = None
        return found

    def _is_marked(self, session: SparkSession, view: Relation) -> bool:
        rows = session.query(f"SHOW TBLPROPERTIES {session.named(view)} ('{POINTER_PROPERTY}')").rows
        return any(r[0] == POINTER_PROPERTY and r[1] == "all columns" for r in rows)

    def _columns(self, session: SparkSession, schema: str, name: str | None = None) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        told = "table_name, column_name, full_data_type"
        order = " ORDER BY table_name, ordinal_position"
        for relation, column, kind in self._rows(session, "columns", told, schema, name, order):
            found.setdefault(str(relation), []).append((str(column), str(kind)))
        return found

    def find(self, session: SparkSession, schema: str) -> list[Found]:
        return self._find(session, schema)

    def _find(self, session: SparkSession, schema: str, name: str | None = None) -> list[Found]:
        kinds = self._rows(session, "tables", "table_name, table_type", schema, name)
        texts = {str(n): str(text or "") for n, text in self._rows(session, "views", _VIEWS, schema, name)}
        columns = self._columns(session, schema, name)
        return [
            Found(
                Relation(schema, str(relation)),
                "VIEW" in str(kind),
                tuple(columns.get(str(relation), ())),
                texts.get(str(relation), ""),
            )
            for relation, kind in kinds
        ]

    def describe(self, session: SparkSession, relation: Relation) -> Found | None:
        return next(iter(self._find(session, relation.schema, relation.name)), None)


def _names(columns: list[tuple[str, str]] | None) -> list[str] | None:
    return None if columns is None else [name for name, _ in columns]
