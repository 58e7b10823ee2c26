"""Views of Postgres read tables; the port's views read names. What is renamed, swapped, replaced and dropped under them."""

from functools import partial

import pytest

from anabranch.engines.postgres import PostgresEngine, PostgresSession
from anabranch.ports.engine import Grant, Relation, transaction
from anabranch.testing.engine_helpers import SCHEMA, at, failure, rows

pytestmark = pytest.mark.postgres


@pytest.fixture
def engine(postgres_url):
    engine = PostgresEngine(postgres_url, patience=10)
    yield engine
    engine.close()


@pytest.fixture
def session(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA, "data", "mine"])
        yield session


def data(name: str) -> Relation:
    return Relation("data", name)


def mine(name: str) -> Relation:
    return Relation("mine", name)


def generations(session: PostgresSession) -> None:
    """A table and what is to take its place, read by views of all kinds."""
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("t__g1"), "SELECT 2 AS id, 'new' AS name")
    session.create_table(data("other"), "SELECT 2 AS id, 'x' AS more")
    session.point({at("p"): data("t"), at("q"): data("t")})
    session.create_view(mine("direct"), "SELECT name FROM data.t")
    session.create_view(mine("by_pointer"), "SELECT name FROM suite.p")
    session.create_view(mine("over"), "SELECT name AS told FROM mine.direct")
    session.create_view(mine("joined"), "SELECT t.name, o.more FROM data.t LEFT JOIN data.other AS o USING (id)")
    session.create_view(mine("whole"), "SELECT t FROM data.t")
    session.create_materialized_view(mine("kept"), "SELECT name FROM data.t")
    session.create_view(mine("over_kept"), "SELECT name FROM mine.kept")


def shown(session: PostgresSession) -> list[object]:
    names = ("direct", "by_pointer", "over", "kept", "over_kept")
    return [*(rows(session, at(n))[0][1] for n in ("p", "q")), *(rows(session, mine(n))[0][0] for n in names)]


def exchange(session: PostgresSession) -> None:
    """As a publication does it."""
    session.rename(data("t"), "t__u1")
    session.rename(data("t__g1"), "t")


# --- renames


@pytest.mark.parametrize("is_open", [True, False])
def test_views_read_what_has_the_name(session, is_open):
    generations(session)
    definitions = {f.relation: f.definition for f in session.find([SCHEMA, "mine"])}
    assert shown(session) == ["old"] * 7
    if is_open:
        session.begin()
    session.rename(data("t"), "t__u1")
    assert shown(session) == ["old"] * 7, "nothing has the name"
    session.rename(data("t__g1"), "t")
    assert shown(session) == ["new"] * 7
    if is_open:
        session.commit()
    assert shown(session) == ["new"] * 7
    assert rows(session, mine("joined")) == [("new", "x")]
    assert rows(session, mine("whole")) in ([("(2,new)",)], [(("2", "new"),)])
    assert session.targets([SCHEMA]) == {at("p"): data("t"), at("q"): data("t")}
    assert {f.relation: f.definition for f in session.find([SCHEMA, "mine"])} == definitions
    session.drop([data("t__u1")])
    assert session.find(["data"])


def test_and_back(session):
    generations(session)
    for _ in range(3):
        with transaction(session):
            exchange(session)
        assert shown(session) == ["new"] * 7
        with transaction(session):
            session.rename(data("t"), "t__g1")
            session.rename(data("t__u1"), "t")
        assert shown(session) == ["old"] * 7


def test_what_is_rolled_back_was_never_renamed(session):
    generations(session)
    session.begin()
    session.rename(data("t"), "t__u1")
    session.rollback()
    session.rename(data("t__g1"), "t__g2")
    session.create_table(data("u"), "SELECT 3 AS id, 'u' AS name")
    session.rename(data("t"), "moved")
    assert shown(session) == ["old"] * 7
    session.rename(data("u"), "t")
    assert shown(session) == ["u"] * 7
    session.begin()
    session.rename(data("t"), "gone")
    failure(lambda: session.rename(data("nothing"), "t"))
    session.rollback()
    assert shown(session) == ["u"] * 7


def test_a_name_that_is_given_anew_is_followed(session):
    generations(session)
    for give in (
        lambda: session.create_table(data("t"), "SELECT 4 AS id, 'made' AS name"),
        lambda: session.create_view(data("t"), "SELECT 5 AS id, 'made' AS name"),
        lambda: session.point({data("t"): data("t__made")}),
        lambda: session.load_arrow(data("t"), [], {"id": "integer", "name": "text"}),
    ):
        session.begin()
        session.create_table(data("t__made"), "SELECT 6 AS id, 'made' AS name")
        session.rename(data("t"), "t__u1")
        give()
        found = {tuple(rows(session, at("p"))[0][1:]) if rows(session, at("p")) else ("made",)}
        assert found == {("made",)}
        assert rows(session, mine("direct")) in ([("made",)], [])
        session.rollback()
    assert shown(session) == ["old"] * 7


def test_pointers_to_what_has_other_columns_now(session):
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("wider"), "SELECT 2 AS id, 'new' AS name, true AS more")
    session.create_table(data("other"), "SELECT 'x' AS id")
    session.point({at("p"): data("t"), at("over"): at("p")})
    session.create_view(mine("v"), "SELECT id FROM suite.over")
    for name, columns in (
        ("wider", (("id", "integer"), ("name", "text"), ("more", "boolean"))),
        ("other", (("id", "text"),)),
    ):
        with transaction(session):
            session.rename(data("t"), f"left_{name}")
            session.rename(data(name), "t")
        assert session.columns(at("p")) == columns
        # a view of a view keeps the columns it was made with, for as long as they are there
        assert session.columns(at("over")) == columns[:2]
        assert session.columns(mine("v")) == columns[:1]
        assert session.targets([SCHEMA]) == {at("p"): data("t"), at("over"): at("p")}
    assert rows(session, mine("v")) == [("x",)]


def test_a_view_that_needs_a_lost_column_is_told_and_nothing_is_done(session):
    session.create_table(data("t"), "SELECT 1 AS id, 'old' AS name")
    session.create_table(data("t__g1"), "SELECT 2 AS id")
    session.point({at("p"): data("t")})
    for query in ("SELECT name FROM data.t", "SELECT name FROM suite.p"):
        session.create_view(mine("v"), query)
        before = session.find([SCHEMA, "data", "mine"])

        def work() -> None:
            with transaction(session):
                exchange(session)

        error = failure(work)
        assert "mine.v reads" in error.message
        assert "name" in error.message
        assert error.hint == "change or drop mine.v first"
        assert session.find([SCHEMA, "data", "mine"]) == before
        assert rows(session, mine("v")) == [("old",)]
    session.drop([mine("v")])
    with transaction(session):
        exchange(session)
    assert session.columns(at("p")) == (("id", "integer"),)


def test_a_view_may_read_both(session):
    session.create_table(data("a"), "SELECT 'a' AS x")
    session.create_table(data("b"), "SELECT 'b' AS x")
    session.create_table(data("c"), "SELECT 'c' AS x")
    session.create_view(mine("v"), "SELECT a.x AS first, b.x AS second, c.x AS third FROM data.a, data.b, data.c")
    session.create_view(mine("w"), "SELECT first || second AS both FROM mine.v")
    session.swap(data("a"), data("b"))
    assert rows(session, mine("v")) == [("b", "a", "c")]
    with transaction(session):  # round and round
        session.rename(data("a"), "spare")
        session.rename(data("b"), "a")
        session.rename(data("c"), "b")
        session.rename(data("spare"), "c")
    assert rows(session, mine("v")) == [("a", "c", "b")]
    assert rows(session, mine("w")) == [("ac",)]
    failure(lambda: session.swap(data("a"), data("nothing")))
    assert rows(session, mine("v")) == [("a", "c", "b")]
    session.swap(data("a"), data("b"))
    assert rows(session, mine("v")) == [("c", "a", "b")]


def test_many_pointers_follow_at_once(session):
    generations(session)
    session.create_table(data("t__g2"), "SELECT true AS other")
    pointers = {at(f"p{n}"): data("t") for n in range(300)}
    session.point(pointers)
    with transaction(session):
        exchange(session)
    assert {r: t for r, t in session.targets([SCHEMA]).items() if r in pointers} == pointers
    assert rows(session, at("p299")) == [(2, "new")]
    session.drop([f.relation for f in session.find(["mine"])])
    with transaction(session):
        session.rename(data("t"), "t__u2")
        session.rename(data("t__g2"), "t")
    assert {r: t for r, t in session.targets([SCHEMA]).items() if r in pointers} == pointers
    assert rows(session, at("p299")) == [(True,)]


def test_a_view_that_was_dropped_or_replaced_meanwhile_follows_nothing(session):
    generations(session)
    with transaction(session):
        session.rename(data("t"), "t__u1")
        session.drop([mine("over"), mine("joined"), at("q")])
        session.execute("DROP VIEW mine.whole")
        session.create_view(mine("direct"), "SELECT 'by hand' AS name")
        session.create_table(data("elsewhere"), "SELECT 'elsewhere' AS name")
        session.point({at("p"): data("elsewhere")})
        session.rename(data("t__g1"), "t")
    assert session.describe(mine("whole")) is None
    assert session.describe(at("q")) is None
    assert rows(session, mine("direct")) == [("by hand",)]
    assert session.targets([SCHEMA]) == {at("p"): data("elsewhere")}
    assert rows(session, mine("by_pointer")) == [("elsewhere",)]


# --- adoption: a table makes room for a view of its name, and gets it back


def test_what_reads_a_table_reads_the_view_that_takes_its_name(session):
    session.create_table(at("orders"), "SELECT 1 AS id")
    session.create_view(mine("report"), "SELECT id FROM suite.orders")
    with transaction(session):
        session.rename(at("orders"), "orders__0123")
        session.point({at("orders"): at("orders__0123")})
    assert rows(session, mine("report")) == [(1,)]
    session.create_table(data("next"), "SELECT 2 AS id")
    session.point({at("orders"): data("next")})
    assert rows(session, mine("report")) == [(2,)], "it follows the view"
    session.point({at("orders"): at("orders__0123")})
    with transaction(session):
        session.point({at("orders"): None})
        assert session.describe(at("orders")) is None
        session.rename(at("orders__0123"), "orders")
    assert rows(session, mine("report")) == [(1,)]
    assert {f.relation: f.is_view for f in session.find([SCHEMA])} == {at("orders"): False}


@pytest.mark.parametrize("is_open", [True, False])
def test_a_pointer_that_others_read_is_not_dropped_under_them(session, is_open):
    session.create_table(data("t"), "SELECT 1 AS id")
    session.point({at("p"): data("t"), at("q"): data("t"), at("over"): at("q")})
    session.create_view(mine("report"), "SELECT id FROM suite.p")
    before = session.find([SCHEMA, "data", "mine"])

    def work() -> None:
        if is_open:
            session.begin()
        session.point({at("p"): None, at("q"): None, at("over"): None})
        if is_open:
            session.commit()

    error = failure(work)
    assert "view mine.report depends on view suite.p" in error.message
    assert error.hint == "drop or change those first"
    assert session.find([SCHEMA, "data", "mine"]) == before
    session.drop([mine("report")])
    work()
    assert session.targets([SCHEMA]) == {}


def test_a_table_that_is_dropped_and_made_again_is_read_by_those_that_read_it(session):
    generations(session)
    session.point({at("left"): data("other")})
    with transaction(session):
        session.drop([data("t"), mine("direct"), at("left")])
        left = {f.relation.name for f in session.find([SCHEMA, "data", "mine"])}
        assert left == {"t__g1", "other", "p", "q", "by_pointer", "over", "joined", "whole", "kept", "over_kept"}
        assert session.describe(data("t")) is None
        assert session.columns(mine("direct")) is None
        session.create_table(data("t"), "SELECT 3 AS id, 'made' AS name")
        session.create_view(mine("direct"), "SELECT 'direct' AS name")
        assert rows(session, mine("kept")) == [("made",)]
    assert shown(session) == ["made", "made", "direct", "made", "direct", "made", "made"]
    assert {f.relation.name for f in session.find(["data"])} == {"t", "t__g1", "other"}
    assert session.targets([SCHEMA]) == {at("p"): data("t"), at("q"): data("t")}
    before = session.find([SCHEMA, "data", "mine"])

    def work() -> None:
        with transaction(session):
            session.drop([data("t"), mine("over"), mine("by_pointer")])
            session.drop([mine("direct"), at("p")])

    error = failure(work)
    assert error.kind == "DependentObjectsStillExist"
    assert "data.t" in error.message
    assert "aside" not in error.message
    assert session.find([SCHEMA, "data", "mine"]) == before
    with transaction(session):  # one after the other, what is read first
        session.drop([data("t")])
        session.drop([f.relation for f in session.find(["data"])])
        session.drop([f.relation for f in session.find(["mine"])])
        session.drop([at("p"), at("q")])
    assert session.find([SCHEMA, "data", "mine"]) == []


# --- views that are made anew


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


# --- pointers


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
