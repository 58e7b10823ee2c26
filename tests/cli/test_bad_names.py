"""Which environment is meant: git branches of any name, no git, no branch, and names that clash."""

import subprocess

import pytest
from inline_snapshot import snapshot
from tests.support.shop import WHO

from anabranch.domain.names import ENVIRONMENT_LENGTH

ALLOWED = [
    "feature/New-Price",
    "feature/x;drop",
    "feature/x'--",
    'feature/"quoted"',
    "feature/$(touch${IFS}owned)",
    "фича/цена",
    "日本語",
    "🦆",
    "select",
    "order",
    "main-2",
    "release/1.0",
    "a" * 200,
    "/".join(["abcdefghij" * 5] * 6),
    "@",
    "x@y",
    "123",
    "trunk",
    "UPPER",
    "under__score",
]
"""Names that git allows."""


@pytest.fixture
def git(home):
    def call(*arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        import os

        command = ["git", "-c", "init.defaultBranch=main", *arguments]
        return subprocess.run(command, cwd=home, capture_output=True, check=check, env=os.environ | WHO)

    return call


@pytest.fixture
def repository(home, git, shop):
    """The project, in a real repository with one commit, prod applied."""
    (home / ".git" / "HEAD").unlink()
    (home / ".git").rmdir()
    git("init", "--quiet")
    (home / ".gitignore").write_text("*.duckdb*\n.anabranch/\n")
    git("add", "--all")
    git("commit", "--quiet", "-m", "Shop")
    return shop


@pytest.mark.parametrize("branch", ALLOWED)
def test_branches_of_any_name(repository, git, anabranch, branch):
    assert anabranch("apply", "prod", "--yes").code == 0
    before = repository.catalog()
    git("switch", "--quiet", "-c", branch)
    repository.replace("models/marts/top.sql", "LIMIT 1", "LIMIT 2")
    status = anabranch("status", "--json").json
    name = status["environment"]
    assert len(name) <= ENVIRONMENT_LENGTH
    assert name.replace("_", "a").isalnum()
    assert name.isascii()
    assert name != "prod"
    said = anabranch("apply", "--json")
    assert said.code == 0, said.out
    assert said.json["environment"] == name
    assert len(repository.run_sql(f"SELECT * FROM marts__{name}.top")) == 2
    assert set(before) <= set(repository.catalog()), "prod is as it was"
    assert anabranch("status", "--json").json["branch"] == branch
    assert anabranch("status", branch, "--json").json["environment"] == name
    assert anabranch("promote", "--yes").code == 0
    assert anabranch("env", "drop", name).code == 0
    assert not (repository.root / "owned").exists()


def test_two_branches_never_share_an_environment(repository, git, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    names = []
    for branch in ("feature/x", "feature-x", "feature_x", "Feature/X", "feature/x!"):
        git("switch", "--quiet", "-c", branch, "main", check=False)
        if (repository.root / ".git" / "HEAD").read_text().strip() != f"ref: refs/heads/{branch}":
            repository.branch(branch)  # a file system without regard to case
        said = anabranch("apply", "--json")
        assert said.code == 0
        names.append(said.json["environment"])
    assert names[0] == "feature_x"
    assert len(set(names)) == 5


def test_a_branch_named_like_the_trunk(applied, anabranch):
    """A branch "prod" that isn't the trunk's branch doesn't get prod by its name alone."""
    applied.branch("prod")
    assert anabranch("status", "--json").json["environment"] != "prod"


def test_a_branch_that_git_does_not_allow(applied, anabranch):
    applied.branch("feature/x; drop schema")
    said = anabranch("apply", "--json")
    assert said.code == 0
    assert said.json["environment"].startswith("feature_x_drop_schema_")
    assert applied.run_sql("SELECT count(*) FROM marts.top") == [(1,)]


def test_a_branch_in_another_encoding(applied, anabranch):
    (applied.root / ".git" / "HEAD").write_bytes(b"ref: refs/heads/pr\xe9nom\n")
    said = anabranch("apply", "--json")
    assert said.code == 0
    assert said.json["environment"].startswith("pr")


@pytest.mark.parametrize("text", ["feature/x; drop schema", "'; DROP TABLE x", "фича", "a" * 300, "select", "Prod "])
def test_names_on_the_command_line(applied, anabranch, text):
    said = anabranch("apply", text, "--yes", "--json")
    assert said.code == 0, said.out
    assert said.json["environment"] != "prod"
    assert applied.run_sql("SELECT count(*) FROM marts.top") == [(1,)]


def test_a_name_that_looks_like_an_option(applied, anabranch):
    assert anabranch("apply", "--help").code == 0
    assert anabranch("apply", "--", "--help", "--json").code == 2
    said = anabranch("apply", "--json", "--", "--help")
    assert said.code == 0
    assert said.json["environment"] == "help"
    with applied.unchanged():
        said = anabranch("apply", "--hlep")
        assert said.code == 2
        assert said.err == snapshot("""\
Usage: anabranch apply [OPTIONS] [ENV]
Try 'anabranch apply --help' for help.

Error: No such option '--hlep'. Did you mean '--help'?
""")


def test_no_name_at_all(applied, anabranch):
    with applied.unchanged():
        said = anabranch("apply", " ")
        assert said.code == 2
        assert said.err == snapshot("""\
✗ a branch without a name has no environment
  next: name one: anabranch apply ENV
Nothing was changed.
""")


def test_no_git_and_no_name(applied, anabranch):
    (applied.root / ".git" / "HEAD").unlink()
    (applied.root / ".git").rmdir()
    with applied.unchanged():
        for command in ("plan", "apply", "diff", "log", "promote"):
            said = anabranch(command)
            assert said.code == 2
            assert said.err == snapshot("""\
✗ which environment? this is not a git checkout
  next: name it: anabranch COMMAND ENV
Nothing was changed.
""")
        assert anabranch("status").out.startswith("prod @ ")
    assert anabranch("apply", "mine").code == 0
    assert anabranch("undo", "--dry-run").code == 1, "the trunk, and there is nothing to undo"


def test_a_detached_head(applied, anabranch):
    (applied.root / ".git" / "HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    with applied.unchanged():
        said = anabranch("apply")
        assert said.code == 2
        assert said.err == snapshot("""\
✗ which environment? no branch is checked out (detached HEAD)
  next: name it: anabranch COMMAND ENV
Nothing was changed.
""")


def test_a_worktree(applied, anabranch, git, home):
    other = home / "tree"
    (home / ".git/worktrees/tree").mkdir(parents=True)
    (home / ".git/worktrees/tree/HEAD").write_text("ref: refs/heads/other\n")
    other.mkdir()
    (other / ".git").write_text(f"gitdir: {home}/.git/worktrees/tree\n")
    for path in ("models", "seeds"):
        (other / path).symlink_to(home / path)
    config = applied.root.joinpath("anabranch.yaml").read_text().replace("shop.duckdb", str(applied.database))
    (other / "anabranch.yaml").write_text(f"{config}state: {home}/.anabranch/state.db\n")
    said = anabranch("-C", str(other), "plan", "--json")
    assert said.json["environment"] == "other"


def test_an_environment_that_is_not_there(applied, anabranch):
    anabranch("env", "create", "what_if")
    with applied.unchanged():
        for arguments in (
            ["diff", "what_iff"],
            ["log", "what_iff"],
            ["promote", "what_iff"],
            ["env", "drop", "what_iff"],
        ):
            said = anabranch(*arguments)
            assert said.code == 2
            assert said.err == snapshot("""\
✗ there is no environment what_iff
  next: did you mean what_if?
Nothing was changed.
""")
        assert anabranch("diff", "nothing_like_it").err == snapshot("""\
✗ there is no environment nothing_like_it
  next: make it: anabranch apply nothing_like_it
Nothing was changed.
""")
        assert anabranch("restore", "prod", "0000000").err == snapshot("""\
✗ '0000000' is not in the history of prod
  next: anabranch log prod
Nothing was changed.
""")
        assert anabranch("sql", "-e", "what_iff", "select 1").code == 2
        assert anabranch("env", "create", "what_if").err == snapshot("""\
✗ what_if exists already
  next: anabranch env show what_if
""")
        assert anabranch("env", "create", "more", "--from", "what_iff").code == 2
        assert anabranch("promote", "prod").err == snapshot("""\
✗ prod can't be promoted into itself
  next: switch to a branch, or name an environment
""")
        said = anabranch("undo", "what_if")
        assert said.code == 1
        assert said.err == snapshot("""\
✗ there is nothing to undo in what_if
  next: anabranch log what_if
""")
        said = anabranch("env", "drop", "prod", "--yes")
        assert said.code == 1
        assert said.err == snapshot("""\
✗ prod is protected
  next: it is never dropped
""")


def test_an_unknown_command(applied, anabranch):
    said = anabranch("aply")
    assert said.code == 2
    assert said.err == snapshot("""\
Usage: anabranch [OPTIONS] COMMAND [ARGS]...
Try 'anabranch --help' for help.

Error: there is no command 'aply': did you mean apply?
""")


# --- names that clash


def test_an_environment_whose_suffix_another_schema_has(applied, anabranch):
    applied.run_sql("CREATE SCHEMA marts__mine", "CREATE TABLE marts__mine.top AS SELECT 1 AS own")
    with applied.unchanged():
        for arguments in (["apply", "mine"], ["env", "create", "mine"]):
            said = anabranch(*arguments)
            assert said.code == 1
            assert applied.plain(said.err).splitlines()[-2:] == snapshot(
                [
                    "✗ marts__mine.top is a table that Anabranch didn't make, so marts.top can't be shown there",
                    "  next: rename that table or the model",
                ]
            )
    assert applied.run_sql("SELECT own FROM marts__mine.top") == [(1,)]


def test_an_asset_named_as_if_it_lay_in_an_environment(applied, anabranch):
    anabranch("env", "create", "x")
    applied.write("models/marts__x/other.sql", "SELECT 1 AS one\n")
    with applied.unchanged():
        said = anabranch("apply", "prod", "--yes")
        assert said.code == 1
        assert said.err == snapshot("""\
✗ marts__x.other is named like what environment x shows: marts__x ends in __x
  next: rename the asset, or choose another environment's name
""")
    anabranch("env", "drop", "x")
    assert anabranch("apply", "prod", "--yes").code == 0
    with applied.unchanged():
        said = anabranch("env", "create", "x")
        assert said.code == 1
        assert said.err == snapshot("""\
✗ marts__x.other is named like what environment x shows: marts__x ends in __x
  next: rename the asset, or choose another environment's name
""")


def test_names_that_are_shortened(applied, anabranch):
    """Two names of which the first 60 characters are equal stay two."""
    for last in ("a", "b"):
        applied.write(f"models/{'s' * 60}/{'t' * 62}{last}.sql", f"SELECT '{last}' AS which\n")
    assert anabranch("apply", "e" * 32, "--json").code == 0
    for last in ("a", "b"):
        found = anabranch("sql", "-e", "e" * 32, "--csv", f"FROM {'s' * 60}.{'t' * 62}{last}")
        assert found.out == f"which\n{last}\n"
    schema, names = next(
        (row[1], [r[2] for r in applied.catalog() if r[1] == row[1] and r[0] == "view"])
        for row in applied.catalog()
        if str(row[1]).startswith("sss")
    )
    assert len(schema) <= 63
    assert len(names) == 2
    applied.write(f"models/{'s' * 60}/{'t' * 64}.sql", "SELECT 1 AS one\n")
    with applied.unchanged():
        said = anabranch("plan", "prod")
        assert said.code == 2
        assert said.err.replace("t" * 64, "<t>").replace("s" * 60, "<s>") == snapshot("""\
✗ models/<s>/<t>.sql  models/<s>/<t>.sql can't name a model: 64 characters in one part
  next: at most 63
Nothing was changed.
""")


def test_a_users_own_table_where_a_model_shall_be(applied, anabranch):
    applied.run_sql("CREATE TABLE marts.own AS SELECT 1 AS id")
    applied.write("models/marts/own.sql", "SELECT 2 AS id\n")
    with applied.unchanged():
        said = anabranch("apply", "prod", "--yes")
        assert said.code == 1
        assert said.err == snapshot("""\
✗ marts.own is a table that Anabranch didn't make, so marts.own can't be shown there
  next: rename that table or the model, or take it over: anabranch adopt marts.own
""")
    assert applied.run_sql("SELECT id FROM marts.own") == [(1,)]
