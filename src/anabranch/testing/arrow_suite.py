"""What every Engine obeys when rows come and go as Arrow: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import unittest
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.engine import ArrowStream, Engine, transaction
from anabranch.testing.engine_helpers import SCHEMA, EnginePart, OpenEngine, at, failure, rows, text

MANY = 300_000


def _arrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise unittest.SkipTest("rows as Arrow need the extra anabranch[python]") from error
    return pyarrow


@contextmanager
def _opened(open_engine: OpenEngine) -> Iterator[Engine]:
    _arrow()
    engine = open_engine()
    with engine.session() as session:
        session.create_schemas([SCHEMA])
    yield engine
    engine.close()


class ArrowSuite(EnginePart):
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
            session.create_table(at("before"), f"SELECT {values} UNION ALL SELECT {nulls}")
            stream = other.read_arrow(f"SELECT * FROM {text(other, at('before'))}")
            assert session.load_arrow(at("after"), [stream], columns) == 2
            assert session.columns(at("after")) == session.columns(at("before"))
            assert session.content_hash(at("after"), list(columns)) == session.content_hash(at("before"), list(columns))

    def test_values_are_cast_and_columns_found_by_name(self, open_engine: OpenEngine) -> None:
        pa = _arrow()
        first = pa.table({"NAME": [1, None], "other": [0, 0], "id": ["7", "8"]})
        second = pa.table({"id": [9.0], "name": ["x"]})
        with _opened(open_engine) as engine, engine.session() as session:
            assert session.load_arrow(at("made"), [first, second], {"id": "INTEGER", "name": engine.grammar.text}) == 3
            assert rows(session, at("made")) == [(7, "1"), (8, None), (9, "x")]

    def test_a_value_that_cannot_be_cast_leaves_nothing(self, open_engine: OpenEngine) -> None:
        pa = _arrow()
        parts = [pa.table({"id": ["1"]}), pa.table({"id": ["one"]})]
        with _opened(open_engine) as engine, engine.session() as session:
            error = failure(lambda: session.load_arrow(at("made"), parts, {"id": "INTEGER"}))
            assert "one" in error.message
            assert session.columns(at("made")) is None
            assert session.load_arrow(at("made"), parts[:1], {"id": "INTEGER"}) == 1, "the session goes on"

    def test_a_missing_column_is_refused(self, open_engine: OpenEngine) -> None:
        with _opened(open_engine) as engine, engine.session() as session:
            part, columns = _arrow().table({"id": [1]}), {"id": "INTEGER", "name": engine.grammar.text}
            failure(lambda: session.load_arrow(at("made"), [part], columns))
            assert session.columns(at("made")) is None

    def test_no_rows_and_no_parts(self, open_engine: OpenEngine) -> None:
        empty = _arrow().table({"id": []})
        with _opened(open_engine) as engine, engine.session() as session:
            assert session.load_arrow(at("one"), [empty], {"id": "INTEGER"}) == 0
            assert session.load_arrow(at("two"), [], {"id": "INTEGER"}) == 0
            assert session.columns(at("one")) == session.columns(at("two"))
            stream = session.read_arrow(f"SELECT * FROM {text(session, at('one'))}")
            assert _arrow().table(stream).column_names == ["id"]

    def test_what_the_parts_raise_passes_and_leaves_nothing(self, open_engine: OpenEngine) -> None:
        def parts() -> Iterator[ArrowStream]:
            yield _arrow().table({"id": [1]})
            raise LookupError("mine")

        with _opened(open_engine) as engine, engine.session() as session:
            told = ""
            try:
                session.load_arrow(at("made"), parts(), {"id": "INTEGER"})
            except LookupError as error:
                told = str(error)
            assert told == "mine"
            assert session.columns(at("made")) is None

    def test_the_parts_are_not_asked_for_where_the_table_exists(self, open_engine: OpenEngine) -> None:
        asked: list[int] = []

        def parts() -> Iterator[ArrowStream]:
            asked.append(1)
            yield _arrow().table({"id": [1]})

        with _opened(open_engine) as engine, engine.session() as session:
            session.load_arrow(at("made"), [], {"id": "INTEGER"})
            failure(lambda: session.load_arrow(at("made"), parts(), {"id": "INTEGER"}))
            assert not asked

    def test_loading_is_part_of_a_transaction(self, open_engine: OpenEngine) -> None:
        columns = {"id": "INTEGER"}
        part = _arrow().table({"id": [1]})
        with _opened(open_engine) as engine, engine.session() as session:
            with transaction(session):
                session.load_arrow(at("kept"), [part], columns)
            session.begin()
            session.load_arrow(at("lost"), [part], columns)
            session.rollback()
            assert rows(session, at("kept")) == [(1,)]
            if engine.capabilities[Capability.TRANSACTIONAL_DDL] is Support.FULL:
                assert session.columns(at("lost")) is None

    def test_many_rows_come_in_batches(self, open_engine: OpenEngine) -> None:
        ids = [_arrow().table({"id": range(first, first + 1000)}) for first in range(0, MANY, 1000)]
        with _opened(open_engine) as engine:
            with engine.session() as session:
                assert session.load_arrow(at("many"), ids, {"id": "INTEGER"}) == MANY
            for read_only in (False, True):
                with engine.session(read_only=read_only) as session:
                    stream = session.read_arrow(f"SELECT * FROM {text(session, at('many'))}", 5000)
                    sizes = [batch.num_rows for batch in _arrow().RecordBatchReader.from_stream(stream)]
                    assert sum(sizes) == MANY
                    assert max(sizes) < MANY / 10
                    assert session.count(at("many")) == MANY, "the session goes on"

    def test_a_stream_that_is_let_go(self, open_engine: OpenEngine) -> None:
        with _opened(open_engine) as engine:
            with engine.session() as session:
                session.load_arrow(at("few"), [_arrow().table({"id": range(1000)})], {"id": "INTEGER"})
            with engine.session(read_only=True) as session:
                stream = session.read_arrow(f"SELECT * FROM {text(session, at('few'))}", 10)
                del stream
                assert session.count(at("few")) == 1000

    def test_names_are_never_pasted(self, open_engine: OpenEngine) -> None:
        table, column = at(self.odd_relation), self.odd_column
        with _opened(open_engine) as engine, engine.session() as session:
            session.load_arrow(table, [_arrow().table({column: [1]})], {column: "INTEGER"})
            assert session.columns(table) is not None
            assert [n for n, _ in session.columns(table) or ()] == [column]
