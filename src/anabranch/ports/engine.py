"""How SQL runs.

An engine speaks one dialect and keeps relations (tables and views) in schemas. It knows nothing of environments or
snapshots. Identifiers are given as :class:`Relation` and quoted by the engine; queries come from :mod:`anabranch.sql`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from anabranch.ports.capabilities import Capability, Identifiers, Support
from anabranch.ports.cloning import PLAIN, CloneRules, Cloning, Held
from anabranch.ports.grammar import Grammar

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """The address of a table or view."""

    schema: str
    name: str
    catalog: str | None = None

    def __str__(self) -> str:
        return ".".join(p for p in (self.catalog, self.schema, self.name) if p)


@dataclass(frozen=True, slots=True)
class Found:
    """A relation that exists. ``columns``: ``(name, type)`` in order, types as the engine spells them. ``definition``:
    of a view, as the engine tells it, else ``""``."""

    relation: Relation
    is_view: bool
    columns: tuple[tuple[str, str], ...]
    definition: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """A right on a relation, both as the engine spells them: ``SELECT``, and to whom."""

    right: str
    grantee: str


class ArrowStream(Protocol):
    """Rows that come in batches, as the Arrow project's PyCapsule interface has it: ``pyarrow.table(stream)``,
    ``polars.from_arrow(stream)``. It may be read once."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object: ...


@dataclass(frozen=True, slots=True)
class Result:
    """A query's answer."""

    columns: tuple[str, ...]
    rows: Sequence[Row]


class Session(Protocol):
    """One connection; to be used by one thread at a time. Statements outside a transaction commit one by one.

    All methods raise ``StatementFailed`` (with the engine's message), ``WarehouseBusy`` or ``WarehouseUnavailable``.
    """

    @property
    def grammar(self) -> Grammar: ...

    @property
    def transacts(self) -> bool:
        """Whether all statements between :meth:`begin` and :meth:`commit` happen together, or not at all: as the engine
        claims ``TRANSACTIONAL_DDL``."""
        ...

    def tag(self, about: Mapping[str, str]) -> None:
        """What the following statements are about (environment, asset, plan), for the engine's own log of them."""
        ...

    def begin(self) -> None:
        """Begins a transaction: all or nothing, where the engine has transactional DDL. Elsewhere each statement goes
        on committing by itself."""
        ...

    def commit(self) -> None:
        """Ends it; on an error nothing of it has happened."""
        ...

    def rollback(self) -> None:
        """Takes it back. Harmless where there is none."""
        ...

    def lock(self, table: Relation) -> None:
        """Keeps others that lock ``table`` too from deciding over the same rows of it, until the transaction ends: they
        wait, or fail when they write, as it is with the engine. Nothing on an engine without transactions."""
        ...

    def execute(self, statement: str) -> None:
        """Runs one statement in the engine's dialect."""
        ...

    def query(self, statement: str, most: int | None = None) -> Result:
        """Runs one query and reads its whole answer, or its first ``most`` rows."""
        ...

    def describe_query(self, query: str) -> tuple[tuple[str, str], ...]:
        """The columns that a query gives, as in :class:`Found`. It isn't run, and nothing is made."""
        ...

    def qualify(self, relation: Relation) -> Relation:
        """``relation`` in the form that the engine can't misunderstand inside a query."""
        ...

    def create_schemas(self, schemas: Collection[str]) -> None:
        """Makes those that don't exist."""
        ...

    def drop_schemas(self, schemas: Collection[str]) -> None:
        """Drops those that exist and are empty; leaves the rest as they are."""
        ...

    def create_table(self, table: Relation, query: str) -> int:
        """Makes ``table`` from ``query``: wholly, or not at all. It must not exist. Says how many rows it has."""
        ...

    def load_csv(self, table: Relation, path: Path, columns: Mapping[str, str]) -> int:
        """Makes ``table`` from a CSV file with a header line: wholly, or not at all. ``columns`` names types for some
        or all columns; the rest are inferred. Says how many rows it has."""
        ...

    def read_arrow(self, query: str, rows: int = 0) -> ArrowStream:
        """Runs one query and gives its answer batch by batch (of about so many ``rows``, where more than 0), never all
        of it at once. The session is used for nothing else until the stream is at its end or let go.

        Raises:
            WarehouseError: Arrow isn't installed.
        """
        ...

    def load_arrow(self, table: Relation, parts: Iterable[ArrowStream], columns: Mapping[str, str]) -> int:
        """Makes ``table`` with ``columns``, names and types, from the rows of ``parts``: wholly, or not at all. It must
        not exist, which is found out before the first part is asked for; parts are asked for one by one, and read batch
        by batch. Each has all the columns, in any order, found without regard to case, and others that are passed over.
        Values are cast to the columns' types. Says how many rows it has.

        Raises:
            StatementFailed: a value can't be cast.
            WarehouseError: Arrow isn't installed.
            Exception: what ``parts`` raises passes.
        """
        ...

    def clone(self, source: Relation, clone: Relation, how: Cloning = PLAIN) -> None:
        """Makes ``clone`` a table that holds what ``source`` holds, or held, without copying it. It must not exist,
        unless ``how`` says otherwise. Raises ``StatementFailed`` where the engine doesn't claim ``CLONE_TABLE``."""
        ...

    def clone_schema(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        """The same with all tables of a schema; its views select from where they selected. Only with
        ``CLONE_SCHEMA``."""
        ...

    def clone_database(self, source: str, clone: str, how: Cloning = PLAIN) -> None:
        """The same with all schemas of a database. Only with ``CLONE_DATABASE``."""
        ...

    def swap(self, one: Relation, other: Relation) -> None:
        """Has two tables take each other's name in one step. Only with ``SWAP_TABLES``."""
        ...

    def swap_schemas(self, one: str, other: str) -> None:
        """The same with two schemas. Only with ``SWAP_SCHEMAS``."""
        ...

    def merge(
        self, table: Relation, rows: Relation, keys: Sequence[str], columns: Sequence[str], mark: str | None = None
    ) -> None:
        """Has each row of ``rows`` take the place of the row of ``table`` with the same ``keys`` (NULL equals NULL), or
        adds it, in ``columns``, which name the keys too. ``mark``: a column of ``rows``; where that is false, the row
        of ``table`` with its keys goes instead. Only with ``MERGE``."""
        ...

    def version(self, table: Relation) -> str | None:
        """A token that is another whenever the content of ``table`` is another, by the engine's own metadata; None
        where there is none to tell it by."""
        ...

    def held(self, tables: Collection[Relation]) -> dict[Relation, Held]:
        """The bytes of those whose size the engine's metadata says."""
        ...

    def rename(self, table: Relation, name: str) -> None:
        """Gives a table another name within its schema. Views that select from either name then read what has it."""
        ...

    def create_view(self, view: Relation, query: str) -> None:
        """Makes or replaces ``view``, in one step."""
        ...

    def create_materialized_view(self, view: Relation, query: str) -> None:
        """Makes ``view``, whose rows the engine keeps. It must not exist. Only with ``MATERIALIZED_VIEWS``."""
        ...

    def point(self, pointers: Mapping[Relation, Relation | None]) -> None:
        """Makes each key a view of everything in its value, replacing what view was there; None drops it. Cheap per
        pointer: an environment has thousands. A *table* in a view's place is never dropped: ``StatementFailed``."""
        ...

    def grants(self, relations: Collection[Relation]) -> dict[Relation, tuple[Grant, ...]]:
        """What is granted on those that exist, the owner's own rights aside; nothing without ``GRANTS``."""
        ...

    def grant(self, relation: Relation, grants: Collection[Grant]) -> None:
        """Grants these rights, besides what there is."""
        ...

    def targets(self, schemas: Collection[str]) -> dict[Relation, Relation | None]:
        """All views in ``schemas`` and, of each that is exactly what :meth:`point` makes, where it points."""
        ...

    def drop(self, relations: Collection[Relation]) -> None:
        """Drops those tables and views that exist. Nothing that depends on them is dropped with them."""
        ...

    def find(self, schemas: Collection[str]) -> list[Found]:
        """All tables and views in ``schemas``."""
        ...

    def schemas(self) -> list[str]:
        """All schemas of the database, the engine's own aside."""
        ...

    def describe(self, relation: Relation) -> Found | None:
        """The one relation, or None."""
        ...

    def columns(self, relation: Relation) -> tuple[tuple[str, str], ...] | None:
        """Its columns as in :class:`Found`, None where it isn't there (or is a view that leads nowhere): cheap however
        many relations there are. Not to be asked within a transaction, which the answer "no" may end."""
        ...

    def count(self, table: Relation) -> int:
        """Its rows."""
        ...

    def content_hash(self, relation: Relation, columns: Sequence[str]) -> str:
        """A hash of what ``columns`` of ``relation`` hold, computed where the data is: 64 hexadecimal digits.

        The order of rows doesn't count, their number does, and so do the columns' names, types and order. Rows that an
        engine calls equal and that a query can tell apart (0.0 and -0.0, 1 month and 30 days) count as different: equal
        hashes mean equal content, as surely as 64 bits a row can say it; unequal ones may only be a change of engine
        or of its version.

        Raises:
            StatementFailed: there is no such relation or column.
        """
        ...


class Engine(Protocol):
    """A database that sessions are opened on."""

    @property
    def name(self) -> str: ...

    @property
    def dialect(self) -> str:
        """As sqlglot calls it."""
        ...

    @property
    def grammar(self) -> Grammar: ...

    @property
    def identifiers(self) -> Identifiers: ...

    @property
    def capabilities(self) -> Mapping[Capability, Support]: ...

    @property
    def clone_rules(self) -> CloneRules: ...

    @property
    def place(self) -> str:
        """Where it is, for people; never with a secret."""
        ...

    def revision(self) -> str | None:
        """A cheap token, read without opening the database: equal tokens mean that nothing in it has changed in
        between. None where there is no such token (changed just now, or by its kind)."""
        ...

    def exists(self) -> bool:
        """Whether the database is there. A writing session makes it where it can."""
        ...

    def size(self) -> int | None:
        """Its bytes in all, where that is cheap to know."""
        ...

    def session(self, *, read_only: bool = False, patience: float | None = None) -> AbstractContextManager[Session]:
        """Opens a session; several may be open at a time where the engine claims ``CONCURRENT_STATEMENTS``. With
        ``read_only`` the engine itself refuses to write. ``patience``: seconds to wait for another process, where the
        engine's own are too many.

        Raises:
            WarehouseBusy: another process holds it, and didn't let go within the engine's patience.
            WarehouseUnavailable: it is missing, read-only, of another format or out of reach.
        """
        ...

    def interrupt(self) -> None:
        """Stops the statements that run in this process; they raise ``StatementFailed``."""
        ...

    def close(self) -> None:
        """Gives back what it holds (files, locks, connections). Using it again opens it again."""
        ...


@contextmanager
def transaction(session: Session) -> Iterator[None]:
    """Commits at the end, rolls back on an exception."""
    session.begin()
    try:
        yield
    except BaseException:
        session.rollback()
        raise
    session.commit()


def name(session: Session, address: Relation) -> str:
    """A relation, quoted, as the engine can't misunderstand it."""
    full = session.qualify(address)
    return session.grammar.name(full.catalog, full.schema, full.name)


def quoted(names: Iterable[str]) -> str:
    """``names`` as one qualified identifier in double quotes, as standard SQL has it."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
