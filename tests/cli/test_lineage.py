"""anabranch lineage: of assets and columns, from the files and from an environment, in three forms."""

import pytest
from inline_snapshot import snapshot


def test_of_an_asset(shop, anabranch):
    said = anabranch("lineage", "marts.revenue")
    assert (said.code, said.err) == (0, "")
    assert said.out == snapshot("""\
marts.revenue   full
reads
├─ core.valid   embedded
│  └─ stg.orders   view
│     └─ raw.orders   source
└─ seeds.countries   seed
read by
└─ marts.top   full
""")
    assert not (shop.root / ".anabranch" / "state.db").exists(), "neither state nor warehouse is opened"


def test_of_a_column(shop, anabranch):
    assert anabranch("lineage", "marts.revenue.revenue").out == snapshot("""\
marts.revenue.revenue
decided by
├─ core.valid.amount   embedded
│  └─ stg.orders.amount
│     └─ raw.orders.amount   source
├─ core.valid.country   rows   embedded
│  ├─ stg.orders.country
│  │  └─ raw.orders.country   source
│  └─ stg.orders.amount   rows   …
├─ seeds.countries.code   rows   seed
└─ seeds.countries.name   rows   seed
decides
└─ marts.top   rows
""")


def test_in_one_direction_and_some_steps(shop, anabranch):
    assert anabranch("lineage", "raw.orders", "--down", "--depth", "1").out == snapshot("""\
raw.orders   source
read by
└─ stg.orders   view
there is more beyond --depth
""")
    assert anabranch("lineage", "marts.top", "--down").out == "marts.top   full\nread by nobody\n"
    assert (
        anabranch("lineage", "seeds.countries.code", "--up").out == "seeds.countries.code   seed\ndecided by nothing\n"
    )


def test_names_are_found_without_case_or_schema(shop, anabranch):
    shop.write("models/plain.sql", "select name as Who from marts.top")
    assert anabranch("lineage", "Plain").out.startswith("main.plain   full\n")
    assert anabranch("lineage", "plain.who", "--up", "--depth", "1").out.splitlines()[2] == "└─ marts.top.name"
    assert anabranch("lineage", "MAIN.PLAIN.WHO").code == 0


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("marts.revenu", "there is no marts.revenu", "did you mean marts.revenue?"),
        ("marts.revenu.name", "there is no marts.revenu.name", "did you mean marts.revenue?"),
        ("marts.revenue.nmae", "marts.revenue has no column nmae", "did you mean marts.revenue.name?"),
        ("marts.revenue.zzz", "marts.revenue has no column zzz", "it has name, revenue"),
        ("q", "there is no q", "name it as schema.name or schema.name.column"),
    ],
)
def test_unknown_names(shop, anabranch, name, message, hint):
    said = anabranch("lineage", name)
    assert said.code == 2
    assert said.err == f"✗ {message}\n  next: {hint}\nNothing was changed.\n"


def test_a_model_that_counts_as_a_whole(shop, anabranch):
    shop.write("models/marts/top.sql", "with recursive r as (select name from marts.revenue) select name from r")
    assert anabranch("lineage", "marts.top.name", "--up", "--depth", "1").out == snapshot("""\
marts.top.name   counts as a whole: WITH RECURSIVE
decided by
└─ marts.revenue   whole
there is more beyond --depth
""")


def test_json(shop, anabranch):
    found = anabranch("lineage", "marts.revenue.name", "--up", "--depth", "1", "--json").json
    assert (found["asset"], found["column"], found["complete"]) == ("marts.revenue", "name", False)
    assert {n["id"]: n["kind"] for n in found["nodes"]} == {
        "marts.revenue.name": "full",
        "seeds.countries.name": "seed",
        "seeds.countries.code": "seed",
        "core.valid.country": "embedded",
    }
    assert {(e["from"], e["to"], e["decides"]) for e in found["edges"]} == {
        ("seeds.countries.name", "marts.revenue.name", "values"),
        ("seeds.countries.code", "marts.revenue.name", "rows"),
        ("core.valid.country", "marts.revenue.name", "rows"),
    }


def test_both_directions_lead_the_same_way(shop, anabranch):
    """An edge leads from what is read to who reads it, however it was found."""
    found = anabranch("lineage", "stg.orders", "--json").json
    assert {(e["from"], e["to"]) for e in found["edges"]} == {
        ("raw.orders", "stg.orders"),
        ("stg.orders", "core.valid"),
        ("core.valid", "marts.revenue"),
        ("marts.revenue", "marts.top"),
    }


def test_mermaid(shop, anabranch):
    assert anabranch("lineage", "marts.revenue.revenue", "--mermaid", "--depth", "1").out == snapshot("""\
flowchart LR
  n0["core.valid.amount"]
  n1["core.valid.country"]
  n2["marts.revenue.revenue"]
  n3["marts.top (rows)"]
  n4["seeds.countries.code"]
  n5["seeds.countries.name"]
  n0 --> n2
  n1 -. rows .-> n2
  n2 -. rows .-> n3
  n4 -. rows .-> n2
  n5 -. rows .-> n2
  style n2 stroke-width:3px
""")


def test_labels_are_escaped(shop, anabranch):
    shop.write("models/odd.sql", """select id as "a ""b"" <i>[end]", 1 as "one.two" from stg.orders""")
    said = anabranch("lineage", "stg.orders.id", "--down", "--mermaid").out
    assert '["main.odd.a #34;b#34; #60;i#62;#91;end#93;"]' in said


def test_two_forms_at_once_are_refused(shop, anabranch):
    assert anabranch("lineage", "marts.top", "--json", "--mermaid").code == 2


def test_of_an_environment(applied, anabranch):
    before = anabranch("lineage", "marts.revenue.revenue").out
    applied.write(
        "models/core/valid.sql", "MODEL (name core.valid, kind EMBEDDED); select * from stg.orders where id > 0"
    )
    assert anabranch("lineage", "marts.revenue.revenue").out != before
    assert anabranch("lineage", "marts.revenue.revenue", "--env", "prod").out == before
    assert anabranch("lineage", "marts.revenue.revenue", "--env", "nowhere").code == 2


def test_a_project_that_cannot_be_read(shop, anabranch):
    shop.write("models/marts/top.sql", "select name from marts.revenu")
    said = anabranch("lineage", "marts.top")
    assert said.code == 2
    assert "did you mean marts.revenue?" in said.err
