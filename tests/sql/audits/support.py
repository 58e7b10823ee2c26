"""Audits as model files call them, run over a small table in DuckDB."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from anabranch.domain.audit import Audit
from anabranch.domain.names import AssetName
from anabranch.sql.audits.bind import Model, bind
from anabranch.sql.audits.calls import Definition
from anabranch.sql.audits.parse import parse_file
from anabranch.sql.macros.moments import fill_moments
from anabranch.sql.model_file import parse_model
from anabranch.sql.template import fill

MODEL, FILE, AUDITS = "shop.t", Path("models/shop/t.sql"), Path("audits/all.sql")


def audit(call: str, columns: Sequence[str] | None = None, defined: str = "", dialect: str = "duckdb") -> Audit | None:
    """The one audit that a header with ``call`` asks for; ``defined``: the text of an audit file."""
    parsed = parse_model(
        f"MODEL (name {MODEL}, audits ({call}));\nselect 1 as x", FILE, dialect=dialect, default_schema="main"
    )
    found: dict[str, tuple[Path, Definition]] = {}
    if defined:
        found = {d.name: (AUDITS, d) for d in parse_file(defined, AUDITS, dialect=dialect)}
    (one,) = parsed.audits
    return bind(one, Model(MODEL, FILE, tuple(columns) if columns else None, dialect, "main"), found)


def failing(
    wanted: Audit, columns: Mapping[str, str], rows: Sequence[Sequence[object]], *statements: str
) -> list[tuple[object, ...]]:
    """The rows that it returns over a table with these columns and rows. The present is 2024-03-10 12:00."""
    from datetime import UTC, datetime

    with duckdb.connect() as connection:
        for statement in statements:
            connection.execute(statement)
        listed = ", ".join('"' + n.replace('"', '""') + f'" {kind}' for n, kind in columns.items())
        connection.execute(f"CREATE TABLE physical ({listed})")
        if rows:
            connection.executemany(
                f"INSERT INTO physical VALUES ({', '.join('?' * len(columns))})", list(map(list, rows))
            )

        def stand_in(asset: AssetName) -> str:
            return "physical" if asset == MODEL else str(asset).rpartition(".")[2]

        now = datetime(2024, 3, 10, 12, tzinfo=UTC)
        query = fill(wanted.template, stand_in)
        return connection.execute(fill_moments(query, datetime(2024, 3, 1, tzinfo=UTC), now, now)).fetchall()
