"""Functions that run beside the rest of the process: interrupts, output, what is installed."""

import sys
import threading
from functools import partial

import pytest

from anabranch.domain.ids import Fingerprint
from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import PYTHON, Definition, Function, Kind, Snapshot
from anabranch.engines.duckdb import DuckDBEngine
from anabranch.errors import ModelError, StatementFailed, WarehouseUnavailable, Where
from anabranch.ports.engine import Relation
from anabranch.providers import python_runs
from anabranch.providers.python_runs import PythonRun

PLACE = Relation("main", "made")


@pytest.fixture
def engine(tmp_path):
    engine = DuckDBEngine(tmp_path / "warehouse.duckdb")
    yield engine
    engine.close()


@pytest.fixture
def load(engine, tmp_path):
    """Runs a function's text over ``main.numbers``, into a table; its rows."""

    def call(text, columns=None):
        function = Function(
            "models.m", "execute", 1, columns or {"id": "int"}, ("main.numbers",), {"models/m.py": text}
        )
        definition = Definition(function.encode(), PYTHON, "models/m.py")
        snapshot = Snapshot(
            AssetName("main.made"),
            Kind.FULL,
            "models",
            Fingerprint("f"),
            Fingerprint("l"),
            "main.made",
            definition=definition,
        )
        with engine.session() as session:
            sources = {AssetName("main.numbers"): "SELECT range AS id FROM range(10)"}
            run = PythonRun(
                session, partial(engine.session, read_only=True), snapshot, tmp_path, sources, "main", 86400, "duckdb"
            )
            run.load(PLACE, None)
            return session.query("SELECT * FROM main.made ORDER BY ALL").rows

    return call


def test_what_a_function_is_given(load):
    text = (
        "import pyarrow as pa\n"
        "def execute(context, start, execution_time, end=None, other=7):\n"
        "    yield pa.table({'id': [str(start), str(end), str(execution_time), str(other)]})\n"
    )
    told = [row[0] for row in load(text, {"id": "text"})]
    assert told == ["1970-01-01 00:00:00+00:00", "1970-01-01 23:59:59.999999+00:00", "1970-01-02 00:00:00+00:00", "7"]


def test_forms_of_what_is_read(load):
    text = (
        "import pyarrow as pa\n"
        "def execute(context):\n"
        "    rows = context.table('NUMBERS')\n"
        "    assert rows.num_rows == len(rows) == len(rows.arrow()) == len(rows.pandas()) == len(rows.polars()) == 10\n"
        "    assert rows.name == 'NUMBERS' and rows['id'][0].as_py() == 0\n"
        "    assert sum(b.num_rows for b in rows.reader(3)) == 10\n"
        "    assert not hasattr(rows, '_repr_html_')\n"
        "    yield pa.table(rows)\n"
        "    yield rows\n"
    )
    assert len(load(text)) == 20


def test_an_expression_is_computed_in_the_warehouse(load):
    text = (
        "import ibis\n"
        "def execute(context):\n"
        "    numbers, same = context.table('numbers').ibis(), context.table('numbers', columns=['id']).ibis()\n"
        "    joined = numbers.join(same, numbers.id == same.id).filter(numbers.id > 3)\n"
        "    yield joined.group_by(id=(numbers.id % 2)).agg(n=ibis._.count()).select(id=ibis._.id + ibis._.n)\n"
        "    yield ibis.memtable({'id': [70]})\n"
        "    yield numbers.filter(numbers.id < 0)\n"
    )
    assert load(text) == [(3,), (4,), (70,)], "of 4 to 9 three are even, three odd"


def test_an_expression_over_both_sides(load):
    text = (
        "import ibis\n"
        "def execute(context):\n"
        "    numbers, own = context.table('numbers').ibis(), ibis.memtable({'id': [1]})\n"
        "    yield numbers.join(own, 'id')\n"
    )
    with pytest.raises(ModelError, match="can't hold rows of memory too"):
        load(text)


def test_an_interrupt_stops_a_function_that_runs(load, engine):
    began, ended = threading.Event(), []
    sys.modules["anabranch_test_began"] = began  # type: ignore[assignment]  # found by the text below
    text = (
        "import sys, time\n"
        "def execute(context):\n"
        "    sys.modules['anabranch_test_began'].set()\n"
        "    while True:\n"
        "        time.sleep(0.001)\n"
    )

    def run():
        try:
            load(text)
        except KeyboardInterrupt:
            ended.append("interrupted")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert began.wait(60)
        python_runs.interrupt()
        thread.join(60)
    finally:
        del sys.modules["anabranch_test_began"]
    assert ended == ["interrupted"]
    with engine.session() as session:
        assert session.columns(PLACE) is None
    python_runs.interrupt()  # nothing runs any more: nobody is hit


def test_only_the_function_is_captured(load, capsys):
    text = (
        "import sys, threading\n"
        "def execute(context):\n"
        "    print('mine')\n"
        "    print('mine', file=sys.stderr)\n"
        "    other = threading.Thread(target=print, args=('other',))\n"
        "    other.start()\n"
        "    other.join()\n"
        "    yield from ()\n"
    )
    before = sys.stdout, sys.stderr
    load(text)
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("other\n", "")


def test_without_arrow_it_says_what_to_install(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(WarehouseUnavailable) as raised:
        load("def execute(context):\n    return 1\n")
    assert raised.value.hint == "pip install 'anabranch[python]'"


def test_an_error_of_the_warehouse_has_the_line_that_asked(load, tmp_path):
    with pytest.raises(StatementFailed) as raised:
        load("def execute(context):\n    context.fetchdf('SELECT nothing')\n")
    assert raised.value.where == Where(tmp_path / "models/m.py", 2)


def test_what_is_missing_in_a_function_is_told(load):
    with pytest.raises(ModelError, match=r"TypeError: .*missing 1 required"):
        load("def execute(context, start, other):\n    return 1\n")
