"""Models that a third party's materialization makes tables of."""

import pytest

from anabranch import bootstrap

PLUGIN = """
class Top:
    version = "1"

    def make(self, making):
        if making.properties.get("fails"):
            raise RuntimeError("no luck")
        if making.properties.get("idle"):
            return
        limit = int(making.properties.get("rows", "10"))
        making.execute(f"CREATE TABLE {making.table} AS SELECT *, {limit} AS kept FROM ({making.query}) LIMIT {limit}")
        if making.previous:
            [[before]] = making.fetch(f"SELECT count(*) FROM {making.previous}")
            making.execute(f"ALTER TABLE {making.table} ADD COLUMN before INTEGER DEFAULT {before}")

top = Top()
"""
MODEL = """\
MODEL (name marts.few, kind CUSTOM (materialization 'top', materialization_properties (rows = 2)), cron '@daily');
SELECT name, revenue FROM marts.revenue ORDER BY name
"""


@pytest.fixture
def few(shop, anabranch, tmp_path_factory, monkeypatch):
    """A package with the materialization is installed, as far as Python looks."""
    site = tmp_path_factory.mktemp("site")
    (site / "topping.py").write_text(PLUGIN)
    (site / "topping-1.0.dist-info").mkdir()
    (site / "topping-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: topping\nVersion: 1.0\n")
    points = "[anabranch.materializations]\ntop = topping:top\n"
    (site / "topping-1.0.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(site))
    bootstrap.open_materialization.cache_clear()
    shop.write("models/marts/few.sql", MODEL)
    yield shop
    bootstrap.open_materialization.cache_clear()


def rows(shop, table="marts.few"):
    return shop.run_sql(f"SELECT * FROM {table} ORDER BY ALL")


def test_it_is_built_run_and_taken_back(few, anabranch):
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert [r[2:] for r in rows(few)] == [(2,), (2,)]
    before = rows(few)
    assert anabranch("run", "prod", "--yes", "--ignore-cron").code == 0
    assert [r[2:] for r in rows(few)] == [(2, 2), (2, 2)]
    assert anabranch("undo", "prod", "--yes").code == 0
    assert rows(few) == before


def test_a_property_or_another_version_builds_again(few, anabranch, monkeypatch):
    assert anabranch("apply", "prod", "--yes").code == 0
    few.replace("models/marts/few.sql", "rows = 2", "rows = 1")
    assert anabranch("apply", "prod", "--yes", "--json").json["built"] == ["marts.few"]
    assert len(rows(few)) == 1
    assert "built" not in anabranch("apply", "prod", "--yes", "--json").json, "nothing changed"
    monkeypatch.setattr(type(bootstrap.open_materialization("top")), "version", "2")
    assert anabranch("apply", "prod", "--yes", "--json").json["built"] == ["marts.few"]


@pytest.mark.parametrize(
    ("there", "instead", "code", "told"),
    [
        ("'top'", "'tap'", 2, "there is no materialization tap"),
        ("materialization 'top', ", "", 2, "CUSTOM needs a materialization"),
        ("(rows = 2)", "(rows 2)", 2, "materialization_properties takes names and values"),
        ("rows = 2", "fails = 1", 1, "materialization top failed: no luck"),
        ("rows = 2", "idle = 1", 1, "materialization top didn't make"),
    ],
)
def test_what_goes_wrong_is_told(few, anabranch, there, instead, code, told):
    assert anabranch("apply", "prod", "--yes").code == 0
    before = rows(few)
    few.replace("models/marts/few.sql", there, instead)
    said = anabranch("apply", "prod", "--yes")
    assert (said.code, told in said.err) == (code, True), said.err
    assert "few" in said.err
    assert rows(few) == before


def test_a_function_has_no_query(few, anabranch):
    few.write(
        "models/marts/python.py",
        "from anabranch import model\n\n\n"
        "@model('marts.python', kind=dict(name='CUSTOM', materialization='top'), columns={'id': 'int'})\n"
        "def execute(context, **rest):\n    return [{'id': 1}]\n",
    )
    said = anabranch("apply", "prod", "--yes")
    assert (said.code, "kind CUSTOM takes a query" in said.err) == (2, True), said.err
