"""The tables of docs/macros.md say what is so."""

import pytest
from tests.docs.pages import codes, page, rows, sections
from tests.sql.macros.expanding import expand

from anabranch.sql.macros.builtins import BUILTINS
from anabranch.sql.macros.clauses import CLAUSES

MACROS = page("docs/macros.md")
EXAMPLES = [row for lines in sections(MACROS).values() for row in rows(lines) if len(row) == 3]


@pytest.mark.parametrize("row", EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_examples(row: list[str]) -> None:
    (example,), (becomes,) = codes(row[1]), codes(row[2])
    assert " ".join(expand(example).split()) == becomes


def test_every_macro_is_named() -> None:
    text = MACROS.read_text(encoding="utf-8")
    assert [n for n in (*BUILTINS, *CLAUSES) if f"@{n.upper()}" not in text] == []
