"""Projects with macros: what is parsed again, what is a new snapshot, what is said where one is wrong."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.loaders.projects import loader, write

from anabranch.domain.ids import Fingerprint
from anabranch.domain.names import AssetName
from anabranch.errors import DuplicateAsset, ModelError, ProjectError
from anabranch.loaders.native import NativeLoader, SourceSettings
from anabranch.sql import model_file

SOURCES = {AssetName("raw.orders"): SourceSettings({"id": "int", "amount": "int"})}
FILES: dict[str, str | bytes] = {
    "models/s/plain.sql": "select 1 as x",
    "models/s/sized.sql": "select @size as x",
    "models/s/named.sql": "select @name as x, 'cron @daily' as y",
    "models/s/either.sql": "select @IF(@on, @size, @name) as x",
    "models/s/env.sql": "select 1 as x @WHERE(@this_env = 'dev') true",
}
VARIABLES: dict[str, Any] = {"size": 1, "name": "a", "on": False}


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of models as they are parsed."""
    found: list[str] = []
    real = model_file.parse_model

    def parse(text: str, path: Path, **kwargs: Any) -> object:
        found.append(path.stem)
        return real(text, path, **kwargs)

    monkeypatch.setattr(model_file, "parse_model", parse)
    return found


def project(root: Path, files: Mapping[str, str | bytes] | None = None, **variables: Any) -> NativeLoader:
    return loader(root, files, cache=root / "cache.db", variables={**VARIABLES, **variables}, sources=SOURCES)


def prints(found: NativeLoader, environment: str = "prod") -> dict[str, Fingerprint]:
    return {n.removeprefix("s."): s.fingerprint for n, s in found.load(environment).assets.items() if n[:2] == "s."}


def differing(a: Mapping[str, object], b: Mapping[str, object]) -> list[str]:
    return sorted(n for n in a if a[n] != b[n])


def test_a_changed_variable_parses_only_what_uses_it(tmp_path: Path, parsed: list[str]) -> None:
    first = prints(project(tmp_path, FILES))
    assert sorted(parsed) == ["either", "env", "named", "plain", "sized"]
    parsed.clear()
    assert prints(project(tmp_path)) == first
    assert parsed == []
    second = prints(project(tmp_path, size=2))
    assert parsed == ["sized"]
    assert differing(first, second) == ["sized"]
    parsed.clear()
    third = prints(project(tmp_path, size=2, on=True))
    assert parsed == ["either"]
    assert differing(second, third) == ["either"]
    parsed.clear()
    assert prints(project(tmp_path)) == first
    assert parsed == [], "both ways were seen before"
    assert prints(project(tmp_path, on=True)) != first
    parsed.clear()
    assert differing(prints(project(tmp_path, on=True)), prints(project(tmp_path, on=True, name="b"))) == ["named"]
    assert parsed == ["named"]


def test_a_value_of_another_type_is_another_value(tmp_path: Path) -> None:
    made = [prints(project(tmp_path, FILES, size=value))["sized"] for value in (1, "1", True, 1.5, None, ["1", "2"])]
    assert len(set(made)) == len(made)


def test_the_environment_is_no_part_of_what_doesnt_ask_for_it(tmp_path: Path, parsed: list[str]) -> None:
    found = project(tmp_path, FILES)
    prod = prints(found, "prod")
    parsed.clear()
    assert prints(found, "feature") == prod, "the same text is the same snapshot"
    assert parsed == ["env"]
    assert differing(prod, prints(found, "dev")) == ["env"]
    assert found.load("dev").notes == ("depends on the environment through @this_env (s.env)",)
    assert found.digest("dev") == found.load("dev").digest != found.digest("prod")


def test_variables_of_an_environment(tmp_path: Path) -> None:
    found = loader(tmp_path, FILES, variables=VARIABLES, overrides={"dev": {"size": 9}})
    prod, dev = prints(found, "prod"), prints(found, "dev")
    assert differing(prod, dev) == ["env", "sized"], "env asks for the name itself"
    assert found.load("dev").assets[AssetName("s.sized")].definition.text == "select 9 as x"
    assert found.load("prod").notes == (
        "depends on the environment through @size (s.sized)",
        "depends on the environment through @this_env (s.env)",
    )


PYTHON: dict[str, str | bytes] = {
    "macros/__init__.py": "",
    "macros/money.py": (
        "from anabranch.macros import SQL, macro\nfrom macros.util import scaled\n\nDIGITS = 2\n\n"
        "@macro()\ndef cents(evaluator, column: SQL, digits: int = DIGITS):\n    return f'round({scaled(column)}, {digits})'\n\n"
        "@macro('Names')\ndef listed(evaluator, *names: str, prefix: str = ''):\n"
        "    return [f'{prefix}{n}_{evaluator.var(\"size\")}' for n in names]\n\n"
        "@macro()\ndef tree(evaluator, column):\n    return column.as_('y')\n\n"
        "@macro()\ndef broken(evaluator):\n    return 1 / 0\n\n"
        "@macro()\ndef again(evaluator):\n    return '@again()'\n"
    ),
    "macros/util.py": "FACTOR = 100\n\ndef scaled(column):\n    return f'{column} / {FACTOR}'\n\ndef other():\n    return 1\n",
    "models/s/a.sql": "select @cents(amount + 1) as x from raw.orders",
    "models/s/b.sql": "select @names(id, 'amount', prefix := 'p_') from (select 1 as p_id_1, 2 as p_amount_1)",
    "models/s/c.sql": "select @tree(id + 1) from raw.orders",
}


def test_python_macros(tmp_path: Path) -> None:
    assets = project(tmp_path, PYTHON).load().assets
    assert assets[AssetName("s.a")].definition.text == "select round(amount + 1 / 100, 2) as x from raw.orders"
    assert assets[AssetName("s.b")].definition.text.startswith("select p_id_1, p_amount_1 from")
    assert assets[AssetName("s.c")].definition.text == "select id + 1 AS y from raw.orders"


@pytest.mark.parametrize(
    ("path", "old", "new", "again"),
    [
        ("macros/util.py", "FACTOR = 100", "FACTOR = 1000", ["a"]),
        ("macros/util.py", "return 1", "return 2", []),
        ("macros/util.py", "\ndef other", "# a comment\n\ndef other", []),
        ("macros/money.py", "DIGITS = 2", "DIGITS = 3", ["a"]),
        ("macros/money.py", "as_('y')", "as_('z')", ["c"]),
        ("macros/money.py", "1 / 0", "2 / 0", []),
    ],
)
def test_a_changed_macro_parses_only_its_users(
    tmp_path: Path, parsed: list[str], path: str, old: str, new: str, again: list[str]
) -> None:
    project(tmp_path, PYTHON).load()
    parsed.clear()
    project(tmp_path).load()
    assert parsed == []
    project(tmp_path, {path: str(PYTHON[path]).replace(old, new)}).load()
    assert parsed == again


@pytest.mark.parametrize(
    ("query", "message", "place"),
    [
        ("select\n @broken()", "@broken: ZeroDivisionError: division by zero (macros/money.py:20)", "models/s/x.sql:2:2"),
        ("select @again()", "macros are nested deeper than 50", "models/s/x.sql:1:8"),
        ("select @cents()", "@cents: it can't be called with these arguments: missing a required argument: 'column'", "models/s/x.sql:1:8"),
        ("select @cents(a, 'b')", "@cents: its argument digits is a whole number, not 'b'", "models/s/x.sql:1:8"),
    ],
)  # fmt: skip
def test_python_macros_that_fail(tmp_path: Path, query: str, message: str, place: str) -> None:
    with pytest.raises(ModelError) as caught:
        project(tmp_path, {**PYTHON, "models/s/x.sql": query}).load()
    assert caught.value.message == message
    assert str(caught.value.where) == f"{tmp_path}/{place}"


@pytest.mark.parametrize(
    ("text", "message", "place", "hint"),
    [
        ("def x(:\n", "macros/m.py can't be imported: SyntaxError: invalid syntax (m.py, line 1)", "macros/m.py:1", "mend the file"),
        ("x = 1\ny = x / 0\n", "macros/m.py can't be imported: ZeroDivisionError: division by zero", "macros/m.py:2", "mend the file"),
        ("from sqlmesh import macro\n", "macros/m.py can't be imported: ModuleNotFoundError: No module named 'sqlmesh'", "macros/m.py:1", "write: from anabranch.macros import macro"),
        ("from anabranch.macros import macro\n@macro('if')\ndef f(e): ...\n", "@if is built in", "macros/m.py:2", "choose another name for the macro"),
    ],
)  # fmt: skip
def test_files_of_macros_that_are_wrong(tmp_path: Path, text: str, message: str, place: str, hint: str) -> None:
    with pytest.raises(ModelError) as caught:
        project(tmp_path, {"macros/m.py": text, "models/a.sql": "select @f(1) as x"}).load()
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert str(caught.value.where) == f"{tmp_path}/{place}"


def test_jinja_macros(tmp_path: Path, parsed: list[str]) -> None:
    files: dict[str, str | bytes] = {
        "macros/m.sql": "{% macro half(x) %}{{ x }} / 2{% endmacro %}",
        "models/s/a.sql": "select {{ half('4') }} as x",
        "models/s/b.sql": "select {{ 1 }} as x",
    }
    found = project(tmp_path, files).load()
    assert found.assets[AssetName("s.a")].definition.text == "select 4 / 2 as x"
    parsed.clear()
    project(tmp_path, {"macros/m.sql": "{% macro half(x) %}{{ x }} / 2.0{% endmacro %}"}).load()
    assert parsed == ["a"]


def test_columns_of_other_models(tmp_path: Path, parsed: list[str]) -> None:
    files: dict[str, str | bytes] = {
        "models/s/a.sql": "select @STAR(s.z, exclude := [one]) from s.z",
        "models/s/m.sql": "select @STAR(s.a) from s.a",
        "models/s/z.sql": "select 1 as one, 2 as two",
        "models/s/seeded.sql": "select @STAR(seeds.c) from seeds.c",
        "models/s/sourced.sql": "select @STAR(raw.orders) from raw.orders",
        "seeds/c.csv": "code,name\n1,a\n",
    }
    assets = project(tmp_path, files).load().assets
    assert assets[AssetName("s.m")].definition.text == 'select "a"."two" from s.a'
    assert assets[AssetName("s.seeded")].definition.text == 'select "c"."code", "c"."name" from seeds.c'
    assert assets[AssetName("s.sourced")].definition.text == 'select "orders"."id", "orders"."amount" from raw.orders'
    parsed.clear()
    project(tmp_path).load()
    assert parsed == []
    changed = project(tmp_path, {"models/s/z.sql": "select 1 as one, 2 as two, 3 as three"}).load()
    assert changed.assets[AssetName("s.m")].definition.text == 'select "a"."two", "a"."three" from s.a'
    assert sorted(parsed) == ["a", "m", "z"]


def test_columns_that_nobody_knows(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"models/s/a.sql": "select @STAR(s.b) from s.b", "models/s/b.sql": "select @STAR(s.a) from s.a"}  # fmt: skip
    with pytest.raises(ModelError, match=r"@STAR needs the columns of s\.b, which aren't known"):
        project(tmp_path, files).load()


def test_blueprints_of_one_name(tmp_path: Path) -> None:
    text = "MODEL (name s.same, blueprints ((x := 1), (x := 2)));\nselect @x as x"
    with pytest.raises(DuplicateAsset) as caught:
        project(tmp_path, {"models/s/same.sql": text}).load()
    assert caught.value.message == "s.same is defined twice in models/s/same.sql"


def test_blueprints_are_remembered(tmp_path: Path, parsed: list[str]) -> None:
    text = "MODEL (name s.@{x}, blueprints ((x := a), (x := b)));\nselect @size as x"
    assert sorted(prints(project(tmp_path, {"models/s/both.sql": text}))) == ["a", "b"]
    parsed.clear()
    assert sorted(prints(project(tmp_path))) == ["a", "b"]
    assert parsed == []


def test_a_warm_load_needs_neither_sqlglot_nor_jinja(tmp_path: Path) -> None:
    files = {**FILES, **PYTHON, "models/s/j.sql": "select {{ var('size') }} as x"}
    project(tmp_path, files).load()
    code = (
        "import sys; from pathlib import Path; from tests.loaders.test_macros import *; root = Path(sys.argv[1])\n"
        "for name in [n for n in sys.modules if n.split('.')[0] in ('sqlglot', 'jinja2')]: del sys.modules[name]\n"
        "project(root).load(); print([n for n in sys.modules if n.split('.')[0] in ('sqlglot', 'jinja2', 'macros')])"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_problem_in_one_file_tells_of_others(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    with pytest.raises(ProjectError, match="there is no variable @nobody\nand one more:"):
        project(tmp_path, {"models/a.sql": "select @nobody", "models/b.sql": "select @IF(x, 1)"}).load()


def test_a_constant_that_is_changed_by_another_name(tmp_path: Path) -> None:
    """``limits["most"] = 1`` defines nothing: it changes whatever ``limits`` is."""
    text = (
        "from anabranch.macros import macro\nDEFAULTS = {}\nlimits = DEFAULTS\nlimits['most'] = %s\n\n\n"
        "@macro()\ndef most(evaluator):\n    return str(DEFAULTS['most'])\n"
    )
    files = {"models/s/a.sql": "select @most() as x"}
    before = prints(project(tmp_path, {**files, "macros/m.py": text % 1}))
    after = prints(project(tmp_path, {**files, "macros/m.py": text % 2}))
    assert differing(before, after) == ["a"]
