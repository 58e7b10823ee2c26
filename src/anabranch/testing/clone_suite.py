"""What clones, swaps, merges and the sizes of tables obey on every Engine that claims them: a part of
:mod:`anabranch.testing.engine_suite`. What an engine doesn't claim, it refuses in its own words: that is tried too."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from anabranch.errors import StatementFailed
from anabranch.ports.capabilities import Capability, Support
from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Engine, Relation, Session
from anabranch.testing.engine_helpers import (
    SCHEMA,
    SMALL,
    EnginePart,
    Matter,
    OpenEngine,
    at,
    begun,
    failure,
    rows,
    text,
)


class CloneSuite(EnginePart):
    clone_rows: ClassVar[str | None] = None
    """A query of 100,000 rows or more with one column ``id``, for a clone that would be felt if it were a copy."""

    clones_replace: ClassVar[bool] = True
    """A clone can take the place of a table that has rows, in one step."""

    def add(self, session: Session, table: Relation, number: int, name: str) -> None:
        """Adds one row to a table of the shape of ``SMALL``."""
        session.execute(f"INSERT INTO {text(session, table)} VALUES ({number}, '{name}')")

    def refused(self, engine: Engine, capability: Capability, call: Callable[[], object]) -> bool:
        """Whether ``capability`` isn't claimed; ``call`` is refused then."""
        if engine.capabilities[capability] in (Support.FULL, Support.PARTLY):
            return False
        error = failure(call)
        assert error.kind == "NotSupported", "refused in so many words, before the engine was asked"
        return True

    # --- clones

    def test_a_clone_has_its_own_history(self, open_engine: OpenEngine) -> None:
        self.look(Capability.CLONE_TABLE)
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "other"])
            session.create_table(at("source"), SMALL)
            make = partial(session.clone, at("source"), at("clone", "other"))
            if not self.refused(engine, Capability.CLONE_TABLE, make):
                make()
                columns = ["id", "name"]
                before = session.content_hash(at("source"), columns)
                assert session.content_hash(at("clone", "other"), columns) == before
                self.add(session, at("clone", "other"), 3, "three")
                assert session.content_hash(at("source"), columns) == before, "a write to the clone"
                assert rows(session, at("clone", "other")) == [(1, "one"), (2, "two"), (3, "three")]
                mine = session.content_hash(at("clone", "other"), columns)
                self.add(session, at("source"), 4, "four")
                assert session.content_hash(at("clone", "other"), columns) == mine, "a write to the source"
                assert rows(session, at("source")) == [(1, "one"), (2, "two"), (4, "four")]
                session.clone(at("clone", "other"), at("again"))
                assert session.content_hash(at("again"), columns) == mine, "a clone of a clone"
                session.drop([at("source")])
                if engine.clone_rules.outlive_source:
                    assert session.content_hash(at("clone", "other"), columns) == mine, "the source is gone"
                else:
                    failure(lambda: session.content_hash(at("clone", "other"), columns))
        engine.close()

    def test_a_clone_takes_nobodys_place_unless_it_is_told_to(self, open_engine: OpenEngine) -> None:
        self.look(Capability.CLONE_TABLE)
        with begun(open_engine) as (engine, session):
            session.create_table(at("source"), SMALL)
            session.create_table(at("there"), "SELECT 7 AS id")
            if not self.refused(
                engine, Capability.CLONE_TABLE, lambda: session.clone(at("source"), at("there"), Cloning(replace=True))
            ):
                failure(lambda: session.clone(at("source"), at("there")))
                assert rows(session, at("there")) == [(7,)]
                failure(lambda: session.clone(at("nothing"), at("there"), Cloning(replace=True)))
                assert rows(session, at("there")) == [(7,)]
                if not self.clones_replace:
                    error = failure(lambda: session.clone(at("source"), at("there"), Cloning(replace=True)))
                    assert error.kind == "NotSupported"
                    assert rows(session, at("there")) == [(7,)]
                    return
                session.clone(at("source"), at("there"), Cloning(replace=True))
                assert rows(session, at("there")) == [(1, "one"), (2, "two")]

    def test_a_clone_of_what_was(self, open_engine: OpenEngine) -> None:
        self.look(Capability.TIME_TRAVEL)
        with begun(open_engine) as (engine, session):
            session.create_table(at("source"), SMALL)
            time.sleep(self.pause)
            then = datetime.now(UTC)
            time.sleep(self.pause)
            past = Cloning(at=Past(time=then))
            if not self.refused(engine, Capability.TIME_TRAVEL, lambda: session.clone(at("source"), at("clone"), past)):
                self.add(session, at("source"), 3, "three")
                session.clone(at("source"), at("clone"), past)
                assert rows(session, at("clone")) == [(1, "one"), (2, "two")]
                early = Cloning(at=Past(time=datetime(2001, 1, 1, tzinfo=UTC)))
                failure(lambda: session.clone(at("source"), at("early"), early))
                assert session.columns(at("early")) is None

    def test_what_a_clone_cannot_be_is_refused(self, open_engine: OpenEngine) -> None:
        """What one engine has and another hasn't is never passed over: it is done, or refused."""
        self.look(Capability.CLONE_TABLE)
        with begun(open_engine) as (_, session):
            session.create_table(at("source"), SMALL)
            wishes = {
                "past": Cloning(at=Past(statement="01b2c3d4-0000-0000-0000-000000000000")),
                "grants": Cloning(keeps_grants=True),
                "unretained": Cloning(skips_unretained=True),
                "frozen": Cloning(is_snapshot=True),
                "properties": Cloning(properties={"a.b": "c"}),
            }
            for name, how in wishes.items():
                try:
                    session.clone(at("source"), at(name), how)
                except StatementFailed:
                    assert session.columns(at(name)) is None
                else:
                    assert rows(session, at(name)) == [(1, "one"), (2, "two")]

    def test_a_schema_is_cloned_whole(self, open_engine: OpenEngine) -> None:
        self.look(Capability.CLONE_SCHEMA)
        with begun(open_engine) as (engine, session):
            session.create_table(at("t"), SMALL)
            session.point({at("v"): at("t")})
            make = partial(session.clone_schema, SCHEMA, "suite_clone")
            if not self.refused(engine, Capability.CLONE_SCHEMA, make):
                make()
                assert rows(session, at("t", "suite_clone")) == [(1, "one"), (2, "two")]
                assert session.targets(["suite_clone"]) == {at("v", "suite_clone"): at("t")}
                self.add(session, at("t", "suite_clone"), 3, "three")
                assert len(rows(session, at("t"))) == 2
            self.refused(engine, Capability.CLONE_DATABASE, lambda: session.clone_database("one", "other"))

    # --- swaps and merges

    def test_two_tables_are_swapped(self, open_engine: OpenEngine) -> None:
        self.look(Capability.SWAP_TABLES)
        with begun(open_engine) as (engine, session):
            session.create_table(at("one"), SMALL)
            session.create_table(at("other"), "SELECT 7 AS number")
            make = partial(session.swap, at("one"), at("other"))
            if not self.refused(engine, Capability.SWAP_TABLES, make):
                make()
                assert rows(session, at("one")) == [(7,)]
                assert rows(session, at("other")) == [(1, "one"), (2, "two")]
                failure(lambda: session.swap(at("one"), at("nothing")))
                assert rows(session, at("one")) == [(7,)]
            self.refused(engine, Capability.SWAP_SCHEMAS, lambda: session.swap_schemas(SCHEMA, "other"))

    def test_rows_are_merged_by_key(self, open_engine: OpenEngine) -> None:
        self.look(Capability.MERGE)
        with begun(open_engine) as (engine, session):
            nothing = engine.grammar.cast("NULL", "INTEGER")
            session.create_table(at("table"), f"{SMALL} UNION ALL SELECT {nothing}, 'none'")
            session.create_table(
                at("rows"), "SELECT 'TWO' AS name, 2 AS id UNION ALL SELECT 'three', 3 UNION ALL SELECT 'NONE', NULL"
            )
            make = partial(session.merge, at("table"), at("rows"), ["id"], ["id", "name"])
            if not self.refused(engine, Capability.MERGE, make):
                for _ in range(2):
                    make()
                    assert rows(session, at("table")) == sorted(
                        [(1, "one"), (2, "TWO"), (3, "three"), (None, "NONE")], key=repr
                    )

    def test_rows_are_merged_and_removed_by_key(self, open_engine: OpenEngine) -> None:
        """Also a key that isn't there, and one of NULL."""
        self.look(Capability.MERGE)
        with begun(open_engine) as (engine, session):
            nothing = engine.grammar.cast("NULL", "INTEGER")
            session.create_table(at("table"), f"{SMALL} UNION ALL SELECT {nothing}, 'none'")
            session.create_table(
                at("rows"),
                "SELECT 'ONE' AS name, 1 AS id, true AS is_row UNION ALL SELECT NULL, 2, false"
                " UNION ALL SELECT 'three', 3, true UNION ALL SELECT NULL, 4, false UNION ALL SELECT NULL, NULL, false",
            )
            make = partial(session.merge, at("table"), at("rows"), ["id"], ["id", "name"], "is_row")
            if not self.refused(engine, Capability.MERGE, make):
                for _ in range(2):
                    make()
                    assert rows(session, at("table")) == [(1, "ONE"), (3, "three")]

    # --- what the engine's metadata says

    def test_the_version_of_a_table_tells_whether_it_changed(self, open_engine: OpenEngine) -> None:
        self.look(Matter.VERSIONS)
        with begun(open_engine) as (_, session):
            session.create_table(at("table"), SMALL)
            first = session.version(at("table"))
            if first is not None:
                rows(session, at("table"))
                assert session.version(at("table")) == first, "reading changes nothing"
                time.sleep(self.pause)
                self.add(session, at("table"), 3, "three")
                second = session.version(at("table"))
                assert second not in (None, first)
                time.sleep(self.pause)
                session.execute(f"DELETE FROM {text(session, at('table'))} WHERE id = 3")
                third = session.version(at("table"))
                assert third not in (None, second)
                time.sleep(self.pause)
                session.rename(at("table"), "renamed")
                assert session.version(at("renamed")) == third, "another name changes nothing"
                assert session.version(at("table")) is None
            assert session.version(at("nothing")) is None

    def test_bytes_of_tables(self, open_engine: OpenEngine) -> None:
        self.look(Matter.SIZES)
        with begun(open_engine) as (engine, session):
            session.create_table(at("source"), self.clone_rows or SMALL)
            held = session.held([at("source"), at("nothing")])
            assert set(held) <= {at("source")}
            if held and self.clone_rows and self.claims(engine, Capability.CLONE_TABLE):
                assert held[at("source")].total > 0
                session.clone(at("source"), at("clone"))
                clone = session.held([at("clone")])[at("clone")]
                if clone.own is not None:
                    assert clone.own <= held[at("source")].total / 10, "a clone holds next to nothing alone"

    # --- views and queries

    def test_a_query_is_described_and_not_run(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_table(at("small"), SMALL)
            query = f"SELECT * FROM {text(session, at('small'))}"
            assert session.describe_query(query) == session.columns(at("small"))
            assert [n for n, _ in session.describe_query(self.slow_query)]
            failure(lambda: session.describe_query("SELECT * FROM nothing_of_that_name"))
            assert [f.relation for f in session.find([SCHEMA])] == [at("small")]

    def test_a_materialized_view_keeps_rows(self, open_engine: OpenEngine) -> None:
        self.look(Capability.MATERIALIZED_VIEWS)
        with begun(open_engine) as (engine, session):
            session.create_table(at("small"), SMALL)
            query = f"SELECT id, name FROM {text(session, at('small'))}"
            make = partial(session.create_materialized_view, at("kept"), query)
            if not self.refused(engine, Capability.MATERIALIZED_VIEWS, make):
                make()
                assert rows(session, at("kept")) == [(1, "one"), (2, "two")]
                failure(make)
                session.drop([at("kept")])
                assert session.columns(at("kept")) is None

    def test_statements_say_what_they_are_about(self, open_engine: OpenEngine) -> None:
        self.look(Matter.TAGS)
        engine = open_engine()
        with engine.session() as session:
            session.tag({"environment": "feature", "asset": 'it\'s "odd"; \\ --', "plan": "0123"})
            assert session.query("SELECT 1").rows[0][0] == 1
            session.tag({})
            assert session.query("SELECT 1").rows[0][0] == 1
        engine.close()
