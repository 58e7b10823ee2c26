"""Builds that fail half-way or are interrupted: what was built stays, what is shown is as before."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from inline_snapshot import snapshot
from tests.support.shop import Shop

SLOW = "SELECT max(hash(a.range + b.range)) AS h FROM range(1000000) AS a, range(1000000) AS b\n"


def test_a_model_that_fails_half_way(applied, anabranch):
    applied.branch("feature")
    applied.replace("models/marts/revenue.sql", "sum(v.amount)", "sum(v.amount) + 1")
    applied.write("models/marts/first.sql", "SELECT 1 AS one FROM seeds.countries\n")
    applied.write("models/marts/broken.sql", "SELECT error('as asked for') AS number\nFROM marts.revenue\n")
    applied.write("models/marts/after.sql", "SELECT number FROM marts.broken\n")
    applied.write("models/marts/later.sql", "SELECT number FROM marts.after\n")
    refs, catalog = applied.cells("ref/"), applied.catalog()
    said = anabranch("apply")
    assert said.code == 1
    assert said.out == ""
    lines = applied.plain(said.err).splitlines()
    assert sorted(line for line in lines if line.startswith(("  ✓", "  ✗", "  –"))) == snapshot(
        [
            "  – marts.after                     skipped: reads marts.broken",
            "  – marts.later                     skipped: reads marts.broken",
            "  ✓ marts.first                                3 rows <time>",
            "  ✓ marts.revenue                              3 rows <time>",
            "  ✓ marts.top                                  1 rows <time>",
            "  ✗ marts.broken",
            "  ✗ models/marts/broken.sql  Invalid Input Error: as asked for",
        ]
    )
    assert "\n".join(lines[next(i for i, line in enumerate(lines) if line.startswith("✗")) :]) == snapshot("""\
✗ marts.broken could not be built; feature is as it was
  ✗ models/marts/broken.sql  Invalid Input Error: as asked for
  next: mend it and run the command again: what was built is reused\
""")
    assert applied.cells("ref/") == refs
    assert not applied.cells("open/")
    assert [row for row in applied.catalog() if not str(row[1]).startswith("anabranch__")] == [
        row for row in catalog if not str(row[1]).startswith("anabranch__")
    ], "readers see what they saw"
    assert {t.rpartition("__")[0] for t in applied.physical()} >= {"anabranch__marts.first"}
    assert not [t for t in applied.physical() if ".broken__" in t or ".after__" in t]

    applied.write("models/marts/broken.sql", "SELECT CAST(revenue AS INTEGER) AS number\nFROM marts.revenue\n")
    said = anabranch("apply", "--json")
    assert said.code == 0
    assert said.json["built"] == ["marts.after", "marts.broken", "marts.later"], "only the rest"
    assert len(applied.run_sql("SELECT * FROM marts__feature.later")) == 3


def test_a_failed_build_as_json(applied, anabranch):
    applied.write("models/marts/broken.sql", "SELECT error('as asked for') AS x\n")
    said = anabranch("apply", "prod", "--yes", "--json")
    assert said.code == 1
    assert said.err == ""
    error = said.json["error"]
    assert error["type"] == "BuildFailed"
    (failure,) = error["failures"]
    assert failure["asset"] == "marts.broken"
    assert failure["file"] == str(applied.root / "models/marts/broken.sql")
    assert "as asked for" in failure["message"]


def test_a_seed_that_is_no_csv(applied, anabranch):
    applied.write("seeds/countries.csv", "code,name\nde,Germany\nfr\n")
    refs = applied.cells("ref/")
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 1
    assert applied.plain(said.err).partition("✗ seeds.countries\n")[2] == snapshot("""\
  – marts.revenue                   skipped: reads seeds.countries
  – marts.top                       skipped: reads seeds.countries
✗ seeds.countries could not be built; prod is as it was
  ✗ seeds/countries.csv:3  line 3 has another number of values (1) than the header (2)
      3 │ fr
        │ correct the file
  next: mend it and run the command again: what was built is reused
""")
    assert applied.cells("ref/") == refs


@pytest.mark.in_place
def test_a_protected_environment_without_yes(applied, anabranch):
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    with applied.unchanged():
        for arguments in (["apply"], ["apply", "prod"], ["undo", "prod"]):
            said = anabranch(*arguments)
            assert said.code in (1, 2)
        said = anabranch("apply", "prod")
        assert said.code == 1
        assert said.out == ""
        assert applied.plain(said.err) == snapshot("""\
prod @ <commit>

  build   marts.top   changed
  reuse   5 assets as they are

  1 to build, 5 reused
✗ prod is protected, and nobody can be asked here
  next: add --yes
""")
        said = anabranch("apply", "prod", "--json")
        assert said.code == 1
        assert said.json["error"]["message"] == "prod is protected, and nobody can be asked here"
    applied.branch("feature")
    assert anabranch("apply").code == 0, "nobody is asked about one's own"
    with applied.unchanged():
        said = anabranch("promote")
        assert said.code == 1
    assert anabranch("promote", "--yes").code == 0
    with applied.unchanged():
        assert anabranch("undo", "prod").code == 1
        assert anabranch("restore", "prod", applied.heads()["prod"][:7]).code in (0, 1)


def test_an_environment_that_the_project_protects(applied, anabranch):
    applied.replace("anabranch.yaml", "project: shop", "project: shop\nenvironments: {protected: [staging]}")
    applied.branch("staging")
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    assert anabranch("apply").code == 1, "also before it exists"
    assert anabranch("apply", "--yes").code == 0
    said = anabranch("env", "list", "--json").json
    assert [(e["environment"], e["protected"]) for e in said] == [("prod", True), ("staging", True)]
    with applied.unchanged():
        said = anabranch("env", "drop", "staging", "--yes")
        assert (said.code, said.err) == (1, "✗ staging is protected\n  next: it is never dropped\n")
    applied.replace("anabranch.yaml", "environments: {protected: [staging]}", "")
    applied.replace("models/marts/top.sql", "LIMIT 2", "LIMIT 3")
    assert anabranch("apply").code == 1, "until it was applied without"
    assert anabranch("apply", "--yes").code == 0
    assert anabranch("env", "drop", "staging").code == 0


# --- interrupted


def _slow(shop: Shop) -> subprocess.Popen[str]:
    """A long build under way, after a short one was done."""
    shop.branch("feature")
    shop.write("models/marts/quick.sql", "SELECT 1 AS one\n")
    shop.write("models/marts/slow.sql", SLOW)
    process = shop.start("apply")
    assert process.stderr
    while True:
        line = process.stderr.readline()
        assert line, "it ended"
        if "marts.quick" in line and "✓" in line:
            time.sleep(0.3)
            return process


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_long_build_is_interrupted(applied, anabranch, how, code):
    before = [row for row in applied.catalog() if not str(row[1]).startswith("anabranch__")]
    refs = applied.cells("ref/")
    process = _slow(applied)
    began = time.monotonic()
    process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert process.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == "Interrupted. What was built is kept and reused; nothing else was changed."
    assert "Traceback" not in err
    assert applied.cells("ref/") == refs
    assert not applied.cells("open/")
    assert not applied.cells("line/")
    assert "building" not in {json.loads(v)[1] for v in applied.cells("physical/").values()}, "no claim is left"
    assert [row for row in applied.catalog() if not str(row[1]).startswith("anabranch__")] == before
    assert not [t for t in applied.physical() if ".slow__" in t]
    applied.write("models/marts/slow.sql", "SELECT 1 AS h\n")
    said = anabranch("apply", "--json")
    assert said.code == 0
    assert said.json["built"] == ["marts.slow"], "what was built is reused"


def test_a_process_that_is_killed(applied, anabranch):
    process = _slow(applied)
    process.kill()
    process.communicate()
    assert applied.cells("open/")
    said = anabranch("status")
    assert said.code == 0
    assert applied.plain(said.out) == snapshot("""\
feature   not created yet, would start from prod @ <commit>
  2 of 8 assets differ from prod @ <commit>
  2 assets to apply: 1 to build, 7 reused
    marts.quick (new)
    marts.slow (new)
  apply of feature interrupted (plan <plan>): anabranch resume · anabranch abandon
  next: anabranch apply
""")
    said = anabranch("doctor")
    assert said.code == 1
    assert "✗ interrupted: 1: apply of feature" in said.out
    applied.write("models/marts/slow.sql", "SELECT 1 AS h\n")
    said = anabranch("apply")
    assert said.code == 0
    assert applied.plain(said.err).splitlines()[0] == snapshot(
        "an interrupted apply of feature was ended; its builds are kept"
    )
    assert not applied.cells("open/")


def test_what_was_killed_is_resumed(applied, anabranch):
    process = _slow(applied)
    process.kill()
    process.communicate()
    (found,) = anabranch("status", "--json").json["interrupted"]
    # the slow one is done by somebody else's hand, so that resuming doesn't take forever
    said = anabranch("abandon", found["plan"][:4], "--json")
    assert said.code == 0
    assert said.json == {"environment": "feature", "plan": found["plan"], "forward": False}
    assert not applied.cells("open/")
    said = anabranch("resume")
    assert said.code == 2
    assert said.err == snapshot("""\
✗ nothing was interrupted
  next: anabranch status shows where things stand
Nothing was changed.
""")
    said = anabranch("abandon")
    assert said.code == 2


def test_what_runs_is_neither_resumed_nor_abandoned(applied, anabranch):
    process = _slow(applied)
    try:
        said = anabranch("resume")
        assert said.code == 1
        assert applied.plain(said.err) == snapshot("""\
✗ apply of feature is under way in process <number>
  next: wait until it is done
""")
        (found,) = anabranch("status", "--json").json["running"]
        said = anabranch("abandon", found["plan"])
        assert said.code == 1
        assert applied.plain(said.err) == snapshot("""\
✗ it is under way in process <number>
  next: wait until it is done
""")
    finally:
        process.kill()
        process.communicate()


def test_a_process_killed_after_publishing_is_carried_forward(applied, anabranch, monkeypatch):
    applied.branch("feature")
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    assert anabranch("apply").code == 0
    program = """
import os, sys
from anabranch.providers.models import provider
from anabranch.cli.failures import run
from anabranch.cli.main import cli
provider._Prepared.commit = lambda self: os._exit(9)
run(cli, sys.argv[1:])
"""
    done = subprocess.run([sys.executable, "-c", program, "promote", "--yes"], cwd=applied.root, env=os.environ)
    assert done.returncode == 9
    assert applied.run_sql("SELECT count(*) FROM marts.top") == [(1,)], "readers see wholly the old"
    said = anabranch("status", "prod")
    assert applied.plain(said.out) == snapshot("""\
prod @ <commit>   by Ada, made just now
  6 assets as the files say
  shares <size>, holds <size> alone (a copy: <size>)
  drift: readers see @ <commit>, not @ <commit>
  drift: view marts.top was replaced
  promote of prod interrupted (plan <plan>): anabranch resume · anabranch abandon
  next: anabranch apply prod
""")
    said = anabranch("resume")
    assert said.code == 0
    assert said.out == snapshot("prod shows what was published: done\n")
    assert applied.run_sql("SELECT count(*) FROM marts.top") == [(2,)]
    assert not applied.cells("open/")
    assert anabranch("doctor").code == 0
