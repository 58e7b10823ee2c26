"""What transactions and threads obey on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from anabranch.errors import WarehouseError
from anabranch.ports.capabilities import Capability
from anabranch.ports.engine import transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, everything, failure, rows, text
from anabranch.testing.store_suite import in_threads

PATIENCE = 60.0
"""Seconds that anything may take here at most."""


class TransactionSuite(EnginePart):
    # --- transactions

    def test_what_is_rolled_back_never_was(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        (tmp_path / "seed.csv").write_text("id\n1\n")
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("old"), SMALL)
            session.create_table(at("other"), "SELECT 7 AS id")
            session.create_view(at("view"), SMALL)
            session.point({at("p"): at("old"), at("q"): at("old")})
            before = everything(session)
            session.begin()
            session.create_schemas(["made"])
            session.create_table(at("t", "made"), SMALL)
            session.load_csv(at("seed", "made"), tmp_path / "seed.csv", {})
            session.create_view(at("view"), "SELECT 9 AS other")
            session.point({at("p"): at("other"), at("q"): None, at("r", "made"): at("t", "made")})
            session.drop([at("old")])
            session.execute(f"INSERT INTO {text(session, at('other'))} VALUES (8)")
            assert rows(session, at("p")) == [(7,), (8,)], "seen from inside"
            assert session.describe(at("q")) is None
            session.rollback()
            assert everything(session) == before
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            assert rows(session, at("other")) == [(7,)]
        engine.close()

    def test_a_transaction_shows_all_or_nothing_to_others(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        if not self.claims(engine, Capability.CONCURRENT_STATEMENTS):
            return
        with engine.session() as writer, engine.session() as reader:
            writer.create_schemas([SCHEMA])
            writer.create_table(at("old"), "SELECT 1 AS id")
            writer.create_table(at("new"), "SELECT 2 AS id")
            writer.point({at(f"p{n}"): at("old") for n in range(5)})
            writer.begin()
            for n in range(5):
                writer.point({at(f"p{n}"): at("new")})
                assert [rows(reader, at(f"p{m}")) for m in range(5)] == [[(1,)]] * 5
            writer.commit()
            assert [rows(reader, at(f"p{m}")) for m in range(5)] == [[(2,)]] * 5
        engine.close()

    def test_an_error_in_a_transaction_takes_all_of_it_back(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])

            def work() -> None:
                with transaction(session):
                    session.create_table(at("first"), SMALL)
                    session.create_table(at("second"), self.broken_query)

            failure(work)
            assert session.find([SCHEMA]) == []
            with transaction(session):
                session.create_table(at("first"), SMALL)
            assert session.count(at("first")) == 2
        engine.close()

    def test_a_session_that_ends_rolls_back(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.TRANSACTIONAL_DDL):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.begin()
            session.create_table(at("t"), SMALL)
        with engine.session() as session:
            assert session.find([SCHEMA]) == []
        engine.close()

    def test_rolling_back_is_harmless_where_there_is_nothing(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.rollback()
            session.begin()
            session.commit()
            session.rollback()
            session.rollback()
            assert session.query("SELECT 1").rows[0][0] == 1
        engine.close()

    # --- threads

    def test_builds_from_many_threads(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        if not self.claims(engine, Capability.CONCURRENT_STATEMENTS):
            return
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("source"), SMALL)

        def work(thread: int) -> None:
            for number in range(10):
                with engine.session() as session:
                    mine = at(f"t{thread}_{number}")
                    session.begin()
                    session.drop([mine])
                    assert session.create_table(mine, f"SELECT * FROM {text(session, at('source'))}") == 2
                    found = session.describe(mine)
                    assert found is not None
                    assert len(found.columns) == 2
                    session.commit()

        in_threads(8, work)
        with engine.session() as session:
            assert len(session.find([SCHEMA])) == 81
            assert session.count(at("t7_9")) == 2
        engine.close()

    def test_reading_and_writing_take_turns(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("t"), SMALL)
        engine.close()

        def work(thread: int) -> None:
            for number in range(5):
                if thread % 2:
                    with engine.session(read_only=True) as session:
                        assert session.count(at("t")) == 2
                        failure(lambda: session.create_schemas(["never"]))
                else:
                    with engine.session() as session:
                        session.create_table(at(f"t{thread}_{number}"), SMALL)
                engine.close()

        in_threads(4 if self.claims(engine, Capability.CONCURRENT_STATEMENTS) else 1, work)
        engine.close()

    def test_a_reading_session_refuses_to_write(self, open_engine: OpenEngine, tmp_path: Path) -> None:
        (tmp_path / "seed.csv").write_text("id\n1\n")
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
            session.create_table(at("t"), SMALL)
            session.point({at("p"): at("t")})
        for fresh in (True, False):
            if fresh:
                engine.close()
            else:
                with engine.session() as session:
                    session.count(at("t"))
            with engine.session(read_only=True) as session:
                before = everything(session)
                writes: list[Callable[[], object]] = [
                    lambda: session.create_schemas(["made"]),
                    lambda: session.create_table(at("made"), SMALL),
                    lambda: session.load_csv(at("made"), tmp_path / "seed.csv", {}),
                    lambda: session.create_view(at("made"), SMALL),
                    lambda: session.point({at("made"): at("t")}),
                    lambda: session.point({at("p"): None}),
                    lambda: session.drop([at("t")]),
                    lambda: session.execute(f"INSERT INTO {text(session, at('t'))} VALUES (3, 'x')"),
                    lambda: session.execute(f"DELETE FROM {text(session, at('t'))} WHERE 1 = 1"),
                    lambda: session.query(f"INSERT INTO {text(session, at('t'))} VALUES (3, 'x')"),
                ]
                for write in writes:
                    failure(write)
                    session.begin()
                    failure(write)
                    session.rollback()
                assert rows(session, at("p")) == [(1, "one"), (2, "two")]
                assert everything(session) == before
        engine.close()

    def test_a_statement_that_runs_can_be_stopped(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA])
        outcome: list[BaseException | None] = []

        def work() -> None:
            try:
                with engine.session() as session:
                    session.create_table(at("slow"), self.slow_query)
                outcome.append(None)
            except BaseException as error:  # noqa: BLE001  # looked at below
                outcome.append(error)

        engine.interrupt()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "the query isn't slow"
        began = time.monotonic()
        while thread.is_alive() and time.monotonic() - began < PATIENCE:
            engine.interrupt()
            thread.join(0.05)
        assert not thread.is_alive(), "it went on"
        assert isinstance(outcome[0], WarehouseError), outcome
        assert time.monotonic() - began < 10
        with engine.session() as session:
            assert session.find([SCHEMA]) == []
            session.create_table(at("after"), SMALL)
            engine.interrupt()
            assert session.count(at("after")) == 2, "stopping nothing stops nothing"
        engine.close()
