"""What is ClickHouse's own: clones that share files, versions, views in others' sessions, names."""

import pytest
from tests.engines.clickhouse.houses import NEEDED, embedded, stored

from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Cloning
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SMALL, at, rows

pytestmark = NEEDED


# --- clones


def test_a_clone_of_ten_million_rows_takes_next_to_no_place(session, folder):
    def content(table):
        return session.query(f"SELECT count(), sum(cityHash64(id, name)) FROM {table}").rows[0]

    session.create_table(
        at("source"), "SELECT cityHash64(number) AS id, toString(number % 100) AS name FROM numbers(10000000)"
    )
    session.execute("OPTIMIZE TABLE suite.source FINAL")  # else ClickHouse is at it, and its files are counted
    before = stored(folder)
    session.clone(at("source"), at("clone", "other"))
    assert stored(folder) - before < 1_000_000
    held = session.held([at("source"), at("clone", "other")])
    assert held[at("clone", "other")].total == held[at("source")].total > 50_000_000
    own = held[at("clone", "other")].own
    assert own is not None
    assert own < 100_000
    source = content("suite.source")
    assert source[0] == 10_000_000
    assert content("other.clone") == source
    session.execute("INSERT INTO other.clone VALUES (1, 'mine')")
    session.execute("ALTER TABLE other.clone DELETE WHERE name = '7'")
    assert content("suite.source") == source, "a write to the clone"
    mine = content("other.clone")
    assert mine[0] == 9_900_001
    session.execute("INSERT INTO suite.source VALUES (1, 'theirs')")
    session.execute("ALTER TABLE suite.source DROP COLUMN name")
    assert content("other.clone") == mine, "a write to the source"
    session.drop([at("source")])
    assert content("other.clone") == mine, "the source is gone"


def test_a_clone_keeps_how_its_source_is_kept(session):
    session.execute(
        "CREATE TABLE suite.source (day Date, id UInt64, n UInt8 DEFAULT 5, INDEX i id TYPE minmax)"
        " ENGINE = ReplacingMergeTree PARTITION BY toYYYYMM(day) ORDER BY id COMMENT 'mine'"
    )
    session.execute("INSERT INTO suite.source SELECT toDate('2020-01-01') + number * 10, number, 1 FROM numbers(20)")
    session.clone(at("source"), at("clone"))
    made = [
        str(session.query(f"SHOW CREATE TABLE suite.{name}").rows[0][0]).replace(name, "")
        for name in ("source", "clone")
    ]
    assert made[0] == made[1]
    assert rows(session, at("clone")) == rows(session, at("source"))


def test_a_deep_clone_shares_nothing(session):
    session.create_table(at("source"), "SELECT number AS id FROM numbers(100000)")
    session.clone(at("source"), at("deep"), Cloning(is_deep=True))
    held = session.held([at("source"), at("deep")])
    for each in held.values():
        assert each.own is not None
        assert each.own > each.total / 2
    assert session.count(at("deep")) == 100000


def test_what_has_no_parts_is_not_cloned(session):
    session.execute("CREATE TABLE suite.log (id UInt8) ENGINE = Log")
    session.create_view(at("view"), SMALL)
    for name in ("log", "view", "nothing"):
        with pytest.raises(StatementFailed):
            session.clone(at(name), at("clone"))
        assert session.describe(at("clone")) is None


def test_a_clone_takes_the_place_of_a_view_of_another_shape(session):
    session.create_table(at("source"), SMALL)
    session.create_view(at("there"), "SELECT 7 AS number")
    session.clone(at("source"), at("there"), Cloning(replace=True))
    assert rows(session, at("there")) == [(1, "one"), (2, "two")]
    assert {f.relation.name for f in session.find(["suite"])} == {"source", "there"}


def test_tables_of_two_schemas_are_swapped(session):
    session.create_table(at("t"), SMALL)
    session.create_table(at("t", "other"), "SELECT 7 AS number")
    session.swap(at("t"), at("t", "other"))
    assert rows(session, at("t")) == [(7,)]


# --- versions


def test_a_merge_of_parts_is_no_other_version(session):
    def parts():
        return session.query("SELECT count() FROM system.parts WHERE table = 't' AND active").rows[0][0]

    session.create_table(at("t"), SMALL)
    seen = {session.version(at("t"))}
    for turn in range(2):  # the second time after a mutation
        session.execute("SYSTEM STOP MERGES suite.t")
        for number in range(3, 8):
            session.execute(f"INSERT INTO suite.t VALUES ({number}, 'x')")
            seen.add(session.version(at("t")))
        assert len(seen) == 6 + 6 * turn
        last = session.version(at("t"))
        assert parts() == 6
        session.execute("SYSTEM START MERGES suite.t")
        session.execute("OPTIMIZE TABLE suite.t FINAL")
        assert parts() == 1
        assert session.version(at("t")) == last
        if turn == 0:
            session.execute("ALTER TABLE suite.t UPDATE name = 'z' WHERE id = 3")
            seen.add(session.version(at("t")))
    for change in (
        "ALTER TABLE suite.t UPDATE name = 'y' WHERE id = 7",
        "DELETE FROM suite.t WHERE id = 7",
        "ALTER TABLE suite.t ADD COLUMN more UInt8 DEFAULT 1",
        "ALTER TABLE suite.t MODIFY COLUMN more UInt8 DEFAULT 2",
        "ALTER TABLE suite.t DROP COLUMN more",
        "ALTER TABLE suite.t DELETE WHERE id = 6",
        "TRUNCATE TABLE suite.t",
        "INSERT INTO suite.t VALUES (1, 'one')",
    ):
        session.execute(change)
        assert session.version(at("t")) not in {None, last}, change
        last = session.version(at("t"))
    session.rename(at("t"), "renamed")
    assert session.version(at("renamed")) == last
    session.create_table(at("t"), SMALL)
    assert session.version(at("t")) != last


def test_a_merge_that_may_drop_rows_is_another_version(session):
    session.execute("CREATE TABLE suite.t (id UInt8, n UInt8) ENGINE = SummingMergeTree ORDER BY id")
    for number in (1, 2):
        session.execute(f"INSERT INTO suite.t VALUES (1, {number})")
    before = session.version(at("t"))
    session.execute("OPTIMIZE TABLE suite.t FINAL")
    assert rows(session, at("t")) == [(1, 3)]
    assert session.version(at("t")) not in (None, before)


def test_what_has_no_parts_has_no_version(session):
    session.execute("CREATE TABLE suite.log (id UInt8) ENGINE = Log")
    session.create_view(at("view"), SMALL)
    assert session.version(at("log")) is None
    assert session.version(at("view")) is None


# --- views


def test_a_view_means_the_same_in_sessions_with_other_settings(session, folder):
    import chdb
    import pyarrow

    session.create_table(at("t"), "SELECT 1 AS a, 'x' AS b")
    queries = {
        "joined": (
            "SELECT l.a, r.c FROM suite.t AS l LEFT JOIN (SELECT 2 AS a, 5 AS c) AS r ON l.a = r.a",
            [(1, None)],
        ),
        "empty": ("SELECT sum(a) AS s, max(b) AS m FROM suite.t WHERE a > 7", [(None, None)]),
        "named": ("SELECT a + 1 AS a FROM suite.t WHERE a = 1", [(2,)]),
        "united": ("SELECT a FROM suite.t UNION SELECT a FROM suite.t", [(1,)]),
        "total": (
            "SELECT b, count() AS n FROM suite.t GROUP BY b WITH ROLLUP ORDER BY n, b NULLS LAST",
            [("x", 1), (None, 1)],
        ),
        "nested": ("WITH w AS (SELECT max(a) AS m FROM suite.t WHERE a > 7) SELECT m FROM w; ", [(None,)]),
    }
    for name, (query, _) in queries.items():
        session.create_view(at(name), query)
    session.point({at("pointer"): at("joined")})
    plain = chdb.connect(str(folder.resolve()))
    for name, (_, expected) in {**queries, "pointer": queries["joined"]}.items():
        assert session.query(f"SELECT * FROM suite.{name}").rows == expected
        answer = plain.query(f"SELECT * FROM suite.{name}", "ArrowStream").bytes()
        found = [tuple(r.values()) for r in pyarrow.ipc.open_stream(answer).read_all().to_pylist()]
        assert found == expected, name
    plain.close()


def test_settings_of_a_project_go_into_its_views(engine, folder):
    engine = embedded(folder, settings={"join_use_nulls": "0"})
    with engine.session() as session:
        session.create_schemas(["suite"])
        session.create_view(
            at("v"), "SELECT l.a, r.c FROM (SELECT 1 AS a) AS l LEFT JOIN (SELECT 2 AS a, 5 AS c) AS r ON l.a = r.a"
        )
        assert rows(session, at("v")) == [(1, 0)]
    engine.close()


def test_a_table_is_never_replaced_by_a_view(session):
    """CREATE OR REPLACE VIEW does."""
    session.execute(
        "CREATE MATERIALIZED VIEW suite.m ENGINE = MergeTree ORDER BY tuple() AS SELECT 1 AS id FROM system.one"
    )
    session.create_table(at("t"), SMALL)
    for name in ("m", "t"):
        for change in (
            lambda name=name: session.create_view(at(name), SMALL),
            lambda name=name: session.point({at("before"): at("t"), at(name): at("t")}),
            lambda name=name: session.point({at("before"): at("t"), at(name): None}),
        ):
            with pytest.raises(StatementFailed, match="is a table"):
                change()
    assert {f.relation.name for f in session.find(["suite"])} == {"m", "t"}, "and nothing was done before"
    session.drop([at("m")])
    assert [f.relation.name for f in session.find(["suite"])] == ["t"]


def test_a_pointer_shows_the_columns_that_its_target_had(session):
    session.create_table(at("t"), SMALL)
    session.point({at("p"): at("t")})
    session.execute("ALTER TABLE suite.t ADD COLUMN more UInt8")
    assert rows(session, at("p")) == [(1, "one"), (2, "two")]
    session.point({at("p"): at("t")})
    assert rows(session, at("p")) == [(1, "one", 0), (2, "two", 0)]


def test_a_view_that_leads_nowhere_has_no_columns_to_ask_for(session):
    session.create_table(at("t", "other"), SMALL)
    session.point({at("p"): at("t", "other")})
    session.create_view(at("v"), "SELECT id FROM suite.p")
    session.drop([at("t", "other")])
    assert session.columns(at("p")) is None
    assert session.columns(at("v")) is None
    found = session.describe(at("p"))
    assert found is not None
    assert [n for n, _ in found.columns] == ["id", "name"]


# --- schemas and names


def test_a_schema_with_anything_in_it_stays(session):
    session.create_schemas(["with_dictionary", "with_materialized"])
    session.create_table(at("t"), SMALL)
    session.execute(
        "CREATE DICTIONARY with_dictionary.d (id UInt64, name String) PRIMARY KEY id"
        " SOURCE(CLICKHOUSE(DB 'suite' TABLE 't')) LAYOUT(FLAT()) LIFETIME(0)"
    )
    session.execute(
        "CREATE MATERIALIZED VIEW with_materialized.m ENGINE = MergeTree ORDER BY tuple() AS SELECT id FROM suite.t"
    )
    session.drop_schemas(["with_dictionary", "with_materialized", "suite", "other", "default", "system"])
    assert session.schemas() == ["default", "suite", "with_dictionary", "with_materialized"]
    session.drop([Relation("with_dictionary", "d"), Relation("with_materialized", "m")])
    session.drop_schemas(["with_dictionary", "with_materialized"])
    assert session.schemas() == ["default", "suite"]


def test_a_schema_in_which_a_table_is_made_just_then_stays(session, monkeypatch):
    kinds = session.kinds
    monkeypatch.setattr(
        session, "kinds", lambda schemas: {r: k for r, k in kinds(schemas).items() if r.schema != "suite"}
    )
    session.execute("CREATE TABLE suite.t AS SELECT 1 AS id")
    session.drop_schemas(["suite"])
    assert session.count(at("t")) == 1
    assert session.schemas() == ["default", "other", "suite"]


@pytest.mark.parametrize("name", ["x" * 127, "a-" * 20, "x" * 60 + "ü"])
def test_long_names(session, name):
    """A schema's name is part of a file's name too."""
    schema = "s" * 63
    session.create_schemas([schema])
    table, view = Relation(schema, name), Relation(schema, name[:-1] + "v")
    session.create_table(table, SMALL)
    session.point({view: table})
    session.clone(table, table, Cloning(replace=True))
    assert session.targets([schema]) == {view: table}
    session.drop([table, view])
    assert session.find([schema]) == []


def test_names_that_differ_by_case_are_different(session):
    session.create_table(at("t"), SMALL)
    session.create_table(at("T"), "SELECT 1 AS a, 2 AS A")
    assert rows(session, at("T")) == [(1, 2)]
    assert session.content_hash(at("T"), ["a"]) != session.content_hash(at("T"), ["A"])
