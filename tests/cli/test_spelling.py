"""A view with a cast isn't taken for one that somebody altered."""


def test_what_others_write_makes_no_drift_of_a_cast(applied, anabranch):
    applied.write("models/stg/days.sql", "MODEL (kind VIEW);\nSELECT id, '2024-01-01'::date AS day FROM raw.orders\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    applied.run_sql("CREATE TABLE raw.loaded AS SELECT 1 AS x")
    said = anabranch("status", "prod", "--json")
    assert said.json["drift"] == []


def test_a_view_that_was_altered_is_told(applied, anabranch):
    applied.write("models/stg/days.sql", "MODEL (kind VIEW);\nSELECT id, '2024-01-01'::date AS day FROM raw.orders\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    ((place,),) = applied.run_sql(
        "SELECT schema_name || '.' || view_name FROM duckdb_views() WHERE schema_name = 'anabranch__stg'"
        " AND view_name LIKE 'days%'"
    )
    applied.run_sql(f"CREATE OR REPLACE VIEW {place} AS SELECT id, '2024-01-02'::date AS day FROM raw.orders")
    assert "its definition is another" in anabranch("plan", "prod").out
