"""What sessions of several engines have alike: statements that all of them take, and a refusal of what one can't do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from anabranch.errors import StatementFailed
from anabranch.ports.cloning import PLAIN, Cloning, Held
from anabranch.ports.engine import ArrowStream, Found, Grant, Relation, Result, name
from anabranch.ports.grammar import STANDARD, Grammar

UNSUPPORTED = "NotSupported"
"""The kind of a ``StatementFailed`` that is raised before the engine is asked."""


class CommonSession:
    """A base for :class:`anabranch.ports.engine.Session`. An engine's own session has at least ``execute``, ``query``,
    ``describe_query``, ``create_schemas``, ``drop_schemas``, ``find``, ``schemas``, ``columns``, ``targets``, ``drop``,
    ``rename``, ``read_arrow``, ``load_arrow`` and ``content_hash``; it overrides what it can do better."""

    engine_name = ""
    grammar: Grammar = STANDARD
    transacts = False

    # -- an engine's own -------------------------------------------------------------------------------------------
    def execute(self, statement: str) -> None:
        raise NotImplementedError

    def query(self, statement: str, most: int | None = None) -> Result:
        raise NotImplementedError

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        raise NotImplementedError

    def create_schemas(self, schemas: Collection[str]) -> None:
        raise NotImplementedError

    def drop_schemas(self, schemas: Collection[str]) -> None:
        raise NotImplementedError

    def schemas(self) -> list[str]:
        raise NotImplementedError

    def find(self, schemas: Collection[str]) -> list[Found]:
        raise NotImplementedError

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        raise NotImplementedError

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        raise NotImplementedError

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        raise NotImplementedError

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        raise NotImplementedError

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        raise NotImplementedError

    # -- transactions: none, unless an engine has them -------------------------------------------------------------
    def tag(self, about: Mapping[str, str]) -> None:
        return None

    def begin(self) -> None:
        return None

    def commit(self) -> None:
        return None

    def rollback(self) -> None:
        return None

    def lock(self, table: Relation) -> None:
        return None

    # -- statements that engines have alike ------------------------------------------------------------------------
    def qualify(self, relation: Relation) -> Relation:
        return relation

    def named(self, relation: Relation) -> str:
        """A relation, quoted."""
        return name(self, relation)

    def create_table(self, table: Relation, query: str) -> int:
        self.execute(f"CREATE TABLE {self.named(table)} AS {query}")
        return self.count(table)

    def create_view(self, view: Relation, query: str) -> None:
        self.execute(f"CREATE OR REPLACE VIEW {self.named(view)} AS {query}")

    def create_materialized_view(self, view: Relation, query: str) -> None:
        self.refuse(f"make a materialized view of {view}")

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        for view, target in pointers.items():
            if target is None:
                self.execute(f"DROP VIEW IF EXISTS {self.named(view)}")
            else:
                self.create_view(view, f"SELECT * FROM {self.named(target)}")

    def rename(self, table: Relation, name: str) -> None:
        new = self.grammar.identifier(name)
        self.execute(f"ALTER TABLE {self.named(table)} RENAME TO {new}")

    def drop(self, relations: Collection[Relation]) -> None:
        views = {f.relation for f in self.find({r.schema for r in relations}) if f.is_view} if relations else set()
        for relation in sorted(relations):
            self.execute(f"DROP {'VIEW' if relation in views else 'TABLE'} IF EXISTS {self.named(relation)}")

    def describe(self, relation: Relation) -> Found | None:
        return next((f for f in self.find([relation.schema]) if f.relation == relation), None)

    def count(self, table: Relation) -> int:
        return int(str(self.query(f"SELECT count(*) FROM {self.named(table)}").rows[0][0]))

    def load_csv(self, table: Relation, path: Path, columns: Mapping[str, str]) -> int:
        from anabranch.engines.csv_files import read  # needs DuckDB and Arrow

        with read(path, columns, self.grammar) as (kinds, stream):
            return self.load_arrow(table, [stream], kinds)

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        return {}

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        if grants:
            self.refuse(f"grant rights on {relation}")

    # -- what only some can ----------------------------------------------------------------------------------------
    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        self.refuse(f"clone {source}")

    def clone_schema(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        self.refuse(f"clone schema {source}")

    def clone_database(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        self.refuse(f"clone database {source}")

    def swap(self, one: Relation, other: Relation) -> None:
        self.refuse(f"swap {one} and {other} in one step")

    def swap_schemas(self, one: str, other: str) -> None:
        self.refuse(f"swap schemas {one} and {other} in one step")

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        self.refuse(f"merge rows into {table} in one step")

    def version(self, table: Relation) -> str | None:
        return None

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        return {}

    def refuse(self, what: str) -> NoReturn:
        """Raises ``StatementFailed``: the engine can't do it."""
        raise StatementFailed(f"{self.engine_name} can't {what}", kind=UNSUPPORTED)


def merging(
    session: CommonSession,
    table: Relation,
    rows: Relation,
    keys: Sequence[str],
    columns: Sequence[str],
    mark: str | None = None,
) -> str:
    """The MERGE statement of :meth:`anabranch.ports.engine.Session.merge`, as standard SQL has it."""
    grammar = session.grammar
    lower = {k.lower() for k in keys}
    matches = [grammar.same.format(f"b.{grammar.identifier(k)}", f"n.{grammar.identifier(k)}") for k in keys]
    others = [grammar.identifier(c) for c in columns if c.lower() not in lower]
    update = f" WHEN MATCHED THEN UPDATE SET {', '.join(f'{c} = n.{c}' for c in others)}" if others else ""
    is_row = f"n.{grammar.identifier(mark)}" if mark else ""
    remove = f" WHEN MATCHED AND NOT {is_row} THEN DELETE" if mark else ""
    add = f" WHEN NOT MATCHED AND {is_row} THEN INSERT" if mark else " WHEN NOT MATCHED THEN INSERT"
    return (
        f"MERGE INTO {session.named(table)} AS b USING {session.named(rows)} AS n ON {' AND '.join(matches)}"
        f"{remove}{update}{add} ({grammar.columns(columns)}) VALUES ({grammar.columns(columns, 'n.')})"
    )


def signed(columns: Sequence[tuple[str, str]], figures: Sequence[object]) -> str:
    """A hash of a relation's content, from its columns' names and types and the figures that an engine computed: see
    :meth:`anabranch.ports.engine.Session.content_hash`."""
    said = [[list(c) for c in columns], [str(f) for f in figures]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def only(how: Cloning, *known: str) -> str | None:
    """The first wish of ``how`` that isn't among the ``known`` ones, by its field's name; None: all are."""
    return next((f for f in Cloning.__dataclass_fields__ if f not in known and getattr(how, f)), None)
