"""Files of unit tests: what they can say, and what is said of one that is wrong."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.names import AssetName
from anabranch.errors import ProjectError, UnitTestError
from anabranch.loaders.native import SourceSettings
from anabranch.loaders.unit_tests import find_test_files, load_tests

PROJECT = {
    "models/marts/top.sql": "with valid as (select * from stg.orders) select * from valid",
    "models/stg/orders.sql": "select * from raw.orders",
    "models/plain.sql": "select 1 as x",
    "seeds/countries.csv": "code\nde\n",
}
HEAD = "test_top:\n  model: marts.top\n"


def load(root: Path, files: dict[str, str]):
    project = loader(root, PROJECT, sources={AssetName("raw.orders"): SourceSettings()}).load()
    write(root, files)
    return load_tests(root, find_test_files(root), project.assets, "main")


def one(root: Path, text: str):
    (found,) = load(root, {"tests/test_x.yaml": text})
    return found


def given(root: Path, text: str) -> list[dict[str, object]]:
    """The rows that a test gives for stg.orders."""
    indented = "\n".join(f"      {line}" for line in text.splitlines())
    test = one(root, f"{HEAD}  inputs:\n    stg.orders:\n{indented}\n  outputs: {{query: []}}\n")
    return [{n: c.value() for n, c in row.items()} for row in test.inputs[AssetName("stg.orders")].rows]


def test_a_test(tmp_path):
    test = one(
        tmp_path,
        """\
# comments are fine
test_top:
  model: Marts."top"
  description: >
    What comes out.
  gateway: none
  schema: anything
  inputs:
    stg.orders:
      columns: {id: int}
      rows: [{id: 1}]
  outputs:
    partial: true
    query:
      partial: false
      rows: [{ID: 1}]
    ctes:
      valid: [{id: 1}]
  vars: {start: 2022-01-01, execution_time: 2022-01-01 12:00:00, mine: [1, x]}
""",
    )
    assert (test.id, test.model, test.description) == ("tests/test_x.yaml::test_top", "marts.top", "What comes out.")
    assert (test.where.line, test.where.column) == (2, 1)
    assert test.inputs[AssetName("stg.orders")].columns == {"id": "int"}
    assert test.query is not None
    assert not test.query.partial
    assert test.ctes["valid"].partial
    assert test.moment == datetime(2022, 1, 1, 12)  # noqa: DTZ001  # a TIMESTAMP has no zone
    assert test.variables == {"start": date(2022, 1, 1), "execution_time": test.moment, "mine": [1, "x"]}


def test_a_model_without_schema(tmp_path):
    assert one(tmp_path, "t: {model: plain, outputs: {query: [{x: 1}]}}\n").model == "main.plain"


def test_a_moment_with_a_zone_is_told_in_utc(tmp_path):
    test = one(tmp_path, f"{HEAD}  outputs: {{query: []}}\n  vars: {{execution_time: 2022-01-01T12:00:00+02:00}}\n")
    assert test.moment == datetime(2022, 1, 1, 10)  # noqa: DTZ001  # a TIMESTAMP has no zone


def test_values_are_those_of_yaml_1_2(tmp_path):
    (row,) = given(tmp_path, "- {a: no, b: 010, c: 2.50, d: '5', e: 12:30, f: ~, g: 2022-01-01, h: [1, {x: y}]}")
    assert row == {
        "a": "no", "b": 10, "c": Decimal("2.50"), "d": "5", "e": "12:30", "f": None, "g": date(2022, 1, 1),
        "h": [1, {"x": "y"}],
    }  # fmt: skip


def test_variables_of_the_process_are_not_put_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "secret")
    assert given(tmp_path, "- {a: '${HOME}'}") == [{"a": "${HOME}"}]


def test_anchors_and_merges(tmp_path):
    text = "rows:\n  - &first {a: 1, b: 2}\n  - {<<: *first, b: 3}\n  - *first"
    assert given(tmp_path, text) == [{"a": 1, "b": 2}, {"b": 3, "a": 1}, {"a": 1, "b": 2}]


@pytest.mark.parametrize(
    "text",
    [
        'format: csv\nrows: |\n  id,name\n  1,a\n  ,"b, c"',
        "path: fixtures/orders.csv",
        "path: tests/fixtures/orders.csv\nformat: csv",
        "path: fixtures/rows.yaml",
    ],
)
def test_csv_and_files(tmp_path, text):
    write(tmp_path, {"tests/fixtures/orders.csv": 'id,name\n1,a\n,"b, c"\n'})
    write(tmp_path, {"tests/fixtures/rows.yaml": "- {id: 1, name: a}\n- {id: null, name: 'b, c'}\n"})
    assert given(tmp_path, text) == [{"id": 1, "name": "a"}, {"id": None, "name": "b, c"}]


def test_a_query_as_input(tmp_path):
    test = one(tmp_path, f"{HEAD}  inputs: {{stg.orders: {{query: select 1 as id}}}}\n  outputs: {{query: []}}\n")
    assert test.inputs[AssetName("stg.orders")].query == "select 1 as id"


def test_which_files_are_tests(tmp_path):
    names = ["test_a.yaml", "deep/er/test_b.yml", "TEST_c.YAML", "fixtures/rows.yaml", "test.txt", ".hidden/test.yaml"]
    write(tmp_path, {f"tests/{n}": "" for n in names})
    write(tmp_path, {"test_outside.yaml": ""})
    assert find_test_files(tmp_path) == ["tests/TEST_c.YAML", "tests/deep/er/test_b.yml", "tests/test_a.yaml"]


def test_no_folder_and_empty_files(tmp_path):
    assert find_test_files(tmp_path) == []
    assert load(tmp_path, {"tests/test_a.yaml": "", "tests/test_b.yaml": "# nothing\n"}) == []


def test_the_same_name_in_two_files(tmp_path):
    text = f"{HEAD}  outputs: {{query: []}}\n"
    found = load(tmp_path, {"tests/test_a.yaml": text, "tests/test_b.yaml": text})
    assert [t.id for t in found] == ["tests/test_a.yaml::test_top", "tests/test_b.yaml::test_top"]


ROWS = "  outputs: {query: []}\n"


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("test_top:\n  modle: marts.top\n", "2:3", "test_top.modle is nothing that a test can say", "did you mean model?"),
        ("test_top:\n  inputs: {}\n" + ROWS, "1:1", "test_top doesn't say which model it is of", "add: model: schema.name"),
        ("test_top:\n  model: marts.tpo\n" + ROWS, "2:10", "it tests marts.tpo, which doesn't exist", "did you mean marts.top?"),
        ("test_top:\n  model: 'marts top'\n", "2:10", "'main.marts top' is not an asset's name: 'marts top' is not a plain identifier", None),
        ("test_top:\n  model: raw.orders\n" + ROWS, "2:10", "raw.orders is no model but a source", "a test is of a model"),
        ("test_top:\n  model: seeds.countries\n" + ROWS, "2:10", "seeds.countries is no model but a seed", "a test is of a model"),
        (HEAD, "1:1", "test_top doesn't say what it expects", "add: outputs: {query: {rows: […]}}"),
        (HEAD + "  outputs: {}\n", "3:12", "outputs expects nothing", None),
        (HEAD + "  outputs: {qurey: []}\n", "3:13", "test_top.outputs.qurey is nothing that a test can say", "did you mean query?"),
        (HEAD + "  outputs: {query: {rows: [], colums: {}}}\n", "3:31", "test_top.outputs.query.colums is nothing that a test can say", "did you mean columns?"),
        (HEAD + "  outputs: {query: {rows: [1]}}\n", "3:28", "test_top.outputs.query.rows[0] must be a row: a mapping of columns to values", None),
        (HEAD + "  outputs: {query: {rows: {a: 1}}}\n", "3:27", "test_top.outputs.query.rows must be a list", None),
        (HEAD + "  outputs: {query: [{a: 1, A: 2}]}\n", "3:28", "test_top.outputs.query[0].A is there twice, for case doesn't matter", None),
        (HEAD + "  outputs: {query: [{a: 1, a: 2}]}\n", "3:28", "test_top.outputs.query[0].a is there twice", None),
        (HEAD + "  outputs: {query: {partial: 7}}\n", "3:30", "test_top.outputs.query.partial must be true or false", None),
        (HEAD + "  outputs: {query: {rows: [], query: select 1}}\n", "3:38", "test_top.outputs.query says its rows in two ways", None),
        (HEAD + "  inputs: {stg.ordres: []}\n" + ROWS, "3:12", "it gives rows for stg.ordres, which doesn't exist", "did you mean stg.orders?"),
        (HEAD + "  inputs: {stg.orders: [], STG.orders: []}\n" + ROWS, "3:28", "stg.orders is given twice", None),
        (HEAD + "  inputs: {stg.orders: {partial: true}}\n" + ROWS, "3:25", "test_top.inputs.stg.orders.partial is nothing that a test can say", None),
        (HEAD + "  inputs: {stg.orders: {format: xml, rows: a}}\n" + ROWS, "3:33", "there is no format xml", None),
        (HEAD + "  inputs: {stg.orders: {format: csv}}\n" + ROWS, "3:33", "test_top.inputs.stg.orders has a format, but no rows", None),
        (HEAD + "  inputs: {stg.orders: {path: nowhere.csv}}\n" + ROWS, "3:31", "there is no file nowhere.csv", None),
        (HEAD + "  inputs:\n    stg.orders:\n      format: csv\n      rows: |\n        a,b\n        1\n" + ROWS, "8", "this line has 1 values, and the header 2", None),
        (HEAD + "  inputs: {stg.orders: {format: csv, rows: ''}}\n" + ROWS, "3:44", "test_top.inputs.stg.orders.rows doesn't begin with a line of column names", None),
        (HEAD + ROWS + "  vars: {execution_time: soon}\n", "4:26", "test_top.vars.execution_time is no moment", None),
        (HEAD + ROWS + "test_top:\n  model: marts.top\n", "4:1", "test_top is there twice", "keep one of them, or rename it"),
        ("- a\n", "1:1", "the file must be a mapping of keys to values", None),
        ("test_top: marts.top\n", "1:1", "test_top says nothing", None),
        ("test_top: [\n", "2:1", "tests/test_x.yaml is not YAML: did not find expected node content", None),
        (HEAD + "  outputs: {query: [{a: &x [*x]}]}\n", None, None, "does an anchor contain itself?"),
    ],
)  # fmt: skip
def test_mistakes(tmp_path, text, place, message, hint):
    with pytest.raises(UnitTestError) as caught:
        load(tmp_path, {"tests/test_x.yaml": text})
    where = caught.value.where
    assert where is not None
    assert where.path == tmp_path / "tests/test_x.yaml"
    if place is not None:
        assert (str(where).rpartition(".yaml:")[2], caught.value.message) == (place, message)
    if hint is not None:
        assert caught.value.hint == hint


def test_a_file_outside_the_project(tmp_path):
    root = tmp_path / "project"
    write(tmp_path, {"rows.csv": "a\n1\n", "project/x": ""})
    with pytest.raises(UnitTestError, match=r"\.\./\.\./rows\.csv lies outside the project"):
        given(root, "path: ../../rows.csv")


def test_a_fault_in_a_file_of_rows_is_told_there(tmp_path):
    write(tmp_path, {"tests/rows.csv": "a,b\n1,2\n3\n"})
    with pytest.raises(UnitTestError) as caught:
        given(tmp_path, "path: rows.csv")
    assert caught.value.where is not None
    assert (caught.value.where.path.name, caught.value.where.line) == ("rows.csv", 3)


def test_what_is_not_utf_8(tmp_path):
    write(tmp_path, {"tests/test_x.yaml": "ä: 1"})
    (tmp_path / "tests/test_x.yaml").write_bytes(b"\xff\xfea")
    with pytest.raises(ProjectError, match=r"test_x\.yaml isn't UTF-8"):
        load(tmp_path, {})


def test_all_mistakes_are_told_at_once(tmp_path):
    files = {
        "tests/test_a.yaml": f"one:\n  model: marts.tpo\n{ROWS}two:\n  modle: marts.top\n",
        "tests/test_b.yaml": "three: [\n",
    }
    with pytest.raises(UnitTestError) as caught:
        load(tmp_path, files)
    assert caught.value.message.splitlines() == [
        "it tests marts.tpo, which doesn't exist",
        "and 2 more:",
        "  tests/test_a.yaml:5:3  two.modle is nothing that a test can say",
        "  tests/test_b.yaml:2:1  tests/test_b.yaml is not YAML: did not find expected node content",
    ]
