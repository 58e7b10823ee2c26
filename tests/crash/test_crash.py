"""A command that dies at any instant loses nothing: see :mod:`tests.crash.zygote`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from tests.crash.scenarios import SCENARIOS
from tests.crash.watching import Event, choose, points
from tests.crash.zygote import TORN

PARTS = 2
"""Each scenario in so many tests, for as many processors."""
MORE = int(os.environ.get("ANABRANCH_CRASH_CASES", "12"))
"""Cases of a scenario that are run besides those that differ from all others; 1000 for every single one."""

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_command_that_dies_at_any_instant(name, part, record_property):
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.zygote", name, str(part), str(PARTS), str(MORE)],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if not k.startswith("GIT_")},
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    for key in ("scenario", "events", "cases", "run", "torn"):
        record_property(key, told[key])
    assert told["run"] >= 5, told["told"]
    assert told["writes"] >= 3, told["told"]
    assert not told["failures"], (
        "\n\n".join(told["failures"][:3]) + f"\n\n{len(told['failures'])} cases\n{told['told']}"
    )


def test_duckdb_writes_its_catalog_in_place(tmp_path):
    """Why a kill in the midst of a checkpoint may lose a DuckDB file: half of the new block over the old one, and neither
    the old state nor the log helps. Once this fails, DuckDB has mended it, and TORN and docs/crash-safety.md can go."""
    path, log = tmp_path / "a.duckdb", tmp_path / "a.duckdb.wal"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")
    with duckdb.connect(str(path)) as connection:
        connection.execute("PRAGMA disable_checkpoint_on_shutdown")
        connection.execute("CREATE VIEW v AS SELECT 1 AS b")
    old, logged = path.read_bytes(), log.read_bytes()
    duckdb.connect(str(path)).close()
    new, first_block = path.read_bytes(), 3 * 4096
    changed = [i for i in range(first_block, len(old)) if old[i] != new[i]]
    torn = bytearray(old)
    torn[changed[0]] = new[changed[0]]
    path.write_bytes(old)
    log.write_bytes(logged)
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT count(*), any_value(b) FROM t, v").fetchall() == [(1000, 1)]
    path.write_bytes(torn)
    log.write_bytes(logged)
    with pytest.raises(duckdb.Error, match=TORN):
        duckdb.connect(str(path))


def test_every_state_is_tried_whatever_is_left_out():
    events = [
        Event("store", "read", writes=False),
        Event("store", "swap", writes=True),
        Event("engine", "select", writes=False),
        Event("engine", "COMMIT", writes=True, seconds=0.1),
        Event("store", "read", writes=False),
        Event("store", "swap", writes=True),
    ]
    cases = [(p.number, p.when) for p in points(events)]
    assert cases == [
        (0, "before"),
        (1, "before"), (1, "after"),
        (2, "before"),
        (3, "before"), (3, "after"), (3, "in"), (3, "in"), (3, "in"),
        (4, "before"),
        (5, "before"), (5, "after"),
    ]  # fmt: skip
    chosen = [(p.number, p.when) for p in choose(events, 0)]
    assert chosen == [(0, "before"), (2, "before"), *[(3, "in")] * 3, (4, "before"), (5, "after")]
    assert len(choose(events, 2)) == len(chosen) + 2
    assert choose(events, 1000) == points(events)
