"""What pointers obey on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

import time

from anabranch.ports.engine import transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, begun, failure, rows, text


class PointerSuite(EnginePart):
    def test_pointers_are_set_moved_and_removed(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("old", "data"), SMALL)
            session.create_table(at("new", "data"), "SELECT 3 AS id, true AS other")
            session.point({})
            session.point({at("p"): at("old", "data"), at("q"): at("old", "data")})
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            session.point({at("p"): at("new", "data"), at("q"): None, at("never_was"): None})
            assert rows(session, at("p")) == [(3, True)]
            assert session.describe(at("q")) is None
            session.point({at("p"): at("new", "data")})
            assert session.targets([SCHEMA]) == {at("p"): at("new", "data")}
            session.point({at("p"): None, at("p", "no_schema"): None})
            assert session.targets([SCHEMA]) == {}
            assert session.count(at("old", "data")) == 2, "what it pointed at stays"
        engine.close()

    def test_a_pointer_shows_what_a_view_shows(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_view(at("view"), SMALL)
            session.point({at("p"): at("view")})
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]
            assert session.targets([SCHEMA]) == {at("p"): at("view"), at("view"): None}

    def test_thousands_of_pointers_are_cheap(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            for name in ("old", "new"):
                session.create_table(at(name, "data"), SMALL)
            for target in (at("old", "data"), at("new", "data"), None):
                began = time.perf_counter()
                with transaction(session):
                    session.point({at(f"p{n}"): target for n in range(self.pointers)})
                passed = time.perf_counter() - began
                found = session.targets([SCHEMA])
                assert found == ({at(f"p{n}"): target for n in range(self.pointers)} if target else {})
                assert passed < self.pointers * self.pointer_seconds, "an environment has thousands"
        engine.close()

    def test_pointers_of_odd_names(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            odd = self.odd_schema(engine)
            schemas = ("select", odd, "data")
            session.create_schemas(schemas)
            pointers = {}
            for number, name in enumerate(self.odd_names(engine)):
                session.create_table(at(name, "data"), f"SELECT {number} AS id")
                for schema in schemas[:2]:
                    pointers[at(name, schema)] = at(name, "data")
            session.point(pointers)
            assert session.targets(schemas) == pointers
            for number, name in enumerate(self.odd_names(engine)):
                assert rows(session, at(name, odd)) == [(number,)]
            session.point(dict.fromkeys(pointers))
            assert session.targets(schemas) == {}
        engine.close()

    def test_a_table_in_a_pointers_place_is_refused(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_table(at("data"), "SELECT 3 AS id")
            session.create_table(at("mine"), SMALL)
            failure(lambda: session.point({at("mine"): at("data")}))
            failure(lambda: session.point({at("mine"): None}))
            assert session.count(at("mine")) == 2

    def test_a_pointer_to_nothing_is_refused(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_table(at("data"), SMALL)
            session.point({at("p"): at("data")})
            failure(lambda: session.point({at("p"): at("nothing")}))
            assert rows(session, at("p")) == [(1, "one"), (2, "two")]

    def test_only_what_point_makes_is_a_pointer(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("data", "data"), SMALL)
            data = text(session, at("data", "data"))
            by_hand = {
                "one_column": f"SELECT id FROM {data}",
                "all_columns": f"SELECT id, name FROM {data}",
                "filtered": f"SELECT * FROM {data} WHERE id > 0",
                "limited": f"SELECT * FROM {data} LIMIT 1",
                "distinct_rows": f"SELECT DISTINCT * FROM {data}",
                "ordered": f"SELECT * FROM {data} ORDER BY id",
                "joined": f"SELECT a.* FROM {data} AS a CROSS JOIN {data} AS b",
                "united": f"SELECT * FROM {data} UNION ALL SELECT * FROM {data}",
                "with_more": f"SELECT *, 1 AS more FROM {data}",
                "inside": f"SELECT * FROM (SELECT * FROM {data}) AS inside",
                "literal": "SELECT 1 AS id",
                "told": "SELECT 'AS SELECT * FROM data.data' AS text",
            }
            for name, query in by_hand.items():
                session.create_view(at(name), query)
            session.execute(f"CREATE VIEW {text(session, at('renamed'))} (a, b) AS {self.renamed} FROM {data}")
            session.point({at("pointer"): at("data", "data")})
            found = session.targets([SCHEMA])
            assert found == {**dict.fromkeys(map(at, [*by_hand, "renamed"])), at("pointer"): at("data", "data")}
        engine.close()

    def test_pointers_are_known_to_the_next_handle(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("t", "data"), SMALL)
            session.create_table(at("t"), SMALL)
            session.point({at("p"): at("t", "data"), at("q"): at("t")})
            before = session.find([SCHEMA]), session.targets([SCHEMA])
        engine.close()
        other = open_engine()
        with other.session(read_only=True) as session:
            assert (session.find([SCHEMA]), session.targets([SCHEMA])) == before
        other.close()
