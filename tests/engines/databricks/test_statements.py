"""The statements of Databricks alone, as text."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
from databricks.sql import exc
from tests.engines.databricks.fake import said

from anabranch.ports.cloning import Cloning, Past
from anabranch.ports.engine import Found, Grant, Relation
from anabranch.testing.engine_helpers import at, failure


def test_clones(fake, session):
    source, clone = Relation("raw", "orders"), Relation("raw__feature", "orders")
    told = "`main`.`raw__feature`.`orders`"
    then = datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC)
    for how, expected in (
        (Cloning(), f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"),
        (Cloning(is_deep=True), f"CREATE TABLE {told} DEEP CLONE `main`.`raw`.`orders`"),
        (Cloning(replace=True), f"CREATE OR REPLACE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"),
        (Cloning(at=Past(version=7)), f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` VERSION AS OF 7"),
        (
            Cloning(at=Past(time=then)),
            f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` TIMESTAMP AS OF '2026-03-01 12:30:00.000005'",
        ),
        (
            Cloning(properties={"delta.logRetentionDuration": "7 days", "o'clock": "a\\b"}),
            (
                f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders`"
                " TBLPROPERTIES ('delta.logRetentionDuration' = '7 days', 'o\\'clock' = 'a\\\\b')"
            ),
        ),
        (
            Cloning(location="s3://lake/it's"),
            f"CREATE TABLE {told} SHALLOW CLONE `main`.`raw`.`orders` LOCATION 's3://lake/it\\'s'",
        ),
        (
            Cloning(replace=True, is_deep=True, at=Past(version=1), properties={"a": "b"}, location="s3://x"),
            (
                f"CREATE OR REPLACE TABLE {told} DEEP CLONE `main`.`raw`.`orders` VERSION AS OF 1"
                " TBLPROPERTIES ('a' = 'b') LOCATION 's3://x'"
            ),
        ),
    ):
        assert said(fake, partial(session.clone, source, clone, how)) == [expected]


def test_a_time_in_another_zone_is_told_in_utc(fake, session):
    then = datetime.fromisoformat("2026-03-01T12:30:00+02:00")
    (statement,) = said(fake, lambda: session.clone(at("t"), at("c"), Cloning(at=Past(time=then))))
    assert statement.endswith("TIMESTAMP AS OF '2026-03-01 10:30:00.000000'")


def test_a_time_after_the_last_version_is_that_version(fake, session):
    fake.answers["TIMESTAMP AS OF"] = exc.ServerOperationError("[DELTA_TIMESTAMP_GREATER_THAN_COMMIT] later than all")
    fake.answers["DESCRIBE HISTORY"] = pa.table({"version": [4], "timestamp": [datetime.fromisoformat("2026-03-01")]})
    past = Cloning(at=Past(time=datetime(2026, 3, 2, tzinfo=UTC)))
    assert said(fake, lambda: session.clone(at("t"), at("c"), past))[1:] == [
        "DESCRIBE HISTORY `main`.`suite`.`t` LIMIT 1",
        "CREATE TABLE `main`.`suite`.`c` SHALLOW CLONE `main`.`suite`.`t` VERSION AS OF 4",
    ]


def test_what_is_not_to_be_had_is_refused_before_anybody_is_asked(fake, session):
    for how in (
        Cloning(keeps_grants=True),
        Cloning(is_snapshot=True),
        Cloning(skips_unretained=True),
        Cloning(at=Past(statement="x")),
        Cloning(at=Past(version=1, before=True)),
    ):
        fake.log.clear()
        assert failure(partial(session.clone, at("t"), at("c"), how)).kind == "NotSupported"
        assert fake.log == []
    for call in (
        lambda: session.clone_schema("a", "b"),
        lambda: session.clone_database("a", "b"),
        lambda: session.swap(at("a"), at("b")),
        lambda: session.swap_schemas("a", "b"),
        lambda: session.create_materialized_view(at("a"), "SELECT 1"),
    ):
        assert failure(call).kind == "NotSupported"
    assert fake.log == []


def test_tables_schemas_and_merges(fake, session):
    fake.answers["count(*)"] = pa.table({"n": [3]})
    assert said(fake, lambda: session.create_schemas(["sales__x", "odd`name"])) == [
        "CREATE SCHEMA IF NOT EXISTS `main`.`odd``name`",
        "CREATE SCHEMA IF NOT EXISTS `main`.`sales__x`",
    ]
    assert said(fake, lambda: session.create_table(at("t"), "SELECT 1 AS id")) == [
        "CREATE TABLE `main`.`suite`.`t` USING delta AS SELECT 1 AS id",
        "SELECT count(*) FROM `main`.`suite`.`t`",
    ]
    assert said(fake, lambda: session.rename(at("t"), "u")) == ["ALTER TABLE `main`.`suite`.`t` RENAME TO `suite`.`u`"]
    assert said(fake, lambda: session.merge(at("t"), at("rows"), ["id"], ["id", "name"])) == [
        (
            "MERGE INTO `main`.`suite`.`t` AS b USING `main`.`suite`.`rows` AS n ON b.`id` <=> n.`id`"
            " WHEN MATCHED THEN UPDATE SET `name` = n.`name`"
            " WHEN NOT MATCHED THEN INSERT (`id`, `name`) VALUES (n.`id`, n.`name`)"
        )
    ]


def test_pointers(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table(
        {"table_name": ["q", "t"], "table_type": ["VIEW", "MANAGED"]}
    )
    assert said(fake, lambda: session.point({at("p"): at("t", "data"), at("q"): None, at("gone"): None})) == [
        "SELECT table_name, table_type FROM `main`.`information_schema`.`tables` WHERE table_schema = 'suite'",
        (
            "CREATE OR REPLACE VIEW `main`.`suite`.`p` TBLPROPERTIES ('anabranch.pointer' = 'all columns')"
            " AS SELECT * FROM `main`.`data`.`t`"
        ),
        "DROP VIEW IF EXISTS `main`.`suite`.`q`",
    ]
    failure(lambda: session.point({at("t"): None}))


def test_targets_are_read_at_once(fake, session):
    texts = {
        "p": "SELECT * FROM `main`.`data`.`t`",
        "renamed": "SELECT * FROM `main`.`data`.`t`",
        "lost": "SELECT * FROM `main`.`data`.`nothing`",
        "by_hand": "SELECT id FROM `main`.`data`.`t`",
        "hidden": None,
    }
    fake.answers["information_schema`.`views"] = pa.table(
        {"table_name": list(texts), "view_definition": list(texts.values())}
    )
    fake.answers["`columns` WHERE table_schema = 'suite'"] = pa.table(
        {"t": ["p", "p", "renamed", "renamed", "lost"], "c": ["id", "name", "a", "b", "id"], "k": ["int"] * 5}
    )
    fake.answers["`columns` WHERE table_schema = 'data'"] = pa.table(
        {"t": ["t", "t"], "c": ["id", "name"], "k": ["int", "string"]}
    )
    fake.answers["SHOW TBLPROPERTIES `main`.`suite`.`lost`"] = pa.table(
        {"key": ["anabranch.pointer"], "value": ["all columns"]}
    )
    fake.answers["SHOW TBLPROPERTIES"] = pa.table(
        {"key": ["anabranch.pointer"], "value": ["Table has no such property"]}
    )
    found: dict[Relation, Relation | None] = {}
    statements = said(fake, lambda: found.update(session.targets(["suite"])))
    assert found == {
        at("p"): at("t", "data"),
        at("lost"): at("nothing", "data"),
        **dict.fromkeys(map(at, ("renamed", "by_hand", "hidden"))),
    }
    assert len(statements) == 5, "three in all, and one for each view that is in doubt"


def test_relations_are_found_at_once(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table({"n": ["t", "v"], "k": ["MANAGED", "VIEW"]})
    fake.answers["information_schema`.`views"] = pa.table({"n": ["v"], "d": ["SELECT 1 AS id"]})
    fake.answers["information_schema`.`columns"] = pa.table(
        {"t": ["t", "t", "v"], "c": ["id", "name", "id"], "k": ["bigint", "decimal(12,3)", "int"]}
    )
    expected = [
        Found(at("t"), False, (("id", "bigint"), ("name", "decimal(12,3)"))),
        Found(at("v"), True, (("id", "int"),), "SELECT 1 AS id"),
    ]
    assert session.find(["suite"]) == expected
    assert said(fake, lambda: session.describe(Relation("suite", "T'"))) == [
        f"SELECT {columns} FROM `main`.`information_schema`.`{table}` WHERE table_schema = 'suite'"
        f" AND table_name = 't\\''{order}"
        for table, columns, order in (
            ("tables", "table_name, table_type", ""),
            ("views", "table_name, view_definition", ""),
            ("columns", "table_name, column_name, full_data_type", " ORDER BY table_name, ordinal_position"),
        )
    ]


def test_what_the_metadata_says(fake, session):
    fake.answers["DESCRIBE HISTORY"] = pa.table({"timestamp": [datetime.fromisoformat("2026-03-01")], "version": [4]})
    fake.answers["DESCRIBE DETAIL"] = pa.table({"location": ["s3://x/t"], "sizeInBytes": [1000]})
    assert session.version(at("t")) == "4@2026-03-01T00:00:00"
    held = session.held([at("t")])
    assert held[at("t")].total == 1000
    assert held[at("t")].own is None
    fake.answers["DESCRIBE HISTORY"] = exc.ServerOperationError("[TABLE_OR_VIEW_NOT_FOUND] no")
    assert session.version(at("t")) is None


def test_grants(fake, session):
    fake.answers["information_schema`.`tables"] = pa.table({"n": ["t"], "k": ["MANAGED"]})
    fake.answers["SHOW GRANTS"] = pa.table(
        {
            "Principal": ["analysts", "owner", "analysts", "bot@x.org"],
            "ActionType": ["SELECT", "OWN", "USE SCHEMA", "MODIFY"],
            "ObjectType": ["TABLE", "TABLE", "SCHEMA", "TABLE"],
            "ObjectKey": ["main.suite.t", "main.suite.t", "main.suite", "main.suite.t"],
        }
    )
    assert session.grants([at("t"), at("nothing")]) == {
        at("t"): (Grant("MODIFY", "bot@x.org"), Grant("SELECT", "analysts"))
    }
    assert fake.log[-1] == "SHOW GRANTS ON TABLE `main`.`suite`.`t`"
    wanted = [Grant("SELECT", "analysts"), Grant("APPLY TAG", "o`brien@x.org")]
    assert said(fake, lambda: session.grant(at("t"), wanted)) == [
        "GRANT APPLY TAG ON TABLE `main`.`suite`.`t` TO `o``brien@x.org`",
        "GRANT SELECT ON TABLE `main`.`suite`.`t` TO `analysts`",
    ]
    for right in ("SELECT ON TABLE x TO y; --", "select", ""):
        failure(partial(session.grant, at("t"), [Grant(right, "x")]))


def test_tags_are_a_comment_that_nothing_ends(fake, session):
    session.tag({"plan": "0123", "asset": "*/ DROP TABLE x; /*+ hint */"})
    (statement,) = said(fake, lambda: session.query("SELECT 1"))
    assert statement == ('/* anabranch {"asset": "* / DROP TABLE x; / *+ hint * /", "plan": "0123"} */ SELECT 1')
    session.tag({})
    assert said(fake, lambda: session.query("SELECT 1")) == ["SELECT 1"]
