"""docs/json.md has each error, and the exit code that it ends with."""

import re
from collections.abc import Iterator

from tests.docs.pages import codes, page, rows, sections

from anabranch import errors
from anabranch.cli.failures import exit_code
from anabranch.errors import AnabranchError


def _classes(root: type[AnabranchError] = AnabranchError) -> Iterator[type[AnabranchError]]:
    yield root
    for below in root.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _classes(below)


def test_every_error_is_documented() -> None:
    table = [r for r in rows(sections(page("docs/json.md"))["Errors"]) if len(r) == 3]
    documented = {codes(name)[0]: int(code) for name, code, _ in table}
    actual = {c.__name__: exit_code(c.__new__(c)) for c in _classes()}
    assert documented == actual


def test_the_tree_in_the_module_is_complete() -> None:
    drawn = re.findall(r"^[│├└─ ]*([A-Z]\w+)(?: {2,}|$)", errors.__doc__ or "", re.MULTILINE)
    assert sorted(drawn) == sorted(c.__name__ for c in _classes())
