"""Drift that is none, and drift that must not be missed."""

import pytest


def test_what_others_write_makes_no_drift_of_a_cast(applied, anabranch):
    applied.write("models/stg/days.sql", "MODEL (kind VIEW);\nSELECT id, '2024-01-01'::date AS day FROM raw.orders\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    applied.run_sql("CREATE TABLE raw.loaded AS SELECT 1 AS x")
    said = anabranch("status", "prod", "--json")
    assert said.json["drift"] == []


@pytest.mark.in_place
def test_a_view_that_was_altered_is_told(applied, anabranch):
    applied.write("models/stg/days.sql", "MODEL (kind VIEW);\nSELECT id, '2024-01-01'::date AS day FROM raw.orders\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    ((place,),) = applied.run_sql(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE schema_name = 'anabranch__stg'"
        " AND view_name LIKE 'days%'"
    )
    applied.run_sql(f"CREATE OR REPLACE VIEW {place} AS SELECT id, '2024-01-02'::date AS day FROM raw.orders")
    assert "its definition is another" in anabranch("plan", "prod").out


def test_what_a_hook_has_done_to_views_is_seen(applied, anabranch):
    applied.write(
        "anabranch.yaml", (applied.root / "anabranch.yaml").read_text() + "after_all: [DROP VIEW marts.top]\n"
    )
    applied.write("models/marts/new.sql", "SELECT 1 AS x\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    assert [d["asset"] for d in anabranch("status", "prod", "--json").json["drift"]] == ["marts.top"]
