"""What the parts of :mod:`anabranch.testing.engine_suite` share, and what an adapter says of its engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import ClassVar

from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import Engine, Relation, Session, name

OpenEngine = Callable[[], Engine]

SCHEMA = "suite"
SMALL = "SELECT 1 AS id, 'one' AS name UNION ALL SELECT 2, 'two'"
ODD_NAMES = (
    *("select", "order", "Mixed Case", "with space", "a.b", "semi;colon", "it's", "per%cent", "--dashes", "/*", "100"),
    *('quo"te', '"', "back\\slash", "new\nline", "ünïcode", "тест", "\U0001f600", "_", "x" * 63),
)


@contextmanager
def begun(open_engine: OpenEngine) -> Iterator[tuple[Engine, Session]]:
    """An engine, and a session on it that has made the schema ``suite``; closes both."""
    engine = open_engine()
    try:
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            yield engine, session
    finally:
        engine.close()


def at(name: str, schema: str = SCHEMA) -> Relation:
    return Relation(schema, name)


def text(session: Session, relation: Relation) -> str:
    """How a query names ``relation``."""
    return name(session, relation)


def rows(session: Session, relation: Relation) -> list[tuple[object, ...]]:
    """All of it, sorted."""
    return sorted(session.query(f"SELECT * FROM {text(session, relation)}").rows, key=repr)


def failure(call: Callable[[], object]) -> StatementFailed:
    """What ``call`` is refused with."""
    try:
        call()
    except StatementFailed as error:
        return error
    raise AssertionError("it was not refused")


def everything(session: Session) -> list[object]:
    """All that can be seen: schemas, and their relations."""
    schemas = session.schemas()
    return [*schemas, *session.find(schemas)]


class Seen(StrEnum):
    """How an engine's own tests have seen what it claims."""

    REAL = "run for real"
    EMULATED = "run on an emulator"
    GOLDEN = "SQL checked only"
    NOT = "not run"


class Matter(StrEnum):
    """What is seen besides capabilities."""

    STOPPING = "stopping"
    """A statement that runs is stopped."""
    VERSIONS = "versions"
    SIZES = "sizes"
    TAGS = "tags"


class EnginePart:
    """What an adapter says of its engine, for the parts that ask for it."""

    seen: ClassVar[Mapping[Capability | Matter, Seen]] = {}
    """How, where not for real. Tests of what is ``GOLDEN`` or ``NOT`` are skipped: the adapter has others for it."""
    title: ClassVar[str] = ""
    """What the engine is called in a table of engines; nothing: as it calls itself."""
    slow_query: ClassVar[str]
    """A query in the engine's dialect that runs for minutes."""
    broken_query: ClassVar[str] = f"SELECT CAST(name AS INTEGER) AS number FROM ({SMALL}) AS found"
    """One that fails while it runs, not before."""
    odd_columns: ClassVar[Mapping[str, str]] = {
        "whole": "CAST(1 AS BIGINT)",
        "small": "CAST(1 AS SMALLINT)",
        "money": "CAST(1.5 AS DECIMAL(12, 3))",
        "real": "CAST(1.5 AS DOUBLE PRECISION)",
        "words": "CAST('x' AS VARCHAR)",
        "day": "CAST('2020-02-29' AS DATE)",
        "moment": "CAST('2020-02-29 12:00:00' AS TIMESTAMP)",
        "yes": "true",
    }
    """Columns of all types that the engine has: an expression for each."""

    odd_column: ClassVar[str] = 'Quo"te'
    """A column's name that has to be quoted with care."""
    odd_relation: ClassVar[str] = 'a"b; --'
    """A relation's."""

    renamed: ClassVar[str] = "SELECT *"
    """What a view may begin with whose columns, ``id`` and ``name``, are renamed by a list after its own name."""
    pointers: ClassVar[int] = 3000
    """So many are set at once, where the engine's statements are quick enough for it."""
    pointer_seconds: ClassVar[float] = 0.01
    """Each may take so long on average."""
    builds: ClassVar[int] = 10
    """So many tables each of several threads makes."""
    pause: ClassVar[float] = 0.0
    """Seconds after which the engine's clock tells two statements apart."""
    binds_views: ClassVar[bool] = False
    """No table is dropped that a view reads: the engine refuses, and has no views that lead nowhere."""
    readers_wait: ClassVar[bool] = False
    """Who reads a view that an open transaction has changed waits for its end, as Postgres has it."""

    def odd_names(self, engine: Engine) -> list[str]:
        """Those that the engine takes."""
        return [n for n in ODD_NAMES if engine.identifiers.takes(n)]

    def odd_schema(self, engine: Engine) -> str:
        """The oddest that it takes."""
        return next(n for n in ('quo"te d', "with space", "with_more") if engine.identifiers.takes_schema(n))

    def look(self, *what: Capability | Matter) -> None:
        """Skips a test of what can't be seen here."""
        import pytest  # who runs a suite has it; pytest 9.0.0 doesn't take unittest's way to skip

        for each in what:
            if self.seen.get(each, Seen.REAL) in (Seen.GOLDEN, Seen.NOT):
                pytest.skip(f"{each}: {self.seen[each]}")

    def claims(self, engine: Engine, capability: Capability) -> bool:
        return engine.capabilities.get(capability) is Support.FULL
