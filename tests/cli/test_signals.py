"""Signals, as people use them: what isn't ready waits."""

import pytest

DAILY = """\
MODEL (
  kind INCREMENTAL_BY_TIME_RANGE (time_column day),
  start '2024-01-01',
  end '2024-01-06',
  signals (ready(table := 'raw.visits', most := 4))
);
SELECT (DATE '2024-01-01' + range::INTEGER)::DATE AS day, 1 AS visits FROM range(30)
"""
READY = """\
from datetime import datetime, timezone

from anabranch import signal
from lib.days import first


@signal()
def ready(batch, table, most):
    assert table == "raw.visits"
    assert all(end - start == batch[0][1] - batch[0][0] for start, end in batch)
    return [(start, end) for start, end in batch if start.day <= most + first() - 1]
"""


@pytest.fixture
def daily(shop):
    """A model that waits for a signal which knows of four days of six."""
    shop.write("models/marts/daily.sql", DAILY)
    shop.write("models/marts/total.sql", "SELECT sum(visits) AS visits FROM marts.daily\n")
    shop.write("signals/visits.py", READY)
    shop.write("lib/days.py", "def first():\n    return 1\n")
    return shop


def days(shop, table="marts.daily"):
    return shop.run_sql(f"SELECT count(*) FROM {table}")[0][0]


def test_a_first_build_leaves_what_is_not_ready(daily, anabranch):
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 0, said.err
    assert "marts.daily waits for signal ready: 2 days" in said.err
    assert days(daily) == 4


def test_a_run_waits_and_fills_when_it_is_ready(daily, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    said = anabranch("run", "prod", "--dry-run")
    assert said.code == 0
    assert "marts.daily waits for signal ready: 2 days" in said.out
    daily.replace("signals/visits.py", "<= most", "<= 1 + most")
    said = anabranch("run", "prod", "--yes")
    assert said.code == 0, said.err
    assert "marts.daily waits for signal ready: 1 day" in said.err
    assert (days(daily), daily.run_sql("SELECT visits FROM marts.total")) == (
        5,
        [(4,)],
    )  # total isn't due before tomorrow
    daily.replace("signals/visits.py", "<= 1 + most", "<= 2 + most")
    assert anabranch("run", "prod", "--ignore-cron", "--yes").code == 0
    assert (days(daily), daily.run_sql("SELECT visits FROM marts.total")) == (6, [(6,)])


def test_nothing_ready_is_an_empty_table_that_a_run_fills(daily, anabranch):
    daily.replace("signals/visits.py", "return [", "return False and [")
    assert anabranch("apply", "prod", "--yes").code == 0
    assert days(daily) == 0
    daily.replace("signals/visits.py", "return False and [", "return True or [")
    assert anabranch("run", "prod", "--yes").code == 0
    assert days(daily) == 6


def test_a_restatement_asks_nobody(daily, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    daily.write(
        "signals/visits.py",
        "from anabranch import signal\n\n\n@signal('ready')\ndef never(batch, table, most):\n    return False\n",
    )
    said = anabranch("run", "prod", "--restate", "marts.daily", "--yes")
    assert said.code == 0, said.err
    assert "waits" not in said.err
    assert days(daily) == 4


def test_a_signal_that_fails_leaves_its_model_and_the_others_go_on(daily, anabranch):
    assert anabranch("apply", "prod", "--yes").code == 0
    daily.replace("signals/visits.py", 'assert table == "raw.visits"', "raise ConnectionError('no answer')")
    said = anabranch("run", "prod", "--ignore-cron", "--yes")
    assert said.code == 1
    assert "signal ready of marts.daily failed: ConnectionError: no answer (signals/visits.py:9)" in said.err
    assert "models refreshed" in said.out
    assert anabranch("run", "prod", "--dry-run").code == 1
    said = anabranch("run", "prod", "--select", "marts.total", "--ignore-cron", "--yes")
    assert said.code == 0, said.err


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("def ready", "def raedy", "marts.daily waits for signal ready, which doesn't exist"),
        ("return [", "return None and [", "it returned nothing, not True, False or a list of intervals"),
        ("return [", "return 'abc' or [", "it returned a str, not True"),
        ("return [", "return 3 or [", "it returned a int, not True"),
        ("from anabranch import", "from sqlmesh import", "signals/visits.py can't be imported"),
    ],
)
def test_what_is_told_of_a_signal_that_cannot_be_asked(daily, anabranch, old, new, told):
    daily.replace("signals/visits.py", old, new)
    said = anabranch("apply", "prod", "--yes")
    assert said.code == 2
    assert told in said.err


def test_a_model_computed_as_a_whole_that_waits_for_no_signal(shop, anabranch):
    shop.write("models/marts/top.sql", "MODEL (signals nevver); SELECT 1 AS id")
    shop.write("signals/all.py", "from anabranch import signal\n\n\n@signal()\ndef never(batch):\n    return False\n")
    said = anabranch("plan", "prod")
    assert said.code == 2
    assert "marts.top waits for signal nevver, which doesn't exist" in said.err
    assert "did you mean never?" in said.err


def test_a_model_computed_as_a_whole_is_asked_about_its_last_interval(shop, anabranch):
    shop.write("models/marts/top.sql", "MODEL (signals never, cron '@daily'); SELECT 1 AS id")
    shop.write(
        "signals/all.py",
        "from anabranch import signal\n\n\n@signal()\ndef never(batch):\n    assert len(batch) == 1\n    return False\n",
    )
    assert anabranch("apply", "prod", "--yes").code == 0, "a first build isn't held up"
    said = anabranch("run", "prod", "--ignore-cron", "--dry-run")
    assert "marts.top waits for signal never" in said.out
    assert "refresh  marts.top" not in said.out


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        ("(ready('x'))", "a signal's arguments have names"),
        ("(ready x)", "a signal is a name, with arguments in parentheses"),
        ("(ready(x := f(1)))", "a signal's arguments are literals"),
    ],
)
def test_what_is_told_of_a_header(shop, anabranch, signals, told):
    shop.write("models/marts/top.sql", f"MODEL (signals {signals}); SELECT 1 AS id")
    said = anabranch("plan", "prod")
    assert said.code == 2
    assert told in said.err
    assert "models/marts/top.sql:1:" in said.err
