"""What people write wrong in anabranch.yaml and in models: each is told with its place and a remedy, and nothing
changes."""

import pytest
from inline_snapshot import snapshot


@pytest.fixture
def refused(applied, anabranch):
    """What is said of the project as it stands now, by whatever command."""

    def call(*arguments: str) -> str:
        with applied.unchanged():
            said = anabranch(*(arguments or ("apply", "prod", "--yes")))
            assert said.code == 2
            assert said.out == ""
            for other in ("plan", "status"):
                if not arguments:
                    assert anabranch(other, "prod") == said, "every command says the same"
            machine = anabranch(*(arguments or ("apply", "prod")), "--json")
            assert machine.code == 2
            assert machine.err == ""
            error = machine.json["error"]
            assert error["exit"] == 2
            assert error["message"].splitlines()[0] in said.err
            if error["hint"]:
                assert error["hint"] in said.err
            if error["line"]:
                assert f":{error['line']}" in said.err
        return str(applied.plain(said.err))

    return call


# --- models


def test_sql_that_does_not_parse(applied, refused):
    applied.write("models/marts/top.sql", "SELECT name\nFROM marts.revenue\nWHERE revenue >\n")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:3:15  something is missing after '>'
    3 │ WHERE revenue >
      │               ~
Nothing was changed.
""")


def test_a_parenthesis_that_is_not_closed(applied, refused):
    applied.write("models/marts/top.sql", "SELECT sum(revenue AS total FROM marts.revenue\n")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:20  ) is missing before 'AS'
    1 │ SELECT sum(revenue AS total FROM marts.revenue
      │                    ~~
Nothing was changed.
""")


def test_several_mistakes_are_told_at_once(applied, refused):
    applied.write("models/marts/top.sql", "SELECT FROM WHERE\n")
    applied.write("models/marts/revenue.sql", "MODEL (name marts.revenue, kind FUL);\nSELECT 1 AS x\n")
    assert refused() == snapshot("""\
✗ models/marts/revenue.sql:1:33  there is no kind FUL
  and one more:
    models/marts/top.sql:1:13  the name of a table is missing after 'WHERE'
    1 │ MODEL (name marts.revenue, kind FUL);
      │                                 ~~~ did you mean FULL?
Nothing was changed.
""")


def test_a_model_that_writes(applied, refused):
    applied.write("models/marts/top.sql", "DELETE FROM marts.revenue\n")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:1  DELETE deletes rows; a model is one SELECT
    1 │ DELETE FROM marts.revenue
      │ ~~~~~~ write only the SELECT: Anabranch makes the table
Nothing was changed.
""")


def test_a_circle(applied, refused):
    applied.replace("models/stg/orders.sql", "FROM raw.orders", "FROM raw.orders, marts.top")
    assert refused() == snapshot("""\
✗ models/core/valid.sql:3:15  models read each other in a circle: core.valid → stg.orders → marts.top → marts.revenue → core.valid
    models/core/valid.sql:3:15  core.valid reads stg.orders
    models/stg/orders.sql:4:18  stg.orders reads marts.top
    models/marts/top.sql:3:18  marts.top reads marts.revenue
    models/marts/revenue.sql:6:6  marts.revenue reads core.valid
    3 │ SELECT * FROM stg.orders WHERE amount > 0
      │               ~~~~~~~~~~ take one of these reads out
Nothing was changed.
""")


def test_a_model_that_reads_itself(applied, refused):
    applied.replace("models/marts/top.sql", "marts.revenue", "marts.top")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:3:18  marts.top reads itself
    3 │ SELECT name FROM marts.top ORDER BY revenue DESC LIMIT 1
      │                  ~~~~~~~~~ read what it is made from instead
Nothing was changed.
""")


def test_an_unknown_upstream(applied, refused):
    applied.replace("models/marts/top.sql", "marts.revenue", "marts.revenu")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:3:18  marts.top reads marts.revenu, which doesn't exist
    3 │ SELECT name FROM marts.revenu ORDER BY revenue DESC LIMIT 1
      │                  ~~~~~~~~~~~~ did you mean marts.revenue?
Nothing was changed.
""")


def test_an_upstream_of_no_likeness(applied, refused):
    applied.replace("models/marts/top.sql", "marts.revenue", "warehouse.something")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:3:18  marts.top reads warehouse.something, which doesn't exist
    3 │ SELECT name FROM warehouse.something ORDER BY revenue DESC LIMIT 1
      │                  ~~~~~~~~~~~~~~~~~~~ declare it under sources: in anabranch.yaml, if something else makes it
Nothing was changed.
""")


def test_two_models_of_one_name(applied, refused):
    applied.write("models/marts/other.sql", "MODEL (name marts.top, kind FULL);\nSELECT 1 AS x\n")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:13  marts.top is defined by models/marts/other.sql and by models/marts/top.sql
    1 │ MODEL (name marts.top, kind FULL);
      │             ~~~~~~~~~ rename one of them
Nothing was changed.
""")


def test_a_model_named_like_a_source(applied, refused):
    applied.write("models/raw/orders.sql", "SELECT 1 AS x\n")
    assert refused() == snapshot("""\
✗ models/raw/orders.sql:1:1  raw.orders is defined by models/raw/orders.sql, and declared as a source
    1 │ SELECT 1 AS x
      │ ~ drop one of them
Nothing was changed.
""")


def test_a_name_that_cannot_be_one(applied, refused):
    applied.write("models/marts/so much.sql", "SELECT 1 AS x\n")
    assert refused() == snapshot("""\
✗ models/marts/so much.sql  models/marts/so much.sql can't name a model: 'so much' is not a plain identifier
  next: use letters, digits and underscores, and begin with a letter or an underscore
Nothing was changed.
""")


def test_a_model_in_our_own_schema(applied, refused):
    applied.write("models/anabranch__marts/x.sql", "SELECT 1 AS x\n")
    assert refused() == snapshot("""\
✗ models/anabranch__marts/x.sql  models/anabranch__marts/x.sql can't name a model: 'anabranch__marts.x' lies in a schema that Anabranch keeps for itself
  next: choose another schema
Nothing was changed.
""")


def test_an_unknown_property(applied, refused):
    applied.replace("models/marts/top.sql", "kind FULL", "kin FULL")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:24  a model has no property kin
    1 │ MODEL (name marts.top, kin FULL);
      │                        ~~~ did you mean kind?
Nothing was changed.
""")


def test_a_kind_that_comes_later(applied, refused):
    applied.replace("models/marts/top.sql", "kind FULL", "kind MANAGED")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:29  kind MANAGED isn't supported yet
    1 │ MODEL (name marts.top, kind MANAGED);
      │                             ~~~~~~~ FULL builds the same rows
Nothing was changed.
""")


def test_a_file_that_is_not_utf_8(applied, refused):
    (applied.root / "models/marts/top.sql").write_bytes(b"SELECT 'Stra\xdfe' AS street\n")
    assert refused() == snapshot("""\
✗ models/marts/top.sql:1:13  models/marts/top.sql isn't UTF-8: byte 0xdf is no character
  next: save it as UTF-8
Nothing was changed.
""")


def test_a_source_that_is_not_in_the_warehouse(applied, refused):
    applied.replace("anabranch.yaml", "sources:\n", "sources:\n  raw.customers: {columns: {id: integer}}\n")
    assert refused() == snapshot("""\
✗ source raw.customers isn't in <root>/shop.duckdb
  next: load it, or correct sources: raw.customers in anabranch.yaml
Nothing was changed.
""")


def test_a_source_that_lacks_a_column(applied, refused):
    applied.replace("anabranch.yaml", "amount: double}", "amount: double, day: date}")
    assert refused() == snapshot("""\
✗ source raw.orders has no column day
  next: correct sources: raw.orders in anabranch.yaml; it has id, country, amount
Nothing was changed.
""")


def test_a_seed_setting_without_a_seed(applied, refused):
    applied.write(
        "anabranch.yaml", (applied.root / "anabranch.yaml").read_text() + "seeds: {seeds.countrys: {key: code}}\n"
    )
    assert refused() == snapshot("""\
✗ anabranch.yaml:5:9  anabranch.yaml speaks of the seed seeds.countrys, which doesn't exist
    5 │ seeds: {seeds.countrys: {key: code}}
      │         ~ did you mean seeds.countries?
Nothing was changed.
""")


# --- anabranch.yaml


def change(shop, *lines: str) -> None:
    shop.write("anabranch.yaml", "\n".join(["project: shop", *lines, ""]))


def test_yaml_that_does_not_parse(applied, refused):
    change(applied, "warehouse: {engine: duckdb", "state: x")
    assert refused() == snapshot("""\
✗ anabranch.yaml:3:6  anabranch.yaml is not YAML: did not find expected ',' or '}'
    3 │ state: x
      │      ~ check indents, colons and quotes
Nothing was changed.
""")


def test_an_unknown_key(applied, refused):
    change(applied, "warehouse:", "  engine: duckdb", "  databse: shop.duckdb")
    assert refused() == snapshot("""\
✗ anabranch.yaml:4:3  warehouse.databse is not a setting
    4 │   databse: shop.duckdb
      │   ~ did you mean database?
Nothing was changed.
""")


def test_an_unknown_key_of_no_likeness(applied, refused):
    change(applied, "warehouse: {engine: duckdb, colour: red}")
    assert refused() == snapshot("""\
✗ anabranch.yaml:2:29  warehouse.colour is not a setting
    2 │ warehouse: {engine: duckdb, colour: red}
      │                             ~ known here: connections, database, engine, patience, schema, settings, workers
Nothing was changed.
""")


def test_an_unknown_engine(applied, refused):
    change(applied, "warehouse:", "  engine: duckbd")
    assert refused() == snapshot("""\
✗ anabranch.yaml:3:3  there is no engine 'duckbd'
    3 │   engine: duckbd
      │   ~ known here: duckdb, clickhouse, postgres, bigquery, snowflake, spark, databricks
Nothing was changed.
""")


def test_a_key_that_is_there_twice(applied, refused):
    change(applied, "state: a.db", "state: b.db")
    assert refused() == snapshot("""\
✗ anabranch.yaml:3:1  state is there twice
    3 │ state: b.db
      │ ~ keep one of them
Nothing was changed.
""")


def test_a_value_of_the_wrong_form(applied, refused):
    change(applied, "environments: {ttl: 14 days}")
    assert refused() == snapshot("""\
✗ anabranch.yaml:2:21  environments.ttl: '14 days' is not a length of time
    2 │ environments: {ttl: 14 days}
      │                     ~ write it as 14d, 12h, 30m or 2w
Nothing was changed.
""")


def test_a_variable_that_is_not_set(applied, refused, monkeypatch):
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    change(applied, "warehouse: {database: '${SHOP_DATABASE}'}")
    assert refused() == snapshot("""\
✗ anabranch.yaml:2:23  warehouse.database needs the variable SHOP_DATABASE, which isn't set
    2 │ warehouse: {database: '${SHOP_DATABASE}'}
      │                       ~ export SHOP_DATABASE=…
Nothing was changed.
""")


def test_an_environment_name_that_cannot_be_one(applied, refused):
    change(applied, "environments: {trunk: Prod}")
    assert refused() == snapshot("""\
✗ anabranch.yaml:2:23  'Prod' is not an environment's name
    2 │ environments: {trunk: Prod}
      │                       ~ use lower-case letters, digits and single underscores, and begin with a letter
Nothing was changed.
""")


def test_a_project_without_a_name(applied, refused):
    applied.write("anabranch.yaml", "state: x.db\n")
    assert refused() == snapshot("""\
✗ anabranch.yaml:1  anabranch.yaml doesn't name the project
    1 │ state: x.db
      │ add: project: NAME
Nothing was changed.
""")


def test_an_empty_project_file(applied, refused):
    applied.write("anabranch.yaml", "")
    assert refused() == snapshot("""\
✗ anabranch.yaml  anabranch.yaml is empty
  next: begin with: project: NAME
Nothing was changed.
""")


def test_no_project_file(applied, refused):
    (applied.root / "anabranch.yaml").unlink()
    assert refused() == snapshot("""\
✗ there is no anabranch.yaml here or above <root>
  next: make one: anabranch init
Nothing was changed.
""")
