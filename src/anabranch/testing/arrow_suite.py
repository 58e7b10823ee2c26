"""What every Engine obeys when rows come and go as Arrow: part of :class:`anabranch.testing.engine_suite.EngineSuite`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from anabranch.errors import StatementFailed
from anabranch.ports.engine import ArrowStream, Engine, Relation, Session, quoted, transaction

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
    return pytest.importorskip("pyarrow", reason="rows as Arrow need the extra anabranch[python]")


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

    @pytest.fixture
    def arrow_engine(self, open_engine: Callable[[], Engine]) -> Iterator[Engine]:
        _arrow()
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
        yield engine
        engine.close()

    def test_every_type_goes_and_comes_back(self, arrow_engine: Engine) -> None:
        columns = {f"c{i}": kind for i, kind in enumerate(self.arrow_types)}
        values = ", ".join(f"{value} AS c{i}" for i, value in enumerate(self.arrow_types.values()))
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {c}" for c, kind in columns.items())
        with arrow_engine.session() as session, arrow_engine.session() as other:
            session.create_table(_at("before"), f"SELECT {values} UNION ALL SELECT {nulls}")
            stream = other.read_arrow(f"SELECT * FROM {_name(other, _at('before'))}")
            assert session.load_arrow(_at("after"), [stream], columns) == 2
            assert session.columns(_at("after")) == session.columns(_at("before"))
            assert session.content_hash(_at("after"), list(columns)) == session.content_hash(
                _at("before"), list(columns)
            )

    def test_values_are_cast_and_columns_found_by_name(self, arrow_engine: Engine) -> None:
        pa = _arrow()
        first = pa.table({"NAME": [1, None], "other": [0, 0], "id": ["7", "8"]})
        second = pa.table({"id": [9.0], "name": ["x"]})
        with arrow_engine.session() as session:
            assert session.load_arrow(_at("made"), [first, second], {"id": "INTEGER", "name": "VARCHAR"}) == 3
            assert _all(session, "made") == [(7, "1"), (8, None), (9, "x")]

    def test_a_value_that_cannot_be_cast_leaves_nothing(self, arrow_engine: Engine) -> None:
        pa = _arrow()
        parts = [pa.table({"id": ["1"]}), pa.table({"id": ["one"]})]
        with arrow_engine.session() as session:
            with pytest.raises(StatementFailed, match="one"):
                session.load_arrow(_at("made"), parts, {"id": "INTEGER"})
            assert session.columns(_at("made")) is None
            assert session.load_arrow(_at("made"), parts[:1], {"id": "INTEGER"}) == 1, "the session goes on"

    def test_a_missing_column_is_refused(self, arrow_engine: Engine) -> None:
        with arrow_engine.session() as session:
            with pytest.raises(StatementFailed):
                session.load_arrow(_at("made"), [_arrow().table({"id": [1]})], {"id": "INTEGER", "name": "VARCHAR"})
            assert session.columns(_at("made")) is None

    def test_no_rows_and_no_parts(self, arrow_engine: Engine) -> None:
        empty = _arrow().table({"id": []})
        with arrow_engine.session() as session:
            assert session.load_arrow(_at("one"), [empty], {"id": "INTEGER"}) == 0
            assert session.load_arrow(_at("two"), [], {"id": "INTEGER"}) == 0
            assert session.columns(_at("one")) == session.columns(_at("two"))
            stream = session.read_arrow(f"SELECT * FROM {_name(session, _at('one'))}")
            assert _arrow().table(stream).column_names == ["id"]

    def test_what_the_parts_raise_passes_and_leaves_nothing(self, arrow_engine: Engine) -> None:
        def parts() -> Iterator[ArrowStream]:
            yield _arrow().table({"id": [1]})
            raise LookupError("mine")

        with arrow_engine.session() as session:
            with pytest.raises(LookupError, match="mine"):
                session.load_arrow(_at("made"), parts(), {"id": "INTEGER"})
            assert session.columns(_at("made")) is None

    def test_the_parts_are_not_asked_for_where_the_table_exists(self, arrow_engine: Engine) -> None:
        asked: list[int] = []

        def parts() -> Iterator[ArrowStream]:
            asked.append(1)
            yield _arrow().table({"id": [1]})

        with arrow_engine.session() as session:
            session.load_arrow(_at("made"), [], {"id": "INTEGER"})
            with pytest.raises(StatementFailed):
                session.load_arrow(_at("made"), parts(), {"id": "INTEGER"})
            assert not asked

    def test_loading_is_part_of_a_transaction(self, arrow_engine: Engine) -> None:
        columns = {"id": "INTEGER"}
        part = _arrow().table({"id": [1]})
        with arrow_engine.session() as session:
            with transaction(session):
                session.load_arrow(_at("kept"), [part], columns)
            session.begin()
            session.load_arrow(_at("lost"), [part], columns)
            session.rollback()
            assert _all(session, "kept") == [(1,)]
            assert session.columns(_at("lost")) is None

    @pytest.mark.parametrize("read_only", [False, True])
    def test_many_rows_come_in_batches(self, arrow_engine: Engine, read_only: bool) -> None:
        columns = {"id": "INTEGER"}
        ids = [_arrow().table({"id": range(at, at + 1000)}) for at in range(0, MANY, 1000)]
        with arrow_engine.session() as session:
            assert session.load_arrow(_at("many"), ids, columns) == MANY
        with arrow_engine.session(read_only=read_only) as session:
            reader = _arrow().RecordBatchReader.from_stream(
                session.read_arrow(f"SELECT * FROM {_name(session, _at('many'))}", 5000)
            )
            sizes = [batch.num_rows for batch in reader]
            assert sum(sizes) == MANY
            assert max(sizes) < MANY / 10
            assert session.count(_at("many")) == MANY, "the session goes on"

    def test_a_stream_that_is_let_go(self, arrow_engine: Engine) -> None:
        with arrow_engine.session() as session:
            session.load_arrow(_at("few"), [_arrow().table({"id": range(1000)})], {"id": "INTEGER"})
        with arrow_engine.session(read_only=True) as session:
            stream = session.read_arrow(f"SELECT * FROM {_name(session, _at('few'))}", 10)
            del stream
            assert session.count(_at("few")) == 1000

    def test_names_are_never_pasted(self, arrow_engine: Engine) -> None:
        odd = 'a"b; --'
        with arrow_engine.session() as session:
            session.load_arrow(Relation(SCHEMA, odd), [_arrow().table({odd: [1]})], {odd: "INTEGER"})
            assert session.columns(Relation(SCHEMA, odd)) is not None
            assert [n for n, _ in session.columns(Relation(SCHEMA, odd)) or ()] == [odd]
