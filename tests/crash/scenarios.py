"""The commands that die, each with the project that it is run on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Self

import duckdb
from tests.crash.left import DATABASE, beside, physical
from tests.crash.watching import Point, Watch, watch
from tests.support.plain import IS_PLAIN

from anabranch import bootstrap
from anabranch.cli.failures import run
from anabranch.cli.main import cli


def files(version: str, workers: int) -> dict[str, str]:
    """The project, in one of two versions; each model tells its own and that of what it read."""
    last = "gone" if version == "v1" else "fresh"
    return {
        "anabranch.yaml": f"project: shop\nwarehouse: {{database: {DATABASE}, workers: {workers}}}\n"
        "sources: {raw.orders: {columns: {id: integer, country: text, amount: double}}}\n",
        "seeds/countries.csv": f"code,name,version\nde,Germany,{version}\nfr,France,{version}\n",
        "models/stg/orders.sql": "MODEL (name stg.orders, kind VIEW);\n"
        f"SELECT id, country, amount, '{version}' AS version FROM raw.orders\n",
        "models/core/valid.sql": "MODEL (name core.valid, kind EMBEDDED);\n"
        f"SELECT id, country, amount, version, '{version}' AS own FROM stg.orders WHERE amount > 0\n",
        "models/marts/revenue.sql": f"SELECT c.name, sum(v.amount) AS revenue, '{version}' AS version,"
        " max(v.version || v.own || c.version) AS over\n"
        "FROM core.valid AS v JOIN seeds.countries AS c ON c.code = v.country GROUP BY c.name\n",
        f"models/marts/{last}.sql": f"SELECT name, over || version AS over, '{version}' AS version FROM marts.revenue\n",
        "models/marts/same.sql": "SELECT 1 AS never, 'changes' AS this\n",
    }


def anabranch(*arguments: str) -> Callable[[Path], int]:
    """A command, run here."""

    def call(folder: Path) -> int:
        os.chdir(folder)
        return run(cli, arguments)

    return call


def write(version: str, workers: int = 1) -> Callable[[Path], int]:
    def call(folder: Path) -> int:
        for path in ("models", "seeds"):
            shutil.rmtree(folder / path, ignore_errors=True)
        for path, text in files(version, workers).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return 0

    return call


def sql(*statements: str) -> Callable[[Path], int]:
    def call(folder: Path) -> int:
        with duckdb.connect(str(folder / DATABASE)) as connection:
            for statement in statements:
                connection.execute(statement)
        return 0

    return call


def alter(name: str, statement: str) -> Callable[[Path], int]:
    """``statement`` on the one physical table of a name."""

    def call(folder: Path) -> int:
        (table,) = [t for t in (beside if IS_PLAIN else physical)(folder) if f".{name}__" in t]
        return sql(statement.format(table))(folder)

    return call


def collect(folder: Path) -> int:
    """``gc``, as if retention were over for all that is no more shown."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(days=400)

    before = vars(bootstrap)["datetime"]
    vars(bootstrap)["datetime"] = Later
    try:
        return anabranch("gc")(folder)
    finally:
        vars(bootstrap)["datetime"] = before


def then(step: Callable[[Path], int]) -> Callable[[Path], int]:
    """A command, at a moment that is the same in each run: a clone's id tells it."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls(2020, 1, 1, tzinfo=tz)

    def call(folder: Path) -> int:
        before = vars(bootstrap)["datetime"]
        vars(bootstrap)["datetime"] = Then
        try:
            return step(folder)
        finally:
            vars(bootstrap)["datetime"] = before

    return call


def declare_key(folder: Path) -> int:
    file = folder / "anabranch.yaml"
    file.write_text(file.read_text().replace("amount: double}}", "amount: double}, key: id}"))
    return 0


def killed(*arguments: str) -> Callable[[Path], int]:
    """A command that dies after it has published, and before readers see it."""

    def call(folder: Path) -> int:
        pid = os.fork()
        if pid == 0:
            watch(Watch(kill=Point(-1, "before", what="CREATE OR" if IS_PLAIN else "COMMIT", published=True)))
            anabranch(*arguments)(folder)
            os._exit(1)
        _, status = os.waitpid(pid, 0)
        return 0 if os.WIFSIGNALED(status) else 1

    return call


def write_moving(folder: Path) -> int:
    """Models whose data moves on, by each kind of write that can be made twice."""
    head = "start '2020-01-01', end '2020-01-03'"
    models = {
        "daily": f"MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column day), {head});\n"
        "SELECT DATE '2020-01-01' + (id % 3)::INTEGER AS day, count(*) AS n, sum(amount) AS v FROM raw.orders GROUP BY day",
        "latest": f"MODEL (kind INCREMENTAL_BY_UNIQUE_KEY (unique_key day), {head});\nSELECT day, v FROM marts.daily",
        "parts": f"MODEL (kind INCREMENTAL_BY_PARTITION, partitioned_by (day), {head});\nSELECT day, n FROM marts.daily",
        "total": "SELECT sum(v) AS v FROM marts.latest",
    }
    for path in ("models", "seeds"):
        shutil.rmtree(folder / path, ignore_errors=True)
    (folder / "models/marts").mkdir(parents=True)
    (folder / "anabranch.yaml").write_text(files("v1", 1)["anabranch.yaml"])
    for name, text in models.items():
        (folder / f"models/marts/{name}.sql").write_text(text)
    return 0


def write_league(folder: Path) -> int:
    """Models that describe tables which another tool made: one computed as a whole, one by time."""
    head = "start '2020-01-01', end '2020-01-03'"
    models = {
        "league": "SELECT country, sum(amount) AS v FROM raw.orders GROUP BY country",
        "daily": f"MODEL (kind INCREMENTAL_BY_TIME_RANGE (time_column day), {head});\n"
        "SELECT DATE '2020-01-01' + (id % 3)::INTEGER AS day, count(*) AS n FROM raw.orders GROUP BY day",
    }
    (folder / "models/marts").mkdir(parents=True)
    (folder / "anabranch.yaml").write_text(files("v1", 1)["anabranch.yaml"])
    for name, text in models.items():
        (folder / f"models/marts/{name}.sql").write_text(text)
    return 0


RAW = sql(
    "CREATE SCHEMA raw",
    "CREATE TABLE raw.orders AS SELECT range AS id, ['de', 'fr'][range % 2 + 1] AS country, range % 7 - 1.0 AS amount"
    " FROM range(50)",
)
PROD = (write("v1"), RAW, anabranch("apply", "prod", "--yes"))
FEATURE = (*PROD, write("v2"), anabranch("apply", "feature"))
PROMOTED = (*FEATURE, anabranch("promote", "feature", "--yes"))
MOVING = (
    write_moving,
    RAW,
    anabranch("apply", "prod", "--yes"),
    sql("INSERT INTO raw.orders SELECT range, 'de', 100.0 FROM range(50, 60)"),
)
RUN = anabranch("run", "prod", "--restate", "marts.daily", "--yes")
LEAGUE = (
    write_league,
    RAW,
    sql(
        "CREATE SCHEMA marts",
        "CREATE TABLE marts.league AS SELECT country, sum(amount) AS v FROM raw.orders GROUP BY country",
        "CREATE TABLE marts.daily AS SELECT DATE '2020-01-01' + (id % 3)::INTEGER AS day, count(*) AS n FROM raw.orders"
        " GROUP BY day",
        "CREATE VIEW marts.theirs AS SELECT v FROM marts.league",
    ),
)
CLONE = then(anabranch("clone", "raw.orders", "-e", "feature"))
BRANCHED = (*PROD, anabranch("env", "create", "feature"))
CLONED = (*BRANCHED, CLONE, sql("INSERT INTO raw__feature.orders VALUES (1000, 'de', 1000.0)"))
WRITTEN = (*CLONED, anabranch("apply", "feature"))
ADOPT = anabranch("adopt", "marts.*", "--yes")
MERGED = (
    write("v1"),
    declare_key,
    *PROD[1:],
    anabranch("env", "create", "feature"),
    CLONE,
    sql(
        "INSERT INTO raw__feature.orders VALUES (1000, 'de', 1000.0)",
        "DELETE FROM raw__feature.orders WHERE id < 5",
        "UPDATE raw__feature.orders SET amount = 9 WHERE id = 7",
        "INSERT INTO raw.orders VALUES (2000, 'fr', 1.0)",
    ),
    anabranch("apply", "feature"),
)
BEHIND = (
    *MERGED,
    anabranch("env", "create", "other"),
    then(anabranch("clone", "raw.orders", "-e", "other")),
    sql(
        "INSERT INTO raw__other.orders VALUES (3000, 'de', 3000.0)",
        "DELETE FROM raw__other.orders WHERE id = 9",
        "UPDATE raw__other.orders SET amount = 8 WHERE id = 8",
    ),
    anabranch("apply", "other"),
    PROMOTED[-1],
)
Step = Callable[[Path], int]


@dataclass(frozen=True)
class Scenario:
    """``again``: what is run after the crash where ``command`` had been published already, and so is done; it answers
    ``done``. ``each``: it mends views one by one, for they are right or wrong one by one."""

    prepare: tuple[Step, ...]
    command: Step
    again: Step
    done: int = 0
    each: bool = False
    gap: bool = False
    """Without transactions, a table that changes hands is for a moment under neither name."""
    through: bool = False
    """Without transactions, views that show a source's rows show them as soon as these are written."""
    steady: bool = True
    """Whether each run has the same events; else one may have fewer than the one that counted them."""


SCENARIOS = {
    "apply prod, the first": Scenario((write("v1"), RAW), PROD[-1], PROD[-1]),
    "apply prod, the first, by two at once": Scenario((write("v1", 2), RAW), PROD[-1], PROD[-1], steady=False),
    "apply feature": Scenario((*PROD, write("v2")), FEATURE[-1], FEATURE[-1]),
    "apply prod": Scenario((*PROD, write("v2")), PROD[-1], PROD[-1]),
    "promote": Scenario(FEATURE, PROMOTED[-1], PROMOTED[-1]),
    "undo": Scenario(PROMOTED, anabranch("undo", "prod", "--yes"), collect),
    "undo, what was collected": Scenario(
        (*PROMOTED, anabranch("env", "drop", "feature"), collect, write("v1")),
        anabranch("undo", "prod", "--yes"),
        anabranch("gc"),
    ),
    "env create": Scenario(PROD, anabranch("env", "create", "other"), anabranch("env", "create", "other"), 1),
    "env drop": Scenario(PROMOTED, anabranch("env", "drop", "feature"), anabranch("env", "drop", "feature"), 2),
    "gc": Scenario((*FEATURE, anabranch("env", "drop", "feature")), collect, collect),
    "apply prod, to mend": Scenario(
        (
            *PROD,
            alter("revenue", "ALTER TABLE {} ADD COLUMN more INTEGER"),
            alter("gone", "DROP TABLE {}"),
            sql("DROP VIEW marts.same", "CREATE OR REPLACE VIEW stg.orders AS SELECT 1 AS by_hand"),
        ),
        PROD[-1],
        PROD[-1],
        each=True,
    ),
    "run": Scenario(MOVING, RUN, collect),
    "undo a run": Scenario((*MOVING, RUN), anabranch("undo", "prod", "--yes"), collect, 1),
    "restate in an environment": Scenario(
        (*MOVING, anabranch("env", "create", "other")),
        anabranch("run", "other", "--restate", "marts.daily", "--yes"),
        collect,
    ),
    "adopt": Scenario(LEAGUE, ADOPT, ADOPT, gap=True),
    "undo an adoption": Scenario((*LEAGUE, ADOPT), anabranch("undo", "prod", "--yes"), collect, gap=True),
    "clone": Scenario(BRANCHED, CLONE, collect, gap=True),
    "clone again": Scenario((*BRANCHED, anabranch("clone", "raw.orders", "-e", "feature")), CLONE, collect, gap=True),
    "clone, and give it up": Scenario(
        WRITTEN, anabranch("clone", "--reset", "raw.orders", "-e", "feature"), collect, gap=True
    ),
    "undo a clone": Scenario((*BRANCHED, CLONE), anabranch("undo", "feature"), collect, gap=True),
    "apply what reads a clone": Scenario(CLONED, WRITTEN[-1], WRITTEN[-1], gap=True),
    "env drop with a clone": Scenario(
        WRITTEN, anabranch("env", "drop", "feature"), anabranch("env", "drop", "feature"), 2, gap=True
    ),
    "env create with clones": Scenario(
        WRITTEN, then(anabranch("env", "create", "child", "--from", "feature")), collect, gap=True
    ),
    "promote what was written to a clone": Scenario(MERGED, PROMOTED[-1], PROMOTED[-1], through=True),
    "take in what another has merged": Scenario(
        BEHIND, then(anabranch("apply", "other", "--merged")), anabranch("apply", "other"), gap=True
    ),
    "undo a merge": Scenario((*MERGED, PROMOTED[-1]), anabranch("undo", "prod", "--yes"), collect, through=True),
    "resume": Scenario((*FEATURE, killed("promote", "feature", "--yes")), anabranch("resume"), collect),
}
