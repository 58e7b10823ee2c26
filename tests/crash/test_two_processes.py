"""Two processes change one project at the same time: nothing is lost, and who comes second is told why."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
from tests.support.shop import WHO

from anabranch.domain.commit import decode
from anabranch.stores.sqlite import SqliteStore

pytestmark = pytest.mark.crash

ROUNDS = 30
TABLES = ("a", "b", "c", "d")


@dataclass
class Two:
    """One project with two checkouts: each has files and a branch of its own; state and warehouse are shared."""

    root: Path

    def folder(self, who: int) -> Path:
        return self.root / f"checkout{who}"

    def make(self) -> Two:
        for who in (0, 1):
            folder = self.folder(who)
            (folder / "models" / "m").mkdir(parents=True)
            (folder / ".git").mkdir()
            (folder / "anabranch.yaml").write_text(
                f"project: two\nstate: {self.root}/state.db\n"
                f"warehouse: {{database: {self.root}/two.duckdb, patience: 60s, workers: 2}}\n"
            )
            for table in TABLES:
                self.write(who, table, 0)
            self.write(who, "over", 0, "SELECT a.version AS a, b.version AS b, 0 AS version FROM m.a, m.b")
            self.branch(who, "main")
        assert self.wait(self.start(0, "apply", "prod", "--yes")).code == 0
        return self

    def write(self, who: int, table: str, version: int, query: str = "") -> None:
        text = query or f"SELECT {version} AS version, '{table}' AS name"
        (self.folder(who) / "models" / "m" / f"{table}.sql").write_text(text + "\n")

    def branch(self, who: int, name: str) -> None:
        (self.folder(who) / ".git" / "HEAD").write_text(f"ref: refs/heads/{name}\n")

    def start(self, who: int, *arguments: str) -> subprocess.Popen[str]:
        name = ("Ada", "Bob")[who]
        return subprocess.Popen(
            [sys.executable, "-m", "anabranch", *arguments],
            cwd=self.folder(who), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | WHO | {"GIT_AUTHOR_NAME": name},
        )  # fmt: skip

    def wait(self, process: subprocess.Popen[str]) -> Ended:
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def run(self, who: int, *arguments: str) -> Ended:
        return self.wait(self.start(who, *arguments))

    def both(self, one: tuple[str, ...], other: tuple[str, ...], delay: float = 0.0) -> tuple[Ended, Ended]:
        first = self.start(0, *one)
        time.sleep(delay)
        second = self.start(1, *other)
        return self.wait(first), self.wait(second)

    def versions(self, environment: str = "prod") -> dict[str, int]:
        schema = "m" if environment == "prod" else f"m__{environment}"
        with duckdb.connect(str(self.root / "two.duckdb"), read_only=True) as connection:
            found = [r[0] for r in connection.execute(
                f"SELECT view_name FROM duckdb_views() WHERE schema_name = '{schema}'").fetchall()]  # fmt: skip
            return {n: connection.execute(f"SELECT max(version) FROM {schema}.{n}").fetchall()[0][0] for n in found}

    def check(self) -> None:
        """What readers see is what the refs say; no journal is open, no claim is left."""
        with duckdb.connect(str(self.root / "two.duckdb"), read_only=True) as connection:
            shown = dict(connection.execute("SELECT environment, tree_id FROM anabranch.environments").fetchall())
        with SqliteStore(self.root / "state.db") as store:
            heads = {k.removeprefix("ref/"): json.loads(v)["head"] for k, v in store.scan("ref/").items()}
            read = store.get(list(heads.values()))
            assert {n: decode(read[h]).tree for n, h in heads.items()} == shown
            assert not store.scan("open/")
            assert not store.scan("line/")
            stages = {json.loads(v)[1] for v in store.scan("physical/").values()}
            assert "building" not in stages


@dataclass
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def two(tmp_path) -> Two:
    return Two(tmp_path).make()


def test_what_is_disjoint_never_conflicts(two):
    for number in range(1, 5):
        for who, table in ((0, "c"), (1, "d")):
            two.branch(who, f"feature{who}")
            two.write(who, table, number)
        for one, other in ((("apply",), ("apply",)), (("promote", "--yes"), ("promote", "--yes"))):
            ended = two.both(one, other, delay=0.05 * (number % 3))
            assert [e.code for e in ended] == [0, 0], ended
        assert (two.versions()["c"], two.versions()["d"]) == (number, number), "no update is lost"
        two.check()


def test_who_comes_second_with_the_same_is_told(two):
    lost = []
    for number in range(1, 5):
        for who in (0, 1):
            two.branch(who, f"feature{who}_{number}")
            two.write(who, "c", number * 10 + who)
            assert two.run(who, "apply").code == 0
        ended = two.both(("promote", "--yes"), ("promote", "--yes"), delay=0.03 * (number % 3))
        codes = sorted(e.code for e in ended)
        assert codes == [0, 3], ended
        (winner,) = [who for who in (0, 1) if ended[who].code == 0]
        loser = ended[1 - winner]
        lost.append(loser.err)
        assert two.versions()["c"] == number * 10 + winner
        assert ("Ada", "Bob")[winner] in loser.err, "it says who was faster"
        assert "m.c" in loser.err, "and with what"
        assert "Nothing was changed." in loser.err
        assert "next: " in loser.err
        two.check()
        assert two.run(0, "restore", "prod", json.loads(two.run(0, "log", "prod", "--json").out)[-1]["commit"], "--yes").code == 0  # fmt: skip
    assert lost


def test_the_same_build_is_made_once(two):
    for who in (0, 1):
        two.branch(who, f"feature{who}")
        for table in TABLES:
            two.write(who, table, 5, f"SELECT count(*) AS version, '{table}' AS name FROM range(3000000)")
    ended = two.both(("apply", "--json"), ("apply", "--json"))
    assert [e.code for e in ended] == [0, 0], ended
    built = [set(json.loads(e.out)["built"]) for e in ended]
    assert built[0] | built[1] == {f"m.{t}" for t in TABLES} | {"m.over"}
    assert not built[0] & built[1], "each by one of them"
    two.check()


def test_random_rounds(two):
    """Whatever two people do at once, each is served or told; and then all is in order."""
    chance = random.Random(7)
    version = 0
    told = []
    for turn in range(ROUNDS):
        commands: list[tuple[str, ...]] = []
        for who in (0, 1):
            branch = chance.choice(("one", "two"))
            two.branch(who, branch)
            version += 1
            for table in chance.sample(TABLES, chance.choice((0, 1, 1, 2))):
                two.write(who, table, version)
            commands.append(
                chance.choice(
                    [
                        ("apply",),
                        ("apply",),
                        ("apply",),
                        ("promote", "--yes"),
                        ("promote", "--yes"),
                        ("env", "drop", branch),
                        ("undo", "prod", "--yes"),
                        ("gc",),
                        ("env", "create", "three"),
                        ("env", "drop", "three"),
                        ("apply", "prod", "--yes"),
                    ]
                )
            )
        ended = two.both(commands[0], commands[1], delay=chance.choice((0.0, 0.05, 0.15)))
        for command, end in zip(commands, ended, strict=True):
            told.append((turn, command, end.code, end.err.splitlines()[-3:]))
            assert end.code in (0, 1, 2, 3), told[-4:]
            assert "Traceback" not in end.err, end.err
            if end.code in (1, 2):  # what anybody would have been told, alone too
                reasons = ("there is no environment", "exists already", "there is nothing to undo", "can't be promoted")
                assert any(r in end.err for r in reasons), (command, end)
            if end.code == 3:
                assert any(
                    w in end.err for w in ("moved", "is now @", "was made", "was dropped", "is gone", "cleaned")
                ), end
                assert "next: " in end.err
                assert "Nothing was changed." in end.err
        two.check()
    codes = [code for _, _, code, _ in told]
    assert codes.count(0) > ROUNDS / 2, told
    for who in (0, 1):
        two.branch(who, "main")
    assert two.run(0, "apply", "prod", "--yes").code == 0
    assert two.run(0, "gc").code == 0
    assert two.run(0, "doctor").code == 0
    two.check()
