"""Audits on the command line: apply, run, audit."""

import pytest
from inline_snapshot import snapshot

HEADER = "MODEL (name marts.revenue, kind FULL, grain name"
TOP = """\
MODEL (name marts.top, kind FULL, audits (big(least := 1)));

SELECT name, revenue FROM marts.revenue ORDER BY revenue DESC
"""


@pytest.fixture
def audited(applied):
    """Prod, with an audit in ``marts.revenue`` that can be made to fail."""
    applied.write("audits/big.sql", "AUDIT (name big);\nSELECT name, revenue FROM @this_model WHERE revenue < @least\n")
    return applied


def call(shop, *audits: str) -> None:
    """Puts audits into the header."""
    text = (shop.root / "models/marts/revenue.sql").read_text()
    rest = text[text.index(");") :]
    shop.write("models/marts/revenue.sql", f"{HEADER}, audits ({', '.join(audits)}){rest}")


@pytest.mark.in_place
def test_an_audit_that_fails(audited, anabranch):
    call(audited, "big(least := 70)", "not_null(columns := (name))")
    with audited.unchanged():
        said = anabranch("apply", "--yes")
    assert said.code == 1
    assert audited.plain(said.err) == snapshot("""\
prod @ <commit>

  describe   marts.revenue   audits big, not_null are new
  reuse   5 assets as they are

  0 to build, 5 reused, 1 described anew, 1 to audit
  ✗ marts.revenue                              1 of 2 audits failed
✗ marts.revenue failed its audits; prod is as it was
  ✗ marts.revenue fails big(least := 70): 1 row
        name    revenue
        Italy   68.0
  next: mend it and run the command again: what was built is reused
""")


def test_an_audit_that_fails_as_json(audited, anabranch):
    call(audited, "big(least := 71)")
    said = anabranch("apply", "--yes", "--json")
    assert said.code == 1
    (failure,) = said.json["error"]["failures"]
    assert failure["type"] == "AuditFailed"
    (finding,) = failure["findings"]
    assert (finding["audit"], finding["arguments"], finding["count"]) == ("big", "least := 71", 2)
    assert finding["columns"] == ["name", "revenue"]
    assert sorted(finding["rows"]) == [["France", "70.0"], ["Italy", "68.0"]]


@pytest.mark.in_place
def test_a_warning_is_shown_and_the_environment_moves(audited, anabranch):
    call(audited, "big(least := 70, blocking := false)")
    said = anabranch("apply", "--yes")
    assert said.code == 0
    assert audited.plain(said.err).splitlines()[6:] == snapshot(
        [
            "  ! marts.revenue",
            "    ! big(least := 70): 1 row",
            "        name    revenue",
            "        Italy   68.0",
            "  ✓ 0 views repointed <time>",
        ]
    )
    again = anabranch("apply", "--yes", "--json")
    assert again.json["empty"]


def test_what_passes_is_told_once(audited, anabranch):
    call(audited, "big(least := 1)")
    said = anabranch("apply", "--yes", "--json")
    assert said.code == 0
    assert [(a["asset"], a["audit"], a["passed"]) for a in said.json["audits"]] == [("marts.revenue", "big", True)]
    assert said.json["plan"]["audits"] == ["marts.revenue"]
    assert anabranch("plan", "--json").json["audits"] == []


def test_a_refresh_is_audited(audited, anabranch):
    call(audited, "big(least := 10)")
    assert anabranch("apply", "--yes").code == 0
    audited.run_sql("UPDATE raw.orders SET amount = 0.1")
    heads = audited.heads()
    said = anabranch("run", "prod", "--yes", "--ignore-cron")
    assert said.code == 1
    assert audited.heads() == heads
    assert "marts.revenue failed its audits; prod is as it was" in said.err
    assert audited.run_sql("SELECT max(revenue) > 60 FROM marts.revenue") == [(True,)]
    audited.run_sql("UPDATE raw.orders SET amount = 5")
    assert anabranch("run", "prod", "--yes", "--ignore-cron").code == 0
    assert anabranch("plan", "--json").json["empty"]


@pytest.mark.in_place
def test_all_audits_of_an_environment(audited, anabranch):
    assert anabranch("audit", "prod").out == "there are no audits yet\n"
    call(audited, "big(least := 1)", "forall_non_blocking(criteria := (revenue > 69))")
    assert anabranch("apply", "--yes").code == 0
    said = anabranch("audit", "prod")
    assert (said.code, said.out) == (
        0,
        snapshot("""\
  marts.revenue
    ! forall_non_blocking(criteria := (revenue > 69)): 1 row
        name    revenue
        Italy   68.0
1 passed, 1 with warnings
"""),
    )
    table = next(t for t in audited.physical() if ".revenue__" in t)
    audited.run_sql(f"UPDATE {table} SET revenue = 0")
    said = anabranch("audit", "prod", "--json")
    assert said.code == 1
    ((first, second),) = [o["findings"] for o in said.json["audits"]]
    assert (first["audit"], first["count"], first["blocking"]) == ("big", 3, True)
    assert not second["passed"]
    assert anabranch("audit", "prod", "--select", "marts.top").out == "there are no audits yet\n"
    wrong = anabranch("audit", "prod", "--select", "marts.revenu")
    assert (wrong.code, "did you mean marts.revenue?" in wrong.err) == (2, True)


def test_an_audit_that_can_not_be_run(audited, anabranch):
    audited.write("audits/big.sql", "AUDIT (name big);\nSELECT nope FROM @this_model\n")
    call(audited, "big")
    with audited.unchanged():
        said = anabranch("apply", "--yes")
    assert said.code == 1
    assert "models/marts/revenue.sql  Binder Error" in said.err or "the audit big can't be run" in said.err


def test_a_mistake_is_told_before_anything_is_built(audited, anabranch):
    call(audited, "not_null(columns := (nmae))")
    with audited.unchanged():
        said = anabranch("apply", "--yes")
    assert said.code == 2
    assert said.err.splitlines()[0].endswith("marts.revenue has no column nmae")
    assert "did you mean name?" in said.err


def test_what_early_cutoff_keeps_is_audited_where_it_stands(audited, anabranch):
    """A rebuilt model holds what it held: its reader's table stays, and passes its audits there, once each."""
    call(audited, "big(least := 1)")
    audited.write("models/marts/top.sql", TOP)
    audited.write("models/marts/shown.sql", "MODEL (name marts.shown, kind VIEW);\nSELECT name FROM marts.top\n")
    assert anabranch("apply", "--yes").code == 0

    rewritten = (audited.root / "models/marts/revenue.sql").read_text()
    audited.write("models/marts/revenue.sql", rewritten.replace("GROUP BY", "WHERE v.amount > -1\nGROUP BY"))
    same = anabranch("apply", "--yes", "--json").json
    assert (same["built"], same["kept"]) == (["marts.revenue", "marts.shown"], ["marts.top"])
    assert [(a["asset"], a["audit"]) for a in same["audits"]] == [("marts.revenue", "big")], "top's has passed there"
    assert anabranch("sql", "select count(*) as n from marts.shown", "--json").json["rows"] == [[3]]

    rewritten = (audited.root / "models/marts/revenue.sql").read_text()
    audited.write("models/marts/revenue.sql", rewritten.replace("> -1", "> -2"))
    audited.write("models/marts/top.sql", TOP.replace("least := 1)", "least := 71)"))
    before = audited.cells("ref/")
    said = anabranch("apply", "--yes", "--json")
    assert said.code == 1
    assert audited.cells("ref/") == before
    assert "marts.top fails big(least := 71)" in said.err + said.out
