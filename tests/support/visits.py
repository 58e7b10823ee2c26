"""A project over visits, day by day, for what data that moves on is tested with."""

from __future__ import annotations

from tests.support.shop import Shop

YAML = """\
project: shop
warehouse: {database: shop.duckdb}
sources:
  raw.visits: {columns: {id: integer, day: date, amount: integer}}
"""


def visits_project(shop: Shop, models: dict[str, str], *, days: int) -> Shop:
    """``shop`` with these ``models`` alone (by path), over ten visits on each of so many ``days`` from 2024-01-01."""
    shop.write("anabranch.yaml", YAML)
    for old in [*(shop.root / "models").rglob("*.sql"), *(shop.root / "seeds").rglob("*.csv")]:
        old.unlink()
    for path, text in models.items():
        shop.write(path, text)
    shop.run_sql(
        "CREATE SCHEMA IF NOT EXISTS raw",
        "CREATE TABLE raw.visits AS SELECT range::INTEGER AS id,"
        f" (DATE '2024-01-01' + (range % {days})::INTEGER)::DATE AS day, 1 AS amount FROM range({days * 10})",
    )
    return shop
