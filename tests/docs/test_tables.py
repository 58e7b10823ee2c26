"""Tables that say what code computes."""

from tests.docs.pages import codes, page, rows, sections

from anabranch.bootstrap import DEFAULT_BRANCHES
from anabranch.config.settings import TRUNK
from anabranch.domain.names import environment_for_branch
from anabranch.domain.plan import Verb
from anabranch.loaders import unit_tests
from anabranch.ports.store import Store
from anabranch.sql.audits.library import BUILT_IN
from anabranch.sql.audits.parse import PROPERTIES

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


def test_audits_that_are_built_in() -> None:
    table = [r for r in rows(sections(page("docs/audits.md"))["Built in"]) if len(r) == 3]
    documented = {codes(name)[0]: tuple(codes(arguments)) for name, arguments, _ in table}
    assert documented == {name: tuple(audit.takes) for name, audit in BUILT_IN.items()}


def test_what_an_audit_can_say() -> None:
    table = rows(sections(page("docs/audits.md"))["Of your own"])
    passed_over = {"owner", "description", "tags", "standalone"}
    assert {codes(row[0])[0] for row in table} == set(PROPERTIES) - passed_over
