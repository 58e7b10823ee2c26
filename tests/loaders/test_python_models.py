"""Models in Python, read by their text."""

import json
import sys
from pathlib import Path

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.names import AssetName
from anabranch.domain.snapshot import PYTHON, Function, Kind
from anabranch.errors import ModelError, UnknownUpstream

NAME = AssetName("marts.scored")
FILES = {
    "models/stg/orders.sql": "select 1 as id",
    "models/marts/scored.py": """\
from anabranch import model
from lib.rates import rate
from . import names


@model("marts.scored", columns={"id": "INT", "score": "decimal(9, 2)"}, depends_on=["stg.orders"], owner="ada")
def execute(context, start, end, execution_time, **kwargs):
    return names.shown(rate(context.table("stg.orders")))
""",
    "models/marts/names.py": "def shown(x):\n    return x\n",
    "lib/rates.py": """\
from lib.deep.constants import BASE, OTHER

UNUSED = 1


def rate(x):
    '''Of x.'''
    return times(x, BASE)  # times


def times(x, y):
    return x * y


def unused():
    return OTHER
""",
    "lib/deep/constants.py": "BASE = 2\nOTHER = 3\n",
}


def load(root, **changes):
    return loader(root, changes, cache=root / "cache.db").load().assets[NAME]


@pytest.fixture
def root(tmp_path):
    write(tmp_path, FILES)
    return tmp_path


def replaced(root, path, old, new):
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new))
    return load(root)


def one(tmp_path, decorator, body="return context", before="from anabranch import model\n"):
    """A project of one model, by its decorator."""
    text = f"{before}\n\n{decorator}\ndef execute(context, start, end, **kwargs):\n    {body}\n"
    files = {"models/marts/scored.py": text, "models/stg/orders.sql": "select 1 as id"}
    return loader(tmp_path, files).load().assets


def test_what_a_file_says(root):
    found = load(root)
    assert (found.kind, found.definition.dialect, found.definition.path) == (
        Kind.FULL,
        PYTHON,
        "models/marts/scored.py",
    )
    assert found.properties == {"owner": "ada"}
    assert set(found.upstreams) == {"stg.orders"}
    function = Function.decode(found.definition.text)
    assert (function.module, function.function, function.line) == ("models.marts.scored", "execute", 7)
    assert list(function.columns.items()) == [("id", "int"), ("score", "decimal(9, 2)")]
    assert sorted(function.modules) == [
        "lib/deep/constants.py", "lib/rates.py", "models/marts/names.py", "models/marts/scored.py",
    ]  # fmt: skip


def test_no_file_is_run(root):
    write(root, {"models/marts/boom.py": "raise SystemExit('run')\n", "lib/boom.py": "raise SystemExit('run')\n"})
    replaced(root, "models/marts/scored.py", "from . import names", "from . import boom, names\nimport lib.boom")
    assert not [m for m in sys.modules if m.endswith(("marts.scored", "lib.rates"))]


CHANGES = [
    ("lib/rates.py", "  # times", "  # many"),
    ("lib/rates.py", "'''Of x.'''", "'''Of something.'''"),
    ("lib/rates.py", "x * y", "(x *\n            y)"),
    ("lib/rates.py", "UNUSED = 1", "UNUSED = 2"),
    ("lib/rates.py", "return OTHER", "return OTHER + 1"),
    ("lib/deep/constants.py", "OTHER = 3", "OTHER = 4"),
    ("models/marts/scored.py", 'owner="ada"', 'owner="eve", description="Scores", tags=["a"]'),
    ("models/marts/scored.py", "INT", "int"),
]


@pytest.mark.parametrize(("path", "old", "new"), CHANGES)
def test_what_does_not_count(root, path, old, new):
    assert load(root).fingerprint == replaced(root, path, old, new).fingerprint


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("lib/rates.py", "x * y", "x + y"),
        ("lib/rates.py", "times(x, BASE)", "times(BASE, x)"),
        ("lib/rates.py", "UNUSED = 1", "print('at import')"),
        ("lib/deep/constants.py", "BASE = 2", "BASE = 2.0"),
        ("models/marts/names.py", "return x", "return [x]"),
        ("models/marts/scored.py", "decimal(9, 2)", "decimal(9, 3)"),
        ("models/marts/scored.py", "owner=", "stamp='2', owner="),
        ("models/marts/scored.py", "columns=", 'kind="incremental_unmanaged", columns='),
        ("models/stg/orders.sql", "1 as id", "2 as id"),
    ],
)
def test_what_counts(root, path, old, new):
    assert load(root).fingerprint != replaced(root, path, old, new).fingerprint


def test_what_runs_at_an_import_counts(root):
    write(root, {"lib/setup.py": "import decimal\ndecimal.getcontext().prec = 9\n\n\ndef unused():\n    return 1\n"})
    before = replaced(root, "models/marts/scored.py", "from . import names", "from . import names\nimport lib.setup")
    assert replaced(root, "lib/setup.py", "return 1", "return 2").fingerprint == before.fingerprint
    assert replaced(root, "lib/setup.py", "prec = 9", "prec = 8").fingerprint != before.fingerprint


def test_a_module_that_appears_counts(root):
    replaced(
        root, "models/marts/scored.py", "from lib.rates import rate", "from lib import later, rates\nrate = rates.rate"
    )
    before = replaced(root, "models/marts/scored.py", "rate(", "later.rate(")
    write(root, {"lib/later.py": "rate = 1\n"})
    after = load(root)
    assert after.fingerprint != before.fingerprint
    (root / "lib/later.py").unlink()
    assert load(root).fingerprint == before.fingerprint


def test_names_that_are_looked_up_take_the_whole_file_in(root):
    text = FILES["lib/rates.py"].replace("return times(x, BASE)", "return getattr(constants, 'BA' + 'SE')")
    write(root, {"lib/rates.py": f"from lib.deep import constants\n{text}"})
    assert any("looks names up in modules" in n for n in loader(root).load().notes)
    before = load(root)
    assert replaced(root, "lib/rates.py", "UNUSED = 1", "UNUSED = 2").fingerprint != before.fingerprint


def test_modules_imported_by_name_are_noted(root):
    write(root, {"lib/rates.py": "import importlib\n\ndef rate(x):\n    return importlib.import_module('a' + x)\n"})
    assert any("imports modules by name" in n for n in loader(root).load().notes)


def test_packages_are_noted_and_do_not_count(root, monkeypatch):
    write(root, {"lib/rates.py": "import duckdb, json, nowhere\n\ndef rate(x):\n    return duckdb, json, nowhere\n"})
    found = load(root)
    packages = Function.decode(found.definition.text).packages
    assert set(packages) == {"duckdb", "nowhere"}
    assert packages["duckdb"]
    assert packages["nowhere"] == ""
    monkeypatch.setattr("anabranch.loaders.python_models._version", lambda package: "9")
    (root / "cache.db").unlink()
    assert load(root).fingerprint == found.fingerprint


def test_a_warm_cache_parses_nothing(root, monkeypatch):
    cold = load(root)
    monkeypatch.setattr("anabranch.loaders.python_code.ast.parse", lambda *a: pytest.fail("parsed"))
    warm = load(root)
    assert (warm, warm.definition) == (cold, cold.definition)


def test_the_same_text_in_two_files_is_two_models(tmp_path):
    text = "from anabranch import model\n\n\n@model(columns={'id': 'int'})\ndef execute(context, **k):\n    yield from ()\n"
    files = {"models/a/x.py": text, "models/b/x.py": text}
    for _ in range(2):
        found = loader(tmp_path, files, cache=tmp_path / "cache.db").load().assets
        assert {n: Function.decode(s.definition.text).module for n, s in found.items()} == {
            "a.x": "models.a.x",
            "b.x": "models.b.x",
        }


def test_several_models_in_one_file(tmp_path):
    text = "".join(
        f"@model('marts.{name}', columns={{'id': 'int'}})\ndef {name}(context, **k):\n    return {name!r}\n\n\n"
        for name in "ab"
    )
    found = loader(tmp_path, {"models/all.py": f"from anabranch import model\n\n\n{text}"}).load().assets
    assert {n: Function.decode(s.definition.text).function for n, s in found.items()} == {
        "marts.a": "a",
        "marts.b": "b",
    }
    assert found[AssetName("marts.a")].logic != found[AssetName("marts.b")].logic


def test_names_in_calls_are_read(tmp_path):
    files = {
        "models/main/base.sql": "select 1 as id",
        "models/stg/orders.sql": "select 1 as id",
        "models/stg/more.sql": "select 1 as id",
        "lib/help.py": "def more(context):\n    return context.table('stg.more')\n",
        "models/marts/scored.py": (
            "import anabranch\nfrom lib import help\n\n\n@anabranch.model(columns={'id': 'int'})\n"
            "def execute(ctx, **k):\n    ctx.table('BASE'), ctx.resolve_table(name='stg.orders'), help.more(ctx), k.table('x')\n"
        ),
    }
    assert set(loader(tmp_path, files).load().assets[NAME].upstreams) == {"main.base", "stg.orders", "stg.more"}


def test_an_unknown_name_is_told_with_its_place(tmp_path):
    with pytest.raises(UnknownUpstream, match=r"marts.scored reads stg.ordres") as raised:
        one(tmp_path, "@model(columns={'id': 'int'})", "return context.table('stg.ordres')")
    where = raised.value.where
    assert where is not None
    assert (where.path, where.line, where.column, where.length) == (tmp_path / "models/marts/scored.py", 6, 26, 12)
    assert raised.value.hint == "did you mean stg.orders?"


@pytest.mark.parametrize(
    ("decorator", "kind", "properties"),
    [
        ("kind='full'", Kind.FULL, {}),
        ("kind=dict(name=ModelKindName.FULL), cron='@hourly'", Kind.FULL, {"cron": "@hourly"}),
        ("kind={'name': 'INCREMENTAL_BY_UNIQUE_KEY', 'unique_key': ['id', 'Day']}", Kind.BY_UNIQUE_KEY, {"unique_key": "id,day"}),
        (
            "kind=dict(name='INCREMENTAL_BY_TIME_RANGE', time_column=('day', '%Y'), lookback=2, forward_only=True), start='1970-01-02'",
            Kind.BY_TIME_RANGE,
            {"time_column": "day", "time_format": "%Y", "lookback": "2", "forward_only": "true", "start": "86400"},
        ),
        ("kind=dict(name='INCREMENTAL_BY_PARTITION'), partitioned_by=['day']", Kind.BY_PARTITION, {"partitioned_by": "day"}),
        ("grain=['id', 'day'], tags=['a', \"it's\"], description='It\\'s'", Kind.FULL, {"key": "id,day", "tags": "a,it's", "description": "It's"}),
        ("signals=[('ready', {'table': 'x', 'days': [1, 2]})]", Kind.FULL, {"signals": '[["ready",{"days":[1,2],"table":"x"}]]'}),
    ],
)  # fmt: skip
def test_properties_are_those_of_a_header(tmp_path, decorator, kind, properties):
    found = one(tmp_path, f"@model('marts.scored', columns={{'id': 'int', 'day': 'date'}}, {decorator})")[NAME]
    assert (found.kind, dict(found.properties)) == (kind, properties)


@pytest.mark.parametrize(
    ("decorator", "told", "at"),
    [
        ("@model('marts.scored')", "a model in Python says its columns", (4, 2)),
        ("@model", "@model is called", (4, 2)),
        ("@model(columns=COLUMNS)", "columns isn't a literal, and files aren't run to be read", (4, 16)),
        ("@model(**SAID)", "what @model says is written out", (4, 10)),
        ("@model(columns={'id': 'int', 'ID': 'int'})", "column ID is there twice", (4, 16)),
        ("@model(columns={'id': 'int) as x; --'})", "column id: 'int) as x; --' is no type", (4, 16)),
        ("@model(columns={'id': 'nonsense'})", "column id: 'nonsense' is no type", (4, 16)),
        ("@model(columns={'id': 1})", "columns are names with types", (4, 16)),
        ("@model(columns={'id': 'int'}, kind='view')", "a model in Python can't be VIEW", (4, 36)),
        ("@model(columns={'id': 'int'}, kind='ful')", "there is no kind FUL", (4, 36)),
        ("@model(columns={'id': 'int'}, knid='full')", "a model has no property knid", (4, 36)),
        ("@model(columns={'id': 'int'}, kind={'unique_key': 'id'})", "a dictionary here needs a name", (4, 2)),
        ("@model(columns={'id': 'int'}, is_sql=True)", "a function that returns SQL isn't a model here", (4, 38)),
        ("@model(columns={'id': 'int'}, cron='x')", "cron 'x' can't be used", (4, 36)),
        (
            "@model(columns={'id': 'int'}, kind=dict(name='INCREMENTAL_BY_UNIQUE_KEY', unique_key='idd'))",
            "its kind names idd, which isn't one of its columns",
            (4, 2),
        ),
    ],
)  # fmt: skip
def test_what_is_told_of_a_decorator(tmp_path, decorator, told, at):
    with pytest.raises(ModelError) as raised:
        one(tmp_path, decorator)
    assert told in raised.value.message
    where = raised.value.where
    assert where is not None
    assert (where.path, where.line, where.column) == (tmp_path / "models/marts/scored.py", *at)


def test_sqlmesh_is_told_what_to_write(tmp_path):
    with pytest.raises(ModelError, match="a model's decorator is Anabranch's") as raised:
        one(
            tmp_path,
            "@model('marts.scored', columns={'id': 'int'})",
            before="from sqlmesh import ExecutionContext, model\n",
        )
    assert raised.value.hint == "write: from anabranch import model"


@pytest.mark.parametrize("path", ["models/marts/scored.py", "lib/rates.py"])
def test_what_is_not_python_is_told_with_its_line(root, path):
    write(root, {path: FILES[path] + "\n\ndef (:\n"})
    with pytest.raises(ModelError, match=f"{path} isn't Python") as raised:
        load(root)
    where = raised.value.where
    assert where is not None
    assert where.path == root / path
    assert where.line == FILES[path].count("\n") + 3


def test_places_count_characters(tmp_path):
    with pytest.raises(ModelError) as raised:
        one(tmp_path, "@model('ü', columns={'ä': 'text'}, kind='ful')")
    where = raised.value.where
    assert where is not None
    assert where.column == 41


def test_definitions_round_trip():
    function = Function("models.a", "f", 3, {"b": "int", "a": "text"}, ("x.y",), {"models/a.py": "ü"}, {"p": "1"})
    again = Function.decode(function.encode())
    assert again == function
    assert list(again.columns) == ["b", "a"]
    assert json.loads(function.encode())


def test_the_folder_of_a_project_is_no_part_of_it(tmp_path):
    one_root, other = tmp_path / "one", tmp_path / "other"
    found = []
    for each in (one_root, other):
        each.mkdir()
        write(each, FILES)
        found.append(load(each))
    assert found[0] == found[1]
    assert found[0].definition == found[1].definition
    assert str(Path(tmp_path)) not in found[0].definition.text
