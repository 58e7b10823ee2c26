"""Pointers on a Spark server, and views that only look like such."""

from __future__ import annotations

import pytest

from anabranch.engines.spark import SparkEngine
from anabranch.engines.spark.grammar import SPARK
from anabranch.ports.engine import Relation
from anabranch.testing.engine_helpers import SCHEMA, SMALL, at, rows

pytestmark = pytest.mark.spark


def test_views_that_only_look_like_pointers(spark):
    """Hive's catalog tells of views in lines; a comment can hold such lines too."""
    engine = SparkEngine(spark)
    with engine.session() as session:
        session.create_schemas([SCHEMA, "data"])
        session.create_table(at("t", "data"), SMALL)
        text = "SELECT * FROM `spark_catalog`.`data`.`t`"
        lines = f"\nView Text: {text}\nView Original Text: {text}\nView Schema Mode: COMPENSATION\n"
        name = session.named
        session.execute(
            f"CREATE VIEW {name(at('comment'))} COMMENT {SPARK.literal(lines)} AS SELECT id FROM {name(at('t', 'data'))}"
        )
        session.execute(f"CREATE VIEW {name(at('columns'))} (`a: int (nullable = true)`, `, b`) AS {text}")
        session.execute(f"CREATE VIEW {name(at('swapped'))} (name, id) AS {text}")
        session.execute(f"CREATE VIEW {name(at('by_hand'))} AS {text}")
        session.execute(f"CREATE VIEW {name(at('two_lines'))} AS SELECT *\nFROM `spark_catalog`.`data`.`t`")
        session.point({at("p"): at("t", "data")})
        session.execute(f"ALTER VIEW {name(at('p'))} SET TBLPROPERTIES ('comment' = {SPARK.literal(lines)})")
        found = session.targets([SCHEMA])
        assert found == {
            at("p"): at("t", "data"),
            at("by_hand"): at("t", "data"),
            **dict.fromkeys(map(at, ("comment", "columns", "swapped", "two_lines"))),
        }
        assert {f.relation: f.definition for f in session.find([SCHEMA])}[at("two_lines")].count("\n") == 1


def test_pointers_that_show_pointers(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        session.create_table(at("t"), SMALL)
        session.point({at("a"): at("t"), at("b"): at("a"), at("c"): at("b")})
        assert rows(session, at("c")) == [(1, "one"), (2, "two")]
        assert session.targets([SCHEMA]) == {at("a"): at("t"), at("b"): at("a"), at("c"): at("b")}


def test_a_view_changed_by_hand_is_no_pointer(engine):
    with engine.session() as session:
        session.create_schemas([SCHEMA])
        for table in ("t", "u"):
            session.create_table(at(table), SMALL)
        session.point({at("p"): at("t"), at("q"): at("t")})
        session.execute(
            f"CREATE OR REPLACE VIEW {session.named(at('p'))} (a, b) AS SELECT * FROM {session.named(at('u'))}"
        )
        assert session.targets([SCHEMA]) == {at("p"): None, at("q"): at("t")}


def test_a_pointer_into_another_catalog(spark):
    with (
        SparkEngine(spark).session() as session,
        SparkEngine(spark, table_format="iceberg", catalog="ice").session() as ice,
    ):
        session.create_schemas([SCHEMA])
        ice.create_schemas([SCHEMA])
        ice.create_table(at("t"), SMALL)
        session.point({at("p"): Relation(SCHEMA, "t", "ice")})
        assert session.targets([SCHEMA]) == {at("p"): Relation(SCHEMA, "t", "ice")}
        assert rows(session, at("p")) == [(1, "one"), (2, "two")]
