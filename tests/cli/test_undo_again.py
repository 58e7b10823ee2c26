"""Who asks again for an undo that was killed gets that one, not another."""

import subprocess
import sys
from pathlib import Path

KILLED = Path(__file__).parents[2] / "scripts" / "docs_killed.py"


def test_an_undo_that_was_killed_is_asked_for_again(applied, anabranch):
    for number in (1, 2):
        applied.write("models/marts/step.sql", f"SELECT {number} AS number\n")
        assert anabranch("apply", "prod", "--yes").code == 0
    applied.write("models/marts/step.sql", "SELECT 3 AS number\n")
    assert anabranch("apply", "prod", "--yes").code == 0
    killed = subprocess.run([sys.executable, str(KILLED), "undo", "prod", "--yes"], check=False, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert applied.run_sql("SELECT number FROM marts.step") == [(3,)], "the ref moved, the views didn't"
    said = anabranch("undo", "prod", "--yes")
    assert said.code == 1
    assert "the interrupted undo of prod is done now; nothing else was undone" in said.err
    assert applied.run_sql("SELECT number FROM marts.step") == [(2,)]
    assert anabranch("undo", "prod", "--yes").code == 0
    assert applied.run_sql("SELECT number FROM marts.step") == [(1,)]
