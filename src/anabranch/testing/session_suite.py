"""What sessions and their statements obey on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import time

from anabranch.ports.capabilities import Capability
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, failure, rows


class SessionSuite(EnginePart):
    # --- the engine itself

    def test_it_says_what_it_is(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        assert engine.name
        assert engine.dialect
        assert engine.place
        assert set(engine.capabilities) == set(Capability), "each is graded, not left out"
        engine.close()

    def test_a_writing_session_makes_the_database(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
        assert engine.exists()
        size = engine.size()
        assert size is None or size >= 0
        engine.close()

    def test_what_was_made_is_there_for_the_next_handle(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("small"), SMALL)
        engine.close()
        other = open_engine()
        assert other.exists()
        with other.session(read_only=True) as session:
            assert rows(session, at("small")) == [(1, "one"), (2, "two")]
        other.close()

    def test_closed_and_used_again(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        for turn in range(3):
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at(f"t{turn}"), SMALL)
            engine.close()
            engine.close()
        with engine.session(read_only=True) as session:
            assert len(session.find([SCHEMA])) == 3
        engine.close()

    def test_a_session_left_by_an_exception_leaves_the_engine_usable(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        for _ in range(3):
            try:
                with engine.session() as session:
                    session.begin()
                    session.create_schemas([SCHEMA])
                    raise RuntimeError("left")
            except RuntimeError:
                pass
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            assert session.find([SCHEMA]) == []
        engine.close()

    def test_equal_revisions_mean_that_nothing_changed(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        seen: set[str] = set()
        for turn in range(3):
            with engine.session() as session:
                session.create_schemas([SCHEMA])
                session.create_table(at(f"t{turn}"), SMALL)
            engine.close()
            if engine.revision() is None:
                time.sleep(0.1)
            revision = engine.revision()
            if revision is None:
                continue
            assert revision not in seen
            assert open_engine().revision() == revision, "another handle says the same"
            with engine.session(read_only=True) as session:
                rows(session, at("t0"))
            engine.close()
            assert engine.revision() == revision, "reading changes nothing"
            seen.add(revision)

    # --- statements

    def test_a_query_says_columns_and_rows(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            found = session.query(f"SELECT 1 AS a, 'x' AS {session.grammar.identifier('B c')}, NULL AS n")
            assert found.columns == ("a", "B c", "n")
            assert [tuple(r) for r in found.rows] == [(1, "x", None)]
            nothing = session.query("SELECT a FROM (SELECT 1 AS a) AS s WHERE 1 = 0")
            assert nothing.columns == ("a",)
            assert list(nothing.rows) == []
            assert [r[0] for r in session.query(f"SELECT id FROM ({SMALL}) AS s ORDER BY id", 1).rows] == [1]
            assert len(session.query(SMALL, 9).rows) == 2
            assert session.query(SMALL, 0).columns == ("id", "name")
            assert list(session.query(SMALL, 0).rows) == []
        engine.close()

    def test_the_first_rows_of_a_long_answer_come_soon(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            began = time.monotonic()
            assert len(session.query(self.slow_query, 3).rows) == 3
            assert session.query("SELECT 1").rows[0][0] == 1, "the rest isn't in the way"
            assert time.monotonic() - began < 10
        engine.close()

    def test_values_of_all_types_can_be_read(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            selected = ", ".join(f"{value} AS {name}" for name, value in self.odd_columns.items())
            found = session.query(f"SELECT {selected}")
            assert found.columns == tuple(self.odd_columns)
            assert len(found.rows) == 1
            assert None not in found.rows[0]
        engine.close()

    def test_a_statement_that_fails_says_why_and_leaves_the_session_usable(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            error = failure(lambda: session.query("SELECT * FROM nothing_of_that_name"))
            assert "nothing_of_that_name" in error.message
            assert error.kind, "the engine's own name for what went wrong"
            assert error.kind != failure(lambda: session.execute("SELEC 1")).kind
            failure(lambda: session.query(self.broken_query))
            assert session.query("SELECT 1").rows[0][0] == 1
        engine.close()

    def test_statements_commit_one_by_one(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("kept"), SMALL)
            failure(lambda: session.execute("SELEC 1"))
        engine.close()
        with engine.session() as session:
            assert session.count(at("kept")) == 2
        engine.close()
