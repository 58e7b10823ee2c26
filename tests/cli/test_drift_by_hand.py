"""What somebody did to tables and views by hand: told by status, mended by apply."""

import pytest
from inline_snapshot import snapshot


@pytest.mark.in_place
def test_a_view_dropped_by_hand(applied, anabranch):
    applied.run_sql("DROP VIEW marts.top")
    status, applying = _drifts(applied, anabranch, 0)
    assert status == snapshot(
        [
            "  6 assets as the files say",
            "  shares <size>, holds <size> alone (a copy: <size>)",
            "  drift: view marts.top is gone",
            "  next: anabranch apply prod",
        ]
    )
    assert applying == snapshot("""\
prod @ <commit>

  mend    1 asset changed by hand

  note: drift: view marts.top is gone
  0 to build, 6 reused
  ✓ 1 view repointed <time>
""")
    assert applied.run_sql("SELECT * FROM marts.top") == [("Germany",)]


@pytest.mark.in_place
def test_a_view_replaced_by_hand(applied, anabranch):
    applied.run_sql("CREATE OR REPLACE VIEW marts.top AS SELECT 'Nobody' AS name")
    status, applying = _drifts(applied, anabranch, 0)
    assert status == snapshot(
        [
            "  6 assets as the files say",
            "  shares <size>, holds <size> alone (a copy: <size>)",
            "  drift: view marts.top was replaced",
            "  next: anabranch apply prod",
        ]
    )
    assert applying == snapshot("""\
prod @ <commit>

  mend    1 asset changed by hand

  note: drift: view marts.top was replaced
  0 to build, 6 reused
  ✓ 1 view repointed <time>
""")
    assert applied.run_sql("SELECT * FROM marts.top") == [("Germany",)]


@pytest.mark.in_place
def test_a_table_altered_by_hand(applied, anabranch):
    (table,) = [t for t in applied.physical() if ".top__" in t]
    applied.run_sql(f"ALTER TABLE {table} ADD COLUMN more INTEGER")
    status, applying = _drifts(applied, anabranch, 1)
    assert status == snapshot(
        [
            "  1 asset to apply: 1 to build, 5 reused",
            "    marts.top (missing or altered in the warehouse)",
            "  shares <size>, holds <size> alone (a copy: <size>)",
            "  drift: anabranch__marts.top__<version> was altered: column more is INTEGER, was not there",
            "  next: anabranch apply prod",
        ]
    )
    assert applying == snapshot("""\
prod @ <commit>

  build   marts.top   missing or altered in the warehouse
  reuse   5 assets as they are
  mend    1 asset changed by hand

  note: drift: anabranch__marts.top__<version> was altered: column more is INTEGER, was not there
  1 to build, 5 reused
  ✓ marts.top                                  1 rows <time>
  ✓ 1 view repointed <time>
""")
    assert applied.run_sql("SELECT * FROM marts.top") == [("Germany",)]


@pytest.mark.in_place
def test_a_table_dropped_by_hand(applied, anabranch):
    (table,) = [t for t in applied.physical() if ".revenue__" in t]
    applied.run_sql(f"DROP TABLE {table}")
    status, applying = _drifts(applied, anabranch, 1)
    assert status == snapshot(
        [
            "  1 asset to apply: 1 to build, 5 reused",
            "    marts.revenue (missing or altered in the warehouse)",
            "  shares <size>, holds <size> alone (a copy: <size>); the size of 1 table isn't known",
            "  drift: anabranch__marts.revenue__<version> is gone",
            "  next: anabranch apply prod",
        ]
    )
    assert applying == snapshot("""\
prod @ <commit>

  build   marts.revenue   missing or altered in the warehouse
  reuse   5 assets as they are
  mend    1 asset changed by hand

  note: drift: anabranch__marts.revenue__<version> is gone
  1 to build, 5 reused
  ✓ marts.revenue                              3 rows <time>
  ✓ 1 view repointed <time>
""")
    assert len(applied.run_sql("SELECT * FROM marts.revenue")) == 3


@pytest.mark.in_place
def test_a_table_put_in_a_views_place(applied, anabranch):
    applied.run_sql("DROP VIEW marts.top", "CREATE TABLE marts.top AS SELECT 'mine' AS name")
    refs = applied.cells("ref/")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert applied.plain(said.err) == snapshot("""\
prod @ <commit>

  mend    1 asset changed by hand

  note: drift: view marts.top is gone
  0 to build, 6 reused
✗ marts.top is a table that Anabranch didn't make
  next: rename that table
""")
    assert applied.run_sql("SELECT * FROM marts.top") == [("mine",)]
    assert applied.cells("ref/") == refs
    applied.run_sql("DROP TABLE marts.top")
    assert anabranch("apply", "prod", "--yes").code == 0


@pytest.mark.in_place
def test_an_environment_over_a_table_that_was_dropped(applied, anabranch):
    (table,) = [t for t in applied.physical() if ".top__" in t]
    applied.run_sql(f"DROP TABLE {table}")
    with applied.unchanged():
        said = anabranch("env", "create", "what_if")
        assert said.code == 1
        assert applied.plain(said.err) == snapshot("""\
✗ anabranch__marts.top__<version> is gone, so it can't be shown as marts__what_if.top
  next: anabranch doctor shows what is missing; anabranch apply builds it again, in an environment that has it
""")


def _drifts(shop, anabranch, builds: int) -> tuple[list[str], str]:
    """What status says of it, and applying."""
    heads = shop.heads()
    with shop.unchanged():
        said = anabranch("status", "prod")
        assert said.code == 0
        status = shop.plain(said.out).splitlines()[1:]
        machine = anabranch("status", "prod", "--json").json
        assert len(machine["drift"]) == 1
        assert machine["drift"][0]["asset"].startswith("marts.")
        assert "drift: " in anabranch("plan", "prod").out
        assert anabranch("doctor").code == 1
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    applying = shop.plain(said.err)
    assert anabranch("status", "prod", "--json").json["drift"] == []
    assert anabranch("doctor").code == 0
    again = anabranch("apply", "prod", "--yes", "--json").json
    assert again["applied"] is False, "it is mended"
    assert shop.heads() == heads, "the environment is what it was"
    assert f"{builds} built" in said.out
    return status, applying
