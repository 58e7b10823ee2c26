"""Stops a command at every line of its journal, and looks at what is left.

Run as a program, ``zygote.py SCENARIO PART OF`` prints one JSON object. It imports everything once and opens nothing, so
that each case costs a fork: the scenario's project is prepared once, then copied for every case.

1. A run that nobody stops counts the *events*: every call of the store, every statement that the engine gives to DuckDB,
   every closing of the database.
2. A copy is run that kills itself (SIGKILL) right before an event, right after one that writes, or, from another thread,
   some fraction of the time into a statement that writes.
3. What is left is looked at from outside: every environment's readers see wholly what was shown before or wholly what is
   shown after, and never more than the state's ref says. Then the same command is given again, and must lead to where the
   run that nobody stopped has led. Then all is collected that no environment reaches: exactly the rest is left.

After an event that only reads the world is as before it, and right after one as right before the next. So the cases that
differ are: before each event that follows one that writes, after the last, and within. They all are run; of the others,
a few.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import duckdb
import sqlglot.dialects.duckdb  # noqa: F401  # imported once, here

from anabranch import bootstrap
from anabranch.cli.commands import adopt, apply, env, gc, promote, restore, resume, undo  # noqa: F401
from anabranch.cli.failures import run
from anabranch.cli.main import cli
from anabranch.domain import commit as commits
from anabranch.domain.ids import CommitId, ObjectId
from anabranch.engines import duckdb as engine_module
from anabranch.engines.duckdb import DuckDBEngine, DuckDBSession
from anabranch.loaders import native  # noqa: F401
from anabranch.ports.store import Store
from anabranch.sql import guard, model_file, rewrite  # noqa: F401
from anabranch.stores.sqlite import SqliteStore

FRACTIONS = (0.5, 0.1, 0.9)
"""How far into a statement; only half-way into one that takes less than ``SHORT`` seconds."""
SHORT = 0.002
TORN = "computed checksum"
"""What DuckDB says of a file whose catalog it was writing over, in place, at the instant of the kill: see
``test_duckdb_writes_its_catalog_in_place``. Such a case is run again; a scenario may have ``MAY_TEAR`` of them."""
MAY_TEAR = 2
WRITING_CALLS = frozenset({"put", "swap", "delete"})
READING = ("select", "describe", "with", "from")
DATABASE = "shop.duckdb"
ADOPTED = "__[0-9a-f]{12}$"
"""How an adopted table's name ends."""


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


# --- the scenarios


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
        (table,) = [t for t in physical(folder) if f".{name}__" in t]
        return sql(statement.format(table))(folder)

    return call


def collect(folder: Path) -> int:
    """``gc``, as if retention were over for all that is no more shown."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=400)

    before = vars(bootstrap)["datetime"]
    vars(bootstrap)["datetime"] = Later
    try:
        return anabranch("gc")(folder)
    finally:
        vars(bootstrap)["datetime"] = before


def killed(*arguments: str) -> Callable[[Path], int]:
    """A command that dies after it has published, and before readers see it."""

    def call(folder: Path) -> int:
        pid = os.fork()
        if pid == 0:
            watch(Watch(kill=Point(-1, "before", what="COMMIT", published=True)))
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
ADOPT = anabranch("adopt", "marts.*", "--yes")
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
    "adopt": Scenario(LEAGUE, ADOPT, ADOPT),
    "undo an adoption": Scenario((*LEAGUE, ADOPT), anabranch("undo", "prod", "--yes"), collect),
    "resume": Scenario((*FEATURE, killed("promote", "feature", "--yes")), anabranch("resume"), collect),
}


# --- watching


@dataclass(frozen=True)
class Event:
    """``what``: a store's call, or a statement's first words."""

    kind: str
    what: str
    writes: bool
    seconds: float = 0.0


@dataclass(frozen=True)
class Point:
    """Where to die: before, after or within the ``number``-th event. With a negative number, at the first whose name is
    ``what``, once something was ``published``."""

    number: int
    when: str
    fraction: float = 0.0
    seconds: float = 0.0
    what: str = ""
    published: bool = False

    def __str__(self) -> str:
        return f"{self.when} event {self.number}" + (f" ({self.fraction:.0%} into it)" if self.when == "in" else "")


class Watch:
    """Counts events, and dies at one."""

    def __init__(self, kill: Point | None = None) -> None:
        self.events: list[Event] = []
        self._kill = kill
        self._published = False
        self._lock = threading.Lock()

    @contextmanager
    def event(self, kind: str, what: str, *, writes: bool) -> Iterator[None]:
        with self._lock:
            number = len(self.events)
            self.events.append(Event(kind, what, writes))
        kill = self._kill
        here = kill is not None and (
            kill.number == number or (kill.number < 0 and what == kill.what and self._published)
        )
        if kill is not None and here:
            if kill.when == "before":
                die()
            if kill.when == "in":
                threading.Thread(target=_die_in, args=(kill.seconds * kill.fraction,), daemon=True).start()
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            self.events[number] = Event(kind, what, writes, seconds)
            if here and kill is not None and kill.when == "after":
                die()

    def saw(self, write: dict[str, Any]) -> None:
        self._published = self._published or any(k.startswith("ref/") for k in write)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _die_in(seconds: float) -> None:
    time.sleep(seconds)
    die()


class WatchedStore:
    """A store, each call of which is an event."""

    def __init__(self, store: Store, watch: Watch) -> None:
        self._store = store
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in WRITING_CALLS | {"get", "read", "scan", "aged"}:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            with self._watch.event("store", name, writes=name in WRITING_CALLS):
                answer = found(*arguments, **options)
            if name == "swap":
                self._watch.saw(arguments[1])
            return answer

        return call


class WatchedCursor:
    """A cursor, each statement of which is an event."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, watch: Watch) -> None:
        self._cursor = cursor
        self._watch = watch

    def execute(self, statement: str) -> Any:
        words = statement.split(None, 2)[:2]
        with self._watch.event("engine", " ".join(words)[:30], writes=words[0].lower() not in READING):
            return self._cursor.execute(statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def watch(watching: Watch) -> None:
    """Watches whatever is opened in this process from now on."""
    open_store, close = bootstrap.open_store, DuckDBEngine.close

    class WatchedSession(DuckDBSession):
        def __init__(self, cursor: Any, *rest: Any, **options: Any) -> None:
            super().__init__(WatchedCursor(cursor, watching), *rest, **options)  # type: ignore[arg-type]

    def watched_close(self: DuckDBEngine) -> None:
        if self._connection is None or self._cursors:
            close(self)
            return
        with watching.event("engine", "close", writes=not self._read_only):
            close(self)

    vars(engine_module)["DuckDBSession"] = WatchedSession
    vars(bootstrap)["open_store"] = lambda found: WatchedStore(open_store(found), watching)
    type.__setattr__(DuckDBEngine, "close", watched_close)


# --- looking


def catalog(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    if not (folder / DATABASE).exists():
        return []
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        return connection.execute(statement).fetchall()


def physical(folder: Path) -> list[str]:
    found = catalog(
        folder,
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name LIKE 'anabranch!_!_%' ESCAPE '!'"
        f" OR regexp_matches(table_name, '{ADOPTED}')"
        " UNION SELECT schema_name || '.' || view_name FROM duckdb_views()"
        " WHERE schema_name LIKE 'anabranch!_!_%' ESCAPE '!' ORDER BY 1",
    )
    return [str(row[0]) for row in found]


def seen(folder: Path) -> dict[str, dict[str, Any]]:
    """Of each environment, what its readers see: the tree that is recorded with the data, and every view with its
    definition and its rows."""
    if not (folder / DATABASE).exists():
        return {}
    with duckdb.connect(str(folder / DATABASE), read_only=True) as connection:
        found: dict[str, dict[str, Any]] = {}
        views = connection.execute(
            "SELECT schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
            " AND schema_name NOT LIKE 'anabranch%'"
            " UNION ALL SELECT schema_name, table_name, 'a table' FROM duckdb_tables() WHERE schema_name = 'marts'"
            f" AND NOT regexp_matches(table_name, '{ADOPTED}') ORDER BY ALL"
        ).fetchall()
        for schema, view, text in views:
            name = schema.partition("__")[2] or "prod"
            try:
                rows = connection.execute(f'SELECT * FROM "{schema}"."{view}" ORDER BY ALL').fetchall()
            except duckdb.Error as error:
                rows = [(type(error).__name__,)]
            found.setdefault(name, {})[f"{schema}.{view}"] = [text, [list(map(str, row)) for row in rows]]
        for shown in found.values():
            shown["tree"] = None
        if connection.execute("FROM duckdb_tables() WHERE table_name = 'environments'").fetchall():
            for name, tree in connection.execute("SELECT environment, tree_id FROM anabranch.environments").fetchall():
                found.setdefault(name, {})["tree"] = tree
        return found


def refs(folder: Path) -> dict[str, str]:
    """Of each environment, the tree of its head."""
    if not (folder / ".anabranch" / "state.db").exists():
        return {}
    with SqliteStore(folder / ".anabranch" / "state.db") as store:
        heads = {k.removeprefix("ref/"): CommitId(json.loads(v)["head"]) for k, v in store.scan("ref/").items()}
        read = store.get([ObjectId(h) for h in heads.values()])
        return {name: commits.decode(read[head]).tree for name, head in heads.items()}


def cells(folder: Path) -> dict[str, bytes]:
    if not (folder / ".anabranch" / "state.db").exists():
        return {}
    with SqliteStore(folder / ".anabranch" / "state.db") as store:
        return store.scan("")


def reachable(folder: Path) -> list[str]:
    """The locations that the heads of all environments reach."""
    w = bootstrap.open_workspace(folder)
    try:
        found = {s.location for name in w.state.environments() for s in w.assets(name).values() if s.is_physical}
        return sorted(found)
    finally:
        w.close()


# --- one case


Expected = dict[str, dict[str, Any]]
"""What readers see, and the refs' trees, before the command and after."""


class Wrong(AssertionError):
    """What is left isn't right."""


def must(condition: bool, message: str) -> None:
    if not condition:
        raise Wrong(message)


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    keys = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
    return ", ".join(f"{k}: {one.get(k)} and not {other.get(k)}" for k in keys)[:1500]


def check_crash(scenario: Scenario, folder: Path, expected: Expected) -> bool:
    """Looks at what a crash left; whether the command was done but for cleaning up."""
    shown, now = seen(folder), refs(folder)
    old, new, old_refs, new_refs = expected["old"], expected["new"], expected["old_refs"], expected["new_refs"]
    for name in old.keys() | new.keys() | shown.keys():
        before, after, piece = old.get(name), new.get(name), shown.get(name)
        if scenario.each:
            odd = {k: v for k, v in (piece or {}).items() if v not in ((before or {}).get(k), (after or {}).get(k))}
            must(not odd, f"readers of {name} see {odd}")
        elif piece not in (before, after):
            parts = difference(piece or {}, before or {}), difference(piece or {}, after or {})
            raise Wrong(f"readers of {name} see neither the old ({parts[0]}) nor the new ({parts[1]})")
        must(now.get(name) in (old_refs.get(name), new_refs.get(name)), f"the ref of {name} is neither old nor new")
        if before != after and piece == after:
            must(now.get(name) == new_refs.get(name), f"readers of {name} see the new, and the ref is old")
    is_open = any(k.startswith("open/") for k in cells(folder))
    return now == new_refs and (new_refs != old_refs or (shown == new and not is_open))


def check_end(folder: Path, new: dict[str, Any], new_refs: dict) -> None:
    """All is as the run that nobody stopped has left it."""
    shown = seen(folder)
    must(shown == new, f"readers see something else: {difference(shown, new)}")
    must(refs(folder) == new_refs, "the refs are others")
    left = [k for k in cells(folder) if k.startswith(("open/", "line/"))]
    must(not left, f"a journal is open: {left}")
    claims = [k for k, v in cells(folder).items() if k.startswith("physical/") and json.loads(v)[1] == "building"]
    must(not claims, f"claims are left: {claims}")


def check_collected(folder: Path) -> None:
    """Exactly what is reached is left."""
    wanted = reachable(folder)
    must(physical(folder) == wanted, f"left are {physical(folder)}, reached are {wanted}")
    built = sorted(k.removeprefix("physical/") for k in cells(folder) if k.startswith("physical/"))
    must(built == wanted, f"known are {built}, reached are {wanted}")
    stages = {json.loads(v)[1] for k, v in cells(folder).items() if k.startswith("physical/")}
    must(stages <= {"built"}, f"stages are {stages}")


def verify(scenario: Scenario, folder: Path, expected: Expected) -> None:
    done = check_crash(scenario, folder, expected)
    code = (scenario.again if done else scenario.command)(folder)
    same_trees = expected["new_refs"] == expected["old_refs"]  # then published or not can't be told by the refs
    wanted = {0, scenario.done} if done or same_trees else {0}
    must(code in wanted, f"the next command answered {code}")
    check_end(folder, expected["new"], expected["new_refs"])
    must(collect(folder) == 0, "gc failed")
    must(seen(folder) == expected["new"], "gc changed what readers see")
    check_collected(folder)


# --- forking


def in_child(work: Callable[[], Any], log: Path) -> tuple[int, Any]:
    """``work`` in a process of its own; how it ended, and what it returned. All that it says goes to ``log``."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        code = 1
        try:
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(file, 1)
            os.dup2(file, 2)
            answer: Any = work()
            code = 0
        except BaseException as error:  # noqa: BLE001  # told to the parent
            answer = f"{type(error).__name__}: {error}"
            if not isinstance(error, Wrong):
                answer += f"\n{traceback.format_exc()}"
        sys.stdout.flush()
        with os.fdopen(theirs, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    return status, json.loads(text) if text else None


def sure(work: Callable[[], Any], log: Path) -> Any:
    status, answer = in_child(work, log)
    if status:
        raise RuntimeError(f"{answer}\n{log.read_text()}")
    return answer


def points(events: list[Event]) -> list[Point]:
    found = []
    for number, event in enumerate(events):
        found.append(Point(number, "before"))
        if event.writes:
            found.append(Point(number, "after"))
        if event.writes and event.kind == "engine":
            fractions = FRACTIONS if event.seconds > SHORT else FRACTIONS[:1]
            found += [Point(number, "in", fraction, event.seconds) for fraction in fractions]
    return found


def choose(events: list[Event], more: int) -> list[Point]:
    """All points at which the world differs from that at the point before: before every event that follows one that
    writes, after the last, and within those that write. Of the others, ``more``, evenly."""
    everything = points(events)
    last = len(events) - 1
    after_write = {n for n in range(len(events)) if n == 0 or events[n - 1].writes}

    def differs(point: Point) -> bool:
        if point.when == "before":
            return point.number in after_write
        return point.when == "in" or point.number == last

    others = [p for p in everything if not differs(p)]
    step = max(1, -(-len(others) // more)) if more else 1
    extra = set(others[step // 2 :: step]) if more else set()
    return [p for p in everything if differs(p) or p in extra]


def prepare(scenario: Scenario, folder: Path) -> None:
    folder.mkdir()
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    for step in scenario.prepare:
        must(step(folder) == 0, "preparing failed")


def main(name: str, part: int, of: int, more: int) -> dict[str, Any]:
    """Runs every ``of``-th of the chosen cases, from the ``part``-th; for ``more``, see :func:`choose`."""
    scenario = SCENARIOS[name]
    os.environ["GIT_AUTHOR_NAME"] = "Ada"
    os.environ["GIT_CEILING_DIRECTORIES"] = "/"
    memory = Path("/dev/shm")
    top = Path(tempfile.mkdtemp(prefix="anabranch-crash-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        prepared, log = top / "prepared", top / "log"
        sure(lambda: prepare(scenario, prepared), log)
        straight = top / "straight"
        shutil.copytree(prepared, straight)

        def count() -> dict[str, Any]:
            watching = Watch()
            watch(watching)
            must(scenario.command(straight) == 0, "the command itself fails")
            return {"events": [asdict(e) for e in watching.events]}

        events = [Event(**e) for e in sure(count, log)["events"]]
        expected = {
            "old": sure(lambda: seen(prepared), log),
            "new": sure(lambda: seen(straight), log),
            "old_refs": sure(lambda: refs(prepared), log),
            "new_refs": sure(lambda: refs(straight), log),
        }
        sure(lambda: check_end(straight, expected["new"], expected["new_refs"]), log)
        chosen = choose(events, more)
        failures, ended, torn = [], 0, 0
        waiting = chosen[part::of][::-1]
        while waiting:
            point, case = waiting.pop(), top / "case"
            shutil.copytree(prepared, case)

            def crash(point: Point = point, case: Path = case) -> int:
                watch(Watch(kill=point))
                return scenario.command(case)

            status, answer = in_child(crash, top / "crash.log")
            ended += not os.WIFSIGNALED(status)
            told = f"{point}: {events[point.number].kind} {events[point.number].what}"
            may_end = point.when == "in" or not scenario.steady
            if not os.WIFSIGNALED(status) and not (may_end and status == 0 and answer == 0):
                failures.append(f"{told}: it didn't die, and answered {answer}\n{(top / 'crash.log').read_text()}")
            status, answer = in_child(partial(verify, scenario, case, expected), top / "verify.log")
            if status and may_end and TORN in str(answer) and torn < MAY_TEAR:
                torn += 1
                waiting.append(point)
            elif status:
                failures.append(f"{told}: {answer}\n{(top / 'verify.log').read_text()}")
            shutil.rmtree(case)
        return {
            "scenario": name,
            "events": len(events),
            "writes": sum(e.writes for e in events),
            "cases": len(points(events)),
            "chosen": len(chosen),
            "run": len(chosen[part::of]),
            "ended_before_it_was_killed": ended,
            "torn": torn,
            "failures": failures,
            "told": [f"{e.kind} {e.what}{' !' if e.writes else ''}" for e in events],
        }
    finally:
        shutil.rmtree(top, ignore_errors=True)


if __name__ == "__main__":
    click.echo(json.dumps(main(sys.argv[1], *map(int, sys.argv[2:]))))
