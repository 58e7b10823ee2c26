"""Names on Postgres: their lengths and cases, and what they are looked for in."""

import pytest

from anabranch.engines.postgres import PostgresEngine
from anabranch.ports.engine import Grant, Relation, transaction
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, failure

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("name", ["x" * 64, "é" * 32, "nul\0"])
def test_a_name_that_postgres_would_cut_is_refused(engine, name):
    short = name[: -1 if "x" in name else -2] if "\0" not in name else "nul"
    with engine.session() as session:
        session.create_table(at(short), SMALL)
        session.point({at("p"): at(short)})
        for call in (
            lambda: session.create_table(at(name), SMALL),
            lambda: session.create_schemas([name]),
            lambda: session.create_view(at(name), SMALL),
            lambda: session.create_materialized_view(at(name), SMALL),
            lambda: session.rename(at(short), name),
            lambda: session.swap(at(short), at(name)),
            lambda: session.point({at(name): at(short)}),
            lambda: session.point({at("p"): at(name)}),
            lambda: session.load_arrow(at("made"), [], {name: "integer"}),
            lambda: session.grant(at(name), [Grant("SELECT", "PUBLIC")]),
            lambda: session.count(at(name)),
            lambda: session.query(f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_table(at("made"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_view(at("made"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.create_view(at("p"), f"SELECT 1 AS {session.grammar.identifier(name)}"),
            lambda: session.execute(f"CREATE TABLE suite.made ({session.grammar.identifier(name)} integer)"),
        ):
            error = failure(call)
            assert error.kind in ("NotSupported", "NameTooLong")
            assert "long" in error.message or "character 0" in error.message
        # nothing has such a name: not even what begins alike
        assert session.describe(at(name)) is None
        assert session.columns(at(name)) is None
        assert session.find([name]) == []
        assert session.targets([name]) == {}
        assert session.held([at(name)]) == {}
        assert session.grants([at(name)]) == {}
        assert session.version(at(name)) is None
        session.drop([at(name)])
        session.drop_schemas([name])
        session.point({at(name): None})
        assert {f.relation for f in session.find([SCHEMA])} == {at(short), at("p")}
        assert session.targets([SCHEMA]) == {at("p"): at(short)}


def test_names_of_another_case_are_others(engine):
    with engine.session() as session:
        session.create_schemas(["Suite"])
        session.create_table(Relation("Suite", "T"), SMALL)
        session.create_table(at("t"), "SELECT 7 AS id")
        assert session.describe(at("T")) is None
        assert session.describe(Relation("Suite", "t")) is None
        session.point({at("P"): Relation("Suite", "T"), at("p"): at("t")})
        assert session.targets([SCHEMA]) == {at("P"): Relation("Suite", "T"), at("p"): at("t")}


def test_the_name_of_the_database_may_be_given(engine, postgres_url):
    with engine.session() as session:
        (name,) = session.query("SELECT current_database()").rows[0]
        full = Relation(SCHEMA, "t", name)
        session.create_table(full, SMALL)
        session.point({Relation(SCHEMA, "p", name): full})
        assert session.targets([SCHEMA]) == {at("p"): at("t")}
        found = session.describe(full)
        assert found is not None
        assert found.relation == full
        assert session.columns(full) == session.columns(at("t"))
        assert set(session.held([full])) == {full}
        assert session.grants([full]) == {full: ()}
        session.rename(full, "u")
        assert session.count(Relation(SCHEMA, "u", name)) == 2
        session.drop([Relation(SCHEMA, "p", name)])
        assert session.targets([SCHEMA]) == {}


def test_nothing_reaches_into_another_database(engine):
    elsewhere = Relation(SCHEMA, "t", "elsewhere")
    with engine.session() as session:
        session.create_table(at("t"), SMALL)
        session.point({at("p"): at("t")})
        assert session.describe(elsewhere) is None
        assert session.columns(elsewhere) is None
        assert session.held([elsewhere]) == {}
        assert session.grants([elsewhere]) == {}
        for call in (
            lambda: session.create_table(elsewhere, SMALL),
            lambda: session.create_view(elsewhere, SMALL),
            lambda: session.point({elsewhere: at("t")}),
            lambda: session.point({at("p"): elsewhere}),
            lambda: session.point({elsewhere: None}),
            lambda: session.rename(elsewhere, "u"),
            lambda: session.swap(elsewhere, at("t")),
            lambda: session.drop([elsewhere]),
            lambda: session.count(elsewhere),
            lambda: session.load_arrow(elsewhere, [], {"id": "integer"}),
            lambda: session.grant(elsewhere, [Grant("SELECT", "PUBLIC")]),
            lambda: session.content_hash(elsewhere, ["id"]),
        ):
            error = failure(call)
            assert error.kind == "NotSupported"
            assert "another database" in error.message
        assert session.targets([SCHEMA]) == {at("p"): at("t")}
        assert session.count(at("t")) == 2


def test_the_search_path_is_the_projects_and_changes_no_definition(postgres_url):
    engine = PostgresEngine(postgres_url, settings={"search_path": "mine, public"})
    plain = PostgresEngine(postgres_url)
    with engine.session() as session, plain.session() as other:
        session.create_schemas(["mine"])
        session.execute("CREATE TYPE mine.mood AS ENUM ('sad', 'ok')")
        session.create_table(Relation("mine", "t"), "SELECT 'ok'::mood AS mood")
        session.create_view(Relation("mine", "v"), "SELECT mood FROM t WHERE mood = 'ok'")
        session.point({Relation("mine", "p"): Relation("mine", "t")})
        assert session.query("SELECT * FROM t").rows == [("ok",)]
        assert session.find(["mine"]) == other.find(["mine"])
        assert session.targets(["mine"]) == other.targets(["mine"])
        assert session.columns(Relation("mine", "t")) == (("mood", "mine.mood"),)
        assert session.describe_query("SELECT mood FROM t") == (("mood", "mine.mood"),)
        with transaction(session):
            session.find(["mine"])
            session.create_view(Relation("mine", "v"), "SELECT mood, 1 AS one FROM t")
            session.create_view(Relation("mine", "v"), "SELECT 1 AS one FROM t")
            assert session.query("SELECT one FROM v").rows == [(1,)], "and it stays as it was"
    engine.close()
    plain.close()
