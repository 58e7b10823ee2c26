"""What is said of a view, and what reads it, where it is made anew; and which views are pointers."""

from functools import partial

import pytest
from tests.engines.postgres.helping import data, generations, mine

from anabranch.ports.engine import Grant, transaction
from anabranch.testing.engine_helpers import SCHEMA, at, failure, rows

pytestmark = pytest.mark.postgres


def test_a_view_keeps_all_that_was_said_of_it(session, administrator):
    for role in ("owner", "reader"):
        administrator.execute(f"DROP ROLE IF EXISTS {role}; CREATE ROLE {role}")
    for statement in (
        "GRANT CREATE, USAGE ON SCHEMA suite, mine, data TO owner, reader",
        "CREATE TABLE data.t AS SELECT 1 AS id, 'x'::text AS name",
        "CREATE TABLE data.other AS SELECT 1::bigint AS id, 'y'::text AS name",
        "GRANT SELECT ON data.t, data.other TO owner, reader",
        "CREATE FUNCTION mine.act() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ):
        session.execute(statement)
    session.point({at("p"): data("t")})
    for statement in (
        "ALTER VIEW suite.p OWNER TO owner",
        "ALTER VIEW suite.p SET (security_barrier = true)",
        "COMMENT ON VIEW suite.p IS 'it''s ours'",
        "COMMENT ON COLUMN suite.p.name IS 'a name'",
        "ALTER VIEW suite.p ALTER COLUMN name SET DEFAULT 'none'",
        "GRANT SELECT (name) ON suite.p TO reader WITH GRANT OPTION",
        "GRANT UPDATE ON suite.p TO PUBLIC",
        "CREATE TRIGGER act INSTEAD OF DELETE ON suite.p FOR EACH ROW EXECUTE FUNCTION mine.act()",
        "CREATE RULE nothing AS ON UPDATE TO suite.p DO INSTEAD NOTHING",
        "CREATE VIEW mine.v WITH (check_option = local) AS SELECT * FROM suite.p WHERE name <> ''",
        "COMMENT ON VIEW mine.v IS 'by hand'",
        "GRANT INSERT ON mine.v TO reader",
        "CREATE MATERIALIZED VIEW mine.m WITH (fillfactor = 50) AS SELECT id, name FROM mine.v",
        "CREATE UNIQUE INDEX m_id ON mine.m (id)",
        "ALTER MATERIALIZED VIEW mine.m CLUSTER ON m_id",
        "CREATE STATISTICS mine.s (dependencies) ON id, name FROM mine.m",
        "GRANT SELECT ON mine.m TO reader",
        "CREATE MATERIALIZED VIEW mine.empty AS SELECT id FROM mine.m WITH NO DATA",
    ):
        session.execute(statement)

    def told() -> list[object]:
        found = session.query(
            "SELECT c.oid::regclass::text, c.relkind, c.reloptions, pg_get_userbyid(c.relowner), c.relacl::text,"
            " c.relispopulated, obj_description(c.oid), ARRAY(SELECT concat_ws(' ', attname, attacl::text,"
            " col_description(attrelid, attnum)) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum),"
            " ARRAY(SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = c.oid),"
            " ARRAY(SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = c.oid),"
            " ARRAY(SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN'),"
            " ARRAY(SELECT pg_get_indexdef(indexrelid) || indisclustered FROM pg_index WHERE indrelid = c.oid),"
            " ARRAY(SELECT pg_get_statisticsobjdef(oid) FROM pg_statistic_ext WHERE stxrelid = c.oid),"
            " pg_get_viewdef(c.oid)"
            " FROM pg_class AS c WHERE c.relnamespace::regnamespace::text IN ('suite', 'mine')"
            " AND c.relkind IN ('v', 'm') ORDER BY 1"
        ).rows
        return [*found, *session.find([SCHEMA, "mine"])]

    def numbers() -> list[object]:
        return [
            r[0] for r in session.query("SELECT 'suite.p'::regclass::oid UNION SELECT 'mine.m'::regclass::oid").rows
        ]

    before, first = told(), numbers()
    assert "it's ours" in str(before)
    assert "CREATE RULE nothing" in str(before)
    session.point({at("p"): data("other")})
    assert not set(numbers()) & set(first), "it had to be made anew"
    assert session.columns(mine("v")) == (("id", "bigint"), ("name", "text"))
    assert rows(session, mine("m")) == [(1, "y")]
    session.point({at("p"): data("t")})
    assert told() == before
    session.execute("ALTER TABLE data.t RENAME COLUMN id TO number")
    session.drop([mine("empty"), mine("m"), mine("v")])
    session.point({at("p"): data("other")})
    administrator.execute("SELECT 1")
    for statement in ("DROP VIEW suite.p", "DROP OWNED BY owner, reader"):
        session.execute(statement)


def test_rights_that_new_views_get_are_not_given_to_one_that_is_made_anew(session, administrator):
    administrator.execute("DROP ROLE IF EXISTS nosy; CREATE ROLE nosy; DROP ROLE IF EXISTS reader; CREATE ROLE reader")
    session.create_table(data("t"), "SELECT 1 AS id")
    session.create_table(data("other"), "SELECT 'x' AS id")
    session.point({at("p"): data("t")})
    session.grant(at("p"), [Grant("SELECT", "reader")])
    session.execute("ALTER DEFAULT PRIVILEGES IN SCHEMA suite GRANT SELECT ON TABLES TO nosy")
    session.point({at("p"): data("other"), at("new"): data("other")})
    assert session.grants([at("p"), at("new")]) == {
        at("p"): (Grant("SELECT", "reader"),),
        at("new"): (Grant("SELECT", "nosy"),),
    }
    for statement in ("DROP OWNED BY nosy", "DROP OWNED BY reader"):
        session.execute(statement)


def test_what_is_no_view_and_reads_one_keeps_it(session):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.create_table(data("other"), "SELECT 'x' AS id")
    session.point({at("p"): data("t")})
    session.execute(
        "CREATE FUNCTION mine.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(id) FROM suite.p; END"
    )
    error = failure(lambda: session.point({at("p"): data("other")}))
    assert "function mine.f() depends on view suite.p" in error.message
    assert session.targets([SCHEMA]) == {at("p"): data("t")}
    session.begin()
    assert failure(lambda: session.point({at("p"): data("other")})).kind == "DependentObjectsStillExist"
    session.rollback()


def test_a_view_of_other_columns_is_replaced_with_what_reads_it(session):
    session.create_view(mine("v"), "SELECT 1 AS a, 2 AS b")
    session.create_view(mine("over"), "SELECT b FROM mine.v")
    session.point({at("p"): mine("v")})
    session.create_view(mine("v"), "SELECT 'x' AS b")
    assert rows(session, mine("over")) == [("x",)]
    assert rows(session, at("p")) == [("x",)]
    assert session.targets([SCHEMA, "mine"]) == {at("p"): mine("v"), mine("v"): None, mine("over"): None}
    before = session.find([SCHEMA, "mine"])
    error = failure(lambda: session.create_view(mine("v"), "SELECT 1 AS a"))
    assert "mine.over reads" in error.message
    failure(lambda: session.create_view(mine("v"), "SELECT nothing"))
    assert session.find([SCHEMA, "mine"]) == before


def test_things_that_read_each_other_are_dropped_in_one_go(session):
    generations(session)
    session.drop([f.relation for f in session.find([SCHEMA, "data", "mine"])])
    assert session.find([SCHEMA, "data", "mine"]) == []


def test_a_pointer_is_told_by_what_it_is_made_of(session):
    session.create_table(data("t"), 'SELECT 1 AS id, \'x\' AS "Na me", 2 AS "select"')
    session.create_table(data("one"), "SELECT 1 AS anabranch")
    pointers = {at("p"): data("t"), at("over"): at("p"), at("one"): data("one"), at("anabranch"): data("t")}
    session.point(pointers)
    session.execute("COMMENT ON VIEW suite.p IS 'what readers see'")
    session.execute("ALTER VIEW suite.over SET (security_barrier = true)")
    assert session.targets([SCHEMA]) == pointers
    for name, query in {
        "filtered": "SELECT * FROM data.t AS anabranch WHERE \"Na me\" > ''",
        "ordered": "SELECT * FROM data.t AS anabranch ORDER BY id",
        "fewer": 'SELECT id, "select" FROM data.t AS anabranch',
        "turned": 'SELECT "Na me", id, "select" FROM data.t AS anabranch',
        "renamed": 'SELECT id AS "Na me", "Na me" AS id, "select" FROM data.t AS anabranch',
        "other_alias": "SELECT * FROM data.t AS other",
        "only": "SELECT * FROM ONLY data.t AS anabranch",
        "sampled": "SELECT * FROM data.t AS anabranch TABLESAMPLE system (50)",
        "locked": "SELECT * FROM data.t AS anabranch FOR SHARE",
        "columns_named": "SELECT * FROM data.t AS anabranch (a, b, c)",
        "twice": "SELECT * FROM data.t AS anabranch UNION SELECT * FROM data.t AS anabranch",
        "function": "SELECT * FROM generate_series(1, 2) AS anabranch",
        "values_of": "SELECT * FROM (VALUES (1)) AS anabranch",
    }.items():
        session.create_view(mine(name), query)
        assert session.targets(["mine"])[mine(name)] is None, name
    session.execute('CREATE VIEW mine.as_pointed AS SELECT id, "Na me", "select" FROM data.t anabranch')
    session.execute("CREATE OR REPLACE VIEW suite.p AS SELECT * FROM data.t AS anabranch WHERE id < 0")
    assert session.targets([SCHEMA])[at("p")] is None
    session.point({at("p"): data("t")})
    assert session.targets([SCHEMA]) == pointers


def test_a_pointer_stays_one_where_its_table_gets_columns(session):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.point({at("p"): data("t")})
    session.execute("ALTER TABLE data.t ADD COLUMN name text")
    assert session.targets([SCHEMA]) == {at("p"): data("t")}
    assert session.columns(at("p")) == (("id", "integer"),)
    session.point({at("p"): data("t")})
    assert session.columns(at("p")) == (("id", "integer"), ("name", "text"))
    session.execute("ALTER TABLE data.t RENAME TO other")
    assert session.targets([SCHEMA]) == {at("p"): data("other")}, "somebody renamed it by hand"
    session.execute("ALTER TABLE data.other RENAME COLUMN name TO title")
    assert session.targets([SCHEMA]) == {at("p"): None}, "its columns are named otherwise now"


def test_a_pointer_that_is_as_it_should_be_is_left_alone(engine, session):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.point({at("p"): data("t")})
    with engine.session() as reader, transaction(reader):
        assert rows(reader, at("p")) == [(1,)]
        session.point({at("p"): data("t")})  # which doesn't wait for who reads it


def test_a_materialized_view_in_a_pointers_place_is_refused(session):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.create_materialized_view(at("m"), "SELECT 7 AS id")
    for target in (data("t"), None):
        failure(partial(session.point, {at("m"): target}))
    failure(lambda: session.create_view(at("m"), "SELECT 1 AS id"))
    assert rows(session, at("m")) == [(7,)]
    session.point({at("p"): at("m")})
    assert session.targets([SCHEMA]) == {at("p"): at("m"), at("m"): None}
