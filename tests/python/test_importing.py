"""Modules of several versions of a project, side by side in one process."""

import dataclasses
import pickle
import sys
import threading

import pytest

from anabranch.python.importing import code, module_name

TEXTS = {
    "lib/__init__.py": "from .one import ONE\n",
    "lib/one.py": "from lib.deep import two\nONE = 1\n\n\ndef double():\n    from .deep.two import TWO\n    return TWO * two.TWO\n",
    "lib/deep/two.py": "from __future__ import annotations\nfrom dataclasses import dataclass\nTWO = 2\n\n\n@dataclass\nclass Pair:\n    a: int = 1\n",
    "models/a/b.py": "import lib.deep.two as two\nimport lib.one\nimport json\nfrom lib import *\nfrom lib.deep import two as again\n\n\ndef f():\n    return lib.one.double(), two.TWO, again is two, ONE, json.dumps(1)\n",
}


@pytest.mark.parametrize(
    ("path", "name"), [("models/a/b.py", "models.a.b"), ("lib/__init__.py", "lib"), ("lib/x/__init__.py", "lib.x")]
)
def test_names(path, name):
    assert module_name(path) == name


def test_all_forms_of_import(tmp_path):
    module = code(tmp_path, TEXTS).load("models.a.b")
    assert module.f() == (4, 2, True, 1, "1")
    assert module.__file__ == str(tmp_path / "models/a/b.py")


def test_the_process_keeps_its_own_names(tmp_path):
    before = set(sys.modules)
    code(tmp_path, TEXTS).load("models.a.b")
    assert all(name.startswith("_anabranch_") for name in set(sys.modules) - before)


def test_versions_are_apart(tmp_path):
    old = code(tmp_path, TEXTS).load("models.a.b")
    other = {**TEXTS, "lib/deep/two.py": TEXTS["lib/deep/two.py"].replace("TWO = 2", "TWO = 3")}
    new = code(tmp_path, other).load("models.a.b")
    assert (old.f()[0], new.f()[0]) == (4, 9)
    assert code(tmp_path, TEXTS).load("models.a.b") is old


def test_classes_are_whole(tmp_path):
    pair = code(tmp_path, TEXTS).load("lib.deep.two").Pair(3)
    assert dataclasses.asdict(pair) == {"a": 3}
    assert pickle.loads(pickle.dumps(pair)) == pair


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("import lib.nothing", "No module named 'lib.nothing'"),
        ("from lib.deep.two import THREE", "cannot import name 'THREE'"),
        ("from ... import x", "beyond the project"),
        ("import nowhere_at_all", "No module named 'nowhere_at_all'"),
    ],
)
def test_what_is_not_there(tmp_path, text, error):
    modules = code(tmp_path, {**TEXTS, "models/b.py": text})
    for _ in range(2):
        with pytest.raises(ImportError, match=error):
            modules.load("models.b")


def test_a_module_that_fails_is_not_kept(tmp_path):
    modules = code(tmp_path, {"models/b.py": "x = 1\nraise LookupError(x)\n"})
    for _ in range(2):
        with pytest.raises(LookupError) as raised:
            modules.load("models.b")
        assert modules.place(raised.value) == (tmp_path / "models/b.py", 2)


def test_modules_that_import_each_other(tmp_path):
    texts = {"lib/a.py": "import lib.b\nA = 1\n", "lib/b.py": "from lib import a\ndef f():\n    return a.A\n"}
    assert code(tmp_path, texts).load("lib.a").lib.b.f() == 1


def test_threads_import_a_module_once(tmp_path):
    modules = code(tmp_path, {"lib/slow.py": "import time\ntime.sleep(0.05)\nvalue = object()\n"})
    found = []
    threads = [threading.Thread(target=lambda: found.append(modules.load("lib.slow").value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
