"""Tables that say what code computes."""

from tests.docs.pages import codes, page, rows, sections

from anabranch.bootstrap import DEFAULT_BRANCHES
from anabranch.config.settings import TRUNK
from anabranch.domain.names import environment_for_branch
from anabranch.domain.plan import Verb
from anabranch.loaders import unit_tests
from anabranch.ports.store import Store

ENVIRONMENTS = sections(page("docs/environments.md"))


def test_names_of_environments() -> None:
    table = [r for r in rows(ENVIRONMENTS["Names"]) if len(r) == 2]
    assert len(table) == 5
    for branches, environment in table:
        for branch in codes(branches):
            expected = TRUNK if branch in DEFAULT_BRANCHES else environment_for_branch(branch)
            assert codes(environment) == [expected]


def test_verbs() -> None:
    table = [r for r in rows(ENVIRONMENTS["Plan and apply"]) if len(r) == 2]
    assert {verb for verb, _ in table} == {v.value for v in Verb}


def test_ports_are_linked() -> None:
    table = rows(sections(page("docs/architecture.md"))["The ports"])
    assert {codes(row[0])[0] for row in table} == {Store.__name__, "Engine", "Provider", "Loader", "Signals"}


def test_what_a_unit_test_can_say() -> None:
    tables = sections(page("docs/tests.md"))["What a test says"]
    documented = {code for row in rows(tables) for code in codes(row[0])}
    outputs = {"outputs.query", "outputs.ctes", "outputs.partial"}
    assert documented == (unit_tests.KEYS - {"outputs", "schema", "gateway"}) | outputs | unit_tests.OUTPUT
    assert all(f"`{key}`" in "\n".join(tables) for key in unit_tests.KEYS - {"outputs"})
