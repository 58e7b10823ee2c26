"""An upgrade never forces a rebuild: what is the same under the new rules keeps its data."""

import pytest

from anabranch import bootstrap
from anabranch.domain.names import EnvironmentName
from anabranch.loaders import assemble, native

PROD = EnvironmentName("prod")


@pytest.fixture
def rules(monkeypatch):
    """Other rules, by number."""

    def set_to(number):
        monkeypatch.setattr(assemble, "SCHEME", number)
        monkeypatch.setattr(assemble, "WORDS", number)
        monkeypatch.setattr(native, "parser_version", lambda: f"rules {number}")

    return set_to


def work(shop, name=PROD, **more):
    """What an apply did, in a process of its own as far as the workspace goes."""
    w = bootstrap.open_workspace(shop.root)
    try:
        plan = w.plan_apply(EnvironmentName(name), **more)
        return plan, None if plan.is_empty else w.apply(plan)
    finally:
        w.close()


def test_new_rules_build_nothing(shop, rules):
    rules(98)
    work(shop)
    tables, shown = shop.physical(), shop.run_sql("SELECT * FROM marts.revenue ORDER BY ALL")
    rules(99)
    plan, applied = work(shop)
    assert {d.verb.value for d in plan.decisions} <= {"reuse", "define", "describe"}
    assert applied.report.built == ()
    assert shop.physical() == tables
    assert shop.run_sql("SELECT * FROM marts.revenue ORDER BY ALL") == shown
    assert work(shop)[0].is_empty, "later plans find where the data stands"


def test_new_rules_and_new_code_build_what_is_new(shop, rules):
    rules(98)
    work(shop)
    rules(99)
    shop.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    plan, applied = work(shop)
    assert [d.asset for d in plan.decisions if d.verb.value == "build"] == ["marts.top"]
    assert applied.report.built == ("marts.top",)


def test_a_new_environment_under_new_rules(shop, rules):
    rules(98)
    work(shop)
    rules(99)
    _, applied = work(shop, "feature")
    assert applied.report.built == ()
    assert work(shop)[0].tally()["build"] == 0, "and the trunk after it"
