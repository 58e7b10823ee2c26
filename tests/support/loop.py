"""The daily loop on one engine, from the first apply to the last undo: all kinds of models, with every figure known
beforehand. An engine's own test is a few lines that say where its warehouse is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pyarrow
import pytest

from anabranch.bootstrap import engines
from anabranch.cli.failures import run
from anabranch.cli.main import cli
from anabranch.config import settings
from anabranch.ports.engine import Engine, Relation, name
from anabranch.testing.engine_helpers import at

LONG = "ANABRANCH_TEST_LONG"
Rows = list[tuple[object, ...]]
ORDERS = [(n, "de" if n % 2 else "fr", float(n % 7), date(2020, 1, 1 + n % 5)) for n in range(40)]
LATE = [(100 + n, "it", 5.0, date(2020, 1, 2)) for n in range(3)]
NAMES = {"de": "Germany", "fr": "France", "it": "Italy"}
DAYS = "start '2020-01-01', end '2020-01-05'"
REVENUE = """MODEL (name marts.revenue, grain name, audits (not_null(columns := name), unique_values(columns := name)));
SELECT c.name AS name, sum(o.amount) AS revenue{more} FROM core.valid AS o JOIN seeds.countries AS c
ON c.code = o.country GROUP BY c.name
"""
MODELS = {
    "stg/orders": "MODEL (name stg.orders, kind VIEW);\nSELECT id, country, amount, day FROM raw.orders\n",
    "core/valid": "MODEL (name core.valid, kind EMBEDDED);\nSELECT * FROM stg.orders WHERE amount > 0\n",
    "marts/revenue": REVENUE.format(more=""),
    "marts/daily": f"MODEL (name marts.daily, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 2), {DAYS});\n"
    "SELECT day, count(*) AS n, sum(amount) AS v FROM core.valid WHERE day BETWEEN @start_date AND @end_date\n"
    "GROUP BY day\n",
    "marts/latest": f"MODEL (name marts.latest, kind INCREMENTAL_BY_UNIQUE_KEY (unique_key country), {DAYS});\n"
    "SELECT country, max(day) AS last_day, count(*) AS n FROM stg.orders GROUP BY country\n",
    "marts/parts": "MODEL (name marts.parts, kind INCREMENTAL_BY_PARTITION, partitioned_by [country]);\n"
    "SELECT country, id FROM stg.orders WHERE id >= 30\n",
    "marts/seen": "MODEL (name marts.seen, kind INCREMENTAL_UNMANAGED);\nSELECT count(*) AS n FROM stg.orders\n",
    "marts/history": "MODEL (name marts.history, kind SCD_TYPE_2_BY_COLUMN (unique_key country, columns *));\n"
    "SELECT country, count(*) AS n FROM stg.orders GROUP BY country\n",
}


def plain(value: object) -> object:
    """As the figures are written here, whatever the engine's driver makes of a type."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, Decimal):
        return float(value)
    return value


class LoopProject:
    """The project, on an engine. ``warehouse``, a fixture, gives what stands under ``warehouse:`` in the project's file."""

    schema: ClassVar[str] = "marts"
    suffix: ClassVar[str] = "schema"
    """What an environment's name ends; ``table`` where the emulator lacks a statement that schemas are made by."""

    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warehouse: Mapping[str, object]) -> Path:
        root = tmp_path / "loop"
        root.mkdir()
        monkeypatch.chdir(root)
        monkeypatch.setenv("HOME", str(root))
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root.parent))
        said = {
            "project": "loop",
            "warehouse": {"schema": self.schema, **warehouse},
            "environments": {"suffix": self.suffix},
            "sources": {"raw.orders": {}},
        }
        (root / "anabranch.yaml").write_text(json.dumps(said))
        for path, text in MODELS.items():
            self.write(root, f"models/{path}.sql", text)
        self.write(root, "seeds/countries.csv", "code,name\n" + "".join(f"{c},{n}\n" for c, n in NAMES.items()))
        return root

    def write(self, root: Path, path: str, text: str) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    @pytest.fixture
    def engine(self, project: Path) -> Iterable[Engine]:
        found = settings.load(project)
        engine = engines.open_engine(found.warehouse, project, lambda holder: None)
        yield engine
        engine.close()

    def load(self, engine: Engine, table: Relation, rows: Iterable[tuple[object, ...]]) -> None:
        grammar = engine.grammar
        kinds = {"id": grammar.integer, "country": grammar.text, "amount": grammar.double, "day": grammar.date}
        columns = list(zip(*rows, strict=True))
        with engine.session() as session:
            session.create_schemas([table.schema])
            session.load_arrow(table, [pyarrow.table(dict(zip(kinds, columns, strict=True)))], kinds)
        engine.close()

    def read(self, engine: Engine, relation: str) -> Rows:
        return self.read_all(engine, [relation])[relation]

    def read_all(self, engine: Engine, relations: Iterable[str]) -> dict[str, Rows]:
        """The rows of several, sorted, in one session."""
        found = {}
        with engine.session(read_only=True) as session:
            for relation in relations:
                schema, table = relation.split(".")
                answer = session.query(f"SELECT * FROM {name(session, Relation(schema, table))}")
                found[relation] = [dict(zip((c.lower() for c in answer.columns), r, strict=True)) for r in answer.rows]
        engine.close()
        return {relation: self._told(rows) for relation, rows in found.items()}

    def _told(self, rows: list[dict[str, object]]) -> Rows:
        told = [tuple(plain(v) for k, v in row.items() if k not in ("valid_from", "valid_to")) for row in rows]
        if rows and "valid_to" in rows[0]:
            told = [(*t, r["valid_to"] is None) for t, r in zip(told, rows, strict=True)]
        return sorted(told, key=repr)

    def expected(self, orders: Rows, seen: list[int], history: Rows, *, counts: bool = False) -> dict[str, Rows]:
        """What ``prod`` shows of ``orders``. ``seen``: how many rows there were each time."""
        valid = [o for o in orders if float(str(o[2])) > 0]
        countries, days = sorted({str(o[1]) for o in orders}), sorted({o[3] for o in valid}, key=str)
        revenue: Rows = []
        for c in countries:
            mine = [float(str(o[2])) for o in valid if o[1] == c]
            revenue.append((NAMES[c], sum(mine), len(mine)) if counts else (NAMES[c], sum(mine)))
        daily: Rows = []
        for d in days:
            of_day = [float(str(o[2])) for o in valid if o[3] == d]
            daily.append((d, len(of_day), sum(of_day)))
        latest: Rows = []
        for c in countries:
            of_country = [o for o in orders if o[1] == c]
            latest.append((c, max((o[3] for o in of_country), key=str), len(of_country)))
        return {
            "stg.orders": sorted(orders, key=repr),
            "marts.revenue": sorted(revenue, key=repr),
            "marts.daily": sorted(daily, key=repr),
            "marts.latest": sorted(latest, key=repr),
            "marts.parts": sorted([(o[1], o[0]) for o in orders if int(str(o[0])) >= 30], key=repr),
            "marts.seen": [(n,) for n in seen],
            "marts.history": sorted(history, key=repr),
        }

    def check(self, engine: Engine, wanted: Mapping[str, Rows], end: str = "") -> None:
        found = self.read_all(engine, [self.shown(asset, end) for asset in wanted])
        for asset, rows in wanted.items():
            assert found[self.shown(asset, end)] == rows, asset

    def shown(self, asset: str, end: str) -> str:
        """Where an environment shows it."""
        schema, table = asset.split(".")
        return f"{schema}{end}.{table}" if self.suffix == "schema" else f"{schema}.{table}{end}"

    def change(self, engine: Engine, orders: str, statement: str | None, rows: list[tuple[Any, ...]]) -> None:
        """Runs a statement on some orders, and adds rows."""
        schema, table_name = orders.split(".")
        self.load(engine, at("more", "spare"), rows)
        with engine.session() as session:
            table, more = name(session, at(table_name, schema)), name(session, at("more", "spare"))
            if statement is not None:
                session.execute(statement.format(table))
            session.execute(f"INSERT INTO {table} SELECT * FROM {more}")
            session.drop([at("more", "spare")])
        engine.close()

    lacks: ClassVar[str] = ""
    """Why it can't be seen on an emulator that a table takes another's place."""
    replaces: ClassVar[bool] = True
    """Whether a table can take another's place, other than by its rows."""

    copies: ClassVar[bool] = False
    """Whether a merge by key makes all rows anew."""

    takes_long: ClassVar[bool] = False
    """Whether being killed, and what is refused anyway, is left to another engine of the kind, as long as nobody asks."""

    def spare(self) -> None:
        if self.takes_long and not os.environ.get(LONG):
            pytest.skip(f"takes five minutes here, and is seen on another engine of the kind; {LONG}=1 runs it")

    def kill(self, command: list[str], seconds: dict[str, float], fraction: float) -> None:
        """Runs a command and kills it, at ``fraction`` of the time that the first such command took; that one isn't."""
        began = time.perf_counter()
        package = str(Path(engines.__file__).parents[2])
        process = subprocess.Popen(
            [sys.executable, "-m", "anabranch", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": package},
        )
        if fraction < 1:
            time.sleep(seconds[command[0]] * fraction)
            process.kill()
            process.wait()
            return
        assert process.wait() == 0
        seconds[command[0]] = time.perf_counter() - began

    kills: ClassVar[tuple[float, ...]] = (0.45, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
    """How far into a command it is killed."""

    @pytest.fixture
    def call(self, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
        def call(*arguments: str, code: int = 0) -> Any:
            """The answer, as JSON where that was asked for; of a command that is to fail, what it says."""
            capsys.readouterr()
            answered = run(cli, arguments)
            out, err = capsys.readouterr()
            assert answered == code, f"{' '.join(arguments)}\n{err}\n{out}"
            if code:
                return err
            return json.loads(out) if "--json" in arguments else None

        return call


class EngineLoop(LoopProject):
    """What is the same on every engine."""

    def test_the_daily_loop(self, project: Path, engine: Engine, call: Callable[..., Any]) -> None:
        self.load(engine, at("orders", "raw"), ORDERS)
        call("apply", "prod", "--yes")
        history: Rows = [("de", 20, True), ("fr", 20, True)]
        first = self.expected(list(ORDERS), [40], history)
        self.check(engine, first)

        # a change in an environment
        self.write(project, "models/marts/revenue.sql", REVENUE.format(more=", count(*) AS n"))
        call("apply", "feature", "--yes")
        changed = self.expected(list(ORDERS), [40], history, counts=True)
        self.check(engine, changed, "__feature")
        self.check(engine, first)
        differing = call("diff", "feature", "--rows", "--profile", "--json")
        assert "marts.revenue" in json.dumps(differing)
        call("promote", "feature", "--yes")
        self.check(engine, changed)
        call("undo", "prod", "--yes")
        self.check(engine, first)

        # data moves on
        self.load(engine, at("late", "raw"), LATE)
        with engine.session() as session:
            late, orders = (name(session, at(n, "raw")) for n in ("late", "orders"))
            session.execute(f"INSERT INTO {orders} SELECT * FROM {late}")
            session.drop([at("late", "raw")])
        engine.close()
        restated = [w for m in ("daily", "latest", "parts") for w in ("--restate", f"marts.{m}")]
        call("run", "prod", *restated, "--yes")
        grown = [*ORDERS, *LATE]
        after = self.expected(list(grown), [40], history)
        some = ("marts.daily", "marts.latest", "marts.parts")
        self.check(engine, {k: (after if k in some else first)[k] for k in (*some, "marts.seen", "marts.history")})
        call("run", "prod", "--ignore-cron", "--yes")
        history = [("de", 20, True), ("fr", 20, True), ("it", 3, True)]
        self.check(engine, self.expected(list(grown), [40], history))

        # and back
        call("undo", "prod", "--yes")
        call("undo", "prod", "--yes")
        self.check(engine, {k: v for k, v in first.items() if k != "stg.orders"})
        assert call("status", "prod", "--json")["drift"] == []
        call("env", "drop", "feature", "--yes")
        call("gc")
        self.check(engine, {k: v for k, v in first.items() if k != "stg.orders"})
        call("doctor")
        with engine.session(read_only=True) as session:
            schemas = [s for s in session.schemas() if not s.startswith("anabranch")]
            assert not [s for s in schemas if s.endswith("__feature")]
            assert not [f.relation for f in session.find(schemas) if f.relation.name.endswith("__feature")]

    @pytest.mark.parametrize("is_keyed", [True, False], ids=["by-key", "as-a-whole"])
    def test_what_was_written_to_a_clone_is_merged(
        self, project: Path, engine: Engine, call: Callable[..., Any], is_keyed: bool
    ) -> None:
        """Into a source that others go on writing to, and back."""
        if not is_keyed and self.lacks:
            pytest.skip(self.lacks)
        if not is_keyed:
            self.spare()
        self.write(project, "models/marts/total.sql", "SELECT sum(amount) AS v FROM raw.orders\n")
        for path in MODELS:
            (project / f"models/{path}.sql").unlink()
        self.write(project, "models/marts/ids.sql", "MODEL (kind VIEW);\nSELECT id FROM raw.orders\n")
        source = {"key": "id"} if is_keyed else {}
        said = json.loads((project / "anabranch.yaml").read_text())
        (project / "anabranch.yaml").write_text(json.dumps({**said, "sources": {"raw.orders": source}}))
        self.load(engine, at("orders", "raw"), ORDERS)
        call("apply", "prod", "--yes")
        call("env", "create", "feature")
        call("clone", "raw.orders", "-e", "feature", "--yes")
        self.change(
            engine,
            self.shown("raw.orders", "__feature"),
            "DELETE FROM {} WHERE id < 10",
            [(3, "de", 50.0, date(2020, 1, 1))],
        )
        if is_keyed:
            self.change(engine, "raw.orders", None, LATE)
        own = [*(o for o in ORDERS if o[0] >= 10), (3, "de", 50.0, date(2020, 1, 1))]
        others = LATE if is_keyed else []
        call("apply", "feature", "--yes")
        rehearsed = [(sum(o[2] for o in own),)]
        before = [(sum(o[2] for o in ORDERS),)]
        assert self.read(engine, self.shown("marts.total", "__feature")) == rehearsed
        assert self.read(engine, "marts.total") == before
        if not is_keyed and not self.replaces:
            assert "can't put one table in another's place" in call("promote", "feature", "--yes", code=1)
            assert self.read(engine, "raw.orders") == sorted(ORDERS, key=repr)
            return
        told = call("promote", "feature", "--yes", "--json")
        (merge,) = [d for d in told["plan"]["decisions"] if d["asset"] == "raw.orders"]
        assert merge["verb"] == "merge"
        if is_keyed:
            assert ("copied" in merge["because"]) is self.copies
        assert told["built"] == ["marts.ids"], "a view, which read the clone"
        assert self.read(engine, "raw.orders") == sorted([*own, *others], key=repr)
        assert self.read(engine, self.shown("raw.orders", "__feature")) == sorted(own, key=repr), (
            "the clone is as it was"
        )
        assert self.read(engine, "marts.total") == rehearsed
        call("undo", "prod", "--yes")
        assert self.read(engine, "raw.orders") == sorted([*ORDERS, *others], key=repr)
        assert self.read(engine, "marts.total") == before
        call("promote", "feature", "--yes")
        assert self.read(engine, "raw.orders") == sorted([*own, *others], key=repr)
        call("env", "drop", "feature", "--yes")
        call("gc")
        assert self.read(engine, "raw.orders") == sorted([*own, *others], key=repr)
        assert self.read(engine, "marts.ids") == sorted([(o[0],) for o in (*own, *others)], key=repr)
        assert self.read(engine, "marts.total") == rehearsed

    def test_a_clone_takes_in_what_another_has_merged(
        self, project: Path, engine: Engine, call: Callable[..., Any]
    ) -> None:
        """With what was written to it, so that the outcome was rehearsed before it is promoted."""
        self.spare()
        self.write(project, "models/marts/total.sql", "SELECT sum(amount) AS v FROM raw.orders\n")
        for path in MODELS:
            (project / f"models/{path}.sql").unlink()
        said = json.loads((project / "anabranch.yaml").read_text())
        (project / "anabranch.yaml").write_text(json.dumps({**said, "sources": {"raw.orders": {"key": "id"}}}))
        self.load(engine, at("orders", "raw"), ORDERS)
        call("apply", "prod", "--yes")
        mine = [(3000, "fr", 7.0, date(2020, 1, 3))]
        for environment, statement, rows in (("feature", "DELETE FROM {} WHERE id < 10", LATE), ("other", None, mine)):
            call("env", "create", environment)
            call("clone", "raw.orders", "-e", environment, "--yes")
            self.change(engine, self.shown("raw.orders", f"__{environment}"), statement, rows)
        call("apply", "other", "--yes")
        call("apply", "feature", "--yes")
        call("promote", "feature", "--yes")
        merged = [*(o for o in ORDERS if o[0] >= 10), *LATE]
        both = [*merged, *mine]
        call("promote", "other", "--yes", code=3)
        call("apply", "other", "--merged", "--yes")
        assert self.read(engine, self.shown("raw.orders", "__other")) == sorted(both, key=repr)
        assert self.read(engine, self.shown("marts.total", "__other")) == [(sum(o[2] for o in both),)]
        assert self.read(engine, "raw.orders") == sorted(merged, key=repr)
        call("promote", "other", "--yes")
        assert self.read(engine, "raw.orders") == sorted(both, key=repr)
        assert self.read(engine, "marts.total") == [(sum(o[2] for o in both),)]

    def test_a_command_that_is_killed_is_gone_on_with(
        self, project: Path, engine: Engine, call: Callable[..., Any]
    ) -> None:
        """Whenever that is: readers see each asset as it was or as it shall be, and the same command, given again, leads
        to where it would have led."""
        self.spare()
        self.load(engine, at("orders", "raw"), ORDERS)
        call("apply", "prod", "--yes")
        old = self.expected(list(ORDERS), [40], [("de", 20, True), ("fr", 20, True)])
        daily = project / "models/marts/daily.sql"
        text = daily.read_text()
        seconds = {"apply": 0.0, "promote": 0.0}
        for turn, fraction in enumerate((1.0, *self.kills)):
            daily.write_text(text.replace("sum(amount) AS v", f"sum(amount) + {turn + 1} AS v"))
            self.write(project, "models/marts/revenue.sql", REVENUE.format(more=", count(*) AS n" if turn % 2 else ""))
            new = self.expected(list(ORDERS), [40], [("de", 20, True), ("fr", 20, True)], counts=bool(turn % 2))
            new["marts.daily"] = [(*row[:2], float(str(row[2])) + turn + 1) for row in new["marts.daily"]]
            for command in (["apply", "feature"], ["promote", "feature", "--yes"]):
                self.kill(command, seconds, fraction)
                for asset, rows in self.read_all(engine, old).items():
                    assert rows in (old[asset], new[asset]), f"{asset} after {command} {fraction}"
                call(*command)
                self.check(engine, new, "__feature")
            self.check(engine, new)
            old = new
        assert call("status", "prod", "--json")["drift"] == []
        call("gc")
        self.check(engine, old)
