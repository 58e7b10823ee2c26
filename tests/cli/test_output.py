"""What people and machines see: help, JSON, pipes, terminals."""

import os
import pty
import subprocess
import sys

import click
import pytest
from inline_snapshot import snapshot

from anabranch.cli.main import COMMANDS, cli

SUB = [["env", name] for name in ("list", "show", "create", "drop")]
ALL = [[name] for name in COMMANDS] + SUB + [["test", "create"]]


@pytest.mark.parametrize("command", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(anabranch, home, command):
    for option in ("--help", "-h"):
        said = anabranch(*command, option)
        assert said.code == 0
        assert said.err == ""
        assert f"Usage: anabranch {' '.join(command)}" in said.out
        assert f"Example: {'anabranch' if command != ['apply'] else 'git switch'}" in said.out
        assert max(map(len, said.out.splitlines())) <= 100
    assert list(home.iterdir()) == [], "help makes nothing"


def test_help(anabranch, home):
    assert anabranch("--help").out == snapshot("""\
Usage: anabranch [OPTIONS] COMMAND [ARGS]...

  Every git branch gets its own virtual data environment over production data.

  An environment costs no copy and no recomputation, a promotion moves pointers to what was
  already built and tested, and every step can be undone.

Options:
  --version                Show the version and exit.
  -C, --project DIRECTORY  Run as if started in this folder.  [default: .]
  -h, --help               Show this message and exit.

Commands:
  init     Begin a project in this folder.
  status   Show where things stand.
  plan     Show what apply would do, and why.
  apply    Make an environment what the files say.
  adopt    Take tables over that another tool made.
  clone    Give an environment clones of sources, to write to.
  run      Bring an environment's data up to date.
  lineage  Show what decides an asset or a column, and who reads it.
  diff     Show how an environment differs from another.
  promote  Point an environment at what was built and tested in another.
  undo     Take the last change back.
  restore  Bring back an earlier state.
  log      Show an environment's history.
  sql      Query an environment by logical names.
  audit    Run the audits of an environment's rows.
  test     Run the unit tests of models, or make one.
  lint     Check models against rules, without building anything.
  env      List, create, show and drop environments.
  resume   Go on with what was interrupted.
  abandon  End what was interrupted without going on.
  gc       Delete what nobody can reach any more.
  doctor   Check the set-up, and say what to mend.
  demo     Show the whole loop on real data, in a minute.

  The daily loop: git switch -c feature; anabranch apply; anabranch diff; anabranch promote;
  anabranch undo
""")
    assert anabranch("--version").out == snapshot("anabranch, version 0.1.0\n")


def test_commands_begin_with_a_verb_and_say_what_they_do(anabranch):
    for name, told in COMMANDS.items():
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.help, name
        assert told.endswith(".")


# --- machines

KEYS = {
    "status prod": {
        "environment", "head", "branch", "expires_at", "trunk", "ahead", "to_build", "plan", "drift", "drift_unknown",
        "interrupted", "running", "clones", "cost",
    },
    "plan": {
        "plan", "action", "environment", "head", "source", "new", "empty", "total", "counts", "decisions", "repairs",
        "notes", "audits", "cost",
    },
    "apply": {"environment", "commit", "built", "reused_builds", "audits", "kept", "moved", "seconds", "plan"},
    "diff --rows": {"environment", "head", "other", "other_head", "where", "tolerance", "same", "assets"},
    "sql": {"columns", "rows", "more"},
    "env show": {
        "environment", "head", "base", "branch", "owner", "created_at", "changed_at", "expires_at", "protected",
        "assets", "differs_from_trunk", "clones",
    },
    "promote --yes": {"environment", "commit", "built", "reused_builds", "audits", "kept", "moved", "seconds", "plan"},
    "undo prod --yes": {"environment", "commit", "built", "reused_builds", "audits", "kept", "moved", "seconds", "plan"},
    "gc --dry-run": {
        "dry_run", "environments", "locations", "rows", "objects", "unknown", "bytes_before", "bytes_after",
    },
    "gc": {"dry_run", "environments", "locations", "rows", "objects", "unknown", "bytes_before", "bytes_after"},
    "doctor": {"version", "python", "checks"},
}  # fmt: skip


def test_every_command_answers_as_json(applied, anabranch):
    applied.branch("feature")
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    applied.replace("models/marts/revenue.sql", "sum(v.amount)", "sum(v.amount) * 2")
    for line, keys in KEYS.items():
        command, *rest = line.split()
        if line == "sql":
            rest = ["select current_date as day, 1.5::decimal(3, 2) as price, null as nothing, [1, 2] as list"]
        said = anabranch(command, *rest, "--json")
        assert said.code == 0, (line, said)
        assert said.err == "", line
        assert set(said.json) == keys, line
        assert said.out.count("\n") == 1, "one object on one line, for who reads lines"
    listed = anabranch("env", "list", "--json").json
    assert [e["environment"] for e in listed] == ["prod", "feature"]
    log = anabranch("log", "prod", "--json").json
    assert [e["action"] for e in log] == ["undo", "promote", "apply"]
    assert set(log[0]) == snapshot(
        {"action", "at", "author", "changed", "commit", "environment", "message", "parents", "refreshed", "restores"}
    )
    said = anabranch("env", "drop", "feature", "--json")
    assert said.json["commit"] is None
    assert anabranch("env", "create", "other", "--json").json["environment"] == "other"
    assert anabranch("restore", "prod", log[1]["commit"][:9], "--yes", "--json").json["plan"]["action"] == "restore"
    assert anabranch("init", "--json").json["error"]["type"] == "Refused"


def test_errors_as_json(applied, anabranch):
    for arguments, kind, code in (
        (["aply"], "UsageError", 2),
        (["apply", "--nothing"], "NoSuchOption", 2),
        (["diff", "nothing"], "NotFound", 2),
        (["undo", "prod", "--yes"], "Refused", 1),
        (["sql", "-e", "prod", "drop table x"], "Refused", 1),
    ):
        said = anabranch(*arguments, "--json")
        assert said.code == code, said
        assert said.json["error"]["type"] in (kind, "UsageError")
        assert said.json["error"]["message"]


def test_a_conflict(applied, anabranch):
    for name, number in (("one", 2), ("two", 3)):
        applied.branch(name)
        applied.replace("models/marts/top.sql", "LIMIT 1", f"LIMIT {number}")
        assert anabranch("apply").code == 0
        applied.replace("models/marts/top.sql", f"LIMIT {number}", "LIMIT 1")
    assert anabranch("promote", "one", "--yes").code == 0
    with applied.unchanged():
        said = anabranch("promote", "two", "--yes")
        assert said.code == 3
        assert said.out == ""
        assert applied.plain(said.err).replace("Ada at", "Ada at").split(" UTC")[1] == snapshot("""\

  ✗ marts.top   both sides changed it
      base <commit>   yours <commit>   there 8054664
  next: bring prod's code in, then rehearse again: git merge main && anabranch apply --merged && anabranch promote
Nothing was changed.
""")
        said = anabranch("promote", "two", "--yes", "--json")
        assert said.code == 3
        assert said.json["error"]["type"] == "MergeConflict"
        assert said.json["error"]["conflicts"][0]["asset"] == "marts.top"


# --- pipes and terminals


def test_no_control_codes_in_a_pipe(applied):
    applied.branch("feature")
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    for arguments in (
        ["status"],
        ["plan", "--explain"],
        ["apply"],
        ["diff", "--rows"],
        ["sql", "from marts.top"],
        ["promote", "--yes"],
        ["undo", "--yes"],
        ["log", "prod"],
        ["env"],
        ["env", "show"],
        ["gc"],
        ["doctor"],
        ["diff", "nothing"],
        ["--help"],
    ):
        said = applied.call(*arguments)
        assert "\x1b" not in said.out + said.err, arguments
        assert "\r" not in said.out + said.err, arguments
        assert said.out + said.err


def test_a_terminal_gets_colours_and_is_asked(applied):
    applied.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    for answer, code in (("n\n", 130), ("y\n", 0)):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "anabranch", "apply", "prod"],
            cwd=applied.root, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"},
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, answer.encode())
        seen = b""
        while True:
            try:
                more = os.read(ours, 1000)
            except OSError:
                break
            if not more:
                break
            seen += more
        assert process.wait(60) == code, seen
        os.close(ours)
        assert b"Go on?" in seen
        assert b"\x1b[" in seen
    assert len(applied.run_sql("SELECT * FROM marts.top")) == 2


@pytest.mark.parametrize(
    "arguments", [["sql", "-n", "0", "from range(300000)"], ["sql", "-n", "0", "--csv", "from range(300000)"]]
)
def test_whoever_reads_has_gone(applied, arguments):
    process = applied.start(*arguments, "-e", "prod")
    assert process.stdout.readline()
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(60) == 0
    assert "Traceback" not in err
    assert "Error" not in err
    assert "Exception" not in err


def test_nobody_reads_at_all(applied):
    process = applied.start("status", "prod")
    process.stdout.close()
    with process.stderr:
        err = process.stderr.read()
    assert process.wait(60) == 0
    assert err == ""


# --- sql


@pytest.mark.parametrize(
    "query",
    [
        "insert into marts.top values ('x')",
        "update marts.top set name = 'x'",
        "delete from marts.top",
        "create table x as select 1",
        "drop view marts.top",
        "alter table marts.top add column x int",
        "truncate marts.top",
        "copy marts.top to 'out.csv'",
        "attach 'other.duckdb'",
        "detach shop",
        "pragma database_list",
        "set threads = 1",
        "use raw",
        "call pragma_version()",
        "install httpfs",
        "load httpfs",
        "vacuum",
        "checkpoint",
        "export database 'out'",
        "import database 'out'",
        "begin",
        "select 1; drop view marts.top",
        "explain analyze insert into raw.orders values (1, 'x', 1)",
        "with x as (insert into raw.orders values (1, 'x', 1) returning 1) select * from x",
        "",
        ";",
    ],
)
def test_sql_that_writes_is_refused(applied, anabranch, query):
    with applied.unchanged():
        before = sorted(p.name for p in applied.root.iterdir())
        said = anabranch("sql", "-e", "prod", query)
        assert said.code in (1, 2)
        assert said.out == ""
        assert said.err.startswith("✗ ")
        assert sorted(p.name for p in applied.root.iterdir()) == before


def test_sql_that_is_wrong(applied, anabranch):
    with applied.unchanged():
        found = {}
        for query in (
            "insert into marts.top values ('x')",
            "select * from marts.topp",
            "select nam from marts.top",
            "selec 1",
            "select (1",
        ):
            said = anabranch("sql", "-e", "prod", query)
            found[query] = said.code, said.err.replace("^^^", "^")  # DuckDB 2 underlines the whole name
        assert found == snapshot(
            {
                "insert into marts.top values ('x')": (
                    1,
                    """\
✗ INSERT writes rows; only queries are run in an environment (line 1, column 1)
  next: write a SELECT
""",
                ),
                "select * from marts.topp": (
                    2,
                    """\
✗ the query reads marts.topp, which doesn't exist (line 1, column 15)
  next: did you mean marts.top?
Nothing was changed.
""",
                ),
                "select nam from marts.top": (
                    1,
                    """\
✗ Binder Error: Referenced column "nam" not found in FROM clause!
  Candidate bindings: "name"
  \n\
  LINE 1: select nam from "anabranch__marts"."top__734137dc1f4e" AS "top"
                 ^
""",
                ),
                "selec 1": (
                    2,
                    """\
✗ a query can't begin with 'selec' (line 1, column 1)
  next: did you mean select?
Nothing was changed.
""",
                ),
                "select (1": (
                    2,
                    """\
✗ ) is missing after '1' (line 1, column 9)
Nothing was changed.
""",
                ),
            }
        )


def test_sql_shows_rows(applied, anabranch):
    said = anabranch("sql", "-e", "prod", "-n", "2", "select id, country, amount from stg.orders order by id")
    assert said.out == snapshot("""\
id  country  amount
 0  de       -1.0
 1  fr       0.0
""")
    assert said.err == snapshot("(2 rows; there are more (-n 20, or -n 0 for all))\n")
    assert anabranch("sql", "-e", "prod", "describe marts.revenue").code == 0
    assert anabranch("sql", "-e", "prod", "--csv", "select 'a,b' as x, null as y").out == 'x,y\n"a,b",\n'
    said = anabranch("sql", "-e", "prod", "--json", "select timestamptz '2020-01-01 00:00:00+00' as t")
    assert said.code == 0
    assert "2020-01-01" in said.json["rows"][0][0] or "2019-12-31" in said.json["rows"][0][0]
    assert anabranch("sql", "-e", "prod", "select 1 where false").out == "1\n"
