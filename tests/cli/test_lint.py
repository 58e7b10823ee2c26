"""anabranch lint: how findings are told, what is set in anabranch.yaml, exit codes."""

from importlib.metadata import EntryPoint, EntryPoints

import pytest
from inline_snapshot import snapshot

from anabranch.linting import Finding

TOP = "MODEL (name marts.top, kind FULL);\n\nSELECT {} FROM marts.revenue\n"


def short_names(project):
    """Names that say too little."""
    return [Finding(f"{a} is short", a, hint="say more") for a in project.assets if a == "stg.orders"]


@pytest.fixture
def lint(shop, anabranch):
    """What is said where marts.top selects something, and anabranch.yaml says more."""
    config = (shop.root / "anabranch.yaml").read_text()

    def call(selected: str, settings: str = "", *arguments: str):
        shop.write("models/marts/top.sql", TOP.format(selected))
        shop.write("anabranch.yaml", f"{config}{settings}")
        return anabranch("lint", *arguments)

    return call


def test_nothing(shop, lint):
    said = lint("name")
    assert (said.code, said.out, said.err) == (0, "nothing found\n", "")
    assert not (shop.root / ".anabranch" / "state.db").exists(), "neither state nor warehouse is opened"
    shop.database.unlink()
    assert lint("name").code == 0


def test_errors_and_warnings(lint):
    said = lint("revenu, random() AS r")
    assert (said.code, said.err) == (1, "")
    assert said.out == snapshot("""\
✗ models/marts/top.sql:3:8  marts.top: there is no column revenu  [unknown-column]
    did you mean revenue?
! models/marts/top.sql:3:16  marts.top: random() gives something else each time  [unstable-result]
    readers are built whenever it is; take the value from a source, or from a run's interval
1 error, 1 warning
""")


def test_warnings_alone_are_no_failure(lint):
    said = lint("*")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "1 warning"


def test_the_rules_are_set(lint):
    assert lint("*", "lint: {rules: {no-star: error}}\n").code == 1
    assert lint("*", "lint: {rules: {no-star: off}}\n").out == "nothing found\n"
    assert lint("*", "lint: {ignore: {marts.top: [no-star]}}\n").out == "nothing found\n"
    assert lint("*", "lint: {ignore: {marts.top: no-star}}\n").out == "nothing found\n"
    assert "nobody reads marts.top" in lint("name", "lint: {rules: {unused-model: warning}}\n").out
    assert lint("name", "lint: {rules: {unused-model: warning}, edges: [marts]}\n").out == "nothing found\n"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{rules: {no-stars: off}}", "anabranch.yaml:5:16  there is no rule no-stars"),
        ("{rules: {no-star: maybe}}", "anabranch.yaml:5:25  lint.rules.no-star can't be 'maybe'"),
        (
            "{ignore: {marts.tpo: [no-star]}}",
            "anabranch.yaml:5:17  lint.ignore speaks of marts.tpo, which doesn't exist",
        ),
        ("{ignore: {marts.top: [stars]}}", "there is no rule stars"),
        ("{rule: {no-star: off}}", "anabranch.yaml:5:8  lint.rule is not a setting"),
    ],
)
def test_wrong_settings(lint, settings, told):
    said = lint("name", f"lint: {settings}\n")
    assert said.code == 2
    assert told in said.err


def test_one_rule(lint):
    said = lint("revenu, *", "", "--rule", "missing-owner", "--rule", "no-star")
    assert said.code == 0
    assert {line.rpartition("[")[2] for line in said.out.splitlines() if line.endswith("]")} == {
        "missing-owner]",
        "no-star]",
    }
    unknown = lint("name", "", "--rule", "no-stars")
    assert (unknown.code, "did you mean no-star?" in unknown.err) == (2, True)


def test_json(lint):
    said = lint("revenu", "", "--json")
    assert said.code == 1
    assert said.json == {
        "errors": 1,
        "warnings": 0,
        "findings": [
            {
                "rule": "unknown-column",
                "level": "error",
                "asset": "marts.top",
                "file": "models/marts/top.sql",
                "line": 3,
                "column": 8,
                "message": "marts.top: there is no column revenu",
                "hint": "did you mean revenue?",
            }
        ],
    }


def test_rules_of_third_parties(lint, monkeypatch):
    entry = EntryPoint("short-names", f"{__name__}:short_names", "anabranch.lint")
    monkeypatch.setattr(EntryPoint, "load", lambda self: short_names)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **_: EntryPoints([entry]))
    assert lint("name").out == snapshot("""\
! models/stg/orders.sql:1:13  stg.orders is short  [short-names]
    say more
1 warning
""")
    assert lint("name", "lint: {rules: {short-names: error}}\n").code == 1
    assert lint("name", "lint: {ignore: {stg.orders: [short-names]}}\n").code == 0


def test_a_project_that_cannot_be_read(shop, anabranch):
    shop.write("models/marts/top.sql", "select name from marts.revenu")
    said = anabranch("lint", "--json")
    assert (said.code, said.json["error"]["type"]) == (2, "UnknownUpstream")
