"""What every Engine obeys when rows come and go as Arrow: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream, Engine, Relation, Session, quoted, transaction

OpenEngine = Callable[[], Engine]
SCHEMA = "suite"
MANY = 300_000


def _at(name: str) -> Relation:
    return Relation(SCHEMA, name)


def _name(session: Session, table: Relation) -> str:
    full = session.qualify(table)
    return quoted(p for p in (full.catalog, full.schema, full.name) if p)


def _all(session: Session, table: str) -> list[tuple[object, ...]]:
    return sorted(session.query(f"SELECT * FROM {_name(session, _at(table))}").rows, key=repr)


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise unittest.SkipTest("rows as Arrow need the extra anabranch[python]") from error
    return pyarrow


@contextmanager
def _refused(said: str = "") -> Iterator[None]:
    told = None
    try:
        yield
    except StatementFailed as error:
        told = error.message
    assert told is not None, "it was not refused"
    assert said in told


@contextmanager
def _opened(open_engine: OpenEngine) -> Iterator[Engine]:
    _arrow()
    engine = open_engine()
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    yield engine
    engine.close()


class ArrowSuite:
    arrow_types: ClassVar[Mapping[str, str]] = {
        "SMALLINT": "CAST(-7 AS SMALLINT)",
        "INTEGER": "CAST(2147483647 AS INTEGER)",
        "BIGINT": "CAST(-9223372036854775807 AS BIGINT)",
        "DECIMAL(18, 3)": "CAST(123456789012345.678 AS DECIMAL(18, 3))",
        "DOUBLE": "CAST(0.1 AS DOUBLE)",
        "BOOLEAN": "true",
        "VARCHAR": "'it''s ünïcode'",
        "DATE": "CAST('0001-01-01' AS DATE)",
        "TIMESTAMP": "CAST('2020-02-29 12:34:56.789012' AS TIMESTAMP)",
    }
    """Types, as a project writes them, with an expression for a value of each."""

    def test_every_type_goes_and_comes_back(self, open_engine: OpenEngine) -> None:
        columns = {f"c{i}": kind for i, kind in enumerate(self.arrow_types)}
        values = ", ".join(f"{value} AS c{i}" for i, value in enumerate(self.arrow_types.values()))
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {c}" for c, kind in columns.items())
        with _opened(open_engine) as engine, engine.session() as session, engine.session() as other:
            session.create_table(_at("before"), f"SELECT {values} UNION ALL SELECT {nulls}")
            stream = other.read_arrow(f"SELECT * FROM {_name(other, _at('before'))}")
            assert session.load_arrow(_at("after"), [stream], columns) == 2
            assert session.columns(_at("after")) == session.columns(_at("before"))
            assert session.content_hash(_at("after"), list(columns)) == session.content_hash(
                _at("before"), list(columns)
            )

    def test_values_are_cast_and_columns_found_by_name(self, open_engine: OpenEngine) -> None:
        pa = _arrow()
        first = pa.table({"NAME": [1, None], "other": [0, 0], "id": ["7", "8"]})
        second = pa.table({"id": [9.0], "name": ["x"]})
        with _opened(open_engine) as engine, engine.session() as session:
            assert session.load_arrow(_at("made"), [first, second], {"id": "INTEGER", "name": "VARCHAR"}) == 3
            assert _all(session, "made") == [(7, "1"), (8, None), (9, "x")]

    def test_a_value_that_cannot_be_cast_leaves_nothing(self, open_engine: OpenEngine) -> None:
        pa = _arrow()
        parts = [pa.table({"id": ["1"]}), pa.table({"id": ["one"]})]
        with _opened(open_engine) as engine, engine.session() as session:
            with _refused("one"):
                session.load_arrow(_at("made"), parts, {"id": "INTEGER"})
            assert session.columns(_at("made")) is None
            assert session.load_arrow(_at("made"), parts[:1], {"id": "INTEGER"}) == 1, "the session goes on"

    def test_a_missing_column_is_refused(self, open_engine: OpenEngine) -> None:
        with _opened(open_engine) as engine, engine.session() as session:
            with _refused():
                session.load_arrow(_at("made"), [_arrow().table({"id": [1]})], {"id": "INTEGER", "name": "VARCHAR"})
            assert session.columns(_at("made")) is None

    def test_no_rows_and_no_parts(self, open_engine: OpenEngine) -> None:
        empty = _arrow().table({"id": []})
        with _opened(open_engine) as engine, engine.session() as session:
            assert session.load_arrow(_at("one"), [empty], {"id": "INTEGER"}) == 0
            assert session.load_arrow(_at("two"), [], {"id": "INTEGER"}) == 0
            assert session.columns(_at("one")) == session.columns(_at("two"))
            stream = session.read_arrow(f"SELECT * FROM {_name(session, _at('one'))}")
            assert _arrow().table(stream).column_names == ["id"]

    def test_what_the_parts_raise_passes_and_leaves_nothing(self, open_engine: OpenEngine) -> None:
        def parts() -> Iterator[ArrowStream]:
            yield _arrow().table({"id": [1]})
            raise LookupError("mine")

        with _opened(open_engine) as engine, engine.session() as session:
            told = ""
            try:
                session.load_arrow(_at("made"), parts(), {"id": "INTEGER"})
            except LookupError as error:
                told = str(error)
            assert told == "mine"
            assert session.columns(_at("made")) is None

    def test_the_parts_are_not_asked_for_where_the_table_exists(self, open_engine: OpenEngine) -> None:
        asked: list[int] = []

        def parts() -> Iterator[ArrowStream]:
            asked.append(1)
            yield _arrow().table({"id": [1]})

        with _opened(open_engine) as engine, engine.session() as session:
            session.load_arrow(_at("made"), [], {"id": "INTEGER"})
            with _refused():
                session.load_arrow(_at("made"), parts(), {"id": "INTEGER"})
            assert not asked

    def test_loading_is_part_of_a_transaction(self, open_engine: OpenEngine) -> None:
        columns = {"id": "INTEGER"}
        part = _arrow().table({"id": [1]})
        with _opened(open_engine) as engine, engine.session() as session:
            with transaction(session):
                session.load_arrow(_at("kept"), [part], columns)
            session.begin()
            session.load_arrow(_at("lost"), [part], columns)
            session.rollback()
            assert _all(session, "kept") == [(1,)]
            assert session.columns(_at("lost")) is None

    def test_many_rows_come_in_batches(self, open_engine: OpenEngine) -> None:
        ids = [_arrow().table({"id": range(at, at + 1000)}) for at in range(0, MANY, 1000)]
        with _opened(open_engine) as engine:
            with engine.session() as session:
                assert session.load_arrow(_at("many"), ids, {"id": "INTEGER"}) == MANY
            for read_only in (False, True):
                with engine.session(read_only=read_only) as session:
                    stream = session.read_arrow(f"SELECT * FROM {_name(session, _at('many'))}", 5000)
                    sizes = [batch.num_rows for batch in _arrow().RecordBatchReader.from_stream(stream)]
                    assert sum(sizes) == MANY
                    assert max(sizes) < MANY / 10
                    assert session.count(_at("many")) == MANY, "the session goes on"

    def test_a_stream_that_is_let_go(self, open_engine: OpenEngine) -> None:
        with _opened(open_engine) as engine:
            with engine.session() as session:
                session.load_arrow(_at("few"), [_arrow().table({"id": range(1000)})], {"id": "INTEGER"})
            with engine.session(read_only=True) as session:
                stream = session.read_arrow(f"SELECT * FROM {_name(session, _at('few'))}", 10)
                del stream
                assert session.count(_at("few")) == 1000

    def test_names_are_never_pasted(self, open_engine: OpenEngine) -> None:
        odd = 'a"b; --'
        with _opened(open_engine) as engine, engine.session() as session:
            session.load_arrow(Relation(SCHEMA, odd), [_arrow().table({odd: [1]})], {odd: "INTEGER"})
            assert session.columns(Relation(SCHEMA, odd)) is not None
            assert [n for n, _ in session.columns(Relation(SCHEMA, odd)) or ()] == [odd]
