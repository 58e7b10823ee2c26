"""What schemas, tables and views obey on every Engine: a part of :mod:`anabranch.testing.engine_suite`."""

from __future__ import annotations

from functools import partial

from anabranch.ports.engine import transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, EnginePart, OpenEngine, at, begun, failure, rows, text


class TableSuite(EnginePart):
    # --- schemas

    def test_schemas_are_made_where_they_are_missing(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            before = session.schemas()
            session.create_schemas([])
            odd = self.odd_schema(engine)
            session.create_schemas([SCHEMA, "select", odd])
            session.create_schemas([SCHEMA, "other"])
            assert set(session.schemas()) - set(before) == {SCHEMA, "select", odd, "other"}
            assert "information_schema" not in session.schemas()
        engine.close()

    def test_schemas_are_dropped_where_they_are_empty(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas(["empty", "with_table", "with_view", "other"])
            session.create_table(at("t", "with_table"), SMALL)
            session.create_view(at("v", "with_view"), SMALL)
            session.drop_schemas([])
            session.drop_schemas(["empty", "with_table", "with_view", "never_was"])
            assert {"empty", "with_table", "with_view", "other"} & set(session.schemas()) == {
                "with_table",
                "with_view",
                "other",
            }
            assert session.count(at("t", "with_table")) == 2
        engine.close()

    # --- tables and views

    def test_a_table_is_made_and_counted(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            assert session.create_table(at("small"), SMALL) == 2
            assert session.count(at("small")) == 2
            assert session.create_table(at("nothing"), f"SELECT * FROM ({SMALL}) AS s WHERE id > 2") == 0
            assert session.count(at("nothing")) == 0
            assert session.create_table(at("again"), f"SELECT * FROM {text(session, at('small'))}") == 2

    def test_a_table_is_made_wholly_or_not_at_all(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            failure(lambda: session.create_table(at("broken"), self.broken_query))
            assert session.describe(at("broken")) is None
            assert session.find([SCHEMA]) == []

    def test_a_table_that_is_there_is_not_made_again(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_table(at("small"), SMALL)
            session.create_view(at("view"), SMALL)
            for name in ("small", "view"):
                failure(partial(session.create_table, at(name), "SELECT 3 AS id"))
            assert session.count(at("small")) == 2

    def test_a_view_is_made_or_replaced(self, open_engine: OpenEngine) -> None:
        with begun(open_engine) as (_, session):
            session.create_view(at("view"), SMALL)
            assert rows(session, at("view")) == [(1, "one"), (2, "two")]
            session.create_view(at("view"), "SELECT 3 AS other")
            assert rows(session, at("view")) == [(3,)]
            session.create_table(at("table"), SMALL)
            failure(lambda: session.create_view(at("table"), "SELECT 3 AS other"))
            assert session.count(at("table")) == 2

    def test_odd_names(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            names = self.odd_names(engine)
            for schema in ("select", self.odd_schema(engine)):
                session.create_schemas([schema])
                for number, name in enumerate(names):
                    session.create_table(at(name, schema), f"SELECT {number} AS id")
                    assert rows(session, at(name, schema)) == [(number,)]
                    found = session.describe(at(name, schema))
                    assert found is not None
                    assert found.relation == at(name, schema)
                assert {f.relation.name for f in session.find([schema])} == set(names)
                session.drop([at(name, schema) for name in names])
                assert session.find([schema]) == []
        engine.close()

    def test_what_exists_is_dropped_and_nothing_else(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            for name in ("two", "stays"):
                session.create_table(at(name), SMALL)
            session.create_table(at("one", "data"), SMALL)
            session.create_view(at("gone"), SMALL)
            session.drop([])
            session.drop([at("one", "data"), at("two"), at("gone"), at("never_was"), at("t", "no_schema")])
            assert {f.relation.name for f in session.find([SCHEMA])} == {"stays"}
            assert session.columns(at("one", "data")) is None
        engine.close()

    def test_a_view_stays_when_its_table_is_dropped(self, open_engine: OpenEngine) -> None:
        """Or holds the table, where views are bound to what they read."""
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("one", "data"), SMALL)
            session.create_view(at("over_one"), f"SELECT * FROM {text(session, at('one', 'data'))}")
            if self.binds_views:
                error = failure(lambda: session.drop([at("one", "data")]))
                assert "over_one" in error.message, "it says what is in the way"
                assert session.count(at("one", "data")) == 2
                assert rows(session, at("over_one")) == [(1, "one"), (2, "two")]
            else:
                session.drop([at("one", "data")])
            over = session.describe(at("over_one"))
            assert over is not None, "a view is still there, even one that leads nowhere"
            assert over.is_view
            session.drop([at("one", "data"), at("over_one")] if self.binds_views else [at("over_one")])
            assert session.find([SCHEMA, "data"]) == []
        engine.close()

    def test_describe_and_find_agree(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        selected = ", ".join(f"{value} AS {name}" for name, value in self.odd_columns.items())
        odd = [engine.grammar.identifier(n) for n in ("select", self.odd_column)]
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("table"), f"SELECT {selected}, 1 AS {odd[0]}, 2 AS {odd[1]}")
            session.create_table(at("table", "data"), f"SELECT * FROM {text(session, at('table'))}")
            session.create_view(at("view"), f"SELECT * FROM {text(session, at('table', 'data'))} WHERE 1 = 1")
            session.point({at("pointer"): at("table")})
            found = {f.relation: f for f in session.find([SCHEMA])}
            assert set(found) == {at("table"), at("view"), at("pointer")}
            for relation, each in found.items():
                assert session.describe(relation) == each
                assert session.columns(relation) == each.columns
                with transaction(session):
                    assert session.describe(relation) == each
                assert [n for n, _ in each.columns] == [*self.odd_columns, "select", self.odd_column]
                assert all(kind for _, kind in each.columns)
                assert each.columns == found[at("table")].columns
            assert not found[at("table")].is_view
            assert found[at("table")].definition == ""
            assert found[at("view")].is_view
            assert found[at("view")].definition
            assert found[at("view")].definition != found[at("pointer")].definition
            with transaction(session):
                assert session.describe(at("nothing")) is None
                assert session.describe(at("nothing", "no_schema")) is None
                session.create_table(at("more"), SMALL)
            assert session.describe(at("nothing")) is None
            assert session.describe(at("nothing", "no_schema")) is None
            assert session.columns(at("nothing")) is None
            assert session.columns(at("nothing", "no_schema")) is None
            assert session.count(at("more")) == 2, "looking for nothing ends no transaction"
        engine.close()

    def test_describe_and_find_agree_on_a_view_that_leads_nowhere(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas([SCHEMA, "data"])
            session.create_table(at("table", "data"), SMALL)
            session.create_view(at("view"), f"SELECT id FROM {text(session, at('table', 'data'))}")
            if self.binds_views:
                failure(lambda: session.drop([at("table", "data")]))
            else:
                session.drop([at("table", "data")])
            found = session.find([SCHEMA])
            assert [f.relation for f in found] == [at("view")]
            assert session.describe(at("view")) == found[0]
        engine.close()

    def test_only_the_schemas_asked_for_are_searched(self, open_engine: OpenEngine) -> None:
        engine = open_engine()
        with engine.session() as session:
            session.create_schemas(["a", "b", "c"])
            for schema in ("a", "b", "c"):
                session.create_table(at("t", schema), SMALL)
                session.point({at("v", schema): at("t", schema)})
            assert {f.relation.schema for f in session.find(["a", "c", "nothing"])} == {"a", "c"}
            assert {r.schema for r in session.targets(["a", "c", "nothing"])} == {"a", "c"}
            assert session.find([]) == []
            assert session.targets([]) == {}
        engine.close()
