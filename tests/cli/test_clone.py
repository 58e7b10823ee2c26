"""anabranch clone, on DuckDB: which copies, for it has no clones."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Self

import pytest
from tests.cli.conftest import Anabranch
from tests.support.shop import Said, Shop

from anabranch import bootstrap

FIRST = "INSERT INTO raw__feature.orders VALUES (1000, 'de', 5000.0)"
OWN, SOURCES = "SELECT count(*) FROM raw__feature.orders", "SELECT count(*) FROM raw.orders"


@pytest.fixture
def feature(applied: Shop, anabranch: Anabranch) -> Shop:
    """The project with prod, and feature like it."""
    assert anabranch("env", "create", "feature").code == 0
    return applied


@pytest.fixture
def cloned(feature: Shop, anabranch: Anabranch) -> Shop:
    said = anabranch("clone", "raw.orders", "-e", "feature")
    assert said.code == 0, said.err
    return feature


def verbs(said: Said) -> dict[str, str]:
    plan = said.json
    plan = plan.get("plan") if isinstance(plan.get("plan"), dict) else plan
    return {d["asset"]: d["verb"] for d in plan["decisions"]}


def locations(shop: Shop) -> list[str]:
    found = shop.run_sql(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE regexp_matches(table_name, '__c[0-9a-f]{12}$')"
    )
    return [str(row[0]) for row in found]


def collect(anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch) -> None:
    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=400)

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "datetime", Later)
        assert anabranch("gc").code == 0


def test_the_plan_tells_what_a_copy_costs(feature: Shop, anabranch: Anabranch):
    with feature.unchanged():
        said = anabranch("clone", "raw.orders", "-e", "feature", "--dry-run")
    assert said.code == 0
    assert "copy   raw.orders   262.1 kB, 100 rows (duckdb has no clones)" in said.out
    assert "1 to copy" in said.out


def test_what_is_written_to_a_clone_reaches_nobody_else(cloned: Shop, anabranch: Anabranch):
    before = cloned.run_sql("FROM marts.revenue ORDER BY ALL")
    cloned.run_sql(FIRST, "INSERT INTO raw.orders SELECT range, 'fr', 1.0 FROM range(500, 503)")
    assert cloned.run_sql(OWN) == [(101,)]
    assert cloned.run_sql(SOURCES) == [(103,)]
    said = anabranch("apply", "feature", "--json")
    assert said.code == 0, said.err
    assert verbs(said) == {
        "raw.orders": "reuse",
        "stg.orders": "build",
        "core.valid": "define",
        "marts.revenue": "build",
        "marts.top": "build",
    }
    assert cloned.run_sql("FROM marts.revenue ORDER BY ALL") == before
    assert cloned.run_sql("SELECT revenue FROM marts__feature.revenue WHERE name = 'Germany'") == [
        (cloned.run_sql("SELECT sum(amount) FROM raw__feature.orders WHERE country = 'de' AND amount > 0")[0][0],)
    ]
    assert cloned.run_sql("SELECT count(*) FROM stg__feature.orders") == [(101,)]
    assert anabranch("apply", "feature").out.startswith("feature @ ")
    assert "nothing to do" in anabranch("plan", "feature").out


def test_a_clone_nobody_wrote_to_builds_nothing(cloned: Shop, anabranch: Anabranch):
    said = anabranch("plan", "feature", "--json")
    assert said.json["empty"]
    said = anabranch("clone", "raw.orders", "-e", "feature", "--json")
    assert verbs(said) == {"raw.orders": "copy"}


def test_what_is_built_over_an_unwritten_clone_reads_the_source(cloned: Shop, anabranch: Anabranch):
    """For it is shared, by the source's fingerprints: what is written to the clone in between must not get into it."""
    cloned.write("models/marts/total.sql", "SELECT count(*) AS n FROM raw.orders\n")
    plan = anabranch("plan", "feature", "--json").json
    assert [d["asset"] for d in plan["decisions"]] == ["marts.total"]
    assert anabranch("apply", "feature").code == 0
    cloned.run_sql(FIRST)
    assert cloned.run_sql("FROM marts__feature.total") == [(100,)]
    assert anabranch("apply", "feature").code == 0
    assert cloned.run_sql("FROM marts__feature.total") == [(101,)]
    assert anabranch("apply", "prod", "--yes").code == 0
    assert cloned.run_sql("FROM marts.total") == [(100,)]


def test_a_write_that_was_taken_back_is_none(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql(FIRST)
    assert not anabranch("plan", "feature", "--json").json["empty"]
    cloned.run_sql("DELETE FROM raw__feature.orders WHERE id = 1000")
    assert anabranch("plan", "feature", "--json").json["empty"]


def test_status_lists_clones(cloned: Shop, anabranch: Anabranch):
    (told,) = anabranch("status", "feature", "--json").json["clones"]
    assert (told["asset"], told["copied"], told["written"]) == ("raw.orders", True, False)
    cloned.run_sql(FIRST)
    for _ in range(2):
        said = anabranch("status", "feature")
        assert "raw.orders   copied just now   written to" in said.out, said.out
        assert "raw.orders (written to)" in said.out
    assert anabranch("apply", "feature").code == 0
    said = anabranch("env", "show", "feature")
    assert "written to" in said.out
    assert "not written to" not in said.out
    assert "drift" not in anabranch("status", "feature").out
    assert anabranch("status", "prod", "--json").json["clones"] == []


def test_queries_and_differences_read_the_clone(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql(FIRST)
    query = "SELECT count(*) AS n FROM raw.orders"
    assert anabranch("sql", query, "-e", "feature", "--json").json["rows"] == [[101]]
    assert anabranch("sql", query, "-e", "prod", "--json").json["rows"] == [[100]]
    assert anabranch("diff", "feature", "--rows").code == 0


def test_undo_and_back(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql(FIRST)
    assert anabranch("apply", "feature").code == 0
    after = cloned.run_sql("FROM marts__feature.revenue ORDER BY ALL")
    for _ in range(2):
        assert anabranch("undo", "feature").code == 0
    assert cloned.run_sql(OWN) == [(100,)]
    assert len(locations(cloned)) == 1
    assert cloned.run_sql("FROM marts__feature.revenue ORDER BY ALL") == cloned.run_sql(
        "FROM marts.revenue ORDER BY ALL"
    )
    commit = next(e["commit"] for e in anabranch("log", "feature", "--json").json if e["action"] == "apply")
    assert anabranch("restore", "feature", commit).code == 0
    assert cloned.run_sql(OWN) == [(101,)]
    assert cloned.run_sql("FROM marts__feature.revenue ORDER BY ALL") == after
    assert "drift" not in anabranch("status", "feature").out


def test_a_clone_that_is_given_up(cloned: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch):
    cloned.run_sql(FIRST)
    assert anabranch("apply", "feature").code == 0
    said = anabranch("clone", "raw.orders", "-e", "feature", "--reset", "--json")
    assert said.code == 0, said.err
    assert verbs(said)["raw.orders"] == "define"
    assert set(verbs(said).values()) == {"define", "reuse"}
    assert cloned.run_sql(OWN) == [(100,)]
    assert cloned.run_sql("SELECT count(*) FROM stg__feature.orders") == [(100,)]
    again = anabranch("clone", "raw.orders", "-e", "feature", "--reset")
    assert again.code == 1
    assert "feature has no clone of raw.orders" in again.err
    assert anabranch("undo", "feature").code == 0
    assert cloned.run_sql(OWN) == [(101,)]
    assert anabranch("clone", "raw.orders", "-e", "feature", "--reset").code == 0
    collect(anabranch, monkeypatch)
    assert locations(cloned) == []
    undone = anabranch("undo", "feature")
    assert undone.code == 1
    assert "was cleaned up" in undone.err
    assert cloned.run_sql(OWN) == [(100,)]


def test_an_environment_that_goes(cloned: Shop, anabranch: Anabranch, monkeypatch: pytest.MonkeyPatch):
    cloned.run_sql(FIRST)
    assert anabranch("apply", "feature").code == 0
    assert anabranch("env", "drop", "feature").code == 0
    assert len(locations(cloned)) == 1
    collect(anabranch, monkeypatch)
    schemas = [row[1] for row in cloned.catalog() if row[0] == "schema"]
    assert not [s for s in schemas if s.endswith("__feature")]
    assert cloned.run_sql(SOURCES) == [(100,)]
    assert not cloned.cells("token/")


def test_one_that_was_dropped_by_hand_is_cloned_anew(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql(FIRST)
    assert anabranch("apply", "feature").code == 0
    cloned.run_sql("DROP TABLE raw__feature.orders")
    said = anabranch("apply", "feature")
    assert said.code == 0, said.err
    assert "the clone of raw.orders is gone: it is cloned anew" in said.err
    assert cloned.run_sql(OWN) == [(100,)]
    assert cloned.run_sql("SELECT count(*) FROM stg__feature.orders") == [(100,)]
    assert "drift" not in anabranch("status", "feature").out


def test_a_clone_whose_name_was_changed_by_hand(cloned: Shop, anabranch: Anabranch):
    ((name,),) = cloned.run_sql("SELECT view_name FROM duckdb_views() WHERE view_name LIKE 'orders!_!_c%' ESCAPE '!'")
    cloned.run_sql(f'DROP VIEW raw__feature."{name}"')
    assert "is gone" in anabranch("status", "feature").out
    assert anabranch("apply", "feature").code == 0
    assert "drift" not in anabranch("status", "feature").out


def test_clones_that_the_project_asks_for(applied: Shop, anabranch: Anabranch):
    applied.replace("anabranch.yaml", "amount: double}}", "amount: double}, branch: clone}")
    assert anabranch("plan", "prod", "--json").json["empty"]
    said = anabranch("env", "create", "feature", "--json")
    assert verbs(said) == {"raw.orders": "copy"}
    assert anabranch("plan", "feature", "--json").json["empty"]
    assert verbs(anabranch("apply", "other", "--json")) == {"raw.orders": "copy"}
    applied.run_sql(FIRST)
    assert applied.run_sql("SELECT count(*) FROM raw__other.orders") == [(100,)]
    said = anabranch("clone", "raw.orders", "--reset", "-e", "feature", "--json")
    assert verbs(said)["raw.orders"] == "copy"
    assert applied.run_sql(OWN) == [(100,)]
    assert anabranch("promote", "feature", "--into", "prod", "--yes").code == 0
    assert anabranch("env", "drop", "feature").code == 0
    assert anabranch("env", "drop", "other").code == 0


def test_an_environment_from_one_with_clones_has_its_own(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql(FIRST)
    said = anabranch("env", "create", "child", "--from", "feature", "--json")
    assert said.code == 0, said.err
    assert cloned.run_sql("SELECT count(*) FROM raw__child.orders") == [(101,)]
    assert cloned.run_sql("SELECT count(*) FROM stg__child.orders") == [(101,)]
    cloned.run_sql("DELETE FROM raw__feature.orders")
    assert cloned.run_sql("SELECT count(*) FROM stg__child.orders") == [(101,)]
    assert anabranch("plan", "child", "--json").json["empty"]
    (told,) = anabranch("status", "child", "--json").json["clones"]
    assert (told["from"], told["written"]) == ("feature", False)
    refused = anabranch("promote", "child", "--into", "feature")
    assert refused.code == 1
    assert "clones of its own" in refused.err


def test_promotion_leaves_clones_out(cloned: Shop, anabranch: Anabranch):
    cloned.write("models/marts/total.sql", "SELECT count(*) AS n FROM raw.orders\n")
    assert anabranch("apply", "feature").code == 0
    for _ in range(2):
        said = anabranch("promote", "feature", "--yes", "--json")
        assert said.code == 0, said.err
    assert anabranch("plan", "prod", "--json").json["empty"]
    assert cloned.run_sql(SOURCES) == [(100,)]
    cloned.write("models/marts/more.sql", "SELECT count(*) AS n FROM raw.orders\n")
    assert anabranch("apply", "feature").code == 0
    assert verbs(anabranch("promote", "feature", "--yes", "--json")) == {"marts.more": "reuse"}
    assert anabranch("clone", "--reset", "raw.orders", "-e", "feature").code == 0
    assert anabranch("promote", "feature", "--yes").code == 0


REFUSED = {
    "the trunk": (["raw.orders", "-e", "prod"], "prod reads the sources themselves"),
    "a model": (["marts.top", "-e", "feature"], "only sources are cloned"),
    "nothing": (["raw.order", "-e", "feature"], "did you mean raw.orders?"),
    "no environment": (["raw.orders", "-e", "featur"], "did you mean feature?"),
    "the past": (["raw.orders", "-e", "feature", "--at", "2020-01-01"], "duckdb can't clone raw.orders as it was earlier"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(feature: Shop, anabranch: Anabranch, name: str):
    arguments, message = REFUSED[name]
    with feature.unchanged():
        said = anabranch("clone", *arguments)
        assert said.code in (1, 2)
        assert message in said.err
        assert said.err.count("next: ") == 1


def test_times_that_are_none(feature: Shop, anabranch: Anabranch):
    assert "no time" in anabranch("clone", "raw.orders", "-e", "feature", "--at", "yesterday").err
    assert "lies ahead" in anabranch("clone", "raw.orders", "-e", "feature", "--at", "2999-01-01").err
    assert anabranch("clone", "raw.orders", "-e", "feature", "--at", "2020-01-01", "--reset").code == 2
    with feature.unchanged():
        said = anabranch("env", "create", "then", "--at", "2020-01-01")
        assert said.code == 1
        assert "nothing can be pinned to the past" in said.err


def test_a_source_that_is_gone(feature: Shop, anabranch: Anabranch):
    feature.run_sql("DROP TABLE raw.orders")
    with feature.unchanged():
        said = anabranch("clone", "raw.orders", "-e", "feature")
        assert said.code in (1, 2)
        assert "raw.orders" in said.err


def test_a_source_that_is_not_declared_any_more(cloned: Shop, anabranch: Anabranch):
    for path in ("stg/orders", "core/valid", "marts/revenue", "marts/top"):
        (cloned.root / f"models/{path}.sql").unlink()
    cloned.write("anabranch.yaml", "project: shop\nwarehouse: {database: shop.duckdb}\n")
    assert verbs(anabranch("apply", "feature", "--json"))["raw.orders"] == "remove"
    assert len(locations(cloned)) == 1


def test_something_that_depends_on_a_clone_is_in_the_way(cloned: Shop, anabranch: Anabranch):
    cloned.run_sql("CREATE INDEX fast ON raw__feature.orders (id)")
    said = anabranch("env", "drop", "feature")
    assert said.code == 1
    assert "raw__feature.orders can't be set aside" in said.err
    cloned.run_sql("DROP INDEX raw__feature.fast")
    assert anabranch("env", "drop", "feature").code == 0


def test_an_environment_before_there_is_a_trunk_has_clones_too(shop: Shop, anabranch: Anabranch):
    for command in (("apply", "feature"), ("clone", "raw.orders", "-e", "feature")):
        said = anabranch(*command)
        assert said.code == 0, said.err
    (told,) = anabranch("status", "feature", "--json").json["clones"]
    assert told["asset"] == "raw.orders"
