"""What a new environment costs where a statement takes long: DuckDB with a pause in each, and without transactions.

    .venv/bin/python bench/latency.py [VIEWS] [SECONDS] [CONNECTIONS]

prints one JSON object; by default 2,400 views, 1.5 s, 32 connections.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.plain import PlainDuckDB

from anabranch.domain.ids import Fingerprint, digest
from anabranch.domain.names import AssetName, EnvironmentName
from anabranch.domain.places import physical_location
from anabranch.domain.snapshot import Definition, Kind, Snapshot
from anabranch.providers.models import ModelsProvider
from anabranch.providers.standing import relation
from anabranch.testing.provider_helpers import show, state


def model(number: int) -> Snapshot:
    asset = AssetName(f"sales{number % 8}.t{number}")
    fingerprint = Fingerprint(digest(asset.encode()))
    location = physical_location(asset, fingerprint)
    return Snapshot(asset, Kind.FULL, "models", fingerprint, fingerprint, location, definition=Definition("SELECT 1"))


def main(views: int = 2400, seconds: float = 1.5, connections: int = 32) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        engine = PlainDuckDB(Path(folder) / "w.duckdb")
        models = [model(n) for n in range(views)]
        with engine.session() as session:
            session.create_schemas({relation(m.location).schema for m in models})
            for each in models:
                session.create_table(relation(each.location), "SELECT 1 AS x")
        provider = ModelsProvider(
            engine,
            root=Path(folder),
            trunk=EnvironmentName("prod"),
            default_schema="main",
            connections=connections,
        )
        engine.statements, engine.most, engine.delay = 0, 0, seconds
        began = time.perf_counter()
        show(provider, EnvironmentName("feature"), state(1), {m.asset: (None, m) for m in models})
        passed = time.perf_counter() - began
        engine.close()
        return {
            "views": views,
            "seconds_a_statement": seconds,
            "connections": connections,
            "statements": engine.statements,
            "most_at_once": engine.most,
            "seconds": round(passed, 1),
        }


if __name__ == "__main__":
    given = [float(a) if "." in a else int(a) for a in sys.argv[1:]]
    print(json.dumps(main(*given)))  # type: ignore[arg-type]  # what the user typed
