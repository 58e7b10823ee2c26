"""Whether two texts of a view's definition, as an engine tells them, are the same but for spelling.

DuckDB tells a view otherwise to the process that made it than to those who open the file later: ``CAST(x AS "DATE")``
becomes ``CAST(x AS DATE)``, ``DECIMAL`` becomes ``DECIMAL(18,3)``, ``VARCHAR(10)`` becomes ``VARCHAR``, and
``lambda x: …`` becomes ``x -> …``. Types that matter are seen in the view's columns, so lengths and scales aren't
compared here.
"""

from __future__ import annotations

import re

_WORD = re.compile(r"""'(?:[^']|'')*' | "(?P<quoted>(?:[^"]|"")*)" | \w+ | -> | [^\w\s]""", re.VERBOSE)
_SIZED = re.compile(r"\b(decimal|numeric|varchar|char|bit) \( \d+ (?:, \d+ )?\)", re.IGNORECASE)
_LAMBDA = re.compile(r"\blambda (\w+(?: , \w+)*) :")


def same_definition(one: str, other: str) -> bool:
    """Both are what an engine tells; ``False`` where they may mean different things."""
    return one == other or _plain(one) == _plain(other)


def _plain(text: str) -> str:
    words: list[str] = []
    for found in _WORD.finditer(text):
        quoted = found["quoted"]
        word = found[0] if quoted is None else quoted
        words += [word] if word.startswith("'") and quoted is None else word.lower().split(" ")
    return _LAMBDA.sub(_arrow, _SIZED.sub(r"\1", " ".join(words)))


def _arrow(found: re.Match[str]) -> str:
    names = found[1]
    return f"row ( {names} ) ->" if "," in names else f"{names} ->"
