"""A small project with every kind of asset, to try commands on.

::

    raw.orders (source)  seeds.countries (seed)
            │                   │
    stg.orders (view) ──────────┤
            │                   │
    core.valid (embedded)       │
            └──────┬────────────┘
            marts.revenue (full)
                   │
            marts.top (full)
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from anabranch.stores.sqlite import SqliteStore

FILES = {
    "anabranch.yaml": """\
project: shop
warehouse: {engine: duckdb, database: shop.duckdb, patience: 5s}
sources:
  raw.orders: {columns: {id: integer, country: text, amount: double}}
""",
    "seeds/countries.csv": "code,name\nde,Germany\nfr,France\nit,Italy\n",
    "models/stg/orders.sql": """\
MODEL (name stg.orders, kind VIEW);

SELECT id, country, amount
FROM raw.orders
""",
    "models/core/valid.sql": """\
MODEL (name core.valid, kind EMBEDDED);

SELECT * FROM stg.orders WHERE amount > 0
""",
    "models/marts/revenue.sql": """\
MODEL (name marts.revenue, kind FULL, grain name);

SELECT
  c.name,
  sum(v.amount) AS revenue
FROM core.valid AS v
JOIN seeds.countries AS c ON c.code = v.country
GROUP BY c.name
""",
    "models/marts/top.sql": """\
MODEL (name marts.top, kind FULL);

SELECT name FROM marts.revenue ORDER BY revenue DESC LIMIT 1
""",
}
RAW = "CREATE TABLE raw.orders AS SELECT range AS id, ['de', 'fr', 'it'][range % 3 + 1] AS country, range % 7 - 1.0 AS amount FROM range(100)"
WHO = {f"GIT_{role}_{what}": {"NAME": "Ada", "EMAIL": "ada@example.org"}[what]
       for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}  # fmt: skip


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shop:
    """The project, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "shop.duckdb"

    def make(self, *, git: bool = True) -> Shop:
        for path, text in FILES.items():
            self.write(path, text)
        self.run_sql("CREATE SCHEMA raw", RAW)
        if git:
            self.branch("main")
        return self

    # --- files

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text(encoding="utf-8")
        assert old in text
        self.write(path, text.replace(old, new))

    def branch(self, name: str) -> None:
        """Checks a branch out, as far as Anabranch looks."""
        self.write(".git/HEAD", f"ref: refs/heads/{name}\n")

    # --- the warehouse

    def run_sql(self, *statements: str) -> list[tuple]:
        """The last one's answer."""
        with duckdb.connect(str(self.database)) as connection:
            for statement in statements:
                found = connection.execute(statement)
            return found.fetchall() if found.description else []

    def catalog(self) -> list[tuple]:
        """All that stands in the warehouse, and what it says of itself."""
        if not self.database.exists():
            return []
        with duckdb.connect(str(self.database), read_only=True) as connection:
            found = connection.execute(
                "SELECT 'view', schema_name, view_name, sql FROM duckdb_views() WHERE NOT internal"
                " UNION ALL SELECT 'table', schema_name, table_name, sql FROM duckdb_tables() WHERE NOT internal"
                " UNION ALL SELECT 'schema', schema_name, '', '' FROM duckdb_schemas() WHERE NOT internal ORDER BY ALL"
            ).fetchall()
            if ("table", "anabranch", "environments") in [row[:3] for row in found]:
                found += connection.execute("SELECT * FROM anabranch.environments ORDER BY ALL").fetchall()
            return found

    def physical(self) -> set[str]:
        """``schema.table`` of everything among the physical tables."""
        return {
            f"{row[1]}.{row[2]}"
            for row in self.catalog()
            if row[0] != "schema" and str(row[1]).startswith("anabranch__")
        }

    # --- the state

    def cells(self, prefix: str = "") -> Mapping[str, bytes]:
        path = self.root / ".anabranch" / "state.db"
        if not path.exists():
            return {}
        with SqliteStore(path) as store:
            return store.scan(prefix)

    def heads(self) -> dict[str, str]:
        return {k.removeprefix("ref/"): json.loads(v)["head"] for k, v in self.cells("ref/").items()}

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Environments, builds and the warehouse's catalog are afterwards as before, and nothing is left open."""
        before = self.cells("ref/"), self.cells("physical/"), self.catalog()
        yield
        assert (self.cells("ref/"), self.cells("physical/"), self.catalog()) == before
        assert not self.cells("open/")
        assert not self.cells("line/")

    # --- commands

    def call(self, *arguments: str, before: Callable[[], None] | None = None) -> Said:
        """By a process of its own, in which ``before`` is called first."""
        process = self.start(*arguments, before=before)
        out, err = process.communicate(timeout=120)
        return Said(process.returncode, out, err)

    def start(self, *arguments: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
        def begin() -> None:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a suite in the background ignores some
                signal.signal(number, signal.SIG_DFL)
            if before is not None:
                before()

        return subprocess.Popen(
            [sys.executable, "-m", "anabranch", *arguments],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | WHO | {"HOME": str(self.root)},
            preexec_fn=begin,  # noqa: PLW1509  # no threads here
        )

    def plain(self, text: str) -> str:
        """What differs from run to run, replaced."""
        for pattern, told in (
            (re.escape(str(self.root)), "<root>"),
            (r"(@|→|undo|restore|restore \w+) [0-9a-f]{7}\b", r"\1 <commit>"),
            (r"\b[0-9a-f]{7}\b(?=   )", "<commit>"),
            (r"\d[\d,.]* (MB|kB|bytes)\b", "<size>"),
            (r"__[0-9a-f]{12}\b", "__<version>"),
            (r"\(plan [0-9a-f]{12}\)", "(plan <plan>)"),
            (r"process \d+ \([^)]*\)", "process <number>"),
            (r"process \d+ on \S+", "process <number>"),
            (r" *\d+(\.\d+)? s\b", " <time>"),
        ):
            text = re.sub(pattern, told, text)
        return text


def without_privileges() -> None:
    """Called in a new process before its program: permissions hold for it, even if it is root's."""
    if os.geteuid() == 0:
        drop, override, read_search = 24, 1, 2  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        library = ctypes.CDLL(None)
        for capability in (override, read_search):
            assert library.prctl(drop, capability, 0, 0, 0) == 0


def with_room(number: int) -> Callable[[], None]:
    """Called in a new process before its program: no file can grow beyond so many bytes, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (number, number))
