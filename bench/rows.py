"""How long `anabranch diff --rows` takes on many rows: two tables of ten million, in a bounded memory.

    .venv/bin/python bench/rows.py [--rows 10000000] [--memory 2GB] [--again] [--write]

Makes a project in .bench/rows with a table of ten columns, a branch that changes, adds and removes some rows, and one
more table without a key. Then measures `anabranch diff` in fresh processes, and checks each answer against what was done
to the table. A figure without that is not a figure. ``--write`` puts the figures into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import measure
import page

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".bench" / "rows"

BEFORE = """
SELECT range AS id, range % 1000 AS shop, ['de', 'fr', 'it', 'es', 'uk'][range % 5 + 1] AS country,
  hash(range) % 100000 / 100 AS amount, range * 7919 % 100000 AS quantity, 'customer ' || range * 31 % 1000000 AS customer,
  TIMESTAMP '2020-01-01' + INTERVAL 1 SECOND * (range % 90000000) AS at, range % 2 = 0 AS is_gift,
  (range % 997)::DECIMAL(12, 2) AS price, 'note ' || md5(range::VARCHAR) AS note
FROM range({rows})
"""
ORDERS = "MODEL (name marts.orders, kind FULL{key});\n\n{query}\n"
AFTER = """
SELECT * REPLACE (
  CASE WHEN id % 100 = 3 THEN amount + 1 ELSE amount END AS amount,
  CASE WHEN id % 1000 = 7 THEN 'x' ELSE customer END AS customer
)
FROM (
  SELECT * FROM raw.orders WHERE id % 10000 <> 5
  UNION ALL SELECT * REPLACE (id + 1000000000 AS id) FROM raw.orders WHERE id % 10000 = 6
)
ORDER BY hash(id)
"""
COMMANDS = {
    "by key": ("diff", "dev", "--select", "marts.orders", "--rows"),
    "by key, with the profile of every column, as HTML and JSON": (
        *("diff", "dev", "--select", "marts.orders", "--html", "rows.html", "--json"),
    ),
    "as whole rows, without a key": ("diff", "dev", "--select", "marts.keyless", "--rows"),
}


def main() -> int:
    """Makes the project, measures and checks."""
    parser = argparse.ArgumentParser(prog="bench/rows.py", description="Measure `anabranch diff --rows`.")
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of each table, a multiple of 10,000")
    parser.add_argument("--memory", default="2GB", help="DuckDB's memory_limit")
    parser.add_argument("--again", action="store_true", help="on the tables that the last run made")
    parser.add_argument("--write", action="store_true", help="put the figures into docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.rows % 10_000 or arguments.rows <= 0:
        parser.error("--rows must be a multiple of 10,000")
    if not arguments.again:
        _make(arguments.rows, arguments.memory)
    figures = {}
    for title, command in COMMANDS.items():
        log = HOME / "diff.log"
        figures[title] = measure.run([sys.executable, "-m", "anabranch", *command], HOME, log, dict(os.environ))
        _check(log.read_text(encoding="utf-8"), arguments.rows, keyed="marts.orders" in command)
        one = figures[title]
        print(f"{title}: {one.wall_s:.1f} s, {one.cpu_s:.1f} CPU s, {one.memory_mb:,.0f} MB")
    if arguments.write:
        page.write(_section(figures, arguments.rows, arguments.memory))
    return 0


def _make(rows: int, memory: str) -> None:
    shutil.rmtree(HOME, ignore_errors=True)
    (HOME / "models" / "marts").mkdir(parents=True)
    (HOME.parent / ".gitignore").write_text("*\n")
    (HOME / "anabranch.yaml").write_text(
        "project: rows\nsources: {raw.orders: {columns: {id: bigint}}}\n"
        f"warehouse: {{engine: duckdb, database: rows.duckdb, settings: {{memory_limit: {memory}}}}}\n"
    )
    with duckdb.connect(str(HOME / "rows.duckdb"), config={"memory_limit": memory}) as warehouse:
        warehouse.execute("CREATE SCHEMA raw")
        warehouse.execute(f"CREATE TABLE raw.orders AS {BEFORE.format(rows=rows)}")
    for environment, query in (("prod", "SELECT * FROM raw.orders"), ("dev", AFTER)):
        for name, key in (("orders", ", grain id"), ("keyless", "")):
            text = ORDERS.format(key=key, query=query).replace("marts.orders", f"marts.{name}")
            (HOME / "models" / "marts" / f"{name}.sql").write_text(text)
        command = [sys.executable, "-m", "anabranch", "apply", environment, "--yes"]
        subprocess.run(command, cwd=HOME, check=True, stdout=subprocess.DEVNULL)


def _check(said: str, rows: int, *, keyed: bool) -> None:
    """That the answer is what was done to the table."""
    lone = rows // 10_000
    changed = rows // 100 + rows // 1_000  # 3 of 100 and 7 of 1,000 are different rows; 6 and 5 of 10,000 none of them
    expected = (lone, lone, changed) if keyed else (lone + changed, lone + changed, None)
    if said.startswith("{"):
        found = json.loads(said.splitlines()[0])["assets"][0]["rows"]
        told = (found["added"], found["removed"], found["changed"])
    else:
        numbers = re.search(r"([\d,]+) added, ([\d,]+) removed(?:, ([\d,]+) changed)?", said)
        told = tuple(n and int(n.replace(",", "")) for n in numbers.groups()) if numbers else ()
    if told != expected:
        raise measure.MeasureError(f"diff said {told}, and it is {expected}")


def _section(figures: dict[str, measure.Measurement], rows: int, memory: str) -> str:
    lines = [
        f"| {title} | {one.wall_s:.1f} | {one.cpu_s:.1f} | {one.memory_mb:,.0f} |" for title, one in figures.items()
    ]
    return "\n".join(
        [
            page.ROWS,
            "",
            f"`anabranch diff --rows` on {rows:,} rows against {rows:,}, of ten columns, of which about one in a hundred",
            f"differs; DuckDB's `memory_limit` is {memory}. `.venv/bin/python bench/rows.py --write` measures it again, and",
            f"checks that each answer is right. On {page.where()}, DuckDB",
            f"{duckdb.__version__}.",
            "",
            "| rows compared | wall s | CPU s | peak MB |",
            "| :-- | --: | --: | --: |",
            *lines,
            "",
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
