"""What a schema holds, as Spark's catalogs tell it: two kinds of them, by what they can be asked at once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from anabranch.engines.retrying import retried
from anabranch.engines.spark.errors import has_no_schema, is_missing
from anabranch.errors import StatementFailed
from anabranch.ports.engine import Found, Relation, Row

if TYPE_CHECKING:
    from anabranch.engines.spark.session import SparkSession

_QUOTED = r"`(?:[^`]|``)*`"
_POINTER = re.compile(rf"SELECT \* FROM ({_QUOTED})\.({_QUOTED})\.({_QUOTED})\Z")
POINTER_PROPERTY = "anabranch.pointer"
"""Of a view that ``point`` has made, in catalogs that don't tell at once whether its columns were renamed."""


class Catalog(Protocol):
    """Asks one catalog; where a schema isn't there, the answer is empty."""

    is_lower: bool
    """It keeps names in small letters."""

    def kinds(self, session: SparkSession, schema: str) -> dict[str, bool]:
        """All relations, and of each whether it is a view."""
        ...

    def pointer(self, session: SparkSession, view: Relation, target: Relation) -> str:
        """The statement that makes or replaces a pointer."""
        ...

    def targets(self, session: SparkSession, schema: str) -> dict[str, Relation | None]:
        """All views, and where each that is a pointer points."""
        ...

    def find(self, session: SparkSession, schema: str) -> list[Found]: ...

    def describe(self, session: SparkSession, relation: Relation) -> Found | None: ...


def pointed(text: str) -> Relation | None:
    """Where a view of this text points, None where it isn't exactly what ``point`` writes."""
    match = _POINTER.match(text)
    if match is None:
        return None
    catalog, schema, name = (part[1:-1].replace("``", "`") for part in match.groups())
    return Relation(schema, name, catalog)


def pointing(session: SparkSession, view: Relation, target: Relation) -> str:
    """The statement that makes a pointer, with the property."""
    return (
        f"CREATE OR REPLACE VIEW {session.named(view)} TBLPROPERTIES ('{POINTER_PROPERTY}' = 'all columns')"
        f" AS SELECT * FROM {session.named(target)}"
    )


def columns_of(session: SparkSession, relation: Relation) -> tuple[tuple[str, str], ...] | None:
    """Its columns; of a view that leads nowhere those that the catalog keeps; None where it is gone by now."""
    found = session.columns(relation)
    if found is not None:
        return found
    told = described(session, relation)
    if told is None:
        return None
    ends = (at for at, (name, *_) in enumerate(told) if not name or str(name).startswith("#"))
    return tuple((str(name), str(kind)) for name, kind, *_ in told[: next(ends, len(told))])


def described(session: SparkSession, relation: Relation, how: str = "") -> list[Row] | None:
    """What DESCRIBE tells: first its columns. None where it is gone."""
    try:
        return list(session.query(f"DESCRIBE TABLE {how}{session.named(relation)}").rows)
    except StatementFailed as failure:
        if is_missing(failure):
            return None
        raise


class SessionCatalog:
    """Spark's own (``spark_catalog``, a Hive metastore's): one statement tells all that it keeps of a schema's
    relations, but the columns of Delta tables."""

    is_lower = True

    def kinds(self, session: SparkSession, schema: str) -> dict[str, bool]:
        try:
            tables = session.query(f"SHOW TABLES IN {session.named_schema(schema)}").rows
            views = session.query(f"SHOW VIEWS IN {session.named_schema(schema)}").rows
        except StatementFailed as failure:
            if is_missing(failure):
                return {}
            raise
        shown = {str(name) for _, name, is_temporary in views if not is_temporary}
        return {str(name): str(name) in shown for _, name, is_temporary in tables if not is_temporary}

    def _told(self, session: SparkSession, schema: str, pattern: str = "*") -> dict[str, str]:
        """Of each relation what the catalog says of it, in lines."""
        statement = f"SHOW TABLE EXTENDED IN {session.named_schema(schema)} LIKE {session.grammar.literal(pattern)}"
        try:  # it lists the relations, and fails where one of them is dropped before it is asked about
            found = retried(lambda: session.query(statement), is_missing_one)
        except StatementFailed as failure:
            if has_no_schema(failure):
                return {}
            raise
        return {str(name): str(told) for _, name, is_temporary, told in found.rows if not is_temporary}

    def pointer(self, session: SparkSession, view: Relation, target: Relation) -> str:
        return f"CREATE OR REPLACE VIEW {session.named(view)} AS SELECT * FROM {session.named(target)}"

    def targets(self, session: SparkSession, schema: str) -> dict[str, Relation | None]:
        found = self._told(session, schema)
        return {
            name: self._target(session, Relation(schema, name), told) for name, told in found.items() if _is_view(told)
        }

    def _target(self, session: SparkSession, view: Relation, told: str) -> Relation | None:
        text = _text(told)
        if text is not None and pointed(text) is None:
            return None
        if text is None or _names(told) != _given(told):  # the lines can be read in two ways
            exact = _exactly(session, view)
            return pointed(exact[0]) if exact is not None and exact[1] == exact[2] else None
        return pointed(text)

    def find(self, session: SparkSession, schema: str) -> list[Found]:
        told = self._told(session, schema)
        found = session.each(lambda pair: self._found(session, Relation(schema, pair[0]), pair[1]), list(told.items()))
        return [f for f in found if f is not None]

    def _found(self, session: SparkSession, relation: Relation, told: str) -> Found | None:
        columns = columns_of(session, relation)
        if columns is None:
            return None
        if not _is_view(told):
            return Found(relation, False, columns)
        text = _text(told)
        if text is None:
            exact = _exactly(session, relation)
            if exact is None:
                return None
            text = exact[0]
        return Found(relation, True, columns, text)

    def describe(self, session: SparkSession, relation: Relation) -> Found | None:
        if not re.fullmatch(r"\w+", relation.name):  # it takes no such names; in a pattern they mean something else
            return None
        told = self._told(session, relation.schema, relation.name).get(relation.name.lower())
        return None if told is None else self._found(session, relation, told)


def _is_view(told: str) -> bool:
    return re.search(r"^Type: VIEW$", told, re.MULTILINE) is not None


def _text(told: str) -> str | None:
    """A view's text; None where the lines leave it open where it begins or ends."""
    starts = re.findall(r"^(?:View Text|View Original Text|View Schema Mode): ", told, re.MULTILINE)
    if starts != ["View Text: ", "View Original Text: ", "View Schema Mode: "]:
        return None
    match = re.search(r"^View Text: (.*)\nView Original Text: .*^View Schema Mode: ", told, re.MULTILINE | re.DOTALL)
    return match.group(1) if match else None


def _names(told: str) -> list[str]:
    """A view's columns."""
    _, _, schema = told.partition("\nSchema: root\n")
    return re.findall(r"^ \|-- (.*): .*$", schema, re.MULTILINE)


def _given(told: str) -> list[str]:
    """The columns that its query gives."""
    match = re.search(r"^View Query Output Columns: \[(.*)\]$", told, re.MULTILINE)
    return [n[1:-1].replace("``", "`") for n in re.findall(_QUOTED, match.group(1))] if match else []


def is_missing_one(error: Exception) -> bool:
    """Whether a relation isn't there, and not its schema."""
    return isinstance(error, StatementFailed) and is_missing(error) and not has_no_schema(error)


def _exactly(session: SparkSession, view: Relation) -> tuple[str, list[str], list[str]] | None:
    """A view's text, its columns, and those that its query gives: by one statement a view. None where it is gone."""
    import json

    try:
        (row,) = session.query(f"DESCRIBE TABLE EXTENDED {session.named(view)} AS JSON").rows
    except StatementFailed as failure:
        if is_missing(failure):
            return None
        raise
    told = json.loads(str(row[0]))
    return told["view_text"], [c["name"] for c in told["columns"]], told["view_query_output_columns"]


class TableCatalog:
    """A catalog of its own, as Iceberg's are: tables and views are listed apart, and each is asked by itself."""

    is_lower = False

    def kinds(self, session: SparkSession, schema: str) -> dict[str, bool]:
        try:
            tables = session.query(f"SHOW TABLES IN {session.named_schema(schema)}").rows
        except StatementFailed as failure:
            if is_missing(failure):
                return {}
            raise
        found = {str(name): False for _, name, is_temporary in tables if not is_temporary}
        return found | dict.fromkeys(self._views(session, schema), True)

    def _views(self, session: SparkSession, schema: str) -> list[str]:
        try:
            views = session.query(f"SHOW VIEWS IN {session.named_schema(schema)}").rows
        except StatementFailed as failure:
            if is_missing(failure) or failure.kind.startswith(("MISSING_CATALOG_ABILITY", "UNSUPPORTED_FEATURE")):
                return []
            raise
        return [str(name) for _, name, is_temporary in views if not is_temporary]

    def pointer(self, session: SparkSession, view: Relation, target: Relation) -> str:
        return pointing(session, view, target)

    def targets(self, session: SparkSession, schema: str) -> dict[str, Relation | None]:
        names = self._views(session, schema)
        found = session.each(lambda name: self._target(session, Relation(schema, name)), names)
        return dict(zip(names, found, strict=True))

    def _target(self, session: SparkSession, view: Relation) -> Relation | None:
        definition = self._definition(session, view)
        if definition is None or not _has_property(definition):
            return None
        target = pointed(_query(definition))
        return target if target is not None and self._shows_all(session, view) else None

    def _shows_all(self, session: SparkSession, view: Relation) -> bool:
        """Whether its columns have the names of those that its query gives. The property doesn't say so: a view that is
        replaced keeps it."""
        told = described(session, view, "EXTENDED ") or []
        names = [str(row[0]) for row in told[: next((at for at, row in enumerate(told) if not row[0]), 0)]]
        given = {str(row[0]): str(row[1]) for row in told[len(names) :]}.get("View Query Output Columns")
        return given == f"[{', '.join(names)}]"

    def _definition(self, session: SparkSession, relation: Relation) -> str | None:
        """The statement that would make it."""
        try:
            return str(session.query(f"SHOW CREATE TABLE {session.named(relation)}").rows[0][0])
        except StatementFailed as failure:
            if is_missing(failure):
                return None
            raise

    def find(self, session: SparkSession, schema: str) -> list[Found]:
        there = self.kinds(session, schema)
        found = session.each(
            lambda pair: self._found(session, Relation(schema, pair[0]), is_view=pair[1]), list(there.items())
        )
        return [f for f in found if f is not None]

    def _found(
        self, session: SparkSession, relation: Relation, *, is_view: bool, definition: str | None = None
    ) -> Found | None:
        if is_view and definition is None:
            definition = self._definition(session, relation)
            if definition is None:
                return None
        columns = columns_of(session, relation)
        return None if columns is None else Found(relation, is_view, columns, (definition or "") if is_view else "")

    def describe(self, session: SparkSession, relation: Relation) -> Found | None:
        definition = self._definition(session, relation)
        if definition is None:
            return None
        return self._found(session, relation, is_view=definition.startswith("CREATE VIEW "), definition=definition)


def _query(definition: str) -> str:
    """A view's query, of the statement that makes it: what comes last, for a pointer's is one line."""
    return definition.rstrip("\n").rpartition("\nAS\n")[2]


def _has_property(definition: str) -> bool:
    """Whether the view is one that :meth:`TableCatalog.pointer` has made."""
    head = definition.rstrip("\n").rpartition("\nAS\n")[0]
    return re.search(rf"^  '{re.escape(POINTER_PROPERTY)}' = 'all columns'[,)]", head, re.MULTILINE) is not None
