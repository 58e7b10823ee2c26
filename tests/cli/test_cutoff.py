"""A rebuilt model that holds what it held before: its readers keep their data."""

import pytest

YAML = """\
project: shop
warehouse: {database: shop.duckdb}
sources:
  raw.visits: {columns: {id: integer, amount: integer}}
"""


@pytest.fixture
def chain(shop):
    """root, mid (a view), part (embedded), leaf, and one that reads nothing of it; applied to prod."""
    shop.write("anabranch.yaml", YAML)
    for path in list((shop.root / "models").rglob("*.sql")) + list((shop.root / "seeds").rglob("*.csv")):
        path.unlink()
    shop.write("models/m/root.sql", "SELECT id, amount FROM raw.visits WHERE amount > 0\n")
    shop.write("models/m/mid.sql", "MODEL (kind VIEW); SELECT id, amount + 1 AS amount FROM m.root\n")
    shop.write("models/m/part.sql", "MODEL (kind EMBEDDED); SELECT id, amount FROM m.mid\n")
    shop.write("models/m/leaf.sql", "SELECT sum(amount) AS amount FROM m.part\n")
    shop.write("models/m/last.sql", "SELECT amount * 2 AS twice FROM m.leaf\n")
    shop.write("models/m/other.sql", "SELECT 1 AS one\n")
    shop.run_sql(
        "CREATE SCHEMA IF NOT EXISTS raw",
        "CREATE TABLE raw.visits AS SELECT range::INTEGER AS id, (range % 5)::INTEGER AS amount FROM range(100)",
    )
    return shop


@pytest.fixture
def prod(chain, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    return chain


def test_readers_keep_their_data(prod, anabranch):
    before = set(prod.physical())
    prod.branch("feature")
    prod.replace("models/m/root.sql", "amount > 0", "amount >= 1")
    said = anabranch("plan", "--json").json
    assert {d["asset"] for d in said["decisions"] if d["verb"] == "build"} == {"m.root", "m.mid", "m.leaf", "m.last"}
    said = anabranch("apply", "--json")
    assert said.code == 0
    assert said.json["built"] == ["m.mid", "m.root"], "the table, and the view that names it"
    assert said.json["kept"] == ["m.last", "m.leaf"]
    made = set(prod.physical()) - before
    assert {t.partition("__")[2].split(".")[1].split("__")[0] for t in made} == {"root", "mid"}
    assert "nothing to do" in anabranch("plan").out, "later plans find what was kept"
    assert "nothing to do" in anabranch("apply").out
    assert anabranch("promote", "--yes").code == 0
    assert anabranch("diff", "feature", "--against", "prod", "--json").json["assets"] == []
    assert prod.run_sql("SELECT * FROM m.last") == [(560,)]
    assert anabranch("status", "prod").out.count("as the files say") == 1


def test_other_data_is_built(prod, anabranch):
    prod.branch("feature")
    prod.replace("models/m/root.sql", "amount > 0", "amount > 1")
    said = anabranch("apply", "--json").json
    assert said["built"] == ["m.last", "m.leaf", "m.mid", "m.root"]
    assert said["kept"] == []
    assert prod.run_sql("SELECT * FROM m__feature.last") == [(480,)]


def test_other_code_of_a_reader_is_built(prod, anabranch):
    prod.branch("feature")
    prod.replace("models/m/root.sql", "amount > 0", "amount >= 1")
    prod.replace("models/m/leaf.sql", "sum(amount)", "sum(amount) + 0")
    said = anabranch("apply", "--json").json
    assert said["built"] == ["m.leaf", "m.mid", "m.root"]
    assert said["kept"] == ["m.last"], "the leaf holds what it held"
    assert prod.run_sql("SELECT * FROM m__feature.last") == [(560,)]


def test_what_was_kept_is_told(prod, anabranch):
    prod.branch("feature")
    prod.replace("models/m/root.sql", "amount > 0", "amount >= 1")
    said = anabranch("apply")
    assert "= m.leaf                          reused: same data" in said.err
    assert "2 built" in said.out


@pytest.mark.in_place
def test_a_collection_keeps_what_is_shared_and_forgets_the_rest(prod, anabranch):
    prod.branch("feature")
    prod.replace("models/m/root.sql", "amount > 0", "amount >= 1")
    assert anabranch("apply").code == 0
    assert anabranch("gc").code == 0
    assert prod.run_sql("SELECT * FROM m__feature.last") == [(560,)]
    assert len(prod.cells("same/")) == 2
    prod.replace("models/m/root.sql", "amount >= 1", "amount > 0")
    prod.run_sql("DROP TABLE " + next(t for t in prod.physical() if ".leaf__" in t))
    assert anabranch("apply").code == 0, "what is missing is built again"
    assert prod.run_sql("SELECT * FROM m__feature.last") == [(560,)]
