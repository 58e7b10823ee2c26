"""What the engine says to BigQuery, word for word, where no emulator can be believed: it runs no server. The words are
those of BigQuery's reference; nothing here shows that BigQuery takes them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from google.cloud.bigquery import SchemaField
from tests.support.recorded_bigquery import Recorded, RecordedEngine

from anabranch.engines.bigquery.sql import GRAMMAR, hashing, kind, labels, pointed
from anabranch.errors import StatementFailed
from anabranch.ports.cloning import Cloning, Held, Past
from anabranch.ports.engine import Grant, Relation

CLONE = "CREATE TABLE `shop`.`dev`.`c` CLONE `shop`.`raw`.`t`"
SOURCE, COPY = Relation("raw", "t"), Relation("dev", "c")
NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def recorded():
    return Recorded(tables={"raw.t": {}, "dev.v": {"type": "VIEW", "view": {"query": "SELECT 1"}}})


@pytest.fixture
def session(recorded):
    engine = RecordedEngine(recorded)
    with engine.session() as session:
        yield session
    engine.close()


# --- clones


@pytest.mark.parametrize(
    ("how", "statement"),
    [
        (Cloning(), CLONE),
        (Cloning(replace=True), "CREATE OR REPLACE TABLE `shop`.`dev`.`c` CLONE `shop`.`raw`.`t`"),
        (Cloning(is_deep=True), "CREATE TABLE `shop`.`dev`.`c` COPY `shop`.`raw`.`t`"),
        (Cloning(is_deep=True, replace=True), "CREATE OR REPLACE TABLE `shop`.`dev`.`c` COPY `shop`.`raw`.`t`"),
        (
            Cloning(at=Past(time=NOON)),
            f"{CLONE} FOR SYSTEM_TIME AS OF TIMESTAMP '2026-03-01 12:00:00.250000+00:00'",
        ),
        (
            Cloning(at=Past(time=NOON.astimezone(timezone(timedelta(hours=2))), before=True)),
            f"{CLONE} FOR SYSTEM_TIME AS OF TIMESTAMP '2026-03-01 12:00:00.249999+00:00'",
        ),
        (
            Cloning(at=Past(seconds=90)),
            f"{CLONE} FOR SYSTEM_TIME AS OF TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 90000000 MICROSECOND)",
        ),
        (
            Cloning(is_snapshot=True, properties={"expiration_timestamp": "2027-01-01 00:00:00+00:00"}),
            (
                "CREATE SNAPSHOT TABLE `shop`.`dev`.`c` CLONE `shop`.`raw`.`t`"
                " OPTIONS (expiration_timestamp = TIMESTAMP '2027-01-01 00:00:00+00:00')"
            ),
        ),
        (
            Cloning(properties={"description": "it's\nmine", "labels.team": "sales", "labels.env": "dev"}),
            f"{CLONE} OPTIONS (description = 'it\\'s\\nmine', labels = [('team', 'sales'), ('env', 'dev')])",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_clone_is_one_statement(recorded, session, how, statement):
    session.clone(SOURCE, COPY, how)
    assert recorded.statements == [statement]


@pytest.mark.parametrize(
    "how",
    [
        Cloning(keeps_grants=True),
        Cloning(skips_unretained=True),
        Cloning(location="gs://somewhere"),
        Cloning(is_snapshot=True, replace=True),
        Cloning(is_snapshot=True, is_deep=True),
        Cloning(is_deep=True, at=Past(seconds=1)),
        Cloning(at=Past(statement="job")),
        Cloning(at=Past(version=3)),
        Cloning(properties={"labels": "x"}),
        Cloning(properties={"partition_expiration_days": "3"}),
    ],
    ids=str,
)
def test_a_clone_that_bigquery_has_not_is_refused_before_it_is_asked(recorded, session, how):
    with pytest.raises(StatementFailed) as caught:
        session.clone(SOURCE, COPY, how)
    assert caught.value.kind == "NotSupported"
    assert recorded.statements == []


@pytest.mark.parametrize("type_", ["VIEW", "EXTERNAL", "MATERIALIZED_VIEW"])
def test_only_tables_and_snapshots_are_cloned(recorded, session, type_):
    recorded.tables["raw.t"]["type"] = type_
    with pytest.raises(StatementFailed, match=type_.lower().replace("_", " ")):
        session.clone(SOURCE, COPY)
    recorded.tables["raw.t"]["type"] = "SNAPSHOT"
    session.clone(SOURCE, COPY)
    assert recorded.statements == [CLONE]


def clone_of(table, taken="2026-03-01T12:00:00Z", what="cloneDefinition", time="cloneTime"):
    dataset, name = table.split(".")
    base = {"projectId": "shop", "datasetId": dataset, "tableId": name}
    return {what: {"baseTableReference": base, time: taken}, "creationTime": "1772366400000"}  # 2026-03-01 12:00


def test_clones_stand_on_three_others_at_most(recorded, session):
    recorded.tables |= {
        "d.one": clone_of("raw.t"),
        "d.two": clone_of("d.one", what="snapshotDefinition", time="snapshotTime") | {"type": "SNAPSHOT"},
        "d.three": clone_of("d.two"),
        "d.orphan": clone_of("d.dropped"),
        # what it was cloned from is gone, and another table has its name since
        "d.later": clone_of("d.three", taken="2020-01-01T00:00:00Z"),
    }
    depths = {name: session.depth(Relation("d", name)) for name in ("one", "two", "three", "orphan", "later", "none")}
    assert depths == {"one": 1, "two": 2, "three": 3, "orphan": 1, "later": 1, "none": 0}
    assert session.depth(SOURCE) == 0
    for name in ("one", "two", "orphan", "later"):
        session.clone(Relation("d", name), COPY)
    with pytest.raises(StatementFailed, match="has to be copied") as caught:
        session.clone(Relation("d", "three"), COPY)
    assert caught.value.kind == "NotSupported"
    session.clone(Relation("d", "three"), COPY, Cloning(is_deep=True))
    assert len(recorded.statements) == 5
    assert recorded.statements[-1] == "CREATE TABLE `shop`.`dev`.`c` COPY `shop`.`d`.`three`"


# --- pointers


def test_pointers_carry_a_mark(recorded, session):
    session.point({Relation("dev", "o'clock"): SOURCE, Relation("dev", "gone"): None})
    assert sorted(recorded.statements) == [
        (
            "CREATE OR REPLACE VIEW `shop`.`dev`.`o'clock` OPTIONS (labels = [('anabranch', 'pointer')])"
            " AS SELECT * FROM `shop`.`raw`.`t`"
        ),
        "DROP VIEW IF EXISTS `shop`.`dev`.`gone`",
    ]


def test_what_carries_no_mark_is_no_pointer(recorded, session):
    mark, other = '[STRUCT("anabranch", "pointer")]', '[STRUCT("team", "sales")]'
    views = [
        ("p", "SELECT * FROM `shop`.`raw`.`t`", mark),
        ("elsewhere", "SELECT * FROM `other-project`.`raw`.`t`", mark),
        ("odd", "SELECT * FROM `shop`.`raw`.`it's \\\\ \\` odd`\n", mark),
        ("by_hand", "SELECT * FROM `shop`.`raw`.`t`", other),
        ("without", "SELECT * FROM `shop`.`raw`.`t`", None),
        ("changed", "SELECT * FROM `shop`.`raw`.`t` WHERE id > 1", mark),
        ("short", "SELECT * FROM `raw`.`t`", mark),
    ]
    names = ("table_name", "view_definition", "option_value")
    recorded.answers = [("VIEWS", {"fields": [{"name": n, "type": "STRING"} for n in names], "rows": views})]
    found = session.targets(["dev"])
    assert found == {
        Relation("dev", "p"): SOURCE,
        Relation("dev", "elsewhere"): Relation("raw", "t", "other-project"),
        Relation("dev", "odd"): Relation("raw", "it's \\ ` odd"),
        **dict.fromkeys([Relation("dev", n) for n in ("by_hand", "without", "changed", "short")]),
    }
    assert recorded.statements == [
        (
            "SELECT v.table_name, v.view_definition, o.option_value FROM `shop`.`dev`.INFORMATION_SCHEMA.VIEWS AS v"
            " LEFT JOIN `shop`.`dev`.INFORMATION_SCHEMA.TABLE_OPTIONS AS o"
            " ON o.table_name = v.table_name AND o.option_name = 'labels'"
        )
    ]


def test_a_name_is_read_back_as_it_was_written():
    for name in ("t", "with space", "it's", "a`b", "back\\slash", "\\`", "`"):
        quoted = GRAMMAR.name("shop", "raw", name)
        assert pointed(f"SELECT * FROM {quoted}") == ("shop", "raw", name)


def test_a_backtick_ends_no_name():
    assert GRAMMAR.identifier("a` AS b; DROP TABLE c; -- \\") == "`a\\` AS b; DROP TABLE c; -- \\\\`"
    assert GRAMMAR.literal("it's \\ a\nline") == "'it\\'s \\\\ a\\nline'"


# --- rights


def test_roles_are_granted(recorded, session):
    reader, writer = "roles/bigquery.dataViewer", "roles/bigquery.dataEditor"
    session.grant(
        SOURCE, [Grant(reader, "user:b@x.org"), Grant(writer, "group:g@x.org"), Grant(reader, "user:a@x.org")]
    )
    session.grant(Relation("dev", "v"), [Grant(reader, "user:\"odd'@x.org")])
    session.grant(SOURCE, [])
    assert recorded.statements == [
        "GRANT `roles/bigquery.dataEditor` ON TABLE `shop`.`raw`.`t` TO 'group:g@x.org'",
        "GRANT `roles/bigquery.dataViewer` ON TABLE `shop`.`raw`.`t` TO 'user:a@x.org', 'user:b@x.org'",
        "GRANT `roles/bigquery.dataViewer` ON VIEW `shop`.`dev`.`v` TO 'user:\"odd\\'@x.org'",
    ]


def test_what_is_bound_under_a_condition_is_no_grant(recorded, session):
    recorded.policies["raw.t"] = {
        "version": 1,
        "bindings": [
            {"role": "roles/bigquery.dataViewer", "members": ["user:b@x.org", "user:a@x.org"]},
            {"role": "roles/bigquery.dataOwner_withcond_01ab", "members": ["user:c@x.org"]},
            {"role": "roles/bigquery.dataEditor", "members": ["user:d@x.org"], "condition": {"title": "until"}},
        ],
    }
    viewer = "roles/bigquery.dataViewer"
    assert session.grants([SOURCE, Relation("dev", "v"), Relation("dev", "nothing")]) == {
        SOURCE: (Grant(viewer, "user:a@x.org"), Grant(viewer, "user:b@x.org")),
        Relation("dev", "v"): (),
    }


# --- statements


def test_rows_are_merged_by_keys_that_may_be_null(recorded, session):
    session.merge(SOURCE, COPY, ["id", "day"], ["id", "day", "n"])
    assert recorded.statements == [
        (
            "MERGE INTO `shop`.`raw`.`t` AS b USING `shop`.`dev`.`c` AS n"
            " ON (b.`id` = n.`id` OR (b.`id` IS NULL AND n.`id` IS NULL))"
            " AND (b.`day` = n.`day` OR (b.`day` IS NULL AND n.`day` IS NULL))"
            " WHEN MATCHED THEN UPDATE SET `n` = n.`n`"
            " WHEN NOT MATCHED THEN INSERT (`id`, `day`, `n`) VALUES (n.`id`, n.`day`, n.`n`)"
        )
    ]


@pytest.mark.parametrize(
    ("query", "run"),
    [
        ("SELECT a FROM t", "SELECT * FROM (\nSELECT a FROM t\n) LIMIT 3"),
        ("with x as (select 1) select * from x; ", "SELECT * FROM (\nwith x as (select 1) select * from x\n) LIMIT 3"),
        ("SELECT 1 AS a -- what", "SELECT * FROM (\nSELECT 1 AS a -- what\n) LIMIT 3"),
        ("SELECT a FROM t order  by a", None),
        ("SELECT 1; -- what", None),
        ("WITH RECURSIVE r AS (SELECT 1 AS n) SELECT n FROM r", None),
        ("INSERT INTO t SELECT 1", None),
    ],
)
def test_bigquery_is_told_how_many_rows_are_wanted(recorded, session, query, run):
    session.query(query, 3)
    session.query(query)
    assert recorded.statements == [run or query, query]


def test_a_hash_tells_zeros_and_coordinates_apart():
    fields = [
        SchemaField("id", "INTEGER"),
        SchemaField("x", "FLOAT"),
        SchemaField("g", "GEOGRAPHY"),
        SchemaField("a", "FLOAT64", mode="REPEATED"),
        SchemaField("s", "RECORD", fields=[SchemaField("n", "STRING"), SchemaField("odd name", "FLOAT")]),
        SchemaField("plain", "RECORD", mode="REPEATED", fields=[SchemaField("n", "STRING")]),
    ]
    zero = "STRUCT(FORMAT('%.17g', {0}) AS a, IF({0} = 0, IEEE_DIVIDE(1, {0}), NULL) AS b)"
    values = [
        "`id` AS c0",
        f"{zero.format('`x`')} AS c1",
        "ST_ASBINARY(`g`) AS c2",
        (
            f"IF(`a` IS NULL, NULL, ARRAY(SELECT {zero.format('v0')} FROM UNNEST(`a`) AS v0 WITH OFFSET AS o0"
            " ORDER BY o0)) AS c3"
        ),
        f"IF(`s` IS NULL, NULL, STRUCT(`s`.`n` AS f0, {zero.format('`s`.`odd name`')} AS f1)) AS c4",
        "`plain` AS c5",
    ]
    assert hashing("`shop`.`raw`.`t`", fields) == (
        "SELECT COUNT(*), SUM(CAST(DIV(a, 4294967296) AS NUMERIC)), SUM(CAST(MOD(a, 4294967296) AS NUMERIC)),"
        " SUM(CAST(DIV(b, 4294967296) AS NUMERIC)), SUM(CAST(MOD(b, 4294967296) AS NUMERIC))"
        " FROM (SELECT FARM_FINGERPRINT(r) AS a, FARM_FINGERPRINT(CONCAT('anabranch', r)) AS b"
        f" FROM (SELECT TO_JSON_STRING(STRUCT({', '.join(values)})) AS r FROM `shop`.`raw`.`t`))"
    )
    assert hashing("`t`", []) == "SELECT COUNT(*) FROM `t`"


def test_types_are_spelled_as_the_catalog_spells_them():
    parts = [SchemaField("n", "NUMERIC", precision=10, scale=2), SchemaField("days", "DATE", mode="REPEATED")]
    for field, told in (
        (SchemaField("c", "INTEGER"), "INT64"),
        (SchemaField("c", "BOOLEAN", mode="REQUIRED"), "BOOL"),
        (SchemaField("c", "STRING", max_length=7), "STRING(7)"),
        (SchemaField("c", "BIGNUMERIC", precision=50), "BIGNUMERIC(50)"),
        (
            SchemaField("c", "RECORD", mode="REPEATED", fields=parts),
            "ARRAY<STRUCT<n NUMERIC(10, 2), days ARRAY<DATE>>>",
        ),
        (SchemaField("c", "RANGE", range_element_type="DATETIME"), "RANGE<DATETIME>"),
    ):
        assert kind(field) == told


# --- what metadata says


def test_a_version_is_told_only_where_it_can_be(recorded, session):
    table = {"creationTime": "1772366400000", "lastModifiedTime": "1772366400123", "numRows": "5", "numBytes": "40"}
    recorded.tables["raw.t"] = dict(table)
    first = session.version(SOURCE)
    assert first
    assert session.version(SOURCE) == first
    for changed in (
        {"lastModifiedTime": "1772366400124"},
        {"numRows": "6"},
        {"numBytes": "41"},
        {"creationTime": "1772366400001"},
    ):
        recorded.tables["raw.t"] = {**table, **changed}
        assert session.version(SOURCE) not in (None, first), changed
    for untold in ({"streamingBuffer": {"estimatedRows": "1"}}, {"type": "VIEW"}, {"type": "EXTERNAL"}):
        recorded.tables["raw.t"] = {**table, **untold}
        assert session.version(SOURCE) is None, untold


def test_bytes_are_told_of_what_holds_rows(recorded, session):
    recorded.tables |= {
        "raw.t": {"numBytes": "100"},
        "d.clone": {"numBytes": "100", **clone_of("raw.t")},
        "d.external": {"type": "EXTERNAL", "numBytes": "0"},
    }
    asked = [SOURCE, Relation("d", "clone"), Relation("d", "external"), Relation("dev", "v"), Relation("d", "none")]
    assert session.held(asked) == {SOURCE: Held(100), Relation("d", "clone"): Held(100)}


def test_a_name_that_cannot_be_is_no_address(recorded, session):
    """Names become parts of an address, where ``..`` and ``?`` mean something."""
    odd = [
        *(Relation("raw", n) for n in ("../t", "x/../t", "t?fields=x", "t#x", "%2e%2e", "")),
        *(Relation(s, "t") for s in ("raw/tables/t/..", "..", "a b", "raw?x")),
        Relation("raw", "t", "../shop"),
        Relation("raw", "t", "Shop"),
    ]
    session.drop(odd)
    session.drop_schemas([r.schema for r in odd[6:10]])
    assert session.grants(odd) == {}
    assert session.held(odd) == {}
    for relation in odd:
        assert session.columns(relation) is None
        assert session.describe(relation) is None
    for schema in ("..", "a b", "raw?x"):
        assert session.find([schema]) == []
        assert session.targets([schema]) == {}
        with pytest.raises(StatementFailed, match="can't be a dataset's name"):
            session.create_schemas([schema])
    assert [a for a in recorded.asked if not a.path.endswith("/shop/datasets")] == []


# --- labels


def test_labels_say_what_a_statement_is_about():
    about = {"environment": "feature_1", "asset": "marts.Orders", "Plan": "0123", "long": "x" * 80}
    found = labels(about)
    assert found["anabranch_environment"] == "feature_1"
    assert found["anabranch_asset"].startswith("marts-orders-")
    assert found["anabranch_asset"] != labels({"asset": "marts.orders"})["anabranch_asset"], "the hash is of the text"
    assert len(found["anabranch_long"]) == 63
    for key, value in labels({**about, "odd key!": "ünï \n '\"", "empty": ""}).items():
        for text in (key, value):
            assert len(text) <= 63
            assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-"), text
